"""Fills one clinic with patients and measures the search for some of them.

`python -m tests.benchmarks.search_once PATIENTS ROUNDS` prints seconds by what was measured, as JSON.
"""

import json
import logging
import os
import random
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from statistics import median

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ivigtrack.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 - Django has to be there first
from django.db import connection, transaction  # noqa: E402

from patients.models import Clinic, Patient, PatientMark, User, marks_to_keep  # noqa: E402
from patients.views.patients import PAGE_SIZE, in_order  # noqa: E402
from reactions.exchange.bulk import insert_all  # noqa: E402
from tests.benchmarks.search import BESIDE  # noqa: E402

SYLLABLES = [first + last for first in "bdfghklmnprst" for last in "aeio"]
AT_ONCE = 5_000
SOUGHT = 20


def name(chance: random.Random) -> str:
    """A made-up name of two to four syllables."""
    return "".join(chance.choice(SYLLABLES) for _ in range(chance.randrange(2, 5))).capitalize()


def fill(count: int) -> Clinic:
    chance = random.Random(7)
    clinic = Clinic.objects.create(name="Synthetic", slug="synthetic")
    by = User.objects.create(username="synthetic")
    for first in range(0, count, AT_ONCE):
        patients = [
            Patient(
                clinic=clinic,
                mrn=f"SYN-{number:07}",
                given_name=name(chance),
                family_name=name(chance),
                birth_date=date(1930, 1, 1) + timedelta(days=chance.randrange(30_000)),
                email=f"{number}@patients.example",
                created_by=by,
            )
            for number in range(first, min(first + AT_ONCE, count))
        ]
        for patient in patients:
            patient.derive()
        with transaction.atomic():
            insert_all(Patient, patients)
            insert_all(PatientMark, marks_to_keep(patients))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    return clinic


def main(count: int, rounds: int) -> None:
    logging.disable(logging.WARNING)
    call_command("migrate", verbosity=0)
    clinic = fill(count)
    sought = list(Patient.objects.order_by("?")[:SOUGHT])
    kinds: dict[str, Callable[[Patient], str]] = {
        "two letters of the family name": lambda patient: patient.family_name[:2],
        "four letters of the family name": lambda patient: patient.family_name[:4],
        "both names": lambda patient: f"{patient.given_name} {patient.family_name}",
        "record number": lambda patient: patient.mrn,
        "birth date": lambda patient: f"{patient.birth_date}",
        "a name that nobody has": lambda patient: f"{patient.family_name}x",
    }
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds + 1):
        for kind, words in kinds.items():
            for patient in sought:
                began = time.perf_counter()
                found = in_order(Patient.objects.current().matching(words(patient), [clinic]))
                rows = list(found[:PAGE_SIZE])
                size = len(found) if isinstance(found, list) else found.count()
                took = time.perf_counter() - began
                assert (patient in rows) or size > PAGE_SIZE or kind == "a name that nobody has"
                seconds.setdefault(kind, []).append(took)
        for patient in sought:
            began = time.perf_counter()
            list(Patient.objects.filter(pk__in=range(patient.pk, patient.pk + PAGE_SIZE)))
            seconds.setdefault(BESIDE, []).append(time.perf_counter() - began)
    print(json.dumps({kind: median(times[SOUGHT:]) for kind, times in seconds.items()}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
