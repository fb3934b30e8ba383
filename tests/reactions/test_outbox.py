"""The one way an email leaves: nothing lost, nothing doubled, whatever the mail server does."""

import threading
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from ivigtrack.local import ports, processes
from patients.models import Clinic, Patient, User
from reactions import outbox, recording
from reactions.checkins import due
from reactions.checkins.plan import plan_checkins
from reactions.models import Alert, CheckIn, Infusion, OutboxMessage, Product
from reactions.vocabulary import CheckInKind, CheckInState, MailState
from tests.support.factories import make_checkins, make_infusion, make_patient
from tests.support.smtp_sink import SmtpSink


@pytest.fixture
def checkin(infusion: Infusion) -> CheckIn:
    """Due an hour ago."""
    plan_checkins(infusion, now=timezone.now())
    return infusion.checkins.get(kind=CheckInKind.HOURS_24)


@pytest.fixture
def mail(checkin: CheckIn) -> OutboxMessage:
    due.queue_what_is_due(timezone.now())
    return OutboxMessage.objects.get()


def make_due_again(mail: OutboxMessage) -> None:
    OutboxMessage.objects.filter(pk=mail.pk).update(due_at=timezone.now())


def let_the_lease_run_out(mail: OutboxMessage) -> None:
    OutboxMessage.objects.filter(pk=mail.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_tick_sends_what_is_due_and_another_tick_sends_nothing(checkin: CheckIn, smtp_sink: SmtpSink) -> None:
    report = due.tick()
    assert (report.queued, report.mails) == (1, {"sent": 1})
    assert due.tick().mails == {}
    checkin.refresh_from_db()
    mail = checkin.mails.get()
    assert checkin.state == CheckInState.SENT
    assert checkin.sent_at is not None
    assert (mail.state, mail.attempts, mail.in_doubt, mail.lease_until) == (MailState.SENT, 1, False, None)
    assert [message["Message-ID"] for message in smtp_sink.messages] == [mail.message_id]
    assert smtp_sink.envelopes[0].rcpt_tos == [checkin.patient.email]


def test_planning_a_mail_twice_keeps_the_first(mail: OutboxMessage, checkin: CheckIn) -> None:
    again = outbox.enqueue(
        outbox.MailKind.CHECKIN_INVITATION, key=mail.idempotency_key, due_at=timezone.now(), checkin=checkin
    )
    assert (again.pk, again.message_id) == (mail.pk, mail.message_id)


@pytest.mark.django_db(transaction=True)
def test_two_dispatchers_at_once_send_each_mail_once(clinic: Clinic, smtp_sink: SmtpSink) -> None:
    for _ in range(30):
        make_checkins(make_infusion(make_patient(clinic)))
    assert due.queue_what_is_due(timezone.now()) == 30
    together = threading.Barrier(2)
    shares: list[int] = []

    def dispatch() -> None:
        together.wait()
        try:
            shares.append(outbox.dispatch(batch=3).get("sent", 0))
        finally:
            connection.close()

    dispatchers = [threading.Thread(target=dispatch) for _ in range(2)]
    for dispatcher in dispatchers:
        dispatcher.start()
    for dispatcher in dispatchers:
        dispatcher.join()
    copies = Counter(message["Message-ID"] for message in smtp_sink.messages)
    assert (sum(shares), len(copies), set(copies.values())) == (30, 30, {1})
    assert set(OutboxMessage.objects.values_list("state", "lease_number")) == {(MailState.SENT, 1)}


def test_a_lease_that_ran_out_is_taken_up_again_under_the_same_message_id(
    mail: OutboxMessage, smtp_sink: SmtpSink
) -> None:
    outbox.claim(1)  # ... and the process that claimed it is gone.
    assert outbox.dispatch() == {}
    let_the_lease_run_out(mail)
    assert outbox.dispatch() == {"sent": 1}
    stored = OutboxMessage.objects.get()
    assert (stored.attempts, stored.in_doubt) == (2, True)
    assert [message["Message-ID"] for message in smtp_sink.messages] == [mail.message_id]


def test_who_lost_the_lease_before_sending_sends_nothing(mail: OutboxMessage, smtp_sink: SmtpSink) -> None:
    (late,) = outbox.claim(1)
    late.lease_until = timezone.now() - timedelta(seconds=1)
    assert outbox.deliver(late, outbox.get_connection()) == "overtaken"
    assert smtp_sink.attempts == 0


def test_who_lost_the_lease_while_sending_changes_nothing(
    mail: OutboxMessage, checkin: CheckIn, smtp_sink: SmtpSink
) -> None:
    (slow,) = outbox.claim(1)
    let_the_lease_run_out(mail)
    (fast,) = outbox.claim(1)
    smtp_sink.refuse_next(550)
    transport = outbox.get_connection()
    assert outbox.deliver(slow, transport) == "overtaken"
    mail.refresh_from_db()
    checkin.refresh_from_db()
    assert (mail.state, mail.lease_number) == (MailState.SENDING, 2)
    assert checkin.state == CheckInState.PLANNED
    assert outbox.deliver(fast, transport) == "sent"
    transport.close()


def test_a_refusal_for_now_is_tried_again_later(mail: OutboxMessage, checkin: CheckIn, smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse_next(451, "Busy, tessa@patients.example")
    assert outbox.dispatch() == {"waiting": 1}
    mail.refresh_from_db()
    wait = (mail.due_at - timezone.now()).total_seconds()
    assert 40 < wait < 80
    assert (mail.state, mail.in_doubt) == (MailState.QUEUED, False)
    assert "451 Busy" in mail.last_error
    assert "tessa@" not in mail.last_error
    assert outbox.dispatch() == {}
    make_due_again(mail)
    assert outbox.dispatch() == {"sent": 1}
    assert len(smtp_sink.messages) == 1
    checkin.refresh_from_db()
    assert checkin.state == CheckInState.SENT


def test_a_refusal_for_good_ends_it_and_staff_can_read_why(
    mail: OutboxMessage, checkin: CheckIn, smtp_sink: SmtpSink
) -> None:
    smtp_sink.refuse_next(550, "No such mailbox")
    assert outbox.dispatch() == {"refused": 1}
    make_due_again(mail)
    assert outbox.dispatch() == {}
    checkin.refresh_from_db()
    assert checkin.state == CheckInState.CANCELLED
    assert "550 No such mailbox" in checkin.state_reason


def test_one_refusal_does_not_hold_up_the_rest(clinic: Clinic, smtp_sink: SmtpSink) -> None:
    for _ in range(3):
        plan_checkins(make_infusion(make_patient(clinic)), now=timezone.now())
    smtp_sink.refuse_next(550)
    assert due.tick().mails == {"refused": 1, "sent": 2}


def test_a_line_that_breaks_after_the_data_is_in_doubt_and_the_copy_has_the_same_message_id(
    mail: OutboxMessage, smtp_sink: SmtpSink
) -> None:
    smtp_sink.drop_after_data()
    assert outbox.dispatch() == {"waiting": 1}
    mail.refresh_from_db()
    assert mail.in_doubt
    make_due_again(mail)
    assert outbox.dispatch() == {"sent": 1}
    mail.refresh_from_db()
    assert mail.in_doubt
    assert [message["Message-ID"] for message in smtp_sink.messages] == [mail.message_id] * 2


def test_without_a_mail_server_nothing_is_lost(mail: OutboxMessage, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", ports.any_free()
    assert outbox.dispatch() == {"waiting": 1}
    mail.refresh_from_db()
    assert (mail.state, mail.in_doubt) == (MailState.QUEUED, False)
    with SmtpSink() as sink:
        settings.EMAIL_PORT = sink.port
        make_due_again(mail)
        assert outbox.dispatch() == {"sent": 1}


def test_after_many_attempts_it_is_given_up_and_said(
    mail: OutboxMessage, checkin: CheckIn, smtp_sink: SmtpSink
) -> None:
    OutboxMessage.objects.update(attempts=outbox.MOST_ATTEMPTS - 1)
    smtp_sink.refuse_next(451)
    assert outbox.dispatch() == {"refused": 1}
    checkin.refresh_from_db()
    assert f"after {outbox.MOST_ATTEMPTS} attempts" in checkin.state_reason


def test_a_mail_that_cannot_be_written_does_not_hold_up_the_rest(
    clinic: Clinic, mail: OutboxMessage, smtp_sink: SmtpSink
) -> None:
    bent = make_patient(clinic, email="two\nlines@patients.example")
    plan_checkins(make_infusion(bent), now=timezone.now())
    plan_checkins(make_infusion(make_patient(clinic)), now=timezone.now())
    assert due.tick().mails == {"sent": 2, "waiting": 1}
    assert "BadHeaderError" in OutboxMessage.objects.get(state=MailState.QUEUED).last_error


def test_a_check_in_whose_window_is_over_is_never_sent(
    mail: OutboxMessage, checkin: CheckIn, smtp_sink: SmtpSink
) -> None:
    OutboxMessage.objects.update(expires_at=timezone.now())
    assert outbox.dispatch() == {"expired": 1}
    assert smtp_sink.attempts == 0


def test_after_a_pause_of_the_service_the_missed_ones_are_not_sent(patient: Patient, smtp_sink: SmtpSink) -> None:
    infusion = make_infusion(patient, ended_at=timezone.now() - timedelta(days=3, hours=1))
    plan_checkins(infusion, now=infusion.ended_at)
    assert due.tick().mails == {"sent": 1}
    states = dict(infusion.checkins.values_list("kind", "state"))
    assert states[CheckInKind.HOURS_24] == CheckInState.MISSED
    assert states[CheckInKind.HOURS_72] == CheckInState.SENT


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"email_consent_at": None, "email_consent_by": None}, "has not agreed"),
        ({"email": ""}, "No email address"),
        ({"died_on": "2026-05-01"}, "has died"),
    ],
)
def test_no_mail_to_somebody_who_must_not_get_one(
    mail: OutboxMessage, checkin: CheckIn, smtp_sink: SmtpSink, change: dict[str, object], why: str
) -> None:
    Patient.objects.update(**change)
    assert outbox.dispatch() == {"cancelled": 1}
    checkin.refresh_from_db()
    assert why in checkin.state_reason
    assert smtp_sink.attempts == 0


def test_no_mail_about_a_voided_infusion(
    mail: OutboxMessage, infusion: Infusion, nurse: User, smtp_sink: SmtpSink
) -> None:
    recording.void_infusion(infusion, by=nurse, reason="Wrong patient", seen_version=1, now=timezone.now())
    assert outbox.dispatch() == {"cancelled": 1}
    assert smtp_sink.attempts == 0


def test_no_second_mail_about_what_was_answered_from_the_first(
    mail: OutboxMessage, checkin: CheckIn, smtp_sink: SmtpSink
) -> None:
    smtp_sink.drop_after_data()
    outbox.dispatch()
    recording.submit_answer(checkin, has_problem=False, details={}, symptoms={}, now=timezone.now())
    make_due_again(mail)
    assert outbox.dispatch() == {"cancelled": 1}
    assert len(smtp_sink.messages) == 1
    checkin.refresh_from_db()
    assert checkin.state == CheckInState.ANSWERED


def test_a_check_in_that_moved_while_its_mail_was_claimed_waits_for_its_new_time(
    mail: OutboxMessage, infusion: Infusion, smtp_sink: SmtpSink
) -> None:
    outbox.claim(1)  # ... and the process that claimed it is gone.
    second = make_infusion(
        infusion.patient, course=infusion.course, day=2, ended_at=timezone.now() - timedelta(hours=1)
    )
    plan_checkins(second, now=timezone.now())
    let_the_lease_run_out(mail)
    assert outbox.dispatch() == {"waiting": 1}
    assert smtp_sink.attempts == 0
    mail.refresh_from_db()
    assert mail.due_at == second.ended_at + timedelta(hours=24)


def test_a_mail_that_was_called_off_with_the_end_is_sent_when_the_end_is_written_again(
    mail: OutboxMessage, infusion: Infusion, smtp_sink: SmtpSink
) -> None:
    ended_at = infusion.ended_at
    for end, becomes in ((None, "cancelled"), (ended_at, "sent")):
        infusion.ended_at = end
        infusion.save()
        plan_checkins(infusion, now=timezone.now())
        assert outbox.dispatch() == {becomes: 1}
    assert [message["Message-ID"] for message in smtp_sink.messages] == [mail.message_id]


def test_a_mail_that_moved_expires_with_its_new_window(
    mail: OutboxMessage, checkin: CheckIn, infusion: Infusion, smtp_sink: SmtpSink
) -> None:
    later = make_infusion(infusion.patient, course=infusion.course, day=2, ended_at=timezone.now())
    plan_checkins(later, now=timezone.now())
    mail.refresh_from_db()
    assert (mail.due_at, mail.expires_at) == (
        later.ended_at + timedelta(hours=24),
        later.ended_at + timedelta(hours=72),
    )


def test_an_alert_goes_to_the_clinicians_and_not_again_once_acknowledged(
    checkin: CheckIn, nurse: User, smtp_sink: SmtpSink
) -> None:
    CheckIn.objects.filter(pk=checkin.pk).update(state=CheckInState.SENT, sent_at=timezone.now())
    details = {"began_at": None, "still_there": True, "care_sought": "", "comment": ""}
    recording.submit_answer(
        checkin, has_problem=True, details=details, symptoms={"chest_pain": "severe"}, now=timezone.now()
    )
    assert due.tick().mails == {"sent": 1}
    assert smtp_sink.messages[0]["To"] == nurse.email
    recording.submit_answer(
        checkin, has_problem=True, details=details, symptoms={"chest_pain": "severe"}, now=timezone.now()
    )
    for alert in Alert.objects.open():
        recording.acknowledge_alert(alert, by=nurse, what_was_done="Called back", now=timezone.now())
    assert due.tick().mails == {"cancelled": 1}


@pytest.mark.django_db(transaction=True)
def test_a_real_worker_sends_right_after_an_infusion_is_recorded(
    celery_worker_process: processes.Child, smtp_sink: SmtpSink, patient: Patient, nurse: User, product: Product
) -> None:
    ended_at = timezone.now() - timedelta(hours=25)
    recording.record_infusion(
        by=nurse,
        patient=patient,
        course=None,
        planned_days=1,
        details={
            "day": 1,
            "product": product,
            "setting": "clinic",
            "started_at": ended_at - timedelta(hours=4),
            "ended_at": ended_at,
            "dose_g": 30,
            "weight_kg": 70,
            "premedication_record": "none",
            "reaction_record": "observed",
            "notes": "",
        },
        vials=[],
        premedications=[],
        submission_id=uuid4(),
        now=timezone.now(),
    )
    smtp_sink.wait_for(1)
    assert smtp_sink.messages[0]["To"] == patient.email
