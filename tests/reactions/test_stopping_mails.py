"""The link that stops the mails: one press by the patient or their mail provider, and none by a scanner."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from patients.models import AuditEvent, Clinic, Patient, StaleRecord, User
from patients.registering import correct_patient
from reactions import recording
from reactions.checkins import due
from reactions.models import CheckIn, Infusion, OutboxMessage, WorkItem
from reactions.models.link import stop_token
from reactions.vocabulary import CheckInKind, CheckInState, WorkKind
from tests.support.factories import make_checkins, make_infusion, make_patient
from tests.support.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def sent(infusion: Infusion, smtp_sink: SmtpSink) -> CheckIn:
    """A check-in that was sent to the patient; three more are planned."""
    make_checkins(infusion)
    due.tick()
    return infusion.checkins.get(kind=CheckInKind.HOURS_24)


def states() -> list[str]:
    return list(CheckIn.objects.order_by("due_at").values_list("state", flat=True))


def test_a_mail_provider_stops_them_by_the_header_alone(sent: CheckIn, smtp_sink: SmtpSink, patient: Patient) -> None:
    mail = smtp_sink.messages[0]
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = re.fullmatch(r"<http://127\.0\.0\.1:8000(/c/stop/[\w-]+)>", mail["List-Unsubscribe"].strip()).group(1)
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(link, ONE_CLICK).status_code == 200
    patient.refresh_from_db()
    assert patient.email_consent_at is None
    assert "The patient stopped the mails by the link in one. That was on 2" in patient.why_no_mail()
    assert states() == [CheckInState.SENT, *[CheckInState.CANCELLED] * 3]
    assert set(CheckIn.objects.exclude(pk=sent.pk).values_list("state_reason", flat=True)) == {
        "The patient stopped the mails by the link in one."
    }
    event = AuditEvent.objects.get(act="email.withdrawn")
    assert (event.by, event.patient_id, event.reason) == (None, patient.pk, "By the patient's link.")
    # What was sent before can still be answered.
    assert strict.get(sent.link_path()).status_code == 200


@pytest.mark.parametrize("method", ["get", "head", "options", "put"])
def test_opening_the_link_changes_nothing(client: Client, sent: CheckIn, patient: Patient, method: str) -> None:
    answer = getattr(client, method)(sent.stop_path())
    assert answer.status_code == (200 if method in {"get", "head"} else 405)
    patient.refresh_from_db()
    assert patient.why_no_mail() == ""
    assert CheckInState.CANCELLED not in states()


def test_a_post_that_does_not_say_so_changes_nothing(client: Client, sent: CheckIn, patient: Patient) -> None:
    for data in ({}, {"List-Unsubscribe": "Maybe"}, {"stop": "no"}):
        assert "Yes, stop the mails" in client.post(sent.stop_path(), data).content.decode()
    patient.refresh_from_db()
    assert patient.why_no_mail() == ""


def test_the_button_of_the_page_stops_them_and_the_page_says_the_way_back(
    client: Client, sent: CheckIn, patient: Patient
) -> None:
    page = client.get(sent.stop_path()).content.decode()
    assert patient.full_name not in page
    assert 'name="stop" value="yes"' in page
    done = client.post(sent.stop_path(), {"stop": "yes"}).content.decode()
    assert "The mails have stopped" in done
    assert "by mistake? Call your clinic." in done
    assert "+1 555 0100" in done
    assert "The mails have stopped" in client.get(sent.stop_path()).content.decode()


def test_the_page_is_in_the_language_that_the_reader_chose(client: Client, sent: CheckIn) -> None:
    for path, language in ((sent.stop_path(), "en"), (f"{sent.stop_path()}?lang=es", "es")):
        assert f'<html lang="{language}">' in client.get(path).content.decode()
    done = client.post(f"{sent.stop_path()}?lang=es", {"stop": "yes"}).content.decode()
    assert "ya no le enviará" in done
    assert "The mails have stopped" not in done


def test_twice_is_once(client: Client, sent: CheckIn, patient: Patient) -> None:
    for _ in range(2):
        assert client.post(sent.stop_path(), ONE_CLICK).status_code == 200
    assert AuditEvent.objects.filter(act="email.withdrawn").count() == 1
    assert WorkItem.objects.filter(patient=patient).count() == 1


def test_a_link_with_a_slash_at_its_end_works_too(client: Client, sent: CheckIn, patient: Patient) -> None:
    assert client.post(f"{sent.stop_path()}/", ONE_CLICK).status_code == 200
    patient.refresh_from_db()
    assert patient.email_consent_at is None


def test_a_link_that_is_wrong_gets_a_kind_page(client: Client, sent: CheckIn) -> None:
    token = stop_token(sent.link_hash, sent.patient.email)
    first, last = ("y" if token[0] == "x" else "x"), ("B" if token[-1] == "A" else "A")
    bent = [token[:-1], first + token[1:], token[:-1] + last, token + "x", "x", "ä" * 67]
    for wrong in [*bent, stop_token("00" * 32, sent.patient.email), sent.link_path().split("/")[2]]:
        for ask in (client.get, client.post):
            answer = ask(f"/c/stop/{wrong}/")
            assert answer.status_code == 404, wrong
            assert "This link does not work" in answer.content.decode()


def test_the_link_to_stop_does_not_answer_and_the_other_does_not_stop(client: Client, sent: CheckIn) -> None:
    assert client.get(f"/c/{stop_token(sent.link_hash, sent.patient.email)}/").status_code == 404


def test_every_mail_of_a_patient_can_stop_them_even_an_old_one(client: Client, sent: CheckIn, patient: Patient) -> None:
    CheckIn.objects.filter(pk=sent.pk).update(
        due_at=timezone.now() - timedelta(days=400),
        closes_at=timezone.now() - timedelta(days=399),
        state=CheckInState.EXPIRED,
    )
    assert client.post(sent.stop_path(), ONE_CLICK).status_code == 200
    patient.refresh_from_db()
    assert patient.email_consent_at is None


def test_nothing_more_is_sent_until_the_patient_agrees_anew_and_then_what_is_open(
    client: Client, clinic: Clinic, nurse: User, smtp_sink: SmtpSink
) -> None:
    patient = make_patient(clinic)
    make_checkins(make_infusion(patient, ended_at=timezone.now() - timedelta(hours=25)))
    checkin = patient.infusions.get().checkins.earliest("due_at")
    recording.withdraw_email(checkin, now=timezone.now())
    assert due.tick().mails == {}
    # A form that was opened before does not give the consent back.
    agreed = {"details": {}, "email_consent": True, "now": timezone.now()}
    with pytest.raises(StaleRecord):
        correct_patient(patient, by=nurse, seen_version=1, **agreed)
    correct_patient(patient, by=nurse, seen_version=2, **agreed)
    assert due.tick().mails == {"sent": 1}
    patient.refresh_from_db()
    assert patient.email_withdrawn_by_link_at is None
    assert states() == [CheckInState.SENT, *[CheckInState.PLANNED] * 3]
    assert WorkItem.objects.get(kind=WorkKind.UNSUBSCRIBED).closed_because == "The patient agreed to email again."


def test_a_mail_that_was_waiting_is_not_sent_any_more(sent: CheckIn, smtp_sink: SmtpSink, client: Client) -> None:
    smtp_sink.clear()
    OutboxMessage.objects.update(state="queued", sent_at=None, due_at=timezone.now())
    client.post(sent.stop_path(), ONE_CLICK)
    assert due.tick().mails.get("sent", 0) == 0
    assert smtp_sink.attempts == 0


def test_staff_see_it_on_the_patients_page_and_on_the_worklist(page: Client, sent: CheckIn, patient: Patient) -> None:
    recording.withdraw_email(sent, now=timezone.now())
    seen = page.get(reverse("reactions:patient", args=[patient.pk])).content.decode()
    assert "None: The patient stopped the mails by the link in one." in seen
    assert "The patient stopped the mails" in page.get(reverse("reactions:worklist")).content.decode()
    item = WorkItem.objects.get()
    page.post(reverse("reactions:settle_work", args=[item.pk]))
    assert "The patient stopped the mails" not in page.get(reverse("reactions:worklist")).content.decode()
    assert AuditEvent.objects.get(act="work.settled").reason == "Seen."


def test_a_mail_program_may_write_where_an_address_for_that_is_set(
    infusion: Infusion, smtp_sink: SmtpSink, settings: Settings
) -> None:
    settings.UNSUBSCRIBE_ADDRESS = "stop@clinic.example"
    make_checkins(infusion)
    due.tick()
    header = smtp_sink.messages[0]["List-Unsubscribe"]
    assert re.search(r", <mailto:stop@clinic\.example\?subject=stop%20[\w-]{75}>$", header)
