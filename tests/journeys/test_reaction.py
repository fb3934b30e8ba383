"""A reaction at the chairside, followed to its signature: taps, evidence, form, cause, versions, worklist, report."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from patients.models import Clinic, User
from reactions.models import ClinicProtocol, Infusion, Reaction
from tests.journeys.conftest import NewPage, sign_in
from tests.journeys.eyes import look_at
from tests.support import PASSWORD
from tests.support.factories import make_infusion, make_patient, make_reaction

pytestmark = pytest.mark.django_db(transaction=True)

PROTOCOL = """Synthetic protocol of this clinic, version 3.

1. Stop the infusion and call for help on 4711.
2. Follow the laminated card on the crash cart.
3. Stay with the patient."""


@pytest.fixture
def running(clinic: Clinic, nurse: User) -> Infusion:
    """An infusion that began 80 minutes ago, with vital signs, of a lot that another patient got as well."""
    ClinicProtocol.objects.create(clinic=clinic, anaphylaxis_text=PROTOCOL)
    before = make_infusion(make_patient(clinic, given_name="Berta"), started_at=timezone.now() - timedelta(days=9))
    before.vials.create(lot="SYN-LOT-7", grams=30)
    make_reaction(before, {"urticaria": 2, "headache": 1})
    patient = make_patient(clinic, given_name="Aurelia", family_name="Synthetic")
    started_at = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=80)
    infusion = make_infusion(patient, started_at=started_at, ended_at=None, is_chairside=True)
    infusion.vials.create(lot="SYN-LOT-7", grams=30)
    for minutes, rate, reason in ((0, 30, "start"), (30, 60, "step_up"), (60, 120, "step_up")):
        at = started_at + timedelta(minutes=minutes)
        infusion.rate_steps.create(at=at, rate_ml_per_h=rate, reason=reason, created_by=nurse)
    for minutes, systolic in ((0, 124), (45, 118)):
        at = started_at + timedelta(minutes=minutes)
        infusion.vitals.create(
            at=at, systolic_mmhg=systolic, diastolic_mmhg=70, heart_rate_per_min=80, spo2_percent=97, created_by=nurse
        )
    return infusion


def test_a_reaction_from_the_first_tap_to_the_signature(
    new_person: NewPage, no_broker: None, running: Infusion, nurse: User, administrator: User
) -> None:
    page = new_person()
    sign_in(page, nurse, f"/infusions/{running.pk}/running/")
    page.get_by_role("button", name="Suspected anaphylaxis").click()
    tap_the_times(page)
    write_down_what_was_seen(page)
    fill_in_the_reaction(page)
    judge_the_cause(page)
    sign_it(page)
    read_what_became_of_it(page)

    admin_page = new_person()
    sign_in(admin_page, administrator, f"/patients/{running.patient_id}/")
    expect(admin_page.get_by_text("Meets published criteria of anaphylaxis")).to_be_visible()
    look_at(admin_page, "patient-anaphylaxis")


def tap_the_times(page: Page) -> None:
    expect(page.get_by_role("heading", name="Suspected anaphylaxis")).to_be_visible()
    expect(page.get_by_text("call for help on 4711").first).to_be_visible()
    look_at(page, "anaphylaxis-opened")
    for name in ("Infusion stopped", "Adrenaline 1", "EMS called"):
        page.get_by_role("button", name=name).click()
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    expect(page.get_by_text(re.compile(r"Given for this reaction: \d\d:\d\d Epinephrine"))).to_be_visible()
    page.get_by_label("Lowest systolic pressure (mmHg)").fill("82")
    page.get_by_role("button", name="EMS arrived").click()
    expect(page.get_by_text("not saved yet").first).to_be_visible()
    expect(page.get_by_label("Lowest systolic pressure (mmHg)")).to_have_value("82")
    look_at(page, "anaphylaxis-unsaved")


def write_down_what_was_seen(page: Page) -> None:
    page.get_by_label("Systolic pressure before (mmHg)").fill("124")
    page.get_by_label("Generalised hives").check()
    page.get_by_label("Wheeze or bronchospasm").check()
    page.get_by_label("Lowest systolic pressure (mmHg)").press("Enter")
    expect(page.get_by_text("Choose an answer; “Not asked” is one.").first).to_be_visible()
    look_at(page, "anaphylaxis-errors")
    page.get_by_label("Not known, but highly probable here").check()
    page.get_by_role("button", name="Record what was seen").click()
    expect(page.get_by_text("Meets criterion C1 of NIAID/FAAN 2006").first).to_be_visible()
    expect(page.get_by_text("Urticaria, grade 2").first).to_be_visible()
    look_at(page, "anaphylaxis")
    page.get_by_role("button", name="Record whether it is serious").click()
    expect(page.get_by_text("Tick what is met, or “None of these”.").first).to_be_visible()
    look_at(page, "anaphylaxis-serious-errors")
    page.get_by_role("group", name=re.compile("Serious")).get_by_label("Other important medical event").check()
    page.get_by_role("button", name="Record whether it is serious").click()
    expect(page.get_by_role("heading", name="Is it serious?")).to_have_count(0)
    page.get_by_role("link", name="The reaction", exact=True).click()
    page.get_by_role("link", name="Correct", exact=True).first.click()


def fill_in_the_reaction(page: Page) -> None:
    expect(page.get_by_role("heading", name="Correct the reaction")).to_be_visible()
    began = Reaction.objects.get(anaphylaxis__isnull=False)
    zone = began.infusion.zone

    def clock(minutes: int) -> str:
        return (began.onset_at + timedelta(minutes=minutes)).astimezone(zone).strftime("%Y-%m-%dT%H:%M")

    page.locator("#id_symptoms-0-grade").select_option("3")
    page.locator("#id_symptoms-1-term").select_option("urticaria")
    page.locator("#id_symptoms-1-grade").select_option("4")
    page.locator("#id_symptoms-1-onset_at").fill(clock(0))
    page.get_by_role("button", name="Show what the grades mean").click()
    page.get_by_text("What the grades mean: Urticaria").click()
    expect(page.get_by_text("Grade 3").last).to_be_visible()
    look_at(page, "reaction-grades")
    # What was tapped stands there already.
    expect(page.locator("#id_treatments-0-drug")).to_have_value("epinephrine")
    expect(page.locator("#id_action")).to_have_value("stopped_permanently")
    page.locator("#id_treatments-0-dose").fill("0.5 mg")
    page.locator("#id_treatments-0-route").select_option("IM")
    page.locator("#id_dechallenge").select_option("improved")
    page.locator("#id_rechallenge").select_option("not_done")
    page.locator("#id_outcome").select_option("recovered")
    page.get_by_label("Narrative").fill("Synthetic narrative. " * 8)
    page.get_by_label("Reason for the correction").fill("Written down after the event")
    page.get_by_role("button", name="Save the correction").click()
    expect(page.get_by_text("Urticaria has no grade 4").first).to_be_visible()
    look_at(page, "reaction-correct-errors")
    page.locator("#id_symptoms-1-grade").select_option("2")
    page.get_by_role("button", name="Save the correction").click()
    expect(page.get_by_text("Epinephrine (adrenaline) 0.5 mg").first).to_be_visible()
    expect(page.get_by_text("It ran at 120 mL/h then").first).to_be_visible()
    look_at(page, "reaction-followed")


def judge_the_cause(page: Page) -> None:
    page.get_by_role("link", name="Judge the cause").click()
    page.get_by_role("checkbox", name="The time between infusion and event is reasonable").check()
    page.get_by_role("button", name="Show which categories these support").click()
    expect(page.get_by_text("No category has all its points ticked.").first).to_be_visible()
    page.get_by_role("radio", name="Probable / likely").check()
    page.get_by_role("button", name="Save the judgement").click()
    expect(page.get_by_text("“Probable / likely” also needs").first).to_be_visible()
    look_at(page, "causality-errors")
    page.get_by_role("checkbox", name="Disease or another drug is an unlikely cause").check()
    page.get_by_role("checkbox", name="What happened after stopping or slowing makes clinical sense").check()
    page.get_by_role("button", name="Save the judgement").click()
    expect(page.get_by_text("WHO-UMC: probable").first).to_be_visible()
    page.get_by_role("link", name="Judge the cause").click()
    page.get_by_role("link", name="Naranjo questions").click()
    page.get_by_role("group", name=re.compile("^2. Did the event begin")).get_by_label("Yes").check()
    page.get_by_role("button", name="Show the score so far").click()
    expect(page.get_by_text("Naranjo score not finished: 2 so far").first).to_be_visible()
    look_at(page, "causality-naranjo")
    page.get_by_role("link", name="Cancel").click()


def sign_it(page: Page) -> None:
    page.get_by_role("link", name="Worklist").click()
    expect(page.get_by_text("Missing: a signature").first).to_be_visible()
    look_at(page, "worklist")
    page.get_by_role("link", name=re.compile("Aurelia")).click()
    page.get_by_role("link", name="Sign", exact=True).click()
    page.get_by_label("Approved as complete").check()
    page.get_by_label("Your password, once more").fill("wrong")
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.get_by_text("This is not your password.").first).to_be_visible()
    look_at(page, "sign-errors")
    page.get_by_label("Your password, once more").fill(PASSWORD)
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.get_by_text("Nora Test: approved as complete").first).to_be_visible()
    look_at(page, "reaction-signed")


def read_what_became_of_it(page: Page) -> None:
    page.get_by_role("link", name="Versions side by side").click()
    expect(page.get_by_role("heading", name="Version 5 beside version 6")).to_be_visible()
    look_at(page, "versions")
    page.get_by_role("link", name="The reaction").click()
    page.get_by_role("link", name="Draft for MedWatch 3500").click()
    expect(page.get_by_text("It is never sent by itself").first).to_be_visible()
    look_at(page, "report")
    page.goto("/worklist/")
    expect(page.get_by_text("Nothing is waiting.").first).to_be_visible()
    look_at(page, "worklist-empty")
    page.goto("/grades/?term=infusion_related_reaction&version=6.0")
    look_at(page, "grades")
