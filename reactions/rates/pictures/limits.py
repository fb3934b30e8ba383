"""Where chance alone would leave a rate, and where one stands against that. Pure.

Signatures
    limits(total, rate) -> Limits                    rates between which so many units stay by chance
    standing(events, total, rate) -> Standing
    overall limits for many totals at once: limits_of(totals, rate) -> list[Limits]

The limits are exact: of the binomial of `total` units at the overall rate, at most 2.5 % (0.1 %) of the chance lies
beyond each of them. A p-chart's ±3 standard errors are poor where events are rare (Spiegelhalter, Stat Med
2005;24:1185, draws funnels by exact limits for this). A rate on its limit is inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

# Chance beyond each of the limits.
NEAR, FAR = 0.025, 0.001
# With fewer, no lot or period is said to stand above, as in signals.py. This project's own.
LEAST_EVENTS = 3


class Standing(StrEnum):
    INSIDE = "inside the limits"
    FEW = "above, but on fewer than 3 events"
    ABOVE = "above the 95 % limit"
    BELOW = "below the 95 % limit"
    FAR_ABOVE = "above the 99.8 % limit"
    FAR_BELOW = "below the 99.8 % limit"

    @property
    def mark(self) -> str:
        """The shape that says so."""
        return _MARKS.get(self, "dot")

    @property
    def stands_out(self) -> bool:
        return self in _MARKS


_MARKS = {
    Standing.ABOVE: "diamond",
    Standing.BELOW: "diamond",
    Standing.FAR_ABOVE: "above",
    Standing.FAR_BELOW: "below",
}
IN_THE_KEY = (
    ("dot", "inside"),
    ("diamond", "outside 95 %"),
    ("above", "above 99.8 %"),
    ("below", "below 99.8 %"),
)


@dataclass(frozen=True)
class Limits:
    """Counts of events, both ends still inside."""

    total: int
    far_low: int
    low: int
    high: int
    far_high: int


def limits(total: int, rate: float) -> Limits:
    """The limits for so many units at the rate. Raises ValueError for a total below 1 or a rate that cannot be."""
    return limits_of([total], rate)[0]


def limits_of(totals: Sequence[int], rate: float) -> list[Limits]:
    """Those for each of the totals."""
    if not 0 <= rate <= 1 or any(total < 1 for total in totals):
        raise ValueError(f"There are no limits of {min(totals, default=0)} units at the rate {rate}.")
    bounds = [_quantiles(chance, totals, rate) for chance in (FAR, NEAR, 1 - NEAR, 1 - FAR)]
    return [Limits(total, *ends) for total, *ends in zip(totals, *bounds, strict=True)]


def _quantiles(chance: float, totals: Sequence[int], rate: float) -> list[int]:
    """The smallest counts up to which the chance is reached."""
    if rate in (0, 1):
        return [total if rate else 0 for total in totals]
    import numpy as np  # noqa: PLC0415 - scipy takes long to load, and few pages need it
    from scipy.special import bdtr, bdtrik  # noqa: PLC0415

    n = np.asarray(totals, dtype=float)
    guess = np.clip(np.ceil(bdtrik(chance, n, rate)), 0, n)
    before = np.maximum(guess - 1, 0)
    enough = bdtr(before, n.astype(int), rate) >= chance
    return [int(count) for count in np.where(enough, before, guess)]


def standing(events: int, total: int, rate: float) -> Standing:
    """Where so many events of so many units stand against the rate of all."""
    ends = limits(total, rate)
    if events > ends.high:
        if events < LEAST_EVENTS:
            return Standing.FEW
        return Standing.FAR_ABOVE if events > ends.far_high else Standing.ABOVE
    if events < ends.low:
        return Standing.FAR_BELOW if events < ends.far_low else Standing.BELOW
    return Standing.INSIDE
