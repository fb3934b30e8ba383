"""Naranjo points and categories against the published table, and the WHO-UMC checklist."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactions.clinical.causality import (
    NARANJO_LABELS,
    NARANJO_QUESTIONS,
    UMC_POINTS,
    WHO_UMC,
    NaranjoAnswer,
    NaranjoCategory,
    NaranjoResult,
    UmcCategory,
    UmcPoint,
    naranjo,
    who_umc_open_points,
    who_umc_supported,
)

YES, NO, DONT_KNOW = NaranjoAnswer.YES, NaranjoAnswer.NO, NaranjoAnswer.DONT_KNOW
NUMBERS = tuple(range(1, 11))
ALL_UNKNOWN = dict.fromkeys(NUMBERS, DONT_KNOW)


# Table 2 of PMC5774610: points for yes and for no.
@pytest.mark.parametrize(
    ("number", "yes", "no"),
    [(1, 1, 0), (2, 2, -1), (3, 1, 0), (4, 2, -1), (5, -1, 2), (6, -1, 1), (7, 1, 0), (8, 1, 0), (9, 1, 0), (10, 1, 0)],
)
def test_the_published_points_of_each_question(number: int, yes: int, no: int) -> None:
    assert naranjo({number: YES}).score == yes
    assert naranjo({number: NO}).score == no
    assert naranjo({number: DONT_KNOW}).score == 0


def test_the_questions_stand_in_their_order_with_a_hint_each() -> None:
    assert tuple(question.number for question in NARANJO_QUESTIONS) == NUMBERS
    assert all(question.text.endswith("?") and question.hint for question in NARANJO_QUESTIONS)
    assert "rate" in NARANJO_QUESTIONS[7].hint
    assert "later infusion" in NARANJO_QUESTIONS[3].hint


# Each row: name, answers other than "don't know", score, category. Both sides of 9, of 5 and of 1.
VECTORS: list[tuple[str, dict[int, NaranjoAnswer], int, NaranjoCategory]] = [
    ("highest", {n: NO if n in (5, 6) else YES for n in NUMBERS}, 13, NaranjoCategory.DEFINITE),
    ("just definite", {1: YES, 2: YES, 3: YES, 4: YES, 5: NO, 10: YES}, 9, NaranjoCategory.DEFINITE),
    ("not yet definite", {1: YES, 2: YES, 3: YES, 4: YES, 5: NO}, 8, NaranjoCategory.PROBABLE),
    ("usual for a labelled reaction", {1: YES, 2: YES, 5: NO}, 5, NaranjoCategory.PROBABLE),
    ("not yet probable", {2: YES, 5: NO}, 4, NaranjoCategory.POSSIBLE),
    ("just possible", {1: YES}, 1, NaranjoCategory.POSSIBLE),
    ("nothing known", {}, 0, NaranjoCategory.DOUBTFUL),
    ("another cause", {5: YES}, -1, NaranjoCategory.DOUBTFUL),
    ("lowest", {2: NO, 4: NO, 5: YES, 6: YES}, -4, NaranjoCategory.DOUBTFUL),
]


@pytest.mark.parametrize(("answers", "score", "category"), [v[1:] for v in VECTORS], ids=[v[0] for v in VECTORS])
def test_categories_on_both_sides_of_each_limit(
    answers: dict[int, NaranjoAnswer], score: int, category: NaranjoCategory
) -> None:
    found = naranjo(ALL_UNKNOWN | answers)
    assert found == NaranjoResult(score, (), category)
    assert found.is_complete
    assert found.sentence == f"Naranjo score {score}: {category}."


def test_unanswered_is_not_dont_know() -> None:
    nine = {number: answer for number, answer in ALL_UNKNOWN.items() if number != 6}
    found = naranjo(nine | {1: YES, 2: YES, 5: NO})
    assert found == NaranjoResult(5, (6,), None)
    assert not found.is_complete
    assert found.sentence == "Naranjo score not finished: 5 so far, question 6 not answered."


def test_without_answers_there_is_no_category() -> None:
    found = naranjo({})
    assert found == NaranjoResult(0, NUMBERS, None)
    assert found.sentence.endswith("questions 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 not answered.")


@pytest.mark.parametrize("number", [0, 11, -1])
def test_a_question_that_does_not_exist_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=f"no question {number}: the numbers are 1 to 10"):
        naranjo({number: YES})


def test_the_first_of_several_strange_questions_is_named() -> None:
    with pytest.raises(ValueError, match="no question 12"):
        naranjo({1: YES, 12: YES, 0: NO})


def test_an_answer_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="perhaps"):
        naranjo({1: "perhaps"})  # type: ignore[dict-item]


def test_every_answer_and_category_has_a_label() -> None:
    assert set(NARANJO_LABELS) == {*NaranjoAnswer, *NaranjoCategory}
    assert len(set(NARANJO_LABELS.values())) == 7


some_answers = st.dictionaries(st.sampled_from(NUMBERS), st.sampled_from(list(NaranjoAnswer)))


@given(some_answers)
def test_the_score_is_between_minus_4_and_13(answers: dict[int, NaranjoAnswer]) -> None:
    assert -4 <= naranjo(answers).score <= 13


@given(some_answers, st.sampled_from(NUMBERS))
def test_dont_know_adds_nothing_and_answers_the_question(answers: dict[int, NaranjoAnswer], number: int) -> None:
    before = {key: answer for key, answer in answers.items() if key != number}
    after = naranjo(before | {number: DONT_KNOW})
    assert after.score == naranjo(before).score
    assert number not in after.unanswered


@given(some_answers)
def test_a_category_needs_all_ten_answers(answers: dict[int, NaranjoAnswer]) -> None:
    found = naranjo(answers)
    assert (found.category is not None) == found.is_complete == (len(answers) == 10)
    assert set(found.unanswered) == set(NUMBERS) - set(answers)


# Box 2 of PMC6039921.
POINTS_OF = {
    UmcCategory.CERTAIN: (
        UmcPoint.PLAUSIBLE_TIME,
        UmcPoint.NO_OTHER_EXPLANATION,
        UmcPoint.PLAUSIBLE_WITHDRAWAL,
        UmcPoint.DEFINITIVE_EVENT,
        UmcPoint.RECHALLENGE,
    ),
    UmcCategory.PROBABLE: (
        UmcPoint.REASONABLE_TIME,
        UmcPoint.OTHER_CAUSE_UNLIKELY,
        UmcPoint.REASONABLE_WITHDRAWAL,
    ),
    UmcCategory.POSSIBLE: (UmcPoint.REASONABLE_TIME, UmcPoint.OTHER_CAUSE_POSSIBLE),
    UmcCategory.UNLIKELY: (UmcPoint.IMPROBABLE_TIME, UmcPoint.OTHER_CAUSE_PLAUSIBLE),
    UmcCategory.CONDITIONAL: (UmcPoint.MORE_DATA_AWAITED,),
    UmcCategory.UNASSESSABLE: (UmcPoint.CANNOT_JUDGE, UmcPoint.CANNOT_SUPPLEMENT),
}


@pytest.mark.parametrize("category", list(UmcCategory))
def test_a_category_is_supported_when_all_its_points_are_ticked_and_not_before(category: UmcCategory) -> None:
    points = POINTS_OF[category]
    assert who_umc_open_points(category, ()) == points
    assert who_umc_open_points(category, points) == ()
    assert who_umc_supported(points) == [category]
    for point in points:
        others = [other for other in points if other != point]
        assert who_umc_open_points(category, others) == (point,)
        assert category not in who_umc_supported(others)


def test_nothing_ticked_supports_nothing() -> None:
    assert who_umc_supported([]) == []


def test_every_point_ticked_leaves_the_choice_to_a_person_the_strongest_first() -> None:
    assert who_umc_supported(list(UmcPoint)) == list(UmcCategory) == list(POINTS_OF)


def test_every_category_and_point_has_words_of_its_own() -> None:
    assert set(WHO_UMC) == set(UmcCategory)
    assert set(UMC_POINTS) == set(UmcPoint) == {point for points in POINTS_OF.values() for point in points}
    assert len(set(UMC_POINTS.values())) == len(UmcPoint)
    assert len({definition.label for definition in WHO_UMC.values()}) == len(UmcCategory)


def test_what_may_be_missing_is_a_remark_and_no_point() -> None:
    assert [category for category in WHO_UMC if WHO_UMC[category].remark] == [
        UmcCategory.PROBABLE,
        UmcCategory.POSSIBLE,
    ]


@given(st.frozensets(st.sampled_from(list(UmcPoint))), st.sampled_from(list(UmcPoint)))
def test_a_further_tick_never_takes_a_category_away(ticked: frozenset[UmcPoint], more: UmcPoint) -> None:
    assert set(who_umc_supported(ticked)) <= set(who_umc_supported(ticked | {more}))
