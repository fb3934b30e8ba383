"""An administrator writes the rota; a nurse reads that nobody is on call, and how often an alert was told."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from patients.models import Patient, User
from reactions import recording
from reactions.checkins import due
from reactions.models import Alert, OnCallShift
from reactions.vocabulary import CheckInKind
from tests.journeys.conftest import NewPage, sign_in
from tests.journeys.eyes import look_at
from tests.support.factories import make_checkins, make_infusion
from tests.support.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_rota_with_a_gap_and_an_alert_that_climbed(
    new_person: NewPage,
    no_broker: None,
    smtp_sink: SmtpSink,
    nurse: User,
    administrator: User,
    patient: Patient,
) -> None:
    today = timezone.localtime(timezone=patient.clinic.zone).date()
    admin = new_person()
    sign_in(admin, administrator, "/admin/reactions/oncallshift/add/")
    admin.get_by_label("Person:").select_option(label="Nora Test")
    admin.locator("#id_starts_at_0").fill(f"{today - timedelta(days=2)}")
    admin.locator("#id_starts_at_1").fill("08:00")
    admin.locator("#id_ends_at_0").fill(f"{today - timedelta(days=1)}")
    admin.locator("#id_ends_at_1").fill("08:00")
    admin.get_by_role("button", name="Save", exact=True).click()
    expect(admin.get_by_role("link", name="08:00 – ")).to_be_visible()
    assert OnCallShift.objects.get().person == nurse
    look_at(admin, "on-call-list")

    infusion = make_infusion(patient)
    make_checkins(infusion)
    recording.submit_answer(
        infusion.checkins.get(kind=CheckInKind.HOURS_24),
        has_problem=True,
        details={"still_there": True},
        symptoms={"chest_pain": "severe"},
        now=timezone.now(),
    )
    due.tick()
    Alert.objects.update(raised_at=timezone.now() - timedelta(minutes=16))
    due.tick()

    page = new_person()
    sign_in(page, nurse, "/alerts/")
    expect(page.get_by_text(f"Nobody is on call at {patient.clinic} now.")).to_be_visible()
    expect(page.get_by_text("Overdue")).to_be_visible()
    look_at(page, "on-call-alerts")
    page.get_by_role("link", name=patient.full_name).click()
    expect(page.get_by_text("To be acknowledged by")).to_be_visible()
    expect(page.get_by_text("Ada Test")).to_be_visible()
    look_at(page, "on-call-alert")
    page.get_by_label("What was done?").fill("Called; an ambulance is on its way.")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("The alert is acknowledged.")).to_be_visible()

    admin.goto("/admin/alert-times/")
    expect(admin.get_by_role("cell", name="16 min").first).to_be_visible()
    expect(admin.get_by_text("0 of 1 (0 %)")).to_be_visible()
    look_at(admin, "alert-times")
    admin.goto("/admin/reactions/alertpolicy/add/")
    admin.get_by_label("Red is to be acknowledged").fill("20")
    admin.get_by_role("button", name="Save", exact=True).click()
    expect(admin.get_by_role("cell", name="20", exact=True)).to_be_visible()
    look_at(admin, "alert-policies")
