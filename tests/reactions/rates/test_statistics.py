"""Intervals against printed values and against statsmodels, and what must hold for any counts."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import chi2
from statsmodels.stats.proportion import proportion_confint

from reactions.rates.statistics import (
    clopper_pearson,
    cluster_robust,
    cluster_robust_from_sums,
    poisson_exact,
    upper_bound_of_none,
    wilson,
)

counts = st.integers(1, 5000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@pytest.mark.parametrize(
    ("events", "total", "low", "high"),
    # Newcombe, Stat Med 1998;17:857, table I, method 3; the last is the example of DESIGN's JSON.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (3, 120, 0.0085, 0.0709),
    ],
)
def test_wilson_reproduces_printed_values(events: int, total: int, low: float, high: float) -> None:
    found = wilson(events, total)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(
    ("events", "total", "low", "high"),
    # Newcombe 1998, table I, method 5; Bichuetti-Silva 2014, PMID 25257732.
    [
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0000, 0.1684),
        (1, 29, 0.0009, 0.1776),
        (38, 1765, 0.0153, 0.0294),
    ],
)
def test_clopper_pearson_reproduces_printed_values(events: int, total: int, low: float, high: float) -> None:
    found = clopper_pearson(events, total)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(
    ("events", "total", "low", "high"),
    # First-event anaphylaxis per 10,000 administrations, PMC8561696, whose bounds are rounded outward.
    [(128, 174413, 6.12, 8.73), (39, 18504, 14.98, 28.82), (89, 155909, 4.58, 7.03)],
)
def test_poisson_reproduces_printed_values(events: int, total: int, low: float, high: float) -> None:
    found = poisson_exact(events, total)
    assert (floor(found.low * 1e6) / 100, ceil(found.high * 1e6) / 100) == (low, high)


@given(counts)
def test_agreement_with_statsmodels(pair: tuple[int, int]) -> None:
    events, total = pair
    for ours, theirs in ((wilson, "wilson"), (clopper_pearson, "beta")):
        low, high = proportion_confint(events, total, method=theirs)
        assert ours(events, total).low == pytest.approx(max(low, 0), abs=1e-9)
        assert ours(events, total).high == pytest.approx(min(high, 1), abs=1e-9)
    found = poisson_exact(events, total)
    low = chi2.ppf(0.025, 2 * events) / 2 / total if events else 0
    assert found.low == pytest.approx(low, abs=1e-9)
    assert found.high == pytest.approx(chi2.ppf(0.975, 2 * events + 2) / 2 / total, abs=1e-9)


@given(counts)
def test_the_rate_lies_in_its_interval_and_a_count_above_zero_has_a_bound_above_zero(pair: tuple[int, int]) -> None:
    events, total = pair
    for method in (wilson, clopper_pearson, poisson_exact):
        found = method(events, total)
        assert found.low <= events / total <= found.high + 1e-12
        assert (found.low == 0) == (events == 0)
    assert wilson(events, total).high <= 1


@pytest.mark.parametrize("method", [wilson, clopper_pearson, poisson_exact])
def test_counts_that_cannot_be_are_refused(method: object) -> None:
    for events, total in ((-1, 10), (1, 0), (0, 0)):
        with pytest.raises(ValueError, match=r"cannot be|above 0"):
            method(events, total)  # type: ignore[operator]
    with pytest.raises(ValueError, match="level"):
        method(1, 2, 1.5)  # type: ignore[operator]


def test_more_events_than_units_are_refused_for_a_proportion_only() -> None:
    for method in (wilson, clopper_pearson):
        with pytest.raises(ValueError, match="3 events of 2"):
            method(3, 2)
    assert poisson_exact(3, 2).high > 1


def test_cluster_robust_by_hand() -> None:
    # p = 4/35, Var = 3/2 · Σ(x − pn)²/35² with residuals −1/7, −16/7, 17/7: Σ = 546/49.
    found = cluster_robust([(1, 10), (0, 20), (3, 5)])
    variance = 1.5 * (546 / 49) / 35**2
    assert found.rate == pytest.approx(4 / 35, abs=1e-12)
    assert found.design_effect == pytest.approx(variance / ((4 / 35) * (31 / 35) / 35), abs=1e-12)
    assert found.effective_total == pytest.approx(35 / found.design_effect, abs=1e-9)
    # t(2, 0.975) = 4.302652729749464; the logit bounds follow.
    assert found.interval.low == pytest.approx(0.0008994956474967106, abs=1e-9)
    assert found.interval.high == pytest.approx(0.9486994589029962, abs=1e-9)


def test_one_infusion_a_patient_has_a_design_effect_near_one() -> None:
    found = cluster_robust([(1, 1)] * 30 + [(0, 1)] * 270)
    assert found.design_effect == pytest.approx(300 / 299, abs=1e-12)


def test_repeats_within_patients_widen_the_interval() -> None:
    alone, together = [(1, 1)] * 20 + [(0, 1)] * 180, [(10, 10)] * 2 + [(0, 10)] * 18
    plain, clustered = cluster_robust(alone).interval, cluster_robust(together).interval
    assert clustered.high - clustered.low > 2 * (plain.high - plain.low)


@pytest.mark.parametrize("cells", [[(1, 5)], [(0, 5), (0, 9)], [(5, 5), (2, 2)], [(1, 2), (2, 4)]])
def test_without_spread_between_patients_the_method_says_so(cells: list[tuple[int, int]]) -> None:
    found = cluster_robust(cells)
    events, total = sum(x for x, _ in cells), sum(n for _, n in cells)
    assert "no spread" in found.interval.method
    assert (found.interval.low, found.interval.high) == (wilson(events, total).low, wilson(events, total).high)
    assert found.design_effect is None


@given(
    st.lists(st.integers(1, 20).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=2, max_size=40)
)
def test_cluster_robust_holds_its_rate(cells: list[tuple[int, int]]) -> None:
    assume(0 < sum(x for x, _ in cells) < sum(n for _, n in cells))
    found = cluster_robust(cells)
    assert 0 <= found.interval.low <= found.rate <= found.interval.high <= 1


@given(
    st.lists(st.integers(1, 20).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=2, max_size=40)
)
def test_sums_over_patients_are_as_good_as_the_patients(cells: list[tuple[int, int]]) -> None:
    """Against the formula in fractions, which round nothing."""
    events, total, k = sum(x for x, _ in cells), sum(n for _, n in cells), len(cells)
    assume(0 < events < total)
    p = Fraction(events, total)
    variance = Fraction(k, k - 1) * sum((x - p * n) ** 2 for x, n in cells) / total**2
    found = cluster_robust_from_sums(
        k, events, total, sum(x * x for x, _ in cells), sum(x * n for x, n in cells), sum(n * n for _, n in cells)
    )
    assert found == cluster_robust(cells)
    assert (found.design_effect is None) == (variance == 0)
    if found.design_effect is not None:
        assert found.design_effect == pytest.approx(float(variance / (p * (1 - p) / total)), rel=1e-12)


def test_sums_of_no_patients_are_refused() -> None:
    with pytest.raises(ValueError, match="sums"):
        cluster_robust_from_sums(2, 1, 4, 0, 5, 0)


def test_none_of_many_is_about_three_over_n() -> None:
    assert upper_bound_of_none(100) == pytest.approx(1 - 0.05 ** (1 / 100), abs=1e-12)
    assert upper_bound_of_none(1000) == pytest.approx(3 / 1000, rel=0.01)
