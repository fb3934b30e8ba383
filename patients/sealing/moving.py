"""Sealing what a database held in the open before a column was sealed. For migrations."""

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from patients.sealing.fields import Sealed, sealed_fields
from patients.sealing.keys import seal, unseal

TOGETHER = 1_000


def seal_columns(model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> None:
    """Seal every text in the model's sealed columns, which were plain until now."""
    for field in sealed_fields(model):
        _change(model, field, editor, lambda text, purpose=field.purpose: seal(purpose, text))


def open_columns(model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> None:
    """The way back."""
    for field in sealed_fields(model):
        _change(model, field, editor, lambda token, purpose=field.purpose: unseal(purpose, token))


def _change(model: type[models.Model], field: Sealed, editor: BaseDatabaseSchemaEditor, change: Any) -> None:
    quote = editor.quote_name
    table, column = quote(model._meta.db_table), quote(str(field.column))
    key = quote(str(model._meta.pk.column))
    last = 0
    while True:
        with editor.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {key}, {column} FROM {table} WHERE {key} > %s AND {column} <> ''"  # noqa: S608
                f" ORDER BY {key} LIMIT {TOGETHER}",
                [last],
            )
            rows = cursor.fetchall()
            cursor.executemany(
                f"UPDATE {table} SET {column} = %s WHERE {key} = %s",  # noqa: S608
                [(change(text), pk) for pk, text in rows],
            )
        if not rows:
            return
        last = rows[-1][0]
