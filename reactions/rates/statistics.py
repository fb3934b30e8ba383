"""Estimates with their intervals. Pure: no Django, no database; scipy is loaded when first needed.

Signatures (events and totals are counts, level is the confidence level)
    wilson(events, total, level=0.95) -> Interval
    clopper_pearson(events, total, level=0.95) -> Interval
    poisson_exact(events, exposure, level=0.95) -> Interval          rate per unit of exposure
    cluster_robust(cells, level=0.95) -> ClusterEstimate             cells: (events, units) of each patient
    cluster_robust_from_sums(k, x, n, xx, xn, nn, level=0.95) -> ClusterEstimate     the same from sums over patients
    upper_bound_of_none(total, level=0.95) -> float                  one-sided, for 0 events
    risk_difference(a, n1, c, n0, level=0.95) -> Contrast            a of n1 exposed, c of n0 unexposed had an event
    risk_ratio(a, n1, c, n0, level=0.95) -> Contrast
    odds_ratio(a, n1, c, n0, level=0.95) -> Contrast
    fisher(a, n1, c, n0) -> float                                    two-sided p
    mantel_haenszel_risk_ratio(strata, level=0.95) -> Contrast       strata: (a, n1, c, n0) of each
    mantel_haenszel_odds_ratio(strata, level=0.95) -> Contrast
    mcnemar(with_only, without_only, level=0.95) -> Contrast         pairs that differ; odds ratio
    mcnemar_p(with_only, without_only) -> float                      two-sided p

All raise ValueError for counts that cannot be.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import exp, expm1, inf, isinf, log, sqrt


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


@dataclass(frozen=True)
class Contrast:
    """How far two rates lie apart: a difference, or a ratio of risks or odds, of the exposed against the unexposed.

    A ratio to nothing is infinite, and None where both are nothing. `interval` is None where none can be given.
    """

    estimate: float | None
    interval: Interval | None


# a, n1, c, n0: a events among n1 exposed, c events among n0 unexposed.
Table = tuple[int, int, int, int]


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
    pairs = [(events, units) for events, units in cells if units]
    return cluster_robust_from_sums(
        len(pairs),
        sum(x for x, _ in pairs),
        sum(n for _, n in pairs),
        sum(x * x for x, _ in pairs),
        sum(x * n for x, n in pairs),
        sum(n * n for _, n in pairs),
        level,
    )


def cluster_robust_from_sums(
    clusters: int,
    events: int,
    total: int,
    events_squared: int,
    events_by_total: int,
    total_squared: int,
    level: float = 0.95,
) -> ClusterEstimate:
    """`cluster_robust` from k, Σx, Σn, Σx², Σxn and Σn² over the k patients that have units.

    With X = Σx and N = Σn, Σ(xᵢ − p nᵢ)² = (N² Σx² − 2XN Σxn + X² Σn²) / N². The bracket is a whole number, so that
    patients without spread are told exactly, and no digit is lost to a difference of large numbers.
    """
    from scipy.special import expit, stdtrit  # noqa: PLC0415

    _check(events, total, level)
    p = events / total
    spread = total**2 * events_squared - 2 * events * total * events_by_total + events**2 * total_squared
    if spread < 0:
        raise ValueError("These sums cannot be of any patients.")
    if clusters < 2 or events in (0, total) or spread == 0:
        plain = wilson(events, total, level)
        return ClusterEstimate(
            p, Interval(plain.low, plain.high, "wilson, no spread between patients"), clusters, None, None
        )
    variance = clusters * spread / ((clusters - 1) * total**4)
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


def risk_difference(a: int, n1: int, c: int, n0: int, level: float = 0.95) -> Contrast:
    """a/n1 − c/n0 with the hybrid score interval (Newcombe, Stat Med 1998;17:873, method 10).

    d − √((p₁−l₁)² + (u₀−p₀)²) and d + √((u₁−p₁)² + (p₀−l₀)²), where l and u are Wilson's bounds of each rate.
    """
    exposed, unexposed = wilson(a, n1, level), wilson(c, n0, level)
    p1, p0 = a / n1, c / n0
    low = p1 - p0 - sqrt((p1 - exposed.low) ** 2 + (unexposed.high - p0) ** 2)
    high = p1 - p0 + sqrt((exposed.high - p1) ** 2 + (p0 - unexposed.low) ** 2)
    return Contrast(p1 - p0, Interval(low, high, "Newcombe"))


def risk_ratio(a: int, n1: int, c: int, n0: int, level: float = 0.95) -> Contrast:
    """(a/n1) / (c/n0) with an interval on the log scale (Katz and others, Biometrics 1978;34:469).

    SE of the log: √(1/a − 1/n₁ + 1/c − 1/n₀). Without events on one of the sides there is no such interval.
    """
    _check(a, n1, level)
    _check(c, n0, level)
    estimate = _ratio(a * n0, c * n1)
    if not a or not c:
        return Contrast(estimate, None)
    return _on_log_scale(estimate, 1 / a - 1 / n1 + 1 / c - 1 / n0, level, "log")


def odds_ratio(a: int, n1: int, c: int, n0: int, level: float = 0.95) -> Contrast:
    """ad/bc with Woolf's interval (Ann Hum Genet 1955;19:251), SE of the log √(1/a + 1/b + 1/c + 1/d).

    With an empty cell the interval is the exact one, conditional on the margins (Cornfield 1956), open on one side;
    where a margin is empty as well, the table says nothing about the ratio and there is none.
    """
    _check(a, n1, level)
    _check(c, n0, level)
    b, d = n1 - a, n0 - c
    estimate = _ratio(a * d, b * c)
    if a and b and c and d:
        return _on_log_scale(estimate, 1 / a + 1 / b + 1 / c + 1 / d, level, "Woolf")
    if not (a + c and b + d):
        return Contrast(None, None)
    from scipy.stats.contingency import odds_ratio as conditional  # noqa: PLC0415

    bounds = conditional([[a, b], [c, d]], kind="conditional").confidence_interval(level)
    return Contrast(estimate, Interval(float(bounds.low), float(bounds.high), "exact"))


def fisher(a: int, n1: int, c: int, n0: int) -> float:
    """Two-sided p of Fisher's exact test: all tables with these margins that are no likelier than this one."""
    from scipy.stats import fisher_exact  # noqa: PLC0415

    _check(a, n1, 0.95)
    _check(c, n0, 0.95)
    return float(fisher_exact([[a, n1 - a], [c, n0 - c]]).pvalue)


def mantel_haenszel_risk_ratio(strata: Iterable[Table], level: float = 0.95) -> Contrast:
    """Risk ratio over strata, Σ(a n₀/N) / Σ(c n₁/N), with the variance of Greenland & Robins (Biometrics 1985;41:55).

    Var of the log: Σ(n₁ n₀ (a + c) − a c N)/N² / (Σ(a n₀/N) Σ(c n₁/N)). A stratum that lacks one of the sides says
    nothing and is left out.
    """
    top = bottom = spread = 0.0
    for a, n1, c, n0 in _whole(strata, level):
        total = n1 + n0
        top += a * n0 / total
        bottom += c * n1 / total
        spread += (n1 * n0 * (a + c) - a * c * total) / total**2
    estimate = _ratio(top, bottom)
    if not top or not bottom:
        return Contrast(estimate, None)
    return _on_log_scale(estimate, spread / (top * bottom), level, "Greenland-Robins")


def mantel_haenszel_odds_ratio(strata: Iterable[Table], level: float = 0.95) -> Contrast:
    """Odds ratio over strata, Σ(ad/N) / Σ(bc/N), with the variance of Robins, Breslow & Greenland.

    Biometrics 1986;42:311. With R = ad/N, S = bc/N, P = (a+d)/N, Q = (b+c)/N the variance of the log is
    ΣPR/(2(ΣR)²) + Σ(PS+QR)/(2ΣR ΣS) + ΣQS/(2(ΣS)²).
    """
    r = s = pr = mixed = qs = 0.0
    for a, n1, c, n0 in _whole(strata, level):
        total, b, d = n1 + n0, n1 - a, n0 - c
        with_it, against, same, other = a * d / total, b * c / total, (a + d) / total, (b + c) / total
        r += with_it
        s += against
        pr += same * with_it
        mixed += same * against + other * with_it
        qs += other * against
    estimate = _ratio(r, s)
    if not r or not s:
        return Contrast(estimate, None)
    variance = pr / (2 * r * r) + mixed / (2 * r * s) + qs / (2 * s * s)
    return _on_log_scale(estimate, variance, level, "Robins-Breslow-Greenland")


def mcnemar(with_only: int, without_only: int, level: float = 0.95) -> Contrast:
    """Odds ratio within pairs: events under the exposure alone over events without it alone.

    The exact interval is that of the share x/(x+y) of the pairs that differ, by Clopper & Pearson, as odds (Breslow &
    Day, Statistical Methods in Cancer Research 1980, vol. 1, section 5.2).
    """
    if not with_only and not without_only:
        return Contrast(None, None)
    share = clopper_pearson(with_only, with_only + without_only, level)
    low, high = (_ratio(bound, 1 - bound) for bound in (share.low, share.high))
    return Contrast(_ratio(with_only, without_only), Interval(low or 0.0, inf if high is None else high, "exact"))


def mcnemar_p(with_only: int, without_only: int) -> float:
    """Two-sided p of McNemar's exact test: the binomial of the pairs that differ, with even chances; 1 without any."""
    from scipy.special import bdtr  # noqa: PLC0415

    if min(with_only, without_only) < 0:
        raise ValueError(f"{with_only} and {without_only} pairs cannot be.")
    pairs = with_only + without_only
    return min(1.0, 2 * float(bdtr(min(with_only, without_only), pairs, 0.5))) if pairs else 1.0


def _whole(strata: Iterable[Table], level: float) -> list[Table]:
    whole = [stratum for stratum in strata if stratum[1] and stratum[3]]
    for a, n1, c, n0 in whole:
        _check(a, n1, level)
        _check(c, n0, level)
    return whole


def _ratio(top: float, bottom: float) -> float | None:
    if bottom:
        return top / bottom
    return inf if top else None


def _on_log_scale(estimate: float | None, variance: float, level: float, method: str) -> Contrast:
    """An estimate above 0 with the interval that is even on both sides of its logarithm."""
    from scipy.special import ndtri  # noqa: PLC0415

    if estimate is None or isinf(estimate) or not estimate:
        return Contrast(estimate, None)
    half = float(ndtri(0.5 + level / 2)) * sqrt(max(0.0, variance))
    return Contrast(estimate, Interval(estimate * exp(-half), estimate * exp(half), method))


# The intervals of a proportion or rate that a question may ask for by name.
METHODS: dict[str, Callable[[int, int], Interval]] = {
    "wilson": wilson,
    "exact": clopper_pearson,
    "poisson": poisson_exact,
}
