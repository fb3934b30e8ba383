"""From a recalled lot to the people who got it: and what is noted of a patient between infusions."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from patients.models import Clinic, Patient, User
from reactions import recording
from reactions.clinical.risk_factors import RISK_FACTORS, RiskFactor
from reactions.models import Infusion, ResponseMeasures
from tests.journeys.conftest import NewPage, sign_in
from tests.journeys.eyes import look_at
from tests.support.factories import make_booking, make_infusion, make_patient, make_reaction, make_response

LOT = "K724B8541"
LONG_LOT = "SYN-0123456789-ABCDE"

pytestmark = pytest.mark.django_db(transaction=True)


def given(patient: Patient, days_ago: int, lot: str = LOT, **fields: object) -> Infusion:
    infusion = make_infusion(patient, ended_at=timezone.now() - timedelta(days=days_ago, hours=1), **fields)
    infusion.vials.create(lot=lot, grams=20, expires_on=date(2028, 6, 30))
    infusion.vials.create(lot=lot, grams=10, expires_on=date(2028, 6, 30))
    return infusion


@pytest.fixture
def treated(patient: Patient) -> Patient:
    """A year and a half of monthly courses of two days, with reactions in between."""
    patient.phone, patient.birth_date = "+1 555 0147", date(1955, 3, 2)
    patient.save()
    start = datetime(2025, 1, 6, 14, tzinfo=UTC)
    for month in range(18):
        for day in range(2):
            infusion = make_infusion(patient, started_at=start + timedelta(days=28 * month + day), dose_g=70 - month)
            infusion.vials.create(lot=f"SYN-{month // 3}", grams=20)
        if month in {0, 1, 4}:
            make_reaction(infusion, {"headache": 3 if month == 1 else 1, "chills": 2})
    make_reaction(infusion, {"fatigue": None})
    return patient


def test_from_a_lot_to_the_people_who_got_it(new_person: NewPage, patient: Patient, nurse: User) -> None:
    Patient.objects.filter(pk=patient.pk).update(phone="+1 555 0147")
    make_reaction(given(patient, 3), {"chills": 2, "headache": 3}, minutes=95)
    make_booking(patient, in_days=12)
    page = new_person()
    sign_in(page, nurse, "/lots/")
    page.get_by_role("searchbox", name="Lot").fill(LOT.lower())
    look_at(page, "lots")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", name=f"Who got lot {LOT}")).to_be_visible()
    expect(page.get_by_text("1/1")).to_be_visible()
    look_at(page, "lot")
    with page.expect_download() as download:
        page.get_by_role("link", name="Call list (CSV)").click()
    assert b"Tessa Synthetic" in download.value.path().read_bytes()
    page.get_by_role("link", name="Tessa Synthetic").click()
    page.get_by_role("link", name=LOT).first.click()
    expect(page.get_by_role("heading", name=f"Who got lot {LOT}")).to_be_visible()


def test_lots_with_nothing_with_much_and_with_long_names(new_person: NewPage, clinic: Clinic, nurse: User) -> None:
    page = new_person()
    sign_in(page, nurse, "/lots/")
    look_at(page, "lots-empty")
    page.goto("/lots/?lot=NOTHING-LIKE-IT")
    look_at(page, "lots-nothing")
    for number in range(30):
        patient = make_patient(
            clinic,
            given_name="Wilhelmina-Konstantina Maria-Magdalena" if number % 2 else "Bo",
            family_name="von Synthetic-Hohenzollern-Schlüsselfelderinnenstein" if number % 2 else "Ek",
            mrn="SYN-" + "9" * 30 if number == 1 else f"SYN-{number}",
            phone="+1 555 0100 extension 123456" if number % 3 else "",
            died_on=date(2026, 5, 1) if number == 3 else None,
        )
        infusion = given(patient, number, LONG_LOT, reaction_record="not_recorded" if number % 5 == 0 else "observed")
        if number % 2:
            make_reaction(infusion, {"chills": 2, "headache": 3, "urticaria": 1, "pruritus": None})
            make_reaction(infusion, {"fatigue": 1}, minutes=3_000)
            make_booking(patient)
        if number == 2:
            infusion.voided_at, infusion.voided_by, infusion.void_reason = timezone.now(), nurse, "Test"
            infusion.save()
    page.goto("/lots/?lot=SYN")
    look_at(page, "full-lots")
    page.goto(f"/lots/?lot={LONG_LOT}")
    expect(page.get_by_text("Page 1 of 2")).to_be_visible()
    look_at(page, "full-lot")


def test_booking_the_next_course(new_person: NewPage, patient: Patient, nurse: User, no_broker: None) -> None:
    make_booking(patient, in_days=-2)
    make_booking(patient, in_days=20, planned_days=5, planned_g=70)
    page = new_person()
    sign_in(page, nurse, f"/patients/{patient.pk}/")
    page.get_by_role("link", name="Book the next course").click()
    page.get_by_label("Days in the course").fill("9")
    page.get_by_role("button", name="Book the course").click()
    expect(page.get_by_text("Write the first day.").first).to_be_visible()
    look_at(page, "book-course-errors")
    day = timezone.localdate(timezone=patient.clinic.zone) + timedelta(days=20)
    page.get_by_label("First day").fill(str(day))
    page.get_by_label("Days in the course").fill("2")
    page.get_by_role("button", name="Book the course").click()
    expect(page.get_by_text("This booking was changed after you opened it.")).to_be_visible()
    look_at(page, "book-course-twice")
    page.get_by_role("button", name="Book the course").click()
    expect(page.get_by_text(f"Next course: {day}")).to_be_visible()
    look_at(page, "patient-booked")
    page.get_by_role("link", name=f"Take off the booking for {day}").click()
    look_at(page, "unbook-course")
    page.get_by_label("Why is it taken off?").fill("On holiday")
    page.get_by_role("button", name="Take it off").click()
    expect(page.get_by_text(f"Next course: {day}")).to_have_count(0)


def test_noting_risks_and_history(new_person: NewPage, patient: Patient, nurse: User) -> None:
    page = new_person()
    sign_in(page, nurse, f"/patients/{patient.pk}/")
    page.get_by_role("link", name="Note risks and history").click()
    look_at(page, "risks")
    page.get_by_label("Hypersensitivity in the history", exact=True).check()
    page.get_by_label("Asked: no hypersensitivity in the history", exact=True).check()
    page.get_by_label("Note on “Diabetes”").fill("Type 2")
    page.get_by_role("button", name="Save risks and history").click()
    expect(page.get_by_text("Tick one of the two").first).to_be_visible()
    look_at(page, "risks-errors")
    page.get_by_label("Asked: no hypersensitivity in the history", exact=True).uncheck()
    page.get_by_label("Diabetes (boxed warning)").check()
    page.get_by_role("button", name="Save risks and history").click()
    expect(page.get_by_text("Diabetes: Type 2")).to_be_visible()
    page.goto(f"/patients/{patient.pk}/risks/")
    factors = {str(code): "Synthetic words that take some room. " * 8 for code in RISK_FACTORS}
    del factors[RiskFactor.AGE_OVER_65]
    recording.set_risks(patient, by=nurse, factors=factors, now=timezone.now())
    page.get_by_role("button", name="Save risks and history").click()
    expect(page.get_by_text("was changed after you opened it")).to_be_visible()
    look_at(page, "full-risks")
    page.goto(f"/patients/{patient.pk}/")
    look_at(page, "full-patient-risks")


def test_the_response_over_time(new_person: NewPage, treated: Patient, nurse: User, no_broker: None) -> None:
    page = new_person()
    sign_in(page, nurse, f"/patients/{treated.pk}/")
    page.get_by_role("link", name="Enter response").click()
    page.get_by_label("Manual muscle test (MMT-8) (points)").fill("151")
    page.get_by_role("button", name="Record the response").click()
    expect(page.get_by_text("goes from 0 to 150 points").first).to_be_visible()
    look_at(page, "response-errors")
    enter(page, "2026-05-18", "141")
    expect(page.get_by_text("measured once").first).to_be_visible()
    look_at(page, "patient-response-one")
    for month in range(0, 16, 2):
        make_response(
            treated,
            measured_on=date(2025, 1, 2) + timedelta(days=28 * month),
            mmt8=118 + month,
            ck_u_per_l=6_400 // (month + 1),
            walk_m=None if month % 4 else 300 + 8 * month,
            patient_global=max(8 - month / 2, 1),
            physician_global=max(7 - month / 2, 1),
        )
    page.reload()
    expect(page.get_by_role("img", name="Response to treatment over time")).to_be_visible()
    page.get_by_text("The numbers in a table").click()
    look_at(page, "patient-response")
    page.get_by_role("link", name="Correct the response of 2026-05-18").click()
    stored = ResponseMeasures.objects.get(measured_on=date(2026, 5, 18))
    recording.correct_response(stored, by=nurse, measures={"mmt8": 140}, reason="Misread", seen_version=1)
    page.get_by_label("Reason for the correction").fill("Misread")
    page.get_by_role("button", name="Save the correction").click()
    expect(page.get_by_text("was changed after you opened it")).to_be_visible()
    look_at(page, "response-stale")


def enter(page: Page, day: str, mmt8: str) -> None:
    page.get_by_label("Date of the measures").fill(day)
    page.get_by_label("Manual muscle test (MMT-8) (points)").fill(mmt8)
    page.get_by_label("Creatine kinase (U/L)").fill("220")
    page.get_by_role("button", name="Record the response").click()
