"""Whom to call about a lot: one line a patient, as CSV."""

import csv
import io
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import F, Prefetch

from patients.models import Patient
from patients.spreadsheet import safe_cell
from reactions.models import Course, Reaction
from reactions.models.infusion import InfusionQuerySet
from reactions.vocabulary import ReactionRecord

COLUMNS = (
    "patient",
    "mrn",
    "phone",
    "email_consent",
    "last_infusion",
    "reaction",
    "symptoms",
    "next_course",
    "next_course_plan",
    "died_on",
    "clinic",
)


@dataclass(frozen=True)
class Line:
    """A patient to call, and the cells by column."""

    patient: Patient
    cells: dict[str, str]


def call_list(infusions: InfusionQuerySet, *, today: date) -> list[Line]:
    """One line for each patient of the infusions, by name, in a fixed number of queries. Days are those of the clinic.

    `reaction` is yes when there was one after any of the infusions, no when each was watched and none was seen, and
    not recorded otherwise; `symptoms` say of each reaction when it began, the worst grade and what it was.
    """
    booked: dict[int, Course] = {}
    for course in Course.objects.booked(today).filter(patient__in=infusions.values("patient")):
        booked.setdefault(course.patient_id, course)
    by_patient: dict[int, list[Any]] = {}
    by_onset = F("onset_at").asc(nulls_last=True)
    reactions = Reaction.objects.current().prefetch_related("symptoms").order_by(by_onset, "pk")
    given = infusions.select_related("patient__clinic").prefetch_related(Prefetch("reactions", reactions))
    for infusion in given.order_by("started_at", "pk"):
        by_patient.setdefault(infusion.patient_id, []).append(infusion)
    by_name = sorted(by_patient.values(), key=lambda given: _by_name(given[0].patient))
    return [_line(given, booked.get(given[0].patient_id)) for given in by_name]


def as_csv(lines: list[Line]) -> str:
    """The lines with their columns' names; no cell is a formula to a spreadsheet."""
    output = io.StringIO()
    writer = csv.DictWriter(output, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: safe_cell(cell) for name, cell in line.cells.items()} for line in lines)
    return output.getvalue()


def _line(given: list[Any], next_course: Course | None) -> Line:
    last = given[-1]
    patient: Patient = last.patient
    cells = {
        "patient": patient.full_name,
        "mrn": patient.mrn,
        "phone": patient.phone,
        "email_consent": "yes" if patient.email_consent_at else "no",
        "last_infusion": str(last.started_at.astimezone(patient.clinic.zone).date()),
        "reaction": _reaction(given),
        "symptoms": "; ".join(_symptoms(reaction, one) for one in given for reaction in one.reactions.all()),
        "next_course": str(next_course.planned_for) if next_course else "",
        "next_course_plan": next_course.plan if next_course else "",
        "died_on": str(patient.died_on or ""),
        "clinic": patient.clinic.name,
    }
    return Line(patient, cells)


def _by_name(patient: Patient) -> tuple[str, str, str]:
    return patient.sorting_name


def _reaction(given: list[Any]) -> str:
    if any(one.reactions.all() or one.reaction_record == ReactionRecord.SEEN for one in given):
        return "yes"
    return "no" if all(one.reaction_record == ReactionRecord.OBSERVED for one in given) else "not recorded"


def _symptoms(reaction: Reaction, infusion: Any) -> str:
    """“2026-05-04 worst grade 3: Chills, Headache”."""
    onset = reaction.onset_at
    began = str(onset.astimezone(infusion.zone).date()) if onset else "onset not recorded,"
    grade = "not graded" if reaction.max_grade is None else f"worst grade {reaction.max_grade}"
    return f"{began} {grade}: {', '.join(symptom.name for symptom in reaction.symptoms.all())}"
