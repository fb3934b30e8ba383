"""Whether the rate changes: the rate of each month, quarter or year against the limits of chance. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from reactions.rates.pictures.drawing import (
    LETTER,
    Drawing,
    Frame,
    Mark,
    Picture,
    Stroke,
    Table,
    Text,
    fraction_axis,
    key_of,
    one_of,
    round_scale,
    share,
)
from reactions.rates.pictures.limits import IN_THE_KEY, Limits, Standing, limits, standing
from reactions.rates.pictures.pooling import in_order

# With more, months give way to quarters, and quarters to years.
MOST_MONTHS, MOST_QUARTERS = 24, 40
TITLE = "The rate over time"
SHOWS = "Infusions with a reaction, of all infusions, in each {period}, against the rate of all."


@dataclass(frozen=True)
class Month:
    """Infusions of one month, by the clinic's clocks; `patients` may stay empty where few need not be hidden."""

    first: date
    events: int
    total: int
    patients: frozenset[int] = frozenset()


@dataclass(frozen=True)
class _Period:
    label: str
    events: int
    total: int
    patients: frozenset[int]


@dataclass(frozen=True)
class _Judged:
    period: _Period
    limits: Limits | None
    standing: Standing | None

    @property
    def rate(self) -> float:
        return self.period.events / self.period.total if self.period.total else 0.0


def over_time(months: Iterable[Month], *, least_patients: int = 0) -> Picture:
    """The rate of each period. With `least_patients`, neighbours are put together until none rests on fewer."""
    months = sorted((month for month in months if month.total), key=lambda month: month.first)
    if not months:
        return Picture("over-time", TITLE, SHOWS.format(period="month"), "", empty="No infusions match these filters.")
    span = _number(months[-1].first) - _number(months[0].first) + 1
    length = 1 if span <= MOST_MONTHS else 3 if span <= 3 * MOST_QUARTERS else 12
    word = {1: "month", 3: "quarter", 12: "year"}[length]
    periods = _periods(months, length)
    pooled: list[_Period] | None = _pooled(periods, least_patients) if least_patients else periods
    if pooled is None:
        few = f"The infusions here are those of fewer than {least_patients} patients, so no rate is drawn."
        return Picture("over-time", TITLE, SHOWS.format(period=word), "", empty=few)
    events, total = sum(period.events for period in pooled), sum(period.total for period in pooled)
    judged = [_judge(period, events / total) for period in pooled]
    return Picture(
        key="over-time",
        title=TITLE,
        shows=SHOWS.format(period=word),
        reading=(
            f"Each mark is one {word}, the solid line the rate of all. By chance alone at most 1 in 20 lies beyond the"
            " dashed lines (exact 95 % limits of that many infusions), and 1 in 500 beyond the dotted ones (99.8 %)."
            " The limits suppose that infusions are independent; they repeat within patients, so somewhat more lie"
            " outside. A mark outside says where to look, not why."
        ),
        wide=_draw(judged, events, total, narrow=False),
        narrow=_draw(judged, events, total, narrow=True),
        said=tuple(_said(judged, word, least_patients if len(pooled) < len(periods) else 0)),
        table=Table(
            f"Infusions with a reaction, of all, by {word}",
            (word.capitalize(), "With a reaction", "95 % limits", "99.8 % limits", "Against the rate of all"),
            (*(_row(one) for one in judged), ("All", share(events, total), "", "", "")),
        ),
    )


def _number(day: date) -> int:
    """Months since the year 0."""
    return day.year * 12 + day.month - 1


def _periods(months: Sequence[Month], length: int) -> list[_Period]:
    """Every period from the first to the last, empty ones too."""
    first, last = (_number(month.first) // length for month in (months[0], months[-1]))
    held: dict[int, list[Month]] = {number: [] for number in range(first, last + 1)}
    for month in months:
        held[_number(month.first) // length].append(month)
    return [
        _Period(
            _name(number * length, length),
            sum(month.events for month in inside),
            sum(month.total for month in inside),
            frozenset().union(*(month.patients for month in inside)),
        )
        for number, inside in held.items()
    ]


def _name(number: int, length: int) -> str:
    year, month = divmod(number, 12)
    return {1: f"{year}-{month + 1:02}", 3: f"{year} Q{month // 3 + 1}", 12: f"{year}"}[length]


def _pooled(periods: Sequence[_Period], least: int) -> list[_Period] | None:
    runs = in_order([period.patients for period in periods], least)
    if runs is None:
        return None
    joined = []
    for run in runs:
        inside = [periods[number] for number in run]
        label = inside[0].label if len(inside) == 1 else f"{inside[0].label} to {inside[-1].label}"
        events, total = sum(period.events for period in inside), sum(period.total for period in inside)
        joined.append(_Period(label, events, total, frozenset().union(*(period.patients for period in inside))))
    return joined


def _judge(period: _Period, rate: float) -> _Judged:
    if not period.total:
        return _Judged(period, None, None)
    return _Judged(period, limits(period.total, rate), standing(period.events, period.total, rate))


def _said(judged: Sequence[_Judged], word: str, least: int) -> list[str]:
    said = []
    if least:
        said.append(f"{word.capitalize()}s with infusions of fewer than {least} patients are put together with others.")
    out = [f"{_told(one)}, {one.standing}" for one in judged if one.standing and one.standing.stands_out]
    said.append(f"Outside the limits: {one_of(out)}." if out else f"No {word} lies outside the limits.")
    return said


def _told(one: _Judged) -> str:
    return f"{one.period.label} {share(one.period.events, one.period.total)}"


def _row(one: _Judged) -> tuple[str, ...]:
    period, ends = one.period, one.limits
    if ends is None or one.standing is None:
        return period.label, "no infusions", "", "", ""
    near, far = f"{ends.low} to {ends.high} of {ends.total}", f"{ends.far_low} to {ends.far_high} of {ends.total}"
    return period.label, share(period.events, period.total), near, far, str(one.standing)


def _draw(judged: Sequence[_Judged], events: int, total: int, *, narrow: bool) -> Drawing:
    width, left, right = (360, 50, 346) if narrow else (960, 70, 930)
    ends = [one.limits for one in judged if one.limits]
    rates = [one.rate for one in judged]
    # Limits of a few infusions reach 100 %; those of months with enough set the scale, the others may leave it.
    usual = sorted(one.total for one in ends)[len(ends) // 2]
    step, top = round_scale(
        max(*(one.far_high / one.total for one in ends if one.total * 2 >= usual), *rates, events / total)
    )
    frame = Frame(left, right, 34, 250 if narrow else 290, top)
    grid, texts = fraction_axis(frame, step)
    place = (right - left) / len(judged)
    middles = [round(left + place * (number + 0.5), 1) for number in range(len(judged))]
    strokes = [grid, Stroke("centre", (((left, frame.y(events / total)), (right, frame.y(events / total))),))]
    for kind, low, high in (("limit", "low", "high"), ("far-limit", "far_low", "far_high")):
        runs = [run for end in (low, high) for run in _steps(judged, end, frame, place)]
        strokes.append(Stroke(kind, tuple(runs)))
    marks = []
    for one, x in zip(judged, middles, strict=True):
        if one.standing is None:
            continue
        y = frame.y(one.rate)
        marks.append(Mark(one.standing.mark, x, y))
        if one.standing.stands_out:
            below = y < frame.top + 20
            texts.append(_beside(x, y + (24 if below else -12), f"{one.period.events}/{one.period.total}", frame))
    texts += _labels([one.period.label for one in judged], middles, frame)
    texts.append(Text(left, 16, f"All: {share(events, total)}", strong=True))
    kinds = {mark.kind for mark in marks}
    entries = [("centre", "rate of all"), ("limit", "95 % limits"), ("far-limit", "99.8 % limits")]
    entries += [(kind, words) for kind, words in IN_THE_KEY if kind in kinds]
    key = key_of(entries, frame, frame.bottom + 48)
    return Drawing(width, key.bottom + 12, (*strokes, *key.strokes), (*marks, *key.marks), (*texts, *key.texts))


def _beside(x: float, y: float, words: str, frame: Frame) -> Text:
    half = len(words) * LETTER / 2
    anchor = "start" if x - half < frame.left else "end" if x + half > frame.right else "middle"
    return Text(x, y, words, anchor, strong=True)


def _steps(judged: Sequence[_Judged], end: str, frame: Frame, place: float) -> list[tuple[tuple[float, float], ...]]:
    """One limit as steps, broken where a period has no infusions or its limit lies beyond the scale."""
    runs: list[list[tuple[float, float]]] = [[]]
    for number, one in enumerate(judged):
        fraction = getattr(one.limits, end) / one.limits.total if one.limits else None
        if fraction is None or fraction > frame.highest:
            runs.append([])
            continue
        begin = round(frame.left + place * number, 1)
        runs[-1] += [(begin, frame.y(fraction)), (round(begin + place, 1), frame.y(fraction))]
    return [tuple(dict.fromkeys(run)) for run in runs if run]


def _labels(names: Sequence[str], middles: Sequence[float], frame: Frame) -> list[Text]:
    """As many of the names as there is room for, at even distances, the first always."""
    room = max(len(name) for name in names) * LETTER + 14
    every = 1
    while len(middles) > 1 and (middles[1] - middles[0]) * every < room and every < len(names):
        every += 1
    texts = []
    for number in range(0, len(names), every):
        x, half = middles[number], len(names[number]) * LETTER / 2
        anchor = "start" if x - half < 0 else "end" if x + half > frame.right + 12 else "middle"
        texts.append(Text(frame.left if anchor == "start" else x, frame.bottom + 22, names[number], anchor))
    return texts
