"""A record of another clinic, opened in an emergency: for some hours, with a reason, and nobody fails to notice."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from patients.models import AuditEvent, Clinic, EmergencyAccess, NeverDeleted, Patient, User
from patients.words import StaffRoleName
from reactions.models import Infusion, OutboxMessage, WorkItem
from tests.support.factories import make_patient, make_reaction, make_staff

pytestmark = pytest.mark.django_db
EMERGENCY = "/patients/emergency/"
WHY = "Unconscious in our emergency room"


@pytest.fixture
def page(client: Client, other_nurse: User) -> Client:
    """As a nurse of another clinic."""
    client.force_login(other_nurse)
    return client


def asked(patient: Patient, **changes: str) -> dict[str, str]:
    return {"mrn": patient.mrn, "birth_date": patient.birth_date.isoformat(), "reason": WHY} | changes


def test_one_record_opens_for_four_hours(page: Client, patient: Patient, infusion: Infusion, clinic: Clinic) -> None:
    reaction, another = make_reaction(infusion), make_patient(clinic)
    of_the_patient = (f"/patients/{patient.pk}/", f"/infusions/{infusion.pk}/", f"/reactions/{reaction.pk}/")
    assert {page.get(address).status_code for address in of_the_patient} == {404}
    assert page.post(EMERGENCY, asked(patient)).url == f"/patients/{patient.pk}/"
    assert {page.get(address).status_code for address in of_the_patient} == {200}
    assert "in an emergency" in page.get(f"/patients/{patient.pk}/").content.decode()
    assert page.get(f"/patients/{another.pk}/").status_code == 404
    assert patient.mrn not in page.post("/patients/", {"q": "Tessa"}, follow=True).content.decode()
    assert page.get(f"/infusions/{infusion.pk}/reactions/new/").status_code == 200
    for hours, status in ((3, 200), (5, 404)):
        with time_machine.travel(timezone.now() + timedelta(hours=hours)):
            page.force_login(User.objects.get(username="other-nurse"))
            assert {page.get(address).status_code for address in of_the_patient} == {status}


def test_who_lost_the_role_has_no_emergency_any_more(
    page: Client, patient: Patient, clinic: Clinic, other_nurse: User
) -> None:
    page.post(EMERGENCY, asked(patient))
    address = f"/patients/{patient.pk}/"
    assert page.get(address).status_code == 200
    other_nurse.roles.update(role="auditor")
    assert page.get(address).status_code == 404
    other_nurse.roles.update(is_active=False)
    assert page.get(address).status_code == 404


def test_who_is_responsible_learns_of_it(
    page: Client, patient: Patient, other_nurse: User, administrator: User, nurse: User
) -> None:
    User.objects.filter(pk=administrator.pk).update(email="ada@staff.example")
    page.post(EMERGENCY, asked(patient))
    event = AuditEvent.objects.get(act="patient.opened_in_emergency")
    assert (event.by, event.clinic, event.patient_id) == (other_nurse, patient.clinic, patient.pk)
    assert WHY in event.reason
    item = WorkItem.objects.get(kind="emergency")
    assert OutboxMessage.objects.get(work=item).recipient == administrator
    theirs = Client()
    theirs.force_login(nurse)
    assert WHY not in theirs.get("/worklist/").content.decode()
    theirs.force_login(administrator)
    worklist = theirs.get("/worklist/").content.decode()
    assert "Odile Test" in worklist
    assert WHY in worklist
    looked = AuditEvent.objects.filter(act="page.read", by=other_nurse, patient_id=patient.pk, clinic=patient.clinic)
    page.get(f"/patients/{patient.pk}/")
    assert looked.exists()
    theirs.post(f"/worklist/{item.pk}/settled/")
    item.refresh_from_db()
    assert item.closed_because == "Seen."


@pytest.mark.parametrize(
    "wrong", [{"birth_date": "1950-01-01"}, {"mrn": "nobody-has-this"}], ids=["birth date", "number"]
)
def test_both_have_to_be_right_and_nobody_tries_for_long(
    page: Client, patient: Patient, other_nurse: User, wrong: dict[str, str]
) -> None:
    for _ in range(5):
        answer = page.post(EMERGENCY, asked(patient, **wrong))
        assert "Both have to be right" in answer.content.decode()
    assert AuditEvent.objects.filter(act="patient.sought_in_emergency", by=other_nurse).count() == 5
    assert "Wait ten minutes" in page.post(EMERGENCY, asked(patient)).content.decode()
    assert not EmergencyAccess.objects.exists()
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        assert page.post(EMERGENCY, asked(patient)).status_code == 302


def test_a_reason_is_given(page: Client, patient: Patient) -> None:
    answer = page.post(EMERGENCY, asked(patient, reason="urgent"))
    assert "at least 10 characters" in answer.content.decode()
    assert not EmergencyAccess.objects.exists()


def test_a_void_record_does_not_open(page: Client, patient: Patient) -> None:
    Patient.objects.filter(pk=patient.pk).update(
        voided_at=timezone.now(), voided_by=patient.created_by, void_reason="Twice"
    )
    assert "Both have to be right" in page.post(EMERGENCY, asked(patient)).content.decode()


def test_an_own_patient_needs_no_emergency(client: Client, nurse: User, patient: Patient) -> None:
    client.force_login(nurse)
    assert client.post(EMERGENCY, asked(patient)).url == f"/patients/{patient.pk}/"
    assert not EmergencyAccess.objects.exists()


def test_who_only_reads_the_trail_has_no_emergencies(client: Client, clinic: Clinic, patient: Patient) -> None:
    client.force_login(make_staff(clinic, "auditor", StaffRoleName.AUDITOR))
    assert client.get(EMERGENCY).status_code == 403
    assert client.post(EMERGENCY, asked(patient)).status_code == 403


def test_what_was_opened_is_never_taken_back(page: Client, patient: Patient) -> None:
    page.post(EMERGENCY, asked(patient))
    with pytest.raises(NeverDeleted):
        EmergencyAccess.objects.all().delete()
    with pytest.raises(NeverDeleted):
        EmergencyAccess.objects.update(reason="x")
