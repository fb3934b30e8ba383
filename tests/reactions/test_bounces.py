"""Mail that comes back: who is told, what stops, and how it goes on when the address is put right."""

import io
import mailbox
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from smtplib import SMTPRecipientsRefused
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from patients.models import AuditEvent, Patient, User, address_digest
from patients.registering import correct_patient
from reactions import recording
from reactions.checkins import due
from reactions.delivery_status import read_reports
from reactions.models import CheckIn, Infusion, OutboxMessage, WorkItem
from reactions.outbox.refusals import is_final
from reactions.vocabulary import CheckInKind, CheckInState, MailState, WorkKind
from tests.support.factories import make_checkins
from tests.support.imap_mailbox import ImapMailbox
from tests.support.returned_mail import ordinary_mail, returned_mail
from tests.support.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db

WORDS = "5.1.1 550 5.1.1 (address) Recipient address rejected: User unknown"


@pytest.fixture
def checkin(infusion: Infusion, smtp_sink: SmtpSink) -> CheckIn:
    """A check-in that was sent to the patient."""
    make_checkins(infusion)
    assert due.tick().mails == {"sent": 1}
    return infusion.checkins.get(kind=CheckInKind.HOURS_24)


@pytest.fixture
def mail(checkin: CheckIn) -> OutboxMessage:
    return checkin.mails.get()


def bounce(mail: OutboxMessage, *, for_good: bool = True) -> bool:
    return recording.record_bounce(mail.message_id, words="5.1.1 No such user", for_good=for_good, now=timezone.now())


def read_stdin(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(raw)))
    said = io.StringIO()
    call_command("read_bounces", "--stdin", stdout=said)
    return said.getvalue()


def everything() -> list[Any]:
    models = (OutboxMessage, CheckIn, Patient, WorkItem, AuditEvent)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_mail_that_came_back_ends_the_check_in_stops_the_address_and_tells_the_clinic(
    mail: OutboxMessage, checkin: CheckIn, patient: Patient, administrator: User, page: Client, smtp_sink: SmtpSink
) -> None:
    assert bounce(mail)
    mail.refresh_from_db()
    checkin.refresh_from_db()
    patient.refresh_from_db()
    assert (mail.state, mail.last_error) == (MailState.BOUNCED, "5.1.1 No such user")
    assert mail.bounced_at
    assert checkin.state_reason == "Mail to this address came back. 5.1.1 No such user"
    assert patient.why_no_mail() == "Mail to this address came back."
    event = AuditEvent.objects.get(act="mail.came_back")
    assert (event.by, event.patient_id, event.reason) == (None, patient.pk, "5.1.1 No such user")
    # The next one that is due does not leave, though the patient agreed to email.
    smtp_sink.clear()
    CheckIn.objects.filter(kind=CheckInKind.HOURS_72).update(due_at=timezone.now())
    assert due.tick().mails == {"cancelled": 1, "sent": 1}
    assert [one["To"] for one in smtp_sink.messages] == [administrator.email]
    seen = page.get(reverse("reactions:worklist")).content.decode()
    assert "Mail to the patient came back" in seen
    assert "Tessa Synthetic" in seen
    assert (
        "Mail to this address came back." in page.get(reverse("reactions:patient", args=[patient.pk])).content.decode()
    )


def test_the_same_bounce_twice_changes_nothing(mail: OutboxMessage) -> None:
    bounce(mail)
    before = everything()
    assert bounce(mail)
    assert bounce(mail, for_good=False)
    assert everything() == before


def test_a_bounce_of_no_mail_of_ours_changes_nothing(mail: OutboxMessage) -> None:
    before = everything()
    assert not recording.record_bounce("<forged@clinic.example>", words="", for_good=True, now=timezone.now())
    assert everything() == before


def test_a_mail_that_never_left_cannot_come_back(infusion: Infusion) -> None:
    make_checkins(infusion)
    due.queue_what_is_due(timezone.now())
    bounce(OutboxMessage.objects.get())
    assert OutboxMessage.objects.get().state == MailState.QUEUED
    assert not WorkItem.objects.exists()


def test_a_mail_in_doubt_that_came_back_is_not_tried_again(infusion: Infusion, smtp_sink: SmtpSink) -> None:
    make_checkins(infusion)
    smtp_sink.drop_after_data()
    due.tick()
    waiting = OutboxMessage.objects.get()
    assert (waiting.state, waiting.in_doubt) == (MailState.QUEUED, True)
    bounce(waiting)
    OutboxMessage.objects.update(due_at=timezone.now())
    smtp_sink.clear()
    due.tick()
    assert smtp_sink.attempts == 0


def test_a_mail_that_is_held_up_is_only_noted(mail: OutboxMessage, checkin: CheckIn, patient: Patient) -> None:
    bounce(mail, for_good=False)
    mail.refresh_from_db()
    checkin.refresh_from_db()
    patient.refresh_from_db()
    assert (mail.state, mail.last_error) == (MailState.SENT, "Held up: 5.1.1 No such user")
    assert checkin.state == CheckInState.SENT
    assert patient.why_no_mail() == ""
    assert not WorkItem.objects.exists()


def test_a_late_bounce_of_an_answered_check_in_is_only_noted(
    mail: OutboxMessage, checkin: CheckIn, patient: Patient
) -> None:
    recording.submit_answer(checkin, has_problem=False, details={}, symptoms={}, now=timezone.now())
    bounce(mail)
    mail.refresh_from_db()
    checkin.refresh_from_db()
    patient.refresh_from_db()
    assert (mail.state, mail.last_error) == (MailState.SENT, "Came back later: 5.1.1 No such user")
    assert checkin.state == CheckInState.ANSWERED
    assert patient.why_no_mail() == ""


def test_who_has_the_link_of_a_mail_that_came_back_is_heard(
    mail: OutboxMessage, checkin: CheckIn, client: Client
) -> None:
    bounce(mail)
    checkin.refresh_from_db()
    assert client.get(checkin.link_path()).status_code == 200
    recording.submit_answer(
        checkin, has_problem=True, details={}, symptoms={"chest_pain": "severe"}, now=timezone.now()
    )
    checkin.refresh_from_db()
    assert checkin.state == CheckInState.ANSWERED


def test_a_corrected_address_gets_what_is_open_and_closes_the_item(
    mail: OutboxMessage, patient: Patient, nurse: User, page: Client, smtp_sink: SmtpSink
) -> None:
    bounce(mail)
    smtp_sink.clear()
    assert due.tick().mails == {}
    details = {"email": "right@patients.example"}
    correct_patient(patient, by=nurse, details=details, email_consent=True, seen_version=1, now=timezone.now())
    assert "Tessa" not in page.get(reverse("reactions:worklist")).content.decode()
    assert due.tick().mails == {"sent": 1}
    assert smtp_sink.envelopes[0].rcpt_tos == ["right@patients.example"]
    assert smtp_sink.messages[0]["Message-ID"] == mail.message_id
    item = WorkItem.objects.get()
    assert item.closed_because == "The address was corrected."
    event = AuditEvent.objects.get(act="work.settled")
    assert (event.by, event.patient_id, event.reason) == (None, patient.pk, "The address was corrected.")
    assert event.changes == {"closed_at": [None, str(item.closed_at)]}
    mail.refresh_from_db()
    assert (mail.state, mail.bounced_at) == (MailState.SENT, None)


def test_a_bounce_that_comes_after_the_correction_leaves_the_new_address_alone(
    mail: OutboxMessage, checkin: CheckIn, patient: Patient, nurse: User, smtp_sink: SmtpSink
) -> None:
    details = {"email": "right@patients.example"}
    correct_patient(patient, by=nurse, details=details, email_consent=True, seen_version=1, now=timezone.now())
    bounce(mail)
    patient.refresh_from_db()
    assert patient.why_no_mail() == ""
    assert not WorkItem.objects.exists()
    smtp_sink.clear()
    assert due.tick().mails == {"sent": 1}
    assert smtp_sink.envelopes[0].rcpt_tos == ["right@patients.example"]


def test_a_report_about_the_old_address_leaves_the_corrected_one_alone(
    mail: OutboxMessage, patient: Patient, nurse: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = returned_mail(mail.message_id)
    read_stdin(raw, monkeypatch)
    details = {"email": "right@patients.example"}
    correct_patient(patient, by=nurse, details=details, email_consent=True, seen_version=1, now=timezone.now())
    assert due.tick().mails == {"sent": 1}
    read_stdin(raw, monkeypatch)
    mail.refresh_from_db()
    patient.refresh_from_db()
    assert (mail.state, mail.last_error) == (MailState.SENT, f"Came back from another address: {WORDS}")
    assert patient.why_no_mail() == ""


def test_an_alerts_mail_that_came_back_goes_to_the_corrected_address(
    checkin: CheckIn, nurse: User, smtp_sink: SmtpSink
) -> None:
    recording.submit_answer(
        checkin, has_problem=True, details={}, symptoms={"chest_pain": "severe"}, now=timezone.now()
    )
    due.tick()
    bounce(OutboxMessage.objects.get(alert__isnull=False))
    smtp_sink.clear()
    assert due.tick().mails == {}
    User.objects.filter(pk=nurse.pk).update(email="right@staff.example")
    assert due.tick().mails == {"sent": 1}
    assert smtp_sink.envelopes[0].rcpt_tos == ["right@staff.example"]


def test_what_is_over_is_not_sent_to_the_corrected_address(
    mail: OutboxMessage, checkin: CheckIn, patient: Patient, nurse: User, smtp_sink: SmtpSink
) -> None:
    bounce(mail)
    over = timezone.now() - timedelta(seconds=1)
    CheckIn.objects.filter(pk=checkin.pk).update(due_at=over - timedelta(hours=1), closes_at=over)
    details = {"email": "right@patients.example"}
    correct_patient(patient, by=nurse, details=details, email_consent=True, seen_version=1, now=timezone.now())
    assert due.tick().mails == {}


def test_who_says_that_the_address_is_right_has_it_sent_once_more(
    mail: OutboxMessage, patient: Patient, nurse: User, page: Client, smtp_sink: SmtpSink
) -> None:
    bounce(mail)
    smtp_sink.clear()
    item = WorkItem.objects.get()
    page.post(reverse("reactions:settle_work", args=[item.pk]))
    assert due.tick().mails == {"sent": 1}
    item.refresh_from_db()
    assert item.closed_because == "The address was confirmed."
    event = AuditEvent.objects.get(act="work.settled")
    assert (event.by, event.reason) == (nurse, "The address was confirmed.")
    assert event.changes == {"closed_at": [None, str(item.closed_at)], "mail_came_back": [True, False]}
    patient.refresh_from_db()
    assert patient.version == 2
    assert (
        "This was changed meanwhile"
        in page.post(reverse("reactions:settle_work", args=[item.pk]), follow=True).content.decode()
    )


@pytest.mark.django_db(transaction=True)
def test_what_comes_back_while_somebody_settles_the_item_keeps_it_open(
    mail: OutboxMessage, patient: Patient, nurse: User
) -> None:
    bounce(mail)
    details = {"email": "also-wrong@patients.example"}
    correct_patient(patient, by=nurse, details=details, email_consent=True, seen_version=1, now=timezone.now())
    OutboxMessage.objects.filter(pk=mail.pk).update(
        state=MailState.SENT, sent_at=timezone.now(), bounced_at=None, sent_to=address_digest(details["email"])
    )
    item = WorkItem.objects.select_related("patient__clinic").get()
    is_held = threading.Event()

    def come_back() -> None:
        try:
            with transaction.atomic():
                bounce(mail)
                is_held.set()
                time.sleep(0.3)
        finally:
            connection.close()

    returning = threading.Thread(target=come_back)
    returning.start()
    assert is_held.wait(timeout=10)
    settled = recording.settle_work(item, by=nurse, now=timezone.now())
    returning.join(timeout=10)
    patient.refresh_from_db()
    assert not settled
    assert patient.mail_came_back
    assert WorkItem.objects.open().filter(pk=item.pk).exists()
    assert not AuditEvent.objects.filter(act="work.settled").exists()


def test_consent_that_is_withdrawn_closes_the_item(mail: OutboxMessage, patient: Patient, nurse: User) -> None:
    bounce(mail)
    correct_patient(patient, by=nurse, details={}, email_consent=False, seen_version=1, now=timezone.now())
    due.tick()
    assert WorkItem.objects.get(kind=WorkKind.BOUNCED).closed_because == "The patient wants no email any more."


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"died_on": timezone.now().date()}, "The patient has died."),
        (
            {"email_consent_at": None, "email_consent_by": None, "email_consent_text": ""},
            "The patient wants no email any more.",
        ),
        ({"bounced_address": ""}, "The address was corrected."),
    ],
)
def test_what_the_list_leaves_out_is_what_the_tick_closes(
    mail: OutboxMessage, patient: Patient, changes: dict[str, Any], because: str
) -> None:
    bounce(mail)
    assert WorkItem.objects.to_do().count() == 1
    Patient.objects.filter(pk=patient.pk).update(**changes)
    assert not WorkItem.objects.to_do().exists()
    due.tick()
    assert WorkItem.objects.get().closed_because == because


@pytest.mark.parametrize("whole", [False, True])
def test_a_returned_mail_is_read(mail: OutboxMessage, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = returned_mail(mail.message_id, whole=whole)
    assert read_stdin(raw, monkeypatch) == "Read: 1 came back.\n"
    mail.refresh_from_db()
    assert (mail.state, mail.last_error) == (MailState.BOUNCED, WORDS)


@pytest.mark.parametrize(
    ("action", "status", "for_good"),
    [
        ("failed", "5.1.1", True),
        ("failed", "5.1.2", True),
        ("failed", "5.2.1", True),
        ("failed", "5.4.4", True),
        ("failed", "5.0.0", True),
        ("failed", "5.2.2 (mailbox full)", False),
        ("failed", "5.7.1", False),
        ("failed", "5.1.8", False),
        ("failed", "4.4.7", False),
        ("failed", "5.4.7", False),
        ("failed", "5.4.6", False),
        ("failed", "5.6.0", False),
        ("delayed", "4.2.1", False),
        ("delayed", "5.1.1", False),
    ],
)
def test_only_an_address_that_takes_no_mail_has_failed_for_good(action: str, status: str, for_good: bool) -> None:
    (report,) = read_reports(returned_mail("<a@b.example>", action=action, status=status))
    assert (report.message_id, report.for_good) == ("<a@b.example>", for_good)
    assert report.given_up is (action == "failed")


@pytest.mark.parametrize("status", ["5.1.1", "5.1.8", "5.2.2", "5.4.4", "5.4.7", "5.6.0", "5.7.1", "5.0.0"])
def test_a_code_means_the_same_in_an_answer_and_in_a_returned_mail(status: str) -> None:
    (report,) = read_reports(returned_mail("<a@b.example>", action="failed", status=status))
    refusal = SMTPRecipientsRefused({"a@b.example": (550, f"{status} No".encode())})
    assert is_final(refusal) is report.for_good


@pytest.mark.parametrize(
    ("action", "status", "note"), [("failed", "4.4.7", "Given up: 4.4.7 "), ("delayed", "4.4.7", "Held up: 4.4.7 ")]
)
def test_a_server_that_gave_this_mail_up_stops_no_address(
    mail: OutboxMessage, patient: Patient, monkeypatch: pytest.MonkeyPatch, action: str, status: str, note: str
) -> None:
    said = read_stdin(returned_mail(mail.message_id, action=action, status=status), monkeypatch)
    mail.refresh_from_db()
    patient.refresh_from_db()
    assert said == f"Read: 1 {note.partition(':')[0].lower()}.\n"
    assert mail.last_error.startswith(note)
    assert (mail.state, patient.why_no_mail()) == (MailState.SENT, "")


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded", ""])
def test_a_receipt_is_no_bounce(action: str) -> None:
    assert read_reports(returned_mail("<a@b.example>", action=action, status="2.0.0")) == []


def test_an_address_alone_proves_nothing(mail: OutboxMessage, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything()
    raw = returned_mail(mail.message_id).replace(f"Message-ID: {mail.message_id}".encode(), b"X-Nothing: here")
    assert read_stdin(raw, monkeypatch) == "Read: 1 left for a person.\n"
    assert read_stdin(returned_mail("<guessed@clinic.example>"), monkeypatch) == "Read: 1 left for a person.\n"
    assert everything() == before


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        ordinary_mail("Out of office"),
        b"Content-Type: multipart/report; report-type=delivery-status\r\n\r\nnothing in it",
        returned_mail("<a@b.example>")[:700],
        returned_mail("").replace(b"Message-ID:", b"Message-ID"),
        returned_mail("<a@b.example>").replace(b"Final-Recipient", b"Final-Recipie"),
    ],
)
def test_whatever_else_arrives_is_no_report(raw: bytes) -> None:
    assert read_reports(raw) == []


def test_a_maildir_is_read_once_and_what_is_for_people_stays_unread(mail: OutboxMessage, tmp_path: Path) -> None:
    box = mailbox.Maildir(tmp_path / "bounces")
    for raw in (ordinary_mail("A question"), returned_mail(mail.message_id)):
        box.add(raw)
    said = io.StringIO()
    call_command("read_bounces", f"--maildir={tmp_path / 'bounces'}", stdout=said)
    assert said.getvalue() == "Read: 1 came back, 1 left for a person.\n"
    flags = {one["Subject"]: one.get_flags() for one in mailbox.Maildir(tmp_path / "bounces", create=False)}
    assert flags == {"A question": "", "Undelivered Mail Returned to Sender": "S"}
    said = io.StringIO()
    call_command("read_bounces", f"--maildir={tmp_path / 'bounces'}", stdout=said)
    assert said.getvalue() == "Read: 1 left for a person.\n"


def test_a_mailbox_behind_imap_is_read(mail: OutboxMessage, checkin: CheckIn, settings: Settings) -> None:
    stop = ordinary_mail(f"stop {checkin.stop_path().rpartition('/')[2]}")
    mails = [ordinary_mail("A question"), returned_mail(mail.message_id), stop]
    with ImapMailbox(mails, password="p@ss word") as box:
        settings.BOUNCE_MAILBOX = f"imap://check-in%40clinic.example:p%40ss%20word@127.0.0.1:{box.port}/INBOX"
        said = io.StringIO()
        call_command("read_bounces", stdout=said)
        assert said.getvalue() == "Read: 1 came back, 1 left for a person, 1 to stop.\n"
        assert box.seen == {2, 3}
        settings.BOUNCE_MAILBOX = f"imap://check-in:wrong@127.0.0.1:{box.port}/INBOX"
        with pytest.raises(CommandError, match="could not be read") as refused:
            call_command("read_bounces")
        assert "wrong@" not in str(refused.value)


def test_a_mail_that_cannot_be_stored_stays_unread_and_the_rest_is_read(
    mail: OutboxMessage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = mailbox.Maildir(tmp_path / "bounces")
    box.add(returned_mail("<breaks@clinic.example>"))
    box.add(returned_mail(mail.message_id))
    from reactions.management.commands import read_bounces  # noqa: PLC0415

    record = read_bounces.record_bounce

    def break_once(message_id: str, **rest: Any) -> bool:
        if "breaks" in message_id:
            raise RuntimeError("tessa@patients.example")
        return record(message_id, **rest)

    monkeypatch.setattr(read_bounces, "record_bounce", break_once)
    said = io.StringIO()
    with pytest.raises(CommandError, match="1 mails could not be dealt with"):
        call_command("read_bounces", f"--maildir={tmp_path / 'bounces'}", stdout=said, stderr=said)
    assert said.getvalue() == "A mail could not be dealt with: RuntimeError.\nRead: 1 came back, 1 failed.\n"
    mail.refresh_from_db()
    assert mail.state == MailState.BOUNCED


def test_without_a_mailbox_the_command_says_what_to_set() -> None:
    with pytest.raises(CommandError, match="Set BOUNCE_MAILBOX"):
        call_command("read_bounces")
