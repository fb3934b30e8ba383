"""Signals: against published critical values and worked examples, against exact counts and simulation."""

from math import comb, inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency
from statsmodels.stats.multitest import multipletests

from reactions.rates.surveillance import (
    GammaMixture,
    benjamini_hochberg,
    critical_value,
    cusum,
    cusum_limit,
    cusum_weight,
    ebgm,
    false_alarms,
    log_likelihood_ratio,
    lot_against_rest,
    prr,
    ror,
    yates_chi_squared,
)


def test_a_lot_against_the_rest_is_the_exact_chance() -> None:
    # 5 of 20 in the lot, 4 of 80 elsewhere: tables with 5 or more of the 9 events in the lot.
    chance = sum(comb(20, x) * comb(80, 9 - x) for x in range(5, 10)) / comb(100, 9)
    assert lot_against_rest(5, 20, 4, 80) == pytest.approx(chance, abs=1e-12)
    assert lot_against_rest(0, 20, 4, 80) == 1
    for events, total, rest, rest_total in ((3, 2, 0, 5), (-1, 2, 0, 5), (0, 2, 6, 5)):
        with pytest.raises(ValueError, match="cannot be"):
            lot_against_rest(events, total, rest, rest_total)


def test_benjamini_hochberg_reproduces_its_paper() -> None:
    # The 15 p-values of section 3.2 of the paper: at q = 0.05 the four smallest are called.
    values = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240,
        0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
    ]  # fmt: skip
    adjusted = benjamini_hochberg(values)
    assert [value <= 0.05 for value in adjusted] == [True] * 4 + [False] * 11
    assert benjamini_hochberg([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_benjamini_hochberg_agrees_with_statsmodels(values: list[float]) -> None:
    assert benjamini_hochberg(values) == pytest.approx(list(multipletests(values, method="fdr_bh")[1]), abs=1e-9)


@pytest.mark.parametrize(
    ("horizon", "least_events", "published"),
    # Kulldorff and others, Sequential Analysis 2011;30:58, table 1, and the R package Sequential, CV.Poisson.
    [(1, 1, 2.853937), (10, 1, 3.467952), (10, 4, 2.921561)],
)
def test_critical_values_are_the_published_ones(horizon: float, least_events: int, published: float) -> None:
    assert critical_value(horizon, 0.05, least_events) == pytest.approx(published, abs=5e-7)


def test_the_critical_value_keeps_its_promise() -> None:
    random = np.random.default_rng(20261125)
    critical, horizon, runs = critical_value(5, 0.05), 5.0, 40_000
    arrivals = np.cumsum(random.exponential(size=(runs, 40)), axis=1)
    events = np.arange(1, 41)
    with np.errstate(divide="ignore"):
        ratio = np.where(events > arrivals, arrivals - events + events * np.log(events / arrivals), 0)
    signals = ((ratio >= critical) & (arrivals <= horizon)).any(axis=1).mean()
    assert signals == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / runs) ** 0.5)


def test_a_question_without_a_critical_value_is_refused() -> None:
    for horizon, alpha, least in ((0, 0.05, 1), (1, 0, 1), (1, 1, 1), (1, 0.05, 0)):
        with pytest.raises(ValueError, match="needed"):
            critical_value(horizon, alpha, least)
    with pytest.raises(ValueError, match="by chance less often"):
        critical_value(0.1, 0.05, 9)


def test_the_ratio_counts_only_what_is_above_expectation() -> None:
    assert log_likelihood_ratio(5, 1.8) == pytest.approx(1.8 - 5 + 5 * log(5 / 1.8))
    assert log_likelihood_ratio(1, 1.8) == 0
    assert log_likelihood_ratio(0, 0) == 0
    assert log_likelihood_ratio(1, 0) == inf
    with pytest.raises(ValueError, match="cannot be"):
        log_likelihood_ratio(-1, 1)


def test_the_path_by_hand() -> None:
    up, down = log(2) - log(1.1), -log(1.1)
    assert cusum_weight(True, 0.1) == pytest.approx(up)
    assert cusum_weight(False, 0.1) == pytest.approx(down)
    path = cusum([False, True, True, True, False, False], [0.1] * 6, limit=2.0)
    first = 1 + down
    assert path[:3] == pytest.approx([first, first + up, first + 2 * up])
    # It has signalled with the third, and starts anew from half the limit.
    assert path[2] >= 2.0
    assert path[3] == pytest.approx(1 + up)
    assert cusum([False] * 30, [0.1] * 30, limit=2.0)[-1] == 0


def test_the_baseline_of_each_infusion_counts() -> None:
    expected, surprising = cusum([True], [0.5], limit=4), cusum([True], [0.01], limit=4)
    assert surprising[0] > expected[0]
    with pytest.raises(ValueError, match="shorter"):
        cusum([True, False], [0.1], limit=4)


@pytest.mark.parametrize(("baseline", "units"), [(0.1, 500), (0.02, 2000)])
def test_the_limit_keeps_its_promise(baseline: float, units: int) -> None:
    limit, runs = cusum_limit(baseline, units, 0.05), 20_000
    random = np.random.default_rng(20261125)
    height, signalled = np.full(runs, limit / 2), np.zeros(runs, bool)
    up, down = cusum_weight(True, baseline), cusum_weight(False, baseline)
    for _ in range(units):
        height = np.maximum(0, height + np.where(random.random(runs) < baseline, up, down))
        signalled |= height >= limit
    assert signalled.mean() == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / runs) ** 0.5)
    assert false_alarms(limit, baseline, units) == pytest.approx(0.05, abs=1e-6)


def test_what_the_chart_cannot_look_for_is_refused() -> None:
    for baseline, ratio in ((0, 2), (1, 2), (0.1, 1)):
        with pytest.raises(ValueError, match="baseline"):
            cusum_weight(True, baseline, ratio)
    with pytest.raises(ValueError, match="above 0"):
        cusum([], [], 0)
    with pytest.raises(ValueError, match="needed"):
        cusum_limit(0.1, 0, 0.05)


def test_reports_by_hand() -> None:
    assert prr(20, 80, 30, 870).estimate == pytest.approx((20 / 100) / (30 / 900))
    assert ror(20, 80, 30, 870).estimate == pytest.approx(20 * 870 / (80 * 30))
    # 1000 · (|20 · 870 − 80 · 30| − 500)² / (100 · 900 · 50 · 950)
    assert yates_chi_squared(20, 80, 30, 870) == pytest.approx(1000 * 14_500**2 / (100 * 900 * 50 * 950))
    assert yates_chi_squared(1, 1, 1, 1) == 0
    assert yates_chi_squared(0, 0, 3, 4) == 0
    with pytest.raises(ValueError, match="below 0"):
        yates_chi_squared(-1, 0, 3, 4)


@given(st.tuples(*[st.integers(1, 500)] * 4))
def test_chi_squared_agrees_with_scipy(cells: tuple[int, int, int, int]) -> None:
    a, b, c, d = cells
    expected = chi2_contingency([[a, b], [c, d]], correction=True).statistic
    assert yates_chi_squared(a, b, c, d) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_ebgm_reproduces_the_worked_example() -> None:
    # Vignette 4 of the R package openEBGM.
    prior = GammaMixture(3.25379356, 0.39988854, 2.02612692, 1.90807970, 0.06534557)
    found = ebgm(1, 0.0360548272, prior)
    assert found.interval
    assert round(found.estimate, 2) == 2.23  # type: ignore[arg-type]
    assert (round(found.interval.low, 2), round(found.interval.high, 1)) == (0.49, 13.9)
    for reports, expected in ((-1, 1), (1, 0)):
        with pytest.raises(ValueError, match="cannot be"):
            ebgm(reports, expected, prior)


def test_ebgm_of_many_reports_is_what_was_observed_over_what_was_expected() -> None:
    prior = GammaMixture(0.2, 0.1, 2, 4, 1 / 3)
    found = ebgm(5000, 1000, prior)
    assert found.estimate == pytest.approx(5, rel=0.01)
    assert found.interval
    assert found.interval.low < 5 < found.interval.high
