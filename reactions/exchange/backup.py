"""The whole database as one encrypted file, and that file as a new database that was compared with what was backed up.

On SQLite the file holds a copy of the database file, on PostgreSQL the rows of every table as one snapshot shows them:
other people go on working meanwhile. Before them stands what there must be afterwards: how many rows each table has,
and the last seal of the audit trail.
"""

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from patients import trail
from reactions.exchange.archive import Damaged, Writer, read

PIECE = 1_048_576


class CannotRestore(ValueError):
    """The backup does not go into this database; nothing was changed, or nothing of it is in use."""


@dataclass
class Manifest:
    """What a backup holds: `counts` are rows by table, `migrations` (app, name) of all that had been applied."""

    vendor: str
    made_at: str
    migrations: list[tuple[str, str]]
    counts: dict[str, int]
    head: str
    columns: dict[str, list[str]] = field(default_factory=dict)


def back_up(path: Path) -> Manifest:
    """Write the backup to a file that only its owner reads. It has that name only once it is whole.

    Raises FileExistsError where there is one: no backup takes the place of another.
    """
    if path.exists():
        raise FileExistsError(path)
    part = path.with_name(f"{path.name}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        writer = Writer(file)
        manifest = _write_postgresql(writer) if connection.vendor == "postgresql" else _write_sqlite(writer)
        writer.close()
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    return manifest


def restore(path: Path) -> tuple[Manifest, list[str]]:
    """Fill the database, which has to be empty, from the backup. Returns what was backed up, and what is wrong now.

    Raises CannotRestore for a database that is not empty and for a backup of another kind or of a later version, and
    Damaged for a file that was changed or cut off: then the database is as empty as it was.
    """
    if connection.introspection.table_names():
        raise CannotRestore("The database is not empty. A backup goes into a new one.")
    with path.open("rb") as file:
        # Once to its end before anything is done with it.
        for _ in read(file):
            pass
        file.seek(0)
        stream = _Stream(read(file))
        said = json.loads(stream.line())
        manifest = Manifest(**said | {"migrations": [(app, name) for app, name in said["migrations"]]})
        if manifest.vendor != connection.vendor:
            raise CannotRestore(f"The backup is of {manifest.vendor}, the database of {connection.vendor}.")
        known = MigrationExecutor(connection).loader.disk_migrations
        if unknown := [f"{app}.{name}" for app, name in manifest.migrations if not _is_known(app, name, known)]:
            raise CannotRestore(f"The backup was made by a later version: {', '.join(unknown)}.")
        (_read_postgresql if connection.vendor == "postgresql" else _read_sqlite)(stream, manifest)
    found = _counts(manifest.counts)
    differ = [table for table, count in manifest.counts.items() if found[table] != count]
    wrong = [f"{table} has {found[table]} rows, not {manifest.counts[table]}." for table in differ]
    # What was backed up by an earlier version becomes one of this; triggers come on, and rates are made anew.
    call_command("migrate", verbosity=0)
    wrong += trail.verify(head="" if manifest.head == trail.START else manifest.head).faults
    return manifest, wrong


def _is_known(app: str, name: str, known: Iterable[tuple[str, str]]) -> bool:
    return (app, name) in known or app not in {label for label, _ in known}


def _manifest(tables: list[str]) -> Manifest:
    with connection.cursor() as cursor:
        cursor.execute("SELECT digest FROM patients_auditseal ORDER BY number DESC LIMIT 1")
        head = (cursor.fetchone() or [trail.START])[0]
    return Manifest(
        vendor=connection.vendor,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        migrations=sorted(MigrationRecorder(connection).applied_migrations()),
        counts=_counts(tables),
        head=head,
    )


def _counts(tables: Iterable[str]) -> dict[str, int]:
    found = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608 - names of ours
            found[table] = cursor.fetchone()[0]
    return found


class _Stream:
    """Pieces of any length, read by length or by line."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces, self.waiting = pieces, b""

    def line(self) -> bytes:
        while b"\n" not in self.waiting:
            self.waiting += self._next()
        line, self.waiting = self.waiting.split(b"\n", 1)
        return line

    def take(self, length: int) -> bytes:
        while len(self.waiting) < length:
            self.waiting += self._next()
        taken, self.waiting = self.waiting[:length], self.waiting[length:]
        return taken

    def rest(self) -> Iterator[bytes]:
        yield self.waiting
        yield from self.pieces

    def _next(self) -> bytes:
        try:
            return next(self.pieces)
        except StopIteration:
            raise Damaged("The backup ends too early.") from None


# SQLite: the file itself.


def _write_sqlite(writer: Writer) -> Manifest:
    with tempfile.TemporaryDirectory(prefix="ivigtrack-backup-", dir=_beside()) as folder:
        copy = Path(folder) / "copy.sqlite3"
        connection.ensure_connection()
        with closing(sqlite3.connect(copy)) as target:
            connection.connection.backup(target)
            # The copy is one file, without a log beside it.
            target.execute("PRAGMA journal_mode=DELETE")
            counts = {
                name: target.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - names of ours
                for (name,) in target.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
                ).fetchall()
            }
            last = target.execute("SELECT digest FROM patients_auditseal ORDER BY number DESC LIMIT 1").fetchone()
            migrations = target.execute("SELECT app, name FROM django_migrations ORDER BY app, name").fetchall()
        manifest = Manifest(
            vendor="sqlite",
            made_at=_now(),
            migrations=migrations,
            counts=counts,
            head=last[0] if last else trail.START,
        )
        _write_manifest(writer, manifest)
        with copy.open("rb") as file:
            while piece := file.read(PIECE):
                writer.write(piece)
    return manifest


def _read_sqlite(stream: _Stream, manifest: Manifest) -> None:
    connection.close()
    target = Path(str(connection.settings_dict["NAME"]))
    with tempfile.TemporaryDirectory(prefix="ivigtrack-restore-", dir=_beside()) as folder:
        copy = Path(folder) / "copy.sqlite3"
        with copy.open("wb") as file:
            file.writelines(stream.rest())
        copy.chmod(0o600)
        with closing(sqlite3.connect(copy)) as made:
            said = made.execute("PRAGMA integrity_check").fetchone()[0]
        if said != "ok":
            raise Damaged(f"The database in the backup is not sound: {said}")
        copy.replace(target)


def _beside() -> Path:
    """The folder of the database: its disk has room for it, and nobody else reads there."""
    return Path(str(connection.settings_dict["NAME"])).resolve().parent


# PostgreSQL: all rows of one snapshot, table by table, in pieces with their length before them.


def _write_postgresql(writer: Writer) -> Manifest:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        tables = sorted(connection.introspection.table_names(cursor))
        manifest = _manifest(tables)
        manifest.columns = {
            table: [column.name for column in connection.introspection.get_table_description(cursor, table)]
            for table in tables
        }
        _write_manifest(writer, manifest)
        for table in tables:
            with cursor.copy(f"COPY {_named(table, manifest)} TO STDOUT") as rows:
                for row in rows:
                    writer.write(len(row).to_bytes(4) + bytes(row))
            writer.write((0).to_bytes(4))
    return manifest


def _read_postgresql(stream: _Stream, manifest: Manifest) -> None:
    """All rows or none, into the tables of the version that was backed up."""
    executor, applied = MigrationExecutor(connection), set(manifest.migrations)
    nodes = executor.loader.graph.node_map
    executor.migrate([key for key in applied & nodes.keys() if applied.isdisjoint(c.key for c in nodes[key].children)])
    with transaction.atomic(), connection.cursor() as cursor:
        tables = ", ".join(map(connection.ops.quote_name, manifest.counts))
        cursor.execute(f"TRUNCATE {tables} CASCADE")
        for table in manifest.counts:
            with cursor.copy(f"COPY {_named(table, manifest)} FROM STDIN") as rows:
                while length := int.from_bytes(stream.take(4)):
                    rows.write(stream.take(length))
        for _ in stream.rest():
            pass
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), apps.get_models(include_auto_created=True)):
            cursor.execute(statement)


def _named(table: str, manifest: Manifest) -> str:
    quote: Any = connection.ops.quote_name
    return f"{quote(table)} ({', '.join(map(quote, manifest.columns[table]))})"


def _write_manifest(writer: Writer, manifest: Manifest) -> None:
    writer.write(json.dumps(asdict(manifest)).encode() + b"\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
