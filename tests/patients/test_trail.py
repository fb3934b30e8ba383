"""The audit trail: only ever added to, and whoever gets past that is found out."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from patients import guards, trail
from patients.models import (
    DESTROYED,
    AuditEvent,
    AuditKey,
    AuditSeal,
    Clinic,
    Patient,
    User,
    write_event,
)
from patients.origin import Origin, acting_from
from tests.support.factories import make_patient

pytestmark = pytest.mark.django_db


def run(statement: str, *given: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, given)


def without_guards(statement: str, *given: Any) -> None:
    """What somebody does who may take triggers off, and then puts them on again."""
    guards.take_off(DEFAULT_DB_ALIAS)
    run(statement, *given)
    guards.put_on(DEFAULT_DB_ALIAS)


def seal() -> int:
    return trail.seal_events(now=timezone.now())


@pytest.fixture
def patient(clinic: Clinic) -> Patient:
    return make_patient(clinic, family_name="Ottoline")


@pytest.fixture
def events(patient: Patient, nurse: User) -> list[AuditEvent]:
    """Six, under two seals, and one that waits for its seal."""
    AuditEvent.objects.all()
    made = []
    for number in range(7):
        if number in {3, 6}:
            seal()
        made.append(
            write_event(
                "patient.corrected",
                by=nurse,
                about=patient,
                clinic=patient.clinic,
                patient_id=patient.pk,
                changes={"family_name": ["Ottoline", f"Ottoline {number}"]},
                reason=f"Her cousin Ottoline said so, {number}",
            )
        )
    return made


def test_an_event_tells_who_when_from_where_what_and_why(patient: Patient, nurse: User) -> None:
    before = timezone.now()
    with acting_from(Origin(address="192.0.2.7", browser="Tablet")):
        write_event(
            "patient.corrected",
            by=nurse,
            about=patient,
            patient_id=patient.pk,
            changes={"sex": ["a", "b"]},
            reason="So",
        )
    event = AuditEvent.objects.latest("pk")
    assert (event.by, event.address, event.browser) == (nurse, "192.0.2.7", "Tablet")
    assert (event.changes, event.reason) == ({"sex": ["a", "b"]}, "So")
    assert (event.entity, event.entity_id, event.patient_id) == ("patients.patient", patient.pk, patient.pk)
    assert before <= event.at <= timezone.now()
    assert write_event("site.adopted", by=None).address is None


def test_what_is_told_of_a_patient_is_sealed(events: list[AuditEvent]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM patients_auditevent")
        assert "Ottoline" not in str(cursor.fetchall())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE patients_auditevent SET act = 'nothing'",
        "UPDATE patients_auditevent SET told = ''",
        "UPDATE patients_auditevent SET by_id = NULL",
        "UPDATE patients_auditevent SET seal_id = NULL WHERE seal_id IS NOT NULL",
        "UPDATE patients_auditevent SET seal_id = (SELECT MAX(id) FROM patients_auditseal) WHERE seal_id IS NOT NULL",
        "UPDATE patients_auditevent SET act = 'x', seal_id = (SELECT MAX(id) FROM patients_auditseal)",
        "DELETE FROM patients_auditevent",
        "UPDATE patients_auditseal SET digest = ''",
        "DELETE FROM patients_auditseal WHERE number = 2",
    ],
)
def test_the_database_refuses(events: list[AuditEvent], statement: str) -> None:
    rows = list(AuditEvent.objects.order_by("pk").values())
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        run(statement)
    assert list(AuditEvent.objects.order_by("pk").values()) == rows
    assert AuditSeal.objects.count() == 2


@pytest.mark.parametrize("table", ["patients_auditevent", "patients_auditseal"])
def test_nor_is_a_table_emptied_or_a_row_replaced(events: list[AuditEvent], table: str) -> None:
    statement = f"SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE {table} CASCADE"
    if connection.vendor == "sqlite":
        statement = f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"  # noqa: S608
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        run(statement)


KEPT = [field for field in AuditEvent._meta.concrete_fields if field.name not in {"id", "seal"}]
OTHERWISE = {"at": "'2001-01-01'", "key": "0", "address": "'192.0.2.99'", "act": "'x'", "entity": "'x'", "told": "'x'"}


@pytest.mark.parametrize("field", KEPT, ids=lambda field: field.name)
def test_every_column_of_an_event_is_kept(events: list[AuditEvent], field: Any) -> None:
    """Also beside the one change that is allowed."""
    other = OTHERWISE.get(field.name, "4711")
    for seal_too in ("", ", seal_id = (SELECT MAX(id) FROM patients_auditseal)"):
        statement = f"UPDATE patients_auditevent SET {field.column} = {other}{seal_too} WHERE seal_id IS NULL"  # noqa: S608
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            run(statement)


def test_triggers_come_back_after_a_migration_and_are_missed_when_they_are_gone(events: list[AuditEvent]) -> None:
    assert guards.are_on(DEFAULT_DB_ALIAS)
    guards.take_off(DEFAULT_DB_ALIAS)
    assert not guards.are_on(DEFAULT_DB_ALIAS)
    assert any("triggers" in fault for fault in trail.verify().faults)
    call_command("migrate", verbosity=0)
    assert guards.are_on(DEFAULT_DB_ALIAS)


def test_triggers_that_somebody_switched_off_are_missed_and_come_back(events: list[AuditEvent]) -> None:
    if connection.vendor == "postgresql":
        run("SET CONSTRAINTS ALL IMMEDIATE")
        run("ALTER TABLE patients_auditevent DISABLE TRIGGER USER")
    else:
        run("DROP TRIGGER trail_keeps_patients_auditevent_delete")
    assert not guards.are_on(DEFAULT_DB_ALIAS)
    call_command("migrate", verbosity=0)
    assert guards.are_on(DEFAULT_DB_ALIAS)


def test_a_trail_as_it_was_written_is_found_so(events: list[AuditEvent]) -> None:
    found = trail.verify()
    assert not found.faults
    assert (found.seals, found.unsealed) == (2, 1)
    assert found.events == AuditEvent.objects.count()
    said = io.StringIO()
    call_command("verify_audit", "--head", AuditSeal.objects.first().digest, stdout=said)
    assert found.head in said.getvalue()


Break = Callable[[list[AuditEvent]], Any]


def changed(column: str, value: Any) -> Break:
    statement = f"UPDATE patients_auditevent SET {column} = %s WHERE id = %s"  # noqa: S608
    return lambda events: without_guards(statement, value, events[1].pk)


BREAKS: dict[str, tuple[Break, str]] = {
    "another act": (changed("act", "patient.seen"), "Event {1} was altered"),
    "another person": (changed("by_id", None), "Event {1} was altered"),
    "another moment": (changed("at", timezone.now()), "Event {1} was altered"),
    "another place": (changed("address", "192.0.2.9"), "Event {1} was altered"),
    "another patient": (changed("patient_id", 4711), "Event {1} was altered"),
    "nothing told": (changed("told", ""), "Event {1} was altered"),
    "another code": (changed("code", "0" * 64), "Event {1} was altered"),
    "out of its seal": (changed("seal_id", None), "Event {1} is missing under seal 1"),
    "a removed event": (
        lambda events: without_guards("DELETE FROM patients_auditevent WHERE id = %s", events[4].pk),
        "Event {4} is missing under seal 2",
    ),
    "a removed seal": (
        lambda events: (
            without_guards(
                "UPDATE patients_auditevent SET seal_id = (SELECT id FROM patients_auditseal WHERE number = 2)"
                " WHERE seal_id = (SELECT id FROM patients_auditseal WHERE number = 1)"
            )
            or without_guards("DELETE FROM patients_auditseal WHERE number = 1")
        ),
        "Before seal 2 one is missing",
    ),
    "a seal of somebody else": (
        lambda events: without_guards("UPDATE patients_auditseal SET digest = %s WHERE number = 1", "0" * 64),
        "Seal 1 does not fit",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_whoever_gets_past_the_triggers_is_found_out(events: list[AuditEvent], name: str) -> None:
    tamper, said = BREAKS[name]
    tamper(events)
    wanted = said.format(*[event.pk for event in events])
    assert any(fault.startswith(wanted) for fault in trail.verify().faults)
    told = io.StringIO()
    with pytest.raises(CommandError, match="not as it was written"):
        call_command("verify_audit", stdout=told)
    assert wanted in told.getvalue()


@pytest.mark.parametrize("sealed", [True, False])
def test_an_event_that_was_put_in_is_found_out(events: list[AuditEvent], nurse: User, sealed: bool) -> None:
    """Under a seal that does not name it, or waiting for one: nobody else makes the right code."""
    forged = AuditEvent(act="forged", by=nurse, entity="", key=AuditKey.of(None)[0], told="", code="f" * 64)
    forged.seal = AuditSeal.objects.latest("number") if sealed else None
    forged.save()
    faults = trail.verify().faults
    assert f"Event {forged.pk} was altered, or not written by this service." in faults
    assert (f"Event {forged.pk} came under seal 2 later." in faults) is sealed


def test_an_end_that_was_cut_off_is_missed_by_who_noted_it_down(events: list[AuditEvent]) -> None:
    seal()
    noted = trail.verify().head
    without_guards("DELETE FROM patients_auditevent WHERE id = %s", events[6].pk)
    without_guards("DELETE FROM patients_auditseal WHERE number = 3")
    assert not trail.verify().faults
    with pytest.raises(CommandError):
        call_command("verify_audit", "--head", noted, stdout=io.StringIO())


def test_what_commits_late_is_sealed_late(events: list[AuditEvent], nurse: User, patient: Patient) -> None:
    """Numbers are given when a transaction begins to write, and it may end after younger ones are sealed."""
    begun = write_event("begun", by=nurse)
    without_guards("DELETE FROM patients_auditevent WHERE id = %s", begun.pk)
    write_event("ended meanwhile", by=nurse)
    seal()
    late = write_event("late", by=nurse)
    without_guards("UPDATE patients_auditevent SET id = %s WHERE id = %s", begun.pk, late.pk)
    assert seal() == 1
    assert not trail.verify().faults


def test_many_events_come_under_several_seals(nurse: User, clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "TOGETHER", 3)
    before = AuditEvent.objects.count()
    for number in range(7):
        write_event("counted", by=nurse, reason=str(number))
    assert seal() == before + 7
    assert not trail.verify().faults
    assert seal() == 0


def test_rotated_keys_leave_the_trail_as_it_is(events: list[AuditEvent], settings: Settings) -> None:
    settings.FIELD_KEYS = ["new " * 11, *settings.FIELD_KEYS]
    call_command("rotate_keys", stdout=io.StringIO())
    settings.FIELD_KEYS = settings.FIELD_KEYS[:1]
    assert not trail.verify().faults
    assert AuditEvent.objects.get(pk=events[1].pk).changes == {"family_name": ["Ottoline", "Ottoline 1"]}


def test_a_destroyed_key_takes_names_and_leaves_who_did_what(events: list[AuditEvent], nurse: User) -> None:
    AuditKey.objects.filter(patient_id=events[0].patient_id).update(key="")
    again = AuditEvent.objects.get(pk=events[0].pk)
    assert (again.changes, again.reason, again.act, again.by) == ({}, DESTROYED, "patient.corrected", nurse)
    later = write_event("patient.seen", by=nurse, patient_id=events[0].patient_id, reason="Nobody keeps this")
    assert AuditEvent.objects.get(pk=later.pk).told == ""
    seal()
    assert not trail.verify().faults


@given(st.sets(st.integers(1, 200), min_size=1))
def test_ranges_say_which_numbers_they_are(numbers: set[int]) -> None:
    text = trail.write_ranges(sorted(numbers))
    assert list(trail.read_ranges(text)) == sorted(numbers)
    assert text.count(",") < len(numbers)
