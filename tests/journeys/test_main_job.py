"""From the chairside to the rate: a nurse, a patient and an administrator on one day."""

import re
from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from ivigtrack.local import processes
from patients.models import Clinic, User
from reactions.models import CheckIn, Infusion
from tests.journeys.conftest import NewPage, sign_in
from tests.journeys.eyes import look_at
from tests.support.smtp_sink import SmtpSink

EMAIL = "aurelia@patients.example"


@pytest.fixture
def started_at(clinic: Clinic) -> datetime:
    """30 hours ago on the clinic's clocks, so that the first check-in is due when the infusion is recorded."""
    return (timezone.now() - timedelta(hours=30)).astimezone(clinic.zone).replace(second=0, microsecond=0)


def clock(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M")


@pytest.mark.django_db(transaction=True)
def test_from_the_chairside_to_the_rate(
    new_person: NewPage,
    celery_worker_process: processes.Child,
    smtp_sink: SmtpSink,
    nurse: User,
    administrator: User,
    other_nurse: User,
    started_at: datetime,
) -> None:
    admin_page = new_person()
    sign_in(admin_page, administrator, "/admin/rates/")
    expect(admin_page.locator(".headline")).to_contain_text("No infusions match")
    look_at(admin_page, "rates-empty")

    nurse_page = new_person()
    nurse_page.goto("/patients/")
    look_at(nurse_page, "sign-in")
    sign_in(nurse_page, nurse)
    look_at(nurse_page, "patients-empty")
    register(nurse_page)
    record_infusion(nurse_page, started_at)
    record_reaction(nurse_page, started_at)
    link = mailed_link(smtp_sink)

    patient_page = new_person()
    answer(patient_page, link, started_at)

    read_the_answer(nurse_page)
    read_the_rate(admin_page)
    other_page = new_person()
    sign_in(other_page, other_nurse)
    expect(other_page.get_by_text("Aurelia")).to_have_count(0)
    for address in addresses():
        assert other_page.goto(address).status == 404, address


def register(page: Page) -> None:
    page.get_by_role("link", name="Register a patient").first.click()
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text("Write the family name.").first).to_be_visible()
    look_at(page, "register-errors")
    page.get_by_label("Medical record number").fill("SYN-0042")
    page.get_by_label("Given name").fill("Aurelia")
    page.get_by_label("Family name").fill("Synthetic")
    page.get_by_label("Birth date").fill("1969-02-11")
    page.get_by_label("Sex").select_option("female")
    page.get_by_label("Diagnosis").fill("Dermatomyositis")
    page.get_by_label("Email", exact=False).first.fill(EMAIL)
    page.get_by_label("Agrees to check-ins by ordinary email").check()
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("heading", name="Aurelia Synthetic")).to_be_visible()
    look_at(page, "patient-empty")
    page.get_by_role("link", name="Record IgA").click()
    page.locator("#id_value").fill("4")
    page.get_by_label("Date of the sample").fill("2026-01-15")
    look_at(page, "iga")
    page.get_by_role("button", name="Record the result").click()
    expect(page.get_by_text("Deficient").first).to_be_visible()


def record_infusion(page: Page, started_at: datetime) -> None:
    page.get_by_role("link", name="Record an infusion").click()
    page.get_by_role("button", name="Record the infusion").click()
    expect(page.get_by_text("Choose the product.").first).to_be_visible()
    look_at(page, "infusion-errors")
    page.get_by_label("Start", exact=False).first.fill(clock(started_at))
    page.get_by_label("End", exact=False).first.fill(clock(started_at + timedelta(hours=4)))
    page.locator("#id_product").select_option(label="Privigen")
    page.locator("#id_dose_g").fill("35")
    page.locator("#id_weight_kg").fill("70")
    page.get_by_label("Given", exact=True).check()
    page.get_by_label("Yes: record it next").check()
    page.locator("#id_vials-0-lot").fill("SYN-LOT-7")
    page.locator("#id_vials-0-expires_on").fill("2028-06-30")
    page.locator("#id_vials-0-grams").fill("35")
    page.locator("#id_premedications-0-drug").select_option(label="Acetaminophen (paracetamol)")
    page.locator("#id_premedications-0-dose").fill("650 mg")
    page.locator("#id_premedications-0-minutes_before").fill("30")
    page.locator("#id_safety-reason").fill("Known, closely watched")
    look_at(page, "infusion-filled")
    page.get_by_role("button", name="Record the infusion").click()
    expect(page.get_by_role("heading", name=re.compile("reaction", re.IGNORECASE)).first).to_be_visible()


def record_reaction(page: Page, started_at: datetime) -> None:
    for number, (term, grade, minutes) in enumerate([("chills", "2", 40), ("urticaria", "1", 60)]):
        if number:
            page.get_by_role("button", name="Add a symptom").click()
        page.locator(f"#id_symptoms-{number}-term").select_option(term)
        page.locator(f"#id_symptoms-{number}-grade").select_option(grade)
        page.locator(f"#id_symptoms-{number}-onset_at").fill(clock(started_at + timedelta(minutes=minutes)))
    page.locator("#id_action").select_option("slowed")
    page.locator("#id_outcome").select_option("recovered")
    look_at(page, "reaction-filled")
    page.get_by_role("button", name="Record the reaction").click()
    expect(page.get_by_text("Chills").first).to_be_visible()
    look_at(page, "reaction")


def mailed_link(smtp_sink: SmtpSink) -> str:
    smtp_sink.wait_for(1)
    message = smtp_sink.messages[0]
    assert message["To"] == EMAIL
    found = re.search(r"http://\S+", message.get_body(("plain",)).get_content())
    assert found
    return found[0]


def answer(page: Page, link: str, started_at: datetime) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(link)
    page.get_by_label("Yes", exact=True).check()
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Headache", exact=True).check()
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Severe").check()
    page.get_by_label("When did it begin?").fill(clock(started_at + timedelta(hours=12)))
    for _ in ("this problem", "what was done", "the day"):
        page.get_by_role("button", name="Next").click()
    page.get_by_label("Anything else we should know?").fill("It woke me up.")
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="Call your clinic today")).to_be_visible()
    look_at(page, "check-in-thanks")
    page.goto(link)
    expect(page.get_by_text("You have answered already")).to_be_visible()
    look_at(page, "check-in-answered")


def read_the_answer(page: Page) -> None:
    page.goto("/patients/")
    look_at(page, "patients")
    page.get_by_role("link", name="Aurelia").first.click()
    expect(page.get_by_text("Headache").first).to_be_visible()
    look_at(page, "patient-timeline")
    page.get_by_role("link", name="Read and acknowledge").click()
    expect(page.get_by_text("It woke me up.")).to_be_visible()
    look_at(page, "alert")
    page.get_by_label("What was done").fill("Called back")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("Called back").first).to_be_visible()


def read_the_rate(page: Page) -> None:
    page.reload()
    expect(page.locator(".headline")).to_contain_text("1 infusion of 1 patient; 1 of 1 with a reaction")
    row = page.get_by_role("row", name=re.compile("Deficient"))
    expect(row.get_by_role("cell").filter(has_text="1/1").first).to_be_visible()
    look_at(page, "rates-one")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert b"deficient" in download.value.path().read_bytes()


def addresses() -> list[str]:
    """Every page about the patient."""
    infusion, checkin = Infusion.objects.get(), CheckIn.objects.get(state="answered")
    patient, reaction, alert = infusion.patient_id, infusion.reactions.get().pk, checkin.latest_answer().alert.pk
    return [
        f"/patients/{patient}/",
        f"/patients/{patient}/correct/",
        f"/patients/{patient}/infusions/new/",
        f"/infusions/{infusion.pk}/",
        f"/infusions/{infusion.pk}/correct/",
        f"/reactions/{reaction}/",
        f"/checkins/{checkin.pk}/",
        f"/alerts/{alert}/acknowledge/",
    ]
