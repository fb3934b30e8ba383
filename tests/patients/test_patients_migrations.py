"""What was in the open before is sealed, and what was told stays told, on the way there and back."""

from datetime import date
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from patients import trail
from patients.models import AuditEvent, Clinic, Patient, User
from reactions.models import Infusion, SafetyCheck
from tests.support.factories import make_infusion, make_patient
from tests.support.migrating import migrate, migrate_to_the_latest

OPEN = (("patients", "0012_help_of_least_patients"), ("reactions", "0033_rates_kept_ready"))
TABLES = ("patients_patient", "patients_auditevent", "reactions_infusion", "reactions_safetycheck")


@pytest.fixture
def latest() -> Any:
    yield
    migrate_to_the_latest()


def everything() -> str:
    said = []
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT * FROM {table}")  # noqa: S608
            said.append(str(cursor.fetchall()))
    return " ".join(said)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("latest")
def test_what_was_in_the_open_is_sealed_found_and_opened_again(clinic: Clinic, nurse: User) -> None:
    patient = make_patient(
        clinic, mrn="SYN-77", given_name="Tessa", family_name="Ottoline", birth_date=date(1961, 2, 28), created_by=nurse
    )
    infusion = make_infusion(patient, notes="Ottoline came by taxi")
    infusion.safety_checks.create(items=[{"text": "Ottoline"}], shown_at=timezone.now())
    old = migrate(*OPEN)
    row = old.get_model("patients", "Patient").objects.get()
    assert (row.mrn, row.family_name, row.birth_date, row.email) == (
        "SYN-77",
        "Ottoline",
        date(1961, 2, 28),
        patient.email,
    )
    assert old.get_model("reactions", "Infusion").objects.get().notes == "Ottoline came by taxi"
    assert old.get_model("reactions", "SafetyCheck").objects.get().items == [{"text": "Ottoline"}]
    old.get_model("patients", "AuditEvent").objects.create(
        act="patient.corrected",
        by_id=nurse.pk,
        entity="patients.patient",
        entity_id=patient.pk,
        patient_id=patient.pk,
        changes={"family_name": ["Ottolene", "Ottoline"]},
        reason="Ottoline said so",
    )
    assert everything().count("Ottoline") == 5
    migrate_to_the_latest()
    assert "Ottol" not in everything()
    again = Patient.objects.get()
    assert (again.family_name, again.birth_date) == ("Ottoline", date(1961, 2, 28))
    assert list(Patient.objects.matching("otto syn-77 1961-02-28", [clinic])) == [again]
    assert list(Patient.objects.with_number(["SYN-77"])) == [again]
    assert Infusion.objects.get().notes == "Ottoline came by taxi"
    assert SafetyCheck.objects.get().items == [{"text": "Ottoline"}]
    event = AuditEvent.objects.get(act="patient.corrected")
    assert (event.changes, event.reason) == ({"family_name": ["Ottolene", "Ottoline"]}, "Ottoline said so")
    trail.seal_events(now=timezone.now())
    assert not trail.verify().faults
    back = migrate(*OPEN).get_model("patients", "AuditEvent").objects.get(act="patient.corrected")
    assert (back.changes, back.reason) == ({"family_name": ["Ottolene", "Ottoline"]}, "Ottoline said so")
