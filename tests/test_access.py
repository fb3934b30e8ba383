"""Who may open what: every page of a record, asked by everybody."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone

from patients.models import AuditEvent, Clinic, Patient, StaffRole, User
from patients.registering import void_patient
from patients.words import StaffRoleName
from reactions.models import Alert, Infusion
from tests.support import PASSWORD
from tests.support.pages import ADMINISTRATORS_PAGES, LEADING_ELSEWHERE, RECORD_PAGES, one_of_each

pytestmark = pytest.mark.django_db

# Buttons on a page about one record.
RECORD_BUTTONS = {
    "reactions:suspect_anaphylaxis": "infusion",
    "reactions:say_observed": "infusion",
    "reactions:open_anaphylaxis": "reaction",
    "reactions:stamp": "reaction",
    "reactions:settle_work": "work",
}
# Answers about a form that was sent, for the page that sent it.
FORM_PAGES = {"reactions:was_saved"}
OTHER_PAGES = {
    "patients:trail",
    "patients:trail_csv",
    "patients:list",
    "patients:register",
    "reactions:alerts",
    "reactions:worklist",
    "reactions:checkins",
    "reactions:review_list",
    "reactions:silent_list",
    "reactions:grades",
    "reactions:lots",
    "reactions:call_list",
    "reactions:emergency",
    "reactions:privacy",
}
ADMIN_PAGES = (
    "/admin/",
    "/admin/rates/",
    "/admin/rates.csv",
    "/admin/rates.json",
    "/admin/rates.pdf",
    "/admin/rates/infusions/",
    "/admin/alert-times/",
    "/admin/alert-times.csv",
    "/admin/signals/",
    "/admin/patients/patient/",
)
PATIENT_PAGES = {
    "reactions:patient_checkin",
    "reactions:patient_step",
    "reactions:patient_check",
    "reactions:patient_thanks",
    "reactions:stop_mails",
}


@pytest.fixture
def records(infusion: Infusion) -> dict[str, int]:
    return one_of_each(infusion)


def test_every_page_is_listed_here() -> None:
    named = {f"{space}:{name}" for space in ("patients", "reactions") for name in _names(space)}
    assert (
        named
        == set(RECORD_PAGES)
        | set(ADMINISTRATORS_PAGES)
        | set(RECORD_BUTTONS)
        | OTHER_PAGES
        | PATIENT_PAGES
        | FORM_PAGES
    )


def _names(space: str) -> set[str]:
    return {name for name in get_resolver(f"{space}.urls").reverse_dict if isinstance(name, str)}


@pytest.mark.parametrize("page", sorted(RECORD_PAGES))
def test_a_page_opens_for_the_clinic_and_for_nobody_else(
    client: Client, page: str, records: dict[str, int], patient: Patient, nurse: User, other_nurse: User
) -> None:
    address = reverse(page, args=[records[RECORD_PAGES[page]]])
    assert client.get(address).url.startswith(reverse("account_login"))
    client.force_login(other_nurse)
    assert client.get(address).status_code == 404
    assert client.post(address, {"reason": "x", "seen_version": "1"}).status_code in {404, 405}
    client.force_login(nurse)
    opened = client.get(address)
    assert opened.status_code == (302 if page in LEADING_ELSEWHERE else 200)
    if opened.status_code == 200:
        looked = AuditEvent.objects.filter(act="page.read", entity=page).get()
        assert (looked.by, looked.clinic, looked.patient_id) == (nurse, patient.clinic, patient.pk)
    refused = AuditEvent.objects.filter(act="page.refused", by=other_nurse, entity=page)
    assert address in refused.earliest("pk").reason
    assert client.get(reverse(page, args=[999_999_999])).status_code == 404
    assert client.put(address).status_code == 405


@pytest.mark.parametrize("button", sorted(RECORD_BUTTONS))
def test_a_button_works_for_the_clinic_and_for_nobody_else(
    client: Client, button: str, records: dict[str, int], nurse: User, other_nurse: User
) -> None:
    address, data = reverse(button, args=[records[RECORD_BUTTONS[button]]]), {"name": "stopped_at"}
    assert client.post(address, data).url.startswith(reverse("account_login"))
    client.force_login(other_nurse)
    assert client.post(address, data).status_code == 404
    client.force_login(nurse)
    # Who had to sign in first comes by the address alone: nothing is written, and the page with the button opens.
    written = AuditEvent.objects.exclude(act__startswith="page.")
    before = written.count()
    assert client.get(address, follow=True).status_code == 200
    assert written.count() == before
    assert client.put(address).status_code == 405
    assert client.post(address, data).status_code == 302
    assert client.post(reverse(button, args=[999_999_999]), data).status_code == 404


def test_a_role_that_has_ended_opens_nothing(client: Client, patient: Patient, nurse: User) -> None:
    nurse.roles.update(is_active=False)
    client.force_login(nurse)
    assert client.get(reverse("reactions:patient", args=[patient.pk])).status_code == 404
    assert patient.full_name not in client.get(reverse("patients:list")).content.decode()


def test_lists_show_the_own_clinic_only(
    client: Client, records: dict[str, int], infusion: Infusion, nurse: User, other_nurse: User
) -> None:
    infusion.vials.create(lot="SYN-1")
    for user, sees in ((nurse, True), (other_nurse, False)):
        client.force_login(user)
        for page in (
            "patients:list",
            "reactions:alerts",
            "reactions:worklist",
            "reactions:review_list",
            "reactions:silent_list",
        ):
            assert ("Tessa Synthetic" in client.get(reverse(page)).content.decode()) is sees
        assert ("SYN-1" in client.get(reverse("reactions:lots")).content.decode()) is sees
        assert (
            "Tessa Synthetic" in client.post(reverse("patients:list"), {"q": "tessa"}, follow=True).content.decode()
        ) is sees


def test_the_admin_is_for_administrators(client: Client, nurse: User, administrator: User) -> None:
    client.force_login(nurse)
    for address in ADMIN_PAGES:
        assert client.get(address).status_code == 302, address
    client.force_login(administrator)
    for address in ADMIN_PAGES:
        assert client.get(address).status_code == 200, address


def test_no_open_redirect_after_signing_in(client: Client, nurse: User) -> None:
    data = {"login": nurse.username, "password": PASSWORD}
    answer = client.post(reverse("account_login") + "?next=https://elsewhere.example/", data)
    assert answer.url == reverse("patients:list")


def test_whoever_is_not_signed_in_is_led_from_the_admin_to_the_one_sign_in(client: Client, nurse: User) -> None:
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0] == reverse("account_login") + "?next=/admin/"
    assert answer.status_code == 200
    client.force_login(nurse)
    assert client.get("/admin/", follow=True).status_code == 403


def test_an_administrator_of_one_clinic_is_none_in_another_where_they_nurse(
    client: Client, administrator: User, other_clinic: Clinic
) -> None:
    role = StaffRole.objects.create(user=administrator, clinic=other_clinic, role=StaffRoleName.CLINICIAN)
    assert other_clinic not in Clinic.objects.administered_by(administrator)
    client.force_login(administrator)
    assert "Other Test Clinic" not in client.get("/admin/rates/").content.decode()
    StaffRole.objects.filter(pk=role.pk).update(role=StaffRoleName.ADMINISTRATOR, is_active=False)
    assert other_clinic not in Clinic.objects.administered_by(administrator)


def test_a_void_patient_is_not_in_the_list(client: Client, patient: Patient, nurse: User) -> None:
    void_patient(patient, by=nurse, reason="Twice", seen_version=1, now=timezone.now())
    client.force_login(nurse)
    assert "Tessa Synthetic" not in client.get(reverse("patients:list")).content.decode()


def test_times_are_on_the_clinics_clocks(client: Client, records: dict[str, int], nurse: User) -> None:
    raised_at = datetime(2026, 1, 15, 17, 30, tzinfo=UTC)
    Alert.objects.update(raised_at=raised_at)
    client.force_login(nurse)
    assert "2026-01-15 12:30" in client.get(reverse("reactions:alerts")).content.decode()


def test_only_the_own_clinic_learns_that_a_form_was_saved(
    client: Client, infusion: Infusion, nurse: User, other_nurse: User
) -> None:
    submission = uuid4()
    infusion.vitals.create(at=infusion.started_at, spo2_percent=98, created_by=nurse, submission_id=submission)
    address = reverse("reactions:was_saved", args=[submission])
    assert client.get(address).url.startswith(reverse("account_login"))
    for user, status in ((nurse, 204), (other_nurse, 404)):
        client.force_login(user)
        assert client.get(address).status_code == status
    client.force_login(nurse)
    assert client.get(reverse("reactions:was_saved", args=[uuid4()])).status_code == 404
