"""A clinic's infusions without what identifies a person: for research, and for comparing clinics.

Follows the safe harbor method (45 CFR 164.514(b)(2)): no names, numbers, addresses, places, lots or words that somebody
typed; instead of dates the days since the person's first infusion in the file; ages over 89 as one group. A rare
combination of what is left may still tell of somebody to who knows them: whoever gives the file away weighs that.
"""

import csv
import secrets
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from random import SystemRandom

from patients.clock import age_on
from patients.models import Clinic, IgaResult
from patients.spreadsheet import Echo, safe_cell
from patients.words import DIAGNOSES, AntiIga, Sex
from reactions.exchange.log_export import (
    BATCH,
    exported,
    in_force,
    number_cell,
    outcome_cell,
    premedication_cell,
    reactions_cell,
    serious_cell,
    with_all,
)
from reactions.models import Infusion, Product

COLUMNS = (
    "person",
    "day_since_first",
    "age_years",
    "sex",
    "diagnosis",
    "iga",
    "anti_iga",
    "course",
    "day_of_course",
    "days_of_course",
    "setting",
    "product",
    "dose_g",
    "weight_kg",
    "minutes",
    "premedication",
    "reactions",
    "serious",
    "outcome",
)
# 45 CFR 164.514(b)(2)(i)(C): ages over 89 are one group.
OLDEST_TOLD_YEARS, OLDER = 89, "90+"
# What somebody typed: a diagnosis of their own, a product that the table does not know.
OTHER = "other"
# People at a time.
TOGETHER = 100
# Sealed columns, of which no line says anything: to open them would take most of the time.
SEALED = (
    *(f"patient__{name}" for name in ("mrn", "given_name", "family_name", "email", "phone", "void_reason")),
    "notes",
    "void_reason",
)


def lines_without_names(clinic: Clinic) -> Iterator[str]:
    """The clinic's finished infusions as lines of CSV, person by person in random order.

    Each file has persons of its own: two files cannot be laid beside each other.
    """
    writer = csv.DictWriter(Echo(), COLUMNS, lineterminator="\n")
    yield writer.writer.writerow(COLUMNS)
    for row in _rows(clinic):
        yield writer.writerow(row)


def _rows(clinic: Clinic) -> Iterator[dict[str, str]]:
    finished = exported(clinic).exclude(ended_at=None)
    # In the order of their records the first would be the clinic's oldest patients.
    people = list(finished.order_by().values_list("patient", flat=True).distinct())
    SystemRandom().shuffle(people)
    for start in range(0, len(people), TOGETHER):
        some = people[start : start + TOGETHER]
        iga: dict[int, list[IgaResult]] = defaultdict(list)
        for result in IgaResult.objects.current().filter(patient__in=some).order_by("in_force_from", "pk"):
            iga[result.patient_id].append(result)
        theirs: dict[int, list[Infusion]] = defaultdict(list)
        infusions = with_all(finished.filter(patient__in=some)).defer(*SEALED).order_by("started_at", "pk")
        for infusion in infusions.iterator(chunk_size=BATCH):
            theirs[infusion.patient_id].append(infusion)
        for patient in some:
            yield from _person(clinic, theirs[patient], iga[patient])


def _person(clinic: Clinic, infusions: list[Infusion], results: list[IgaResult]) -> Iterator[dict[str, str]]:
    person = secrets.token_hex(6)
    first = infusions[0].started_at.astimezone(clinic.zone).date()
    courses: dict[int, int] = {}
    age = _age(infusions[0].patient.birth_date, first, infusions[-1].started_at.astimezone(clinic.zone).date())
    for infusion in infusions:
        course = courses.setdefault(infusion.course_id, len(courses) + 1)
        day = infusion.started_at.astimezone(clinic.zone).date()
        row = _row(infusion, in_force(results, day))
        own = {"person": person, "day_since_first": f"{(day - first).days}", "course": f"{course}"}
        yield row | own | {"age_years": age}


def _row(infusion: Infusion, iga: IgaResult | None) -> dict[str, str]:
    patient, reactions = infusion.patient, list(infusion.reactions.all())
    took = infusion.ended_at - infusion.started_at if infusion.ended_at else None
    return {
        "sex": "" if patient.sex == Sex.UNKNOWN else patient.sex,
        "diagnosis": patient.diagnosis if patient.diagnosis in ("", *DIAGNOSES) else OTHER,
        "iga": iga.as_text() if iga else "",
        "anti_iga": iga.anti_iga if iga and iga.anti_iga != AntiIga.NOT_DONE else "",
        "day_of_course": f"{infusion.day}",
        "days_of_course": f"{infusion.course.planned_days}",
        "setting": infusion.setting,
        "product": _product(infusion.product),
        "dose_g": number_cell(infusion.dose_g),
        "weight_kg": number_cell(infusion.weight_kg),
        "minutes": f"{took.total_seconds() / 60:.0f}" if took else "",
        "premedication": premedication_cell(infusion, in_own_words=False),
        "reactions": reactions_cell(infusion, reactions, in_own_words=False),
        "serious": serious_cell(reactions),
        "outcome": outcome_cell(reactions),
    }


def _product(product: Product) -> str:
    """By its name where facts of its label are known; a name that came with a log may be anything."""
    return OTHER if product.concentration_percent is None else safe_cell(product.name)


def _age(born: date | None, first: date, last: date) -> str:
    """At the first infusion, the same on every line: one that rose on some day would tell the birthday.

    Of somebody who is over 89 in the file at any time nothing else is told, since the days would tell the age.
    """
    oldest = age_on(last, born)
    if oldest is None:
        return ""
    return OLDER if oldest > OLDEST_TOLD_YEARS else f"{age_on(first, born)}"
