"""Recording, correcting and voiding the response to treatment, and seeing it over time."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from patients.models import AuditEvent, Patient
from reactions.clinical.response import MEASURES
from reactions.models import Infusion, ResponseMeasures
from reactions.views.response_over_time import over_time
from tests.support.factories import make_infusion, make_patient, make_reaction, make_response

pytestmark = pytest.mark.django_db


@pytest.fixture
def new(patient: Patient) -> str:
    return reverse("reactions:record_response", args=[patient.pk])


def response_form(**changes: Any) -> dict[str, Any]:
    data = {
        "submission_id": str(uuid4()),
        "measured_on": "2026-05-04",
        "mmt8": "138",
        "ck_u_per_l": "900",
        "walk_m": "410",
        "patient_global": "4.5",
        "physician_global": "",
        "infusion": "",
    }
    return data | changes


def shown(page: Client, patient: Patient) -> str:
    return page.get(reverse("reactions:patient", args=[patient.pk])).content.decode()


def test_every_measure_has_a_column_and_an_input(page: Client, new: str) -> None:
    assert set(ResponseMeasures.MEASURES.values()) == set(MEASURES)
    assert set(ResponseMeasures.MEASURES) <= set(page.get(new).context["form"].fields)


def test_a_response_is_recorded_and_shown(page: Client, new: str, patient: Patient) -> None:
    assert page.post(new, response_form()).url == reverse("reactions:patient", args=[patient.pk])
    measured = ResponseMeasures.objects.get()
    assert (measured.mmt8, measured.ck_u_per_l, measured.walk_m) == (138, 900, 410)
    assert (measured.patient_global, measured.physician_global) == (Decimal("4.5"), None)
    text = shown(page, patient)
    assert "Manual muscle test (MMT-8): <strong>138 points</strong>" in text
    assert "measured once" in text
    assert AuditEvent.objects.get(act="response.recorded").changes["mmt8"] == [None, 138]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"measured_on": ""}, "Write the date of the measures"),
        ({"measured_on": "2999-01-01"}, "lies in the future"),
        ({"measured_on": "1969-12-31"}, "before the patient was born"),
        ({"mmt8": "151"}, "goes from 0 to 150 points"),
        ({"mmt8": "-1"}, "goes from 0 to 150 points"),
        ({"mmt8": "99.5"}, "as a whole number"),
        ({"ck_u_per_l": "0"}, "goes from 1 to 500000"),
        ({"ck_u_per_l": "1,000"}, "without a comma"),
        ({"walk_m": "1001"}, "goes from 0 to 1000 m"),
        ({"patient_global": "10.1"}, "goes from 0 to 10"),
        ({"physician_global": "4.55"}, "with one decimal"),
        ({"physician_global": "NaN"}, "Write a number"),
        ({"mmt8": "1e999"}, "no more than 10 digits"),
        ({"infusion": "999999"}, "Select a valid choice"),
        (dict.fromkeys(("mmt8", "ck_u_per_l", "walk_m", "patient_global"), ""), "Write at least one measure"),
    ],
)
def test_what_is_impossible_is_refused_beside_its_field(page: Client, new: str, change: dict, said: str) -> None:
    answer = page.post(new, response_form(**change))
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert "measured_on" in change or 'value="2026-05-04"' in answer.content.decode()
    assert not ResponseMeasures.objects.exists()


def test_a_form_sent_twice_makes_one(page: Client, new: str) -> None:
    data = response_form()
    page.post(new, data)
    page.post(new, data)
    assert ResponseMeasures.objects.count() == 1


def test_a_form_sent_again_with_other_words_changes_nothing_and_says_so(page: Client, new: str) -> None:
    data = response_form()
    page.post(new, data)
    answer = page.post(new, data | {"mmt8": "90"})
    measured = ResponseMeasures.objects.get()
    assert reverse("reactions:correct_response", args=[measured.pk]) in answer.content.decode()
    assert measured.mmt8 == 138


def test_from_an_infusions_page_its_day_and_the_infusion_are_filled_in(
    page: Client, new: str, infusion: Infusion, patient: Patient
) -> None:
    link = f"{new}?infusion={infusion.pk}"
    assert link in page.get(reverse("reactions:infusion", args=[infusion.pk])).content.decode()
    form = page.get(link).context["form"]
    day = infusion.started_at.astimezone(infusion.zone).date()
    assert (form["infusion"].value(), form["measured_on"].value()) == (infusion.pk, day)
    page.post(link, response_form(infusion=str(infusion.pk), measured_on=day))
    assert ResponseMeasures.objects.get().infusion == infusion


@pytest.mark.parametrize(("days", "is_refused"), [(-15, True), (-14, False), (0, False)])
def test_measures_long_before_an_infusion_do_not_belong_to_it(
    page: Client, new: str, infusion: Infusion, days: int, is_refused: bool
) -> None:
    day = infusion.started_at.astimezone(infusion.zone).date() + timedelta(days=days)
    answer = page.post(new, response_form(infusion=str(infusion.pk), measured_on=day))
    assert ("That infusion was 15 days from the measures." in answer.content.decode()) == is_refused
    assert ResponseMeasures.objects.exists() != is_refused


@pytest.mark.parametrize("named", ["x", "999999", "9" * 40, "-1"])
def test_a_strange_infusion_in_the_address_is_passed_over(page: Client, new: str, named: str) -> None:
    assert page.get(f"{new}?infusion={named}").context["form"]["infusion"].value() is None


def test_an_infusion_of_another_patient_cannot_be_chosen(page: Client, new: str, patient: Patient) -> None:
    foreign = make_infusion(make_patient(patient.clinic))
    assert page.get(f"{new}?infusion={foreign.pk}").context["form"]["infusion"].value() is None
    assert "Select a valid choice" in page.post(new, response_form(infusion=str(foreign.pk))).content.decode()


@pytest.fixture
def measured(patient: Patient) -> ResponseMeasures:
    return make_response(patient, measured_on=date(2026, 5, 4), patient_global=Decimal("4.0"))


@pytest.fixture
def correct(measured: ResponseMeasures) -> str:
    return reverse("reactions:correct_response", args=[measured.pk])


def test_a_correction_needs_a_reason_and_keeps_what_stood(
    page: Client, correct: str, measured: ResponseMeasures
) -> None:
    data = response_form(seen_version="1", mmt8="140", walk_m="", patient_global="4")
    assert "Write the reason for the correction" in page.post(correct, data).content.decode()
    assert page.post(correct, data | {"reason": "Misread"}).status_code == 302
    measured.refresh_from_db()
    assert (measured.mmt8, measured.version) == (140, 2)
    event = AuditEvent.objects.get(act="response.corrected")
    assert (event.reason, event.changes) == ("Misread", {"mmt8": [138, 140]})
    assert "Misread" in page.get(correct).content.decode()


def test_a_stale_correction_shows_both_versions(page: Client, correct: str, measured: ResponseMeasures) -> None:
    page.post(correct, response_form(seen_version="1", mmt8="140", reason="One"))
    refused = page.post(correct, response_form(seen_version="1", mmt8="145", reason="Two"))
    text = refused.content.decode()
    assert refused.status_code == 409
    assert ("140", "145") in [(d.stored, d.typed) for d in refused.context["differences"]]
    assert 'value="145"' in text
    measured.refresh_from_db()
    assert measured.mmt8 == 140


def test_a_voided_response_is_drawn_and_listed_no_more(page: Client, measured: ResponseMeasures, correct: str) -> None:
    address = reverse("reactions:void_response", args=[measured.pk])
    page.post(address, {"seen_version": "1", "reason": "Wrong patient"})
    measured.refresh_from_db()
    assert measured.void_reason == "Wrong patient"
    assert "Nothing is measured yet" in shown(page, measured.patient)
    assert page.get(correct).status_code == 404


def test_voided_while_the_correction_was_open(page: Client, correct: str, measured: ResponseMeasures) -> None:
    page.post(reverse("reactions:void_response", args=[measured.pk]), {"seen_version": "1", "reason": "Twice"})
    assert page.post(correct, response_form(seen_version="1", reason="Late")).status_code == 404


def history(patient: Patient, infusions: int) -> None:
    """Weekly infusions, every tenth with a reaction, and a muscle test every fourth."""
    start = datetime(2025, 1, 6, 14, tzinfo=UTC)
    for number in range(infusions):
        at = start + timedelta(weeks=number)
        infusion = make_infusion(patient, started_at=at, dose_g=35)
        if number % 10 == 0:
            make_reaction(infusion, {"chills": 2, "headache": 3})
        if number % 4 == 0:
            make_response(patient, measured_on=at.date(), mmt8=min(120 + number, 150), ck_u_per_l=None)


def test_what_was_measured_given_and_happened_stands_in_the_table_by_day(patient: Patient, infusion: Infusion) -> None:
    day = infusion.started_at.astimezone(infusion.zone).date()
    make_reaction(infusion, {"chills": 2, "headache": 3})
    make_reaction(infusion, {"chills": None})
    void = make_reaction(infusion, {"chills": 4})
    void.voided_at, void.voided_by, void.void_reason = timezone.now(), void.created_by, "Test"
    void.save()
    make_response(patient, measured_on=day - timedelta(days=30), mmt8=130, ck_u_per_l=None)
    make_response(patient, measured_on=day, mmt8=138, ck_u_per_l=None)
    found = over_time(patient)
    assert found
    assert found.columns == ["Dose (g)", "Reaction, worst grade", "Manual muscle test (MMT-8) (points)"]
    assert found.rows == [(day, ["30", "3; not graded", "138"]), (day - timedelta(days=30), ["", "", "130"])]
    (latest,) = found.latest
    assert (latest.value, latest.change) == ("138 points", "8 points higher, better")
    assert "1 infusion, 2 reactions" in found.describes


def test_the_drawing_is_described_and_has_its_numbers_in_a_table(page: Client, patient: Patient) -> None:
    history(patient, 12)
    text = shown(page, patient)
    for variant in ("wide", "narrow"):
        assert f'<title id="response-{variant}-title">Response to treatment over time</title>' in text
        assert re.search(
            rf'<desc id="response-{variant}-desc">From 2025-01-06 to 2025-03-24: 12 infusions, 2 reac', text
        )
    assert 'aria-labelledby="response-wide-title response-wide-desc"' in text
    assert "<summary>The numbers in a table</summary>" in text
    assert "style=" not in text


def test_a_later_page_of_the_timeline_does_not_draw_again(page: Client, patient: Patient) -> None:
    history(patient, 20)
    assert "<svg" not in page.get(reverse("reactions:patient", args=[patient.pk]) + "?page=2").content.decode()


def test_a_thousand_infusions_ask_the_same_queries(
    page: Client, patient: Patient, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    address = reverse("reactions:patient", args=[patient.pk])
    history(patient, 30)
    with django_assert_max_num_queries(40) as few:
        page.get(address)
    patient = make_patient(patient.clinic)
    history(patient, 1_000)
    address = reverse("reactions:patient", args=[patient.pk])
    with django_assert_max_num_queries(len(few)):
        answer = page.get(address)
    assert len(answer.content) < 700_000
    assert answer.context["response"].chart.panels[1].strokes[0].path.count("M") == 1_000
