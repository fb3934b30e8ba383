"""The geometry of the interval chart: where each dot, line and label stands. Pure but for the answer it draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from reactions.rates.answer import Rate, percent
from reactions.rates.question import in_words
from reactions.rates.words import interval

ROW_HEIGHT = 34
# A rate of fewer patients is drawn hollow: such lines are long and catch the eye. This project's own.
FEW_PATIENTS = 5
TOP = 34


@dataclass(frozen=True)
class Bar:
    """One stratum: a dot at the rate and a line over its interval, in the units of the drawing."""

    label: str
    value: str
    y: float
    label_y: float
    value_y: float
    low: float
    dot: float
    high: float
    of_few: bool


@dataclass(frozen=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True)
class Chart:
    width: int
    height: int
    left: int
    right: int
    bottom: int
    bars: list[Bar]
    ticks: list[Tick]


def draw(rates: Sequence[Rate], by: Sequence[str], *, narrow: bool = False) -> Chart | None:
    """The chart of the strata that have infusions; None without any. `narrow` is for phones."""
    shown = [rate for rate in rates if rate.total and rate.interval]
    if not shown:
        return None
    width, left, right = (360, 10, 350) if narrow else (1060, 390, 710)
    row = ROW_HEIGHT + (44 if narrow else 0)
    step, top_of_scale = scale(max(rate.interval.high for rate in shown if rate.interval))

    def x(fraction: float) -> float:
        return round(left + (right - left) * min(fraction / top_of_scale, 1), 1)

    bars = [
        Bar(
            label=in_words(by, rate.stratum),
            value=f"{rate.events}/{rate.total} · {percent(rate.rate)} % ({interval(rate)})",
            y=TOP + row * number + (58 if narrow else row / 2),
            label_y=TOP + row * number + 22,
            value_y=TOP + row * number + 40,
            low=x(rate.interval.low),
            dot=x(rate.rate),
            high=x(rate.interval.high),
            of_few=rate.patients < FEW_PATIENTS,
        )
        for number, rate in enumerate(shown)
        if rate.interval and rate.rate is not None
    ]
    count = round(top_of_scale / step)
    ticks = [Tick(x(step * number), f"{step * number * 100:g} %") for number in range(count + 1)]
    bottom = TOP + row * len(bars)
    return Chart(width, bottom + 10, left, right, bottom, bars, ticks)


def scale(highest: float) -> tuple[float, float]:
    """(step, top) of an axis from 0 with round steps that reaches the highest bound, never beyond 100 %."""
    highest = min(max(highest, 1e-9), 1.0)
    power = 10.0 ** floor(log10(highest / 4))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if highest <= power * factor * 5)
    return step, min(step * ceil(highest / step - 1e-9), max(1.0, highest))
