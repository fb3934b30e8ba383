"""The response to treatment over time, beside what was given and what happened: composed for the patient's page."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import Max

from patients.models import Patient
from reactions.clinical.response import MEASURES, change
from reactions.models import Infusion, Reaction, ResponseMeasures
from reactions.views.response_chart import Chart, Series, draw

# Values of this one run over three powers of ten, so its scale begins at 0 for all patients alike.
FROM_ZERO = frozenset({"ck"})


@dataclass(frozen=True)
class Latest:
    """One measure as it stands: the latest value, and how it differs from the first."""

    label: str
    value: str
    day: date
    change: str
    since: date | None


@dataclass(frozen=True)
class OverTime:
    latest: list[Latest]
    chart: Chart
    narrow_chart: Chart
    describes: str
    columns: list[str]
    rows: list[tuple[date, list[str]]]


def over_time(patient: Patient) -> OverTime | None:
    """All that is drawn, in three queries whatever the history; None when nothing was measured."""
    measured = list(ResponseMeasures.objects.current().filter(patient=patient).order_by("measured_on", "pk"))
    if not measured:
        return None
    values: dict[str, list[tuple[date, Decimal]]] = {code: [] for code in MEASURES}
    for row in measured:
        for code, value in row.measured().items():
            values[code].append((row.measured_on, value))
    values = {code: points for code, points in values.items() if points}
    zone = patient.clinic.zone
    infusions = Infusion.objects.current().filter(patient=patient).order_by("started_at")
    doses = [(at.astimezone(zone).date(), grams) for at, grams in infusions.values_list("started_at", "dose_g")]
    reactions = Reaction.objects.counted().filter(infusion__patient=patient).annotate(worst=Max("symptoms__grade"))
    found = reactions.order_by("pk").values_list("onset_at", "infusion__started_at", "worst")
    marks = [((onset or start).astimezone(zone).date(), worst) for onset, start, worst in found]
    series = [_series(code, points) for code, points in values.items()]
    chart, narrow_chart = draw(doses, marks, series), draw(doses, marks, series, narrow=True)
    if chart is None or narrow_chart is None:
        return None
    return OverTime(
        latest=[_latest(code, points) for code, points in values.items()],
        chart=chart,
        narrow_chart=narrow_chart,
        describes=_described(doses, marks, series),
        columns=["Dose (g)", "Reaction, worst grade", *(_titled(code) for code in values)],
        rows=_rows(doses, marks, list(values.values())),
    )


def _titled(code: str) -> str:
    return f"{MEASURES[code].label} ({MEASURES[code].unit})"


def _series(code: str, points: list[tuple[date, Decimal]]) -> Series:
    measure = MEASURES[code]
    better = "higher is better" if measure.higher_is_better else "lower is better"
    return Series(_titled(code), points, note=better, low=measure.low, high=measure.high, from_zero=code in FROM_ZERO)


def _latest(code: str, points: list[tuple[date, Decimal]]) -> Latest:
    (first_day, first), (day, value) = points[0], points[-1]
    several = len(points) > 1
    return Latest(
        label=MEASURES[code].label,
        value=f"{value.normalize():f} {MEASURES[code].unit}",
        day=day,
        change=change(code, first, value) if several else "",
        since=first_day if several else None,
    )


def _described(
    doses: list[tuple[date, Decimal]], marks: list[tuple[date, int | None]], series: Iterable[Series]
) -> str:
    """The drawing in a sentence, for those who do not see it."""
    days = [day for day, _ in doses] + [day for day, _ in marks] + [day for one in series for day, _ in one.points]
    return (
        f"From {min(days)} to {max(days)}: {_several(len(doses), 'infusion')}, {_several(len(marks), 'reaction')} and"
        " the measures of the response, each in its own panel over the same days. The table below has the numbers."
    )


def _several(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _rows(
    doses: list[tuple[date, Decimal]],
    marks: list[tuple[date, int | None]],
    measures: list[list[tuple[date, Decimal]]],
) -> list[tuple[date, list[str]]]:
    """One row a day on which anything was given, happened or was measured; the newest first."""
    cells: dict[date, list[list[str]]] = defaultdict(lambda: [[] for _ in range(2 + len(measures))])
    for day, grams in doses:
        cells[day][0].append(f"{grams.normalize():f}")
    for day, grade in marks:
        cells[day][1].append("not graded" if grade is None else str(grade))
    for number, points in enumerate(measures):
        for day, value in points:
            cells[day][2 + number].append(f"{value.normalize():f}")
    return [(day, ["; ".join(cell) for cell in row]) for day, row in sorted(cells.items(), reverse=True)]
