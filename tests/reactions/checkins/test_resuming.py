"""What ended for want of mail goes on once mail is wanted and possible again."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from patients.models import AuditEvent, Clinic, Patient
from reactions.checkins import due
from reactions.checkins.plan import plan_checkins
from reactions.models import CheckIn, Infusion, OutboxMessage
from reactions.models.checkin import MAIL_REFUSED
from reactions.vocabulary import CheckInKind, CheckInState, MailKind, MailState
from tests.support.factories import make_infusion, make_patient

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def infusion(clinic: Clinic) -> Infusion:
    """Over for a day and an hour, so that its first check-in is due."""
    ended_at = timezone.now() - 25 * HOUR
    infusion = make_infusion(make_patient(clinic), ended_at=ended_at)
    plan_checkins(infusion, now=ended_at)
    return infusion


def first(infusion: Infusion) -> CheckIn:
    return infusion.checkins.get(kind=CheckInKind.HOURS_24)


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        ({"email": ""}, "No email address is recorded."),
        ({"email_consent_at": None, "email_consent_by": None}, "The patient has not agreed to ordinary email."),
        ({"died_on": date(2026, 5, 1)}, "The patient has died."),
    ],
)
def test_what_ended_for_want_of_something_is_asked_once_it_is_there(
    infusion: Infusion, missing: dict[str, Any], why: str
) -> None:
    before = Patient.objects.filter(pk=infusion.patient_id).values(*missing).get()
    Patient.objects.update(**missing)
    due.tick()
    assert (first(infusion).state, first(infusion).state_reason) == (CheckInState.CANCELLED, why)
    due.tick()
    assert mail.outbox == []
    Patient.objects.filter(pk=infusion.patient_id).update(**before)
    assert due.tick().mails == {"sent": 1}
    assert due.tick().mails == {}
    assert first(infusion).state == CheckInState.SENT
    event = AuditEvent.objects.get(act="checkin.planned_again")
    assert (event.reason, event.changes) == (why, {"state": ["cancelled", "planned"]})


def test_who_is_invited_once_more_is_reminded_once_more(infusion: Infusion) -> None:
    due.tick()
    CheckIn.objects.filter(state=CheckInState.SENT).update(sent_at=timezone.now() - 25 * HOUR)
    due.tick()
    reminder = OutboxMessage.objects.get(kind=MailKind.CHECKIN_REMINDER)
    assert reminder.state == MailState.SENT
    # The reminder came back, and with it the check-in ended; then somebody said that the address is right.
    ended = CheckIn.objects.filter(pk=reminder.checkin_id)
    ended.update(state=CheckInState.CANCELLED, state_reason="Mail to this address came back. 5.1.1")
    OutboxMessage.objects.filter(pk=reminder.pk).update(state=MailState.BOUNCED, bounced_at=timezone.now())
    assert due.tick().mails == {"sent": 1}
    assert first(infusion).state == CheckInState.SENT
    CheckIn.objects.filter(pk=reminder.checkin_id).update(sent_at=timezone.now() - 25 * HOUR)
    assert due.tick().mails == {"sent": 1}
    subjects = [message.subject for message in mail.outbox]
    assert [subject.split()[0] for subject in subjects] == ["A", "Still", "A", "Still"], subjects


def test_each_infusion_of_a_course_has_its_own_evening(infusion: Infusion) -> None:
    """One evening that ended for want of an address goes on, though that of another day is planned."""
    second = make_infusion(infusion.patient, course=infusion.course, day=2, ended_at=timezone.now() - HOUR)
    now = timezone.now()
    for number, (day, state, why) in enumerate(
        [(infusion, "cancelled", f"{MAIL_REFUSED} 550 5.1.1"), (second, "planned", "")]
    ):
        CheckIn.objects.create(
            course=infusion.course,
            infusion=day,
            kind=CheckInKind.EVENING,
            due_at=now + HOUR,
            closes_at=now + 9 * HOUR,
            state=state,
            state_reason=why,
            link_nonce=b"0" * 16,
            link_hash=f"{number:064}",
        )
    due.tick()
    assert infusion.checkins.get(kind=CheckInKind.EVENING).state == CheckInState.PLANNED


def test_what_is_being_sent_is_let_go_first(infusion: Infusion) -> None:
    due.queue_what_is_due(timezone.now())
    sending = {"state": MailState.SENDING, "lease_until": timezone.now() + HOUR, "tried_at": timezone.now()}
    OutboxMessage.objects.update(**sending)
    CheckIn.objects.filter(kind=CheckInKind.HOURS_24).update(
        state=CheckInState.CANCELLED, state_reason="No email address is recorded."
    )
    due.tick()
    assert first(infusion).state == CheckInState.CANCELLED
