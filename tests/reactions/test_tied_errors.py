"""What is wrong with a group of boxes is said where a screen reader looks for it: the group or box names its words."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from patients.models import User
from reactions import recording
from reactions.models import AnaphylaxisRecord, Infusion
from tests.support.factories import suspect
from tests.support.forms import evidence_form, reaction_form

pytestmark = pytest.mark.django_db


@pytest.fixture
def record(infusion: Infusion) -> AnaphylaxisRecord:
    """Suspected, with evidence that meets criteria: the page asks whether it is serious."""
    return suspect(infusion)


def description(answer: Any, tag: str) -> str:
    """The words that the one element of this pattern names as its description."""
    shown = answer.content.decode()
    (element,) = re.findall(tag, shown)
    (named,) = re.findall(r'aria-describedby="([^"]+)"', element)
    (words,) = re.findall(rf'id="{re.escape(named)}"[^>]*>(.*?)</div>', shown, re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", words)).strip()


def controls(answer: Any, name: str) -> list[str]:
    found = re.findall(rf'<input[^>]*name="{name}"[^>]*>', answer.content.decode())
    assert found
    return found


def judge(page: Client, record: AnaphylaxisRecord, **ticked: Any) -> Any:
    page.post(reverse("reactions:anaphylaxis", args=[record.reaction_id]), evidence_form(record, "hives", "dyspnoea"))
    return page.post(reverse("reactions:judge_seriousness", args=[record.reaction_id]), {"seen_version": "2"} | ticked)


def test_an_answer_missing_among_the_criteria_describes_their_group(page: Client, record: AnaphylaxisRecord) -> None:
    answer = judge(page, record)
    assert description(answer, r'<fieldset[^>]*id="seriousness"[^>]*>') == "Tick what is met, or “None of these”."
    assert all('aria-invalid="true"' in box for box in controls(answer, "criteria"))


def test_none_of_these_beside_a_criterion_describes_its_box(page: Client, record: AnaphylaxisRecord) -> None:
    answer = judge(page, record, criteria=["hospitalisation"], none_of_these="on")
    assert "Untick one or the other." in description(answer, r'<input[^>]*name="none_of_these"[^>]*>')
    assert all('aria-invalid="true"' in box for box in controls(answer, "none_of_these"))


def test_a_missing_answer_on_exposure_describes_its_group(page: Client, record: AnaphylaxisRecord) -> None:
    at = reverse("reactions:anaphylaxis", args=[record.reaction_id])
    answer = page.post(at, evidence_form(record, exposure=""))
    group = r'<fieldset[^>]*role="radiogroup"[^>]*>'
    assert description(answer, group) == "Choose an answer; “Not asked” is one."
    assert 'aria-invalid="true"' in re.findall(group, answer.content.decode())[0]
    untouched = re.findall(group, page.get(at).content.decode())[0]
    assert "aria-invalid" not in untouched
    assert "aria-describedby" not in untouched


def test_a_drug_of_the_chairside_that_is_gone_describes_its_group(
    page: Client, infusion: Infusion, nurse: User
) -> None:
    """Between opening the form and sending it, a colleague took one of the drugs back."""
    given = [
        infusion.treatments.create(at=infusion.started_at, drug=drug, created_by=nurse)
        for drug in ("oxygen", "cetirizine")
    ]
    recording.void_treatment(given[0], by=nurse, reason="Not given", seen_version=1, now=timezone.now())
    answer = page.post(
        reverse("reactions:record_reaction", args=[infusion.pk]),
        reaction_form(given_for_it=[str(row.pk) for row in given]),
    )
    assert "is not one of the available choices" in description(answer, r'<fieldset[^>]*class="note"[^>]*>')
    assert all('aria-invalid="true"' in box for box in controls(answer, "given_for_it"))
