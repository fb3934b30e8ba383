"""The one way an email leaves: nothing lost, nothing doubled, whatever the mail server does."""

import os
import select
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.core.mail import get_connection
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from ivigtrack.local import ports, processes
from patients.models import Clinic, Patient, User
from reactions import outbox, recording, tasks
from reactions.checkins import due
from reactions.checkins.plan import plan_checkins
from reactions.models import Alert, CheckIn, Infusion, OutboxMessage, Product
from reactions.models.checkin import SENT_TOO_LATE
from reactions.outbox import marks, outcomes, sending
from reactions.outbox.line import Letter, Line
from reactions.vocabulary import CheckInKind, CheckInState, MailKind, MailState
from tests.support.at_once import at_once
from tests.support.factories import make_checkins, make_infusion, make_patient, make_staff
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


@pytest.fixture
def red_alert(checkin: CheckIn, nurse: User) -> Alert:
    answer_with(checkin, "chest_pain", "severe")
    return Alert.objects.get()


class Killed(BaseException):
    """The process ends here, whatever it was doing."""


def die(*_: object) -> None:
    raise Killed


def make_due_check_in(clinic: Clinic) -> CheckIn:
    infusion = make_infusion(make_patient(clinic))
    make_checkins(infusion)
    return infusion.checkins.get(kind=CheckInKind.HOURS_24)


def queue_due_check_ins(clinic: Clinic, count: int) -> list[CheckIn]:
    """Of so many patients, their mails waiting in the outbox."""
    made = [make_due_check_in(clinic) for _ in range(count)]
    due.queue_what_is_due(timezone.now())
    return made


def answer_with(checkin: CheckIn, symptom: str, severity: str) -> None:
    recording.submit_answer(
        checkin, has_problem=True, details={"still_there": True}, symptoms={symptom: severity}, now=timezone.now()
    )


def lose_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once: PostgreSQL ends our connection, SQLite says that somebody else has locked it."""
    if connection.vendor == "postgresql":
        pid = connection.connection.info.backend_pid
        with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [pid])
        return
    write = marks._one_after_the_other

    def fail(*_: object) -> None:
        monkeypatch.setattr(marks, "_one_after_the_other", write)
        raise OperationalError("database is locked")

    monkeypatch.setattr(marks, "_one_after_the_other", fail)


def dispatch_in_thread() -> None:
    try:
        outbox.dispatch()
    finally:
        connection.close()


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
        MailKind.CHECKIN_INVITATION, key=mail.idempotency_key, due_at=timezone.now(), checkin=checkin
    )
    assert (again.pk, again.message_id) == (mail.pk, mail.message_id)


@pytest.mark.django_db(transaction=True)
def test_two_dispatchers_at_once_send_each_mail_once(clinic: Clinic, smtp_sink: SmtpSink) -> None:
    for _ in range(30):
        make_checkins(make_infusion(make_patient(clinic)))
    assert due.queue_what_is_due(timezone.now()) == 30
    shares = at_once(*[lambda: outbox.dispatch(batch=3).get("sent", 0)] * 2)
    copies = Counter(message["Message-ID"] for message in smtp_sink.messages)
    assert (sum(shares), len(copies), set(copies.values())) == (30, 30, {1})
    assert set(OutboxMessage.objects.values_list("state", "lease_number")) == {(MailState.SENT, 1)}


def test_a_lease_that_ran_out_while_sending_is_taken_up_again_under_the_same_message_id(
    mail: OutboxMessage, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Line, "send", die)
        with pytest.raises(Killed):
            outbox.dispatch()
    assert outbox.dispatch() == {}
    let_the_lease_run_out(mail)
    assert outbox.dispatch() == {"sent": 1}
    stored = OutboxMessage.objects.get()
    assert (stored.attempts, stored.in_doubt) == (2, True)
    assert [message["Message-ID"] for message in smtp_sink.messages] == [mail.message_id]


def test_a_lease_that_ran_out_before_the_mail_was_tried_leaves_no_doubt_and_costs_no_attempt(
    mail: OutboxMessage, smtp_sink: SmtpSink
) -> None:
    outbox.claim(1)  # ... and the process that claimed it is gone.
    assert outbox.dispatch() == {}
    let_the_lease_run_out(mail)
    assert outbox.dispatch() == {"sent": 1}
    stored = OutboxMessage.objects.get()
    assert (stored.attempts, stored.in_doubt) == (1, False)


def test_who_lost_the_lease_before_sending_sends_nothing(mail: OutboxMessage, smtp_sink: SmtpSink) -> None:
    (late,) = outbox.claim(1)
    let_the_lease_run_out(mail)
    transport = get_connection()
    assert outbox.deliver(late, transport) == "overtaken"
    transport.close()
    assert smtp_sink.attempts == 0


def test_who_lost_the_lease_while_sending_changes_nothing(
    mail: OutboxMessage, checkin: CheckIn, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    (slow,) = outbox.claim(1)
    fast: list[OutboxMessage] = []
    send = Line.send

    def lose_the_lease(line: Line, letter: Letter) -> None:
        let_the_lease_run_out(mail)
        fast.extend(outbox.claim(1))
        send(line, letter)

    smtp_sink.refuse_next(451)
    transport = get_connection()
    with monkeypatch.context() as patch:
        patch.setattr(Line, "send", lose_the_lease)
        assert outbox.deliver(slow, transport) == "overtaken"
    mail.refresh_from_db()
    checkin.refresh_from_db()
    assert (mail.state, mail.lease_number) == (MailState.SENDING, 2)
    assert checkin.state == CheckInState.PLANNED
    assert outbox.deliver(fast[0], transport) == "sent"
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
    smtp_sink.refuse_next_recipient(550, "5.1.1 No such mailbox")
    assert outbox.dispatch() == {"refused": 1}
    make_due_again(mail)
    assert outbox.dispatch() == {}
    checkin.refresh_from_db()
    assert checkin.state == CheckInState.CANCELLED
    assert "550 5.1.1 No such mailbox" in checkin.state_reason


def test_one_refusal_does_not_hold_up_the_rest(clinic: Clinic, smtp_sink: SmtpSink) -> None:
    for _ in range(3):
        plan_checkins(make_infusion(make_patient(clinic)), now=timezone.now())
    smtp_sink.refuse_next_recipient(550)
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


@pytest.mark.parametrize(
    ("where", "code", "text", "outcome"),
    [
        ("sender", 550, "Account suspended", "waiting"),
        ("sender", 452, "4.3.1 Quota exceeded", "waiting"),
        ("data", 550, "Daily sending quota exceeded", "waiting"),
        ("data", 554, "5.7.1 Message rejected as spam", "waiting"),
        ("recipient", 450, "Mailbox busy", "put_off"),
        ("recipient", 450, "4.7.1 Greylisted, come back later", "put_off"),
        ("recipient", 451, "4.3.2 System not accepting mail", "waiting"),
        ("recipient", 530, "Authentication required", "waiting"),
        ("recipient", 554, "5.7.1 Relay access denied", "waiting"),
        ("recipient", 550, "5.1.8 Sender's domain not found", "waiting"),
        ("recipient", 552, "5.2.2 Mailbox full", "put_off"),
    ],
)
def test_what_is_not_the_recipients_fault_never_ends_a_check_in(
    mail: OutboxMessage, checkin: CheckIn, smtp_sink: SmtpSink, where: str, code: int, text: str, outcome: str
) -> None:
    refuse = {
        "sender": smtp_sink.refuse_next_sender,
        "recipient": smtp_sink.refuse_next_recipient,
        "data": smtp_sink.refuse_next,
    }[where]
    OutboxMessage.objects.update(attempts=40)
    refuse(code, text)
    assert outbox.dispatch() == {outcome: 1}
    mail.refresh_from_db()
    assert f"{code} {text}" in mail.last_error
    assert 0.8 * 3600 <= (mail.due_at - timezone.now()).total_seconds() + 5 <= 1.2 * 3600 + 5
    make_due_again(mail)
    assert outbox.dispatch() == {"sent": 1}
    checkin.refresh_from_db()
    assert checkin.state == CheckInState.SENT


def test_a_wrong_password_of_ours_ends_nothing_and_the_rest_is_not_tried_in_vain(
    clinic: Clinic, smtp_sink: SmtpSink, settings: Settings
) -> None:
    for _ in range(3):
        plan_checkins(make_infusion(make_patient(clinic)), now=timezone.now())
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "clinic", "wrong"
    assert due.tick().mails == {"waiting": 1}
    rows = OutboxMessage.objects.values_list("state", "attempts")
    assert sorted(rows) == [("queued", 0), ("queued", 0), ("queued", 1)]
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    OutboxMessage.objects.update(due_at=timezone.now())
    assert due.tick().mails == {"sent": 3}


def test_an_outage_until_the_window_closes_is_said_with_its_cause(
    mail: OutboxMessage, checkin: CheckIn, smtp_sink: SmtpSink
) -> None:
    smtp_sink.refuse_next_sender(550, "Account suspended")
    outbox.dispatch()
    over = timezone.now() - timedelta(seconds=1)
    OutboxMessage.objects.update(due_at=over, expires_at=over)
    CheckIn.objects.filter(pk=checkin.pk).update(due_at=over - timedelta(hours=1), closes_at=over)
    assert due.tick().mails == {"expired": 1}
    mail.refresh_from_db()
    checkin.refresh_from_db()
    assert "Account suspended" in mail.last_error
    assert (checkin.state, checkin.state_reason) == (CheckInState.MISSED, SENT_TOO_LATE)


def test_an_alert_is_tried_without_end_and_at_least_every_few_minutes(
    red_alert: Alert, smtp_sink: SmtpSink, settings: Settings
) -> None:
    mail = red_alert.mails.get()
    OutboxMessage.objects.update(attempts=40_000)
    smtp_sink.refuse_next(550, "Quota exceeded")
    assert outbox.dispatch() == {"waiting": 1}
    mail.refresh_from_db()
    assert mail.due_at - timezone.now() <= 1.2 * outcomes.LONGEST_WAIT_FOR_ALERTS
    make_due_again(mail)
    assert outbox.dispatch() == {"sent": 1}


def test_a_refused_check_in_is_sent_once_the_address_is_corrected_and_not_before(
    mail: OutboxMessage, checkin: CheckIn, patient: Patient, nurse: User, client: Client, smtp_sink: SmtpSink
) -> None:
    smtp_sink.refuse_next_recipient(550, "5.1.1 No such mailbox")
    assert due.tick().mails == {"refused": 1}
    assert due.tick().mails == {}
    client.force_login(nurse)
    form = {
        name: getattr(patient, name) or ""
        for name in ("mrn", "given_name", "family_name", "birth_date", "sex", "language")
    }
    corrected = {"email": "right@patients.example", "email_consent": "on", "seen_version": patient.version}
    assert client.post(reverse("patients:correct", args=[patient.pk]), form | corrected).status_code == 302
    assert due.tick().mails == {"sent": 1}
    assert smtp_sink.envelopes[0].rcpt_tos == ["right@patients.example"]
    checkin.refresh_from_db()
    mail.refresh_from_db()
    assert (checkin.state, checkin.state_reason) == (CheckInState.SENT, "")
    assert (mail.state, mail.attempts, mail.refused_address) == (MailState.SENT, 1, "")


def test_a_corrected_address_wakes_nothing_whose_window_is_over_or_that_was_voided(
    mail: OutboxMessage, patient: Patient, smtp_sink: SmtpSink
) -> None:
    smtp_sink.refuse_next_recipient(550)
    due.tick()
    Patient.objects.update(email="right@patients.example")
    ended = CheckIn.objects.filter(state=CheckInState.CANCELLED)
    ended.update(closes_at=timezone.now())
    assert due.tick().mails == {}
    ended.update(closes_at=timezone.now() + timedelta(hours=1))
    CheckIn.objects.filter(state=CheckInState.CANCELLED).update(state_reason="The infusion was voided.")
    assert due.tick().mails == {}
    assert smtp_sink.attempts == 0


def test_red_goes_before_amber_and_amber_before_check_ins_that_wait_longer(
    clinic: Clinic, checkin: CheckIn, mail: OutboxMessage, nurse: User, smtp_sink: SmtpSink
) -> None:
    others = [make_due_check_in(clinic) for _ in range(2)]
    answer_with(others[0], "headache", "severe")
    answer_with(others[1], "chest_pain", "mild")
    assert due.tick().mails == {"sent": 3}
    assert [message["Subject"].split()[0] for message in smtp_sink.messages] == ["RED", "AMBER", "A"]


def test_an_alert_that_comes_while_check_ins_are_sent_goes_next(
    clinic: Clinic, nurse: User, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = queue_due_check_ins(clinic, 4)
    send = Line.send

    def send_and_get_an_answer(line: Line, letter: Letter) -> None:
        if not smtp_sink.messages:
            answer_with(waiting[-1], "chest_pain", "mild")
            time.sleep(sending.FRESH_FOR_S)
        send(line, letter)

    monkeypatch.setattr(Line, "send", send_and_get_an_answer)
    assert outbox.dispatch() == {"sent": 4, "cancelled": 1}
    assert [message["Subject"].split()[0] for message in smtp_sink.messages] == ["A", "RED", "A", "A"]
    assert set(OutboxMessage.objects.filter(state="sent").values_list("attempts", "in_doubt")) == {(1, False)}


@pytest.mark.django_db(transaction=True)
def test_one_mail_that_hangs_holds_up_neither_the_alert_nor_the_rest(
    clinic: Clinic, nurse: User, smtp_sink: SmtpSink, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two dispatchers, a mail server that says nothing after the data of one mail, and little time."""
    settings.EMAIL_TIMEOUT = 3
    monkeypatch.setattr(sending, "STOP_AFTER_S", 2)
    queue_due_check_ins(clinic, 6)
    smtp_sink.hang_after_data()
    first = threading.Thread(target=dispatch_in_thread)
    first.start()
    smtp_sink.wait_for(1)
    answered = CheckIn.objects.exclude(mails__state=MailState.SENDING).first() or make_due_check_in(clinic)
    answer_with(answered, "chest_pain", "mild")
    began = time.monotonic()
    second = threading.Thread(target=dispatch_in_thread)
    second.start()
    smtp_sink.wait_for(2)
    assert time.monotonic() - began < 2
    assert smtp_sink.messages[1]["Subject"].startswith("RED")
    for dispatcher in (first, second):
        dispatcher.join()
    hung = OutboxMessage.objects.get(message_id=smtp_sink.messages[0]["Message-ID"])
    assert (hung.state, hung.attempts, hung.in_doubt) == (MailState.QUEUED, 1, True)
    rest = OutboxMessage.objects.exclude(pk=hung.pk).filter(checkin__isnull=False)
    assert set(rest.values_list("state", "attempts", "in_doubt", "lease_until")) == {(MailState.QUEUED, 0, False, None)}
    monkeypatch.setattr(sending, "STOP_AFTER_S", 30)
    assert outbox.dispatch()["sent"] == rest.count()
    copies = Counter(message["Message-ID"] for message in smtp_sink.messages)
    assert set(copies.values()) == {1}


def test_the_clock_is_looked_at_before_every_mail_and_what_is_left_is_given_back(
    clinic: Clinic, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_due_check_ins(clinic, 5)
    send, took = Line.send, []

    def take_20_seconds(line: Line, letter: Letter) -> None:
        send(line, letter)
        took.append(20)

    monkeypatch.setattr(Line, "send", take_20_seconds)
    monkeypatch.setattr(sending.time, "monotonic", lambda: sum(took))
    assert outbox.dispatch() == {"sent": 3}
    left = OutboxMessage.objects.exclude(state=MailState.SENT)
    assert set(left.values_list("state", "attempts", "in_doubt", "lease_until")) == {(MailState.QUEUED, 0, False, None)}
    monkeypatch.undo()


def test_a_try_that_the_time_limit_ends_is_in_doubt_and_the_rest_is_given_back(
    clinic: Clinic, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_due_check_ins(clinic, 3)
    begins_no_more_after_s = 0.5

    def time_is_up(*_: object) -> None:
        time.sleep(begins_no_more_after_s)
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(sending, "STOP_AFTER_S", begins_no_more_after_s)
    monkeypatch.setattr(Line, "send", time_is_up)
    assert outbox.dispatch() == {"waiting": 1}
    assert sorted(OutboxMessage.objects.values_list("attempts", "in_doubt")) == [(0, False), (0, False), (1, True)]
    assert {row.lease_until for row in OutboxMessage.objects.all()} == {None}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", ["_mark", "_settle_first", "_may_send"])
def test_a_time_limit_between_a_mail_and_its_mark_loses_no_mark(
    clinic: Clinic, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    queue_due_check_ins(clinic, 5)
    monkeypatch.setattr(marks, "PAUSE_S", 0.01)
    go_on, is_over = getattr(sending.Run, step), []

    def time_is_up(run: sending.Run, *given: Any, **named: Any) -> Any:
        if len(smtp_sink.messages) == 2 and not is_over:
            is_over.append(True)
            raise SoftTimeLimitExceeded
        return go_on(run, *given, **named)

    monkeypatch.setattr(sending.Run, step, time_is_up)
    for _ in range(2):
        with suppress(SoftTimeLimitExceeded):
            outbox.dispatch()
    assert is_over
    OutboxMessage.objects.filter(state=MailState.QUEUED).update(due_at=timezone.now())
    outbox.dispatch()
    assert set(OutboxMessage.objects.values_list("state", "in_doubt")) == {(MailState.SENT, False)}
    assert set(Counter(message["Message-ID"] for message in smtp_sink.messages).values()) == {1}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("call", range(1, 6))
def test_a_time_limit_while_a_mark_is_read_loses_no_mark(
    clinic: Clinic, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    queue_due_check_ins(clinic, 4)
    monkeypatch.setattr(marks, "PAUSE_S", 0.01)
    on_postgresql = connection.vendor == "postgresql"
    where = (marks, "_until_sync") if on_postgresql else (marks, "_transaction_of_sqlite")
    read, calls, now = getattr(*where), [], time.monotonic

    def time_is_up(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == call:
            if on_postgresql:
                list(read(*given))
            # As the limit does, when no database that is away is waited for any more.
            monkeypatch.setattr(marks.time, "monotonic", lambda: now() + sending.STOP_AFTER_S + sending.MARK_WITHIN_S)
            raise SoftTimeLimitExceeded
        return read(*given)

    monkeypatch.setattr(*where, time_is_up)
    for _ in range(3):
        OutboxMessage.objects.filter(state=MailState.QUEUED).update(due_at=timezone.now())
        with suppress(SoftTimeLimitExceeded):
            outbox.dispatch()
    assert set(OutboxMessage.objects.values_list("state", "in_doubt")) == {(MailState.SENT, False)}
    assert set(Counter(message["Message-ID"] for message in smtp_sink.messages).values()) == {1}


def test_a_mail_that_cannot_be_written_does_not_hold_up_the_rest(
    clinic: Clinic, mail: OutboxMessage, smtp_sink: SmtpSink
) -> None:
    bent = make_patient(clinic, email="two\nlines@patients.example")
    plan_checkins(make_infusion(bent), now=timezone.now())
    plan_checkins(make_infusion(make_patient(clinic)), now=timezone.now())
    assert due.tick().mails == {"sent": 2, "unwritten": 1}
    assert "BadHeaderError" in OutboxMessage.objects.get(state=MailState.QUEUED).last_error


def test_a_check_in_whose_window_is_over_is_never_sent(
    mail: OutboxMessage, checkin: CheckIn, smtp_sink: SmtpSink
) -> None:
    now = timezone.now()
    CheckIn.objects.filter(pk=checkin.pk).update(due_at=now - timedelta(hours=1), closes_at=now)
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
        ({"email_consent_at": None, "email_consent_by": None, "email_consent_text": ""}, "has not agreed"),
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


def test_consent_withdrawn_after_the_batch_was_claimed_counts(clinic: Clinic, smtp_sink: SmtpSink) -> None:
    first, second = queue_due_check_ins(clinic, 2)
    claimed = outbox.claim(2)
    Patient.objects.filter(pk=second.patient.pk).update(
        email_consent_at=None, email_consent_by=None, email_consent_text=""
    )
    transport = get_connection()
    assert [outbox.deliver(message, transport) for message in claimed] == ["sent", "cancelled"]
    transport.close()
    assert [message["To"] for message in smtp_sink.messages] == [first.patient.email]


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
    assert outbox.dispatch() == {"moved": 1}
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


def test_a_mail_that_moved_begins_anew_and_one_that_did_not_keeps_its_turn(
    mail: OutboxMessage, checkin: CheckIn, smtp_sink: SmtpSink
) -> None:
    smtp_sink.refuse_next(451, "Busy")
    OutboxMessage.objects.update(attempts=40)
    outbox.dispatch()
    mail.refresh_from_db()
    waiting = (41, "451 Busy", mail.due_at)
    plan_checkins(checkin.infusion, now=timezone.now())
    mail.refresh_from_db()
    assert (mail.attempts, mail.last_error, mail.due_at) == waiting
    infusion = checkin.infusion
    infusion.ended_at += timedelta(minutes=5)
    infusion.save()
    plan_checkins(infusion, now=timezone.now())
    mail.refresh_from_db()
    assert (mail.attempts, mail.last_error) == (0, "")
    assert mail.due_at <= timezone.now()
    smtp_sink.refuse_next(451, "Busy")
    make_due_again(mail)
    outbox.dispatch()
    mail.refresh_from_db()
    assert (mail.due_at - timezone.now()).total_seconds() < 80


def test_a_mail_that_was_called_off_and_is_queued_again_says_nothing_of_before(
    mail: OutboxMessage, checkin: CheckIn
) -> None:
    OutboxMessage.objects.update(state=MailState.CANCELLED, attempts=3, last_error="The infusion was voided.")
    outbox.queue_called_off(mail.idempotency_key, timezone.now())
    mail.refresh_from_db()
    assert (mail.state, mail.attempts, mail.last_error) == (MailState.QUEUED, 0, "")


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


def test_an_alert_goes_to_the_clinicians(red_alert: Alert, nurse: User, smtp_sink: SmtpSink) -> None:
    make_staff(red_alert.patient.clinic, "left", is_active=False)
    assert due.tick().mails == {"sent": 1}
    assert smtp_sink.messages[0]["To"] == nurse.email
    assert due.tick().mails == {}


def test_an_alert_stays_in_its_clinic_and_goes_to_who_works_there_as_a_clinician(
    checkin: CheckIn, nurse: User, administrator: User, other_nurse: User, smtp_sink: SmtpSink
) -> None:
    ended = make_staff(checkin.patient.clinic, "ended")
    ended.roles.update(is_active=False)
    answer_with(checkin, "chest_pain", "severe")
    due.tick()
    assert [message["To"] for message in smtp_sink.messages] == [nurse.email]


@pytest.mark.parametrize("change", ["address", "account", "role"])
def test_no_alert_to_somebody_who_left_after_it_was_planned(
    red_alert: Alert, nurse: User, smtp_sink: SmtpSink, change: str
) -> None:
    if change == "address":
        User.objects.filter(pk=nurse.pk).update(email="")
    elif change == "account":
        User.objects.filter(pk=nurse.pk).update(is_active=False)
    else:
        nurse.roles.update(is_active=False)
    assert due.tick().mails == {"cancelled": 1}
    assert smtp_sink.attempts == 0


def test_who_lost_the_address_for_a_while_is_told_when_it_is_back(
    red_alert: Alert, nurse: User, smtp_sink: SmtpSink
) -> None:
    User.objects.filter(pk=nurse.pk).update(email="")
    assert due.tick().mails == {"cancelled": 1}
    assert due.tick().mails == {}
    assert Alert.objects.untold(waited_since=red_alert.raised_at - timedelta(minutes=1)).exists()
    User.objects.filter(pk=nurse.pk).update(email="nora@staff.example")
    assert due.tick().mails == {"sent": 1}
    assert due.tick().mails == {}


def test_no_mail_about_an_alert_that_is_acknowledged(red_alert: Alert, nurse: User, smtp_sink: SmtpSink) -> None:
    recording.acknowledge_alert(red_alert, by=nurse, what_was_done="Called back", now=timezone.now())
    assert due.tick().mails == {"cancelled": 1}
    assert due.tick().mails == {}


def test_where_no_clinician_can_be_reached_the_administrators_are_told(
    clinic: Clinic, checkin: CheckIn, nurse: User, administrator: User, smtp_sink: SmtpSink
) -> None:
    clinic.roles.exclude(user=administrator).update(is_active=False)
    answer_with(checkin, "chest_pain", "mild")
    assert due.tick().mails == {"sent": 1}
    assert smtp_sink.messages[0]["To"] == administrator.email


def test_where_a_clinicians_address_is_refused_the_administrators_are_told(
    red_alert: Alert, nurse: User, administrator: User, smtp_sink: SmtpSink
) -> None:
    smtp_sink.refuse_next_recipient(550, "5.1.1 No such mailbox")
    assert due.tick().mails == {"refused": 1}
    assert due.tick().mails == {"sent": 1}
    assert smtp_sink.messages[0]["To"] == administrator.email
    User.objects.filter(pk=nurse.pk).update(email="corrected@staff.example")
    assert due.tick().mails == {"sent": 1}
    assert smtp_sink.messages[1]["To"] == "corrected@staff.example"


def test_an_alert_that_can_reach_nobody_is_logged_and_sent_as_soon_as_somebody_has_an_address(
    clinic: Clinic, checkin: CheckIn, nurse: User, smtp_sink: SmtpSink, caplog: pytest.LogCaptureFixture
) -> None:
    User.objects.update(email="")
    answer_with(checkin, "chest_pain", "mild")
    assert "can reach nobody" in caplog.text
    assert list(Alert.objects.untold(waited_since=timezone.now())) == [Alert.objects.get()]
    assert due.tick().mails == {}
    User.objects.filter(pk=nurse.pk).update(email="nora@staff.example")
    assert due.tick().mails == {"sent": 1}
    assert not Alert.objects.untold(waited_since=timezone.now()).exists()


def test_an_alert_whose_mail_waits_for_long_has_reached_nobody(red_alert: Alert) -> None:
    before, after = red_alert.raised_at - timedelta(minutes=1), red_alert.raised_at + timedelta(minutes=1)
    assert not Alert.objects.untold(waited_since=before).exists()
    assert Alert.objects.untold(waited_since=after).exists()


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
            "dose_g": Decimal(30),
            "weight_kg": Decimal(70),
            "premedication_record": "none",
            "reaction_record": "observed",
            "notes": "",
        },
        vials=[],
        premedications=[],
        acknowledged=recording.Acknowledgement("Known"),
        submission_id=uuid4(),
        now=timezone.now(),
    )
    smtp_sink.wait_for(1)
    assert smtp_sink.messages[0]["To"] == patient.email


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("told", ["the worker", "all its processes"])
def test_a_worker_that_is_told_to_end_finishes_its_mail_and_gives_back_the_rest(
    celery_worker_process: processes.Child, smtp_sink: SmtpSink, clinic: Clinic, told: str
) -> None:
    for _ in range(5):
        make_due_check_in(clinic)
    smtp_sink.hang_after_data(seconds=1)
    tasks.wake()
    smtp_sink.wait_for(1)
    tell = os.kill if told == "the worker" else os.killpg
    tell(celery_worker_process.process.pid, signal.SIGTERM)
    ends_by = time.monotonic() + 15
    while not celery_worker_process.has_ended():
        assert time.monotonic() < ends_by
        time.sleep(0.05)
    assert len(smtp_sink.messages) == 1
    rows = Counter(OutboxMessage.objects.values_list("state", "attempts", "in_doubt", "lease_until"))
    assert rows == {(MailState.SENT, 1, False, None): 1, (MailState.QUEUED, 0, False, None): 4}


@pytest.mark.django_db(transaction=True)
def test_a_database_that_goes_away_before_the_mark_makes_no_second_copy(
    clinic: Clinic, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_due_check_ins(clinic, 1)
    send = Line.send

    def send_and_lose_the_database(line: Line, letter: Letter) -> None:
        send(line, letter)
        lose_the_database(monkeypatch)

    monkeypatch.setattr(marks, "PAUSE_S", 0.01)
    monkeypatch.setattr(Line, "send", send_and_lose_the_database)
    assert outbox.dispatch() == {"sent": 1}
    assert set(OutboxMessage.objects.values_list("state", "attempts", "in_doubt")) == {(MailState.SENT, 1, False)}
    assert len(smtp_sink.messages) == 1


@pytest.mark.django_db(transaction=True)
def test_a_database_that_goes_away_with_notes_of_several_mails_under_way_makes_no_second_copy(
    clinic: Clinic, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_due_check_ins(clinic, 6)
    send = Line.send

    def send_and_lose_the_database(line: Line, letter: Letter) -> None:
        send(line, letter)
        if len(smtp_sink.messages) in {1, 3, 4}:
            lose_the_database(monkeypatch)

    monkeypatch.setattr(marks, "PAUSE_S", 0.01)
    monkeypatch.setattr(Line, "send", send_and_lose_the_database)
    for _ in range(4):
        # A tick that asked the database something at that moment ends; the next one goes on.
        with suppress(OperationalError):
            outbox.dispatch()
    assert set(OutboxMessage.objects.values_list("state", "in_doubt")) == {(MailState.SENT, False)}
    assert set(Counter(message["Message-ID"] for message in smtp_sink.messages).values()) == {1}
    # What was noted twice over the loss was tried once.
    assert max(OutboxMessage.objects.values_list("attempts", flat=True)) <= 2


@pytest.mark.django_db(transaction=True)
def test_a_database_that_says_nothing_more_is_asked_on_another_connection(
    clinic: Clinic, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_due_check_ins(clinic, 3)
    wait, first = select.select, []

    def says_nothing(readable: Any, writable: Any, failing: Any, timeout: float) -> Any:
        first.append(connection.connection)
        return ([], [], []) if connection.connection is first[0] else wait(readable, writable, failing, timeout)

    monkeypatch.setattr(marks.select, "select", says_nothing)
    for _ in range(3):
        with suppress(OperationalError):
            outbox.dispatch()
    assert bool(first) == (connection.vendor == "postgresql")
    assert set(OutboxMessage.objects.values_list("state", "in_doubt")) == {(MailState.SENT, False)}
    assert set(Counter(message["Message-ID"] for message in smtp_sink.messages).values()) == {1}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("why", ["the database was away", "told to end"])
def test_what_was_noted_long_ago_or_before_the_end_is_looked_at_again(
    clinic: Clinic, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    queue_due_check_ins(clinic, 4)
    next_one, times = sending.Run._next, []

    def waits(run: sending.Run) -> Any:
        upcoming = next_one(run)
        times.append(upcoming)
        if upcoming and len(times) == 3:
            if why == "told to end":
                monkeypatch.setattr(sending.stopping, "is_told", lambda: True)
            else:
                Patient.objects.update(died_on=timezone.localdate())
                monkeypatch.setattr(sending, "NOTED_FOR_S", -1)
                monkeypatch.setattr(sending, "FRESH_FOR_S", -1)
        return upcoming

    monkeypatch.setattr(sending.Run, "_next", waits)
    outbox.dispatch()
    # PostgreSQL has two noted by then, and none sent.
    assert len(smtp_sink.messages) == (0 if connection.vendor == "postgresql" else 1)
    assert {row.tried_at for row in OutboxMessage.objects.all()} == {None}
    assert not OutboxMessage.objects.filter(state=MailState.SENDING).exists()


@pytest.mark.django_db(transaction=True)
def test_behind_a_pooler_that_changes_connections_each_mail_leaves_and_is_marked_once(
    clinic: Clinic, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The statement was prepared on another connection than the one that is asked for it."""
    queue_due_check_ins(clinic, 6)
    prepared = marks.Prepared()

    def prepare_elsewhere(server: object) -> None:
        if prepared._is_possible:
            prepared._on.add(connection.connection)

    monkeypatch.setattr(prepared, "prepare", prepare_elsewhere)
    monkeypatch.setattr(marks, "prepared", prepared)
    monkeypatch.setattr(marks, "PAUSE_S", 0.01)
    for _ in range(3):
        with suppress(OperationalError):
            outbox.dispatch()
    assert set(OutboxMessage.objects.values_list("state", "in_doubt")) == {(MailState.SENT, False)}
    assert set(Counter(message["Message-ID"] for message in smtp_sink.messages).values()) == {1}
    assert ("DISABLE_SERVER_SIDE_CURSORS" in caplog.text) == (connection.vendor == "postgresql")


def test_the_last_mail_is_marked_or_given_up_before_the_time_limit_of_the_task(settings: Settings) -> None:
    """It begins at STOP_AFTER_S, hangs for the mail timeout, and the limit must not end its marking."""
    given_up_after = sending.STOP_AFTER_S + sending.MARK_WITHIN_S
    assert given_up_after > sending.STOP_AFTER_S + settings.EMAIL_TIMEOUT
    # What the tick does before it sends counts as well.
    assert given_up_after + 5 < settings.CELERY_TASK_SOFT_TIME_LIMIT


@pytest.mark.django_db(transaction=True)
def test_a_database_that_stays_away_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[float] = []

    def is_away() -> None:
        tries.append(time.monotonic())
        raise OperationalError("away")

    monkeypatch.setattr(marks, "PAUSE_S", 0.01)
    until = time.monotonic() + 0.5
    with pytest.raises(OperationalError, match="away"):
        marks.insist(is_away, until=until)
    assert len(tries) > 1
    assert time.monotonic() < until + 2


def test_a_line_that_the_server_closed_between_two_mails_is_opened_anew(
    clinic: Clinic, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_due_check_ins(clinic, 3)
    send = Line.send

    def send_and_let_the_server_say_it_was_enough(line: Line, letter: Letter) -> None:
        send(line, letter)
        smtp_sink.refuse_next_sender(421, "Too many mails on this connection")

    monkeypatch.setattr(Line, "send", send_and_let_the_server_say_it_was_enough)
    assert outbox.dispatch() == {"sent": 3}
    assert set(OutboxMessage.objects.values_list("attempts", "in_doubt")) == {(1, False)}


def test_a_process_that_was_stopped_until_its_lease_was_over_sends_nothing(
    mail: OutboxMessage, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, asleep = Line.address, [0.0]

    def fall_asleep(line: Line, letter: Letter) -> None:
        address(line, letter)
        asleep[0] = 10_000.0

    now = time.monotonic
    monkeypatch.setattr(Line, "address", fall_asleep)
    monkeypatch.setattr(time, "monotonic", lambda: now() + asleep[0])
    assert outbox.dispatch() == {"overtaken": 1}
    assert smtp_sink.attempts == 0
