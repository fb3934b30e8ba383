"""Triggers by which the database itself keeps the audit trail: events and seals are added, never changed or deleted.

The one thing that may change is that an event comes under its seal. Whoever may take triggers off a table gets past
them; `manage.py verify_audit` says that they are gone, and finds what was done meanwhile.
"""

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from patients.models import AuditEvent, AuditSeal

EVENTS, SEALS = AuditEvent._meta.db_table, AuditSeal._meta.db_table
PREFIX = "trail_keeps_"
REFUSED = "The audit trail is append-only."


def put_on(using: str) -> None:
    """Have the triggers, whether they are there or not."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        take_off(using)
        if connections[using].vendor == "postgresql":
            cursor.execute(_FUNCTION)
        for statement in _triggers(connections[using]).values():
            cursor.execute(statement)


def take_off(using: str) -> None:
    """Before a migration, which may build the tables anew."""
    connection = connections[using]
    with connection.cursor() as cursor:
        for name, table in _there(connection, also_off=True):
            cursor.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if connection.vendor == "postgresql" else ""))


def are_on(using: str) -> bool:
    """Whether all of the triggers are there."""
    return {name for name, _ in _there(connections[using])} == _triggers(connections[using]).keys()


def _there(connection: BaseDatabaseWrapper, *, also_off: bool = False) -> list[tuple[str, str]]:
    """(name, table) of each trigger of ours that is on, or also of those that somebody switched off."""
    asked, given = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'", []
    if connection.vendor == "postgresql":
        asked = (
            "SELECT t.tgname, c.relname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid"
            " WHERE pg_table_is_visible(c.oid) AND (%s OR t.tgenabled <> 'D')"
        )
        given = [also_off]
    with connection.cursor() as cursor:
        cursor.execute(asked, given)
        return [(name, table) for name, table in cursor.fetchall() if name.startswith(PREFIX)]


def _triggers(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """The statement that makes each trigger, by its name."""
    found = {}
    for table in (EVENTS, SEALS):
        for event, statement in (_on_postgresql if connection.vendor == "postgresql" else _on_sqlite)(table).items():
            name = f"{PREFIX}{table}_{event}"
            found[name] = statement.format(name=name, table=table)
    return found


def _changes_more_than_the_seal(table: str) -> str:
    """The condition under which a change is refused."""
    if table == SEALS:
        return "1 = 1"
    kept = [field.column for field in AuditEvent._meta.concrete_fields if field.name != "seal"]
    changes = " OR ".join(f'OLD."{column}" {{differs}} NEW."{column}"' for column in kept)
    return f"OLD.seal_id IS NOT NULL OR NEW.seal_id IS NULL OR {changes}"


_FUNCTION = f"""
CREATE OR REPLACE FUNCTION {PREFIX}refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{REFUSED}' USING ERRCODE = 'integrity_constraint_violation'; END $$
"""


def _on_postgresql(table: str) -> dict[str, str]:
    when = _changes_more_than_the_seal(table).format(differs="IS DISTINCT FROM")
    refuse = f"EXECUTE FUNCTION {PREFIX}refuse()"
    return {
        "update": f"CREATE TRIGGER {{name}} BEFORE UPDATE ON {{table}} FOR EACH ROW WHEN ({when}) {refuse}",
        "delete": f"CREATE TRIGGER {{name}} BEFORE DELETE ON {{table}} FOR EACH ROW {refuse}",
        "truncate": f"CREATE TRIGGER {{name}} BEFORE TRUNCATE ON {{table}} {refuse}",
    }


def _on_sqlite(table: str) -> dict[str, str]:
    when = _changes_more_than_the_seal(table).format(differs="IS NOT")
    refuse = f"BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
    there = "EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)"
    return {
        "update": f"CREATE TRIGGER {{name}} BEFORE UPDATE ON {{table}} WHEN {when} {refuse}",
        "delete": f"CREATE TRIGGER {{name}} BEFORE DELETE ON {{table}} {refuse}",
        # INSERT OR REPLACE deletes what is there without asking the trigger above.
        "replace": f"CREATE TRIGGER {{name}} BEFORE INSERT ON {{table}} WHEN {there} {refuse}",
    }
