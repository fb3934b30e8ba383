"""The worklist: serious reactions and suspected anaphylaxis stay on it until complete and signed."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from patients.models import Clinic, Patient, User
from patients.words import StaffRoleName
from reactions import recording, worklist
from reactions.checkins import due
from reactions.models import Infusion, Reaction, WorkItem
from reactions.vocabulary import CausalityScale
from tests.support import PASSWORD
from tests.support.factories import make_infusion, make_patient, make_reaction, make_staff, suspect
from tests.support.forms import evidence_form, reaction_form
from tests.support.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db

WORKLIST = "/worklist/"


def words_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def serious(infusion: Infusion, **fields: Any) -> Reaction:
    reaction = make_reaction(infusion, is_serious=True, **fields)
    worklist.follow(reaction, now=timezone.now())
    return reaction


def test_an_empty_worklist_says_so(page: Client) -> None:
    assert "Nothing is waiting." in words_of(page.get(WORKLIST))


def test_a_serious_reaction_waits_with_what_is_missing_and_leaves_when_complete(page: Client, patient: Patient) -> None:
    infusion = make_infusion(patient, started_at=timezone.now() - timedelta(days=2))
    zone = patient.clinic.zone

    def clock(minutes: int) -> str:
        return (infusion.started_at + timedelta(minutes=minutes)).astimezone(zone).strftime("%Y-%m-%dT%H:%M")

    times = {"symptoms-0-onset_at": clock(40), "symptoms-1-onset_at": clock(50), "treatments-0-at": clock(45)}
    data = reaction_form(none_of_these="", criteria=["hospitalisation"], outcome="unknown", resolved_at="", **times)
    page.post(reverse("reactions:record_reaction", args=[infusion.pk]), data)
    reaction = Reaction.objects.get()
    shown = words_of(page.get(WORKLIST))
    assert "Tessa Synthetic: Chills, grade 2, Urticaria, grade 1" in shown
    assert "Missing: the final outcome; the cause; a signature" in shown
    assert reverse("reactions:reaction", args=[reaction.pk]) in page.get(WORKLIST).content.decode()

    again = data | {"outcome": "recovered", "seen_version": "1", "reason": "Final"}
    page.post(reverse("reactions:correct_reaction", args=[reaction.pk]), again)
    points = ["reasonable_time", "other_cause_possible"]
    judged = {"submission_id": str(uuid4()), "points": points, "category": "possible", "note": ""}
    page.post(reverse("reactions:causality", args=[reaction.pk]), judged)
    assert "Missing: a signature" in words_of(page.get(WORKLIST))
    sign = {"seen_version": "2", "meaning": "approval", "password": PASSWORD}
    page.post(reverse("reactions:sign", args=[reaction.pk]), sign)
    assert "Nothing is waiting." in words_of(page.get(WORKLIST))
    assert WorkItem.objects.get().closed_because == "Complete and signed."

    page.post(
        reverse("reactions:correct_reaction", args=[reaction.pk]), again | {"seen_version": "2", "narrative": "More"}
    )
    assert "a signature under version 3: version 2 was signed" in words_of(page.get(WORKLIST))


def test_a_cause_judged_while_nothing_else_is_missing_is_seen(infusion: Infusion, nurse: User) -> None:
    """Also by a caller who read the reaction with its judgements before."""
    made = serious(infusion, outcome="recovered")
    reaction = Reaction.objects.prefetch_related("causality").get(pk=made.pk)
    assert worklist.missing(reaction) == ["the cause", "a signature"]
    recording.judge_causality(
        reaction,
        by=nurse,
        scale=CausalityScale.WHO_UMC,
        answers={"points": []},
        category="possible",
        score=None,
        note="",
        submission_id=uuid4(),
        now=timezone.now(),
    )
    assert worklist.missing(Reaction.objects.get()) == ["a signature"]


def test_suspected_anaphylaxis_waits_until_judged_and_criteria_keep_it(page: Client, infusion: Infusion) -> None:
    record = suspect(infusion)
    assert "Anaphylaxis suspected" in words_of(page.get(WORKLIST))
    address = reverse("reactions:anaphylaxis", args=[record.reaction_id])
    page.post(address, evidence_form(record, "hives", "dyspnoea"))
    assert "Meets C1, W1 of anaphylaxis" in words_of(page.get(WORKLIST))
    Reaction.objects.update(is_serious=False)
    worklist.follow(Reaction.objects.get(), now=timezone.now())
    assert "Meets C1, W1 of anaphylaxis" in words_of(page.get(WORKLIST))
    record.refresh_from_db()
    unticked = {name: value for name, value in evidence_form(record).items() if name != "evidence-dyspnoea"}
    page.post(address, unticked)
    assert "Nothing is waiting." in words_of(page.get(WORKLIST))


def test_the_oldest_stands_first(page: Client, clinic: Clinic) -> None:
    for name, days in (("Young", 1), ("Old", 9), ("Middle", 4)):
        reaction = serious(make_infusion(make_patient(clinic, family_name=name)))
        WorkItem.objects.filter(reaction=reaction).update(opened_at=timezone.now() - timedelta(days=days))
    assert re.findall(r"Tessa (\w+):", words_of(page.get(WORKLIST))) == ["Old", "Middle", "Young"]


def test_the_count_stands_beside_the_alerts_for_the_own_clinic(
    page: Client, infusion: Infusion, other_clinic: Clinic
) -> None:
    serious(infusion)
    serious(make_infusion(make_patient(other_clinic)))
    shown = words_of(page.get(reverse("patients:list")))
    assert "Worklist 1 open" in shown
    assert words_of(page.get(WORKLIST)).count("Tessa") == 1


@pytest.mark.parametrize("what", ["reaction", "infusion", "patient"])
def test_what_is_void_is_nobodys_task(page: Client, infusion: Infusion, what: str) -> None:
    reaction = serious(infusion)
    pk = {"reaction": reaction.pk, "infusion": infusion.pk, "patient": infusion.patient_id}[what]
    page.post(reverse(f"reactions:void_{what}", args=[pk]), {"seen_version": "1", "reason": "Mistake"})
    shown = words_of(page.get(WORKLIST))
    assert "Nothing is waiting." in shown
    assert "Worklist 1 open" not in shown


def test_the_list_asks_the_same_queries_however_long_it_is(
    page: Client, clinic: Clinic, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    serious(make_infusion(make_patient(clinic)))
    with django_assert_max_num_queries(21) as one:
        page.get(WORKLIST)
    for _ in range(4):
        serious(make_infusion(make_patient(clinic)))
    with django_assert_max_num_queries(len(one)):
        page.get(WORKLIST)


def test_the_reactions_page_says_what_is_missing(page: Client, infusion: Infusion) -> None:
    reaction = serious(infusion)
    shown = words_of(page.get(reverse("reactions:reaction", args=[reaction.pk])))
    assert "On the worklist. Still missing: the final outcome the cause a signature" in shown


def test_administrators_of_the_clinic_are_told_once_of_a_new_item(
    infusion: Infusion, nurse: User, administrator: User, other_nurse: User, smtp_sink: SmtpSink
) -> None:
    make_staff(infusion.clinic, "left", StaffRoleName.ADMINISTRATOR, is_active=False)
    reaction = serious(infusion)
    worklist.follow(reaction, now=timezone.now())
    due.tick()
    due.tick()
    (mail,) = smtp_sink.messages
    assert mail["To"] == administrator.email
    assert "/worklist/" in mail.get_body(("plain",)).get_content()


def test_no_mail_about_an_item_that_is_closed_by_then(
    infusion: Infusion, administrator: User, smtp_sink: SmtpSink
) -> None:
    worklist.drop(serious(infusion), because="Complete and signed.", now=timezone.now())
    assert due.tick().mails == {"cancelled": 1}
    assert smtp_sink.attempts == 0
