"""Who got a lot: finding it, its infusions and totals, and the list of whom to call."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from patients.models import AuditEvent, Clinic, Patient, StaffRole, User
from reactions.models import Infusion, Product
from tests.support.factories import make_booking, make_infusion, make_patient, make_reaction

pytestmark = pytest.mark.django_db


def given(patient: Patient, lot: str = "K724B8541", *grams: int, **fields: Any) -> Infusion:
    infusion = make_infusion(patient, **fields)
    for amount in grams or (30,):
        infusion.vials.create(lot=lot, grams=amount)
    return infusion


def octagam() -> Product:
    return Product.objects.for_infusion().get(name="Octagam 10 %")


def search(page: Client, lot: str, **more: str) -> Any:
    return page.get(reverse("reactions:lots"), {"lot": lot} | more)


def words(page: Client, lot: str, **more: str) -> str:
    """What the page says, without the way it is laid out."""
    return " ".join(search(page, lot, **more).content.decode().split())


def called(page: Client, lot: str = "K724B8541", product: str = "Privigen") -> list[dict[str, str]]:
    answer = page.get(reverse("reactions:call_list"), {"lot": lot, "product": product})
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


@pytest.mark.parametrize("typed", ["K724B8541", "k724b8541", "  K724b8541 "])
def test_a_lot_is_found_however_its_letters_are_written(page: Client, patient: Patient, typed: str) -> None:
    given(patient)
    assert "Who got lot K724B8541" in words(page, typed)


def test_the_exact_lot_comes_before_those_that_begin_like_it(page: Client, patient: Patient) -> None:
    given(patient, "AB1")
    given(patient, "AB12", started_at=timezone.now() - timedelta(days=9))
    assert "Who got lot AB1<" in words(page, "ab1")
    like = words(page, "ab1", like="1")
    assert "Lots that begin with “ab1”" in like
    assert like.index("<strong>AB1</strong>") < like.index("<strong>AB12</strong>")
    assert "Lots that begin with “A”" in words(page, "A")
    assert "Nobody in your clinics got a lot that begins with “B”" in words(page, "B")


@pytest.mark.parametrize("typed", ["%", "_", "A%", "\\", "'", "A_1"])
def test_signs_that_databases_read_as_any_letter_are_letters(page: Client, patient: Patient, typed: str) -> None:
    given(patient, "AB1")
    assert "Nobody in your clinics" in words(page, typed)


def test_one_text_of_two_products_is_asked_about(page: Client, patient: Patient) -> None:
    given(patient, "SAME-1")
    given(patient, "same-1", product=octagam(), started_at=timezone.now() - timedelta(days=9))
    text = words(page, "SAME-1")
    assert "Several products have the lot “SAME-1”" in text
    assert "Octagam 10 %" in text
    found = search(page, "SAME-1", product="Octagam 10 %").context
    assert (found["totals"].infusions, found["lot"].product) == (1, "Octagam 10 %")


def test_a_product_with_a_new_label_is_still_the_same_product(page: Client, patient: Patient) -> None:
    given(patient)
    old = Product.objects.get(name="Privigen")
    Product.objects.filter(pk=old.pk).update(is_current=False)
    new = Product.objects.create(name="Privigen", label_version=2, source="Synthetic")
    given(patient, product=new, started_at=timezone.now() - timedelta(days=9))
    assert search(page, "K724B8541").context["totals"].infusions == 2


def test_each_infusion_says_who_how_much_what_happened_and_what_comes_next(page: Client, patient: Patient) -> None:
    Patient.objects.filter(pk=patient.pk).update(phone="+1 555 0147")
    infusion = given(patient, "K724B8541", 10, 20)
    infusion.vials.create(lot="OTHER", grams=5)
    make_reaction(infusion, {"chills": 2, "headache": 3}, minutes=95)
    booked = make_booking(patient, in_days=12)
    text = words(page, "K724B8541")
    for said in (
        "Tessa Synthetic",
        f"MRN {patient.mrn}",
        'href="tel:+15550147"',
        "30 g in 2 vials",
        "Grade 3",
        "Chills, Headache",
        "after 1 h 35 min",
        "Next course",
        str(booked.planned_for),
        reverse("reactions:infusion", args=[infusion.pk]),
    ):
        assert said in text, said


def test_every_reaction_of_an_infusion_has_its_link_and_none_that_is_void(page: Client, patient: Patient) -> None:
    infusion = given(patient)
    untimed = make_reaction(infusion, {"fatigue": None}, onset_at=None)
    timed = make_reaction(infusion, {"chills": 2})
    gone = make_reaction(infusion, {"nausea": 1})
    void(gone)
    text = words(page, "K724B8541")
    at = [text.find(reverse("reactions:reaction", args=[one.pk])) for one in (timed, untimed, gone)]
    assert 0 < at[0] < at[1]
    assert at[2] == -1


def test_grams_that_nobody_recorded_are_not_added_up(page: Client, patient: Patient) -> None:
    infusion = given(patient)
    infusion.vials.create(lot="K724B8541")
    assert "2 vials, grams not recorded" in words(page, "K724B8541")


def test_totals_count_patients_infusions_and_those_with_a_reaction(page: Client, patient: Patient) -> None:
    for days in (1, 8, 15):
        infusion = given(patient, started_at=timezone.now() - timedelta(days=days))
    make_reaction(infusion)
    make_reaction(infusion)
    seen = given(make_patient(patient.clinic), reaction_record="seen")
    given(make_patient(patient.clinic), reaction_record="not_recorded")
    void_reaction = make_reaction(seen)
    void(void_reaction)
    totals = search(page, "K724B8541").context["totals"]
    assert (totals.patients, totals.infusions, totals.with_reaction) == (3, 5, 1)
    assert (totals.seen, totals.unknown) == (1, 1)
    text = words(page, "K724B8541")
    assert "1/5" in text
    assert "For 1 of the 5 nobody recorded whether there was a reaction" in text
    assert "%" not in text.split("Totals")[1].split("</section>")[0].replace("10 %", "")


def void(record: Any) -> None:
    record.voided_at, record.voided_by, record.void_reason = timezone.now(), record.created_by, "Test"
    record.save()


def test_void_infusions_and_those_of_void_patients_are_marked_and_not_counted(page: Client, patient: Patient) -> None:
    void(given(patient))
    gone = make_patient(patient.clinic)
    given(gone)
    void(gone)
    given(make_patient(patient.clinic))
    assert search(page, "K724B8541").context["totals"].infusions == 1
    assert words(page, "K724B8541").count("Void, not counted") == 2
    assert len(called(page)) == 1


def test_a_lot_of_void_infusions_only_is_shown_without_a_call_list(page: Client, patient: Patient) -> None:
    void(given(patient))
    text = words(page, "K724B8541")
    assert "0/0" in text
    assert "Call list" not in text
    assert page.get(reverse("reactions:call_list"), {"lot": "K724B8541", "product": "Privigen"}).status_code == 404


def test_only_the_own_clinics_are_looked_through(
    page: Client, patient: Patient, nurse: User, other_clinic: Clinic
) -> None:
    given(patient)
    given(make_patient(other_clinic, family_name="Foreign"))
    assert search(page, "K724B8541").context["totals"].patients == 1
    assert "Foreign" not in words(page, "K724B8541")
    assert [line["patient"] for line in called(page)] == ["Tessa Synthetic"]
    StaffRole.objects.create(user=nurse, clinic=other_clinic, role="clinician")
    assert search(page, "K724B8541").context["totals"].patients == 2
    assert len(called(page)) == 2


def test_without_a_search_the_lots_of_late_are_offered(page: Client, patient: Patient) -> None:
    given(patient, "NEW-1")
    given(patient, "OLD-1", started_at=timezone.now() - timedelta(days=40))
    text = words(page, "")
    assert "NEW-1" in text
    assert "OLD-1" not in text


def test_the_call_list_has_one_line_a_patient(page: Client, patient: Patient) -> None:
    Patient.objects.filter(pk=patient.pk).update(phone="+1 555 0147")
    earlier = given(patient, started_at=timezone.now() - timedelta(days=30))
    first_reaction = make_reaction(earlier, {"chills": 2, "headache": 3})
    make_reaction(earlier, {"fatigue": None}, onset_at=None)
    void(make_reaction(earlier, {"nausea": 1}))
    latest = given(patient, started_at=timezone.now() - timedelta(days=2))
    booked = make_booking(patient, in_days=12)
    other = make_patient(patient.clinic, family_name="Aaron", email_consent_at=None, died_on=timezone.localdate())
    given(other, reaction_record="not_recorded")
    first, second = called(page)
    assert first["patient"] == "Tessa Aaron"
    assert (first["email_consent"], first["reaction"], first["next_course"]) == ("no", "not recorded", "")
    assert first["died_on"] == str(timezone.localdate())
    began = first_reaction.onset_at.astimezone(earlier.zone).date()
    assert second == {
        "patient": "Tessa Synthetic",
        "mrn": patient.mrn,
        "phone": "'+1 555 0147",
        "email_consent": "yes",
        "last_infusion": str(latest.started_at.astimezone(latest.zone).date()),
        "reaction": "yes",
        "symptoms": f"{began} worst grade 3: Chills, Headache; onset not recorded, not graded: Fatigue",
        "next_course": str(booked.planned_for),
        "next_course_plan": "2 days, 140 g",
        "died_on": "",
        "clinic": "Synthetic Infusion Clinic",
    }


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (["observed", "observed"], "no"),
        (["observed", "not_recorded"], "not recorded"),
        (["seen", "observed"], "yes"),
    ],
)
def test_no_reaction_is_said_only_where_every_infusion_was_watched(
    page: Client, patient: Patient, records: list[str], said: str
) -> None:
    for number, record in enumerate(records):
        given(patient, reaction_record=record, started_at=timezone.now() - timedelta(days=number + 1))
    assert [line["reaction"] for line in called(page)] == [said]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_cell_of_the_call_list_is_a_formula(page: Client, patient: Patient, name: str) -> None:
    patient.given_name, patient.family_name, patient.phone, patient.mrn = name, "x", name, name
    patient.save()
    make_reaction(given(patient), {}, onset_at=None).symptoms.create(term="other", other_text=name, ctcae_version="5.0")
    (line,) = called(page)
    assert all(line[cell].startswith("'") for cell in ("patient", "mrn", "phone"))


def test_an_export_is_in_the_history_of_every_clinic_concerned(
    page: Client, patient: Patient, nurse: User, clinic: Clinic, other_clinic: Clinic
) -> None:
    StaffRole.objects.create(user=nurse, clinic=other_clinic, role="clinician")
    given(patient)
    given(patient, started_at=timezone.now() - timedelta(days=9))
    given(make_patient(other_clinic))
    called(page)
    events = AuditEvent.objects.filter(act="lot.exported").order_by("clinic__name")
    assert [event.clinic for event in events] == [other_clinic, clinic]
    assert {event.by for event in events} == {nurse}
    assert events[1].changes == {"lot": [None, "K724B8541"], "product": [None, "Privigen"], "patients": [None, 1]}


@pytest.mark.parametrize("asked", [{}, {"lot": "K724B8541"}, {"lot": "nothing", "product": "Privigen"}])
def test_a_call_list_of_nothing_is_not_found(page: Client, patient: Patient, asked: dict[str, str]) -> None:
    given(patient)
    assert page.get(reverse("reactions:call_list"), asked).status_code == 404
    assert not AuditEvent.objects.filter(act="lot.exported").exists()


@pytest.mark.parametrize("asked", ["%00", "x" * 5_000, "%F0%9F%A4%95", "&page=-1", "K724B8541&page=one", "K&like=%00"])
def test_strange_questions_are_answered(page: Client, patient: Patient, asked: str) -> None:
    given(patient)
    assert page.get(f"{reverse('reactions:lots')}?lot={asked}").status_code == 200


def test_lots_lead_to_their_look_back_from_the_infusion_and_the_timeline(page: Client, patient: Patient) -> None:
    infusion = given(patient, "A+B/1")
    link = f"{reverse('reactions:lots')}?lot=A%2BB/1&amp;product=Privigen"
    for name, pk in (("reactions:infusion", infusion.pk), ("reactions:patient", patient.pk)):
        assert link in page.get(reverse(name, args=[pk])).content.decode(), name
    assert "Who got lot A+B/1" in page.get(link.replace("&amp;", "&")).content.decode()


def test_pages_and_call_lists_ask_the_same_queries_whatever_the_lot_has_gone_through(
    page: Client, clinic: Clinic, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    def add(count: int) -> None:
        for _ in range(count):
            patient = make_patient(clinic)
            make_reaction(given(patient))
            make_booking(patient)

    add(2)
    with django_assert_max_num_queries(21) as look:
        search(page, "K724B8541")
    with django_assert_max_num_queries(21) as export:
        called(page)
    add(30)
    with django_assert_max_num_queries(len(look)):
        first = search(page, "K724B8541")
    with django_assert_max_num_queries(len(export)):
        assert len(called(page)) == 32
    assert "Page 1 of 2" in first.content.decode()
    second = page.get(reverse("reactions:lots") + "?lot=K724B8541&page=2")
    assert len(second.context["given_list"]) == 7
    assert "lot=K724B8541&amp;page=1" in second.content.decode()
