from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from reactions.clinical.infusion_checks import InfusionFacts, unlikely, why_impossible_dose, why_impossible_weight

USUAL = InfusionFacts(
    dose_g=Decimal(35),
    weight_kg=Decimal(70),
    course_dose_g=Decimal(35),
    planned_days=1,
    duration=timedelta(hours=4),
    vial_grams=Decimal(35),
)


def test_a_usual_infusion_raises_nothing() -> None:
    assert unlikely(USUAL) == []
    assert unlikely(replace(USUAL, weight_kg=None, duration=None, vial_grams=None)) == []


@pytest.mark.parametrize(
    ("change", "at_the_edge", "beyond"),
    [
        ("dose_g", Decimal(70), Decimal("70.01")),
        ("course_dose_g", Decimal(168), Decimal("168.01")),
        ("course_dose_g", Decimal(14), Decimal("13.99")),
        ("duration", timedelta(minutes=30), timedelta(minutes=29)),
        ("duration", timedelta(hours=12), timedelta(hours=12, minutes=1)),
        ("vial_grams", Decimal("35.5"), Decimal("35.51")),
        ("vial_grams", Decimal("34.5"), Decimal("34.49")),
        ("overlaps_another", False, True),
    ],
)
def test_each_limit_has_two_sides(change: str, at_the_edge: object, beyond: object) -> None:
    facts = replace(USUAL, vial_grams=None) if change == "dose_g" else USUAL
    assert unlikely(replace(facts, **{change: at_the_edge})) == []
    assert len(unlikely(replace(facts, **{change: beyond}))) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dose_g": Decimal(77)}, "1.10 g/kg in one day is more than the usual 1 g/kg."),
        ({"course_dose_g": Decimal(175)}, "2.50 g/kg in this course is above 2.4 g/kg."),
        ({"course_dose_g": Decimal(7)}, "0.10 g/kg in this course is below 0.2 g/kg."),
        ({"duration": timedelta(minutes=29)}, "The infusion took less than 30 minutes."),
        ({"duration": timedelta(hours=13)}, "The infusion took more than 12 hours."),
    ],
)
def test_a_sentence_names_the_limit_that_was_passed(change: dict[str, object], said: str) -> None:
    assert unlikely(replace(USUAL, vial_grams=None, **change)) == [said]


def test_a_low_course_dose_is_only_odd_when_the_course_is_over_in_a_day() -> None:
    assert unlikely(replace(USUAL, course_dose_g=Decimal(5), planned_days=3)) == []


def test_unusual_weights() -> None:
    assert any("weight" in said for said in unlikely(replace(USUAL, weight_kg=Decimal(301))))
    assert not any("The weight" in said for said in unlikely(replace(USUAL, weight_kg=Decimal(300))))


@pytest.mark.parametrize(("dose", "possible"), [(0, False), (-1, False), ("0.01", True), (1000, True), (1001, False)])
def test_possible_doses(dose: object, possible: bool) -> None:
    assert (why_impossible_dose(Decimal(str(dose))) == "") is possible


@pytest.mark.parametrize(("weight", "possible"), [(0, False), ("0.2", False), ("0.3", True), (650, True), (651, False)])
def test_possible_weights(weight: object, possible: bool) -> None:
    assert (why_impossible_weight(Decimal(str(weight))) == "") is possible
