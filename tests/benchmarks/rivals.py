"""The same cluster-robust answer without the product: one plain statement on the tables, and DuckDB on a copy of them.

The statement is what somebody writes who knows the tables: joins by hash and a GROUP BY to one cell a patient and
stratum, of which the sums are taken. DuckDB gets each infusion's day on the clinic's clocks ready-made.
"""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from django.db import connection, models

from patients.models import Clinic, IgaResult, Patient
from reactions.models import Infusion, Premedication, Reaction, Symptom
from reactions.rates.strata import ANTIPYRETICS_AND_ANTIHISTAMINES, CORTICOSTEROIDS

# (IgA status, premedication): patients, Σx, Σn, Σx², Σxn, Σn² of x reactions after n infusions; None, None for all.
Sums = dict[tuple[object, ...], tuple[int, ...]]

STATEMENT = """
WITH status AS (
    SELECT patient_id, status, in_force_from,
           LEAD(in_force_from) OVER (PARTITION BY patient_id ORDER BY in_force_from, id) AS until
    FROM patients_igaresult WHERE voided_at IS NULL
), drugs AS (
    SELECT infusion_id, MAX(CASE WHEN drug IN ({steroids}) THEN 2 WHEN drug IN ({usual}) THEN 1 ELSE 0 END) AS strongest
    FROM reactions_premedication GROUP BY infusion_id
), reacted AS (
    SELECT DISTINCT i.id
    FROM reactions_symptom s
    JOIN reactions_reaction r ON r.id = s.reaction_id
    JOIN reactions_infusion i ON i.id = r.infusion_id
    WHERE r.voided_at IS NULL
      AND (COALESCE(s.onset_at, r.onset_at) IS NULL
           OR COALESCE(s.onset_at, r.onset_at) >= i.started_at AND {in_time})
), cells AS (
    SELECT i.patient_id, COALESCE(status.status, 'not_tested') AS iga,
           CASE WHEN i.premedication_record IN ('none', 'not_recorded') THEN i.premedication_record
                WHEN drugs.strongest = 2 THEN 'corticosteroid'
                WHEN drugs.strongest = 1 THEN 'antipyretic_antihistamine'
                ELSE 'other' END AS premedication,
           COUNT(*) AS n, COUNT(reacted.id) AS x
    FROM reactions_infusion i
    JOIN patients_patient p ON p.id = i.patient_id
    LEFT JOIN drugs ON drugs.infusion_id = i.id
    LEFT JOIN reacted ON reacted.id = i.id
    LEFT JOIN status ON status.patient_id = i.patient_id AND status.in_force_from <= {day}
                    AND (status.until IS NULL OR status.until > {day})
    WHERE i.voided_at IS NULL AND p.voided_at IS NULL AND p.clinic_id = {clinic} AND i.started_at >= '{since}'
    GROUP BY 1, 2, 3
), patients AS (
    SELECT patient_id, SUM(n) AS n, SUM(x) AS x FROM cells GROUP BY patient_id
)
SELECT iga, premedication, COUNT(*), SUM(x), SUM(n), SUM(x * x), SUM(x * n), SUM(n * n)
FROM cells GROUP BY iga, premedication
UNION ALL
SELECT NULL, NULL, COUNT(*), SUM(x), SUM(n), SUM(x * x), SUM(x * n), SUM(n * n) FROM patients
"""
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
BEGAN = "COALESCE(s.onset_at, r.onset_at)"
IN_TIME = {
    "postgresql": f"{BEGAN} <= COALESCE(i.ended_at, i.started_at + INTERVAL '24 hours') + INTERVAL '72 hours'",
    "sqlite": f"CAST(strftime('%s', {BEGAN}) AS INTEGER) <= COALESCE(CAST(strftime('%s', i.ended_at) AS INTEGER),"
    " CAST(strftime('%s', i.started_at) AS INTEGER) + 86400) + 259200",
    "duckdb": f"{BEGAN} <= COALESCE(i.ended_at, i.started_at + INTERVAL 24 HOUR) + INTERVAL 72 HOUR",
}
DAY = {
    "postgresql": "(i.started_at AT TIME ZONE '{zone}')::date",
    # Django's own function, which the product uses too.
    "sqlite": "django_datetime_cast_date(i.started_at, 'UTC', '{zone}')",
    "duckdb": "i.local_day",
}
COPIED: dict[type[models.Model], tuple[str, ...]] = {
    Patient: ("id", "clinic_id", "voided_at"),
    IgaResult: ("id", "patient_id", "status", "in_force_from", "voided_at"),
    Infusion: ("id", "patient_id", "premedication_record", "started_at", "ended_at", "voided_at"),
    Premedication: ("infusion_id", "drug"),
    Reaction: ("id", "infusion_id", "onset_at", "voided_at"),
    Symptom: ("reaction_id", "onset_at"),
}


def statement(dialect: str, clinic: Clinic, since: datetime | None) -> str:
    return STATEMENT.format(
        steroids=_listed(CORTICOSTEROIDS),
        usual=_listed(ANTIPYRETICS_AND_ANTIHISTAMINES),
        in_time=IN_TIME[dialect],
        day=DAY[dialect].format(zone=clinic.time_zone),
        clinic=clinic.pk,
        since=f"{(since or EARLIEST).astimezone(UTC):%Y-%m-%d %H:%M:%S}" + ("+00" if dialect == "postgresql" else ""),
    )


def plain_sql(clinic: Clinic, since: datetime | None) -> Sums:
    with connection.cursor() as cursor:
        cursor.execute(statement(connection.vendor, clinic, since))
        return _sums(cursor.fetchall())


@dataclass(frozen=True)
class DuckDb:
    """A copy of what the statement reads, in DuckDB's own format in a file."""

    database: duckdb.DuckDBPyConnection
    clinic: Clinic

    @classmethod
    def copy(cls, clinic: Clinic, folder: Path) -> "DuckDb":
        database = duckdb.connect(str(folder / "copy.duckdb"))
        for model, names in COPIED.items():
            _copy(database, model, names, clinic, folder / "rows.csv")
        return cls(database, clinic)

    def answer(self, since: datetime | None) -> Sums:
        return _sums(self.database.execute(statement("duckdb", self.clinic, since)).fetchall())


def _copy(
    database: duckdb.DuckDBPyConnection, model: type[models.Model], names: tuple[str, ...], clinic: Clinic, file: Path
) -> None:
    with file.open("w", newline="", encoding="utf-8") as written:
        rows = csv.writer(written)
        for row in model._default_manager.order_by().values_list(*names).iterator(chunk_size=10_000):
            values = [
                value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value for value in row
            ]
            if model is Infusion:
                values.append(row[names.index("started_at")].astimezone(clinic.zone).date())
            rows.writerow(values)
    columns = [f"{name} {_type_of(model._meta.get_field(name))}" for name in names]
    if model is Infusion:
        columns.append("local_day DATE")
    table = model._meta.db_table
    database.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
    database.execute(f"COPY {table} FROM '{file}' (HEADER false, NULLSTR '')")


def _type_of(field: Any) -> str:
    if isinstance(field, models.DateTimeField):
        return "TIMESTAMP"
    if isinstance(field, models.DateField):
        return "DATE"
    return "VARCHAR" if isinstance(field, models.CharField) else "BIGINT"


def _sums(rows: list[Any]) -> Sums:
    return {(iga, drugs): tuple(int(number or 0) for number in sums) for iga, drugs, *sums in rows}


def _listed(words: list[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)
