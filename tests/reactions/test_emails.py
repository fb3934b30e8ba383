"""What a mail says, and what it must never say."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from patients.models import Clinic, User
from reactions import emails, outbox, recording, worklist
from reactions.checkins import due
from reactions.checkins.plan import plan_checkins
from reactions.models import CheckIn, OutboxMessage
from reactions.vocabulary import CheckInKind, CheckInState
from tests.support.factories import make_infusion, make_patient, make_reaction
from tests.support.smtp_sink import SmtpSink

ROOT = Path(__file__).resolve().parents[2]
CANARIES = {
    "given_name": "Canarina",
    "family_name": "Kanarienvogel",
    "mrn": "CANARY-4711",
    "diagnosis": "Canaritis",
    "phone": "+1 555 0147",
}
# Words of the record that would tell a reader what the mail is about.
TELLING = [
    "privigen",
    "immune",
    "globulin",
    "ivig",
    "infusion",
    "chills",
    "chest",
    "myositis",
    "reaction",
    "LOT-CANARY",
]


@pytest.fixture
def mails(clinic: Clinic, nurse: User, administrator: User, smtp_sink: SmtpSink, settings: Settings) -> list[str]:
    """Every mail there is, as it went over the line, for a patient whose every word is known."""
    settings.SITE_URL = "https://checkins.example"
    patient = make_patient(clinic, email="bird@patients.example", **CANARIES)
    infusion = make_infusion(patient, notes="note CANARY")
    infusion.vials.create(lot="LOT-CANARY")
    worklist.follow(make_reaction(infusion, is_serious=True), now=timezone.now() + timedelta(seconds=-1))
    plan_checkins(infusion, now=timezone.now())
    due.tick()
    checkin = infusion.checkins.get(kind=CheckInKind.HOURS_24)
    details = {"began_at": None, "still_there": True, "care_sought": "hospital", "comment": "comment CANARY"}
    recording.submit_answer(
        checkin, has_problem=True, details=details, symptoms={"chest_pain": "severe"}, now=timezone.now()
    )
    due.tick()
    sent_to = [message["To"] for message in smtp_sink.messages]
    assert sorted(sent_to) == sorted(["bird@patients.example", administrator.email, nurse.email])
    bodies = ["\n".join(part.get_content() for part in message.iter_parts()) for message in smtp_sink.messages]
    lines = [(envelope.original_content or b"").decode() for envelope in smtp_sink.envelopes]
    return [line + body for line, body in zip(lines, bodies, strict=True)]


def test_no_mail_names_the_patient_a_drug_a_diagnosis_or_a_symptom(mails: list[str]) -> None:
    for mail in mails:
        # The clinic's own name is its choice; settings offer another one for mails.
        rest = mail.replace("Synthetic Infusion Clinic", "").lower()
        for word in [*CANARIES.values(), *TELLING]:
            assert word.lower() not in rest, f"{word} stands in a mail"


def test_a_mail_is_plain_text_and_html_with_the_same_link(mails: list[str], smtp_sink: SmtpSink) -> None:
    invitation = next(message for message in smtp_sink.messages if message["To"] == "bird@patients.example")
    bodies = [part.get_content() for part in invitation.iter_parts()]
    assert [part.get_content_type() for part in invitation.iter_parts()] == ["text/plain", "text/html"]
    link = f"https://checkins.example{CheckIn.objects.get(state=CheckInState.ANSWERED).link_path()}"
    assert all(link in body for body in bodies)
    assert all("+1 555 0100" in body and "911" in body for body in bodies)


def test_headers_say_who_sent_it_and_that_a_machine_did(mails: list[str], smtp_sink: SmtpSink) -> None:
    for message in smtp_sink.messages:
        assert message["From"].startswith("Synthetic Infusion Clinic <")
        assert message["Auto-Submitted"] == "auto-generated"


def test_a_clinic_whose_name_tells_too_much_mails_under_another(clinic: Clinic, smtp_sink: SmtpSink) -> None:
    Clinic.objects.update(name="Myositis Center", mail_name="Northside Nurses")
    clinic.refresh_from_db()
    infusion = make_infusion(make_patient(clinic))
    plan_checkins(infusion, now=timezone.now())
    due.tick()
    assert smtp_sink.messages[0]["From"].startswith("Northside Nurses <")
    assert "Myositis" not in (smtp_sink.envelopes[0].original_content or b"").decode()


def test_the_closing_time_is_on_the_patients_clocks(clinic: Clinic) -> None:
    patient = make_patient(clinic, time_zone="America/Denver")
    infusion = make_infusion(patient, ended_at=datetime.fromisoformat("2026-05-04T23:30:00+00:00"))
    plan_checkins(infusion, now=infusion.ended_at)
    checkin = infusion.checkins.get(kind=CheckInKind.HOURS_24)
    mail = emails.to_patient("checkin_invitation", checkin, link="https://checkins.example/c/x/")
    assert "You can answer until Thursday, May 7, 17:30." in mail.body


def test_a_patient_who_reads_spanish_gets_it_in_spanish_and_staff_in_english(
    clinic: Clinic, nurse: User, smtp_sink: SmtpSink
) -> None:
    patient = make_patient(clinic, language="es", time_zone="America/Denver")
    infusion = make_infusion(patient)
    plan_checkins(infusion, now=timezone.now())
    due.tick()
    checkin = infusion.checkins.get(kind=CheckInKind.HOURS_24)
    details = {"began_at": None, "still_there": True, "care_sought": "hospital", "comment": ""}
    recording.submit_answer(
        checkin, has_problem=True, details=details, symptoms={"chest_pain": "severe"}, now=timezone.now()
    )
    due.tick()
    invitation, alert = smtp_sink.messages
    assert invitation["Subject"] == "Una pregunta corta de Synthetic Infusion Clinic"
    text, html = (part.get_content() for part in invitation.iter_parts())
    assert "¿Cómo ha estado desde su última visita?" in text
    assert "Si cree que es una emergencia, llame al 911." in text
    assert re.search(r"Puede responder hasta el (lunes|martes|miércoles|jueves|viernes|sábado|domingo) \d+ de ", text)
    assert '<html lang="es">' in html
    english = ["Hello", "answer", "until", "emergency", "phone", "link", "Stop"]
    assert not [word for word in english if word in re.sub(r"<[^>]*>|https?://\S+", "", text + html)]
    assert "waiting for somebody" in alert.get_body(("plain",)).get_content()


def test_an_answer_to_the_mail_reaches_the_clinic_where_it_has_an_address_for_that(
    clinic: Clinic, smtp_sink: SmtpSink
) -> None:
    Clinic.objects.update(reply_to="frontdesk@clinic.example")
    clinic.refresh_from_db()
    plan_checkins(make_infusion(make_patient(clinic)), now=timezone.now())
    due.tick()
    assert smtp_sink.messages[0]["Reply-To"] == "frontdesk@clinic.example"


def test_a_plain_client_on_a_phone_can_read_it(mails: list[str], smtp_sink: SmtpSink) -> None:
    for message in smtp_sink.messages:
        text, html = (part.get_content() for part in message.iter_parts())
        lines = text.splitlines()
        links = [line for line in lines if "https://" in line]
        assert links
        assert all(re.fullmatch(r"https://checkins\.example/\S*", line) for line in links), "a link alone on its line"
        assert all(len(line) <= 70 for line in lines if line not in links)
        # No picture, nothing fetched, no colour of ours: a dark screen stays dark.
        assert not re.search(r"<img|<link|<script|url\(|color:|background|bgcolor", html)
        assert '<meta name="color-scheme" content="light dark">' in html


def test_headers_are_the_usual_ones_and_no_others(mails: list[str], smtp_sink: SmtpSink) -> None:
    usual = {"Content-Type", "MIME-Version", "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted"}
    for message in smtp_sink.messages:
        assert usual <= set(message.keys())
        stopping = {"List-Unsubscribe", "List-Unsubscribe-Post"} if "patients" in message["To"] else set()
        own_to_the_sink = {"X-Peer", "X-MailFrom", "X-RcptTo"}
        assert set(message.keys()) - own_to_the_sink == usual | stopping | {"X-Auto-Response-Suppress"}
        # A notice that a mail could not be delivered must reach us.
        assert "All" not in message["X-Auto-Response-Suppress"]
        assert "NDR" not in message["X-Auto-Response-Suppress"]


def test_the_link_in_every_copy_is_the_same_and_opens_the_page(
    clinic: Clinic, client: Client, smtp_sink: SmtpSink
) -> None:
    infusion = make_infusion(make_patient(clinic))
    plan_checkins(infusion, now=timezone.now())
    smtp_sink.drop_after_data()
    due.tick()
    OutboxMessage.objects.update(due_at=timezone.now())
    assert outbox.dispatch() == {"sent": 1}
    first, second = (message.get_body(("plain",)).get_content() for message in smtp_sink.messages)
    assert first == second
    assert client.get(infusion.checkins.get(kind=CheckInKind.HOURS_24).link_path()).status_code == 200


def test_after_the_services_key_changed_new_mails_still_open_their_page(
    clinic: Clinic, client: Client, settings: Settings
) -> None:
    infusion = make_infusion(make_patient(clinic))
    plan_checkins(infusion, now=timezone.now())
    checkin = infusion.checkins.first()
    old = checkin.link_path()
    settings.SECRET_KEY = "another synthetic key of the service"
    new = checkin.link_path()
    assert new != old
    assert client.get(new).status_code == 200
