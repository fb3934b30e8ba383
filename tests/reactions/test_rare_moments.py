"""Moments that are rare and must not matter: bounced alerts, closed pages, bursts, a server's odd words."""

import smtplib
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from patients.models import WITHDRAWN_BY_LINK, Clinic, Patient, User
from reactions import outbox
from reactions.checkins import due
from reactions.checkins.plan import plan_checkins
from reactions.mail_status import without_addresses
from reactions.models import Alert, CheckIn, Course, Infusion, OutboxMessage
from reactions.outbox.line import Letter, Line
from reactions.outbox.refusals import in_words
from reactions.recording import submit_answer
from reactions.recording.mail import record_bounce
from reactions.vocabulary import AlertLevel, CheckInKind, CheckInState, MailState
from tests.support.answering import form_of
from tests.support.factories import make_checkins, make_infusion, make_patient
from tests.support.smtp_sink import SmtpSink


@pytest.fixture
def checkin(infusion: Infusion) -> CheckIn:
    plan_checkins(infusion, now=timezone.now())
    CheckIn.objects.filter(kind=CheckInKind.HOURS_24).update(state=CheckInState.SENT, sent_at=timezone.now())
    return infusion.checkins.get(kind=CheckInKind.HOURS_24)


def red(checkin: CheckIn) -> Any:
    return submit_answer(checkin, has_problem=True, details={}, symptoms={"chest_pain": "severe"}, now=timezone.now())


def test_an_alert_whose_only_mail_came_back_goes_to_the_administrators(
    checkin: CheckIn, administrator: User, smtp_sink: SmtpSink
) -> None:
    red(checkin)
    outbox.dispatch()
    mail = OutboxMessage.objects.get(alert__isnull=False)
    record_bounce(mail.message_id, words="5.1.1 no such user", for_good=True, now=timezone.now())
    due.tick()
    assert administrator.email in [sent["To"] for sent in smtp_sink.messages]


def test_nobody_reads_that_the_clinic_was_told_where_the_alert_reaches_nobody(
    client: Client, checkin: CheckIn, clinic: Clinic
) -> None:
    User.objects.update(email="")
    first = checkin.link_path()
    client.post(first, form_of(client, first) | {"has_problem": "yes"})
    page = client.post(f"{first}problems/", form_of(client, f"{first}problems/") | {"symptoms": ["chest_pain"]})
    assert not OutboxMessage.objects.filter(alert__isnull=False).exists()
    assert "Your clinic has been told" not in page.content.decode()


def test_a_red_word_said_to_be_over_that_is_there_again_is_told_at_once(client: Client, checkin: CheckIn) -> None:
    first = checkin.link_path()
    submit_answer(
        checkin,
        has_problem=True,
        details={"still_there": False, "care_sought": "nothing"},
        symptoms={"chest_pain": "mild"},
        of_symptoms={"chest_pain": {"began_at": None, "still_there": False}},
        now=timezone.now(),
    )
    assert [alert.level for alert in Alert.objects.all()] == [AlertLevel.AMBER]
    address = f"{first}problem-chest_pain/"
    client.post(address, form_of(client, address) | {"severity": "severe", "still_there": "yes"})
    assert Alert.objects.filter(level=AlertLevel.RED).exists()


@pytest.mark.parametrize("state", ["expired", "cancelled"])
def test_red_words_on_a_closed_check_in_get_the_emergency_words(client: Client, checkin: CheckIn, state: str) -> None:
    first = checkin.link_path()
    client.post(first, form_of(client, first) | {"has_problem": "yes"})
    form = form_of(client, f"{first}problems/") | {"symptoms": ["chest_pain"]}
    past = timezone.now() - timedelta(hours=3)
    if state == "expired":
        CheckIn.objects.filter(pk=checkin.pk).update(state=state, due_at=past - timedelta(days=2), closes_at=past)
    else:
        CheckIn.objects.filter(pk=checkin.pk).update(state=state, state_reason="Voided")
    page = client.post(f"{first}problems/", form).content.decode()
    assert Alert.objects.count() == 0
    assert "can be an emergency" in page


def overlapping_due(patient: Patient, hours: int) -> CheckIn:
    infusion = make_infusion(patient, ended_at=timezone.now() - timedelta(hours=hours))
    make_checkins(infusion)
    return infusion.checkins.get(kind=CheckInKind.HOURS_24)


def test_a_corrected_address_gets_no_burst(clinic: Clinic, nurse: User, smtp_sink: SmtpSink) -> None:
    patient = make_patient(clinic)
    for hours in (26, 30):
        overlapping_due(patient, hours)
        smtp_sink.refuse_next_recipient(550, "5.1.1 No such mailbox")
        due.tick()
    assert OutboxMessage.objects.filter(state=MailState.REFUSED).count() == 2
    Patient.objects.filter(pk=patient.pk).update(email="right@patients.example")
    due.tick()
    assert len(smtp_sink.messages) == 1


def test_consent_given_anew_makes_no_burst(clinic: Clinic, nurse: User, smtp_sink: SmtpSink) -> None:
    patient = make_patient(clinic)
    for hours in (26, 30):
        row = overlapping_due(patient, hours)
        outbox.enqueue(
            "checkin_invitation",
            key=f"checkin:{row.pk}:invitation",
            due_at=row.due_at,
            expires_at=row.closes_at,
            checkin=row,
        )
    stopped = CheckIn.objects.filter(due_at__lte=timezone.now())
    stopped.update(state=CheckInState.CANCELLED, state_reason=WITHDRAWN_BY_LINK)
    OutboxMessage.objects.update(state=MailState.CANCELLED)
    due.tick()
    assert len(smtp_sink.messages) == 1


def test_after_a_power_cut_while_sending_only_the_latest_goes_out(clinic: Clinic, smtp_sink: SmtpSink) -> None:
    patient = make_patient(clinic)
    infusion = make_infusion(patient)
    make_checkins(infusion)
    late = infusion.checkins.get(kind=CheckInKind.HOURS_24)
    now = timezone.now()
    evening = CheckIn.objects.create(
        course=infusion.course, infusion=infusion, kind=CheckInKind.EVENING, link_nonce=b"0" * 16, link_hash="e" * 64,
        due_at=late.due_at - timedelta(hours=12), closes_at=now + timedelta(hours=2),
    )  # fmt: skip
    mail = outbox.enqueue(
        "checkin_invitation", key="evening", due_at=evening.due_at, expires_at=evening.closes_at, checkin=evening
    )
    OutboxMessage.objects.filter(pk=mail.pk).update(
        state=MailState.SENDING, lease_number=1, lease_until=now - timedelta(hours=11)
    )
    due.tick()
    due.tick()
    assert len(smtp_sink.messages) == 1


def test_a_check_in_that_moved_while_its_mail_was_claimed_does_not_expire_with_the_old_window(
    patient: Patient, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = Course.objects.create(patient=patient, label="X", planned_days=5)
    first = make_infusion(patient, course=course, ended_at=timezone.now() - timedelta(hours=71))
    make_checkins(first)
    row = first.checkins.get(kind=CheckInKind.HOURS_24)
    due.queue_what_is_due(timezone.now())
    mail = OutboxMessage.objects.get(checkin=row)
    assert outbox.claim(1)
    # Meanwhile the last day of the course is written down: the check-in is due in the same minute, and open for 48 h.
    last = make_infusion(patient, course=course, ended_at=timezone.now() - timedelta(hours=24, minutes=1))
    make_checkins(last)
    # The worker died; the lease runs out two hours later, when the old window is over.
    OutboxMessage.objects.filter(pk=mail.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    later = timezone.now() + timedelta(hours=2)
    monkeypatch.setattr("reactions.outbox.sending.database_now", lambda: later)
    assert CheckIn.objects.get(pk=row.pk).closes_at > later
    assert outbox.dispatch() == {"sent": 1}


@pytest.mark.parametrize("number", ["9" * 30, "-1", "0"])
def test_a_bent_number_of_the_answer_is_no_500(client: Client, checkin: CheckIn, nurse: User, number: str) -> None:
    alert = red(checkin).alert
    client.force_login(nurse)
    client.raise_request_exception = False
    said = {"seen_answer": number, "what_was_done": "Called."}
    page = client.post(reverse("reactions:acknowledge", args=[alert.pk]), said)
    assert page.status_code < 500


def test_a_null_byte_in_a_servers_words_loses_no_bounce(checkin: CheckIn, smtp_sink: SmtpSink) -> None:
    mail = outbox.enqueue("checkin_invitation", key="n", due_at=checkin.due_at, checkin=checkin)
    OutboxMessage.objects.filter(pk=mail.pk).update(state="sent", sent_at=timezone.now(), attempts=1)
    words = without_addresses("550 5.1.1 no\0such user")
    record_bounce(mail.message_id, words=words, for_good=True, now=timezone.now())
    mail.refresh_from_db()
    assert mail.state == MailState.BOUNCED


def test_a_null_byte_in_a_refusal_of_the_mail_server(checkin: CheckIn, smtp_sink: SmtpSink) -> None:
    words = in_words(smtplib.SMTPRecipientsRefused({"a@b": (550, b"5.1.1 no\0such")}))
    assert "\0" not in words


def test_who_lost_the_lease_marks_nothing_though_the_mail_was_taken(
    checkin: CheckIn, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    CheckIn.objects.filter(pk=checkin.pk).update(state=CheckInState.PLANNED, sent_at=None)
    due.queue_what_is_due(timezone.now())
    send = Line.send

    def lose_the_lease(line: Line, letter: Letter) -> None:
        send(line, letter)
        OutboxMessage.objects.update(lease_number=2, lease_until=timezone.now() + timedelta(minutes=2))

    monkeypatch.setattr(Line, "send", lose_the_lease)
    assert outbox.dispatch() == {"overtaken": 1}
    row = OutboxMessage.objects.get()
    assert (row.state, row.lease_number) == (MailState.SENDING, 2)


def test_an_answer_that_comes_before_the_mark_stays_the_last_word(
    checkin: CheckIn, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    CheckIn.objects.filter(pk=checkin.pk).update(state=CheckInState.PLANNED, sent_at=None)
    due.queue_what_is_due(timezone.now())
    send = Line.send

    def answer_first(line: Line, letter: Letter) -> None:
        send(line, letter)
        submit_answer(checkin, has_problem=False, details={}, symptoms={}, now=timezone.now())

    monkeypatch.setattr(Line, "send", answer_first)
    assert outbox.dispatch() == {"sent": 1}
    checkin.refresh_from_db()
    assert checkin.state == CheckInState.ANSWERED
