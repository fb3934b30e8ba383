"""Who may open what: every page of a record, asked by everybody."""

import pytest
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone

from patients.models import IgaResult, Patient, User
from reactions.checkins.plan import plan_checkins
from reactions.models import Infusion, Reaction
from reactions.recording import submit_answer
from tests.support import PASSWORD
from tests.support.factories import make_reaction

pytestmark = pytest.mark.django_db

# Pages about one record, with what their address needs.
RECORD_PAGES = {
    "reactions:patient": "patient",
    "reactions:void_patient": "patient",
    "patients:correct": "patient",
    "patients:record_iga": "patient",
    "patients:void_iga": "iga",
    "reactions:record_infusion": "patient",
    "reactions:infusion": "infusion",
    "reactions:correct_infusion": "infusion",
    "reactions:void_infusion": "infusion",
    "reactions:record_reaction": "infusion",
    "reactions:reaction": "reaction",
    "reactions:correct_reaction": "reaction",
    "reactions:void_reaction": "reaction",
    "reactions:checkin": "checkin",
    "reactions:acknowledge": "alert",
}
OTHER_PAGES = {"patients:list", "patients:register", "reactions:alerts"}
PATIENT_PAGES = {"reactions:patient_checkin", "reactions:patient_details", "reactions:patient_thanks"}


@pytest.fixture
def records(infusion: Infusion) -> dict[str, int]:
    reaction: Reaction = make_reaction(infusion)
    plan_checkins(infusion, now=timezone.now())
    checkin = infusion.checkins.earliest("due_at")
    answer = submit_answer(
        checkin, has_problem=True, details={"comment": "x"}, symptoms={"headache": "severe"}, now=timezone.now()
    )
    iga = IgaResult.objects.create(
        patient=infusion.patient, value=80, measured_on=timezone.localdate(), created_by=infusion.created_by
    )
    return {
        "patient": infusion.patient_id,
        "infusion": infusion.pk,
        "reaction": reaction.pk,
        "checkin": checkin.pk,
        "alert": answer.alert.pk,
        "iga": iga.pk,
    }


def test_every_page_is_listed_here() -> None:
    named = {f"{space}:{name}" for space in ("patients", "reactions") for name in _names(space)}
    assert named == set(RECORD_PAGES) | OTHER_PAGES | PATIENT_PAGES


def _names(space: str) -> set[str]:
    return {name for name in get_resolver(f"{space}.urls").reverse_dict if isinstance(name, str)}


@pytest.mark.parametrize("page", sorted(RECORD_PAGES))
def test_a_page_opens_for_the_clinic_and_for_nobody_else(
    client: Client, page: str, records: dict[str, int], nurse: User, other_nurse: User
) -> None:
    address = reverse(page, args=[records[RECORD_PAGES[page]]])
    assert client.get(address).url.startswith(reverse("login"))
    client.force_login(other_nurse)
    assert client.get(address).status_code == 404
    assert client.post(address, {"reason": "x", "seen_version": "1"}).status_code in {404, 405}
    client.force_login(nurse)
    assert client.get(address).status_code == 200
    assert client.get(reverse(page, args=[999_999_999])).status_code == 404
    assert client.put(address).status_code == 405


def test_a_role_that_has_ended_opens_nothing(client: Client, patient: Patient, nurse: User) -> None:
    nurse.roles.update(is_active=False)
    client.force_login(nurse)
    assert client.get(reverse("reactions:patient", args=[patient.pk])).status_code == 404
    assert patient.full_name not in client.get(reverse("patients:list")).content.decode()


def test_lists_show_the_own_clinic_only(
    client: Client, records: dict[str, int], nurse: User, other_nurse: User
) -> None:
    for user, sees in ((nurse, True), (other_nurse, False)):
        client.force_login(user)
        for page in ("patients:list", "reactions:alerts"):
            assert ("Tessa Synthetic" in client.get(reverse(page)).content.decode()) is sees
        assert ("Tessa Synthetic" in client.get(reverse("patients:list") + "?q=tessa").content.decode()) is sees


def test_the_admin_is_for_administrators(client: Client, nurse: User, administrator: User) -> None:
    client.force_login(nurse)
    for address in ("/admin/", "/admin/rates/", "/admin/rates.csv", "/admin/patients/patient/"):
        assert client.get(address).status_code == 302, address
    client.force_login(administrator)
    for address in ("/admin/", "/admin/rates/", "/admin/rates.csv", "/admin/patients/patient/"):
        assert client.get(address).status_code == 200, address


def test_no_open_redirect_after_signing_in(client: Client, nurse: User) -> None:
    data = {"username": nurse.username, "password": PASSWORD}
    answer = client.post(reverse("login") + "?next=https://elsewhere.example/", data)
    assert answer.url == reverse("patients:list")
