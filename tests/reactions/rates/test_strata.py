"""Which infusions count, in which stratum, and what makes one an event."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from patients.models import Clinic, IgaResult, Patient
from reactions.models import Infusion, Reaction
from reactions.rates.counts import Counted
from reactions.rates.question import Question, UnanswerableQuestion
from tests.support.counting import count
from tests.support.factories import make_infusion, make_patient, make_reaction

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
START = datetime(2026, 5, 4, 14, tzinfo=UTC)  # 10:00 in New York


def ask(clinic: Clinic, *by: str, **question: Any) -> Counted:
    return count(Question(by=by, **question), [clinic])


def all_of(counted: Counted) -> tuple[int, int]:
    return counted.everything.events, counted.everything.total


def by_stratum(counted: Counted) -> dict[object, tuple[int, int]]:
    return {
        stratum[0] if len(stratum) == 1 else stratum: (counts.events, counts.total)
        for stratum, counts in counted.strata.items()
    }


@pytest.fixture
def given(patient: Patient) -> Infusion:
    """From 10:00 to 14:00 on 4 May in New York, without a reaction."""
    return make_infusion(patient, started_at=START)


@pytest.mark.parametrize(
    ("window", "after_start", "is_event"),
    [
        ("label72", timedelta(0), True),
        ("label72", -SECOND, False),
        ("label72", 76 * HOUR, True),
        ("label72", 76 * HOUR + SECOND, False),
        ("immediate", timedelta(0), True),
        ("immediate", -SECOND, False),
        ("immediate", 6 * HOUR, True),
        ("immediate", 6 * HOUR + SECOND, False),
        ("delayed", 6 * HOUR, False),
        ("delayed", 6 * HOUR + SECOND, True),
        ("delayed", 7 * 24 * HOUR, True),
        ("delayed", 7 * 24 * HOUR + SECOND, False),
        ("any", 700 * HOUR, True),
        ("any", -SECOND, True),
    ],
)
def test_a_reaction_counts_within_the_window(
    clinic: Clinic, given: Infusion, window: str, after_start: timedelta, is_event: bool
) -> None:
    make_reaction(given, onset_at=START + after_start)
    assert all_of(ask(clinic, window=window)) == (int(is_event), 1)


def test_during_a_running_infusion_every_onset_after_its_start_is_in_time(clinic: Clinic, patient: Patient) -> None:
    running = make_infusion(patient, started_at=START, ended_at=None)
    make_reaction(running, onset_at=START + 20 * HOUR)
    assert all_of(ask(clinic)) == (1, 1)
    assert all_of(ask(clinic, window="during")) == (1, 1)


@pytest.mark.parametrize(("onset_h", "in_label", "during"), [(24, 1, 1), (25, 1, 0), (96, 1, 0), (97, 0, 0)])
def test_an_infusion_that_nobody_closed_is_over_after_a_day(
    clinic: Clinic, patient: Patient, onset_h: int, in_label: int, during: int
) -> None:
    forgotten = make_infusion(patient, started_at=START, ended_at=None)
    make_reaction(forgotten, onset_at=START + onset_h * HOUR)
    assert all_of(ask(clinic)) == (in_label, 1)
    assert all_of(ask(clinic, window="during")) == (during, 1)


@pytest.mark.parametrize(
    ("window", "events", "noted"), [("label72", 1, 1), ("any", 1, 1), ("immediate", 0, 1), ("delayed", 0, 1)]
)
def test_an_unknown_onset_counts_where_it_can_and_is_said(
    clinic: Clinic, given: Infusion, window: str, events: int, noted: int
) -> None:
    make_reaction(given, onset_at=None)
    counted = ask(clinic, window=window)
    assert (all_of(counted), counted.without_onset) == ((events, 1), noted)


def test_a_symptoms_own_onset_decides(clinic: Clinic, given: Infusion) -> None:
    reaction = make_reaction(given, {"chills": 2}, onset_at=START + HOUR)
    reaction.symptoms.create(term="headache", grade=1, ctcae_version="5.0", onset_at=START + 20 * HOUR)
    assert all_of(ask(clinic, window="delayed", reaction="chills")) == (0, 1)
    assert all_of(ask(clinic, window="delayed", reaction="headache")) == (1, 1)


def test_several_reactions_and_symptoms_are_one_event(clinic: Clinic, given: Infusion) -> None:
    make_reaction(given, {"chills": 2, "headache": 1})
    make_reaction(given, {"fever": 1}, minutes=90)
    assert all_of(ask(clinic)) == (1, 1)


@pytest.mark.parametrize(
    ("question", "events"),
    [
        ({"reaction": "chills"}, 1),
        ({"reaction": "Chills"}, 1),
        ({"reaction": "urticaria"}, 0),
        ({"min_grade": 2}, 1),
        ({"min_grade": 3}, 0),
        ({"reaction": "headache", "min_grade": 2}, 0),
    ],
)
def test_the_term_and_the_grade_belong_to_the_same_symptom(
    clinic: Clinic, given: Infusion, question: dict[str, Any], events: int
) -> None:
    make_reaction(given, {"chills": 2, "headache": 1})
    assert all_of(ask(clinic, **question)) == (events, 1)


def void(record: Infusion | Reaction | Patient | IgaResult) -> None:
    record.voided_at, record.voided_by, record.void_reason = START, record.created_by, "Entered twice"
    record.save()


def test_what_is_void_does_not_count(clinic: Clinic, patient: Patient) -> None:
    for day in range(3):
        make_reaction(make_infusion(patient, started_at=START + day * 24 * HOUR))
    void(Reaction.objects.first())
    assert all_of(ask(clinic)) == (2, 3)
    void(Infusion.objects.filter(reactions__voided_at=None).first())
    assert all_of(ask(clinic)) == (1, 2)
    void(patient)
    assert all_of(ask(clinic)) == (0, 0)


@pytest.fixture
def iga(patient: Patient) -> Callable[..., IgaResult]:
    def add(value: float, day: date, **fields: Any) -> IgaResult:
        return patient.iga_results.create(
            value=Decimal(str(value)), measured_on=day, created_by=patient.created_by, **fields
        )

    return add


def test_iga_is_what_was_in_force_on_the_day(clinic: Clinic, given: Infusion, iga: Callable[..., IgaResult]) -> None:
    assert by_stratum(ask(clinic, "iga")) == {"not_tested": (0, 1)}
    iga(3, date(2026, 5, 5))
    assert by_stratum(ask(clinic, "iga")) == {"not_tested": (0, 1)}
    iga(3, date(2026, 5, 4))
    assert by_stratum(ask(clinic, "iga")) == {"deficient": (0, 1)}
    second = make_infusion(given.patient, started_at=START + 24 * 30 * HOUR)
    last = iga(120, date(2026, 6, 1))
    assert by_stratum(ask(clinic, "iga")) == {"deficient": (0, 1), "normal": (0, 1)}
    void(last)
    assert by_stratum(ask(clinic, "iga")) == {"deficient": (0, 2)}
    assert second.patient == given.patient


def test_of_two_results_of_one_day_the_later_entry_counts(
    clinic: Clinic, given: Infusion, iga: Callable[..., IgaResult]
) -> None:
    day = given.started_at.astimezone(clinic.zone).date()
    iga(80, day)
    iga(4, day)
    assert by_stratum(ask(clinic, "iga")) == {"deficient": (0, 1)}


def test_the_day_is_the_clinics(clinic: Clinic, patient: Patient, iga: Callable[..., IgaResult]) -> None:
    """21:00 on 4 May in New York is 5 May in Greenwich."""
    make_infusion(patient, started_at=datetime(2026, 5, 5, 1, tzinfo=UTC))
    iga(3, date(2026, 5, 5))
    assert by_stratum(ask(clinic, "iga")) == {"not_tested": (0, 1)}


@pytest.mark.parametrize(
    ("record", "drugs", "stratum"),
    [
        ("none", [], "none"),
        ("not_recorded", [], "not_recorded"),
        ("given", ["acetaminophen"], "antipyretic_antihistamine"),
        ("given", ["diphenhydramine"], "antipyretic_antihistamine"),
        ("given", ["acetaminophen", "diphenhydramine"], "antipyretic_antihistamine"),
        ("given", ["acetaminophen", "methylprednisolone"], "corticosteroid"),
        ("given", ["prednisone"], "corticosteroid"),
        ("given", ["famotidine"], "other"),
        ("given", ["other"], "other"),
        ("given", ["acetaminophen", "other"], "antipyretic_antihistamine"),
    ],
)
def test_premedication_classes(clinic: Clinic, patient: Patient, record: str, drugs: list[str], stratum: str) -> None:
    infusion = make_infusion(patient, started_at=START, premedication_record=record)
    for drug in drugs:
        infusion.premedications.create(drug=drug, other_drug="Synthetic drops" if drug == "other" else "")
    assert by_stratum(ask(clinic, "premedication")) == {stratum: (0, 1)}


def test_one_drug_yes_no_or_not_recorded(clinic: Clinic, patient: Patient) -> None:
    for day, record in enumerate(("given", "given", "none", "not_recorded")):
        infusion = make_infusion(patient, started_at=START + day * 24 * HOUR, premedication_record=record)
        if record == "given":
            infusion.premedications.create(drug=["acetaminophen", "diphenhydramine"][day])
    assert by_stratum(ask(clinic, "drug:acetaminophen")) == {"yes": (0, 1), "no": (0, 2), "not_recorded": (0, 1)}


def test_units(clinic: Clinic, patient: Patient) -> None:
    """Two courses of two days and two days; a reaction on one day of the first."""
    first = make_infusion(patient, started_at=START)
    make_infusion(patient, started_at=START + 24 * HOUR, course=first.course, day=2)
    third = make_infusion(patient, started_at=START + 720 * HOUR)
    make_infusion(patient, started_at=START + 744 * HOUR, course=third.course, day=2)
    make_reaction(first)
    make_infusion(make_patient(clinic), started_at=START)
    assert all_of(ask(clinic, unit="infusion")) == (1, 5)
    assert all_of(ask(clinic, unit="course")) == (1, 3)
    assert all_of(ask(clinic, unit="patient")) == (1, 2)


def test_a_unit_is_an_event_only_in_the_stratum_where_it_happened(clinic: Clinic, patient: Patient) -> None:
    plain = make_infusion(patient, started_at=START)
    given = make_infusion(patient, started_at=START + 24 * HOUR, premedication_record="given")
    given.premedications.create(drug="acetaminophen")
    make_reaction(plain)
    counted = ask(clinic, "premedication", unit="patient")
    assert by_stratum(counted) == {"none": (1, 1), "antipyretic_antihistamine": (0, 1)}
    assert all_of(counted) == (1, 1)


def test_first_and_later_infusions(clinic: Clinic, patient: Patient) -> None:
    earlier = make_infusion(patient, started_at=START - 24 * HOUR)
    make_reaction(make_infusion(patient, started_at=START))
    assert by_stratum(ask(clinic, "first_infusion")) == {True: (0, 1), False: (1, 1)}
    void(earlier)
    assert by_stratum(ask(clinic, "first_infusion")) == {True: (1, 1)}


@pytest.mark.parametrize(
    ("start", "first_day", "last_day", "total"),
    [
        ("2026-05-04T00:00", date(2026, 5, 4), date(2026, 5, 4), 1),
        ("2026-05-04T23:59", date(2026, 5, 4), date(2026, 5, 4), 1),
        ("2026-05-03T23:59", date(2026, 5, 4), None, 0),
        ("2026-05-05T00:00", None, date(2026, 5, 4), 0),
    ],
)
def test_days_are_the_clinics_and_both_included(
    other_clinic: Clinic, start: str, first_day: date | None, last_day: date | None, total: int
) -> None:
    moment = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo("Europe/Paris")).astimezone(UTC)
    make_infusion(make_patient(other_clinic), started_at=moment)
    assert all_of(ask(other_clinic, first_day=first_day, last_day=last_day)) == (0, total)


def test_clinics_in_two_zones_are_counted_together_each_by_its_own_days(clinic: Clinic, other_clinic: Clinic) -> None:
    """03:00 in Greenwich on 5 May: in Paris the 5th, in New York still the 4th."""
    moment = datetime(2026, 5, 5, 3, tzinfo=UTC)
    for place in (clinic, other_clinic):
        make_infusion(make_patient(place), started_at=moment)
    counted = count(Question(by=("clinic",), first_day=date(2026, 5, 5)), [clinic, other_clinic])
    assert by_stratum(counted) == {"other": (0, 1)}
    assert all_of(count(Question(), [clinic, other_clinic])) == (0, 2)


def test_other_clinics_do_not_count(clinic: Clinic, other_clinic: Clinic) -> None:
    make_reaction(make_infusion(make_patient(other_clinic)))
    assert all_of(ask(clinic)) == (0, 0)


def test_infusions_without_a_record_of_reactions_are_counted_and_said(clinic: Clinic, patient: Patient) -> None:
    make_infusion(patient, started_at=START, reaction_record="not_recorded")
    make_reaction(make_infusion(patient, started_at=START + 24 * HOUR))
    counted = ask(clinic)
    assert (all_of(counted), counted.everything.not_recorded) == ((1, 2), 1)


def test_what_cannot_be_asked_is_refused_with_what_can(db: None) -> None:
    for question, said in [
        ({"by": ("weather",)}, "Choose iga"),
        ({"by": ("drug:tea",)}, "names no known drug"),
        ({"by": ("iga", "iga")}, "named twice"),
        ({"unit": "vial"}, "infusion, course, patient"),
        ({"reaction": "chils"}, "Did you mean"),
        ({"min_grade": 6}, "1 to 5"),
        ({"interval": "cluster", "unit": "patient"}, "another interval"),
        ({"first_day": date(2026, 5, 5), "last_day": date(2026, 5, 4)}, "Exchange them"),
    ]:
        with pytest.raises(UnanswerableQuestion, match=said):
            Question(**question)
