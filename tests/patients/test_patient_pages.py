"""Registering, correcting and finding patients, and recording IgA."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from patients.models import AuditEvent, Clinic, IgaResult, Patient, User
from patients.registering import void_patient
from patients.views import patients
from tests.support.factories import make_patient

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client: Client, nurse: User) -> Client:
    client.force_login(nurse)
    return client


def details(**changes: Any) -> dict[str, Any]:
    return {
        "mrn": "SYN-7",
        "given_name": "Zoë",
        "family_name": "O’Synthetic-Łódź 🙂",
        "birth_date": "1970-02-28",
        "sex": "female",
        "diagnosis": "Dermatomyositis",
        "email": "zoe@patients.example",
        "phone": "+1 555 0101",
        "language": "en",
        "time_zone": "",
        "email_consent": "on",
    } | changes


def test_registering_stores_signs_and_says_so(page: Client, nurse: User) -> None:
    answer = page.post(reverse("patients:register"), details(), follow=True)
    patient = Patient.objects.with_number(["SYN-7"]).get()
    assert "The patient is registered." in answer.content.decode()
    assert (patient.email_consent_by, patient.created_by) == (nurse, nurse)
    assert patient.why_no_mail() == ""
    event = AuditEvent.objects.get(act="patient.registered")
    assert (event.by, event.patient_id, event.changes["mrn"]) == (nurse, patient.pk, [None, "SYN-7"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mrn": ""}, "Write the medical record number"),
        ({"given_name": "x" * 10_000}, "at most 150 characters"),
        ({"birth_date": "2999-01-01"}, "lies in the future"),
        ({"birth_date": "1899-12-31"}, "before 1900"),
        ({"birth_date": "31.12.1970"}, "Enter a valid date"),
        ({"email": "zoe@"}, "valid email"),
        ({"email": ""}, "Write the address to which check-ins shall go"),
        ({"time_zone": "Mars/Olympus"}, "is not a time zone"),
        ({"sex": "x"}, "not one of the available choices"),
        ({"mrn": "a\x00b"}, "Null characters"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(page: Client, change: dict[str, str], said: str) -> None:
    answer = page.post(reverse("patients:register"), details(**change))
    text = answer.content.decode()
    assert answer.status_code == 200
    assert said in text
    assert "Nothing was saved yet" in text
    assert not Patient.objects.exists()
    typed = details(**change)["family_name"]
    assert typed in text


def test_a_number_that_is_taken_names_who_has_it(page: Client, patient: Patient) -> None:
    answer = page.post(reverse("patients:register"), details(mrn=patient.mrn))
    assert f"{patient.full_name} already has this number" in answer.content.decode()


def test_correcting_keeps_what_stood_before(page: Client, patient: Patient) -> None:
    address = reverse("patients:correct", args=[patient.pk])
    page.post(address, details(mrn=patient.mrn, seen_version="1"))
    patient.refresh_from_db()
    assert (patient.given_name, patient.version) == ("Zoë", 2)
    changes = AuditEvent.objects.get(act="patient.corrected").changes
    assert changes["given_name"] == ["Tessa", "Zoë"]


def test_a_stale_correction_is_refused_with_both_versions_and_can_be_saved_again(
    page: Client, patient: Patient
) -> None:
    address = reverse("patients:correct", args=[patient.pk])
    page.post(address, details(mrn=patient.mrn, seen_version="1", given_name="First"))
    refused = page.post(address, details(mrn=patient.mrn, seen_version="1", given_name="Second"))
    text = refused.content.decode()
    assert refused.status_code == 409
    assert "First O’Synthetic" in text
    assert 'value="Second"' in text
    assert Patient.objects.get(pk=patient.pk).given_name == "First"
    assert 'name="seen_version" value="2"' in text
    page.post(address, details(mrn=patient.mrn, seen_version="2", given_name="Second"))
    assert Patient.objects.get(pk=patient.pk).given_name == "Second"


def test_withdrawn_consent_stops_mail(page: Client, patient: Patient) -> None:
    data = details(mrn=patient.mrn, seen_version="1")
    del data["email_consent"]
    page.post(reverse("patients:correct", args=[patient.pk]), data)
    patient.refresh_from_db()
    assert "not agreed" in patient.why_no_mail()


@pytest.mark.parametrize(
    ("text", "finds"),
    [
        ("tessa", True),
        ("Synth", True),
        ("tessa synth", True),
        ("bart", True),
        ("TEST-", True),
        ("1970-01-01", True),
        ("ynthetic", False),
        ("nobody", False),
        ("%", False),
        ("\x00tessa", True),
        ("x" * 5000, False),
    ],
)
def test_search_by_the_beginning_of_a_name_a_number_or_a_birth_date(
    page: Client, clinic: Clinic, nurse: User, text: str, finds: bool
) -> None:
    make_patient(clinic, given_name="Tessa Bartholomea", family_name="Synthetic")
    found = page.post(reverse("patients:list"), {"q": text}, follow=True)
    assert ("Tessa Bartholomea Synthetic" in found.content.decode()) is finds


def test_the_list_asks_the_same_queries_for_one_patient_and_for_forty(
    page: Client, clinic: Clinic, nurse: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make_patient(clinic)
    with django_assert_max_num_queries(18) as one:
        page.get(reverse("patients:list"))
    for _ in range(40):
        make_patient(clinic)
    with django_assert_max_num_queries(len(one)):
        listed = page.get(reverse("patients:list"))
    assert "Page 1 of 2" in listed.content.decode()


def iga(**changes: str) -> dict[str, str]:
    return {
        "comparator": "<",
        "value": "7",
        "unit": "mg/dL",
        "measured_on": "2026-01-10",
        "anti_iga": "not_done",
    } | changes


def test_an_iga_result_is_kept_as_printed_and_classed(page: Client, patient: Patient) -> None:
    answer = page.post(reverse("patients:record_iga", args=[patient.pk]), iga(), follow=True)
    result = IgaResult.objects.get()
    assert (result.comparator, result.value, result.status) == ("<", 7, "deficient")
    assert "IgA &lt;7 mg/dL" in answer.content.decode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": ""}, "Write the value, or tick"),
        ({"value": "-1"}, "cannot be negative"),
        ({"value": "NaN"}, "Write a number"),
        ({"value": "1e999"}, "Write a number|no more than"),
        ({"value": "200", "unit": "g/L"}, "Is the unit right"),
        ({"lab_low": "90", "lab_high": "80"}, "must be above the lower limit"),
        ({"measured_on": "2999-01-01"}, "lies in the future"),
        ({"unit": ""}, "Choose the unit"),
        ({"unit": "pints", "value": "5"}, "Select a valid choice"),
        ({"measured_on": "1969-12-31"}, "before the patient was born"),
        ({"anti_iga_isotype": "IgG"}, "or empty what stands beside it"),
        ({"lab_low": "-5"}, "cannot be negative"),
        ({"is_pending": "on"}, "untick this, or empty the value"),
    ],
)
def test_an_odd_iga_result_is_refused_beside_its_field(page: Client, patient: Patient, change: dict, said: str) -> None:
    answer = page.post(reverse("patients:record_iga", args=[patient.pk]), iga(**change))
    assert answer.status_code == 200
    assert any(part in answer.content.decode() for part in said.split("|"))
    assert not IgaResult.objects.exists()


def test_a_very_high_value_is_taken_when_confirmed(page: Client, patient: Patient) -> None:
    data = iga(comparator="", value="20", unit="g/L", confirm_high="on")
    page.post(reverse("patients:record_iga", args=[patient.pk]), data)
    assert IgaResult.objects.get().status == "above_range"


def test_a_pending_result_has_no_value(page: Client, patient: Patient) -> None:
    page.post(reverse("patients:record_iga", args=[patient.pk]), iga(value="", is_pending="on"))
    assert IgaResult.objects.get().status == "pending"


def test_a_result_sent_twice_is_one(page: Client, patient: Patient) -> None:
    address = reverse("patients:record_iga", args=[patient.pk])
    data = iga(submission_id=str(uuid4()))
    page.post(address, data)
    page.post(address, data)
    assert IgaResult.objects.count() == 1


@pytest.mark.parametrize("name", ["patients:record_iga", "patients:correct"])
def test_a_void_patient_takes_no_more_entries(page: Client, patient: Patient, nurse: User, name: str) -> None:
    void_patient(patient, by=nurse, reason="Twice", seen_version=1, now=timezone.now())
    assert page.get(reverse(name, args=[patient.pk])).status_code == 404
    assert page.post(reverse(name, args=[patient.pk]), iga()).status_code == 404
    assert not IgaResult.objects.exists()


def test_what_was_voided_while_a_form_was_open_is_not_written_to(
    page: Client, patient: Patient, nurse: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between finding the patient and writing, somebody else voids the record."""
    found = patients.find_patient_to_change

    def void_after_finding(user: User, pk: int) -> Patient:
        still_there = found(user, pk)
        void_patient(patient, by=nurse, reason="Twice", seen_version=1, now=timezone.now())
        return still_there

    monkeypatch.setattr(patients, "find_patient_to_change", void_after_finding)
    answer = page.post(reverse("patients:record_iga", args=[patient.pk]), iga())
    assert answer.status_code == 409
    assert "voided in the meantime" in answer.content.decode()
    assert not IgaResult.objects.exists()


def test_the_history_says_in_words_what_a_correction_changed(page: Client, patient: Patient) -> None:
    form = page.get(reverse("patients:correct", args=[patient.pk])).context["form"]
    data = {name: form[name].value() or "" for name in form.fields} | {"sex": "male", "email_consent": "on"}
    assert page.post(reverse("patients:correct", args=[patient.pk]), data).status_code == 302
    text = page.get(reverse("reactions:patient", args=[patient.pk])).content.decode()
    assert "<strong>Sex</strong>: <del>Unknown</del> → Male" in text


def test_an_address_breaks_after_its_at_and_stays_text(page: Client, patient: Patient) -> None:
    Patient.objects.filter(pk=patient.pk).update(email="tessa<b>@patients.example")
    seen = page.get(reverse("reactions:patient", args=[patient.pk])).content.decode()
    assert "tessa&lt;b&gt;@<wbr>patients.example" in seen


def test_a_recorded_death_stands_on_top_and_says_how_it_is_taken_back(page: Client, patient: Patient) -> None:
    address = reverse("reactions:patient", args=[patient.pk])
    assert "The patient has died" not in page.get(address).content.decode()
    Patient.objects.filter(pk=patient.pk).update(died_on="2026-05-01", language="es")
    text = page.get(address).content.decode()
    assert "The patient has died, on 2026-05-01." in text
    patient.refresh_from_db()
    assert f"<dt>Language</dt><dd>{patient.get_language_display()}</dd>" in text
