"""Seriousness is ticked by people; hints only point at a criterion."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactions.clinical.ctcae import TERMS
from reactions.clinical.seriousness import (
    ALWAYS_IMPORTANT,
    CRITERIA,
    IMPORTANT_WHEN,
    Contradiction,
    Criterion,
    hints,
    judge,
)


def test_the_six_criteria_of_the_rule_each_with_a_line() -> None:
    assert len(Criterion) == 6
    assert list(CRITERIA) == list(Criterion)
    assert len({text.label for text in CRITERIA.values()}) == 6
    assert all(text.explanation.endswith(".") for text in CRITERIA.values())


def test_the_lines_that_people_get_wrong() -> None:
    assert "emergency department alone does not count" in CRITERIA[Criterion.HOSPITALISATION].explanation
    assert "as it happened" in CRITERIA[Criterion.LIFE_THREATENING].explanation
    assert "bronchospasm" in CRITERIA[Criterion.IMPORTANT_EVENT].explanation


@pytest.mark.parametrize("criterion", list(Criterion))
def test_one_criterion_makes_it_serious(criterion: Criterion) -> None:
    assert judge([criterion], none_of_these=False) is True


def test_silence_is_not_no() -> None:
    assert judge([], none_of_these=False) is None
    assert judge([], none_of_these=True) is False
    assert judge(list(Criterion), none_of_these=False) is True


def test_none_of_these_beside_a_tick_is_refused_and_named() -> None:
    with pytest.raises(Contradiction, match=r"beside: death, other important medical event\.$"):
        judge({Criterion.IMPORTANT_EVENT, Criterion.DEATH}, none_of_these=True)


def test_every_listed_term_is_a_term() -> None:
    assert set(TERMS) >= ALWAYS_IMPORTANT
    assert set(TERMS) >= set(IMPORTANT_WHEN)
    assert not ALWAYS_IMPORTANT & set(IMPORTANT_WHEN)


@pytest.mark.parametrize(
    "term",
    [
        "acute_kidney_injury",
        "anaphylaxis",
        "arterial_thromboembolism",
        "aseptic_meningitis",
        "meningitis",
        "myocardial_infarction",
        "seizure",
        "stroke",
        "syncope",
        "thromboembolic_event",
        "transient_ischemic_attacks",
        "venous_thromboembolism",
    ],
)
def test_terms_that_are_always_looked_at(term: str) -> None:
    assert term in ALWAYS_IMPORTANT
    (said,) = hints([term], [2])
    assert said.startswith(f"{TERMS[term].label} is taken as medically important at any grade")
    assert said.endswith("look at “Other important medical event”.")
    assert hints([term], [2], ticked=[Criterion.DISABILITY]) == []


@pytest.mark.parametrize(
    ("term", "condition"),
    [
        ("hemolysis", "fell by 2 g/dL or more, or blood was transfused"),
        ("hemolytic_anemia", "fell by 2 g/dL or more, or blood was transfused"),
        ("pulmonary_edema", "TACO"),
        ("adult_respiratory_distress_syndrome", "TRALI"),
        ("hepatitis_viral", "come with the product"),
        ("vascular_access_complication", "clot"),
    ],
)
def test_terms_that_are_looked_at_under_a_condition(term: str, condition: str) -> None:
    (said,) = hints([term], [2])
    assert said.startswith(f"{TERMS[term].label} is medically important when ")
    assert condition in said
    assert hints([term], [2], ticked=[Criterion.HOSPITALISATION]) == []


def test_no_other_term_is_looked_at() -> None:
    others = set(TERMS) - ALWAYS_IMPORTANT - set(IMPORTANT_WHEN)
    assert {"headache", "urticaria", "bronchospasm", "presyncope"} < others
    assert hints(others, [1, 2, 3, None]) == []


@pytest.mark.parametrize(
    ("grades", "asked"),
    [
        ([], []),
        ([None], []),
        ([3], []),
        ([4], ["“Life-threatening”"]),
        ([5], ["“Death”"]),
        ([2, 5, 4, None], ["“Death”", "“Life-threatening”"]),
    ],
)
def test_grades_4_and_5_ask_about_their_criterion(grades: Sequence[int | None], asked: list[str]) -> None:
    said = hints(["fever"], grades)
    assert len(said) == len(asked)
    assert all(sentence.endswith(f"look at {label}.") for sentence, label in zip(said, asked, strict=True))


def test_a_criterion_that_is_ticked_is_not_asked_about() -> None:
    assert hints(["fever"], [5], ticked=[Criterion.DEATH]) == []
    assert hints(["fever"], [4], ticked=[Criterion.LIFE_THREATENING]) == []
    assert len(hints(["fever"], [4], ticked=[Criterion.HOSPITALISATION])) == 1
    assert len(hints(["fever"], [5], ticked=[Criterion.HOSPITALISATION])) == 1


def test_a_term_is_asked_about_once_and_in_order() -> None:
    said = hints(["stroke", "seizure", "stroke"], [2, 2, 3])
    assert [sentence.split(" is ")[0] for sentence in said] == ["Stroke", "Seizure"]


def test_an_unknown_code_is_an_error() -> None:
    with pytest.raises(KeyError):
        hints(["hedache"], [1])


terms = st.lists(st.sampled_from(sorted(TERMS)), max_size=5)
grades = st.lists(st.none() | st.integers(1, 5), max_size=5)


@given(terms, grades, st.frozensets(st.sampled_from(list(Criterion))), st.sampled_from(list(Criterion)))
def test_a_further_tick_never_adds_a_hint(
    symptoms: list[str], graded: list[int | None], ticked: frozenset[Criterion], more: Criterion
) -> None:
    assert set(hints(symptoms, graded, ticked=ticked | {more})) <= set(hints(symptoms, graded, ticked=ticked))


@given(terms, grades, st.sampled_from(sorted(TERMS)), st.none() | st.integers(1, 5))
def test_a_further_symptom_never_takes_a_hint_away(
    symptoms: list[str], graded: list[int | None], term: str, grade: int | None
) -> None:
    assert set(hints(symptoms, graded)) <= set(hints([*symptoms, term], [*graded, grade]))
