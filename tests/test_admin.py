"""The admin: every model's pages, with queries that do not grow, and one's own clinic only."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags
from pytest_django import DjangoAssertNumQueries

from patients.models import AuditEvent, Clinic, StaffRole, User
from reactions.models import (
    AnaphylaxisRecord,
    Answer,
    ClinicProtocol,
    Infusion,
    Product,
    Reaction,
    SafetyCheck,
)
from tests.support.every_model import fill
from tests.support.factories import make_patient, privigen, suspect

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
    "reactions.alertpolicy",
    "reactions.anaphylaxisrecord",
    "reactions.answer",
    "reactions.causalityassessment",
    "reactions.checkin",
    "reactions.checkinplan",
    "reactions.clinicprotocol",
    "reactions.course",
    "reactions.heartbeat",
    "reactions.infusion",
    "reactions.oncallshift",
    "reactions.outboxmessage",
    "reactions.patientrisk",
    "reactions.phonecall",
    "reactions.product",
    "reactions.ratestep",
    "reactions.reaction",
    "reactions.responsemeasures",
    "reactions.reviewdecision",
    "reactions.safetycheck",
    "reactions.signature",
    "reactions.treatment",
    "reactions.vial",
    "reactions.vitals",
    "reactions.workitem",
}


@pytest.fixture
def chief(db: None) -> User:
    return User.objects.create_superuser("chief", "chief@staff.example", "a long enough password")


def _address(label: str, page: str = "changelist", *args: object) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_{page}", args=args)


def test_every_model_is_there() -> None:
    assert set(MODELS) == EXPECTED


@pytest.mark.parametrize("label", MODELS)
def test_a_list_opens_searches_and_asks_no_more_queries_for_more_rows(
    client: Client, chief: User, clinic: Clinic, label: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(chief)
    fill(clinic, 1)
    with django_assert_max_num_queries(40) as one:
        assert client.get(_address(label)).status_code == 200
    fill(clinic, 4)
    with django_assert_max_num_queries(len(one)):
        assert client.get(_address(label)).status_code == 200
    searched = client.post(reverse("admin:search"), {"list": label, "words": "Synthetic"}, follow=True)
    assert searched.status_code == 200
    assert "Synthetic" not in searched.request["QUERY_STRING"]
    row = next(model for model in admin.site._registry if model._meta.label_lower == label)._default_manager.first()
    if row is not None:
        assert client.get(_address(label, "change", row.pk)).status_code == 200


def test_an_administrator_sees_their_clinic_and_changes_no_record(
    client: Client, administrator: User, clinic: Clinic, other_clinic: Clinic
) -> None:
    fill(clinic, 1)
    fill(other_clinic, 1)
    client.force_login(administrator)
    for label in sorted(
        EXPECTED - {"patients.user", "reactions.heartbeat", "reactions.outboxmessage", "reactions.product"}
    ):
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
    for label in ("patients.user", "reactions.heartbeat", "reactions.outboxmessage"):
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
        "least_patients": 5,
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


@pytest.mark.parametrize("label", ["patients.patient", "patients.clinic", "reactions.infusion", "reactions.reaction"])
def test_not_even_a_superuser_deletes(client: Client, chief: User, clinic: Clinic, label: str) -> None:
    fill(clinic, 1)
    client.force_login(chief)
    model = next(model for model in admin.site._registry if model._meta.label_lower == label)
    row = model._default_manager.first()
    assert client.post(_address(label, "delete", row.pk), {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    client.post(_address(label), action)
    assert model._default_manager.filter(pk=row.pk).exists()


def test_set_up_leaves_a_trace(client: Client, administrator: User, clinic: Clinic) -> None:
    client.force_login(administrator)
    typed = ("name", "slug", "time_zone", "phone", "ctcae_version", "least_patients")
    data = {name: getattr(clinic, name) for name in typed}
    page = _address("patients.clinic", "change", clinic.pk)
    assert client.post(page, data | {"emergency_number": "112"}).status_code == 302
    event = AuditEvent.objects.get(act="clinic.changed")
    assert (event.by, event.changes) == (administrator, {"emergency_number": ["911", "112"]})


PROTOCOL = {
    "vitals_before_min": "60",
    "vitals_first_min": "10",
    "vitals_rate_change_min": "15",
    "vitals_every_min": "30",
    "vitals_after_end_min": "0, 60",
    "anaphylaxis_text": "Synthetic words of the clinic.",
}


def test_an_administrator_writes_the_protocol_of_their_own_clinic(
    client: Client, administrator: User, clinic: Clinic, other_clinic: Clinic
) -> None:
    client.force_login(administrator)
    add = _address("reactions.clinicprotocol", "add")
    assert other_clinic.name not in client.get(add).content.decode()
    client.post(add, PROTOCOL | {"clinic": other_clinic.pk})
    assert not ClinicProtocol.objects.exists()
    assert client.post(add, PROTOCOL | {"clinic": clinic.pk}).status_code == 302
    protocol = ClinicProtocol.objects.get()
    assert (protocol.clinic, protocol.vitals_first_min) == (clinic, 10)
    assert client.get(add).status_code == 403
    change = _address("reactions.clinicprotocol", "change", protocol.pk)
    client.post(change, PROTOCOL | {"vitals_every_min": "45", "clinic": other_clinic.pk})
    protocol.refresh_from_db()
    assert (protocol.clinic, protocol.vitals_every_min) == (clinic, 45)
    latest = AuditEvent.objects.filter(act="protocol.changed").first()
    assert (latest.by, latest.clinic, latest.changes) == (administrator, clinic, {"vitals_every_min": [30, 45]})
    foreign = ClinicProtocol.objects.create(clinic=other_clinic)
    client.post(_address("reactions.clinicprotocol", "change", foreign.pk), PROTOCOL)
    foreign.refresh_from_db()
    assert foreign.anaphylaxis_text == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vitals_after_end_min": "half an hour"}, "Write minutes separated by commas"),
        ({"vitals_every_min": "0"}, "greater than or equal to 5"),
        ({"vitals_first_min": "9999"}, "less than or equal to 240"),
    ],
)
def test_an_impossible_protocol_is_refused(
    client: Client, administrator: User, clinic: Clinic, change: dict[str, str], said: str
) -> None:
    client.force_login(administrator)
    data = PROTOCOL | {"clinic": clinic.pk} | change
    assert said in client.post(_address("reactions.clinicprotocol", "add"), data).content.decode()
    assert not ClinicProtocol.objects.exists()


def test_label_rates_stand_on_the_page_of_their_product(client: Client, administrator: User, chief: User) -> None:
    product = privigen()
    address = _address("reactions.product", "change", product.pk)
    client.force_login(administrator)
    assert "label rates" in client.get(address).content.decode().lower()
    assert client.post(address, {"name": "Renamed"}).status_code == 403
    client.force_login(chief)
    assert "rates-0-max_ml_per_kg_h" in client.get(address).content.decode()
    assert Product.objects.get(pk=product.pk).name == "Privigen"


def test_a_record_with_many_rows_asks_the_same_queries(
    client: Client, chief: User, infusion: Infusion, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    def add(count: int) -> None:
        for number in range(count):
            at = infusion.started_at + timedelta(minutes=infusion.vitals.count() + number)
            infusion.vitals.create(at=at, heart_rate_per_min=80, created_by=infusion.created_by)

    client.force_login(chief)
    address = _address("reactions.infusion", "change", infusion.pk)
    add(1)
    with django_assert_max_num_queries(40) as one:
        client.get(address)
    add(5)
    with django_assert_max_num_queries(len(one)):
        client.get(address)


def test_the_admin_tells_codes_in_the_words_of_the_pages(client: Client, chief: User, infusion: Infusion) -> None:
    by = infusion.created_by
    record = suspect(infusion)
    evidence = {"hives": True, "wheeze": True, "systolic_mmhg": 80, "exposure": "likely"}
    AnaphylaxisRecord.objects.filter(pk=record.pk).update(criteria=["C1", "W1"], evidence=evidence, version=2)
    serious = {"is_serious": True, "serious_criteria": ["life_threatening"], "treatment": "Oxygen, synthetic"}
    Reaction.objects.filter(pk=record.reaction_id).update(**serious)
    answers = {"points": ["plausible_time"]}
    now = timezone.now()
    cause = record.reaction.causality.create(
        scale="who_umc", category="probable_likely", answers=answers, judged_at=now, judged_by=by
    )
    items = [{"code": "first_infusion", "level": "contraindication", "text": "Synthetic item", "source": "y"}]
    check = SafetyCheck.objects.create(infusion=infusion, items=items, shown_at=now)
    risk = infusion.patient.risks.create(factor="no_hypersensitivity", created_by=by)
    client.force_login(chief)

    def read(label: str, *change: int) -> str:
        page = client.get(_address(label, "change" if change else "changelist", *change))
        return unescape(re.sub(r"\s+", " ", strip_tags(page.content.decode())))

    reaction = read("reactions.reaction", record.reaction_id)
    assert "Life-threatening" in reaction
    assert "Other measures: Oxygen, synthetic" in reaction
    anaphylaxis = read("reactions.anaphylaxisrecord", record.pk)
    assert "C1, W1" in anaphylaxis
    assert "Generalised hives" in anaphylaxis
    assert "Lowest systolic pressure 80 mmHg" in anaphylaxis
    assert "C1, W1" in read("reactions.anaphylaxisrecord")
    assert "Probable likely" in read("reactions.causalityassessment")
    assert "Label contraindication" in read("reactions.safetycheck")
    assert "Label contraindication: Synthetic item" in read("reactions.safetycheck", check.pk)
    risks = read("reactions.patientrisk")
    assert risks.count("Asked: no hypersensitivity in the history") == 2
    pages = [reaction, anaphylaxis, risks, read("reactions.patientrisk", risk.pk)]
    pages.append(read("reactions.causalityassessment", cause.pk))
    for page in pages:
        assert not re.search(r"\[\"|\{\"|[a-z]_[a-z]", page)


def test_an_answer_names_its_patient_and_leads_to_its_check_in(client: Client, chief: User, clinic: Clinic) -> None:
    fill(clinic, 1)
    answer = Answer.objects.get()
    client.force_login(chief)
    page = client.get(_address("reactions.answer")).content.decode()
    assert answer.checkin.patient.full_name in page
    assert f'href="{_address("reactions.checkin", "change", answer.checkin_id)}"' in page
    assert ">Check-in<" in page
    assert _address("reactions.checkin", "change", answer.checkin_id) in client.get(
        _address("reactions.answer", "change", answer.pk)
    ).content.decode().replace("&amp;", "&")


def test_a_risk_is_filtered_by_its_name(client: Client, chief: User, clinic: Clinic) -> None:
    patient = make_patient(clinic)
    for factor in ("migraine", "diabetes"):
        patient.risks.create(factor=factor, created_by=patient.created_by)
    client.force_login(chief)
    page = client.get(_address("reactions.patientrisk"))
    by_factor = next(spec for spec in page.context["cl"].filter_specs if spec.title == "factor")
    ways = {str(choice["display"]): choice["query_string"] for choice in by_factor.choices(page.context["cl"])}
    assert list(ways) == ["All", "Diabetes", "History of migraine (aseptic meningitis)"]
    page = client.get(_address("reactions.patientrisk") + ways["History of migraine (aseptic meningitis)"])
    assert [risk.factor for risk in page.context["cl"].result_list] == ["migraine"]


def test_dates_read_as_on_the_pages_and_are_typed_as_before(
    client: Client, chief: User, administrator: User, infusion: Infusion
) -> None:
    client.force_login(administrator)
    start = infusion.started_at.astimezone(infusion.zone)
    assert f"{start:%Y-%m-%d %H:%M}" in client.get(_address("reactions.infusion")).content.decode()
    client.force_login(chief)
    product = privigen()
    form = client.get(_address("reactions.product", "change", product.pk)).context["adminform"].form
    values = {name: "" if value is None else value for name, value in form.initial.items()}
    rows = {"rates-TOTAL_FORMS": 0, "rates-INITIAL_FORMS": 0}
    for typed in ("2026-01-31", "01/31/2026"):
        client.post(_address("reactions.product", "change", product.pk), values | rows | {"source_date": typed})
        product.refresh_from_db()
        assert str(product.source_date) == "2026-01-31"
        Product.objects.filter(pk=product.pk).update(source_date=None)


def test_the_pages_of_figures_stand_in_the_list_beside_every_page(client: Client, administrator: User) -> None:
    client.force_login(administrator)
    beside = client.get("/admin/patients/clinic/").content.decode().split('id="nav-sidebar"')[1].split("</nav>")[0]
    for page in ("/admin/rates/", "/admin/signals/", "/admin/alert-times/"):
        assert f'href="{page}"' in beside
