"""Fills one database, and measures import_log there beside bare loads of the same rows.

`python -m tests.benchmarks.log_once INFUSIONS ROUNDS` prints its figures, as JSON, as the last line. Bare is the same
rows into the same tables in one transaction and nothing else: no file, no checks, and the values at hand.
"""

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from statistics import median
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ivigtrack.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 - Django has to be there first
from django.db import connection, transaction  # noqa: E402

from patients.models import Clinic, IgaResult, Patient  # noqa: E402
from reactions.exchange.log_writer import BATCH  # noqa: E402
from reactions.models import Course, Infusion, Premedication, Reaction, Symptom, Vial  # noqa: E402

# What a log becomes, in an order in which each row finds what it refers to, and how each leads to its clinic.
WRITTEN: dict[Any, str] = {
    Patient: "clinic",
    IgaResult: "patient__clinic",
    Course: "patient__clinic",
    Infusion: "patient__clinic",
    Vial: "infusion__patient__clinic",
    Premedication: "infusion__patient__clinic",
    Reaction: "infusion__patient__clinic",
    Symptom: "reaction__infusion__patient__clinic",
}
# Between the keys of one load and the next.
APART = 1_000_000_000


def main(infusions: int, rounds: int) -> None:
    logging.disable(logging.WARNING)
    call_command("migrate", verbosity=0)
    seconds: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[..., object], *given: Any) -> None:
        began = time.perf_counter()
        work(*given)
        seconds.setdefault(name, []).append(time.perf_counter() - began)

    timed("demo_data", _demo, infusions)
    with tempfile.TemporaryDirectory(prefix="ivigtrack-bench-") as folder:
        log = str(Path(folder) / "log.csv")
        call_command("export_log", clinic="demo", output=log, stdout=StringIO(), stderr=StringIO())
        for number in range(rounds):
            timed("import_log", _import, log, f"imported-{number}")
            for place, (name, load) in enumerate(BARE.items()):
                objects = _once_more(Clinic.objects.get(slug="imported-0"), 2 * number + place + 1)
                ready = [load(model, rows) for model, rows in objects.items()]
                timed(name, _together, ready)
    print(json.dumps({name: median(times) for name, times in seconds.items()}))


def _demo(infusions: int) -> None:
    patients = max(2, infusions // 20)
    call_command("demo_data", patients=patients, infusions=infusions, no_checkins=True, stdout=StringIO())


def _import(log: str, clinic: str) -> None:
    call_command("import_log", log, clinic=clinic, create_clinic=True, stdout=StringIO(), stderr=StringIO())


def _once_more(source: Clinic, number: int) -> dict[Any, list[Any]]:
    """The rows of a clinic as new rows of another one, with the keys that they shall get."""
    clinic = Clinic.objects.create(name="Bare", slug=f"bare-{number}", time_zone=source.time_zone)
    rows = {model: list(model.objects.filter(**{path: source}).order_by("pk")) for model, path in WRITTEN.items()}
    for model, objects in rows.items():
        keys = [field.attname for field in model._meta.concrete_fields if _of(field) in WRITTEN]
        for row in objects:
            for key in keys:
                setattr(row, key, getattr(row, key) + number * APART)
            if model is Patient:
                row.clinic_id = clinic.pk
    return rows


def _of(field: Any) -> Any:
    return field.model if field.primary_key else field.related_model


def _bulk_create(model: Any, objects: list[Any]) -> Callable[[], object]:
    return lambda: model.objects.bulk_create(objects, batch_size=BATCH)


def _copy(model: Any, objects: list[Any]) -> Callable[[], object]:
    """COPY, or where there is none one prepared statement for all rows."""
    fields, quote = model._meta.concrete_fields, connection.ops.quote_name
    rows = [[field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields] for row in objects]
    into = f"{quote(model._meta.db_table)} ({', '.join(quote(field.column) for field in fields)})"

    def copy() -> None:
        with connection.cursor() as cursor:
            if connection.vendor != "postgresql":
                places = ", ".join(["%s"] * len(fields))
                cursor.executemany(f"INSERT INTO {into} VALUES ({places})", rows)  # noqa: S608 - names of ours
                return
            with cursor.copy(f"COPY {into} FROM STDIN") as copied:
                for row in rows:
                    copied.write_row(row)

    return copy


BARE = {"bare bulk_create": _bulk_create, "bare COPY or executemany": _copy}


@transaction.atomic
def _together(ready: list[Callable[[], object]]) -> None:
    for load in ready:
        load()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
