"""What patients told is reviewed, and whoever stayed silent is called: in a browser, with and without a script."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from patients.models import Clinic, Patient, User
from reactions.models import Answer, CheckIn, Infusion, PhoneCall, Reaction, ReviewDecision
from reactions.recording import submit_answer
from reactions.vocabulary import CheckInKind, CheckInState
from tests.journeys.conftest import NewPage, sign_in
from tests.journeys.eyes import look_at
from tests.support.factories import make_checkins, make_infusion, make_patient, make_reaction

pytestmark = pytest.mark.django_db(transaction=True)

LONG = "Wilhelmina-Konstantina von Synthetic-Schlüsselfelderinnenstein"


def tell(
    infusion: Infusion, symptoms: dict[str, str], kind: CheckInKind = CheckInKind.HOURS_24, **details: object
) -> Answer:
    checkin = infusion.checkins.get(kind=kind)
    return submit_answer(checkin, has_problem=bool(symptoms), details=details, symptoms=symptoms, now=timezone.now())


@pytest.fixture
def told(clinic: Clinic) -> Infusion:
    """An infusion with a reaction, about which the patient tells, and has told otherwise since."""
    patient = make_patient(clinic, given_name="Aurelia", family_name=LONG, phone="+1 555 0142")
    infusion = make_infusion(patient)
    make_reaction(infusion, {"chills": 2, "headache": 1}, narrative="Synthetic words.")
    make_checkins(infusion)
    began = infusion.ended_at + timedelta(hours=5)
    tell(infusion, {"headache": "moderate", "fever": "mild"}, began_at=began, comment="Synthetic complaint. " * 12)
    tell(infusion, {"headache": "severe", "rash": "mild"}, began_at=began, still_there=True, care_sought="called")
    return infusion


def silence(patient: Patient, days: int) -> CheckIn:
    infusion = make_infusion(patient, ended_at=timezone.now() - timedelta(days=days))
    make_checkins(infusion)
    for checkin in infusion.checkins.filter(kind__in=[CheckInKind.HOURS_24, CheckInKind.HOURS_72]):
        sent_at = checkin.due_at + timedelta(minutes=1)
        CheckIn.objects.filter(pk=checkin.pk).update(state=CheckInState.EXPIRED, sent_at=sent_at, state_reason="")
    return infusion.checkins.get(kind=CheckInKind.HOURS_72)


def test_the_three_decisions(new_person: NewPage, no_broker: None, told: Infusion, nurse: User) -> None:
    for number in range(2):
        other = make_infusion(make_patient(told.clinic, family_name=f"Synthetic{number}"))
        make_checkins(other)
        tell(other, {"itch": "mild"} if number else {"chest_pain": "mild"})
    page = new_person()
    sign_in(page, nurse, "/worklist/")
    page.get_by_role("navigation", name="Lists of the worklist").get_by_role("link", name="Reports").click()
    expect(page.get_by_role("main").get_by_text("Headache: moderate → severe")).to_be_visible()
    look_at(page, "review-queue")

    page.get_by_role("link", name="Aurelia").click()
    expect(page.get_by_role("heading", name="What changed")).to_be_visible()
    look_at(page, "review-report")
    page.get_by_role("link", name="Accept as a new reaction").click()
    expect(page.get_by_label("Symptom").first).to_have_value("headache")
    expect(page.get_by_label("Grade").first).to_have_value("")
    look_at(page, "review-accept")
    page.get_by_role("button", name="Record the reaction").click()
    expect(page.get_by_text("Choose the grade.").first).to_be_visible()
    page.get_by_label("Grade").first.select_option("2")
    page.get_by_label("What was done to the infusion").select_option("infusion_already_over")
    page.get_by_role("button", name="Record the reaction").click()
    expect(page.get_by_text("Patient-reported, confirmed")).to_be_visible()
    look_at(page, "review-accepted-reaction")
    made = Reaction.objects.patient_confirmed_only().get()

    page.goto(f"/checkins/{told.checkins.get(kind=CheckInKind.HOURS_24).pk}/review/")
    page.get_by_text("Revise the decision").click()
    page.get_by_role("radio", name="Chills").check()
    page.get_by_role("button", name="Merge with it").click()
    expect(page.get_by_role("alert").get_by_text("Write why the decision is changed.")).to_be_visible()
    look_at(page, "review-words-missing")
    page.get_by_label("Why is the decision changed?").first.fill("It is the one seen at the chair")
    page.get_by_role("button", name="Merge with it").click()
    expect(page.get_by_text("The decision is stored.")).to_be_visible()
    assert ReviewDecision.objects.standing().get(checkin__infusion=told).reaction_id != made.pk

    page.get_by_role("link", name="Synthetic1").click()
    page.get_by_role("radio", name="Another cause").check()
    page.get_by_role("button", name="Reject it").click()
    expect(page.get_by_text("The decision is stored.")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("link", name="Synthetic1")).to_have_count(0)
    page.goto(f"/checkins/{told.checkins.get(kind=CheckInKind.HOURS_24).pk}/review/")
    look_at(page, "review-decided")
    page.goto(f"/checkins/{told.checkins.get(kind=CheckInKind.HOURS_24).pk}/")
    look_at(page, "review-check-in")


def test_who_stayed_silent_is_called(new_person: NewPage, no_broker: None, clinic: Clinic, nurse: User) -> None:
    problem = make_patient(clinic, given_name="Aurelia", family_name=LONG, phone="+1 555 0142", language="es")
    silence(problem, 12)
    for number, days in enumerate((20, 15)):
        silence(make_patient(clinic, family_name=f"Synthetic{number}", phone="+1 555 0150"), days)
    page = new_person()
    sign_in(page, nurse, "/worklist/silence/")
    page.get_by_role("link", name="Synthetic0").click()
    look_at(page, "silence-call")
    page.get_by_role("radio", name="Not reached: try again").check()
    page.get_by_role("button", name="Store the call").click()
    expect(page.get_by_text("Called in vain 1 time")).to_be_visible()

    page.get_by_role("link", name="Aurelia").click()
    page.get_by_role("radio", name="Reached: there is a problem").check()
    page.get_by_role("button", name="Store the call").click()
    expect(page.get_by_role("heading", name="Take down by telephone")).to_be_visible()
    look_at(page, "silence-telephone")
    page.goto("/worklist/silence/")
    expect(page.get_by_text("Told of a problem: write it down")).to_be_visible()
    look_at(page, "silence-list")
    page.get_by_role("link", name="Aurelia").click()
    look_at(page, "silence-call-problem")
    page.get_by_role("link", name="Write down what the patient told").click()
    page.get_by_label("Chest pain").select_option("moderate")
    page.get_by_label("In the patient's words").fill("It presses.")
    page.get_by_role("button", name="Store what the patient told").click()
    expect(page.get_by_text("It raised an alert, red: now.")).to_be_visible()
    page.goto("/worklist/silence/")
    expect(page.get_by_role("main").get_by_role("link", name="Aurelia")).to_have_count(0)
    assert PhoneCall.objects.get(answer__isnull=False).patient == problem


def test_the_pages_work_without_a_script(
    browser: Browser, live_server: LiveServer, no_broker: None, told: Infusion, clinic: Clinic, nurse: User
) -> None:
    silence(make_patient(clinic, family_name="Quiet"), 12)
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, nurse, "/worklist/reports/")
    page.get_by_role("link", name="Aurelia").click()
    page.get_by_role("radio", name="Another cause").check()
    page.get_by_role("button", name="Reject it").click()
    expect(page.get_by_text("Nothing is waiting.")).to_be_visible()
    page.get_by_role("navigation", name="Lists of the worklist").get_by_role("link", name="To call").click()
    page.get_by_role("link", name="Quiet").click()
    page.get_by_role("radio", name="Reached: no new or worse problem").check()
    page.get_by_role("button", name="Store the call").click()
    expect(page.get_by_text("Nobody is to be called.")).to_be_visible()
    context.close()
