"""Premedication compared four ways, and what is said where it cannot be."""

from datetime import UTC, datetime, timedelta

import pytest

from patients.models import Clinic, Patient
from reactions.rates.premedication import COMPARED_BY, Comparison, Side, compare
from reactions.rates.premedication_words import _points, in_words, ratio_words
from reactions.rates.question import Question
from reactions.rates.statistics import Contrast, Interval
from reactions.rates.strata import from_records
from tests.support.factories import make_infusion, make_patient, make_reaction

pytestmark = pytest.mark.django_db
START = datetime(2026, 1, 5, 14, tzinfo=UTC)


def give(patient: Patient, month: int, *, premedicated: bool, reacts: bool) -> None:
    record = "given" if premedicated else "none"
    infusion = make_infusion(patient, started_at=START + timedelta(days=28 * month), premedication_record=record)
    if premedicated:
        infusion.premedications.create(drug="acetaminophen")
    if reacts:
        make_reaction(infusion)


def asked(clinic: Clinic) -> Comparison:
    return compare([from_records(Question(), COMPARED_BY, [clinic])])


def simpson(clinic: Clinic) -> None:
    """Who had reacted is premedicated, and reacts less than others who had reacted: it looks worse, and is better.

    12 patients react at first without anything; later 10 of them are premedicated (6 react), 2 are not (2 react).
    40 others never reacted before: 36 later infusions without anything (2 react), 4 with (0 react).
    """
    for number in range(12):
        patient = make_patient(clinic)
        give(patient, 0, premedicated=False, reacts=True)
        give(patient, 1, premedicated=number < 10, reacts=number < 6 or number >= 10)
    for number in range(40):
        patient = make_patient(clinic)
        give(patient, 0, premedicated=False, reacts=False)
        give(patient, 1, premedicated=number < 4, reacts=number in {10, 11})


def test_opposite_directions_are_noticed(clinic: Clinic) -> None:
    simpson(clinic)
    found = asked(clinic)
    assert (found.given.events, found.given.total, found.given.patients) == (6, 14, 14)
    assert (found.none.events, found.none.total) == (16, 90)
    assert found.crude
    assert found.crude.estimate == pytest.approx((6 / 14) / (16 / 90))
    # By hand: Σ a·n0/N over Σ c·n1/N in {had reacted: 6/10 against 2/2, had not: 0/4 against 2/36}; first infusions
    # have no premedicated side.
    top, bottom = 6 * 2 / 12 + 0, 2 * 10 / 12 + 2 * 4 / 40
    assert found.adjusted
    assert found.adjusted.estimate == pytest.approx(top / bottom)
    assert found.strata_used == 2
    assert found.is_opposite
    told = in_words(found)
    assert "opposite ways" in told.opposite
    assert told.in_short.startswith("No clear difference: adjusted 0.54")
    assert [line.name for line in told.lines] == ["Adjusted", "Crude", "Within patients", "First infusions only"]
    assert (told.lines[0].ratio[:4], told.lines[1].ratio[:4]) == ("0.54", "2.41")
    # 6/14 − 16/90.
    assert "difference +25.1 points" in told.lines[1].rests_on


@pytest.mark.parametrize(
    ("contrast", "words"),
    [
        (None, ""),
        (Contrast(None, None), ""),
        (Contrast(0.9, Interval(0.4, 1.0, "log")), "No clear difference: adjusted 0.90 (0.40 to 1.00)."),
        (Contrast(0.5, Interval(0.3, 0.99, "log")), "there were fewer reactions: adjusted 0.50 (0.30 to 0.99)."),
        (Contrast(2.0, Interval(1.01, 4.0, "log")), "there were more reactions: adjusted 2.00 (1.01 to 4.00)."),
    ],
)
def test_what_the_adjusted_comparison_leaves_open(contrast: Contrast | None, words: str) -> None:
    nobody = Side(0, 0, 0)
    told = in_words(Comparison(nobody, nobody, "", adjusted=contrast)).in_short
    assert words in " ".join(told.split())
    assert bool(told) == bool(words)


def test_within_patients_only_those_with_both_count(clinic: Clinic) -> None:
    simpson(clinic)
    pairs = asked(clinic).pairs
    assert pairs
    assert (pairs.both, pairs.with_only, pairs.without_only, pairs.neither) == (6, 0, 4, 4)
    assert pairs.p == pytest.approx(2 * 0.5**4)


def test_first_infusions_stand_apart(clinic: Clinic) -> None:
    simpson(clinic)
    found = asked(clinic)
    assert found.first_given
    assert found.first_none
    assert (found.first_given.total, found.first_none.events, found.first_none.total) == (0, 12, 52)
    assert found.first is None


def test_with_few_patients_counts_are_shown_and_nothing_is_compared(clinic: Clinic) -> None:
    for number in range(9):
        give(make_patient(clinic), 0, premedicated=True, reacts=number < 2)
    for _ in range(20):
        give(make_patient(clinic), 0, premedicated=False, reacts=False)
    found = asked(clinic)
    assert (found.given.events, found.given.total) == (2, 9)
    assert "fewer than 10 patients" in found.why_not
    assert found.crude is None
    assert found.pairs is None


def test_no_difference_has_no_sign_of_less(clinic: Clinic) -> None:
    """10/201 and 10/200 differ by less than is told."""
    crude = Contrast(10 / 201 - 10 / 200, Interval(-0.05, 0.05, "Newcombe"))
    assert _points(crude) == "+0.0 points (−5.0 to +5.0)"


def test_pairs_of_few_patients_are_counted_and_not_compared(clinic: Clinic) -> None:
    for number in range(20):
        patient = make_patient(clinic)
        give(patient, 0, premedicated=number < 10, reacts=number in {0, 12})
        if number < 3:
            give(patient, 1, premedicated=False, reacts=True)
    found = asked(clinic)
    assert found.pairs
    assert (found.pairs.patients, found.within, found.pairs.p, found.pairs.contrast) == (3, None, None, None)
    within = in_words(found).lines[2]
    assert within.ratio == "too few patients"
    assert "3 patients: 0 reacted only with premedication, 2 only without" in within.rests_on
    assert "McNemar" not in within.rests_on


def test_a_ratio_without_an_interval_points_nowhere(clinic: Clinic) -> None:
    """Premedicated after a reaction only, where nobody is without: adjusted has events on one side alone."""
    for number in range(15):
        patient = make_patient(clinic)
        give(patient, 0, premedicated=False, reacts=number < 2)
        give(patient, 1, premedicated=True, reacts=number < 2)
    for _ in range(25):
        give(make_patient(clinic), 0, premedicated=False, reacts=False)
    found = asked(clinic)
    assert found.crude
    assert found.adjusted
    assert found.adjusted.interval is None
    assert not found.is_opposite


def test_without_one_of_the_groups_that_is_said(clinic: Clinic) -> None:
    give(make_patient(clinic), 0, premedicated=False, reacts=False)
    assert "no infusions" in asked(clinic).why_not


def test_what_nobody_recorded_is_in_neither_group(clinic: Clinic) -> None:
    make_infusion(make_patient(clinic), started_at=START, premedication_record="not_recorded")
    found = asked(clinic)
    assert (found.given.total, found.none.total) == (0, 0)


@pytest.mark.parametrize(
    ("contrast", "words"),
    [
        (None, "not defined"),
        (Contrast(None, None), "not defined"),
        (Contrast(0.0, None), "too few reactions"),
        (Contrast(0.62, Interval(0.41, 0.944, "log")), "0.62 (0.41 to 0.94)"),
        (Contrast(float("inf"), Interval(1.5, float("inf"), "exact")), "∞ (1.50 to ∞)"),
    ],
)
def test_a_ratio_in_words(contrast: Contrast | None, words: str) -> None:
    assert " ".join(ratio_words(contrast).split()) == words
