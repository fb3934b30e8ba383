"""Importing an infusion log: everything in it arrives, or nothing does and every fault is named."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from patients.models import AuditEvent, Clinic, IgaResult, Patient
from reactions import worklist
from reactions.exchange.log_rows import read_log
from reactions.models import CheckIn, Course, Infusion, Premedication, Product, Reaction, Symptom, Vial, WorkItem
from tests.support.logs import good_row, import_log, write_log

TABLES = [Patient, IgaResult, Course, Infusion, Vial, Premedication, Reaction, Symptom, AuditEvent, Product, Clinic]


def counts() -> list[int]:
    return [table.objects.count() for table in TABLES]


@pytest.fixture
def refusal(clinic: Clinic, tmp_path: Path) -> Callable[[bytes], str]:
    """Imports a file that must be refused; gives back what was said, after making sure that nothing was stored."""

    def refused(data: bytes) -> str:
        file = tmp_path / "log.csv"
        file.write_bytes(data)
        before = counts()
        with pytest.raises(CommandError) as error:
            import_log(file, clinic.slug)
        assert counts() == before
        return str(error.value)

    return refused


def as_bytes(tmp_path: Path, *rows: dict[str, str]) -> bytes:
    return write_log(tmp_path / "good.csv", rows or [good_row()]).read_bytes()


def test_a_row_becomes_its_records(clinic: Clinic, tmp_path: Path) -> None:
    said = import_log(write_log(tmp_path / "log.csv", [good_row()]), clinic.slug)
    assert "1 rows" in said
    patient = Patient.objects.get()
    assert (patient.mrn, patient.given_name, patient.family_name) == ("LOG-1", "Testa", "Synthetic")
    assert (patient.birth_date, patient.sex) == (date(1970, 1, 31), "female")
    assert (patient.diagnosis, patient.email) == ("Dermatomyositis", "testa@patients.example")
    iga = IgaResult.objects.get()
    assert (iga.value, iga.unit, iga.measured_on, iga.status) == (Decimal(82), "mg/dL", date(2026, 1, 10), "normal")
    infusion = Infusion.objects.get()
    assert (infusion.course.label, infusion.day, infusion.course.planned_days) == ("7", 1, 2)
    assert (infusion.product.name, infusion.setting) == ("Privigen", "clinic")
    # New York is four hours behind UTC in May.
    assert infusion.started_at == datetime(2026, 5, 4, 13, tzinfo=UTC)
    assert infusion.ended_at == datetime(2026, 5, 4, 17, tzinfo=UTC)
    assert (infusion.dose_g, infusion.weight_kg) == (Decimal(35), Decimal("70.5"))
    assert (infusion.premedication_record, infusion.reaction_record) == ("given", "observed")
    lots = infusion.vials.order_by("lot").values_list("lot", "expires_on", "grams")
    assert list(lots) == [("SYN-1", date(2028, 6, 30), Decimal(20)), ("SYN-2", date(2028, 7, 31), Decimal(15))]
    drug = infusion.premedications.get()
    assert (drug.drug, drug.dose, drug.route, drug.minutes_before) == ("acetaminophen", "650 mg", "PO", 30)
    reaction = infusion.reactions.get()
    assert reaction.onset_at == infusion.started_at + timedelta(minutes=40)
    assert (reaction.is_serious, reaction.outcome) == (False, "recovered")
    symptoms = reaction.symptoms.order_by("term").values_list("term", "grade", "onset_at")
    assert list(symptoms) == [
        ("chills", 2, infusion.started_at + timedelta(minutes=40)),
        ("urticaria", 1, infusion.started_at + timedelta(minutes=60)),
    ]


def test_a_log_makes_no_check_ins_and_no_consent(clinic: Clinic, tmp_path: Path) -> None:
    import_log(write_log(tmp_path / "log.csv", [good_row()]), clinic.slug)
    assert not CheckIn.objects.exists()
    assert Patient.objects.get().why_no_mail() == "The patient has not agreed to ordinary email."


def test_only_five_columns_are_needed(clinic: Clinic, tmp_path: Path) -> None:
    needed = {name: good_row()[name] for name in ("patient", "product", "dose_g", "started_at", "ended_at")}
    import_log(write_log(tmp_path / "log.csv", [needed]), clinic.slug)
    infusion = Infusion.objects.get()
    assert (infusion.premedication_record, infusion.reaction_record) == ("not_recorded", "not_recorded")


@pytest.mark.parametrize(
    ("change", "record", "rows"),
    [
        ({"premedication": "none"}, "none", 0),
        ({"premedication": ""}, "not_recorded", 0),
        ({"premedication": "acetaminophen; other (Homeopathic drops) 30 min"}, "given", 2),
    ],
)
def test_none_is_a_statement_and_a_blank_cell_is_silence(
    clinic: Clinic, tmp_path: Path, change: dict[str, str], record: str, rows: int
) -> None:
    import_log(write_log(tmp_path / "log.csv", [good_row(**change)]), clinic.slug)
    infusion = Infusion.objects.get()
    assert (infusion.premedication_record, infusion.premedications.count()) == (record, rows)


def test_episodes_stand_behind_a_bar(clinic: Clinic, tmp_path: Path) -> None:
    import_log(write_log(tmp_path / "log.csv", [good_row(reactions="chills:2@40|headache:2@1500")]), clinic.slug)
    assert [reaction.symptoms.get().term for reaction in Reaction.objects.order_by("onset_at")] == [
        "chills",
        "headache",
    ]


def test_marks_of_windows_and_blank_lines_do_no_harm(clinic: Clinic, tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    text = as_bytes(tmp_path).decode()
    file.write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n\r\n,,,,,,,,,,,,,,,,,,,,,,,\r\n")
    import_log(file, clinic.slug)
    assert Infusion.objects.count() == 1


def test_several_rows_of_a_patient_share_the_person_the_course_and_the_iga(clinic: Clinic, tmp_path: Path) -> None:
    second = good_row(day="2", started_at="2026-05-05T09:00", ended_at="2026-05-05T13:00")
    import_log(write_log(tmp_path / "log.csv", [second, good_row()]), clinic.slug)
    assert (Patient.objects.count(), Course.objects.count(), IgaResult.objects.count()) == (1, 1, 1)
    assert list(Infusion.objects.order_by("started_at").values_list("day", flat=True)) == [1, 2]


def test_the_import_stands_in_the_history_with_the_files_fingerprint(clinic: Clinic, tmp_path: Path) -> None:
    import_log(write_log(tmp_path / "log.csv", [good_row()]), clinic.slug)
    event = AuditEvent.objects.get(act="log.imported")
    assert event.changes["file"] == "log.csv"
    assert len(event.changes["sha256"]) == 64


def test_a_rehearsal_writes_nothing(clinic: Clinic, tmp_path: Path) -> None:
    before = counts()
    said = import_log(write_log(tmp_path / "log.csv", [good_row()]), clinic.slug, dry_run=True)
    assert "Would import" in said
    assert counts() == before


BAD_CELLS: list[tuple[dict[str, str], str, str]] = [
    ({"patient": ""}, "patient", "is empty"),
    ({"patient": "x" * 41}, "patient", "longer than 40"),
    ({"given_name": "n" * 10_000}, "given_name", "longer than 150"),
    ({"birth_date": "31.01.1970"}, "birth_date", "write it like 2026-04-30"),
    ({"birth_date": "1970-02-30"}, "birth_date", "not a date"),
    ({"sex": "robot"}, "sex", "write female, male, other or unknown"),
    ({"email": "not an address"}, "email", "not an email address"),
    ({"diagnosis": "d" * 10_000}, "diagnosis", "longer than 200"),
    ({"iga": "low"}, "iga", ""),
    ({"iga": "82 mg/spoon"}, "iga", ""),
    ({"iga": "-3 mg/dL"}, "iga", ""),
    ({"iga": "12345678901 mg/dL"}, "iga", "is not a possible IgA"),
    ({"iga": "1000000 mg/dL"}, "iga", "is not a possible IgA"),
    ({"iga": "82 mg/dL (70-99999999999)"}, "iga", "is not a possible IgA"),
    ({"iga": "82 mg/dL (1000000-)"}, "iga", "is not a possible IgA"),
    ({"iga": "82 mg/dL (70.00001-70.00002)"}, "iga", "too close together"),
    ({"iga": "0.00001 g/L"}, "iga", "too small"),
    ({"iga": "<0.00001 g/L"}, "iga", "too small"),
    ({"iga": "<0 mg/dL"}, "iga", "nothing is less than 0"),
    ({"anti_iga": "positive" * 1_000}, "anti_iga", "…” is not known"),
    ({"iga": ""}, "iga_date", "stands without iga"),
    ({"iga": "", "iga_date": "", "anti_iga": "positive"}, "anti_iga", "stands without iga"),
    ({"iga_date": "2999-01-01"}, "iga_date", "future"),
    ({"anti_iga": "maybe"}, "anti_iga", "is not known"),
    ({"day": "6"}, "day", "1 to 5"),
    ({"day": "0"}, "day", "1 to 5"),
    ({"day": "2.5"}, "day", "1 to 5"),
    ({"day": "00015"}, "day", "1 to 5"),
    ({"days": "two"}, "days", "1 to 5"),
    ({"day": "2", "days": "1"}, "day", ""),
    ({"setting": "moon"}, "setting", "is not known"),
    ({"product": ""}, "product", "is empty"),
    ({"product": "Hizentra"}, "product", "under the skin only"),
    ({"lots": "A:B:C:D"}, "lots", "write LOT:expiry:grams"),
    ({"lots": ":2028-01-01:10"}, "lots", "is not a lot"),
    ({"lots": "=1+1:2028-01-01:10"}, "lots", "is not a lot"),
    ({"lots": "x" * 21}, "lots", "longer than 20"),
    ({"lots": "A:2028-01-01:-1"}, "lots", "more than 0"),
    ({"lots": "A:2028-01-01:99999999"}, "lots", "not possible"),
    ({"lots": "A:2028-01-01:1e99"}, "lots", "not possible"),
    ({"lots": "A:2028-01-01:0.001"}, "lots", "too small"),
    ({"product": "—"}, "product", "not the name of a product"),
    ({"product": "x" * 101}, "product", "longer than 100"),
    ({"course": "x" * 61}, "course", "longer than 60"),
    ({"dose_g": ""}, "dose_g", "is empty"),
    ({"dose_g": "0"}, "dose_g", "more than 0 g"),
    ({"dose_g": "-5"}, "dose_g", "more than 0 g"),
    ({"dose_g": "0.0001"}, "dose_g", "too small"),
    ({"dose_g": "1e99"}, "dose_g", "not possible"),
    ({"dose_g": "NaN"}, "dose_g", "not a number"),
    ({"dose_g": "1_0"}, "dose_g", "not a number"),
    ({"dose_g": "35 g"}, "dose_g", "write it like 27.5"),
    ({"dose_g": "35,5"}, "dose_g", "write it like 27.5"),
    ({"weight_kg": "0"}, "weight_kg", "not possible"),
    ({"weight_kg": "9999"}, "weight_kg", "not possible"),
    ({"started_at": ""}, "started_at", "is empty"),
    ({"started_at": "2150-05-04T09:00"}, "started_at", "future"),
    ({"started_at": "2026-03-08T02:30"}, "started_at", "did not exist"),
    ({"started_at": "2025-11-02T01:30"}, "started_at", "happened twice"),
    ({"started_at": "04/05/2026 9am"}, "started_at", "not a date and time"),
    ({"birth_date": "2026-05-05"}, "birth_date", "after the infusion"),
    ({"birth_date": "1899-12-31"}, "birth_date", "lies before 1900"),
    ({"started_at": "1979-12-31T09:00", "ended_at": "1979-12-31T12:00"}, "started_at", "lies before 1980"),
    ({"started_at": "1979-12-31T09:00"}, "started_at", "lies before 1980"),
    ({"started_at": "0001-01-01T00:00+14:00"}, "started_at", "outside the years"),
    ({"started_at": "2026-05-04"}, "started_at", "is a day without a time; write it like 2026-05-04T09:00"),
    ({"iga_date": "1949-12-31", "birth_date": ""}, "iga_date", "lies before 1950"),
    ({"iga_date": "1970-01-30"}, "iga_date", "lies before the birth date 1970-01-31"),
    ({"ended_at": "2026-05-04T09:00"}, "ended_at", "after"),
    ({"ended_at": "2026-05-04T08:00"}, "ended_at", "after"),
    ({"premedication": "acetominophen 650"}, "premedication", "did you mean acetaminophen"),
    ({"premedication": "acetaminophen 650 mg PO -10"}, "premedication", "after the start"),
    ({"premedication": "acetaminophen;;"}, "premedication", "empty part"),
    ({"premedication": "acetaminophen 30 min; acetaminophen 30 min"}, "premedication", "twice"),
    ({"reactions": "chils:2@40"}, "reactions", "did you mean"),
    ({"reactions": "chills:4@40"}, "reactions", "grade"),
    ({"reactions": "chills:2,5@40"}, "reactions", "1 to 5"),
    ({"reactions": "chills:2@-5"}, "reactions", "minutes from the start"),
    ({"reactions": "chills:2@999999"}, "reactions", "more than a year"),
    ({"reactions": "chills:2@99999999999999999999"}, "reactions", "more than a year"),
    ({"reactions": f"other ({'x' * 201}):1@30"}, "reactions", "longer than 200"),
    ({"reactions": "rash:1@30"}, "reactions", "write Rash maculo-papular, Urticaria or other (rash)"),
    ({"premedication": "cetirizine 10"}, "premedication", "is 10 the dose"),
    ({"reactions": "chills:2@noon"}, "reactions", "minutes from the start"),
    ({"reactions": "chills:2@10;chills:1@20"}, "reactions", "twice"),
    ({"reactions": "none", "serious": "yes"}, "serious", "without a reaction"),
    ({"serious": "perhaps"}, "serious", "yes or no"),
    ({"outcome": "fine"}, "outcome", "is not known"),
]


@pytest.mark.parametrize(("change", "column", "said"), BAD_CELLS)
def test_a_bad_cell_is_named_with_its_line_and_column(
    refusal: Callable[[bytes], str], tmp_path: Path, change: dict[str, str], column: str, said: str
) -> None:
    other = good_row(patient="LOG-2", email="other@patients.example")
    message = refusal(as_bytes(tmp_path, other, good_row(**change)))
    assert f"line 3, {column}: " in message
    assert said in message


def test_every_fault_is_named_at_once(refusal: Callable[[bytes], str], tmp_path: Path) -> None:
    message = refusal(as_bytes(tmp_path, good_row(dose_g="0", sex="x"), good_row(patient="LOG-2", day="9")))
    assert "3 problems" in message
    for place in ("line 2, dose_g", "line 2, sex", "line 3, day"):
        assert place in message


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda text: b"", "the file is empty"),
        (lambda text: text.replace("dose_g", "dosis").encode(), "unknown column “dosis”"),
        (lambda text: text.replace("dose_g", "dosis").encode(), "the column dose_g is missing"),
        (lambda text: text.replace("weight_kg", "dose_g").encode(), "the column dose_g stands twice"),
        (lambda text: text.replace(",", ";").encode(), "separate them by commas"),
        (lambda text: text.replace("Testa", "Jürgen").encode("latin-1"), "line 2: byte 0xfc is not UTF-8"),
        (lambda text: text.encode("utf-16"), "is this a CSV file in UTF-8?"),
        (lambda text: text.replace("Testa", "Te\0sta").encode(), "line 2: holds a NUL byte"),
        (lambda text: text.encode() + b"LOG-9,too,few\n", "line 3: has 3 cells where the first line has 24"),
        (lambda text: text.encode() + b'"never closed,' + b"x" * 50, "cannot be read from here on"),
        (lambda text: text.encode() + text.splitlines()[1].encode() + b"\n", "line 3, started_at: repeats line 2"),
    ],
)
def test_a_bad_file_is_refused_whole(
    refusal: Callable[[bytes], str], tmp_path: Path, make: Callable[[str], bytes], said: str
) -> None:
    assert said in refusal(make(as_bytes(tmp_path).decode()))


@pytest.mark.parametrize("column", ["given_name", "family_name", "birth_date", "sex"])
def test_a_patient_cannot_be_two_people(refusal: Callable[[bytes], str], tmp_path: Path, column: str) -> None:
    change = {"birth_date": "1971-01-31", "sex": "male"}.get(column, "Somebody")
    second = good_row(day="2", started_at="2026-05-05T09:00", ended_at="2026-05-05T13:00", **{column: change})
    assert f"line 3, {column}: " in refusal(as_bytes(tmp_path, good_row(), second))


def test_the_same_file_again_is_refused_and_nothing_doubles(
    clinic: Clinic, refusal: Callable[[bytes], str], tmp_path: Path
) -> None:
    data = as_bytes(tmp_path)
    import_log(tmp_path / "good.csv", clinic.slug)
    assert "line 2, started_at: an infusion of this patient with this start is recorded already" in refusal(data)


def test_a_log_must_not_contradict_a_registered_patient(
    clinic: Clinic, patient: Patient, refusal: Callable[[bytes], str], tmp_path: Path
) -> None:
    assert "as patient" in refusal(as_bytes(tmp_path, good_row(patient=patient.mrn)))


@pytest.mark.parametrize(
    ("slug", "options", "said"),
    [
        ("nowhere", {}, "There is no clinic “nowhere”. Add --create-clinic"),
        ("Not A Slug!", {"create_clinic": True}, "Write it like not-a-slug"),
        ("new", {"create_clinic": True, "time_zone": "Mars/Base"}, "Mars/Base"),
    ],
)
def test_a_clinic_that_is_not_there(db: None, tmp_path: Path, slug: str, options: dict[str, Any], said: str) -> None:
    before = counts()
    with pytest.raises(CommandError) as error:
        import_log(write_log(tmp_path / "log.csv", [good_row()]), slug, **options)
    assert said in str(error.value)
    assert counts() == before


def test_a_file_that_is_not_there(clinic: Clinic, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        import_log(tmp_path / "missing.csv", clinic.slug)


def test_an_unknown_product_is_taken_with_a_warning(clinic: Clinic, tmp_path: Path) -> None:
    said = import_log(write_log(tmp_path / "log.csv", [good_row(product="Privigenn")]), clinic.slug)
    assert "Warning: New product “Privigenn”" in said
    assert Infusion.objects.get().product.name == "Privigenn"


def test_queries_grow_with_batches_not_with_rows(clinic: Clinic, tmp_path: Path) -> None:
    def queries_of(number: int, name: str) -> int:
        rows = [good_row(patient=f"{name}-{row}", email="") for row in range(number)]
        file = write_log(tmp_path / f"{name}.csv", rows)
        with CaptureQueriesContext(connection) as queries:
            import_log(file, clinic.slug)
        return len(queries)

    few, many = queries_of(100, "few"), queries_of(1_000, "many")
    # SQLite takes 999 values in a statement, so that a batch of rows becomes several statements there.
    assert many - few < (900 / 5 if connection.vendor == "sqlite" else 20)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"iga": "1501 mg/dL"}, "An IgA above 15 g/L; was it written in another unit?"),
        ({"iga": "82 g/L"}, "An IgA above 15 g/L; was it written in another unit?"),
        ({"reactions": "chills:2@86401"}, "A reaction that began more than 60 days after the start"),
        ({"premedication": "Wonder drops 2 mg"}, "“Wonder drops” is no drug known here; recorded under this name"),
    ],
)
def test_what_is_hard_to_believe_is_taken_with_a_warning(
    clinic: Clinic, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    printed = import_log(write_log(tmp_path / "log.csv", [good_row(**change)]), clinic.slug)
    assert f"Warning: {said}" in printed
    assert "(1 row, first line 2)" in printed
    assert Infusion.objects.count() == 1


def test_a_reaction_in_the_future_is_taken_with_a_warning(clinic: Clinic, tmp_path: Path) -> None:
    started = timezone.now() - timedelta(hours=5)
    row = good_row(started_at=started.isoformat(), ended_at=(started + timedelta(hours=4)).isoformat())
    row |= {"reactions": "chills:2@3000"}
    assert "A reaction that begins in the future" in import_log(write_log(tmp_path / "log.csv", [row]), clinic.slug)


def test_a_sample_after_the_infusion_is_nothing_special(clinic: Clinic, tmp_path: Path) -> None:
    said = import_log(write_log(tmp_path / "log.csv", [good_row(iga_date="2026-06-01")]), clinic.slug)
    assert "Warning" not in said


@pytest.mark.parametrize("column", ["email", "diagnosis"])
def test_a_detail_that_differs_between_rows_is_taken_from_the_first(
    clinic: Clinic, tmp_path: Path, column: str
) -> None:
    second = good_row(day="2", started_at="2026-05-03T09:00", ended_at="2026-05-03T13:00")
    second |= {column: "other@patients.example"}
    said = import_log(write_log(tmp_path / "log.csv", [good_row(), second]), clinic.slug)
    assert f"Warning: Another {column} than in an earlier row of the same patient" in said
    assert getattr(Patient.objects.get(), column) == good_row()[column]


def test_the_person_is_known_from_whichever_row_names_them(clinic: Clinic, tmp_path: Path) -> None:
    unnamed = good_row(day="2", started_at="2026-05-03T09:00", ended_at="2026-05-03T13:00")
    unnamed |= dict.fromkeys(("given_name", "family_name", "birth_date", "sex", "email", "diagnosis"), "")
    import_log(write_log(tmp_path / "log.csv", [good_row(), unnamed]), clinic.slug)
    patient = Patient.objects.get()
    assert (patient.given_name, patient.birth_date, patient.sex) == ("Testa", date(1970, 1, 31), "female")
    assert patient.email == good_row()["email"]


@pytest.mark.parametrize("birth_date", ["2026-05-04", "2026-05-05"])
def test_days_are_those_of_the_clinic(clinic: Clinic, tmp_path: Path, birth_date: str) -> None:
    """Late in the evening of 4 May in New York it is 5 May in UTC: nobody born that day was treated the day before."""
    row = good_row(started_at="2026-05-04T22:00", ended_at="2026-05-04T23:30", birth_date=birth_date, iga_date="")
    file = write_log(tmp_path / "log.csv", [row])
    if birth_date == "2026-05-04":
        import_log(file, clinic.slug)
        return
    with pytest.raises(CommandError, match="birth_date: 2026-05-05 lies after the infusion"):
        import_log(file, clinic.slug)


def test_a_sample_of_today_is_not_in_the_future_east_of_utc() -> None:
    """At 23:00 UTC it is tomorrow in Auckland already."""
    now, zone = datetime(2026, 6, 1, 23, tzinfo=UTC), ZoneInfo("Pacific/Auckland")
    text = "patient,product,dose_g,started_at,ended_at,iga,iga_date\n"
    text += "A,Privigen,30,2026-06-01T09:00,2026-06-01T12:00,82 mg/dL,{}\n"
    for day, problems in (("2026-06-02", 0), ("2026-06-03", 1)):
        log = read_log(text.format(day).encode(), zone=zone, ctcae_version="5.0", now=now)
        assert len(log.problems) == problems


def test_serious_reactions_of_a_log_come_to_the_worklist_when_asked(clinic: Clinic, tmp_path: Path) -> None:
    rows = [good_row(serious="yes"), good_row(patient="LOG-2", serious="no")]
    said = import_log(write_log(tmp_path / "one.csv", rows), clinic.slug)
    assert "Serious reactions: 1, not on the worklist: a log is history." in said
    assert not WorkItem.objects.exists()
    again = [good_row(patient="LOG-3", serious="yes"), good_row(patient="LOG-4", serious="no")]
    file = write_log(tmp_path / "two.csv", again)
    import_log(file, clinic.slug, follow_serious=True, dry_run=True)
    assert not WorkItem.objects.exists()
    assert "Serious reactions: 1, on the worklist." in import_log(file, clinic.slug, follow_serious=True)
    item = WorkItem.objects.get()
    assert (item.clinic, item.reaction.patient.mrn, item.mails.count()) == (clinic, "LOG-3", 0)
    # It is an item like any other: a signature alone does not close it.
    assert "the cause" in worklist.missing(item.reaction)
