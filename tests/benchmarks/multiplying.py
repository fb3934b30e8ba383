"""Rows of a filled PostgreSQL database once more and once more, by INSERT … SELECT: new keys, the same history.

What is kept ready of them is multiplied too: working it out takes most of an hour at ten million infusions. The
benchmark compares every figure that follows from it with plain SQL over the rows.
"""

from typing import Any

from django.db import connection, models

from patients.models import IgaResult, Patient
from reactions.models import (
    Answer,
    AnswerSymptom,
    CheckIn,
    Course,
    Infusion,
    Premedication,
    RateColumns,
    Reaction,
    ReviewDecision,
    Symptom,
    Vial,
)
from reactions.rates.columns import Columns, joined
from reactions.rates.keeping import COLUMNS
from reactions.rates.kept import packed, unpacked

# In an order in which each row finds what it refers to.
MULTIPLIED = (
    Patient,
    IgaResult,
    Course,
    Infusion,
    Vial,
    Premedication,
    Reaction,
    Symptom,
    CheckIn,
    Answer,
    AnswerSymptom,
    ReviewDecision,
)
# What must not be twice, of row {copy} of many.
DIFFERENT = {
    "mrn_digest": "md5(mrn_digest || '{copy}')",
    "link_nonce": "decode(md5(link_hash || '{copy}'), 'hex')",
    "link_hash": "md5(link_hash) || md5(link_hash || '{copy}')",
    "submission_id": "CASE WHEN submission_id IS NOT NULL THEN gen_random_uuid() END",
}


def multiply(times: int) -> None:
    """Make every patient of the demonstration, with all that is recorded and kept ready, `times` as many."""
    apart: dict[Any, int] = {
        model: model._default_manager.aggregate(last=models.Max("pk"))["last"] or 0 for model in MULTIPLIED
    }
    with connection.cursor() as cursor:
        # Neither references are checked nor rates marked as stale: copies are as sound as the first.
        cursor.execute("SET session_replication_role = replica")
        for copy in range(1, times):
            for model in MULTIPLIED:
                fields = model._meta.concrete_fields
                names = ", ".join(_quoted(str(field.column)) for field in fields)
                values = ", ".join(_value(field, copy, apart) for field in fields)
                table = _quoted(model._meta.db_table)
                rows = f"SELECT {values} FROM {table} WHERE id <= {apart[model]}"  # noqa: S608 - names of ours
                cursor.execute(f"INSERT INTO {table} ({names}) {rows}")
        for model, last in apart.items():
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [_quoted(model._meta.db_table), last * times]
            )
        cursor.execute("RESET session_replication_role")
    for kept in RateColumns.objects.all():
        columns = unpacked(kept.month, kept.infusions, kept.values, {name: getattr(kept, name) for name in COLUMNS})
        every = joined([_copied(columns, copy, apart) for copy in range(times)])
        RateColumns.objects.filter(pk=kept.pk).update(**packed(every, kept.month))


def _copied(columns: Columns, copy: int, apart: dict[Any, int]) -> Columns:
    of = {"patient": Patient, "infusion": Infusion, "course": Course}
    moved = {name: columns.numbers[name].astype("i8") + copy * apart[model] for name, model in of.items()}
    return Columns({**columns.numbers, **moved}, columns.keys)


def _value(field: models.Field, copy: int, apart: dict[Any, int]) -> str:
    of, column = field.model if field.primary_key else field.related_model, str(field.column)
    if of in apart:
        return f"{_quoted(column)} + {copy * apart[of]}"
    return DIFFERENT.get(column, _quoted(column)).format(copy=copy)


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
