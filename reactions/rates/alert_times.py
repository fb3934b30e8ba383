"""How long alerts waited until somebody acknowledged them, by month and level, and how many within the target."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from math import ceil
from statistics import median

from patients.models import Clinic
from reactions.clinical.escalation import due_by
from reactions.models import Alert, AlertPolicy
from reactions.vocabulary import AlertLevel

# Older alerts are in the list of alerts, not here.
LOOK_BACK = timedelta(days=2 * 366)


@dataclass(frozen=True)
class AlertTimes:
    """The alerts of one level that were raised in one month, on the clocks of their clinic.

    Minutes are by the clock, from raising to acknowledging, and None while nothing was acknowledged. `judged` is how
    many were acknowledged or have their target behind them, and `within_target` how many of these were in time; those
    that are open with time left count in neither. Targets are those of now.
    """

    month: str
    level: str
    raised: int
    open: int
    median_min: float | None
    p90_min: float | None
    judged: int
    within_target: int

    @property
    def share(self) -> float | None:
        """The part of the judged that was in time."""
        return self.within_target / self.judged if self.judged else None


@dataclass(frozen=True)
class _Wait:
    minutes: float | None
    in_time: bool | None


def alert_times(clinics: Iterable[Clinic], *, now: datetime) -> list[AlertTimes]:
    """Of all alerts of the clinics in the last two years: the latest month first, then the most urgent level."""
    own = {clinic.pk: clinic for clinic in clinics}
    decided = {
        policy.clinic_id: policy for policy in AlertPolicy.objects.filter(clinic__in=own).select_related("clinic")
    }
    targets = {pk: (decided.get(pk) or AlertPolicy(clinic=clinic)).targets() for pk, clinic in own.items()}
    waits = defaultdict(list)
    rows = Alert.objects.filter(patient__clinic__in=own, raised_at__gt=now - LOOK_BACK).order_by()
    for pk, code, raised_at, acknowledged_at in rows.values_list(
        "patient__clinic", "level", "raised_at", "acknowledged_at"
    ):
        level = AlertLevel(code)
        month = f"{raised_at.astimezone(own[pk].zone):%Y-%m}"
        waits[month, level].append(_wait(raised_at, acknowledged_at, due_by(level, raised_at, targets[pk]), now))
    months = sorted({month for month, _ in waits}, reverse=True)
    return [
        _times(month, level, waits[month, level]) for month in months for level in AlertLevel if waits[month, level]
    ]


def as_csv(times: Iterable[AlertTimes]) -> str:
    """One line for each month and level; minutes to one decimal, the share as a fraction."""
    output = io.StringIO()
    columns = ["month", "level", "raised", "open", "median_min", "p90_min", "judged", "within_target", "share"]
    writer = csv.DictWriter(output, columns, lineterminator="\n")
    writer.writeheader()
    for line in times:
        told = asdict(line) | {"share": line.share}
        writer.writerow({name: _rounded(value) for name, value in told.items()})
    return output.getvalue()


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


def _wait(raised_at: datetime, acknowledged_at: datetime | None, due: datetime, now: datetime) -> _Wait:
    if acknowledged_at is None:
        return _Wait(None, None if now <= due else False)
    return _Wait(max(0.0, (acknowledged_at - raised_at).total_seconds() / 60), acknowledged_at <= due)


def _times(month: str, level: AlertLevel, waits: list[_Wait]) -> AlertTimes:
    minutes = sorted(wait.minutes for wait in waits if wait.minutes is not None)
    in_time = [wait.in_time for wait in waits if wait.in_time is not None]
    return AlertTimes(
        month=month,
        level=level.value,
        raised=len(waits),
        open=len(waits) - len(minutes),
        median_min=median(minutes) if minutes else None,
        # The nearest rank: a time that somebody really waited.
        p90_min=minutes[ceil(0.9 * len(minutes)) - 1] if minutes else None,
        judged=len(in_time),
        within_target=sum(in_time),
    )
