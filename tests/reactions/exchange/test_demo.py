"""A made-up past that looks like practice, and of which nobody has anything to do."""

import io

import pytest
from django.core import mail
from django.core.management import call_command
from django.db.models import Count
from django.utils import timezone

from patients.models import Clinic, Patient
from reactions.checkins import due
from reactions.models import Alert, Answer, CheckIn, OutboxMessage, Report, ReviewDecision, WorkItem
from reactions.models.silence import silent_patients
from reactions.rates.answer import answer
from reactions.rates.question import Question
from reactions.vocabulary import CheckInState, ReviewVerdict

pytestmark = pytest.mark.django_db
LIVE = "DEMO-LIVE"


def live() -> set[int]:
    """The patients whose check-ins are still under way."""
    return {patient.pk for patient in Patient.objects.all() if patient.mrn.startswith(LIVE)}


def fill(**options: object) -> None:
    call_command("demo_data", stdout=io.StringIO(), stderr=io.StringIO(), **options)


def test_checkins_of_the_past_are_over_and_mostly_answered() -> None:
    fill(patients=40, infusions=400)
    past = CheckIn.objects.exclude(infusion__patient__in=live())
    states = dict(past.values_list("state").annotate(count=Count("pk")))
    assert states.keys() == {CheckInState.ANSWERED, CheckInState.EXPIRED}
    assert 0.6 < states[CheckInState.ANSWERED] / sum(states.values()) < 0.9
    assert not past.filter(closes_at__gt=timezone.now()).exists()
    clinics = list(Clinic.objects.filter(slug="demo"))
    assert set(ReviewDecision.objects.values_list("verdict", flat=True)) == set(ReviewVerdict)
    assert answer(Question(source="patient"), clinics).all.events
    everything = answer(Question(), clinics).all
    assert everything.answered < everything.asked <= everything.total


def test_nobody_is_mailed_or_has_anything_to_do_about_the_past() -> None:
    fill(patients=40, infusions=400)
    past = CheckIn.objects.exclude(infusion__patient__in=live())
    before = list(past.order_by("pk").values())
    for _ in range(2):
        due.tick()
    assert list(past.order_by("pk").values()) == before
    assert mail.outbox
    assert not OutboxMessage.objects.exclude(checkin__infusion__patient__in=live()).exists()
    assert not Alert.objects.exclude(patient__in=live()).exists()
    assert not WorkItem.objects.exists()
    assert not Report.objects.to_review().exclude(infusion__patient__in=live()).exists()
    assert not silent_patients(Patient.objects.exclude(pk__in=live()), timezone.now())


def test_a_past_without_checkins_can_be_asked_for() -> None:
    fill(patients=2, infusions=6, no_checkins=True)
    assert not CheckIn.objects.exclude(infusion__patient__in=live()).exists()
    assert Answer.objects.count() == 1
