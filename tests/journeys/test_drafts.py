"""What is typed and not saved comes back; what is saved does not; and what was added is there in both."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from patients.models import Patient, User
from reactions.models import AnaphylaxisRecord, Infusion, Reaction
from tests.journeys.conftest import NewPage, sign_in
from tests.support import PASSWORD
from tests.support.factories import make_infusion, suspect

pytestmark = pytest.mark.django_db(transaction=True)

TERMS = ("chills", "headache", "nausea", "urticaria", "fatigue")


@pytest.fixture
def running(patient: Patient, nurse: User, no_broker: None) -> Infusion:
    started_at = timezone.now() - timedelta(hours=1)
    infusion = make_infusion(patient, started_at=started_at, ended_at=None, is_chairside=True)
    infusion.rate_steps.create(at=infusion.started_at, rate_ml_per_h=42, reason="start", created_by=nurse)
    return infusion


def type_symptoms(page: Page, infusion: Infusion) -> None:
    """One row for each term: more than the page has at first."""
    began = timezone.localtime(infusion.started_at, infusion.zone) + timedelta(minutes=20)
    for number, term in enumerate(TERMS):
        field = page.locator(f"#id_symptoms-{number}-term")
        if not field.is_visible():
            page.get_by_role("button", name="Add a symptom").click()
        field.select_option(term)
        page.locator(f"#id_symptoms-{number}-grade").select_option("1")
        page.locator(f"#id_symptoms-{number}-onset_at").fill(began.strftime("%Y-%m-%dT%H:%M"))


def test_every_row_that_was_added_is_saved(new_person: NewPage, nurse: User, running: Infusion) -> None:
    page = new_person()
    sign_in(page, nurse, reverse("reactions:record_reaction", args=[running.pk]))
    type_symptoms(page, running)
    page.get_by_label("What was done to the infusion").select_option("observed_only")
    page.get_by_role("button", name="Record the reaction").click()
    expect(page.get_by_text("The reaction is recorded.")).to_be_visible()
    assert set(Reaction.objects.get().symptoms.values_list("term", flat=True)) == set(TERMS)


def test_rows_that_were_added_come_back_with_what_was_typed(
    new_person: NewPage, nurse: User, running: Infusion
) -> None:
    page = new_person()
    sign_in(page, nurse, reverse("reactions:record_reaction", args=[running.pk]))
    type_symptoms(page, running)
    page.goto(reverse("reactions:running", args=[running.pk]))
    page.goto(reverse("reactions:record_reaction", args=[running.pk]))
    expect(page.get_by_text("What you typed before is here again.")).to_be_visible()
    for number, term in enumerate(TERMS):
        expect(page.locator(f"#id_symptoms-{number}-term")).to_have_value(term)
    page.get_by_label("What was done to the infusion").select_option("observed_only")
    page.get_by_role("button", name="Record the reaction").click()
    expect(page.get_by_text("The reaction is recorded.")).to_be_visible()
    assert Reaction.objects.get().symptoms.count() == len(TERMS)


def test_a_correction_that_was_saved_is_not_called_unsaved(new_person: NewPage, nurse: User, running: Infusion) -> None:
    at = timezone.now().replace(second=0, microsecond=0)
    vitals = running.vitals.create(at=at, heart_rate_per_min=80, created_by=nurse)
    page = new_person()
    sign_in(page, nurse, reverse("reactions:correct_vitals", args=[vitals.pk]))
    page.locator("#id_heart_rate_per_min").fill("90")
    page.locator("#id_reason").fill("Typing error")
    page.get_by_role("button", name="Save the correction").click()
    expect(page.get_by_text("Corrected: the vital signs")).to_be_visible()
    page.goto(reverse("reactions:correct_vitals", args=[vitals.pk]), wait_until="networkidle")
    expect(page.locator("#id_heart_rate_per_min")).to_have_value("90")
    expect(page.locator("#id_reason")).to_have_value("")
    expect(page.locator("#id_seen_version")).to_have_value("2")
    expect(page.get_by_text("not saved yet")).to_have_count(0)


def test_what_was_seen_survives_a_session_that_ended(new_person: NewPage, nurse: User, running: Infusion) -> None:
    address = reverse("reactions:anaphylaxis", args=[suspect(running).reaction_id])
    page = new_person()
    sign_in(page, nurse, address)
    page.locator("#id_evidence-hives").check()
    page.locator("#id_evidence-systolic_mmhg").fill("84")
    Session.objects.all().delete()
    page.get_by_role("button", name="Record what was seen").click()
    page.get_by_label("Username").fill(nurse.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.goto(address)
    expect(page.locator("#id_evidence-systolic_mmhg")).to_have_value("84")
    expect(page.locator("#id_evidence-hives")).to_be_checked()


def test_a_dose_that_is_tapped_while_the_evidence_waits_is_recorded(
    new_person: NewPage, nurse: User, running: Infusion
) -> None:
    record = suspect(running)
    page = new_person()
    sign_in(page, nurse, reverse("reactions:anaphylaxis", args=[record.reaction_id]))
    page.locator("#id_evidence-hives").check()
    page.get_by_label("Not asked, or nobody can tell").check()
    page.context.set_offline(True)
    page.get_by_role("button", name="Record what was seen").click()
    expect(page.get_by_text("No connection. Nothing is lost").first).to_be_visible()
    page.get_by_role("button", name="Adrenaline 1").click()
    page.context.set_offline(False)
    expect(page.get_by_text("What was seen is recorded.")).to_be_visible(timeout=15_000)
    stored = AnaphylaxisRecord.objects.get()
    assert stored.is_judged
    assert stored.moments["adrenaline_1_at"]


def test_what_was_saved_does_not_come_back_to_be_saved_again(
    new_person: NewPage, nurse: User, running: Infusion
) -> None:
    page = new_person()
    sign_in(page, nurse, reverse("reactions:record_reaction", args=[running.pk]))
    type_symptoms(page, running)
    page.get_by_label("What was done to the infusion").select_option("observed_only")
    page.get_by_label("Narrative").fill("Synthetic words.")
    page.get_by_role("button", name="Record the reaction").click()
    expect(page.get_by_text("The reaction is recorded.")).to_be_visible()
    page.goto(reverse("reactions:record_reaction", args=[running.pk]))
    expect(page.get_by_label("Narrative")).to_have_value("")
    page.get_by_label("Narrative").fill("Other words.")
    page.goto(reverse("reactions:running", args=[running.pk]))
    page.go_back()
    expect(page.get_by_label("Narrative")).to_have_value("Other words.")
    expect(page.get_by_text("What you typed before is here again.")).to_be_visible()
    page.get_by_role("button", name="Start afresh").click()
    expect(page.get_by_label("Narrative")).to_have_value("")
    expect(page.get_by_text("What you typed before is here again.")).to_have_count(0)


def test_the_back_button_after_a_save_shows_an_empty_form(new_person: NewPage, nurse: User, running: Infusion) -> None:
    page = new_person()
    sign_in(page, nurse, reverse("reactions:running", args=[running.pk]))
    page.locator("#id_treatment-drug").select_option("cetirizine")
    page.locator("#id_treatment-dose").fill("10 mg")
    page.get_by_role("button", name="Record the drug").click()
    expect(page.get_by_text("Recorded: Cetirizine 10 mg")).to_be_visible()
    page.get_by_role("link", name="Whole record").click()
    page.go_back()
    expect(page.locator("#id_treatment-dose")).to_have_value("")
    page.go_back()
    expect(page.locator("#id_treatment-dose")).to_have_value("")
    expect(page.locator("#id_treatment-drug")).to_have_value("")


def test_who_has_to_sign_in_again_reads_that_nothing_is_lost(
    new_person: NewPage, nurse: User, running: Infusion
) -> None:
    page = new_person()
    sign_in(page, nurse, reverse("reactions:running", args=[running.pk]))
    page.locator("#id_treatment-dose").fill("10 mg")
    Session.objects.all().delete()
    page.reload()
    expect(page.get_by_text("is kept here, and is there again when you have signed in")).to_be_visible()
    page.get_by_label("Username").fill(nurse.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("#id_treatment-dose")).to_have_value("10 mg")
