"""The admin: every model's pages, with queries that do not grow, and one's own clinic only."""

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from patients.models import Clinic, StaffRole, User
from reactions.checkins.plan import plan_checkins
from reactions.models import Infusion
from reactions.recording import submit_answer
from tests.support.factories import make_infusion, make_patient, make_reaction

pytestmark = pytest.mark.django_db

MODELS = sorted(model._meta.label_lower for model in admin.site._registry)
EXPECTED = {
    "patients.auditevent",
    "patients.clinic",
    "patients.igaresult",
    "patients.patient",
    "patients.staffrole",
    "patients.user",
    "reactions.alert",
    "reactions.answer",
    "reactions.checkin",
    "reactions.course",
    "reactions.infusion",
    "reactions.outboxmessage",
    "reactions.product",
    "reactions.reaction",
    "reactions.vial",
}


@pytest.fixture
def chief(db: None) -> User:
    return User.objects.create_superuser("chief", "chief@staff.example", "a long enough password")


def _fill(clinic: Clinic, times: int) -> None:
    for _ in range(times):
        patient = make_patient(clinic)
        infusion = make_infusion(patient)
        infusion.vials.create(lot="SYN", grams=30)
        make_reaction(infusion, {"chills": 2, "headache": 1})
        plan_checkins(infusion, now=timezone.now())
        submit_answer(
            infusion.checkins.earliest("due_at"),
            has_problem=True,
            details={},
            symptoms={"headache": "severe"},
            now=timezone.now(),
        )
        patient.iga_results.create(value=80, measured_on=timezone.localdate(), created_by=patient.created_by)


def _address(label: str, page: str = "changelist", *args: object) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_{page}", args=args)


def test_every_model_is_there() -> None:
    assert set(MODELS) == EXPECTED


@pytest.mark.parametrize("label", MODELS)
def test_a_list_opens_searches_and_asks_no_more_queries_for_more_rows(
    client: Client, chief: User, clinic: Clinic, label: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(chief)
    _fill(clinic, 1)
    with django_assert_max_num_queries(40) as one:
        assert client.get(_address(label)).status_code == 200
    _fill(clinic, 4)
    with django_assert_max_num_queries(len(one)):
        assert client.get(_address(label)).status_code == 200
    assert client.get(_address(label), {"q": "Synthetic"}).status_code == 200
    row = next(model for model in admin.site._registry if model._meta.label_lower == label)._default_manager.first()
    if row is not None:
        assert client.get(_address(label, "change", row.pk)).status_code == 200


def test_an_administrator_sees_their_clinic_and_changes_no_record(
    client: Client, administrator: User, clinic: Clinic, other_clinic: Clinic
) -> None:
    _fill(clinic, 1)
    _fill(other_clinic, 1)
    client.force_login(administrator)
    for label in sorted(EXPECTED - {"patients.user", "reactions.outboxmessage", "reactions.product"}):
        page = client.get(_address(label))
        assert page.status_code == 200, label
        rows = page.context["cl"].queryset
        seen = set(rows.values_list(admin.site._registry[rows.model].clinic_path, flat=True))
        assert seen == {clinic.pk}, label
    infusion = Infusion.objects.get(patient__clinic=clinic)
    foreign = Infusion.objects.get(patient__clinic=other_clinic)
    assert client.get(_address("reactions.infusion", "change", infusion.pk)).status_code == 200
    assert client.post(_address("reactions.infusion", "change", infusion.pk), {"dose_g": "1"}).status_code == 403
    assert client.get(_address("reactions.infusion", "change", foreign.pk)).status_code == 302
    assert client.get(_address("reactions.infusion", "add")).status_code == 403
    assert client.post(_address("reactions.infusion", "delete", infusion.pk), {"post": "yes"}).status_code == 403
    for label in ("patients.user", "reactions.outboxmessage"):
        assert client.get(_address(label)).status_code == 403


def test_an_administrator_keeps_their_clinics_details_right(
    client: Client, administrator: User, clinic: Clinic, other_clinic: Clinic
) -> None:
    client.force_login(administrator)
    data = {
        "name": "Renamed",
        "slug": clinic.slug,
        "time_zone": clinic.time_zone,
        "phone": "+1 555 0199",
        "emergency_number": "911",
        "ctcae_version": "6.0",
    }
    assert client.post(_address("patients.clinic", "change", clinic.pk), data).status_code == 302
    clinic.refresh_from_db()
    assert (clinic.name, clinic.ctcae_version) == ("Renamed", "6.0")
    client.post(_address("patients.clinic", "change", other_clinic.pk), data)
    other_clinic.refresh_from_db()
    assert other_clinic.name == "Other Test Clinic"


def test_a_superuser_gives_roles(client: Client, chief: User, clinic: Clinic, nurse: User) -> None:
    client.force_login(chief)
    data = {"user": nurse.pk, "clinic": clinic.pk, "role": "administrator", "is_active": "on"}
    assert client.post(_address("patients.staffrole", "add"), data).status_code == 302
    assert StaffRole.objects.filter(user=nurse, role="administrator").exists()
