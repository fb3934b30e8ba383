"""From rows to the safety card's facts: what of the record counts, and how much is given in a course."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from patients.models import Clinic, Patient, User
from reactions import safety
from reactions.models import Course, Infusion, Product
from tests.support.factories import make_infusion, make_patient, make_reaction
from tests.support.forms import infusion_form

pytestmark = pytest.mark.django_db


def grams(infusion: Infusion) -> Decimal | None:
    return safety.facts_before(infusion, now=timezone.now()).grams


def course_of(patient: Patient, **plan: Any) -> Course:
    return Course.objects.create(patient=patient, label="Synthetic", **plan)


@pytest.mark.parametrize(
    ("days", "day", "expected"),
    [(1, 1, 30), (2, 1, 60), (5, 1, 150), (5, 4, 60), (5, 5, 30), (2, 3, 30)],
)
def test_without_a_plan_every_day_that_is_left_gets_this_dose(
    patient: Patient, days: int, day: int, expected: int
) -> None:
    infusion = make_infusion(patient, course=course_of(patient, planned_days=days), day=day)
    assert grams(infusion) == expected


def test_what_was_given_on_other_days_counts_once_and_what_is_void_does_not(patient: Patient, nurse: User) -> None:
    course = course_of(patient, planned_days=3)
    today = make_infusion(patient, course=course, day=2)
    yesterday = today.started_at - timedelta(days=1)
    make_infusion(patient, course=course, day=1, dose_g=Decimal(25), started_at=yesterday)
    void = {"voided_at": timezone.now(), "voided_by": nurse, "void_reason": "Twice"}
    make_infusion(patient, course=course, dose_g=Decimal(90), started_at=yesterday, **void)
    make_infusion(patient, dose_g=Decimal(80), started_at=yesterday - timedelta(days=30))
    # 25 g on the first day, 30 g today and once more.
    assert grams(today) == 85


def test_a_course_not_saved_yet_has_given_nothing(patient: Patient) -> None:
    draft = Infusion(patient=patient, course=Course(patient=patient, planned_days=2), day=1, dose_g=Decimal(30))
    assert grams(draft) == 60
    draft.dose_g = None
    assert grams(draft) is None


@pytest.mark.parametrize(("planned", "expected"), [(140, 140), (55, 55), (50, 55), (20, 55)])
def test_a_plan_counts_unless_more_is_given(patient: Patient, planned: int, expected: int) -> None:
    course = course_of(patient, planned_days=5, planned_g=Decimal(planned))
    today = make_infusion(patient, course=course, day=2)
    make_infusion(patient, course=course, dose_g=Decimal(25), started_at=today.started_at - timedelta(days=1))
    assert grams(today) == expected


@pytest.mark.parametrize(
    ("symptoms", "is_only"),
    [
        ({"infusion_site_extravasation": 2}, True),
        ({"injection_site_reaction": 3, "phlebitis": 2}, True),
        ({"phlebitis": 3, "chills": 1}, False),
        ({"chills": 2}, False),
        ({}, False),
    ],
)
def test_a_reaction_of_the_site_alone_is_told_from_a_systemic_one(
    patient: Patient, symptoms: dict[str, int], is_only: bool
) -> None:
    now = timezone.now()
    make_reaction(make_infusion(patient, started_at=now - timedelta(days=20)), symptoms, is_serious=True)
    today = make_infusion(patient, started_at=now, ended_at=None)
    (past,) = safety.facts_before(today, now=now).past_reactions
    assert past.is_infusion_site_only is is_only
    assert past.was_serious is True


def test_a_serious_reaction_of_the_site_alone_is_no_contraindication(patient: Patient) -> None:
    now = timezone.now()
    earlier = make_infusion(patient, started_at=now - timedelta(days=20))
    make_reaction(earlier, {"injection_site_reaction": 3}, is_serious=True)
    today = make_infusion(patient, started_at=now, ended_at=None)
    assert "prior_severe_reaction" not in {item.code for item in safety.card_before(today, now=now)}
    make_reaction(earlier, {"injection_site_reaction": 3, "dyspnea": 3}, is_serious=True)
    assert "prior_severe_reaction" in {item.code for item in safety.card_before(today, now=now)}


def test_only_what_came_before_the_start_is_earlier(patient: Patient, nurse: User) -> None:
    now = timezone.now()
    today = make_infusion(patient, started_at=now - timedelta(days=10))
    facts = safety.facts_before(today, now=now)
    assert (facts.days_since_last, facts.last_product, facts.past_reactions) == (None, None, ())

    later = make_infusion(patient, started_at=today.started_at + timedelta(days=2))
    make_reaction(later, {"chills": 2})
    make_reaction(today, {"headache": 1})
    facts = safety.facts_before(today, now=now)
    assert (facts.days_since_last, facts.last_product, facts.past_reactions) == (None, None, ())

    for days, grade in ((50, 1), (40, 3)):
        before = make_infusion(patient, started_at=today.started_at - timedelta(days=days))
        make_reaction(before, {"chills": grade})
    void = {"voided_at": now, "voided_by": nurse, "void_reason": "Twice"}
    make_infusion(patient, started_at=today.started_at - timedelta(days=1), **void)
    facts = safety.facts_before(today, now=now)
    assert (facts.days_since_last, facts.last_product) == (40, "Privigen")
    assert sorted(past.worst_grade for past in facts.past_reactions) == [1, 3]


def test_an_infusion_is_not_earlier_than_itself(patient: Patient) -> None:
    now = timezone.now()
    stored = make_infusion(patient, started_at=now - timedelta(days=10))
    make_reaction(stored)
    # Its start is about to be corrected to a later one.
    stored.started_at += timedelta(hours=1)
    facts = safety.facts_before(stored, now=now)
    assert (facts.days_since_last, facts.last_product, facts.past_reactions) == (None, None, ())


def test_a_start_not_written_yet_is_now(patient: Patient) -> None:
    now = timezone.now()
    make_infusion(patient, started_at=now - timedelta(days=30))
    make_infusion(patient, started_at=now + timedelta(minutes=5), ended_at=None)
    draft = Infusion(patient=patient, course=Course(patient=patient), day=1)
    assert safety.facts_before(draft, now=now).days_since_last == 30


@pytest.fixture
def known(patient: Patient, infusion: Infusion, nurse: User) -> Patient:
    """Nothing speaks for caution: a normal IgA, and an infusion of the same product the day before."""
    patient.iga_results.create(value=180, measured_on=infusion.started_at.date(), created_by=nurse)
    return patient


def first_view(client: Client, patient: Patient, nurse: User) -> str:
    client.force_login(nurse)
    return client.get(reverse("reactions:start_infusion", args=[patient.pk])).content.decode()


def test_the_form_says_what_studies_name_before_anything_is_filled_in(
    client: Client, known: Patient, nurse: User
) -> None:
    for factor in ("non_o_blood_group", "current_infection", "migraine"):
        known.risks.create(factor=factor, created_by=nurse)
    text = first_view(client, known, nurse)
    for words in ("Blood group other than O", "Infection at present", "History of migraine"):
        assert words in text
    assert "No warnings found" not in text


def test_an_age_that_is_not_recorded_is_said_before_anything_is_filled_in(
    client: Client, known: Patient, nurse: User
) -> None:
    known.birth_date = None
    known.save()
    assert "No age is recorded" in first_view(client, known, nurse)


def test_what_is_not_filled_in_yet_needs_no_remark_and_an_empty_card_promises_nothing(
    client: Client, known: Patient, nurse: User
) -> None:
    text = first_view(client, known, nurse)
    assert '<li class="note note-plain">No warnings found in what is recorded.</li>' in text
    assert "was not checked" not in text
    assert "compared with the label" not in text
    assert "is not in the table" not in text


@pytest.mark.parametrize(
    ("factor", "product", "said"),
    [
        ("diabetes", "Privigen", True),
        ("migraine", "Privigen", False),
        ("diabetes", "Gammagard Liquid", False),
    ],
)
def test_a_risk_for_which_the_table_has_no_limit_is_said_below_the_usual_maximum_too(
    patient: Patient, nurse: User, factor: str, product: str, said: bool
) -> None:
    patient.risks.create(factor=factor, created_by=nurse)
    planned = make_infusion(
        patient,
        product=Product.objects.for_infusion().get(name=product),
        indication="primary_immunodeficiency",
        planned_rate_ml_per_h=Decimal(329),
    )
    cards = {item.code: item.text for item in safety.card_before(planned, now=timezone.now())}
    assert ("risk_limit_missing" in cards) is said
    # 4.7 mL/kg/h: below Privigen's 4.8, above Gammagard's 1.98 for patients at risk.
    lowered = "1.98 mL/kg/h for this product and indication, lowered for patients at risk"
    assert (lowered in cards.get("rate_above_label", "")) is (product == "Gammagard Liquid")


# Hours before now: when this infusion began and ended, and the other one; None while it runs.
OVERLAPS = [
    ((4, 2), (3, 1), True),
    ((4, 2), (4.5, 3), True),
    ((4, 2), (6, 4), False),
    ((4, 2), (2, 1), False),
    ((4, 2), (6, 5), False),
    ((4, 2), (3, None), True),
    ((4, 2), (5, None), True),
    ((4, 2), (2, None), False),
    ((4, 2), (1, None), False),
    ((4, None), (5, None), True),
    ((4, None), (3, None), True),
    ((4, None), (3, 1), True),
    ((4, None), (6, 4), False),
]


@pytest.mark.parametrize(("this", "other", "overlaps"), OVERLAPS)
def test_infusions_of_one_patient_that_overlap_are_remarked_upon(
    patient: Patient, this: tuple, other: tuple, overlaps: bool
) -> None:
    now = timezone.now()
    made = [
        make_infusion(
            patient,
            started_at=now - timedelta(hours=began),
            ended_at=None if ended is None else now - timedelta(hours=ended),
        )
        for began, ended in (this, other)
    ]
    said = ["Another infusion of this patient overlaps with this one."] if overlaps else []
    assert [[words for words in infusion.cautions() if "overlaps" in words] for infusion in made] == [said, said]
    ours, theirs = made
    card = {item.code for item in safety.card_before(ours, now=now)}
    assert ("another_running" in card) is (overlaps and theirs.ended_at is None)


def test_what_is_void_or_of_another_patient_does_not_run_beside(patient: Patient, clinic: Clinic, nurse: User) -> None:
    now = timezone.now()
    started_at = now - timedelta(hours=1)
    make_infusion(make_patient(clinic), started_at=started_at, ended_at=None)
    void = {"voided_at": now, "voided_by": nurse, "void_reason": "Twice"}
    make_infusion(patient, started_at=started_at, ended_at=None, **void)
    draft = Infusion(patient=patient, course=Course(patient=patient), day=1)
    facts = safety.facts_before(draft, now=now)
    assert facts.running_since is None
    make_infusion(patient, started_at=started_at, ended_at=None)
    make_infusion(patient, started_at=started_at - timedelta(hours=9), ended_at=None)
    facts = safety.facts_before(draft, now=now)
    assert facts.running_since == started_at
    assert str(facts.running_since.tzinfo) == clinic.time_zone


@pytest.fixture
def running_already(known: Patient) -> str:
    """What is said about an infusion that another nurse began half an hour ago."""
    begun = make_infusion(known, started_at=timezone.now() - timedelta(minutes=30), ended_at=None)
    clock = timezone.localtime(begun.started_at, known.clinic.zone)
    return f"An infusion of this patient has been running since {clock:%Y-%m-%d %H:%M}"


@pytest.mark.usefixtures("no_broker")
def test_a_start_beside_an_infusion_that_runs_needs_an_answer(
    client: Client, known: Patient, nurse: User, running_already: str
) -> None:
    assert running_already in first_view(client, known, nurse)
    start = reverse("reactions:start_infusion", args=[known.pk])
    # Also when it is said to have begun before the other one.
    earlier = timezone.localtime(timezone.now() - timedelta(minutes=45), known.clinic.zone)
    data = infusion_form(started_at=f"{earlier:%Y-%m-%dT%H:%M}", start_rate_ml_per_h="21")
    refused = client.post(start, data | {"safety-reason": ""})
    assert running_already in refused.content.decode()
    assert "Read the card and write why the infusion goes on" in refused.content.decode()
    assert client.post(start, data | {"safety-reason": "Two products, as ordered"}).status_code == 302
    assert Infusion.objects.filter(ended_at=None).count() == 2


@pytest.mark.usefixtures("no_broker", "running_already")
def test_what_was_over_before_the_other_one_began_is_recorded_without_a_word(
    client: Client, known: Patient, nurse: User
) -> None:
    client.force_login(nurse)
    record = reverse("reactions:record_infusion", args=[known.pk])
    shown = client.post(record, infusion_form(**{"safety-reason": ""})).context["entry"].card
    assert "another_running" not in {item.code for item in shown}


@pytest.mark.usefixtures("no_broker")
def test_a_start_sent_twice_does_not_run_beside_itself(client: Client, known: Patient, nurse: User) -> None:
    client.force_login(nurse)
    start = reverse("reactions:start_infusion", args=[known.pk])
    data = infusion_form(started_at="", start_rate_ml_per_h="21", **{"safety-shown": ""})
    first, again = client.post(start, data), client.post(start, data)
    begun = Infusion.objects.get(ended_at=None)
    assert first.url == again.url == reverse("reactions:running", args=[begun.pk])


def test_more_running_infusions_cost_no_more_queries(patient: Patient) -> None:
    draft = Infusion(patient=patient, course=Course(patient=patient), day=1)

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            safety.card_before(draft, now=timezone.now())
        return len(asked)

    make_infusion(patient, started_at=timezone.now() - timedelta(hours=1), ended_at=None)
    one = queries()
    for hours in (2, 3, 4):
        make_infusion(patient, started_at=timezone.now() - timedelta(hours=hours), ended_at=None)
    assert queries() == one
