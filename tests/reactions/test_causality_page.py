"""Judging the cause: the WHO-UMC checklist and the ten questions of Naranjo."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from patients.models import AuditEvent, User
from reactions.models import CausalityAssessment, Infusion, Reaction
from tests.support.factories import make_reaction

pytestmark = pytest.mark.django_db

POSSIBLE = ["reasonable_time", "other_cause_possible"]


@pytest.fixture
def reaction(infusion: Infusion) -> Reaction:
    return make_reaction(infusion)


@pytest.fixture
def umc(reaction: Reaction) -> str:
    return reverse("reactions:causality", args=[reaction.pk])


@pytest.fixture
def ten_questions(umc: str) -> str:
    return f"{umc}?scale=naranjo"


def words_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def sent(**answers: Any) -> dict[str, Any]:
    return {"submission_id": str(uuid4()), "note": ""} | answers


def test_the_page_shows_what_the_ticked_points_support_and_chooses_nothing(page: Client, umc: str) -> None:
    shown = words_of(page.post(umc, sent(show="supported", points=[*POSSIBLE, "more_data_awaited"], note="kept")))
    assert "All points are ticked for: Possible; Conditional / unclassified." in shown
    assert "kept" in shown
    assert "Choose the category." not in shown
    assert not CausalityAssessment.objects.exists()
    assert "No category has all its points ticked." in words_of(page.post(umc, sent(show="1", points=POSSIBLE[:1])))


def test_a_category_with_open_points_is_refused_with_what_is_missing(page: Client, umc: str) -> None:
    shown = words_of(page.post(umc, sent(points=POSSIBLE, category="probable")))
    assert (
        "“Probable / likely” also needs: Disease or another drug is an unlikely cause; "
        "What happened after stopping or slowing makes clinical sense." in shown
    )
    assert not CausalityAssessment.objects.exists()
    assert "Choose the category." in words_of(page.post(umc, sent(points=POSSIBLE)))


def test_the_chosen_category_is_kept_once_and_shown(page: Client, umc: str, reaction: Reaction, nurse: User) -> None:
    data = sent(points=POSSIBLE, category="possible", note="Also a cold")
    page.post(umc, data)
    shown = words_of(page.post(umc, data, follow=True))
    judged = CausalityAssessment.objects.get()
    assert (judged.scale, judged.category, judged.answers) == ("who_umc", "possible", {"points": POSSIBLE})
    assert (judged.judged_by, judged.score) == (nurse, None)
    assert "WHO-UMC: possible" in shown
    assert "Also a cold" in shown
    assert AuditEvent.objects.filter(act="reaction.causality", entity_id=reaction.pk).count() == 1


def naranjo(**answers: str) -> dict[str, Any]:
    given = {f"question_{number}": "dont_know" for number in range(1, 11)}
    return sent(**(given | answers))


def test_ten_answers_make_a_score_and_a_category(page: Client, ten_questions: str) -> None:
    page.post(ten_questions, naranjo(question_1="yes", question_2="yes", question_3="yes", question_5="no"))
    judged = CausalityAssessment.objects.get()
    assert (judged.scale, judged.score, judged.category) == ("naranjo", 6, "probable")
    assert len(judged.answers) == 10


def test_an_unfinished_score_is_saved_said_and_continued(page: Client, ten_questions: str, reaction: Reaction) -> None:
    shown = words_of(page.post(ten_questions, naranjo(question_1="yes", question_2="yes", question_7=""), follow=True))
    judged = CausalityAssessment.objects.get()
    assert (judged.score, judged.category) == (3, "")
    assert "7" not in judged.answers
    assert "Saved, unfinished" in shown
    assert "Naranjo: unfinished, score 3 so far, 9 of 10 questions answered" in shown
    again = words_of(page.get(ten_questions))
    assert "Naranjo score not finished: 3 so far, question 7 not answered." in again


def test_the_score_so_far_can_be_asked_for(page: Client, ten_questions: str) -> None:
    shown = words_of(page.post(ten_questions, sent(show="score", question_2="yes")))
    assert "Naranjo score not finished: 2 so far, questions 1, 3, 4, 5, 6, 7, 8, 9, 10 not answered." in shown
    assert not CausalityAssessment.objects.exists()


def test_the_newest_judgement_counts_and_earlier_ones_stay(
    page: Client, umc: str, ten_questions: str, reaction: Reaction
) -> None:
    page.post(umc, sent(points=POSSIBLE, category="possible"))
    page.post(ten_questions, naranjo())
    shown = words_of(page.get(reverse("reactions:reaction", args=[reaction.pk])))
    assert shown.index("Counts Naranjo: doubtful, score 0") < shown.index("Earlier WHO-UMC: possible")


@pytest.mark.parametrize(
    ("scale", "change"),
    [
        ("who_umc", {"points": ["made_up"], "category": "possible"}),
        ("who_umc", {"points": POSSIBLE, "category": "made_up"}),
        ("naranjo", {"question_1": "maybe"}),
        ("naranjo", {"note": "n" * 501}),
        ("who_umc", {"show": "1", "points": ["made_up"]}),
    ],
)
def test_nonsense_is_refused_with_a_page(page: Client, umc: str, scale: str, change: dict) -> None:
    assert page.post(f"{umc}?scale={scale}", sent(**change)).status_code == 200
    assert not CausalityAssessment.objects.exists()


def test_an_unknown_scale_is_the_usual_one(page: Client, umc: str) -> None:
    assert "Show which categories these support" in words_of(page.get(f"{umc}?scale=nonsense"))


def test_nothing_is_judged_about_a_void_reaction(page: Client, umc: str, reaction: Reaction) -> None:
    page.post(reverse("reactions:void_reaction", args=[reaction.pk]), {"seen_version": "1", "reason": "x"})
    assert page.get(umc).status_code == 404
