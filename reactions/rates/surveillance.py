"""Whether a lot, a product or a site stands out. Pure: no Django, no database; scipy is loaded when first needed.

A signal says where to look; it proves nothing.

Signatures
    lot_against_rest(events, total, rest_events, rest_total) -> float         one-sided exact p
    benjamini_hochberg(p_values) -> list[float]                               adjusted, in the same order
    log_likelihood_ratio(events, expected) -> float                           of Poisson MaxSPRT
    critical_value(horizon, alpha=0.05, least_events=1) -> float              above which MaxSPRT signals
    cusum_weight(event, baseline, odds_ratio=2) -> float                      one step of the Bernoulli CUSUM
    cusum(events, baselines, limit, odds_ratio=2) -> list[float]              its path, with a head start
    false_alarms(limit, baseline, units, odds_ratio=2) -> float               the chance of one within so many units
    cusum_limit(baseline, units, false_alarm, odds_ratio=2) -> float          the limit for a stated chance
    prr, ror, yates_chi_squared, ebgm                                         imported spontaneous reports only

All raise ValueError for counts that cannot be.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, lgamma, log

from reactions.rates.statistics import Contrast, Interval, odds_ratio, risk_ratio

# States into which the way from 0 to the limit is cut. Twice as many change the chance of a false alarm by less than
# 1 in 100 of itself.
CUSUM_STATES = 1000


def lot_against_rest(events: int, total: int, rest_events: int, rest_total: int) -> float:
    """The chance of so many events or more in the lot, were all events dealt out blindly: hypergeometric, P(X ≥ x).

    This is Fisher's exact test, one-sided. Given the margins it needs no assumption about the rate.
    """
    from scipy.stats import hypergeom  # noqa: PLC0415

    if not 0 <= events <= total or not 0 <= rest_events <= rest_total:
        raise ValueError(f"{events} events of {total}, {rest_events} of {rest_total} elsewhere, cannot be.")
    return float(hypergeom.sf(events - 1, total + rest_total, events + rest_events, total))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that calling all up to q lets a share of at most q of the calls be false.

    Benjamini & Hochberg, J R Stat Soc B 1995;57:289: the smallest of p·m/rank over this rank and those above it.
    """
    from scipy.stats import false_discovery_control  # noqa: PLC0415

    return [float(value) for value in false_discovery_control(p_values)] if p_values else []


def log_likelihood_ratio(events: int, expected: float) -> float:
    """Poisson MaxSPRT's statistic (Kulldorff and others, Sequential Analysis 2011;30:58); 0 unless above expectation.

    (μ − c) + c ln(c/μ) for c events where μ were expected.
    """
    if events < 0 or expected < 0:
        raise ValueError(f"{events} events where {expected} were expected cannot be.")
    if events <= expected:
        return 0.0
    return expected - events + events * log(events / expected) if expected else inf


@lru_cache(maxsize=64)
def critical_value(horizon: float, alpha: float = 0.05, least_events: int = 1) -> float:
    """The log likelihood ratio at which continuous surveillance up to `horizon` expected events signals.

    The chance that it ever signals when nothing is wrong is `alpha`; it never does below `least_events`. Computed, not
    simulated: the n-th event signals when it comes before the expectation has grown to μₙ, where the ratio of n events
    falls to the critical value, so the chance of none is that of the Poisson process staying below n at every μₙ.
    """
    from scipy.optimize import brentq  # noqa: PLC0415

    if horizon <= 0 or not 0 < alpha < 1 or least_events < 1:
        raise ValueError("The horizon is above 0, alpha between 0 and 1, and at least one event is needed.")
    highest = 1.0
    while _chance_of_signal(highest, horizon, least_events) > alpha:
        highest *= 2
    lowest = highest / 2 if highest > 1 else 1e-9
    if _chance_of_signal(lowest, horizon, least_events) <= alpha:
        raise ValueError(f"{least_events} events within {horizon} expected ones come by chance less often than that.")
    return float(
        brentq(lambda value: _chance_of_signal(value, horizon, least_events) - alpha, lowest, highest, xtol=1e-10)
    )


def _chance_of_signal(critical: float, horizon: float, least_events: int) -> float:
    import numpy as np  # noqa: PLC0415
    from scipy.stats import poisson  # noqa: PLC0415

    below, at, events = np.array([1.0]), 0.0, least_events
    while True:
        until = min(_latest(critical, events), horizon)
        # Where it stands at `until`, for those that have not signalled: all counts below `events`.
        steps = np.arange(events)
        arrivals = poisson.pmf(steps, until - at) if until > at else (steps == 0) * 1.0
        below = np.convolve(below, arrivals)[:events]
        if until >= horizon:
            return 1 - float(below.sum())
        at, events = until, events + 1


def _latest(critical: float, events: int) -> float:
    """The expectation up to which so many events signal: where (μ − c) + c ln(c/μ) has fallen to `critical`."""
    from scipy.special import lambertw  # noqa: PLC0415

    # With x = μ/c: x − 1 − ln x = v/c, so x e^(−x) = e^(−1−v/c), of which the branch below 1 is meant.
    return float(-events * lambertw(-exp(-1 - critical / events)).real)


def cusum_weight(event: bool, baseline: float, odds_ratio: float = 2.0) -> float:
    """One step: the log likelihood ratio of odds raised by `odds_ratio` against the baseline risk of this infusion.

    y ln R − ln(1 − p + Rp) (Steiner and others, Biostatistics 2000;1:441).
    """
    if not 0 < baseline < 1 or odds_ratio <= 1:
        raise ValueError("The baseline lies between 0 and 1, and the odds ratio to look for above 1.")
    return (log(odds_ratio) if event else 0.0) - log(1 - baseline + odds_ratio * baseline)


def cusum(events: Iterable[bool], baselines: Iterable[float], limit: float, odds_ratio: float = 2.0) -> list[float]:
    """The path S = max(0, S + weight), which signals where it reaches `limit`, one value for each infusion.

    It starts, and starts anew after each signal, at half the limit: the fast initial response of Lucas & Crosier
    (Technometrics 1982;24:199), for trouble that is there from the start.
    """
    if limit <= 0:
        raise ValueError("The limit lies above 0.")
    path: list[float] = []
    for event, baseline in zip(events, baselines, strict=True):
        before = limit / 2 if not path or path[-1] >= limit else path[-1]
        path.append(max(0.0, before + cusum_weight(event, baseline, odds_ratio)))
    return path


def false_alarms(limit: float, baseline: float, units: int, odds_ratio: float = 2.0) -> float:
    """The chance that the path reaches `limit` within so many infusions although nothing but the baseline is at work.

    By the Markov chain of Brook & Evans (Biometrika 1972;59:539). A step that ends between two states is shared out
    between them, so that its mean is kept.
    """
    import numpy as np  # noqa: PLC0415
    from scipy.sparse import coo_array  # noqa: PLC0415

    states = np.arange(CUSUM_STATES)
    columns, rows, chances = [], [], []
    for event, chance in ((True, baseline), (False, 1 - baseline)):
        step = cusum_weight(event, baseline, odds_ratio) / limit * CUSUM_STATES
        ends = np.clip(states + step, 0, CUSUM_STATES)
        lower = np.floor(ends).astype(int)
        for state, share in ((lower, 1 - (ends - lower)), (lower + 1, ends - lower)):
            inside = state < CUSUM_STATES
            rows.append(state[inside])
            columns.append(states[inside])
            chances.append(chance * share[inside])
    shape = (CUSUM_STATES, CUSUM_STATES)
    goes = coo_array((np.concatenate(chances), (np.concatenate(rows), np.concatenate(columns))), shape=shape).tocsr()
    silent = np.zeros(CUSUM_STATES)
    silent[CUSUM_STATES // 2] = 1.0
    for _ in range(units):
        silent = goes @ silent
    return 1 - float(silent.sum())


@lru_cache(maxsize=64)
def cusum_limit(baseline: float, units: int, false_alarm: float, odds_ratio: float = 2.0) -> float:
    """The limit with which a false alarm within so many infusions has the chance `false_alarm`."""
    from scipy.optimize import brentq  # noqa: PLC0415

    if units < 1 or not 0 < false_alarm < 1:
        raise ValueError("At least one infusion, and a chance between 0 and 1, are needed.")

    def too_many(limit: float) -> float:
        return false_alarms(limit, baseline, units, odds_ratio) - false_alarm

    highest = 1.0
    while too_many(highest) > 0:
        highest *= 2
    lowest = highest / 2
    while too_many(lowest) < 0:
        lowest /= 2
    return float(brentq(too_many, lowest, highest, xtol=1e-6))


def prr(a: int, b: int, c: int, d: int) -> Contrast:
    """Proportional reporting ratio, [a/(a+b)] / [c/(c+d)] (Evans and others, Pharmacoepidemiol Drug Saf 2001;10:483).

    a reports of this product with this event, b with others; c and d those of all other products. For reports
    without a denominator. A signal by the authors: a ≥ 3, PRR ≥ 2, χ² with Yates' correction ≥ 4.
    """
    return risk_ratio(a, a + b, c, c + d)


def yates_chi_squared(a: int, b: int, c: int, d: int) -> float:
    """χ² of a 2 × 2 table with Yates' correction, N(|ad − bc| − N/2)² / (product of the margins); 0 with an empty one.

    The correction never turns the difference round: below N/2 it is 0.
    """
    if min(a, b, c, d) < 0:
        raise ValueError("Counts below 0 cannot be.")
    total, margins = a + b + c + d, (a + b) * (c + d) * (a + c) * (b + d)
    apart = max(0.0, abs(a * d - b * c) - total / 2)
    return total * apart**2 / margins if margins else 0.0


def ror(a: int, b: int, c: int, d: int) -> Contrast:
    """Reporting odds ratio, ad/bc, with Woolf's interval; a signal where its lower bound lies above 1."""
    return odds_ratio(a, a + b, c, c + d)


@dataclass(frozen=True)
class GammaMixture:
    """The prior of how far reporting lies from expectation: p·Γ(α₁, β₁) + (1 − p)·Γ(α₂, β₂), β being rates."""

    alpha1: float
    beta1: float
    alpha2: float
    beta2: float
    p: float


def ebgm(reports: int, expected: float, prior: GammaMixture) -> Contrast:
    """Empirical Bayes geometric mean of observed over expected, with the 5th and 95th percentile of its posterior.

    DuMouchel, Am Stat 1999;53:177. Qn is the posterior share of the first part, from the negative binomials NB(n; α,
    β, E); EBGM = exp{Qn[ψ(α₁+n) − ln(β₁+E)] + (1−Qn)[ψ(α₂+n) − ln(β₂+E)]}. A signal where the 5th percentile is ≥ 2.
    """
    from scipy.optimize import brentq  # noqa: PLC0415
    from scipy.special import digamma, gammainc  # noqa: PLC0415

    if reports < 0 or expected <= 0:
        raise ValueError(f"{reports} reports where {expected} were expected cannot be.")
    parts = [(prior.alpha1, prior.beta1), (prior.alpha2, prior.beta2)]
    first, second = (exp(_log_negative_binomial(reports, expected, *part)) for part in parts)
    share = prior.p * first / (prior.p * first + (1 - prior.p) * second)
    weights = (share, 1 - share)
    means = [float(digamma(alpha + reports)) - log(beta + expected) for alpha, beta in parts]

    def posterior(ratio: float) -> float:
        return sum(
            weight * float(gammainc(alpha + reports, (beta + expected) * ratio))
            for weight, (alpha, beta) in zip(weights, parts, strict=True)
        )

    highest = 1.0
    while posterior(highest) < 0.95:
        highest *= 2
    low, high = (float(brentq(lambda ratio, at=at: posterior(ratio) - at, 0, highest)) for at in (0.05, 0.95))
    mean = exp(sum(weight * mean for weight, mean in zip(weights, means, strict=True)))
    return Contrast(mean, Interval(low, high, "5th to 95th percentile of the posterior"))


def _log_negative_binomial(reports: int, expected: float, alpha: float, beta: float) -> float:
    """ln of Γ(α+n)/(Γ(α) n!) · (β/(β+E))^α · (E/(β+E))^n."""
    coefficient = lgamma(alpha + reports) - lgamma(alpha) - lgamma(reports + 1)
    return coefficient + alpha * log(beta / (beta + expected)) + reports * log(expected / (beta + expected))
