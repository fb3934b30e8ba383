"""A question answered, by the one function that the page, the command and the CSV call: the same digits everywhere."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product as every_combination
from math import floor, log10
from typing import Any

from patients.models import Clinic
from reactions.rates.question import WINDOWS, Question, values_of
from reactions.rates.statistics import METHODS, ClusterEstimate, Interval, cluster_robust
from reactions.rates.strata import WITHOUT_ONSET_COUNTS, Counted, Counts, Stratum, count_by
from reactions.spreadsheet import safe_cell

CONFOUNDING = "Premedication is mostly given to patients who reacted before. These rates cannot show what it does."


@dataclass(frozen=True)
class Rate:
    """One stratum: events of total units, from so many patients. Without units there is no rate, and no interval."""

    stratum: Stratum
    events: int
    total: int
    patients: int
    not_recorded: int
    rate: float | None
    interval: Interval | None
    clustered: ClusterEstimate | None


@dataclass(frozen=True)
class RatesTable:
    """The answer: every stratum in the order of its values, all together, and what a reader must know."""

    question: Question
    strata: list[Rate]
    all: Rate
    notes: list[str]
    clinics: tuple[str, ...]


def answer(question: Question, clinics: Iterable[Clinic]) -> RatesTable:
    """Answer for the given clinics. The caller decides which a person may see."""
    return answers(question, [question.by], clinics)[0]


def answers(question: Question, groupings: Sequence[tuple[str, ...]], clinics: Iterable[Clinic]) -> list[RatesTable]:
    """The same question divided in several ways, as a table and its margins, in one pass over the infusions."""
    clinics = list(clinics)
    slugs = tuple(sorted(clinic.slug for clinic in clinics))
    return [
        _table(replace(question, by=by), counted, slugs)
        for by, counted in zip(groupings, count_by(question, groupings, clinics), strict=True)
    ]


def _table(question: Question, counted: Counted, slugs: tuple[str, ...]) -> RatesTable:
    strata = [_rate(question, stratum, counted.strata.get(stratum, Counts())) for stratum in _strata(question, counted)]
    return RatesTable(question, strata, _rate(question, (), counted.everything), _notes(question, counted), slugs)


def _strata(question: Question, counted: Counted) -> list[Stratum]:
    """Every combination of the keys' values; a stratum without infusions is shown, not dropped."""
    if not question.by:
        return []
    values = []
    for position, key in enumerate(question.by):
        found = {stratum[position] for stratum in counted.strata}
        values.append(values_of(key) or tuple(sorted(found, key=str)))
    return list(every_combination(*values))


def _rate(question: Question, stratum: Stratum, counts: Counts) -> Rate:
    events, total, patients = counts.events, counts.total, len(counts.by_patient)
    if total == 0:
        return Rate(stratum, 0, 0, 0, 0, None, None, None)
    clustered = None
    if question.unit != "patient":
        clustered = cluster_robust((reacted, units) for reacted, units in counts.by_patient.values())
    if question.interval == "cluster" and clustered:
        interval = clustered.interval
    else:
        interval = METHODS[question.interval](events, total)
    return Rate(stratum, events, total, patients, counts.not_recorded, events / total, interval, clustered)


def _notes(question: Question, counted: Counted) -> list[str]:
    unit = {"infusion": "infusions", "course": "courses", "patient": "patients"}[question.unit]
    counts = counted.everything
    notes = [
        f"Unit: {unit} with at least one reaction recorded by clinicians that began {WINDOWS[question.window]}.",
    ]
    if counts.not_recorded:
        looked = counts.total - counts.not_recorded
        notes.append(
            f"For {counts.not_recorded} of {counts.total} {unit} nobody recorded whether there was a reaction; they"
            f" count as without. Among the other {looked}: {counts.events}/{looked}."
        )
    if counted.without_onset:
        infusions = "1 infusion" if counted.without_onset == 1 else f"{counted.without_onset} infusions"
        treated = "counted as events" if question.window in WITHOUT_ONSET_COUNTS else "not counted in this window"
        notes.append(f"Reactions whose onset was not recorded ({infusions}) are {treated}.")
    if "first_infusion" in question.by:
        notes.append("First is the first that is recorded here; what was given elsewhere before is not known.")
    if question.by and question.unit != "infusion":
        notes.append(
            f"{unit.capitalize()} count once in every stratum in which they have an infusion, so strata overlap."
        )
    if question.interval == "cluster":
        notes.append("Where patients show no spread, the interval is Wilson's.")
    if any(key == "premedication" or key.startswith("drug:") for key in question.by):
        notes.append(CONFOUNDING)
    return notes


def as_json(table: RatesTable) -> dict[str, Any]:
    """The answer in the form that other programs read; rates are fractions at full precision."""
    question = table.question
    return {
        "unit": question.unit,
        "window": question.window,
        "interval": question.interval,
        "strata": [dict(zip(question.by, rate.stratum, strict=True)) | _numbers(rate) for rate in table.strata],
        "all": _numbers(table.all),
        "notes": table.notes,
    }


def as_csv(table: RatesTable) -> str:
    """One line for each stratum and one for all, with the same numbers as the JSON."""
    question = table.question
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    asked = {
        "reaction": question.term or "any",
        "min_grade": question.min_grade or "",
        "from": question.first_day or "",
        "to": question.last_day or "",
        "product": safe_cell(question.product) or "all",
        "clinics": " ".join(table.clinics),
    }
    writer.writerow([*question.by, "unit", "window", "interval", *_numbers(table.all), *asked])
    for rate in [*table.strata, table.all]:
        stratum = rate.stratum or tuple("all" for _ in question.by)
        words = [safe_cell(str(value)) for value in stratum]
        numbers = ["" if number is None else number for number in _numbers(rate).values()]
        writer.writerow([*words, question.unit, question.window, question.interval, *numbers, *asked.values()])
    return output.getvalue()


def _numbers(rate: Rate) -> dict[str, Any]:
    interval = rate.interval
    return {
        "events": rate.events,
        "total": rate.total,
        "patients": rate.patients,
        "rate": rate.rate,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
    }


def percent(fraction: float | None) -> str:
    """A fraction as a percentage in three significant digits, so that what is not zero never reads as zero."""
    if fraction is None:
        return "–"
    if fraction == 0:
        return "0"
    value = fraction * 100
    return f"{value:.{max(0, 2 - floor(log10(value)))}f}"
