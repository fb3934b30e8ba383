"""Triggers of the database that mark a patient as stale whenever a row changes from which kept rates follow.

They see every way of writing: verbs, imports, the admin, a console, `bulk_create` and SQL by hand. On SQLite one mark
a patient is enough, since writers take turns. On PostgreSQL every statement leaves a mark for each patient it touches,
also where there is one: what another transaction is about to delete must not stand for it.

A trigger's name carries a digest of what it does, so a list of names tells whether the right ones are there. They have
to be taken off before tables change: SQLite does not rename a table that triggers speak of, and drops those on it.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

PREFIX = "rates_stale_"
MARKS = "reactions_stalerates"
# Of the lock on PostgreSQL under which columns are written; any number that nothing else here uses.
LOCK = 1_703_217
_HOLD = f"PERFORM pg_advisory_xact_lock({LOCK});"
# Plans are kept for a connection, whether one row was written first or a hundred thousand: one that looks up each row
# by its key serves both.
_SETTINGS = "SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off"

OF_INFUSION = "SELECT i.patient_id FROM {rows} AS r JOIN reactions_infusion AS i ON i.id = r.infusion_id"
OF_CHECKIN = (
    "SELECT i.patient_id FROM {rows} AS r JOIN reactions_checkin AS c ON c.id = r.checkin_id"
    " JOIN reactions_infusion AS i ON i.course_id = c.course_id"
)
OF_COURSE = "SELECT i.patient_id FROM {rows} AS r JOIN reactions_infusion AS i ON i.course_id = r.course_id"


@dataclass(frozen=True)
class Watched:
    """A table, the columns that matter, and which patients a row of it is about: SELECTs from `rows` AS r."""

    table: str
    columns: tuple[str, ...]
    patients: tuple[str, ...]
    events: tuple[str, ...] = ("INSERT", "UPDATE", "DELETE")
    # A row is about patients who have no row of theirs in the same transaction: others may record infusions of theirs
    # meanwhile, which this transaction cannot see. Until it ends nobody works out what is kept.
    holds_others: bool = False


# Every column that `strata` reads for what is kept. A new one there belongs here.
WATCHED = (
    Watched(
        "reactions_infusion",
        (
            "patient_id",
            "course_id",
            "product_id",
            "setting",
            "weight_kg",
            "started_at",
            "ended_at",
            "premedication_record",
            "reaction_record",
            "voided_at",
        ),
        (
            "SELECT r.patient_id FROM {rows} AS r",
            # A check-in counts for all infusions of its course, unless the one it was sent about is void.
            "SELECT i.patient_id FROM {rows} AS r JOIN reactions_checkin AS c ON c.infusion_id = r.id"
            " JOIN reactions_infusion AS i ON i.course_id = c.course_id",
        ),
    ),
    Watched("reactions_premedication", ("infusion_id", "drug"), (OF_INFUSION,)),
    Watched("reactions_ratestep", ("infusion_id", "rate_ml_per_h", "voided_at"), (OF_INFUSION,)),
    Watched("reactions_reaction", ("infusion_id", "onset_at", "voided_at"), (OF_INFUSION,)),
    Watched(
        "reactions_symptom",
        ("reaction_id", "onset_at"),
        (
            "SELECT i.patient_id FROM {rows} AS r JOIN reactions_reaction AS e ON e.id = r.reaction_id"
            " JOIN reactions_infusion AS i ON i.id = e.infusion_id",
        ),
    ),
    Watched("reactions_checkin", ("course_id", "infusion_id", "kind", "sent_at"), (OF_COURSE,)),
    Watched(
        "reactions_answer",
        ("checkin_id", "has_problem"),
        (OF_CHECKIN,),
    ),
    Watched("reactions_reviewdecision", ("checkin_id",), (OF_CHECKIN,)),
    Watched(
        "patients_igaresult",
        ("patient_id", "in_force_from", "status", "voided_at"),
        ("SELECT r.patient_id FROM {rows} AS r",),
    ),
    Watched(
        "patients_patient",
        ("clinic_id", "sex", "diagnosis", "voided_at"),
        ("SELECT r.id AS patient_id FROM {rows} AS r",),
        ("UPDATE",),
    ),
    Watched(
        "patients_clinic",
        ("time_zone",),
        ("SELECT p.id AS patient_id FROM {rows} AS r JOIN patients_patient AS p ON p.clinic_id = r.id",),
        ("UPDATE",),
        holds_others=True,
    ),
    Watched(
        "reactions_product",
        ("name",),
        ("SELECT i.patient_id FROM {rows} AS r JOIN reactions_infusion AS i ON i.product_id = r.id",),
        ("UPDATE",),
        holds_others=True,
    ),
)


def can_be_installed(connection: Any) -> bool:
    """Every table and column that they speak of is there, which is not so in the middle of migrations."""
    tables = {watched.table: {"id", *watched.columns} for watched in WATCHED}
    tables |= {MARKS: {"patient_id"}, "reactions_rateskept": {"fingerprint"}, "reactions_ratecolumns": {"month"}}
    with connection.cursor() as cursor:
        there = set(connection.introspection.table_names(cursor))
        return tables.keys() <= there and all(
            columns <= {column.name for column in connection.introspection.get_table_description(cursor, table)}
            for table, columns in tables.items()
        )


def wanted(connection: Any) -> set[str]:
    """The names of the right triggers."""
    return set(_wanted(connection.vendor))


def there(connection: Any, *, also_off: bool = False) -> set[str]:
    """The names of the triggers that work, of this and other versions; `also_off` also those that are switched off."""
    return {name for name, (_, works) in _there(connection).items() if works or also_off}


def are_there(connection: Any) -> bool:
    """The database has exactly the right triggers, and they work."""
    return there(connection) == wanted(connection)


def put_on(connection: Any, name: str) -> None:
    """Put on one of the right triggers. Its table is locked until the transaction ends."""
    with connection.cursor() as cursor:
        for statement in _wanted(connection.vendor)[name]:
            cursor.execute(statement)


def take_off(connection: Any, name: str) -> None:
    """Take off one that is there. Its table is locked until the transaction ends."""
    drop, _ = _there(connection)[name]
    with connection.cursor() as cursor:
        cursor.execute(drop)


def _there(connection: Any) -> dict[str, tuple[str, bool]]:
    """{a trigger's name: the statement that takes it off, whether it works}"""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # In whatever schema the tables are, and with each the function that it calls, in whatever schema that is.
            cursor.execute(
                "SELECT t.tgname, 'DROP FUNCTION ' || t.tgfoid::regprocedure || ' CASCADE', t.tgenabled IN ('O', 'A')"
                " FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid WHERE starts_with(t.tgname, %s)"
                " AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(%s))",
                [PREFIX, MARKS],
            )
        else:
            cursor.execute(
                "SELECT name, 'DROP TRIGGER ' || name, 1 FROM sqlite_master WHERE type = 'trigger' AND name GLOB %s",
                [f"{PREFIX}*"],
            )
        return {name: (drop, bool(works)) for name, drop, works in cursor.fetchall()}


def _wanted(vendor: str) -> dict[str, list[str]]:
    """{a trigger's name: the statements that make it}."""
    make = _on_postgresql if vendor == "postgresql" else _on_sqlite
    made = dict(make(watched, event) for watched in WATCHED for event in watched.events)
    return made | (dict(_on_truncation(watched.table) for watched in WATCHED) if vendor == "postgresql" else {})


def _name(table: str, event: str, does: str) -> str:
    digest = hashlib.sha256(does.encode()).hexdigest()[:8]
    return f"{PREFIX}{digest}_{table}_{event.lower()}"


def _on_sqlite(watched: Watched, event: str) -> tuple[str, list[str]]:
    columns = ("id", *watched.columns)
    rows = [
        "(SELECT " + ", ".join(f"{side}.{column} AS {column}" for column in columns) + ")"
        for side, there in (("OLD", event != "INSERT"), ("NEW", event != "DELETE"))
        if there
    ]
    when = ""
    if event == "UPDATE":
        when = "WHEN " + " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in columns)
    unless_there = f"WHERE NOT EXISTS (SELECT 1 FROM {MARKS} AS s WHERE s.patient_id = t.patient_id)"  # noqa: S608
    does = f"AFTER {event} ON {watched.table} FOR EACH ROW {when} BEGIN {_mark(watched, rows)} {unless_there}; END"
    name = _name(watched.table, event, does)
    return name, [f"CREATE TRIGGER {name} {does}"]


def _on_postgresql(watched: Watched, event: str) -> tuple[str, list[str]]:
    columns = ", ".join(("id", *watched.columns))
    old, new = f"SELECT {columns} FROM old_rows", f"SELECT {columns} FROM new_rows"  # noqa: S608
    rows, named = {
        "INSERT": ("new_rows", "NEW TABLE AS new_rows"),
        "DELETE": ("old_rows", "OLD TABLE AS old_rows"),
        # What was changed, as it was and as it is.
        "UPDATE": (
            f"(({old} EXCEPT {new}) UNION ALL ({new} EXCEPT {old}))",
            "OLD TABLE AS old_rows NEW TABLE AS new_rows",
        ),
    }[event]
    hold = f"IF EXISTS (SELECT FROM {rows} AS r) THEN {_HOLD} END IF; " if watched.holds_others else ""
    body = f"BEGIN {hold}{_mark(watched, [rows])}; RETURN NULL; END"
    name = _name(watched.table, event, body + _SETTINGS)
    return name, [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql {_SETTINGS} AS $rates$ {body} $rates$",
        f"CREATE TRIGGER {name} AFTER {event} ON {watched.table} REFERENCING {named}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
    ]


def _on_truncation(table: str) -> tuple[str, list[str]]:
    """Whoever empties a table leaves no row to tell whose it was: nothing that is kept is read any more."""
    body = (
        f"BEGIN {_HOLD} UPDATE reactions_rateskept SET fingerprint = '';"  # noqa: S608 - names of ours
        " DELETE FROM reactions_ratecolumns; RETURN NULL; END"
    )
    name = _name(table, "TRUNCATE", body + _SETTINGS)
    return name, [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql {_SETTINGS} AS $rates$ {body} $rates$",
        f"CREATE TRIGGER {name} AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
    ]


def _mark(watched: Watched, rows: list[str]) -> str:
    patients = " UNION ".join(select.format(rows=one) for one in rows for select in watched.patients)
    return f"INSERT INTO {MARKS} (patient_id) SELECT DISTINCT t.patient_id FROM ({patients}) AS t"  # noqa: S608
