"""Estimates with their intervals. Pure: no Django, no database; scipy is loaded when first needed.

Signatures (events and totals are counts, level is the confidence level)
    wilson(events, total, level=0.95) -> Interval
    clopper_pearson(events, total, level=0.95) -> Interval
    poisson_exact(events, exposure, level=0.95) -> Interval          rate per unit of exposure
    cluster_robust(cells, level=0.95) -> ClusterEstimate             cells: (events, units) of each patient
    upper_bound_of_none(total, level=0.95) -> float                  one-sided, for 0 events

All raise ValueError for counts that cannot be.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import expm1, log, sqrt


@dataclass(frozen=True)
class Interval:
    """A two-sided interval of a rate, and the name of the method that gave it."""

    low: float
    high: float
    method: str


@dataclass(frozen=True)
class ClusterEstimate:
    """A rate over patients with several infusions each. `design_effect` is None where it is not defined."""

    rate: float
    interval: Interval
    clusters: int
    design_effect: float | None
    effective_total: float | None


def _check(events: float, total: float, level: float, *, proportion: bool = True) -> None:
    if total <= 0:
        raise ValueError("An interval needs a total above 0.")
    if events < 0 or (proportion and events > total):
        raise ValueError(f"{events} events of {total} cannot be.")
    if not 0 < level < 1:
        raise ValueError("The level lies between 0 and 1.")


def wilson(events: int, total: int, level: float = 0.95) -> Interval:
    """Score interval of a proportion (Wilson, J Am Stat Assoc 1927;22:209).

    centre (p + z²/2n) / (1 + z²/n), half-width z √(p(1−p)/n + z²/4n²) / (1 + z²/n). Exactly 0 at 0 events and exactly
    1 when all are events.
    """
    from scipy.special import ndtri  # noqa: PLC0415 - scipy takes long to load, and few pages need it

    _check(events, total, level)
    z = float(ndtri(0.5 + level / 2))
    p = events / total
    spread = 1 + z * z / total
    centre = (p + z * z / (2 * total)) / spread
    half = z * sqrt(p * (1 - p) / total + z * z / (4 * total * total)) / spread
    low = 0.0 if events == 0 else max(0.0, centre - half)
    high = 1.0 if events == total else min(1.0, centre + half)
    return Interval(low, high, "wilson")


def clopper_pearson(events: int, total: int, level: float = 0.95) -> Interval:
    """Exact interval of a proportion (Clopper & Pearson, Biometrika 1934;26:404).

    Beta(α/2; x, n−x+1) and Beta(1−α/2; x+1, n−x).
    """
    from scipy.special import betaincinv  # noqa: PLC0415

    _check(events, total, level)
    alpha = 1 - level
    low = float(betaincinv(events, total - events + 1, alpha / 2)) if events else 0.0
    high = float(betaincinv(events + 1, total - events, 1 - alpha / 2)) if events < total else 1.0
    return Interval(low, high, "exact")


def poisson_exact(events: int, exposure: float, level: float = 0.95) -> Interval:
    """Exact interval of a rate (Garwood, Biometrika 1936;28:437).

    ½χ²(α/2; 2x)/T and ½χ²(1−α/2; 2x+2)/T, where T is the exposure. May exceed 1 per unit.
    """
    from scipy.special import gammaincinv  # noqa: PLC0415

    _check(events, exposure, level, proportion=False)
    alpha = 1 - level
    low = float(gammaincinv(events, alpha / 2)) if events else 0.0
    high = float(gammaincinv(events + 1, 1 - alpha / 2))
    return Interval(low / exposure, high / exposure, "poisson")


def cluster_robust(cells: Iterable[tuple[int, int]], level: float = 0.95) -> ClusterEstimate:
    """Ratio estimate for infusions repeated within patients, with an interval that allows for the repetition.

    p = Σxᵢ/Σnᵢ; Var = k/(k−1) · Σ(xᵢ − p nᵢ)² / (Σnᵢ)² over k patients (Cochran, Sampling Techniques 1977, ch. 6);
    interval p ± on the logit scale, t with k−1 degrees of freedom; design effect Var / (p(1−p)/N), effective total
    N / design effect. With fewer than two patients, or when none or all units have an event, no variance can be
    estimated between patients: the interval is then Wilson's and its method says so.
    """
    from scipy.special import expit, stdtrit  # noqa: PLC0415

    pairs = [(events, units) for events, units in cells if units]
    events, total, clusters = sum(x for x, _ in pairs), sum(n for _, n in pairs), len(pairs)
    _check(events, total, level)
    p = events / total
    variance = 0.0
    if clusters > 1:
        variance = clusters / (clusters - 1) * sum((x - p * n) ** 2 for x, n in pairs) / total**2
    if clusters < 2 or events in (0, total) or variance == 0:
        plain = wilson(events, total, level)
        return ClusterEstimate(
            p, Interval(plain.low, plain.high, "wilson, no spread between patients"), clusters, None, None
        )
    design_effect = variance / (p * (1 - p) / total)
    half = float(stdtrit(clusters - 1, 0.5 + level / 2)) * sqrt(variance) / (p * (1 - p))
    logit = log(p / (1 - p))
    interval = Interval(float(expit(logit - half)), float(expit(logit + half)), "cluster")
    return ClusterEstimate(p, interval, clusters, design_effect, total / design_effect)


def upper_bound_of_none(total: int, level: float = 0.95) -> float:
    """One-sided upper bound of the rate when 0 of `total` had an event: 1 − (1−level)^(1/n), about 3/n at 95 %.

    Hanley & Lippman-Hand, JAMA 1983;249:1743.
    """
    _check(0, total, level)
    return -expm1(log(1 - level) / total)


# The intervals of a proportion or rate that a question may ask for by name.
METHODS: dict[str, Callable[[int, int], Interval]] = {
    "wilson": wilson,
    "exact": clopper_pearson,
    "poisson": poisson_exact,
}
