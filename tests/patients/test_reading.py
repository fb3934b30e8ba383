"""The trail says who looked at what, who was kept from it, who searched for whom, and what was taken away."""

import pytest
from django.contrib.auth import authenticate
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from patients.models import AuditEvent, Clinic, Patient, User
from tests.support import PASSWORD
from tests.support.factories import make_infusion, make_patient

pytestmark = pytest.mark.django_db


@pytest.fixture
def patient(clinic: Clinic) -> Patient:
    return make_patient(clinic, family_name="Ottoline")


@pytest.fixture
def page(client: Client, nurse: User) -> Client:
    client.force_login(nurse)
    return client


def latest() -> AuditEvent:
    return AuditEvent.objects.latest("pk")


def test_opening_a_patients_page_is_noted_with_who_and_from_where(page: Client, patient: Patient, nurse: User) -> None:
    page.get(reverse("reactions:patient", args=[patient.pk]), REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="Tablet")
    event = latest()
    assert (event.act, event.entity, event.by) == ("page.read", "reactions:patient", nurse)
    assert (event.patient_id, event.clinic, event.address) == (patient.pk, patient.clinic, "192.0.2.7")
    assert event.browser == "Tablet"


@pytest.mark.parametrize("address", ["", "@socket", "not an address", "192.0.2.7, 192.0.2.8"])
def test_an_address_that_is_none_keeps_nobody_from_the_page(page: Client, patient: Patient, address: str) -> None:
    answer = page.get(reverse("reactions:patient", args=[patient.pk]), REMOTE_ADDR=address)
    assert answer.status_code == 200
    assert latest().address is None


def test_behind_our_proxy_the_address_is_the_one_that_it_adds(
    page: Client, patient: Patient, settings: Settings
) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    page.get(reverse("patients:list"), HTTP_X_FORWARDED_FOR="203.0.113.9, 192.0.2.7")
    assert latest().address == "192.0.2.7"


def test_a_search_is_noted_and_its_words_are_sealed(page: Client, patient: Patient) -> None:
    page.post(reverse("patients:list"), {"q": "Ottoline"}, follow=True)
    assert latest().act == "page.searched"
    assert latest().reason == "Searched for Ottoline"
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM patients_auditevent")
        assert "Ottoline" not in str(cursor.fetchall())


def test_a_file_that_is_taken_away_is_noted(page: Client, patient: Patient) -> None:
    make_infusion(patient).vials.create(lot="SYN-1")
    assert page.get(reverse("reactions:call_list"), {"lot": "SYN-1", "product": "Privigen"}).status_code == 200
    assert latest().act == "page.exported"


def test_an_administrators_pages_are_noted_with_their_patient(
    client: Client, patient: Patient, administrator: User
) -> None:
    infusion = make_infusion(patient)
    client.force_login(administrator)
    for model, pk in (("patients_patient", patient.pk), ("reactions_infusion", infusion.pk)):
        assert client.get(reverse(f"admin:{model}_change", args=[pk])).status_code == 200
        assert (latest().act, latest().entity, latest().patient_id) == (
            "page.read",
            f"admin:{model}_change",
            patient.pk,
        )


def test_who_is_refused_is_noted(page: Client, nurse: User) -> None:
    page.get(reverse("admin:index"), follow=True)
    assert (latest().act, latest().by) == ("page.refused", nurse)
    page.get(reverse("reactions:patient", args=[4711]))
    assert (latest().act, latest().patient_id) == ("page.refused", None)


def test_what_a_script_asks_for_over_and_over_is_noted_once_in_ten_minutes(page: Client, patient: Patient) -> None:
    address = reverse("reactions:patient", args=[patient.pk])
    reads = AuditEvent.objects.filter(act="page.read")
    for _ in range(3):
        page.get(address, headers={"Sec-Fetch-Mode": "cors"})
    assert reads.count() == 1
    page.get(address)
    assert reads.count() == 2
    page.get(reverse("reactions:patient", args=[make_patient(patient.clinic).pk]), headers={"Sec-Fetch-Mode": "cors"})
    assert reads.count() == 3


def test_pages_without_a_sign_in_are_not_of_the_trail(page: Client) -> None:
    before = AuditEvent.objects.count()
    page.get("/healthz")
    page.get("/nowhere/")
    Client().get(reverse("patients:list"))
    assert AuditEvent.objects.count() == before


def test_signing_in_and_out_and_in_vain_is_noted(client: Client, nurse: User) -> None:
    sign_in = {"login": nurse.username, "password": PASSWORD}
    client.post(reverse("account_login"), sign_in | {"password": "wrong"}, REMOTE_ADDR="192.0.2.7")
    event = latest()
    assert (event.act, event.by, event.reason, event.address) == (
        "person.sign_in_failed",
        None,
        nurse.username,
        "192.0.2.7",
    )
    client.post(reverse("account_login"), sign_in)
    assert AuditEvent.objects.get(act="person.signed_in").by == nurse
    client.post(reverse("account_logout"))
    assert AuditEvent.objects.get(act="person.signed_out").by == nurse
    assert authenticate(username="nobody", password=str(timezone.now())) is None
    assert latest().reason == "nobody"
