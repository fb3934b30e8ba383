"""Question sets: nothing urgent can be missed for want of a line, and what is published stays as it is."""

from itertools import product

import pytest

from reactions.clinical.questions import (
    ALWAYS,
    EVERYTHING,
    GRAVER,
    GROUPS,
    IN_ORDER,
    PUBLISHED,
    SETS,
    QuestionSet,
    asked_in_words,
    not_offered,
)
from reactions.clinical.schedule import DEFAULT_PLAN
from reactions.clinical.triage import RED_WORDS, triage
from reactions.vocabulary import AlertLevel, PatientSeverity

P = type(next(iter(RED_WORDS)))
EACH_SET = pytest.mark.parametrize("asked", PUBLISHED.values(), ids=PUBLISHED)
ORDER = [None, AlertLevel.GREEN, AlertLevel.AMBER, AlertLevel.RED]


def level(*problems: P) -> AlertLevel | None:
    return triage(dict.fromkeys(problems, PatientSeverity.MILD)).level


@EACH_SET
def test_every_set_has_each_problem_that_is_an_emergency_alone_or_with_another(asked: QuestionSet) -> None:
    red = {frozenset(pair) for pair in product(P, repeat=2) if level(*pair) == AlertLevel.RED}
    shortest = {pair for pair in red if not any(other < pair for other in red)}
    assert {frozenset({P.CHEST_PAIN}), frozenset({P.RASH, P.DIZZY})} <= shortest
    assert set().union(*shortest) | {P.OTHER} <= asked.problems


@EACH_SET
def test_a_set_lists_with_a_word_what_makes_it_graver(asked: QuestionSet) -> None:
    """Else somebody with a rash all over would tick “rash”, which a person reads the next working day."""
    for problem, graver in GRAVER.items():
        assert problem not in asked.problems or graver <= asked.problems


def test_words_that_are_graver_together_are_known_as_such() -> None:
    """Whatever two mild words are more urgent together than apart: GRAVER has the one with the other."""
    for one, other in product(P, repeat=2):
        apart = max(ORDER.index(level(one)), ORDER.index(level(other)))
        if one != other and ORDER.index(level(one, other)) > apart:
            assert other in GRAVER.get(one, ()) or one in GRAVER.get(other, ()), (one, other)


def test_the_list_has_every_problem_once_emergencies_first_and_something_else_last() -> None:
    assert sorted(IN_ORDER) == sorted(P)
    assert set(IN_ORDER[: len(RED_WORDS)]) == RED_WORDS
    assert IN_ORDER[-1] == P.OTHER
    assert max(len(group.problems) for group in GROUPS) <= 7


def test_every_other_set_is_shorter_than_everything() -> None:
    assert EVERYTHING.is_full
    assert [one.name for one in SETS.values() if one.is_full] == ["everything"]


AS_PUBLISHED = {
    "first_days-1": "aches chills dark_urine eye_pain fast_pulse fever headache itch leg_swelling light_hurts"
    " little_urine nausea sleepy stiff_neck tired vomiting",
    "second_week-1": "aches blisters both_legs_swollen chills dark_urine fast_pulse fever itch leg_swelling"
    " little_urine mouth_sores pale tired weight_gain yellow",
    "month-1": "aches blisters chills fast_pulse fever itch leg_swelling mouth_sores tired vomiting yellow",
    "evening-1": "",
}


def test_what_was_published_is_not_changed() -> None:
    """Answers of this version are there: another list is another version, and this one stays in PUBLISHED."""
    for code, beside in AS_PUBLISHED.items():
        assert sorted(PUBLISHED[code].problems - ALWAYS) == beside.split(), code
    assert set(AS_PUBLISHED) | {EVERYTHING.code} <= set(PUBLISHED)


def test_the_default_plan_asks_what_comes_at_its_times() -> None:
    assert [step.question_set for step in DEFAULT_PLAN] == ["first_days", "first_days", "second_week", "month"]


def test_what_an_answer_was_asked_is_told_in_words() -> None:
    assert asked_in_words("first_days-1") == "First days, version 1"
    assert asked_in_words("2") == "Everything, one question a screen"
    assert asked_in_words("telephone-1") == "Everything, by telephone"
    assert asked_in_words("something-9") == "something-9"
    assert P.DARK_URINE in not_offered("month-1", full_list=False)
    assert P.DARK_URINE not in not_offered("second_week-1", full_list=False)
    assert not_offered("month-1", full_list=True) == not_offered("2", full_list=False) == []
