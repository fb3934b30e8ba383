"""What is kept ready is at every moment what a computation from scratch gives, whoever writes, and however."""

import io
import json
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from math import inf
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from celery import current_app
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from patients import registering
from patients.models import Clinic, IgaResult, Patient, RecordVoided, User
from reactions import recording, tasks
from reactions.exchange.bulk import insert_all
from reactions.models import (
    Answer,
    CheckIn,
    Course,
    Infusion,
    Premedication,
    Product,
    RateColumns,
    RatesKept,
    RateStep,
    Reaction,
    StaleRates,
    Symptom,
)
from reactions.models.link import new_link
from reactions.rates import keeping, kept, triggers
from reactions.rates.answer import answer, answers_by_unit
from reactions.rates.columns import OF_INFUSION, Columns, in_blocks
from reactions.rates.kept import KEPT_KEYS, is_kept, month_of, read
from reactions.rates.premedication import COMPARED_BY, compare
from reactions.rates.question import KEYS, Question
from reactions.rates.strata import from_records
from tests.support.factories import make_checkins, make_infusion, make_patient, make_reaction, privigen

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
# The first day of a month, so that infusions lie in two.
START = datetime(2026, 5, 1, 14, tzinfo=UTC)
# Questions that are answered from what is kept.
KEPT = [
    Question(),
    Question(first_day=date(2026, 5, 1)),
    Question(last_day=date(2026, 4, 30)),
    Question(first_day=date(2026, 4, 30), last_day=date(2026, 5, 1), product="Privigen"),
]
GROUPINGS = [*((key,) for key in KEYS), ("iga", "premedication"), COMPARED_BY]
VOID = {"voided_at": START, "void_reason": "Entered twice"}


def tidy() -> None:
    keeping.keep_up(inf)


def lines(blocks: Sequence[Columns]) -> list[tuple[Any, ...]]:
    """Every infusion with its values of all keys."""
    found: list[tuple[Any, ...]] = []
    for block in blocks:
        numbers = [block.numbers[name] for name in OF_INFUSION]
        values = [[key.values[place] for place in key.places] for _, key in sorted(block.keys.items())]
        found += zip(*numbers, *values, strict=True)
    return sorted(found)


def agree(turn: int | None = None) -> None:
    """What is kept is used, and gives what the records give, and so every figure to the last digit.

    For each question and each choice of clinics, or for that one of them whose turn it is.
    """
    assert keeping.is_complete()
    every = list(Clinic.objects.order_by("pk"))
    cases = [(question, every) for question in KEPT] + [(KEPT[0], [clinic]) for clinic in every]
    for question, clinics in cases if turn is None else [cases[turn % len(cases)]]:
        ready, records = read(question, KEYS, clinics, OF_INFUSION), [from_records(question, KEYS, clinics)]
        assert ready is not None
        assert lines(ready) == lines(records)
        found, wanted = (answers_by_unit(question, GROUPINGS, clinics, blocks=held) for held in (ready, records))
        assert found == wanted
        assert compare(ready) == compare(records)


def stale() -> set[int]:
    return set(StaleRates.objects.values_list("patient_id", flat=True))


@pytest.fixture
def whole(clinic: Clinic, other_clinic: Clinic, patient: Patient) -> Infusion:
    """An infusion with everything that counts, another one of the patient, and other patients; nobody is marked."""
    infusion = make_infusion(patient, started_at=START, premedication_record="given")
    infusion.premedications.create(drug="acetaminophen")
    make_reaction(infusion)
    infusion.rate_steps.create(at=START + HOUR, rate_ml_per_h=400, reason="start", created_by=infusion.created_by)
    make_infusion(patient, started_at=START + 48 * HOUR)
    patient.iga_results.create(value=120, measured_on=date(2026, 4, 28), created_by=patient.created_by)
    make_checkins(infusion)
    checkin = infusion.checkins.earliest("due_at")
    CheckIn.objects.filter(pk=checkin.pk).update(state="sent", sent_at=START + 30 * HOUR)
    checkin.answers.create(version=1, submitted_at=timezone.now(), has_problem=False)
    for place in (clinic, other_clinic):
        make_reaction(make_infusion(make_patient(place), started_at=START), onset_at=None)
    tidy()
    assert not stale()
    return infusion


Write = Callable[[Infusion], Any]


def own_product(infusion: Infusion) -> None:
    """One that no other infusion has, so that its name is about one patient."""
    made = Product.objects.create(name="Synthetic globulin", source="Made up", concentration_percent=10)
    Infusion.objects.filter(patient=infusion.patient_id).update(product=made)
    tidy()
    Product.objects.filter(pk=made.pk).update(name="Synthetic globulin 2")


def to_the_other_clinic(infusion: Infusion) -> None:
    infusion.patient.clinic = Clinic.objects.get(slug="other")
    infusion.patient.save()


def by_sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def tell_of_a_problem() -> None:
    by_sql("UPDATE reactions_answer SET has_problem = TRUE")


def told(infusion: Infusion) -> Answer:
    """The patient's answer, after which a problem is there and nobody is marked."""
    tell_of_a_problem()
    tidy()
    return Answer.objects.get(checkin__infusion=infusion)


def decide(answer: Answer) -> None:
    by = answer.checkin.infusion.created_by
    version = answer.checkin.decisions.count() + 1
    answer.checkin.decisions.create(
        answer=answer,
        version=version,
        verdict="rejected",
        reject_reason="not_related",
        decided_at=timezone.now(),
        decided_by=by,
        submission_id=uuid4(),
    )


# Of each table that is watched, writes past every verb that change what is counted.
WRITES: list[tuple[str, Write]] = [
    ("reactions_infusion", lambda one: make_infusion(one.patient, started_at=START - 24 * HOUR)),
    ("reactions_infusion", lambda one: Infusion.objects.filter(pk=one.pk).update(premedication_record="not_recorded")),
    ("reactions_infusion", lambda one: Infusion.objects.filter(pk=one.pk).update(started_at=START - HOUR)),
    ("reactions_infusion", lambda one: Infusion.objects.filter(pk=one.pk).update(voided_by=one.created_by, **VOID)),
    ("reactions_infusion", lambda one: Infusion.objects.filter(pk=one.pk).update(setting="home")),
    ("reactions_infusion", lambda one: Infusion.objects.filter(pk=one.pk).update(weight_kg=40)),
    ("reactions_premedication", lambda one: one.premedications.create(drug="prednisone")),
    ("reactions_premedication", lambda one: Premedication.objects.update(drug="prednisone")),
    ("reactions_premedication", lambda one: one.premedications.all().delete()),
    ("reactions_reaction", lambda one: one.reactions.update(voided_by=one.created_by, **VOID)),
    ("reactions_reaction", lambda one: one.reactions.update(infusion=one.patient.infusions.exclude(pk=one.pk).get())),
    ("reactions_ratestep", lambda one: RateStep.objects.filter(infusion=one.pk).update(rate_ml_per_h=30)),
    ("reactions_ratestep", lambda one: RateStep.objects.update(voided_by=one.created_by, **VOID)),
    ("reactions_symptom", lambda one: Symptom.objects.filter(reaction__infusion=one.pk).update(onset_at=None)),
    ("reactions_symptom", lambda one: Symptom.objects.filter(reaction__infusion=one.pk).delete()),
    (
        "reactions_symptom",
        lambda one: one.reactions.get().symptoms.create(term="headache", grade=1, ctcae_version="5.0"),
    ),
    ("reactions_checkin", lambda one: CheckIn.objects.update(state="planned", sent_at=None)),
    ("reactions_answer", lambda one: Answer.objects.filter(checkin__infusion=one.pk).delete()),
    ("reactions_answer", lambda one: tell_of_a_problem()),
    ("reactions_reviewdecision", lambda one: decide(told(one))),
    (
        "reactions_reviewdecision",
        lambda one: (decide(told(one)), tidy(), by_sql("DELETE FROM reactions_reviewdecision")),
    ),
    (
        "patients_igaresult",
        lambda one: one.patient.iga_results.create(
            value=3, measured_on=date(2026, 4, 30), created_by=one.patient.created_by
        ),
    ),
    ("patients_igaresult", lambda one: IgaResult.objects.update(status="deficient")),
    ("patients_igaresult", lambda one: IgaResult.objects.all()._raw_delete("default")),
    (
        "patients_patient",
        lambda one: Patient.objects.filter(pk=one.patient_id).update(voided_by=one.created_by, **VOID),
    ),
    ("patients_patient", lambda one: Patient.objects.filter(pk=one.patient_id).update(sex="female")),
    ("patients_patient", lambda one: Patient.objects.filter(pk=one.patient_id).update(diagnosis="Made-up disease")),
    ("patients_patient", to_the_other_clinic),
    ("reactions_product", own_product),
]


@pytest.mark.parametrize(
    ("table", "write"), [pytest.param(*case, id=f"{case[0]}-{n}") for n, case in enumerate(WRITES)]
)
def test_a_write_marks_the_patient_and_is_counted_at_once(whole: Infusion, table: str, write: Write) -> None:
    write(whole)
    assert stale() == {whole.patient_id}
    agree()
    tidy()
    assert not stale()
    agree()


def test_another_time_zone_marks_the_patients_of_the_clinic(whole: Infusion, clinic: Clinic) -> None:
    """21:00 on 30 April in New York is 1 May in Tokyo, where the result of that day counts."""
    late = make_infusion(make_patient(clinic), started_at=datetime(2026, 5, 1, 1, tzinfo=UTC))
    late.patient.iga_results.create(value=3, measured_on=date(2026, 5, 1), created_by=late.created_by)
    tidy()
    Clinic.objects.filter(pk=clinic.pk).update(time_zone="Asia/Tokyo")
    assert stale() == set(Patient.objects.filter(clinic=clinic).values_list("pk", flat=True))
    agree()
    strata = answer(Question(by=("iga",)), [Clinic.objects.get(pk=clinic.pk)]).strata
    assert {rate.stratum: rate.total for rate in strata}["deficient",] == 1


def test_a_problem_that_nobody_has_decided_about_is_silence_until_then(whole: Infusion, clinic: Clinic) -> None:
    def silent() -> int:
        agree()
        return answer(Question(unit="course"), [clinic]).all.silent

    before = silent()
    make_infusion(whole.patient, started_at=START + 24 * HOUR, course=whole.course, day=2)
    Reaction.objects.filter(infusion=whole).update(voided_by=whole.created_by, **VOID)
    assert silent() == before
    problem = told(whole)
    assert silent() == before + 1
    decide(problem)
    assert silent() == before
    tidy()
    assert silent() == before


def test_products_of_one_name_count_as_one_whatever_is_renamed(whole: Infusion, clinic: Clinic) -> None:
    first, second = (
        Product.objects.create(name="Made up", source="Made up", label_version=version, is_current=version == 2)
        for version in (1, 2)
    )
    for product in (first, second):
        make_infusion(whole.patient, started_at=START + product.label_version * 9 * HOUR, product=product)
    tidy()
    made_up = answer(Question(by=("product",)), [clinic]).strata[0]
    assert (made_up.stratum, made_up.total) == (("Made up",), 2)
    for name in ("Other", "Privigen", "Made up"):
        Product.objects.filter(pk=first.pk).update(name=name, label_version=7)
        assert whole.patient_id in stale()
        agree()
        tidy()
        agree()


def test_rows_that_come_in_bulk_mark_their_patients(whole: Infusion, clinic: Clinic) -> None:
    patients = [make_patient(clinic) for _ in range(3)]
    courses = [Course(patient=patient, label="bulk") for patient in patients]
    insert_all(Course, courses)
    values = {field.name: getattr(whole, field.name) for field in Infusion._meta.concrete_fields}
    del values["id"]
    infusions = [Infusion(**values | {"patient": one.patient, "course": one, "submission_id": None}) for one in courses]
    insert_all(Infusion, infusions)
    assert stale() == {patient.pk for patient in patients}
    agree()
    tidy()
    agree()


def test_every_table_that_is_watched_has_an_example() -> None:
    assert {table for table, _ in WRITES} | {"patients_clinic"} == {watched.table for watched in triggers.WATCHED}


def test_every_column_that_is_read_is_watched(whole: Infusion) -> None:
    """SQLite says which columns a statement reads; on PostgreSQL it is the same statement."""
    if connection.vendor != "sqlite":
        return
    found: set[tuple[str, str]] = set()

    def note(action: int, table: str | None, column: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_READ and table and column:
            found.add((table, column))
        return sqlite3.SQLITE_OK

    connection.connection.set_authorizer(note)
    try:
        from_records(Question(), KEPT_KEYS, [whole.clinic])
    finally:
        connection.connection.set_authorizer(None)
    watched = {(one.table, column) for one in triggers.WATCHED for column in ("id", *one.columns)}
    assert found - watched == set()
    # Of these columns one is read by Python: where the day begins.
    assert {column for _, column in watched - found} <= {"id", "time_zone"}


def test_what_does_not_count_marks_nobody(whole: Infusion) -> None:
    whole.refresh_from_db()
    whole.notes = "Went well."
    whole.save()
    for patient in Patient.objects.all():
        patient.given_name = "Tess"
        patient.save()
    Reaction.objects.update(narrative="Passed by itself.")
    Symptom.objects.update(grade=1)
    CheckIn.objects.update(label="Tomorrow")
    assert not stale()
    agree()


def test_an_infusion_that_is_void_takes_the_answers_about_it_from_the_whole_course(whole: Infusion) -> None:
    make_infusion(whole.patient, started_at=START + 24 * HOUR, course=whole.course, day=2)
    tidy()
    Infusion.objects.filter(pk=whole.pk).update(voided_by=whole.created_by, **VOID)
    agree()


def test_days_and_a_product_are_all_that_what_is_kept_can_be_limited_by() -> None:
    days = Question(first_day=date(2026, 5, 4), last_day=date(2026, 5, 4), product="Privigen")
    assert is_kept(days, KEYS)
    assert is_kept(Question(by=("iga",), unit="course", interval="cluster"), ["iga"])
    assert not is_kept(Question(), ["iga", "drug:prednisone"])
    for limit in (
        {"window": "any"},
        {"source": "clinician"},
        {"reaction": "chills"},
        {"min_grade": 2},
        {"serious": True},
    ):
        assert not is_kept(Question(**limit), ["iga"])


def test_what_is_kept_is_read_without_an_infusion(
    whole: Infusion, clinic: Clinic, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(1) as asked:
        table = answer(Question(by=("iga", "premedication"), interval="cluster"), [clinic])
    assert table.all.total == 3
    assert not any("reactions_infusion" in query["sql"] for query in asked.captured_queries)


def test_a_question_with_limits_is_answered_without_an_infusion(
    whole: Infusion, clinic: Clinic, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(1) as asked:
        table = answer(Question(by=("iga", "premedication"), first_day=date(2026, 5, 2)), [clinic])
    assert (table.all.events, table.all.total) == (0, 1)
    assert not any("reactions_infusion" in query["sql"] for query in asked.captured_queries)


def test_more_that_is_out_of_date_asks_no_more_queries(
    whole: Infusion, clinic: Clinic, django_assert_max_num_queries: Any
) -> None:
    for patients in (1, 4):
        for _ in range(patients):
            make_infusion(make_patient(clinic), started_at=START)
        with django_assert_max_num_queries(7):
            answer(Question(by=("iga",)), [clinic])


def test_blocks_are_cut_where_patients_end_also_of_those_out_of_date(
    whole: Infusion, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where there are very many infusions: what is read from the records is not in the order of patients."""
    monkeypatch.setattr(kept, "in_blocks", partial(in_blocks, size=1))
    monkeypatch.setattr("reactions.rates.columns.SAMPLED", 1)

    def in_another_order(*asked: Any) -> Columns:
        found = from_records(*asked)
        return found.where(np.random.default_rng(1).permutation(len(found)))

    monkeypatch.setattr(kept, "from_records", in_another_order)
    patients = [make_patient(clinic) for _ in range(4)]
    for day in range(3):
        for patient in reversed(patients):
            make_infusion(patient, started_at=START + (day * 24 + 1) * HOUR)
    agree()
    tidy()
    agree()


def test_with_too_many_out_of_date_everything_is_read(
    whole: Infusion, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reactions.rates.kept.MOST_STALE", 1)
    for _ in range(3):
        make_infusion(make_patient(clinic), started_at=START)
    assert read(Question(), [], [clinic]) is None
    assert answer(Question(), [clinic]).all.total == 6


def test_the_infusions_behind_a_figure_are_listed_from_what_is_kept(
    whole: Infusion, clinic: Clinic, client: Client, administrator: User
) -> None:
    """Those of two months, the latest first, with one of a patient who bears a mark."""
    client.force_login(administrator)
    make_infusion(whole.patient, started_at=START - 48 * HOUR, setting="home")
    tidy()
    marked = make_infusion(make_patient(clinic), started_at=START + HOUR)
    make_reaction(marked)
    assert stale() == {marked.patient_id}
    wanted = Infusion.objects.filter(patient__clinic=clinic).order_by("-started_at", "-pk")
    body = client.get("/admin/rates/infusions/").content.decode()
    assert re.findall(r"/infusions/(\d+)/", body) == [str(one.pk) for one in wanted]
    assert re.findall(r"<td>(Yes|No)</td>", body) == ["No", "Yes", "Yes", "Yes", "No"]
    only = client.get("/admin/rates/infusions/?also=setting&key=setting&value=home").content.decode()
    assert "1 infusion<" in only
    assert "2026-04-29" in only


def test_nothing_is_written_by_reading(whole: Infusion, clinic: Clinic) -> None:
    make_reaction(make_infusion(make_patient(clinic), started_at=START))
    marks, rows = StaleRates.objects.count(), RateColumns.objects.count()
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("SET TRANSACTION READ ONLY" if connection.vendor == "postgresql" else "PRAGMA query_only = ON")
        try:
            agree()
        finally:
            if connection.vendor == "sqlite":
                cursor.execute("PRAGMA query_only = OFF")
            transaction.set_rollback(True)
    assert (StaleRates.objects.count(), RateColumns.objects.count()) == (marks, rows)


@pytest.mark.parametrize("tidies", [tasks.keep_rates_ready, lambda: call_command("tick", stdout=io.StringIO())])
def test_the_worker_or_cron_tidies_up(whole: Infusion, clinic: Clinic, tidies: Callable[[], object]) -> None:
    make_infusion(make_patient(clinic), started_at=START)
    assert stale()
    tidies()
    assert not stale()
    agree()


def test_the_worker_is_asked_each_minute() -> None:
    asked = [one["task"] for one in current_app.conf.beat_schedule.values()]
    assert asked.count(tasks.keep_rates_ready.name) == 1


def test_other_rules_are_not_read(whole: Infusion, clinic: Clinic) -> None:
    RateColumns.objects.update(infusions=0, fingerprint="of other rules")
    RatesKept.objects.update(fingerprint="of other rules")
    assert read(Question(), [], [clinic]) is None
    assert answer(Question(), [clinic]).all.total == 3
    make_infusion(make_patient(clinic), started_at=START)
    tidy()
    agree()


def test_nobody_takes_for_all_what_others_are_making_by_other_rules(
    whole: Infusion, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while a host has a newer version, and if that is taken back before it has made all."""
    make_infusion(whole.patient, started_at=START + 40 * 24 * HOUR)
    tidy()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("reactions.rates.kept._digest", lambda *_: "other rules")
        assert keeping.keep_up(0) == 1
    # And of a month in which nobody has an infusion any more.
    nobody = keeping.packed(from_records(Question(), KEPT_KEYS, []), 24_000)
    RateColumns.objects.create(clinic=clinic, month=24_000, fingerprint="other rules", **nobody)
    assert read(Question(), [], [clinic]) is None
    make_reaction(make_infusion(make_patient(clinic), started_at=START))
    assert answer(Question(), [clinic]).all.total == 5
    tidy()
    agree()
    assert not RateColumns.objects.filter(fingerprint="other rules").exists()


def test_rules_of_time_zones_are_part_of_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    before = kept._digest.__wrapped__("default", 15)
    assert before == kept._digest.__wrapped__("default", 15)
    assert before != kept._digest.__wrapped__("default", 16)
    monkeypatch.setattr(kept, "_time_zones", lambda: "2100a")
    assert before != kept._digest.__wrapped__("default", 15)


def test_marks_stay_when_what_was_kept_is_let_go_of(whole: Infusion) -> None:
    """As when a table is emptied between the question whether all is there and the step that follows."""
    make_reaction(whole)
    keeping._let_go("default")
    assert not keeping._redo_marked()
    assert stale() == {whole.patient_id}
    assert not RateColumns.objects.exists()
    assert not keeping._complete()
    tidy()
    agree()


def test_nothing_is_read_before_all_is_there(whole: Infusion, clinic: Clinic) -> None:
    RatesKept.objects.update(fingerprint="")
    RateColumns.objects.all().delete()
    patient = make_patient(clinic)
    while not keeping.is_complete():
        assert answer(Question(), [clinic]).all.total == from_records(Question(), [], [clinic]).patient.size
        # What is written meanwhile, into months that were made already and others.
        make_reaction(make_infusion(patient, started_at=START + Infusion.objects.count() * 24 * 5 * HOUR))
        assert keeping.keep_up(0) == 1
    agree()
    tidy()
    agree()


def check_rates(*options: str) -> str:
    said = io.StringIO()
    call_command("check_rates", *options, stdout=said)
    return said.getvalue()


def spoil(whole: Infusion, **columns: bytes) -> None:
    """Other columns for the month in which the patient has two infusions and another patient of the clinic one."""
    month = month_of(int(START.timestamp()))
    assert RateColumns.objects.filter(clinic=whole.clinic, month=month, infusions=3).update(**columns) == 1


def test_the_check_blames_nobody_who_bears_a_mark(whole: Infusion) -> None:
    make_reaction(whole.patient.infusions.exclude(pk=whole.pk).get())
    assert keeping.check().is_right
    assert stale() == {whole.patient_id}


def test_the_check_finds_what_is_wrong_and_repairs_it(whole: Infusion) -> None:
    assert "All as it should be." in check_rates()
    spoil(whole, known=b"\x00\x00\x00")
    patients = set(Infusion.objects.filter(patient__clinic=whole.clinic).values_list("patient", flat=True))
    with pytest.raises(CommandError, match="--repair"):
        check_rates()
    assert keeping.check().wrong == sorted(patients)
    said = check_rates("--repair")
    assert "Wrong for 2 patients: " in said
    assert keeping.check().is_right
    agree()


@pytest.mark.parametrize("name", ["course", "started", "known", *(key for key in KEYS if key != "clinic")])
def test_the_check_compares_every_column(whole: Infusion, name: str) -> None:
    """The values of a key are more by one that no infusion has."""
    row = RateColumns.objects.get(clinic=whole.clinic)
    values = json.loads(row.values)
    if name in values:
        spoil(whole, values=json.dumps(values | {name: [*values[name], "made up"]}))
        spoil(whole, **{name: bytes([len(values[name])]) * 3})
    else:
        spoil(whole, **{name: b"\x63" * 3})
    assert len(keeping.check(repair=True).wrong) == 2
    assert keeping.check().is_right
    agree()


def test_the_check_finds_who_is_not_there(whole: Infusion) -> None:
    row = RateColumns.objects.get(clinic=whole.clinic)
    nobody = from_records(Question(), KEPT_KEYS, [])
    RateColumns.objects.create(clinic_id=0, month=24_000, **keeping.packed(nobody, 24_000))
    lowest, _ = json.loads(row.values)["patient"]
    spoil(whole, patient=bytes(3 * [200]))
    assert set(keeping.check(repair=True).wrong) >= {whole.patient_id, lowest + 200}
    assert keeping.check().is_right
    assert RateColumns.objects.get(clinic=whole.clinic).infusions == row.infusions
    agree()


@pytest.mark.django_db(transaction=True)
def test_triggers_that_went_with_a_table_are_put_on_again(clinic: Clinic) -> None:
    """SQLite makes a table anew to change it. Whatever was written without triggers is worked out anew."""
    infusion = make_infusion(make_patient(clinic), started_at=START)
    tidy()
    keeping.let_go("default")
    assert not keeping.is_complete()
    if connection.vendor == "sqlite":
        with connection.schema_editor() as editor:
            editor._remake_table(Reaction)
            editor._remake_table(Infusion)
    make_reaction(infusion)
    assert not stale()
    keeping.prepare()
    assert triggers.are_there(connection)
    assert answer(Question(), [clinic]).all.events == 1
    tidy()
    agree()


def records_are_read_until_triggers_are_there(infusion: Infusion) -> None:
    """What is written without them counts at once, and still when all has been made anew."""
    assert read(Question(), [], [infusion.clinic]) is None
    make_reaction(infusion)
    assert answer(Question(), [infusion.clinic]).all.events == 1
    keeping.prepare()
    tidy()
    agree()


@pytest.mark.django_db(transaction=True)
def test_without_triggers_nothing_is_kept(clinic: Clinic) -> None:
    """As while tables change, or after a migration that failed: a worker of the former version goes on meanwhile."""
    infusion = make_infusion(make_patient(clinic), started_at=START)
    tidy()
    keeping.let_go("default")
    tidy()
    records_are_read_until_triggers_are_there(infusion)


@pytest.mark.django_db(transaction=True)
def test_a_migration_that_is_stopped_leaves_nothing_to_read(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends after the first of the triggers, and a worker has made all anew until then."""
    infusion = make_infusion(make_patient(clinic), started_at=START)
    tidy()
    take_off = triggers.take_off

    def stopped(*given: Any) -> None:
        take_off(*given)
        monkeypatch.setattr(triggers, "take_off", lambda *_: 1 / 0)

    monkeypatch.setattr(triggers, "take_off", stopped)
    with pytest.raises(ZeroDivisionError):
        keeping.let_go("default")
    monkeypatch.undo()
    tidy()
    records_are_read_until_triggers_are_there(infusion)


@pytest.mark.django_db(transaction=True)
def test_triggers_stand_in_whatever_schema(clinic: Clinic) -> None:
    """One that somebody switched off is put on anew, and so are all where another schema stands before the tables'."""
    if connection.vendor == "sqlite":
        return
    infusion = make_infusion(make_patient(clinic), started_at=START)
    tidy()
    by_sql("ALTER TABLE reactions_reaction DISABLE TRIGGER USER")
    assert not triggers.are_there(connection)
    by_sql('CREATE SCHEMA "In-Front"')
    try:
        by_sql('SET search_path = "In-Front", public')
        keeping.prepare()
        assert triggers.are_there(connection)
        tidy()
        make_reaction(infusion)
        assert stale() == {infusion.patient_id}
        agree()
        keeping.let_go("default")
        assert triggers.there(connection, also_off=True) == set()
    finally:
        by_sql("RESET search_path")
        by_sql('DROP SCHEMA "In-Front" CASCADE')
        keeping.prepare()
    tidy()
    agree()


@pytest.mark.django_db(transaction=True)
def test_triggers_wait_for_the_columns_that_they_speak_of(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a database is migrated to a version before the latest one."""
    keeping.let_go("default")
    later = replace(triggers.WATCHED[0], columns=(*triggers.WATCHED[0].columns, "comes_later"))
    monkeypatch.setattr(triggers, "WATCHED", (later, *triggers.WATCHED[1:]))
    keeping.prepare()
    # Whoever emptied the tables before this test may have emptied this one before others.
    StaleRates.objects.all().delete()
    make_infusion(make_patient(clinic), started_at=START)
    assert not stale()
    with pytest.raises(CommandError, match="latest migrations"):
        check_rates("--repair")
    monkeypatch.undo()
    keeping.prepare()
    tidy()
    agree()


@pytest.mark.django_db(transaction=True)
def test_a_trigger_that_is_missing_is_found_and_repaired(clinic: Clinic) -> None:
    infusion = make_infusion(make_patient(clinic), started_at=START)
    tidy()
    for name in triggers.there(connection):
        triggers.take_off(connection, name)
    make_reaction(infusion)
    assert not stale()
    found = keeping.check()
    assert (found.triggers_are_there, found.wrong) == (False, [infusion.patient_id])
    keeping.check(repair=True)
    assert keeping.check().is_right
    agree()


def test_what_is_prepared_is_not_prepared_again(whole: Infusion) -> None:
    keeping.prepare()
    assert keeping.is_complete()


@pytest.mark.django_db(transaction=True)
def test_a_table_that_is_emptied_leaves_nothing_to_read(clinic: Clinic) -> None:
    """TRUNCATE tells no trigger which rows there were; SQLite has none."""
    make_reaction(make_infusion(make_patient(clinic), started_at=START))
    tidy()
    if connection.vendor == "postgresql":
        by_sql("TRUNCATE reactions_symptom")
        assert not keeping.is_complete()
        tidy()
    agree()


OF_ONE = "reaction_id IN (SELECT id FROM reactions_reaction WHERE infusion_id = %(one)s)"
ABOUT_ONE = "checkin_id IN (SELECT id FROM reactions_checkin WHERE infusion_id = %(one)s)"
BY_HAND = [
    "UPDATE reactions_infusion SET product_id = %(product)s WHERE id = %(one)s",
    "UPDATE reactions_infusion SET reaction_record = 'observed' WHERE id = %(one)s",
    "UPDATE reactions_infusion SET premedication_record = 'given' WHERE id = %(one)s",
    "UPDATE reactions_product SET name = name || '!' WHERE id = %(product)s",
    "UPDATE reactions_reaction SET onset_at = NULL WHERE infusion_id = %(one)s",
    f"UPDATE reactions_symptom SET onset_at = NULL WHERE {OF_ONE}",  # noqa: S608
    "DELETE FROM reactions_symptom WHERE id = (SELECT MAX(id) FROM reactions_symptom)",
    "UPDATE reactions_premedication SET drug = 'prednisone' WHERE"
    " id = (SELECT MAX(id) FROM reactions_premedication WHERE infusion_id = %(one)s) AND NOT EXISTS"
    " (SELECT 1 FROM reactions_premedication WHERE infusion_id = %(one)s AND drug = 'prednisone')",
    "DELETE FROM reactions_premedication WHERE infusion_id = %(one)s",
    "UPDATE reactions_checkin SET state = 'planned', sent_at = NULL WHERE infusion_id = %(one)s",
    f"DELETE FROM reactions_reviewdecision WHERE {ABOUT_ONE}",  # noqa: S608
    f"UPDATE reactions_answer SET has_problem = NOT has_problem WHERE {ABOUT_ONE}",  # noqa: S608
    f"DELETE FROM reactions_answer WHERE {ABOUT_ONE} AND checkin_id NOT IN"  # noqa: S608
    " (SELECT checkin_id FROM reactions_reviewdecision)",
]


class Records(RuleBasedStateMachine):
    """Three patients in two clinics with different clocks, written to by verbs and past them."""

    def __init__(self) -> None:
        super().__init__()
        self.block = transaction.atomic()
        self.block.__enter__()
        zones = {"here": "America/New_York", "there": "Asia/Tokyo"}
        self.clinics = [Clinic.objects.create(name=slug, slug=slug, time_zone=zone) for slug, zone in zones.items()]
        self.patients = [make_patient(self.clinics[place]) for place in (0, 0, 1)]
        self.by = self.patients[0].created_by
        self.product = privigen()
        self.other_product = Product.objects.create(name="Made up", source="Made up", concentration_percent=10)
        self.turn = 0
        for who in range(3):
            self.give(who, 24 * who, "given", "acetaminophen", observed=True, with_number=None)
            self.give(who, 24 * who + 30, "none", "", observed=False, with_number=0)
            make_reaction(self.one(2 * who))
            self.ask(2 * who, answers=True)
            self.patients[who].iga_results.create(value=3, measured_on=date(2026, 4, 29), created_by=self.by)
        tidy()

    def teardown(self) -> None:
        try:
            agree()
        finally:
            transaction.set_rollback(True)
            self.block.__exit__(None, None, None)

    def one(self, number: int) -> Infusion:
        infusions = list(Infusion.objects.select_related("patient__clinic", "course").order_by("pk"))
        return infusions[number % len(infusions)]

    def voiding(self) -> dict[str, Any]:
        return {"by": self.by, "reason": "Entered twice", "now": timezone.now()}

    @rule(
        who=st.integers(0, 2),
        hours=st.integers(-60, 60),
        record=st.sampled_from(["none", "given", "not_recorded"]),
        drug=st.sampled_from(["", "acetaminophen", "prednisone", "famotidine"]),
        observed=st.booleans(),
        with_number=st.none() | st.integers(0, 9),
    )
    def give(self, who: int, hours: int, record: str, drug: str, observed: bool, with_number: int | None) -> None:
        patient, started_at = self.patients[who], START + hours * HOUR
        if Infusion.objects.filter(patient=patient, started_at=started_at).exists():
            return
        same = Infusion.objects.filter(patient=patient).order_by("pk")
        course = {} if with_number is None or not same else {"course": same[with_number % len(same)].course}
        infusion = make_infusion(
            patient,
            started_at=started_at,
            premedication_record=record,
            reaction_record="observed" if observed else "not_recorded",
            product=self.product,
            **course,
        )
        if drug:
            infusion.premedications.create(drug=drug)

    @precondition(lambda self: Infusion.objects.exists())
    @rule(number=st.integers(0, 99), hours=st.none() | st.integers(-2, 100), symptoms=st.integers(0, 2))
    def react(self, number: int, hours: int | None, symptoms: int) -> None:
        infusion = self.one(number)
        onset_at = None if hours is None else infusion.started_at + hours * HOUR
        make_reaction(infusion, dict(list({"chills": 2, "headache": 1}.items())[:symptoms]), onset_at=onset_at)

    @precondition(lambda self: Infusion.objects.exists())
    @rule(number=st.integers(0, 99), hours=st.integers(-60, 60), ends=st.booleans())
    def correct(self, number: int, hours: int, ends: bool) -> None:
        infusion, started_at = self.one(number), START + hours * HOUR
        if Infusion.objects.filter(patient=infusion.patient_id, started_at=started_at).exists():
            return
        changed = {"started_at": started_at}
        if ends or (infusion.ended_at and infusion.ended_at <= started_at):
            changed["ended_at"] = started_at + 4 * HOUR
        Infusion.objects.filter(pk=infusion.pk).update(**changed)

    @precondition(lambda self: Infusion.objects.exists())
    @rule(number=st.integers(0, 99))
    def void_infusion(self, number: int) -> None:
        infusion = self.one(number)
        with suppress(RecordVoided):
            if not infusion.is_void:
                recording.void_infusion(infusion, seen_version=infusion.version, **self.voiding())

    @precondition(lambda self: Reaction.objects.current().exists())
    @rule()
    def void_reaction(self) -> None:
        reaction = Reaction.objects.current().select_related("infusion__patient__clinic").first()
        with suppress(RecordVoided):
            recording.void_reaction(reaction, seen_version=reaction.version, **self.voiding())

    @rule(who=st.integers(0, 2), value=st.sampled_from([3, 20, 120]), day=st.integers(1, 8))
    def result_comes_late(self, who: int, value: int, day: int) -> None:
        self.patients[who].iga_results.create(
            value=value, measured_on=date(2026, 4, 26) + timedelta(days=day), created_by=self.by
        )

    @precondition(lambda self: IgaResult.objects.current().exists())
    @rule()
    def void_result(self) -> None:
        result = IgaResult.objects.current().select_related("patient__clinic").first()
        with suppress(RecordVoided):
            registering.void_iga(result, seen_version=result.version, **self.voiding())

    @precondition(lambda self: Infusion.objects.exists())
    @rule(number=st.integers(0, 99), answers=st.booleans(), problem=st.booleans())
    def ask(self, number: int, answers: bool, problem: bool = False) -> None:
        infusion = self.one(number)
        checkin = CheckIn.objects.filter(infusion=infusion).first()
        if checkin is None:
            nonce, link_hash = new_link()
            checkin = CheckIn.objects.create(
                infusion=infusion,
                course=infusion.course,
                kind="hours_24",
                due_at=START,
                closes_at=START + 24 * HOUR,
                link_nonce=nonce,
                link_hash=link_hash,
            )
        if not answers:
            CheckIn.objects.filter(pk=checkin.pk).update(state="sent", sent_at=START)
        else:
            version = checkin.answers.count() + 1
            checkin.answers.create(version=version, submitted_at=timezone.now(), has_problem=problem)

    @precondition(lambda self: Answer.objects.exists())
    @rule(number=st.integers(0, 99))
    def decide_about(self, number: int) -> None:
        answers = list(Answer.objects.order_by("pk"))
        decide(answers[number % len(answers)])

    @precondition(lambda self: Infusion.objects.exists())
    @rule(number=st.integers(0, 99), statement=st.sampled_from(BY_HAND))
    def write_by_hand(self, number: int, statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, {"one": self.one(number).pk, "product": self.other_product.pk})

    @precondition(lambda self: Infusion.objects.exists())
    @rule(number=st.integers(0, 99), drug=st.sampled_from(["prednisone", "acetaminophen"]))
    def premedicate(self, number: int, drug: str) -> None:
        self.one(number).premedications.get_or_create(drug=drug)

    @rule(who=st.integers(0, 2), place=st.integers(0, 1))
    def move(self, who: int, place: int) -> None:
        patient = Patient.objects.get(pk=self.patients[who].pk)
        patient.clinic = self.clinics[place]
        patient.save()

    @rule(place=st.integers(0, 1), zone=st.sampled_from(["America/New_York", "Asia/Tokyo", "Pacific/Kiritimati"]))
    def move_the_clock(self, place: int, zone: str) -> None:
        Clinic.objects.filter(pk=self.clinics[place].pk).update(time_zone=zone)

    @rule(who=st.integers(0, 2))
    def void_or_take_back(self, who: int) -> None:
        patient = Patient.objects.get(pk=self.patients[who].pk)
        if patient.is_void:
            Patient.objects.filter(pk=patient.pk).update(voided_at=None, voided_by=None, void_reason="")
        else:
            recording.void_patient(patient, seen_version=patient.version, **self.voiding())

    @invariant()
    def kept_is_from_scratch(self) -> None:
        self.turn += 1
        agree(self.turn)
        # Mostly: a patient who bears a mark already hides that a write leaves none.
        if self.turn % 4:
            tidy()


def test_whatever_is_written_in_whatever_order_what_is_kept_is_right(db: None) -> None:
    run_state_machine_as_test(
        Records,
        settings=settings(
            max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
