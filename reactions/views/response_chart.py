"""The geometry of the response drawn over time: small multiples over one axis of days. Pure, no Django.

Signatures
    draw(doses, marks, series, narrow=False) -> Chart | None     None when nothing was measured

Bars, dots and marks of one kind are one path each, so that a thousand infusions stay a small page. A dot is a line
without length whose caps are round; a severe reaction has square ones, so that colour is not the only cue.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from math import ceil, floor, log10

SEVERE_FROM_GRADE = 3
# A single day is drawn in the middle of four weeks.
SHORTEST = timedelta(days=28)
TITLE_HEIGHT = 30
PLOT_HEIGHT = 64
GRADE_HEIGHT = 14
GAP = 14
AXIS_HEIGHT = 24
INSET = 10


@dataclass(frozen=True)
class Series:
    """One measure: days with values, oldest first. `low` and `high` are the ends of its scale, where it has such.

    `note` stands behind the label where there is room.
    """

    label: str
    points: Sequence[tuple[date, Decimal]]
    note: str = ""
    low: Decimal | None = None
    high: Decimal | None = None
    from_zero: bool = False


@dataclass(frozen=True)
class Tick:
    at: float
    label: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Stroke:
    """One path of the drawing; `kind` is how it looks: line, dots, bars, mild, severe or ungraded."""

    kind: str
    path: str
    width: float


@dataclass(frozen=True)
class Panel:
    """One of the small multiples: a title over a plot from `top` to `bottom`, with what is drawn in it."""

    label: str
    title_y: float
    top: float
    bottom: float
    ticks: list[Tick]
    strokes: list[Stroke]


@dataclass(frozen=True)
class Chart:
    width: int
    height: float
    left: float
    right: float
    top: float
    bottom: float
    axis_y: float
    panels: list[Panel]
    days: list[Tick]


@dataclass(frozen=True)
class _Frame:
    """Where the plots stand, and which days they span."""

    left: float
    right: float
    first: date
    last: date

    def x(self, day: date) -> float:
        share = (day - self.first) / (self.last - self.first)
        return round(self.left + INSET + (self.right - self.left - 2 * INSET) * share, 1)

    @property
    def day_width(self) -> float:
        return (self.right - self.left - 2 * INSET) / ((self.last - self.first) / timedelta(days=1))


def draw(
    doses: Iterable[tuple[date, Decimal]],
    marks: Iterable[tuple[date, int | None]],
    series: Iterable[Series],
    *,
    narrow: bool = False,
) -> Chart | None:
    """Each measure in a panel of its own, then the grams given on each day, then the reactions by grade.

    `doses` are days with grams, `marks` days with the worst grade of a reaction, None where it is not graded.
    `narrow` is for phones.
    """
    measured = [one for one in series if one.points]
    if not measured:
        return None
    grams: dict[date, Decimal] = defaultdict(Decimal)
    for day, given in doses:
        grams[day] += given
    reactions = sorted(set(marks), key=lambda mark: (mark[0], mark[1] or 0))
    days = [day for one in measured for day, _ in one.points] + list(grams) + [day for day, _ in reactions]
    width, left, right = (360, 40, 354) if narrow else (760, 52, 752)
    frame = _Frame(left, right, *_span(days))

    panels: list[Panel] = []
    top = 0.0
    for one in measured:
        label = one.label if narrow or not one.note else f"{one.label}: {one.note}"
        panels.append(_line_panel(one, label, frame, top))
        top = panels[-1].bottom + GAP
    if grams:
        panels.append(_dose_panel(grams, frame, top))
        top = panels[-1].bottom + GAP
    if reactions:
        panels.append(_reaction_panel(reactions, frame, top))
    bottom = panels[-1].bottom
    return Chart(
        width=width,
        height=bottom + AXIS_HEIGHT,
        left=left,
        right=right,
        top=TITLE_HEIGHT,
        bottom=bottom,
        axis_y=bottom + 18,
        panels=panels,
        days=_day_ticks(frame, most=4 if narrow else 8),
    )


def _span(days: Sequence[date]) -> tuple[date, date]:
    first, last = min(days), max(days)
    if last - first < SHORTEST:
        middle = first + (last - first) / 2
        return middle - SHORTEST / 2, middle + SHORTEST / 2
    return first, last


def _line_panel(series: Series, label: str, frame: _Frame, top: float) -> Panel:
    plot_top, bottom = top + TITLE_HEIGHT, top + TITLE_HEIGHT + PLOT_HEIGHT
    values = [float(value) for _, value in series.points]
    low, high, step = _scale(series, min(values), max(values))

    def y(value: float) -> float:
        return round(bottom - (bottom - plot_top) * (value - low) / (high - low), 1)

    spots = [(frame.x(day), y(float(value))) for day, value in series.points]
    line = "M" + "L".join(f"{x:g} {at:g}" for x, at in spots)
    return Panel(
        label=label,
        title_y=top + 16,
        top=plot_top,
        bottom=bottom,
        ticks=[Tick(y(value), _number(value)) for value in _steps(low, high, step)],
        strokes=[Stroke("line", line, 2), Stroke("dots", _dots(spots), 7)],
    )


def _dose_panel(grams: dict[date, Decimal], frame: _Frame, top: float) -> Panel:
    plot_top, bottom = top + TITLE_HEIGHT, top + TITLE_HEIGHT + PLOT_HEIGHT
    step = _round_up(float(max(grams.values())) / 2)
    high = step * ceil(float(max(grams.values())) / step - 1e-9)

    def y(given: float) -> float:
        return round(bottom - (bottom - plot_top) * given / high, 1)

    bars = "".join(f"M{frame.x(day):g} {bottom:g}V{y(float(given)):g}" for day, given in sorted(grams.items()))
    width = round(min(max(frame.day_width * 0.8, 1.5), 8), 1)
    return Panel(
        label="Dose of immune globulin (g a day)",
        title_y=top + 16,
        top=plot_top,
        bottom=bottom,
        ticks=[Tick(y(value), _number(value)) for value in _steps(0, high, step)],
        strokes=[Stroke("bars", bars, width)],
    )


def _reaction_panel(marks: Sequence[tuple[date, int | None]], frame: _Frame, top: float) -> Panel:
    """One line for each grade, the worst on top, and below them one for what is not graded."""
    ungraded = any(grade is None for _, grade in marks)
    lines = [*((5, 4, 3, 2, 1)), *([0] if ungraded else [])]
    plot_top = top + TITLE_HEIGHT
    at = {grade: plot_top + GRADE_HEIGHT * (number + 0.5) for number, grade in enumerate(lines)}

    def spots(grades: Iterable[int]) -> list[tuple[float, float]]:
        return [(frame.x(day), at[grade or 0]) for day, grade in marks if (grade or 0) in grades]

    kinds = {"mild": range(1, SEVERE_FROM_GRADE), "severe": range(SEVERE_FROM_GRADE, 6), "ungraded": range(1)}
    strokes = [Stroke(kind, _dots(spots(grades)), 9) for kind, grades in kinds.items()]
    return Panel(
        label="Reactions (worst grade)",
        title_y=top + 16,
        top=plot_top,
        bottom=plot_top + GRADE_HEIGHT * len(lines),
        ticks=[Tick(y, str(grade) if grade else "?") for grade, y in at.items()],
        strokes=[stroke for stroke in strokes if stroke.path],
    )


def _dots(spots: Iterable[tuple[float, float]]) -> str:
    return "".join(f"M{x:g} {y:g}h0" for x, y in dict.fromkeys(spots))


def _scale(series: Series, lowest: float, highest: float) -> tuple[float, float, float]:
    """(low, high, step) with round steps around the values, inside the ends of the measure's scale."""
    if series.low is not None and series.high is not None and series.high - series.low <= 10:
        return float(series.low), float(series.high), float(series.high - series.low) / 2
    if series.from_zero:
        lowest = 0
    step = _round_up(max(highest - lowest, 1) / 3)
    low, high = step * floor(lowest / step), step * ceil(highest / step)
    if high == low:
        low, high = low - step, high + step
    if series.low is not None and not series.from_zero:
        low = max(low, float(series.low))
    if series.high is not None:
        high = min(high, float(series.high))
    return low, high, step


def _round_up(number: float) -> float:
    """The next of 1, 2, 2.5, 5 and their tens."""
    power: float = 10.0 ** floor(log10(number))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if number <= power * factor + 1e-9)


def _steps(low: float, high: float, step: float) -> list[float]:
    count = floor((high - low) / step + 1e-9)
    return [low + step * number for number in range(count + 1)]


def _number(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"


def _day_ticks(frame: _Frame, *, most: int) -> list[Tick]:
    """Round dates, as close as there is room for."""
    first, last = frame.first, frame.last
    for step in (7, 14):
        if (last - first).days // step < most:
            days = [first + timedelta(days=step * number) for number in range((last - first).days // step + 1)]
            return [_tick(frame, day, f"{day:%m-%d}") for day in days]
    for months in (1, 2, 3, 4, 6, 12, 24, 60, 120, 240):
        days = _firsts(first, last, months)
        if len(days) <= most:
            return [_tick(frame, day, f"{day:%Y}" if months >= 12 else f"{day:%Y-%m}") for day in days]
    return []


def _firsts(first: date, last: date, months: int) -> list[date]:
    """The first days of every so many months, counted from January of year 0, between two days."""
    numbers = range(-(-(first.year * 12 + first.month - 1) // months) * months, last.year * 12 + last.month, months)
    days = [date(number // 12, number % 12 + 1, 1) for number in numbers]
    return [day for day in days if first <= day <= last]


def _tick(frame: _Frame, day: date, label: str) -> Tick:
    x = frame.x(day)
    if x < frame.left + 2 * INSET:
        return Tick(x, label, "start")
    return Tick(x, label, "end" if x > frame.right - 2 * INSET else "middle")
