"""The keys of sealed values over time: do those of this host fit the database, and sealing all anew under the first."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connection, models, transaction

from patients.models import FieldKey, Patient
from patients.sealing.fields import Sealed, sealed_fields
from patients.sealing.keys import KeysDoNotFit, fingerprints, seal, under_first_key, unseal
from patients.signing_in import second_step

# Rows that are read, and patients that are held, at a time.
TOGETHER = 500


def check_keys(using: str = DEFAULT_DB_ALIAS) -> None:
    """Raise KeysDoNotFit where the database may hold what none of our keys opens. A new first key is noted down."""
    needed, ours = set(FieldKey.objects.using(using).values_list("fingerprint", flat=True)), fingerprints()
    if missing := needed - set(ours):
        raise KeysDoNotFit(
            f"The database holds values sealed under the key {', '.join(sorted(missing))}, which is not among"
            f" IVIGTRACK_FIELD_KEYS ({', '.join(ours)}). Give this host that key too; nothing was read or changed."
        )
    if ours[0] not in needed:
        FieldKey.objects.using(using).get_or_create(fingerprint=ours[0])


def rotate(told: Callable[[str], object] = str) -> int:
    """Seal everything under the first key, and forget the others. Returns how many rows were sealed anew.

    What is done already is passed over, so that it can be stopped at any moment and begun again, and nobody has to stop
    working meanwhile. Raises KeysDoNotFit at a value that no key opens.
    """
    check_keys()
    done = 0
    for model in apps.get_models():
        if fields := sealed_fields(model):
            changed = sum(list(_rotate(model, fields)))
            told(f"{model._meta.verbose_name_plural}: {changed} sealed anew")
            done += changed
    changed = sum(second_step.seal_anew(one) for one in Authenticator.objects.order_by("pk").iterator())
    told(f"second steps: {changed} sealed anew")
    done += changed
    if not done:
        FieldKey.objects.exclude(fingerprint=fingerprints()[0]).delete()
    return done


def _rotate(model: type[models.Model], fields: Sequence[Sealed]) -> Iterator[int]:
    """How many rows of each batch were sealed anew."""
    quote, columns = connection.ops.quote_name, [str(field.column) for field in fields]
    names, table, key = ", ".join(map(quote, columns)), quote(model._meta.db_table), quote(str(model._meta.pk.column))
    last = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {key}, {names} FROM {table} WHERE {key} > %s ORDER BY {key} LIMIT {TOGETHER}",  # noqa: S608
                [last],
            )
            rows = cursor.fetchall()
        if not rows:
            return
        last = rows[-1][0]
        old = [row for row in rows if any(map(_is_old, fields, row[1:]))]
        if model is Patient:
            _save_patients([row[0] for row in old])
        else:
            _seal_rows(fields, table, key, old)
        yield len(old)


def _is_old(field: Sealed, token: str | None) -> bool:
    return token not in {None, ""} and not under_first_key(field.purpose, str(token))


def _seal_rows(fields: Sequence[Sealed], table: str, key: str, rows: list[Any]) -> None:
    """Each value where it is still the one that was read: who changed it meanwhile has sealed it under a newer key."""
    with transaction.atomic(), connection.cursor() as cursor:
        for pk, *tokens in rows:
            for field, token in zip(fields, tokens, strict=True):
                if _is_old(field, token):
                    column = connection.ops.quote_name(str(field.column))
                    cursor.execute(
                        f"UPDATE {table} SET {column} = %s WHERE {key} = %s AND {column} = %s",  # noqa: S608
                        [seal(field.purpose, unseal(field.purpose, token)), pk, token],
                    )


@transaction.atomic
def _save_patients(pks: list[int]) -> None:
    """With digests and marks under the first key."""
    names = [field.name for field in sealed_fields(Patient)]
    for patient in Patient.objects.select_for_update(no_key=True).filter(pk__in=pks).order_by("pk"):
        patient.save(update_fields=names)
