"""An infusion log from the database, in the form that the import reads back to the same rates."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import IO, Any

from django.core.management.base import OutputWrapper
from django.db.models import F, Prefetch

from patients.models import Clinic, IgaResult
from patients.spreadsheet import safe_cell
from patients.words import AntiIga, Sex
from reactions.clinical.ctcae import OTHER
from reactions.exchange.log_drugs import is_plain_dose
from reactions.exchange.log_rows import COLUMNS
from reactions.models import Infusion, Premedication, Reaction, Symptom
from reactions.vocabulary import Outcome, PremedicationRecord, ReactionRecord

BATCH = 2_000
# Databases disagree on where an onset that was not recorded stands, and on the order of letters: here it is last, and
# record numbers are in the order of Python.
BY_ONSET = (F("onset_at").asc(nulls_last=True), "pk")


def export_log(clinic: Clinic, output: IO[str] | OutputWrapper) -> tuple[int, int]:
    """Write the clinic's infusions, oldest first. Returns how many were written and how many running ones left out."""
    writer = csv.DictWriter(output, COLUMNS, lineterminator="\n")
    writer.writeheader()
    written = 0
    for row in _rows(clinic):
        writer.writerow(row)
        written += 1
    return written, exported(clinic).filter(ended_at=None).count()


def exported(clinic: Clinic) -> Any:
    """The infusions that count in the clinic."""
    return Infusion.objects.current().filter(patient__clinic=clinic, patient__voided_at=None)


def _rows(clinic: Clinic) -> Iterator[dict[str, str]]:
    iga: dict[int, list[IgaResult]] = defaultdict(list)
    results = IgaResult.objects.current().filter(patient__clinic=clinic).order_by("in_force_from", "pk")
    for result in results.iterator(chunk_size=BATCH):
        iga[result.patient_id].append(result)
    infusions = with_all(exported(clinic).exclude(ended_at=None)).order_by("started_at")
    for _, together in groupby(infusions.iterator(chunk_size=BATCH), key=lambda infusion: infusion.started_at):
        for infusion in sorted(together, key=lambda infusion: infusion.patient.mrn):
            yield _row(infusion, clinic, iga[infusion.patient_id])


def with_all(infusions: Any) -> Any:
    """With the rows of which a line is made."""
    symptoms = Prefetch("symptoms", Symptom.objects.order_by(*BY_ONSET))
    reactions = Prefetch("reactions", Reaction.objects.current().prefetch_related(symptoms).order_by(*BY_ONSET))
    return infusions.select_related("patient", "course", "product").prefetch_related(
        "vials", "premedications", reactions
    )


def _row(infusion: Infusion, clinic: Clinic, results: list[IgaResult]) -> dict[str, str]:
    patient, reactions = infusion.patient, list(infusion.reactions.all())
    started = infusion.started_at.astimezone(clinic.zone)
    iga = in_force(results, started.date())
    ended = infusion.ended_at.astimezone(clinic.zone) if infusion.ended_at else None
    return {
        "patient": safe_cell(patient.mrn),
        "given_name": safe_cell(patient.given_name),
        "family_name": safe_cell(patient.family_name),
        "birth_date": str(patient.birth_date or ""),
        "sex": "" if patient.sex == Sex.UNKNOWN else patient.sex,
        "email": safe_cell(patient.email),
        "diagnosis": safe_cell(patient.diagnosis),
        "iga": iga.as_text() if iga else "",
        "iga_date": str(iga.measured_on or "") if iga else "",
        "anti_iga": iga.anti_iga if iga and iga.anti_iga != AntiIga.NOT_DONE else "",
        "course": safe_cell(infusion.course.label),
        "day": str(infusion.day),
        "days": str(infusion.course.planned_days),
        "setting": infusion.setting,
        "product": safe_cell(infusion.product.name),
        "lots": ";".join(
            f"{vial.lot}:{vial.expires_on or ''}:{number_cell(vial.grams)}".rstrip(":") for vial in infusion.vials.all()
        ),
        "dose_g": number_cell(infusion.dose_g),
        "weight_kg": number_cell(infusion.weight_kg),
        "started_at": started.isoformat(),
        "ended_at": ended.isoformat() if ended else "",
        "premedication": premedication_cell(infusion),
        "reactions": reactions_cell(infusion, reactions),
        "serious": serious_cell(reactions),
        "outcome": outcome_cell(reactions),
    }


def in_force(results: list[IgaResult], day: date) -> IgaResult | None:
    """The result that held on that day, of one patient's in their order."""
    return next((result for result in reversed(results) if result.in_force_from <= day), None)


def premedication_cell(infusion: Infusion, *, in_own_words: bool = True) -> str:
    """“none”, the drugs, or nothing where it was not recorded; without what somebody typed where that is not wanted."""
    if infusion.premedication_record == PremedicationRecord.NOT_RECORDED:
        return ""
    if infusion.premedication_record == PremedicationRecord.NONE:
        return "none"
    return ";".join(_drug(drug, in_own_words) for drug in infusion.premedications.all())


def _drug(drug: Premedication, in_own_words: bool) -> str:
    name = f"other ({drug.other_drug})" if drug.drug == "other" and in_own_words else drug.drug
    dose = " ".join(drug.dose.split())
    if dose and not is_plain_dose(dose):
        dose = f"({dose})" if in_own_words else ""
    minutes = "" if drug.minutes_before is None else str(drug.minutes_before)
    if minutes and not (dose or drug.route):
        minutes += " min"
    return " ".join(part for part in (name, dose, drug.route, minutes) if part)


def reactions_cell(infusion: Infusion, reactions: list[Reaction], *, in_own_words: bool = True) -> str:
    """Symptom, grade and minutes from the start of each; “none”, or nothing where nobody said."""
    if reactions:
        return "|".join(_episode(reaction, infusion, in_own_words) for reaction in reactions)
    return "none" if infusion.reaction_record == ReactionRecord.OBSERVED else ""


def _episode(reaction: Reaction, infusion: Infusion, in_own_words: bool) -> str:
    """The symptoms. One without an onset of its own gets the reaction's where no other symptom carries that one."""
    symptoms = list(reaction.symptoms.all())
    carried = min((symptom.onset_at for symptom in symptoms if symptom.onset_at), default=None)
    onset = None if reaction.onset_at == carried else reaction.onset_at
    return ";".join(_symptom(symptom, symptom.onset_at or onset, infusion, in_own_words) for symptom in symptoms)


def _symptom(symptom: Symptom, onset: datetime | None, infusion: Infusion, in_own_words: bool) -> str:
    text = f"other ({symptom.other_text})" if symptom.term == OTHER and in_own_words else symptom.term
    if symptom.grade is not None:
        text += f":{symptom.grade}"
    if onset is not None:
        minutes = (onset - infusion.started_at).total_seconds() / 60
        text += f"@{minutes:.6f}".rstrip("0").rstrip(".")
    return text


def serious_cell(reactions: list[Reaction]) -> str:
    """“yes” where one was judged serious, “no” where none of those judged was, else nothing."""
    judged = [reaction.is_serious for reaction in reactions if reaction.is_serious is not None]
    return ("yes" if any(judged) else "no") if judged else ""


def outcome_cell(reactions: list[Reaction]) -> str:
    """Of the latest reaction whose outcome is known."""
    known = [reaction.outcome for reaction in reactions if reaction.outcome != Outcome.UNKNOWN]
    return known[-1] if known else ""


def number_cell(number: Decimal | None) -> str:
    return "" if number is None else format(number.normalize(), "f")
