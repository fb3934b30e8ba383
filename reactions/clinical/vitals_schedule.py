"""When vital signs are expected around an infusion, and which values are slips of the keyboard. Pure.

Signatures
    Schedule(baseline_within_minutes, first_after_minutes, rate_change_within_minutes, every_minutes,
             after_end_minutes, tolerance_minutes)               a clinic's settings
    due(schedule, started_at, ended_at, rate_changes, measured, now, *, late_baseline=False) -> VitalsPlan
        VitalsPlan.moments, .next_due, .missed, .is_late
    why_impossible_vitals(values) -> dict[str, str]              field to a sentence for the person typing
    why_impossible_moment(at, started_at) -> str                 a sentence; empty when they can belong to the infusion
    unlikely_vitals(values) -> list[str]                         sentences to look at; recorded all the same

Sources of the default: nursing protocols differ, and no standard was found. Seen were a baseline within 15 or 60 min
before, a set 15 min after the start, at each rate change, hourly once the rate is steady, at the end, and 30 and 60 min
after it (hospital policies on allnurses.com and medx.it.com, a nursing question on nclex.me). A chart review of 731
infusions found few reactions by vital signs alone (Camp-Sorrell 1994, PMID 8052549), so a clinic may want fewer. The
tolerance, the minutes by which two expected sets count as one, the late baseline and the end of the watch are this
project's.

How measurements are matched, always the same way for the same record: every expected set has a window, and a
measurement inside it can satisfy it. The closest pairs are matched first, of equally close ones the earlier. A set
takes one measurement. A measurement serves one set and those that coincide with it: sets that fall due within 5 min of
the first of them, such as a rate change and the hourly set. A measurement outside every window satisfies none.

A baseline is taken before the start. With `late_baseline` one that nobody took in time can still be taken in the first
minutes: for as long as other sets may be late, and until the first set can be taken. Before that it is due, not missed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

# This project's: one look at the patient serves both.
COINCIDING_WITHIN = timedelta(minutes=5)
# An infusion that has run for longer was never closed: no routine sets are expected after this.
LONGEST_WATCH = timedelta(hours=24)
# What lies further before the start is a slip in the date (this project's limit), and no baseline of the infusion.
MEASURED_BEFORE_AT_MOST = timedelta(hours=24)


class Occasion(StrEnum):
    BASELINE = "baseline"
    FIRST = "first"
    RATE_CHANGE = "rate_change"
    ROUTINE = "routine"
    AFTER_END = "after_end"


class MomentState(StrEnum):
    DONE = "done"
    DUE = "due"
    MISSED = "missed"
    UPCOMING = "upcoming"


WAITING = frozenset({MomentState.DUE, MomentState.UPCOMING})


@dataclass(frozen=True)
class Schedule:
    """A clinic's settings, in minutes. Raises ValueError for settings that mean nothing."""

    # A baseline counts when it was measured at most so long before the start.
    baseline_within_minutes: int = 60
    first_after_minutes: int = 15
    # A rate change's set counts up to so long after it, and from `tolerance_minutes` before it.
    rate_change_within_minutes: int = 15
    # Counted from the first set on.
    every_minutes: int = 60
    after_end_minutes: tuple[int, ...] = (0, 30, 60)
    # How much earlier or later than expected a set may be measured.
    tolerance_minutes: int = 10

    def __post_init__(self) -> None:
        if self.every_minutes < 1:
            raise ValueError("Vital signs can be expected every minute at most.")
        if self.first_after_minutes < 1:
            raise ValueError("The first set is expected at least a minute after the start.")
        others = (self.baseline_within_minutes, self.rate_change_within_minutes, self.tolerance_minutes)
        if min(*others, *self.after_end_minutes) < 0:
            raise ValueError("Minutes cannot be negative.")


@dataclass(frozen=True)
class Moment:
    """One expected set: it counts when measured from `opens_at` to `closes_at`, both included. All in UTC."""

    occasion: Occasion
    label: str
    due_at: datetime
    opens_at: datetime
    closes_at: datetime
    state: MomentState = MomentState.UPCOMING
    measured_at: datetime | None = None

    @property
    def missed_since(self) -> datetime | None:
        """When it became too late; None unless it was missed."""
        return self.closes_at if self.state == MomentState.MISSED else None


@dataclass(frozen=True)
class VitalsPlan:
    """Every expected set in the order in which they fall due. While the infusion runs, up to the next routine set."""

    moments: tuple[Moment, ...]
    is_late: bool

    @property
    def next_due(self) -> Moment | None:
        """The earliest set that can still be measured in time; it may be due now."""
        return next((one for one in self.moments if one.state in WAITING), None)

    @property
    def missed(self) -> tuple[Moment, ...]:
        return tuple(one for one in self.moments if one.state == MomentState.MISSED)


def due(
    schedule: Schedule,
    started_at: datetime,
    ended_at: datetime | None,
    rate_changes: Sequence[datetime],
    measured: Sequence[datetime],
    now: datetime,
    *,
    late_baseline: bool = False,
) -> VitalsPlan:
    """What is expected, done, due and missed at `now`. Rate changes count strictly between start and end.

    `late_baseline` lets a forgotten baseline be taken in the first minutes after the start.

    The plan is late when a set was missed, nothing has been measured since it fell due, and there are sets to come:
    when the watch is over, a missed set is missed and no longer late.
    """
    start, now = started_at.astimezone(UTC), now.astimezone(UTC)
    end = ended_at.astimezone(UTC) if ended_at else None
    taken = sorted({moment.astimezone(UTC) for moment in measured if moment.astimezone(UTC) <= now})
    expected = _expected(schedule, start, end, [change.astimezone(UTC) for change in rate_changes], now)
    if late_baseline:
        expected = [_open_longer(moment, schedule, taken) for moment in expected]
    matched = _matched(expected, taken)
    moments = tuple(_with_state(moment, matched.get(n), now) for n, moment in enumerate(expected))
    missed = [moment for moment in moments if moment.state == MomentState.MISSED]
    measured_since = bool(missed) and any(at >= missed[-1].due_at for at in taken)
    to_come = any(moment.state in WAITING for moment in moments)
    return VitalsPlan(moments, is_late=bool(missed) and to_come and not measured_since)


def _minutes(minutes: int) -> timedelta:
    return timedelta(minutes=minutes)


def _expected(
    schedule: Schedule, start: datetime, end: datetime | None, rate_changes: Sequence[datetime], now: datetime
) -> list[Moment]:
    early = late = _minutes(schedule.tolerance_minutes)
    first = start + _minutes(schedule.first_after_minutes)
    baseline_from = start - _minutes(schedule.baseline_within_minutes)
    found = [Moment(Occasion.BASELINE, "Before the start", start, baseline_from, start)]
    if end is None or first < end:
        label = f"{schedule.first_after_minutes} min after the start"
        found.append(Moment(Occasion.FIRST, label, first, first - early, first + late))
    within = _minutes(schedule.rate_change_within_minutes)
    for at in rate_changes:
        if start < at and (end is None or at < end):
            found.append(Moment(Occasion.RATE_CHANGE, "Rate change", at, at - early, at + within))
    for at in _routine(schedule, start, first, end, now):
        label = f"Every {schedule.every_minutes} min"
        found.append(Moment(Occasion.ROUTINE, label, at, at - early, at + late))
    if end is not None:
        for minutes in schedule.after_end_minutes:
            at = end + _minutes(minutes)
            label = f"{minutes} min after the end" if minutes else "At the end"
            found.append(Moment(Occasion.AFTER_END, label, at, at - early, at + late))
    return sorted(found, key=lambda moment: moment.due_at)


def _open_longer(moment: Moment, schedule: Schedule, taken: Sequence[datetime]) -> Moment:
    """A baseline that nobody took in time, with its later end; every other set as it is."""
    if moment.occasion != Occasion.BASELINE or any(moment.opens_at <= at <= moment.closes_at for at in taken):
        return moment
    before_first_set = max(schedule.first_after_minutes - schedule.tolerance_minutes, 0)
    late = min(schedule.tolerance_minutes, before_first_set)
    return replace(moment, closes_at=moment.due_at + _minutes(late))


def _routine(
    schedule: Schedule, start: datetime, first: datetime, end: datetime | None, now: datetime
) -> list[datetime]:
    """After the first set and before the end; while the infusion runs, up to and with the next one after now."""
    step, last = _minutes(schedule.every_minutes), start + LONGEST_WATCH
    found, at = [], first + step
    while at <= last and (at < end if end else at - step <= now):
        found.append(at)
        at += step
    return found


def _matched(expected: Sequence[Moment], taken: Sequence[datetime]) -> dict[int, datetime]:
    """Position of an expected set to the measurement that satisfies it."""
    group_of = _groups(expected)
    pairs = sorted(
        (abs(at - moment.due_at), moment.due_at, n, at)
        for n, moment in enumerate(expected)
        for at in taken
        if moment.opens_at <= at <= moment.closes_at
    )
    matched: dict[int, datetime] = {}
    serves: dict[datetime, int] = {}
    for _, _, n, at in pairs:
        if n not in matched and serves.setdefault(at, group_of[n]) == group_of[n]:
            matched[n] = at
    return matched


def _groups(expected: Sequence[Moment]) -> list[int]:
    """For each expected set, in order, the position of the first that it coincides with."""
    groups: list[int] = []
    for n, moment in enumerate(expected):
        first = groups[-1] if groups else n
        groups.append(first if moment.due_at - expected[first].due_at <= COINCIDING_WITHIN else n)
    return groups


def _with_state(moment: Moment, measured_at: datetime | None, now: datetime) -> Moment:
    if measured_at is not None:
        state = MomentState.DONE
    elif now > moment.closes_at:
        state = MomentState.MISSED
    else:
        state = MomentState.DUE if now >= moment.opens_at else MomentState.UPCOMING
    return replace(moment, state=state, measured_at=measured_at)


@dataclass(frozen=True)
class _Sign:
    label: str
    unit: str
    possible: tuple[Decimal, Decimal]
    usual: tuple[Decimal, Decimal]
    hint: str = ""


def _sign(label: str, unit: str, possible: tuple[int, int], usual: tuple[int, int], hint: str = "") -> _Sign:
    (low, high), (usual_low, usual_high) = possible, usual
    return _Sign(label, unit, (Decimal(low), Decimal(high)), (Decimal(usual_low), Decimal(usual_high)), hint)


# Catchers of slips: a digit too many, a value in the wrong field, a temperature in °F. They are not clinical limits,
# have no source, and leave ill patients, children and fever in peace.
SIGNS: dict[str, _Sign] = {
    "temperature_c": _sign("Temperature", "°C", (25, 45), (34, 41), " Is it in °C?"),
    "heart_rate_per_min": _sign("Heart rate", "per minute", (10, 300), (35, 200)),
    "systolic_mmhg": _sign("Systolic blood pressure", "mmHg", (30, 300), (60, 230)),
    "diastolic_mmhg": _sign("Diastolic blood pressure", "mmHg", (10, 200), (30, 140)),
    "respiratory_rate_per_min": _sign("Respiratory rate", "per minute", (3, 120), (6, 60)),
    "spo2_percent": _sign("Oxygen saturation", "%", (30, 100), (70, 100)),
}


def why_impossible_vitals(values: Mapping[str, Decimal | int | None]) -> dict[str, str]:
    """Field to sentence, for what cannot be. None and missing fields were not measured; other fields are ignored."""
    found = {}
    for field, value in _measured(values):
        sign = SIGNS[field]
        if not sign.possible[0] <= value <= sign.possible[1]:
            found[field] = f"{sign.label} {value:f} {sign.unit} is not possible.{sign.hint}"
    systolic, diastolic = values.get("systolic_mmhg"), values.get("diastolic_mmhg")
    if (systolic is None) != (diastolic is None):
        missing = "systolic_mmhg" if systolic is None else "diastolic_mmhg"
        found[missing] = "Write both values of the blood pressure, or neither."
    if systolic is not None and diastolic is not None and diastolic >= systolic:
        found.setdefault("diastolic_mmhg", "The diastolic value must be below the systolic value.")
    return found


def why_impossible_moment(at: datetime, started_at: datetime) -> str:
    """A sentence about vital signs that were measured so long before the start that the date must be wrong."""
    if at < started_at - MEASURED_BEFORE_AT_MOST:
        hours = MEASURED_BEFORE_AT_MOST // timedelta(hours=1)
        return f"This lies more than {hours} hours before the infusion started. Check the date."
    return ""


def unlikely_vitals(values: Mapping[str, Decimal | int | None]) -> list[str]:
    """Sentences about possible values worth a second look, in the order of the form."""
    found = []
    for field, value in _measured(values):
        sign = SIGNS[field]
        possible = sign.possible[0] <= value <= sign.possible[1]
        if possible and not sign.usual[0] <= value <= sign.usual[1]:
            found.append(f"{sign.label} {value:f} {sign.unit} is unusual. Is it typed as measured?")
    return found


def _measured(values: Mapping[str, Decimal | int | None]) -> list[tuple[str, Decimal]]:
    return [(field, Decimal(value)) for field in SIGNS if (value := values.get(field)) is not None]
