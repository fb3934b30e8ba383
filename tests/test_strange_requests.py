"""Whatever is asked for, the answer is a page and never a breakdown."""

import pytest
from django.test import Client

from patients.models import Patient, User
from reactions.models import Infusion

HUGE = 10**30


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/patients/?q=%00", 200),
        ("/patients/?q=" + "x" * 5_000, 200),
        ("/patients/?q=%F0%9F%A4%95", 200),
        ("/patients/?page=-1", 200),
        (f"/patients/?page={HUGE}", 200),
        ("/patients/?page=one", 200),
        (f"/patients/{HUGE}/", 404),
        (f"/infusions/{HUGE}/", 404),
        (f"/reactions/{HUGE}/", 404),
        (f"/checkins/{HUGE}/", 404),
        (f"/alerts/{HUGE}/acknowledge/", 404),
        ("/alerts/?page=%00", 200),
        (f"/courses/{HUGE}/unbook/", 404),
        (f"/responses/{HUGE}/correct/", 404),
        ("/lots/?lot=%00", 200),
        ("/lots/call-list.csv?lot=%00&product=%00", 404),
        ("/nowhere/", 404),
    ],
)
def test_a_strange_address(client: Client, nurse: User, patient: Patient, address: str, status: int) -> None:
    client.force_login(nurse)
    assert client.get(address).status_code == status


@pytest.mark.parametrize(
    "address",
    [
        "/patients/new/",
        "/patients/{patient}/correct/",
        "/patients/{patient}/iga/",
        "/patients/{patient}/infusions/new/",
        "/patients/{patient}/courses/book/",
        "/patients/{patient}/response/new/",
        "/infusions/{infusion}/correct/",
        "/infusions/{infusion}/reactions/new/",
        "/infusions/{infusion}/void/",
    ],
)
@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"unknown": "field"},
        dict.fromkeys(("seen_version", "submission_id", "mrn", "reason", "value"), "\0💉" * 4_000),
    ],
)
def test_a_form_full_of_nonsense(
    client: Client, nurse: User, infusion: Infusion, address: str, typed: dict[str, str]
) -> None:
    client.force_login(nurse)
    answer = client.post(address.format(patient=infusion.patient_id, infusion=infusion.pk), typed)
    assert answer.status_code == 200
    assert "Nothing was saved yet" in answer.content.decode()
    assert Infusion.objects.current().count() == 1
    assert Patient.objects.count() == 1


def test_a_form_without_its_token_is_refused_kindly(nurse: User, patient: Patient) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(nurse)
    answer = strict.post(f"/patients/{patient.pk}/iga/", {"value": "80"})
    assert answer.status_code == 403
    assert "go back" in answer.content.decode().lower()
    assert not patient.iga_results.exists()


@pytest.mark.parametrize(
    "words", ["\0", "x" * 5_000, "1980-13-45", "%_'\";--", "🤕", "{{ 7|add:7 }}", "<script>alert(1)</script>"]
)
def test_a_strange_search(client: Client, nurse: User, administrator: User, patient: Patient, words: str) -> None:
    for user, address, sent in (
        (nurse, "/patients/", {"q": words}),
        (administrator, "/admin/search/", {"list": "patients.patient", "words": words}),
    ):
        client.force_login(user)
        answer = client.post(address, sent, follow=True)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.content.decode()
