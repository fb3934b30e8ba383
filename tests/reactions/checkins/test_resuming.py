"""What ended for want of mail goes on once mail is wanted and possible again."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from patients.models import AuditEvent, Clinic, Patient
from reactions import recording
from reactions.checkins import due
from reactions.checkins.plan import plan_checkins
from reactions.clinical.schedule import DEFAULT_PLAN
from reactions.models import CheckIn, CheckInPlan, Infusion, OutboxMessage, PlanStep
from reactions.models.checkin import MAIL_REFUSED
from reactions.outbox.line import Line
from reactions.recording.mail import withdraw_email
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
        (
            {"email_consent_at": None, "email_consent_by": None, "email_consent_text": ""},
            "The patient has not agreed to ordinary email.",
        ),
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


def take_consent() -> None:
    Patient.objects.update(email_consent_at=None, email_consent_by=None, email_consent_text="")


def give_consent(infusion: Infusion) -> None:
    Patient.objects.update(
        email_consent_at=timezone.now(),
        email_consent_by=infusion.created_by,
        email_consent_text="2:en",
        email_withdrawn_by_link_at=None,
    )


def test_the_last_day_is_asked_though_an_earlier_day_of_the_course_was(clinic: Clinic) -> None:
    now = timezone.now()
    day_1 = make_infusion(make_patient(clinic), ended_at=now - 50 * HOUR)
    plan_checkins(day_1, now=now - 50 * HOUR)
    due.tick()
    day_2 = make_infusion(day_1.patient, course=day_1.course, day=2, ended_at=now - 25 * HOUR)
    plan_checkins(day_2, now=now)
    take_consent()
    due.tick()
    assert first(day_2).state == CheckInState.CANCELLED
    give_consent(day_1)
    assert due.tick().mails == {"sent": 1}
    assert first(day_2).state == CheckInState.SENT


def test_a_mail_that_arrived_while_the_patient_withdrew_is_not_sent_again(
    infusion: Infusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, withdrawn = Line.send, []

    def withdraw_meanwhile(line: Line, letter: Any) -> Any:
        answer = send(line, letter)
        if not withdrawn:
            withdrawn.append(withdraw_email(first(infusion), now=timezone.now()))
        return answer

    monkeypatch.setattr(Line, "send", withdraw_meanwhile)
    due.tick()
    assert first(infusion).state == CheckInState.CANCELLED
    give_consent(infusion)
    due.tick()
    assert due.tick().mails == {}
    assert len(mail.outbox) == 1
    checkin = first(infusion)
    assert (checkin.state, checkin.sent_at) == (CheckInState.SENT, checkin.mails.get().sent_at)


def test_a_reminder_that_was_called_off_with_its_check_in_follows_the_new_invitation(infusion: Infusion) -> None:
    due.tick()
    CheckIn.objects.filter(state=CheckInState.SENT).update(sent_at=timezone.now() - 25 * HOUR)
    due.queue_reminders(timezone.now())
    invitation = OutboxMessage.objects.get(kind=MailKind.CHECKIN_INVITATION)
    recording.record_bounce(invitation.message_id, words="5.1.1", for_good=True, now=timezone.now())
    due.tick()
    Patient.objects.update(email="right@patients.example")
    assert due.tick().mails == {"sent": 1}
    CheckIn.objects.filter(state=CheckInState.SENT).update(sent_at=timezone.now() - 25 * HOUR)
    assert due.tick().mails == {"sent": 1}


def test_a_reminder_that_waited_while_the_patient_had_withdrawn_goes_after_all(infusion: Infusion) -> None:
    due.tick()
    CheckIn.objects.filter(state=CheckInState.SENT).update(sent_at=timezone.now() - 25 * HOUR)
    due.queue_reminders(timezone.now())
    withdraw_email(first(infusion), now=timezone.now())
    assert due.tick().mails == {"cancelled": 1}
    give_consent(infusion)
    assert due.tick().mails == {"sent": 1}
    assert due.tick().mails == {}


def test_a_step_is_asked_once_of_a_course_that_went_on_meanwhile(infusion: Infusion) -> None:
    now = timezone.now()
    withdraw_email(first(infusion), now=now)
    day_2 = make_infusion(infusion.patient, course=infusion.course, day=2, ended_at=now - HOUR)
    plan_checkins(day_2, now=now)
    due.tick()
    give_consent(infusion)
    due.tick()
    planned = CheckIn.objects.filter(state__in=[CheckInState.PLANNED, CheckInState.SENT])
    assert sorted(planned.values_list("kind", flat=True)) == ["days_28", "days_8", "hours_24", "hours_72"]
    assert set(planned.values_list("infusion", flat=True)) == {day_2.pk}


def test_what_goes_on_does_so_by_the_end_and_the_plan_of_today(clinic: Clinic) -> None:
    now = timezone.now()
    infusion = make_infusion(make_patient(clinic), ended_at=now - HOUR)
    plan_checkins(infusion, now=now)
    withdraw_email(first(infusion), now=now)
    infusion.started_at, infusion.ended_at = now - 24 * HOUR, now - 20 * HOUR
    infusion.save()
    plan = CheckInPlan.objects.create(clinic=clinic, quiet_from=None, sends_from=None)
    for step in DEFAULT_PLAN:
        if step.key != CheckInKind.DAYS_8:
            PlanStep.of_step(plan, step).save()
    due.tick()
    give_consent(infusion)
    due.tick()
    assert first(infusion).state == CheckInState.PLANNED
    assert first(infusion).due_at == infusion.ended_at + 24 * HOUR
    assert infusion.checkins.get(kind=CheckInKind.DAYS_8).state == CheckInState.CANCELLED


def test_what_a_later_check_in_has_overtaken_keeps_its_reason(clinic: Clinic) -> None:
    infusion = make_infusion(make_patient(clinic, email=""), ended_at=timezone.now() - 73 * HOUR)
    plan_checkins(infusion, now=infusion.ended_at)
    due.tick()
    # Both had ended for want of an address.
    CheckIn.objects.filter(kind__in=["hours_24", "hours_72"]).update(
        state=CheckInState.CANCELLED,
        state_reason="No email address is recorded.",
        closes_at=timezone.now() + DAY,
    )
    Patient.objects.update(email="now@patients.example")
    assert due.tick().mails == {"sent": 1}
    assert first(infusion).state_reason == "No email address is recorded."
    assert infusion.checkins.get(kind=CheckInKind.HOURS_72).state == CheckInState.SENT


def test_what_could_not_leave_before_its_window_closes_stays_ended(clinic: Clinic) -> None:
    now = timezone.now()
    local = now.astimezone(clinic.zone)
    CheckInPlan.objects.create(
        clinic=clinic, quiet_from=(local - HOUR).time(), sends_from=(local + 6 * HOUR).time(), applied_to=None
    )
    infusion = make_infusion(make_patient(clinic), ended_at=now - 25 * HOUR)
    plan_checkins(infusion, now=now - 25 * HOUR)
    why = "No email address is recorded."
    CheckIn.objects.filter(pk=first(infusion).pk).update(
        state=CheckInState.CANCELLED, state_reason=why, closes_at=now + 2 * HOUR
    )
    due.tick()
    assert (first(infusion).state, first(infusion).state_reason) == (CheckInState.CANCELLED, why)
