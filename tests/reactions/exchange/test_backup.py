"""A backup gives back everything, to nobody without the key, and tells when it is not whole."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from patients import trail
from patients.models import Clinic, User, write_event
from reactions.exchange import archive, backup
from reactions.exchange.archive import Damaged, Writer, read
from tests.support.celery_worker import url_of_test_database
from tests.support.factories import make_infusion, make_patient, make_reaction

ROOT = Path(__file__).resolve().parents[3]


def packed(*pieces: bytes) -> bytes:
    file = io.BytesIO()
    writer = Writer(file)
    for piece in pieces:
        writer.write(piece)
    writer.close()
    return file.getvalue()


def unpacked(data: bytes) -> bytes:
    return b"".join(read(io.BytesIO(data)))


@given(st.lists(st.binary(max_size=2_000), max_size=8))
def test_a_file_gives_back_what_was_written(pieces: list[bytes]) -> None:
    assert unpacked(packed(*pieces)) == b"".join(pieces)


def test_a_long_file_does_too_and_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "BLOCK", 1_000)
    text = b"".join(os.urandom(16) + b"Ottoline" for _ in range(2_000))
    data = packed(text[:7], text[7:])
    assert unpacked(data) == text
    assert b"Ottoline" not in data


def test_whatever_is_changed_or_cut_off_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "BLOCK", 100)
    data = packed(os.urandom(450))
    for place in range(len(data)):
        with pytest.raises(Damaged):
            unpacked(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    for length in range(0, len(data), 7):
        with pytest.raises(Damaged):
            unpacked(data[:length])
    with pytest.raises(Damaged):
        unpacked(data + b"x")


def test_blocks_keep_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "BLOCK", 100)
    data = packed(os.urandom(450))
    start, size = data.index(b"\n") + 1 + 16, 100 + 16 + 4
    first, second, rest = data[start : start + size], data[start + size : start + 2 * size], data[start + 2 * size :]
    for other in (second + first + rest, second + rest, first + first + second + rest):
        with pytest.raises(Damaged):
            unpacked(data[:start] + other)


def test_without_the_key_nobody_reads_it_and_with_an_older_one_one_does(settings: Settings) -> None:
    data, old = packed(b"text"), settings.FIELD_KEYS
    settings.FIELD_KEYS = ["else" * 11]
    with pytest.raises(Damaged, match="key"):
        unpacked(data)
    settings.FIELD_KEYS = ["else" * 11, *old]
    assert unpacked(data) == b"text"


@pytest.fixture
def filled(transactional_db: None, clinic: Clinic, nurse: User) -> None:
    """Records, a trail with two seals, and one event that waits for its seal."""
    for number in range(3):
        patient = make_patient(clinic, family_name=f"Ottoline {number}", created_by=nurse)
        make_reaction(make_infusion(patient, notes="A tab\t, a line\nand a \\ in it"), narrative="“Ottoline” 💉")
        write_event("patient.corrected", by=nurse, about=patient, patient_id=patient.pk, reason="Ottoline")
        if number < 2:
            trail.seal_events(now=timezone.now())


def run(command: str, url: str, folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    own = {"DATABASE_URL": url, "IVIGTRACK_VAR": str(folder), "DJANGO_SETTINGS_MODULE": "ivigtrack.settings"}
    return subprocess.run(
        [sys.executable, "manage.py", command, *arguments],
        cwd=ROOT,
        env=os.environ | own | changes,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def new_database(tmp_path: Path) -> Any:
    """The address of an empty database beside that of the tests."""
    if connection.vendor == "sqlite":
        yield f"sqlite:///{tmp_path / 'restored.sqlite3'}"
        return
    connection.ensure_connection()
    name, parameters = f"restored_{os.getpid()}", connection.get_connection_params() | {"dbname": "postgres"}
    for unwanted in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(unwanted, None)
    with psycopg.connect(**parameters, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield f"{url_of_test_database().rpartition('/')[0]}/{name}"
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def keys(settings: Settings) -> dict[str, str]:
    return {"IVIGTRACK_FIELD_KEYS": ",".join(settings.FIELD_KEYS)}


COUNTED = """
import json
from django.apps import apps
from patients.models import Patient, AuditEvent
from reactions.models import Infusion, Reaction
counts = {model._meta.label: model._base_manager.count() for model in apps.get_models()}
said = sorted(str((p.family_name, p.mrn, p.birth_date)) for p in Patient.objects.all())
said += sorted(i.notes for i in Infusion.objects.all()) + sorted(r.narrative for r in Reaction.objects.all())
said += sorted(e.reason for e in AuditEvent.objects.all())
patient = Patient.objects.first()
patient.pk = None
patient.mrn = "new"
patient.save()
print(json.dumps([counts, said, Patient.objects.matching("ottol", [patient.clinic]).count()]))
"""


@pytest.mark.usefixtures("filled")
def test_what_is_restored_is_what_was_backed_up(tmp_path: Path, new_database: str, keys: dict[str, str]) -> None:
    file = tmp_path / "clinic.backup"
    call_command("backup", str(file), stdout=(said := io.StringIO()))
    assert trail.verify().head in said.getvalue()
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"Ottoline" not in file.read_bytes()
    done = run("restore", new_database, tmp_path, str(file), **keys)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every table has its rows" in done.stdout
    here = run("shell", url_of_test_database(), tmp_path, "-v0", "-c", COUNTED, **keys)
    there = run("shell", new_database, tmp_path, "-v0", "-c", COUNTED, **keys)
    assert json.loads(there.stdout.splitlines()[-1]) == json.loads(here.stdout.splitlines()[-1]), there.stderr
    for command in ("verify_audit", "check_rates"):
        checked = run(command, new_database, tmp_path, *(["--repair"] if command == "check_rates" else []), **keys)
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.usefixtures("filled")
def test_a_backup_goes_into_no_database_that_is_in_use_and_over_no_other(tmp_path: Path) -> None:
    file = tmp_path / "clinic.backup"
    call_command("backup", str(file), stdout=io.StringIO())
    with pytest.raises(CommandError, match="not empty"):
        call_command("restore", str(file))
    with pytest.raises(CommandError, match="takes the place"):
        call_command("backup", str(file))
    with pytest.raises(CommandError, match="could not be written"):
        call_command("backup", str(tmp_path / "nowhere" / "clinic.backup"))


@pytest.mark.usefixtures("filled")
def test_a_damaged_backup_leaves_the_database_empty(tmp_path: Path, new_database: str, keys: dict[str, str]) -> None:
    file = tmp_path / "clinic.backup"
    call_command("backup", str(file), stdout=io.StringIO())
    whole = file.read_bytes()
    file.write_bytes(whole[:-40])
    done = run("restore", new_database, tmp_path, str(file), **keys)
    assert done.returncode
    assert "cut off or was changed" in done.stderr
    file.write_bytes(whole)
    assert run("restore", new_database, tmp_path, str(file), **keys).returncode == 0


@pytest.mark.usefixtures("filled")
def test_rows_that_are_missing_afterwards_are_named(
    tmp_path: Path, new_database: str, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest that says more than the rows: as if a table had not been written whole."""
    write = backup._write_manifest

    def one_more(writer: Writer, manifest: backup.Manifest) -> None:
        manifest.counts["reactions_infusion"] += 1
        write(writer, manifest)

    monkeypatch.setattr(backup, "_write_manifest", one_more)
    file = tmp_path / "clinic.backup"
    call_command("backup", str(file), stdout=io.StringIO())
    done = run("restore", new_database, tmp_path, str(file), **keys)
    assert done.returncode
    assert "reactions_infusion has 3 rows, not 4." in done.stdout


@pytest.mark.usefixtures("filled")
def test_a_later_version_and_another_kind_are_refused(
    tmp_path: Path, new_database: str, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = backup._write_manifest
    for change, said in (
        ({"migrations": [("reactions", "9999_of_the_future")]}, "later version: reactions.9999_of_the_future"),
        ({"vendor": "oracle"}, "The backup is of oracle"),
    ):
        monkeypatch.setattr(
            backup,
            "_write_manifest",
            lambda writer, manifest, change=change: write(writer, backup.Manifest(**{**vars(manifest), **change})),
        )
        file = tmp_path / f"{said[:9]}.backup"
        call_command("backup", str(file), stdout=io.StringIO())
        done = run("restore", new_database, tmp_path, str(file), **keys)
        assert done.returncode
        assert said in done.stderr
