"""Two rates beside each other: against printed values, against statsmodels and scipy, and for tables with holes."""

from math import inf, log, prod, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import StratifiedTable, Table2x2
from statsmodels.stats.proportion import confint_proportions_2indep

from reactions.rates.statistics import (
    Contrast,
    Table,
    fisher,
    mantel_haenszel_odds_ratio,
    mantel_haenszel_risk_ratio,
    mcnemar,
    mcnemar_p,
    odds_ratio,
    risk_difference,
    risk_ratio,
)

side = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
tables = st.tuples(side, side).map(lambda sides: (*sides[0], *sides[1]))
# Every cell filled.
filled = st.tuples(*[st.integers(1, 200)] * 4).map(lambda cells: (cells[0], sum(cells[:2]), cells[2], sum(cells[2:])))


def as_cells(table: Table) -> np.ndarray:
    a, n1, c, n0 = table
    return np.array([[a, n1 - a], [c, n0 - c]])


def bounds(contrast: Contrast) -> tuple[float, float]:
    assert contrast.interval
    return contrast.interval.low, contrast.interval.high


@pytest.mark.parametrize(
    ("table", "low", "high"),
    # Newcombe, Stat Med 1998;17:873, table II, method 10.
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0000),
        ((10, 10, 0, 10), 0.6075, 1.0000),
    ],
)
def test_risk_difference_reproduces_printed_values(table: Table, low: float, high: float) -> None:
    found = bounds(risk_difference(*table))
    assert (round(found[0], 4), round(found[1], 4)) == (low, high)


@given(tables)
def test_risk_difference_agrees_with_statsmodels(table: Table) -> None:
    a, n1, c, n0 = table
    expected = confint_proportions_2indep(a, n1, c, n0, method="newcomb", compare="diff")
    assert bounds(risk_difference(*table)) == pytest.approx(expected, abs=1e-9)


@given(filled)
def test_ratios_agree_with_statsmodels(table: Table) -> None:
    oracle = Table2x2(as_cells(table))
    for ours, estimate, interval in (
        (odds_ratio(*table), oracle.oddsratio, oracle.oddsratio_confint()),
        (risk_ratio(*table), oracle.riskratio, oracle.riskratio_confint()),
    ):
        assert ours.estimate == pytest.approx(estimate, rel=1e-9)
        assert bounds(ours) == pytest.approx(interval, rel=1e-9)


def test_ratios_reproduce_a_textbook() -> None:
    # Agresti, Categorical Data Analysis, chapter 2, from the Physicians' Health Study: myocardial infarction in 189 of
    # 11,034 on placebo and 104 of 11,037 on aspirin: difference 0.0077, ratio of risks 1.82, ratio of odds 1.83.
    table = (189, 11034, 104, 11037)
    assert round(risk_ratio(*table).estimate or 0, 2) == 1.82
    assert round(odds_ratio(*table).estimate or 0, 2) == 1.83
    assert round(risk_difference(*table).estimate or 0, 4) == 0.0077


def test_an_empty_cell_has_an_exact_odds_ratio_and_no_risk_ratio_interval() -> None:
    none_exposed = odds_ratio(0, 20, 5, 20)
    assert none_exposed.estimate == 0
    assert none_exposed.interval
    assert none_exposed.interval.method == "exact"
    assert none_exposed.interval.low == 0
    # The chance of none among the exposed given five in all, at the upper bound, is 2.5 %.
    high, weights = none_exposed.interval.high, [15504, 96900, 216600, 216600, 96900, 15504]
    assert weights[0] / sum(w * high**x for x, w in enumerate(weights)) == pytest.approx(0.025, rel=1e-6)
    assert risk_ratio(0, 20, 5, 20) == Contrast(0, None)
    assert risk_ratio(5, 20, 0, 20) == Contrast(inf, None)
    assert bounds(odds_ratio(5, 20, 0, 20))[1] == inf


@pytest.mark.parametrize("table", [(0, 20, 0, 20), (20, 20, 20, 20)])
def test_an_empty_margin_says_nothing_about_the_odds(table: Table) -> None:
    assert odds_ratio(*table) == Contrast(None, None)


def test_no_events_at_all_have_a_difference_and_no_ratio() -> None:
    assert risk_difference(0, 10, 0, 20).estimate == 0
    assert risk_ratio(0, 10, 0, 20) == Contrast(None, None)


@given(filled)
def test_the_reverse_comparison_is_the_reciprocal(table: Table) -> None:
    a, n1, c, n0 = table
    for ratio in (risk_ratio, odds_ratio):
        there, back = ratio(a, n1, c, n0), ratio(c, n0, a, n1)
        assert there.estimate * back.estimate == pytest.approx(1)  # type: ignore[operator]
        assert prod([bounds(there)[0], bounds(back)[1]]) == pytest.approx(1)


def test_fisher_reproduces_the_tea_tasting() -> None:
    # Fisher, The Design of Experiments 1935: 3 of 4 cups told rightly, p = 17/35 to both sides.
    assert fisher(3, 4, 1, 4) == pytest.approx(17 / 35, abs=1e-12)


@pytest.mark.parametrize("function", [risk_difference, risk_ratio, odds_ratio, fisher])
def test_tables_that_cannot_be_are_refused(function: object) -> None:
    for table in ((3, 2, 1, 5), (1, 5, 3, 2), (-1, 5, 1, 5), (0, 0, 1, 5), (1, 5, 0, 0)):
        with pytest.raises(ValueError, match=r"cannot be|above 0"):
            function(*table)  # type: ignore[operator]
    for pooled in (mantel_haenszel_odds_ratio, mantel_haenszel_risk_ratio):
        with pytest.raises(ValueError, match="cannot be"):
            pooled([(1, 5, 1, 5), (6, 5, 1, 5)])


@given(st.lists(filled, min_size=1, max_size=6))
def test_mantel_haenszel_agrees_with_statsmodels(strata: list[Table]) -> None:
    oracle = StratifiedTable([as_cells(table) for table in strata])
    odds = mantel_haenszel_odds_ratio(strata)
    assert odds.estimate == pytest.approx(oracle.oddsratio_pooled, rel=1e-9)
    assert bounds(odds) == pytest.approx(oracle.oddsratio_pooled_confint(), rel=1e-9)
    assert mantel_haenszel_risk_ratio(strata).estimate == pytest.approx(oracle.riskratio_pooled, rel=1e-9)


def test_mantel_haenszel_risk_ratio_by_hand() -> None:
    # Tolbutamide and death by age, UGDP: Rothman, Modern Epidemiology, table 15-1: 8/106 and 5/120 below 55 years,
    # 22/98 and 16/85 from there. Pooled 1.33; variance of the log by Greenland & Robins 0.0671.
    found = mantel_haenszel_risk_ratio([(8, 106, 5, 120), (22, 98, 16, 85)])
    assert found.estimate == pytest.approx(1.33, abs=0.005)
    low, high = bounds(found)
    assert (log(high / low) / 2 / 1.959964) ** 2 == pytest.approx(0.0671, abs=5e-5)


@given(filled)
def test_one_stratum_is_the_plain_ratio(table: Table) -> None:
    assert mantel_haenszel_risk_ratio([table]).estimate == pytest.approx(risk_ratio(*table).estimate)
    assert bounds(mantel_haenszel_risk_ratio([table])) == pytest.approx(bounds(risk_ratio(*table)))
    assert bounds(mantel_haenszel_odds_ratio([table])) == pytest.approx(bounds(odds_ratio(*table)))


def test_adjusting_turns_a_confounded_comparison_round() -> None:
    # Kidney stones, open surgery against the puncture: Charig and others, BMJ 1986;292:879.
    small, large = (81, 87, 234, 270), (192, 263, 55, 80)
    assert risk_ratio(273, 350, 289, 350).estimate < 1  # type: ignore[operator]
    assert mantel_haenszel_risk_ratio([small, large]).estimate > 1  # type: ignore[operator]


def test_strata_with_one_side_alone_say_nothing() -> None:
    whole = (8, 106, 5, 120)
    for pooled in (mantel_haenszel_odds_ratio, mantel_haenszel_risk_ratio):
        assert pooled([whole, (0, 0, 4, 30), (3, 9, 0, 0)]) == pooled([whole])
        assert pooled([(0, 0, 4, 30)]) == Contrast(None, None)
        assert pooled([(0, 10, 4, 30)]) == Contrast(0, None)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_agrees_with_the_binomial_test(with_only: int, without_only: int) -> None:
    pairs = with_only + without_only
    expected = binomtest(with_only, pairs).pvalue if pairs else 1
    assert mcnemar_p(with_only, without_only) == pytest.approx(expected, abs=1e-9)
    found = mcnemar(with_only, without_only)
    if pairs:
        low, high = binomtest(with_only, pairs).proportion_ci()
        assert bounds(found)[0] == pytest.approx(low / (1 - low) if low < 1 else inf, rel=1e-6)
        assert bounds(found)[1] == pytest.approx(high / (1 - high) if high < 1 else inf, rel=1e-6)


def test_mcnemar_by_hand() -> None:
    # 5 pairs one way, 1 the other: 2 · (1 + 6)/64.
    assert mcnemar_p(5, 1) == pytest.approx(14 / 64, abs=1e-12)
    assert mcnemar(5, 1).estimate == 5
    assert mcnemar(3, 0).estimate == inf
    assert mcnemar(0, 0) == Contrast(None, None)
    with pytest.raises(ValueError, match="cannot be"):
        mcnemar_p(-1, 2)


def test_levels_widen_intervals_as_the_normal_distribution_says() -> None:
    wide, narrow = bounds(risk_ratio(20, 100, 10, 100, 0.99)), bounds(risk_ratio(20, 100, 10, 100, 0.95))
    assert log(wide[1] / wide[0]) / log(narrow[1] / narrow[0]) == pytest.approx(2.5758293 / 1.9599640, rel=1e-7)
    assert log(narrow[1] / 2) == pytest.approx(1.9599640 * sqrt(1 / 20 - 1 / 100 + 1 / 10 - 1 / 100), rel=1e-7)
