"""An infusion log beside what is recorded already: what it compares, how much it reads, and when it holds the lock."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import connection
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext

from patients.models import AuditEvent, Clinic, IgaResult, Patient, User
from reactions.exchange import log_writer
from reactions.management.commands import import_log as command
from reactions.models import Course, Infusion
from tests.support.factories import make_infusion, make_patient
from tests.support.logs import good_row, import_log, write_log

REGISTERED = {"given_name": "", "family_name": "", "birth_date": "", "sex": "", "email": "", "diagnosis": ""}


def row_of(patient: Patient, **changes: str) -> dict[str, str]:
    """A row for a registered patient that says nothing about the person but the changes."""
    return good_row(patient=patient.mrn, **(REGISTERED | changes))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"email": "new@patients.example"}, "email"),
        ({"diagnosis": "Polymyositis"}, "diagnosis"),
        ({"sex": "male"}, "sex"),
    ],
)
def test_what_is_not_taken_over_for_a_registered_patient_is_said(
    clinic: Clinic, patient: Patient, tmp_path: Path, change: dict[str, str], name: str
) -> None:
    before = Patient.objects.values().get()
    said = import_log(write_log(tmp_path / "log.csv", [row_of(patient, **change)]), clinic.slug)
    assert f"Warning: The {name} is not that of the registered patient, which stays. (1 row, first line 2)" in said
    assert Patient.objects.values().get() == before


def test_the_same_email_and_diagnosis_are_no_warning(clinic: Clinic, patient: Patient, tmp_path: Path) -> None:
    row = row_of(patient, email=patient.email, diagnosis=patient.diagnosis)
    assert "Warning" not in import_log(write_log(tmp_path / "log.csv", [row]), clinic.slug)


def test_what_lies_before_a_registered_birth_is_refused(clinic: Clinic, tmp_path: Path) -> None:
    patient = make_patient(clinic, birth_date=date(2026, 5, 5))
    with pytest.raises(CommandError) as error:
        import_log(write_log(tmp_path / "log.csv", [row_of(patient)]), clinic.slug)
    assert "line 2, birth_date: 2026-05-05 lies after the infusion" in str(error.value)
    assert "line 2, iga_date: lies before the birth date 2026-05-05" in str(error.value)


@pytest.fixture
def loaded() -> Iterator[Counter[str]]:
    """How many records of each kind were made or read while the test ran."""
    counts: Counter[str] = Counter()

    def count(sender: Any, **_: Any) -> None:
        counts[sender.__name__] += 1

    post_init.connect(count)
    yield counts
    post_init.disconnect(count)


def test_a_small_log_does_not_load_the_clinic(clinic: Clinic, tmp_path: Path, loaded: Counter[str]) -> None:
    for number in range(20):
        patient = make_patient(clinic, mrn=f"TEST-{number}", birth_date=None)
        make_infusion(patient)
        IgaResult.objects.create(
            patient=patient, value=82, in_force_from=date(2026, 1, 1), created_by=patient.created_by
        )
    loaded.clear()
    with CaptureQueriesContext(connection) as queries:
        import_log(write_log(tmp_path / "log.csv", [row_of(patient)]), clinic.slug)
    # Before the transaction, in it, and for writing; one of each is new.
    assert loaded["Patient"] <= 3
    assert (loaded["Course"], loaded["IgaResult"]) == (2, 2)
    recorded = [query["sql"] for query in queries if 'FROM "reactions_infusion"' in query["sql"]]
    assert recorded
    assert all(f'"patient_id" IN ({patient.pk})' in sql for sql in recorded)


def test_patients_are_looked_up_in_chunks(clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "ASKED_AT_ONCE", 2)
    rows = [good_row(patient=f"LOG-{number}", email="") for number in range(5)]
    file = write_log(tmp_path / "log.csv", rows)
    import_log(file, clinic.slug)
    with pytest.raises(CommandError, match="Nothing was imported: 5 problems"):
        import_log(file, clinic.slug)


def days_of_courses(path: Path, count: int, day: str, name: str) -> Path:
    """One infusion in each of so many courses, in a log without the column `days`."""
    rows = []
    for number in range(count):
        row = good_row(patient=f"{name}-{number}", day=day, started_at=f"2026-05-0{day}T09:00")
        row |= {"ended_at": f"2026-05-0{day}T13:00", "email": ""}
        del row["days"]
        rows.append(row)
    return write_log(path, rows)


def test_courses_that_grow_cost_one_query_a_batch(clinic: Clinic, tmp_path: Path) -> None:
    def queries_of(count: int) -> list[str]:
        name = f"LOG{count}"
        import_log(days_of_courses(tmp_path / "first.csv", count, "1", name), clinic.slug)
        second = days_of_courses(tmp_path / "second.csv", count, "3", name)
        with CaptureQueriesContext(connection) as queries:
            import_log(second, clinic.slug)
        of_log = [course for course in Course.objects.select_related("patient") if course.patient.mrn.startswith(name)]
        assert {course.planned_days for course in of_log} == {3}
        return [query["sql"] for query in queries]

    few, many = queries_of(10), queries_of(30)
    assert sum(sql.startswith("UPDATE") for sql in many) == sum(sql.startswith("UPDATE") for sql in few) == 1
    # Few enough for one of SQLite's statements of 999 values.
    assert len(many) == len(few)


def test_a_course_that_grows_from_batch_to_batch_of_one_log(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "BATCH", 2)
    rows = []
    for day in "12345":
        row = good_row(day=day, started_at=f"2026-05-0{day}T09:00", ended_at=f"2026-05-0{day}T13:00")
        del row["days"]
        rows.append(row)
    import_log(write_log(tmp_path / "log.csv", rows), clinic.slug)
    assert Course.objects.get().planned_days == 5


def test_a_file_is_read_and_checked_before_the_transaction(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth: dict[str, list[int]] = {"read_log": [], "problems_with_records": [], "write_log": []}

    def watched(name: str) -> Callable[..., Any]:
        original = getattr(command, name)

        def call(*arguments: Any, **options: Any) -> Any:
            depth[name].append(len(connection.savepoint_ids))
            return original(*arguments, **options)

        return call

    for name in depth:
        monkeypatch.setattr(command, name, watched(name))
    outside = len(connection.savepoint_ids)
    import_log(write_log(tmp_path / "log.csv", [good_row()]), clinic.slug)
    inside = outside + 1
    assert depth == {"read_log": [outside], "problems_with_records": [outside, inside], "write_log": [inside]}


def test_what_was_recorded_while_the_file_was_read_is_noticed(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = command.problems_with_records, []

    def meanwhile(clinic: Clinic, rows: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            patient = make_patient(clinic, mrn="LOG-1", given_name="", family_name="", birth_date=None)
            make_infusion(patient, started_at=rows[0].started_at)
        return original(clinic, rows)

    monkeypatch.setattr(command, "problems_with_records", meanwhile)
    with pytest.raises(CommandError, match="is recorded already"):
        import_log(write_log(tmp_path / "log.csv", [good_row()]), clinic.slug)
    assert not Infusion.objects.exists()


def test_what_was_recorded_at_the_very_moment_of_writing_leaves_no_half_log(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "problems_with_records", lambda clinic, rows: [])
    file = write_log(tmp_path / "log.csv", [good_row()])
    import_log(file, clinic.slug)
    before = AuditEvent.objects.count()
    with pytest.raises(CommandError, match="somebody recorded the same meanwhile"):
        import_log(file, clinic.slug)
    assert (Infusion.objects.count(), AuditEvent.objects.count()) == (1, before)


def test_an_unknown_account_is_named_before_the_file_is_read(clinic: Clinic, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no account “nobody”"):
        import_log(write_log(tmp_path / "log.csv", [good_row(dose_g="0")]), clinic.slug, by="nobody")


def test_the_history_names_who_imported(clinic: Clinic, nurse: User, tmp_path: Path) -> None:
    import_log(write_log(tmp_path / "log.csv", [good_row()]), clinic.slug, by=nurse.username)
    assert AuditEvent.objects.get(act="log.imported").by == nurse
    later = good_row(started_at="2026-05-05T09:00", ended_at="2026-05-05T13:00")
    import_log(write_log(tmp_path / "log.csv", [later]), clinic.slug)
    service = AuditEvent.objects.filter(act="log.imported").latest("pk").by
    assert service is not None
    assert (service.username, service.is_active, service.has_usable_password()) == ("import", False, False)


def test_reading_says_how_far_it_is(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("reactions.exchange.log_rows.STRIDE", 2)
    rows = []
    for number in range(5):
        started = timedelta(days=number)
        day = f"{date(2026, 5, 4) + started}"
        rows.append(good_row(course=str(number), started_at=f"{day}T09:00", ended_at=f"{day}T13:00"))
    said: list[str] = []
    monkeypatch.setattr(command.Command, "_say", lambda self, words, **_: said.append(words))
    import_log(write_log(tmp_path / "log.csv", rows), clinic.slug)
    assert said == ["2 rows read", "4 rows read"]


def test_a_log_of_several_batches_lets_postgresql_count_its_rows(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "BATCH", 1)
    second = good_row(day="2", started_at="2026-05-05T09:00", ended_at="2026-05-05T13:00")
    with CaptureQueriesContext(connection) as queries:
        import_log(write_log(tmp_path / "log.csv", [good_row(), second]), clinic.slug)
    counted = [query["sql"] for query in queries if query["sql"].startswith("ANALYZE")]
    assert len(counted) == (connection.vendor == "postgresql")
