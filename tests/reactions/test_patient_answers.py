"""The patient's pages, from the link in a mail to the answer on the timeline."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from patients.models import AuditEvent, User
from reactions.checkins.plan import plan_checkins
from reactions.models import Alert, Answer, CheckIn, Infusion, OutboxMessage
from reactions.models.link import hash_of
from reactions.vocabulary import AlertLevel, CheckInKind, CheckInState
from tests.support.factories import make_patient


@pytest.fixture
def checkin(infusion: Infusion) -> CheckIn:
    """Sent, open for another two days."""
    plan_checkins(infusion, now=timezone.now())
    CheckIn.objects.filter(kind=CheckInKind.HOURS_24).update(state=CheckInState.SENT, sent_at=timezone.now())
    return infusion.checkins.get(kind=CheckInKind.HOURS_24)


@pytest.fixture
def first(checkin: CheckIn) -> str:
    return checkin.link_path()


@pytest.fixture
def details(first: str) -> str:
    return f"{first}details/"


def stored() -> dict[str, Any]:
    return {
        "answers": Answer.objects.count(),
        "alerts": Alert.objects.count(),
        "events": AuditEvent.objects.count(),
        "mails": OutboxMessage.objects.count(),
        "check-ins": list(CheckIn.objects.order_by("pk").values()),
    }


def test_opening_the_pages_changes_nothing(client: Client, first: str, details: str) -> None:
    """A mail scanner opens every link."""
    before = stored()
    for address in (first, details, f"{first}thanks/", f"{first}?again"):
        for method in (client.get, client.head):
            assert method(address, follow=True).status_code == 200
    assert stored() == before


def test_no_is_one_tap_and_is_stored(client: Client, first: str, checkin: CheckIn) -> None:
    page = client.post(first, {"has_problem": "no"}, follow=True)
    assert page.status_code == 200
    assert "Your clinic has your answer" in page.content.decode()
    checkin.refresh_from_db()
    answer = checkin.latest_answer()
    assert (checkin.state, answer.has_problem, answer.version) == (CheckInState.ANSWERED, False, 1)
    assert not Alert.objects.exists()


def test_yes_asks_further_and_stores_nothing_yet(client: Client, first: str, details: str) -> None:
    assert client.post(first, {"has_problem": "yes"}).headers["Location"] == details
    assert not Answer.objects.exists()


def test_neither_is_asked_again(client: Client, first: str) -> None:
    page = client.post(first, {})
    assert "Please choose No or Yes." in page.content.decode()


def test_the_answer_is_stored_with_its_symptoms_and_time(
    client: Client, details: str, checkin: CheckIn, infusion: Infusion
) -> None:
    began = (infusion.ended_at + timedelta(hours=10)).astimezone(checkin.patient.zone).replace(second=0, microsecond=0)
    sent = {
        "symptom_headache": "severe",
        "symptom_fever": "mild",
        "began_at": began.strftime("%Y-%m-%dT%H:%M"),
        "still_there": "yes",
        "care_sought": "medicine",
        "comment": "Dröhnt 🤕 <b>sehr</b>",
    }
    page = client.post(details, sent, follow=True)
    assert "Call your clinic today" in page.content.decode()
    answer = checkin.latest_answer()
    assert dict(answer.symptoms.values_list("symptom", "severity")) == {"headache": "severe", "fever": "mild"}
    assert (answer.began_at, answer.still_there, answer.care_sought) == (began, True, "medicine")
    assert answer.comment == sent["comment"]
    assert answer.alert.level == AlertLevel.AMBER


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "mark at least one problem"),
        ({"symptom_headache": "unbearable"}, "Select a valid choice"),
        ({"symptom_headache": "mild", "began_at": "2999-01-01T10:00"}, "has not come yet"),
        ({"symptom_headache": "mild", "began_at": "2020-01-01T10:00"}, "before your infusion"),
        ({"symptom_headache": "mild", "began_at": "yesterday"}, "is not a date and time"),
        ({"symptom_headache": "mild", "began_at": "2026-03-08T02:30"}, "did not exist"),
        ({"symptom_headache": "mild", "care_sought": "magic"}, "Select a valid choice"),
        ({"comment": "x" * 10_001}, "under 10,000 characters"),
    ],
)
def test_what_cannot_be_is_said_and_what_was_written_stays(
    client: Client, details: str, sent: dict[str, str], said: str
) -> None:
    page = client.post(details, {"comment": "kept words"} | sent if sent else {})
    text = page.content.decode()
    assert page.status_code == 200
    assert said in text
    assert "Not sent yet" in text
    assert not sent or "comment" in sent or "kept words" in text
    assert not Answer.objects.exists()


def test_emergency_words_come_first_even_when_something_else_is_amiss(client: Client, details: str) -> None:
    page = client.post(details, {"symptom_chest_pain": "mild", "began_at": "yesterday"})
    text = page.content.decode()
    assert text.index("Do not drive yourself") < text.index("Not sent yet")
    assert not Answer.objects.exists()


def test_emergency_words_come_even_when_the_answer_cannot_be_stored(
    client: Client, details: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_args: object, **_fields: object) -> None:
        raise OperationalError("disk full")

    monkeypatch.setattr(Answer.objects, "create", no_space)
    page = client.post(details, {"symptom_chest_pain": "mild", "comment": "kept words"})
    text = page.content.decode()
    assert page.status_code == 503
    assert text.index("Do not drive yourself") < text.index("could not store your answer")
    assert "kept words" in text


def test_a_second_answer_is_kept_beside_the_first(client: Client, first: str, details: str, checkin: CheckIn) -> None:
    client.post(first, {"has_problem": "no"})
    assert "You have answered already" in client.get(first).content.decode()
    assert "How have you been?" in client.get(f"{first}?again").content.decode()
    client.post(details, {"symptom_rash": "moderate"})
    checkin.refresh_from_db()
    versions = list(checkin.answers.order_by("version").values_list("version", "has_problem"))
    assert versions == [(1, False), (2, True)]
    assert checkin.latest_answer().version == 2


def test_a_closed_check_in_takes_no_answer_and_says_why(client: Client, first: str, details: str) -> None:
    CheckIn.objects.update(due_at=timezone.now() - timedelta(days=4), closes_at=timezone.now())
    for answer in (
        client.get(first),
        client.post(first, {"has_problem": "no"}),
        client.post(details, {"comment": "x"}),
    ):
        assert answer.status_code == 410
        assert "It could be answered until" in answer.content.decode()
    assert not Answer.objects.exists()


def test_a_check_in_that_closes_while_the_patient_writes_takes_no_answer(
    client: Client, details: str, checkin: CheckIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    CheckIn.objects.filter(pk=checkin.pk).update(closes_at=timezone.now() + timedelta(milliseconds=1))
    monkeypatch.setattr(CheckIn, "why_closed", lambda self, now: "expired" if self.answers.exists() else "")
    Answer.objects.create(checkin=checkin, version=1, submitted_at=timezone.now(), has_problem=False)
    assert client.post(details, {"comment": "late"}).status_code == 410
    assert Answer.objects.count() == 1


def test_a_cancelled_check_in_takes_no_answer(client: Client, first: str) -> None:
    CheckIn.objects.update(state=CheckInState.CANCELLED, state_reason="Asked us to stop.", sent_at=None)
    answer = client.post(first, {"has_problem": "no"})
    assert answer.status_code == 410
    assert "does not need this answer" in answer.content.decode()
    assert "Asked us to stop" not in answer.content.decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1],
        lambda token: token + "x",
        lambda token: token.swapcase(),
        lambda token: "A" * 24,
        lambda token: hash_of(token)[:24],
        lambda token: "%00" + token,
        lambda token: "ü" * 24,
        lambda token: "x" * 5000,
    ],
)
def test_a_mangled_link_is_answered_kindly_and_tells_nothing(client: Client, first: str, change: Any) -> None:
    token = first.rstrip("/").rpartition("/")[2]
    answer = client.get(first.replace(token, change(token)))
    assert answer.status_code == 404
    text = answer.content.decode()
    assert "This link does not work" in text
    assert "Synthetic" not in text


def test_the_page_names_nobody_and_no_drug(client: Client, first: str, details: str, checkin: CheckIn) -> None:
    for address in (first, details):
        text = client.get(address).content.decode()
        for word in ("Tessa", checkin.patient.mrn, "Privigen", "Dermatomyositis"):
            assert word not in text


def test_the_page_is_kept_and_referred_from_nowhere(client: Client, first: str) -> None:
    answer = client.get(first)
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert not answer.cookies.get("sessionid")


def test_times_are_on_the_patients_clocks(client: Client, infusion: Infusion) -> None:
    infusion.patient.time_zone = "Pacific/Auckland"
    infusion.patient.save()
    plan_checkins(infusion, now=timezone.now())
    checkin = infusion.checkins.get(kind=CheckInKind.HOURS_24)
    CheckIn.objects.filter(pk=checkin.pk).update(
        due_at=datetime.fromisoformat("2099-01-01T00:00:00+00:00"),
        closes_at=datetime.fromisoformat("2099-01-03T20:15:00+00:00"),
    )
    assert "Sunday, January 4, 09:15" in client.get(checkin.link_path()).content.decode()


def test_staff_see_the_answer_on_the_timeline_and_can_acknowledge_its_alert(
    client: Client, details: str, nurse: User, checkin: CheckIn
) -> None:
    client.post(details, {"symptom_chest_pain": "mild", "comment": "Since last night"})
    client.force_login(nurse)
    timeline = client.get(reverse("reactions:patient", args=[checkin.patient.pk])).content.decode()
    assert "Read and acknowledge" in timeline
    assert "Chest pain" in timeline
    alert = Alert.objects.get()
    address = reverse("reactions:acknowledge", args=[alert.pk])
    assert "Since last night" in client.get(address).content.decode()
    assert client.post(address, {"what_was_done": ""}).status_code == 200
    assert Alert.objects.open().exists()
    client.post(address, {"what_was_done": "Called back; sent to the emergency room"})
    alert.refresh_from_db()
    assert alert.acknowledged_by == nurse
    assert (
        "Read and acknowledge"
        not in client.get(reverse("reactions:patient", args=[checkin.patient.pk])).content.decode()
    )


def test_one_patients_link_never_opens_another_patients_page(client: Client, first: str, checkin: CheckIn) -> None:
    other = make_patient(checkin.patient.clinic)
    client.post(first, {"has_problem": "no"})
    assert not Answer.objects.filter(checkin__infusion__patient=other).exists()
    assert Answer.objects.get().checkin == checkin
