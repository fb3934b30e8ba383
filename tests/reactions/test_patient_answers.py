"""The patient's pages, from the link in a mail to the answer on the timeline."""

import html
import re
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from patients.models import AuditEvent, Patient, User
from reactions.checkins.plan import plan_checkins
from reactions.models import Alert, Answer, AnswerDraft, CheckIn, Infusion, OutboxMessage, ReportLink
from reactions.models.checkin import RECORDED_LATE, SENT_TOO_LATE
from reactions.models.link import hash_of
from reactions.recording import CheckInClosed, acknowledge_alert, begin_report, submit_answer, void_patient
from reactions.views import checkins
from reactions.vocabulary import AlertLevel, CheckInKind, CheckInState
from tests.support.answering import answer, fill, form_of
from tests.support.factories import make_checkins, make_patient


@pytest.fixture
def checkin(infusion: Infusion) -> CheckIn:
    """Sent, open for another two days."""
    plan_checkins(infusion, now=timezone.now())
    CheckIn.objects.filter(kind=CheckInKind.HOURS_24).update(state=CheckInState.SENT, sent_at=timezone.now())
    return infusion.checkins.get(kind=CheckInKind.HOURS_24)


@pytest.fixture
def first(checkin: CheckIn) -> str:
    return checkin.link_path()


def tell(client: Client, first: str, said: dict[str, Any]) -> Any:
    """Fill in and send every screen; symptoms as {"symptom_headache": "severe"}."""
    symptoms = {name.removeprefix("symptom_"): value for name, value in said.items() if name.startswith("symptom_")}
    others = {name: value for name, value in said.items() if not name.startswith("symptom_")}
    return answer(client, first, symptoms, **others)


def test_opening_the_pages_changes_nothing(client: Client, first: str) -> None:
    """A mail scanner opens every link."""
    fill(client, first, {"chest_pain": "mild"})
    before = stored()
    pages = ["", "?again", "who/", "problems/", "problem-headache/", "care/", "day/", "more/", "check/", "thanks/"]
    for address in [f"{first}{page}" for page in pages]:
        for method in (client.get, client.head):
            assert method(address, follow=True).status_code == 200
            assert method(f"{address}{'&' if '?' in address else '?'}lang=es", follow=True).status_code == 200
    assert stored() == before


def test_the_answer_is_stored_with_its_symptoms_and_times(
    client: Client, first: str, checkin: CheckIn, infusion: Infusion
) -> None:
    began = (infusion.ended_at + timedelta(hours=10)).astimezone(checkin.patient.zone).replace(second=0, microsecond=0)
    said = {"began_at": began.strftime("%Y-%m-%dT%H:%M"), "still_there": "yes", "care_sought": "medicine"}
    page = answer(client, first, {"headache": "severe", "fever": "mild"}, comment="Dröhnt 🤕 <b>sehr</b>", **said)
    assert "Call your clinic today" in page.content.decode()
    sent = checkin.latest_answer()
    rows = {row.symptom: (row.severity, row.began_at, row.still_there) for row in sent.symptoms.all()}
    assert rows == {"headache": ("severe", began, True), "fever": ("mild", began, True)}
    assert (sent.began_at, sent.still_there, sent.care_sought) == (began, True, "medicine")
    assert sent.comment == "Dröhnt 🤕 <b>sehr</b>"
    assert sent.alert.level == AlertLevel.AMBER


@pytest.mark.parametrize(
    ("step", "sent", "said"),
    [
        ("problems", {}, "mark at least one problem"),
        ("problems", {"symptoms": ["magic"]}, "Select a valid choice"),
        ("problem-headache", {}, "choose how bad it was"),
        ("problem-headache", {"severity": "unbearable"}, "Select a valid choice"),
        ("problem-headache", {"severity": "mild", "began_at": "2150-01-01T10:00"}, "has not come yet"),
        ("problem-headache", {"severity": "mild", "began_at": "2020-01-01T10:00"}, "before the infusion"),
        ("problem-headache", {"severity": "mild", "began_at": "yesterday"}, "could not read this date"),
        ("care", {"care_sought": "magic"}, "Select a valid choice"),
        ("day", {"effects": ["magic"]}, "Select a valid choice"),
        ("more", {"comment": "x" * 10_001}, "under 10,000 characters"),
    ],
)
def test_what_cannot_be_is_said_and_what_was_written_stays(
    client: Client, first: str, step: str, sent: dict[str, Any], said: str
) -> None:
    page = client.post(f"{first}{step}/", sent)
    text = page.content.decode()
    assert page.status_code == 200
    assert said in text
    for value in sent.values():
        assert isinstance(value, list) or value in text
    assert client.post(f"{first}check/").status_code == 302
    assert not Answer.objects.exists()


@pytest.mark.parametrize("bent", ["", "no-id", "\0", "💉" * 500])
def test_a_form_whose_hidden_fields_are_bent_is_taken_all_the_same(client: Client, first: str, bent: str) -> None:
    assert client.post(f"{first}more/", {"comment": "x\0y", "submission_id": bent, "opened": bent}).status_code == 200
    assert client.post(first, {"has_problem": "no", "submission_id": bent, "opened": bent}).status_code == 302
    assert Answer.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_taps_at_the_same_moment_are_one_answer(client: Client, infusion: Infusion) -> None:
    make_checkins(infusion)
    checkin = infusion.checkins.get(kind=CheckInKind.HOURS_24)
    first = checkin.link_path()
    fill(client, first, {"headache": "severe"})
    together = threading.Barrier(2)
    seen: list[str] = []

    def tap() -> None:
        together.wait()
        try:
            seen.append(Client().post(f"{first}check/").headers["Location"])
        finally:
            connection.close()

    taps = [threading.Thread(target=tap) for _ in range(2)]
    for one in taps:
        one.start()
    for one in taps:
        one.join()
    assert (seen, checkin.answers.count(), Alert.objects.count()) == ([f"{first}thanks/"] * 2, 1, 1)


def test_a_second_answer_is_kept_beside_the_first(client: Client, first: str, checkin: CheckIn) -> None:
    client.post(first, {"has_problem": "no"})
    assert "You have answered already" in client.get(first).content.decode()
    assert "any new or worse health problem" in client.get(f"{first}?again").content.decode()
    answer(client, first, {"rash": "moderate"})
    versions = list(checkin.answers.order_by("version").values_list("version", "has_problem"))
    assert versions == [(1, False), (2, True)]
    assert checkin.latest_answer().version == 2


def test_a_closed_check_in_takes_no_answer_and_says_why(client: Client, first: str) -> None:
    CheckIn.objects.update(due_at=timezone.now() - timedelta(days=4), closes_at=timezone.now())
    for page in (
        client.get(first),
        client.get(f"{first}problems/"),
        client.post(first, {"has_problem": "no"}),
        client.post(f"{first}more/", {"comment": "x"}),
        client.post(f"{first}check/"),
    ):
        assert page.status_code == 410
        assert "It could be answered until" in page.content.decode()
    assert not Answer.objects.exists()


def test_a_check_in_that_closes_while_the_patient_writes_takes_no_answer(
    client: Client, first: str, checkin: CheckIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page was open when the form came in; the window, and the hours of grace, are over before it is stored."""

    def close_then_store(*args: Any, **given: Any) -> Answer:
        over = timezone.now() - timedelta(hours=3)
        CheckIn.objects.filter(pk=checkin.pk).update(due_at=over - timedelta(days=9), closes_at=over)
        return submit_answer(*args, **given)

    fill(client, first, {"headache": "mild"})
    monkeypatch.setattr(checkins, "submit_answer", close_then_store)
    assert client.post(f"{first}check/").status_code == 410
    assert not Answer.objects.exists()


def test_the_pages_name_nobody_and_no_drug(client: Client, first: str, checkin: CheckIn) -> None:
    fill(client, first, {"headache": "mild"})
    for page in ("?again", "problems/", "problem-headache/", "care/", "day/", "more/", "check/"):
        text = client.get(f"{first}{page}").content.decode()
        for word in ("Tessa", checkin.patient.mrn, "Privigen", "Dermatomyositis"):
            assert word not in text


def test_times_are_on_the_patients_clocks_and_in_their_language(client: Client, infusion: Infusion) -> None:
    infusion.patient.time_zone = "Pacific/Auckland"
    infusion.patient.save()
    plan_checkins(infusion, now=timezone.now())
    checkin = infusion.checkins.get(kind=CheckInKind.HOURS_24)
    CheckIn.objects.filter(pk=checkin.pk).update(
        due_at=datetime.fromisoformat("2099-01-01T00:00:00+00:00"),
        closes_at=datetime.fromisoformat("2099-01-03T20:15:00+00:00"),
    )
    assert "until Sunday, January 4, 9:15 AM." in client.get(checkin.link_path()).content.decode()
    assert "hasta el domingo, 4 de enero, 09:15" in client.get(f"{checkin.link_path()}?lang=es").content.decode()


def stored() -> dict[str, Any]:
    return {
        "answers": Answer.objects.count(),
        "alerts": Alert.objects.count(),
        "events": AuditEvent.objects.count(),
        "mails": OutboxMessage.objects.count(),
        "drafts": list(AnswerDraft.objects.values()),
        "check-ins": list(CheckIn.objects.order_by("pk").values()),
    }


def test_no_is_one_tap_and_is_stored(client: Client, first: str, checkin: CheckIn) -> None:
    page = client.post(first, {"has_problem": "no"}, follow=True)
    assert page.status_code == 200
    assert "Your clinic has your answer" in page.content.decode()
    checkin.refresh_from_db()
    answer = checkin.latest_answer()
    assert (checkin.state, answer.has_problem, answer.version) == (CheckInState.ANSWERED, False, 1)
    assert not Alert.objects.exists()


def test_neither_is_asked_again(client: Client, first: str) -> None:
    page = client.post(first, {})
    assert "Please choose No or Yes." in page.content.decode()


def test_an_answer_leaves_a_trace(client: Client, first: str, checkin: CheckIn) -> None:
    client.post(first, {"has_problem": "no"})
    event = AuditEvent.objects.get(act="answer.sent")
    assert (event.by, event.patient_id) == (None, checkin.patient.pk)


def test_a_cancelled_check_in_takes_no_answer(client: Client, first: str) -> None:
    CheckIn.objects.update(state=CheckInState.CANCELLED, state_reason="Asked us to stop.", sent_at=None)
    answer = client.post(first, {"has_problem": "no"})
    assert answer.status_code == 410
    assert "does not need this answer" in answer.content.decode()
    assert "Asked us to stop" not in answer.content.decode()


def test_what_is_about_a_void_patient_takes_no_answer_though_it_was_answered_before(
    client: Client, first: str, checkin: CheckIn, nurse: User
) -> None:
    client.post(first, {"has_problem": "no"})
    link = ReportLink.of(checkin.patient)
    void_patient(checkin.patient, by=nurse, reason="Entered twice", seen_version=1, now=timezone.now())
    assert client.post(first, {"has_problem": "yes"}).status_code == 410
    assert Answer.objects.get().has_problem is False
    with pytest.raises(CheckInClosed):
        submit_answer(checkin, has_problem=True, details={}, symptoms={}, even_closed=True, now=timezone.now())
    assert begin_report(link.patient, now=timezone.now()) is None


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


def test_the_page_is_kept_and_referred_from_nowhere(client: Client, first: str) -> None:
    answer = client.get(first)
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert not answer.cookies.get("sessionid")


def test_staff_see_the_answer_on_the_timeline_and_can_acknowledge_its_alert(
    client: Client, first: str, nurse: User, checkin: CheckIn
) -> None:
    tell(client, first, {"symptom_chest_pain": "mild", "comment": "Since last night"})
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


def test_no_tapped_twice_is_one_answer(client: Client, first: str, checkin: CheckIn) -> None:
    sent = form_of(client, f"{first}?again") | {"has_problem": "no"}
    for _ in range(2):
        assert client.post(first, sent).status_code == 302
    assert checkin.answers.count() == 1


def test_a_further_answer_at_the_level_of_an_open_alert_goes_into_it(
    client: Client, first: str, nurse: User, checkin: CheckIn
) -> None:
    tell(client, first, {"symptom_chest_pain": "mild"})
    raised_at = Alert.objects.get().raised_at
    tell(client, first, {"symptom_fainting": "mild"})
    alert = Alert.objects.get()
    assert (alert.answer, alert.raised_at) == (checkin.latest_answer(), raised_at)
    assert alert.why == "Reported: fainting or collapse. Before: chest pain"
    assert OutboxMessage.objects.count() == 1
    tell(client, first, {"symptom_dizzy": "mild"})
    tell(client, first, {"symptom_headache": "severe"})
    assert sorted(Alert.objects.values_list("level", flat=True)) == ["amber", "green", "red"]


def test_after_it_was_acknowledged_a_further_answer_raises_a_new_alert(client: Client, first: str, nurse: User) -> None:
    tell(client, first, {"symptom_chest_pain": "mild"})
    acknowledge_alert(Alert.objects.get(), by=nurse, what_was_done="Called", now=timezone.now())
    tell(client, first, {"symptom_chest_pain": "severe"})
    assert Alert.objects.open().count() == 1
    assert OutboxMessage.objects.count() == 2


def test_nobody_acknowledges_what_they_have_not_read(client: Client, first: str, nurse: User) -> None:
    tell(client, first, {"symptom_chest_pain": "mild"})
    client.force_login(nurse)
    address = reverse("reactions:acknowledge", args=[Alert.objects.get().pk])
    form = {"what_was_done": "Called back", "seen_answer": Alert.objects.get().answer_id}
    tell(client, first, {"symptom_fainting": "mild", "comment": "It got worse"})
    page = client.post(address, form)
    assert page.status_code == 409
    assert "answered again meanwhile" in page.content.decode()
    assert "It got worse" in page.content.decode()
    assert Alert.objects.open().exists()
    assert client.post(address, form | {"seen_answer": Alert.objects.get().answer_id}).status_code == 302


def strip(page: Any) -> str:
    """The text of a page without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.content.decode()))


def test_a_later_no_does_not_hide_what_was_reported(client: Client, first: str, nurse: User, checkin: CheckIn) -> None:
    tell(client, first, {"symptom_breathing": "severe", "symptom_rash": "mild"})
    client.post(first, {"has_problem": "no"})
    client.force_login(nurse)
    earlier = "changed; earlier: trouble breathing, wheeze or a tight throat; rash or hives"
    for page in ("reactions:patient", "reactions:infusion"):
        pk = checkin.patient.pk if page == "reactions:patient" else checkin.infusion_id
        assert earlier in strip(client.get(reverse(page, args=[pk])))
    alert = Alert.objects.get()
    assert alert.why.startswith("Reported: trouble breathing, wheeze or a tight throat")
    page = strip(client.get(reverse("reactions:acknowledge", args=[alert.pk])))
    assert "The patient has since answered otherwise" in page
    assert "No new or worse problem" in page
    assert "answered otherwise since: no new or worse problem" in strip(client.get(reverse("reactions:alerts")))


def test_an_answer_that_stands_is_not_called_changed(client: Client, first: str, nurse: User, checkin: CheckIn) -> None:
    tell(client, first, {"symptom_breathing": "severe"})
    client.force_login(nurse)
    assert "changed; earlier" not in strip(client.get(reverse("reactions:patient", args=[checkin.patient.pk])))
    page = strip(client.get(reverse("reactions:acknowledge", args=[Alert.objects.get().pk])))
    assert "answered otherwise" not in page


def test_an_alert_that_reached_nobody_is_said_on_every_staff_page_of_its_clinic(
    client: Client, first: str, nurse: User, other_nurse: User, checkin: CheckIn
) -> None:
    User.objects.update(email="")
    tell(client, first, {"symptom_breathing": "severe"})
    alert = Alert.objects.get()
    said = "1 urgent alert at Synthetic Infusion Clinic reached nobody by mail."
    client.force_login(nurse)
    for address in ("/patients/", "/alerts/", "/patients/new/", f"/patients/{checkin.patient.pk}/", "/nowhere/"):
        assert said in strip(client.get(address)), address
    assert "Reached nobody" in strip(client.get("/alerts/"))
    page = strip(client.get(reverse("reactions:acknowledge", args=[alert.pk])))
    assert "Nobody: the clinic has no active clinician or administrator with an email address" in page
    acknowledge_alert(alert, by=nurse, what_was_done="Called", now=timezone.now())
    assert said not in strip(client.get("/patients/"))
    Alert.objects.update(acknowledged_at=None, acknowledged_by=None, what_was_done="")
    client.force_login(other_nurse)
    assert said not in strip(client.get("/patients/"))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"email_consent_at": None, "email_consent_by": None, "email_consent_text": ""},
            "The patient has not agreed to ordinary email.",
        ),
        ({"email": ""}, "No email address is recorded."),
        ({"died_on": "2026-05-01"}, "The patient has died."),
    ],
)
def test_a_check_in_that_will_never_be_mailed_is_not_called_planned(
    client: Client, infusion: Infusion, nurse: User, change: dict[str, object], why: str
) -> None:
    plan_checkins(infusion, now=timezone.now())
    Patient.objects.update(**change)
    client.force_login(nurse)
    for address in (f"/patients/{infusion.patient_id}/", f"/infusions/{infusion.pk}/"):
        text = strip(client.get(address))
        assert text.count(f"Will not be sent: {why}") == 4
        assert " due 2" not in text
        assert "Planned" not in text
    page = strip(client.get(reverse("reactions:checkin", args=[infusion.checkins.earliest("due_at").pk])))
    assert f"Will not be sent: {why}" in page


@pytest.mark.parametrize("reason", [RECORDED_LATE, SENT_TOO_LATE])
def test_the_two_ways_of_missing_a_check_in_are_told_apart(
    client: Client, infusion: Infusion, nurse: User, reason: str
) -> None:
    plan_checkins(infusion, now=timezone.now())
    infusion.checkins.update(state=CheckInState.MISSED, state_reason=reason)
    client.force_login(nurse)
    text = html.unescape(strip(client.get(reverse("reactions:patient", args=[infusion.patient_id]))))
    assert reason in text
    assert "Missed: recorded too late" not in text


def test_one_patients_link_never_opens_another_patients_page(client: Client, first: str, checkin: CheckIn) -> None:
    other = make_patient(checkin.patient.clinic)
    client.post(first, {"has_problem": "no"})
    assert not Answer.objects.filter(checkin__infusion__patient=other).exists()
    assert Answer.objects.get().checkin == checkin
