"""What a mail says, and what it must never say."""

from datetime import datetime, timedelta

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
    mail = emails.checkin_invitation(checkin, link="https://checkins.example/c/x/")
    assert "Thursday, May 7, 17:30" in mail.body


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
