"""The audit trail as auditors and administrators read it, and nobody else."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from patients import guards
from patients.models import AuditEvent, Clinic, Patient, StaffRole, User, write_event
from patients.words import StaffRoleName
from tests.support import PASSWORD
from tests.support.factories import make_infusion, make_patient, make_staff

pytestmark = pytest.mark.django_db
TRAIL = "/patients/trail/"


@pytest.fixture
def patient(clinic: Clinic, nurse: User) -> Patient:
    patient = make_patient(clinic, given_name="Tessa", family_name="Ottoline")
    write_event(
        "patient.corrected",
        by=nurse,
        about=patient,
        clinic=clinic,
        patient_id=patient.pk,
        changes={"family_name": ["Ottolene", "Ottoline"]},
        reason="Misspelt",
    )
    return patient


@pytest.fixture
def auditor(clinic: Clinic) -> User:
    return make_staff(clinic, "auditor", StaffRoleName.AUDITOR, first_name="Audrey", last_name="Test")


@pytest.fixture
def page(client: Client, auditor: User) -> Client:
    client.force_login(auditor)
    return client


def text(client: Client, **asked: object) -> str:
    answer = client.get(TRAIL, asked)
    assert answer.status_code == 200
    return answer.content.decode()


def rows(client: Client, **asked: object) -> list[dict[str, str]]:
    answer = client.get("/patients/trail.csv", asked)
    return list(csv.DictReader(io.StringIO(b"".join(answer).decode())))


def test_an_auditor_reads_who_did_what_and_why(page: Client, patient: Patient) -> None:
    shown = text(page)
    for words in ("Patient corrected", "Tessa Ottoline", "Nora Test", "Family name: Ottolene → Ottoline", "Misspelt"):
        assert words in shown
    asking = shown[shown.index('<form class="panel"') :]
    assert "csrfmiddlewaretoken" not in asking


def test_an_auditor_opens_no_record_and_lands_on_the_trail(page: Client, patient: Patient) -> None:
    for address in (
        reverse("reactions:patient", args=[patient.pk]),
        reverse("reactions:infusion", args=[make_infusion(patient).pk]),
    ):
        assert page.get(address).status_code == 404
    assert page.get("/admin/", follow=True).status_code == 403
    assert page.get("/", follow=True).request["PATH_INFO"] == TRAIL
    assert "Ottoline" not in page.get(reverse("reactions:alerts")).content.decode()
    assert "no role in a clinic" in page.post(reverse("patients:register"), {"mrn": "1"}).content.decode()


@pytest.mark.parametrize("address", [TRAIL, "/patients/trail.csv"])
def test_nurses_do_not_read_it(client: Client, patient: Patient, nurse: User, address: str) -> None:
    client.force_login(nurse)
    assert client.get(address).status_code == 403
    assert "Audit trail" not in client.get("/patients/").content.decode()


def test_administrators_do_and_find_it_at_the_patient(client: Client, patient: Patient, administrator: User) -> None:
    client.force_login(administrator)
    assert (
        f"{TRAIL}?patient={patient.pk}" in client.get(reverse("reactions:patient", args=[patient.pk])).content.decode()
    )
    shown = text(client, patient=patient.pk)
    assert "who looked, and who wrote what" in shown
    assert "Page read" in shown
    assert "Ada Test" in shown


def test_another_clinics_trail_is_not_shown(client: Client, patient: Patient, other_clinic: Clinic) -> None:
    client.force_login(make_staff(other_clinic, "other-auditor", StaffRoleName.AUDITOR))
    shown = text(client) + text(client, patient=patient.pk) + str(rows(client))
    for words in ("Ottoline", "Misspelt", "Nora"):
        assert words not in shown
    assert client.get(TRAIL, {"by": User.objects.get(username="nurse").pk}).status_code == 400


def test_what_somebody_sought_who_works_elsewhere_too_is_not_shown(
    page: Client, nurse: User, other_clinic: Clinic, clinic: Clinic
) -> None:
    StaffRole.objects.create(user=nurse, clinic=other_clinic, role=StaffRoleName.CLINICIAN)
    stranger = make_patient(other_clinic, family_name="Elsewhere")
    at_work = Client()
    at_work.force_login(nurse)
    at_work.post("/patients/", {"q": "Elsewhere"}, follow=True)
    write_event("patient.seen", by=nurse, patient_id=stranger.pk, reason="Of the other clinic")
    assert "Elsewhere" not in text(page) + str(rows(page))
    assert "Of the other clinic" not in text(page)
    assert "Nora Test" in text(page, kind="signing")
    StaffRole.objects.filter(clinic=other_clinic).delete()
    assert "Searched for Elsewhere" in text(page)
    assert "Elsewhere Synthetic" not in text(page)


def test_an_event_whose_words_were_altered_still_has_its_line(page: Client, patient: Patient) -> None:
    guards.take_off("default")
    AuditEvent._base_manager.filter(act="patient.corrected").update(told="gAAAAnothing")
    assert "was altered in the database" in text(page)


def test_who_signed_in_and_could_not_is_shown_to_their_clinic_only(
    page: Client, nurse: User, other_nurse: User, auditor: User
) -> None:
    for name, password in (
        (nurse.username, PASSWORD),
        (nurse.username, "x"),
        (other_nurse.username, "x"),
        ("who", "x"),
    ):
        Client().post(reverse("account_login"), {"login": name, "password": password})
    found = [
        (row["act"], row["reason"]) for row in rows(page) if row["act"].startswith("person.") and row["by"] != "auditor"
    ]
    assert found == [("person.sign_in_failed", "nurse"), ("person.signed_in", "")]


@pytest.mark.parametrize(
    ("kind", "acts"),
    [
        ("changes", {"patient.corrected"}),
        ("pages", {"page.read"}),
        ("searches", {"page.searched"}),
        ("refusals", {"page.refused"}),
        ("signing", {"person.signed_in"}),
        ("files", {"page.exported"}),
    ],
)
def test_it_is_filtered_by_what_was_done(
    client: Client, patient: Patient, administrator: User, kind: str, acts: set[str]
) -> None:
    client.force_login(administrator)
    client.get(reverse("reactions:patient", args=[patient.pk]))
    client.post("/patients/", {"q": "ottoline"}, follow=True)
    client.get("/patients/4711/")
    client.get("/patients/trail.csv")
    assert {row["act"] for row in rows(client, kind=kind)} == acts


def test_it_is_filtered_by_person_day_and_patient(page: Client, patient: Patient, nurse: User, auditor: User) -> None:
    other = make_patient(patient.clinic)
    write_event("patient.corrected", by=nurse, about=other, clinic=patient.clinic, patient_id=other.pk)
    assert {row["patient"] for row in rows(page, patient=other.pk)} == {str(other.pk)}
    assert {row["by"] for row in rows(page, by=auditor.pk)} == {"auditor"}
    today = datetime.now(UTC).date()
    assert rows(page, first_day=today.replace(year=today.year - 1), last_day=today.replace(year=today.year - 1)) == []
    assert page.get(TRAIL, {"first_day": "2026-02-02", "last_day": "2026-02-01"}).status_code == 400
    wrong = page.get(TRAIL, {"patient": "x"})
    assert wrong.status_code == 400
    assert "The address names no patient" in wrong.content.decode()


def test_the_file_has_every_value_and_no_formula(page: Client, patient: Patient, nurse: User) -> None:
    write_event("patient.corrected", by=nurse, about=patient, clinic=patient.clinic, reason="=HYPERLINK(1)")
    found = rows(page, kind="changes")
    assert json.loads(found[1]["changes"]) == {"family_name": ["Ottolene", "Ottoline"]}
    assert found[0]["reason"] == "'=HYPERLINK(1)"
    assert AuditEvent.objects.filter(act="page.exported").exists()


def test_many_events_are_on_pages_of_the_same_queries(
    page: Client, patient: Patient, nurse: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(26) as one:
        text(page)
    for number in range(60):
        write_event(
            "patient.corrected",
            by=nurse,
            about=patient,
            clinic=patient.clinic,
            patient_id=patient.pk,
            reason=f"{number}",
        )
    with django_assert_max_num_queries(len(one)):
        assert "Page 1 of 2" in text(page)
    assert "Page 2 of 2" in text(page, page=2)


def test_an_auditor_is_told_of_no_alert_and_takes_no_shift(clinic: Clinic, auditor: User) -> None:
    assert not StaffRole.objects.at_work().filter(user=auditor).exists()
    assert not Clinic.objects.visible_to(auditor).exists()
    assert not Clinic.objects.administered_by(auditor).exists()
    assert list(Clinic.objects.audited_by(auditor)) == [clinic]
    StaffRole.objects.update(is_active=False)
    assert not Clinic.objects.audited_by(auditor).exists()
