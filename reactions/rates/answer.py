"""A question answered, by the one function that the page, the command and the CSV call: the same digits everywhere."""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import product as every_combination
from math import floor, log10
from typing import Any
from zoneinfo import ZoneInfo

from patients.models import Clinic
from patients.spreadsheet import safe_cell
from reactions.rates.columns import COUNTED, Columns
from reactions.rates.counts import Counted, Counts, Stratum, count_units
from reactions.rates.kept import columns_of
from reactions.rates.question import SOURCES, UNITS, WATCHED, WINDOWS, Question, UnanswerableQuestion, values_of
from reactions.rates.small_cells import Cell, hidden
from reactions.rates.statistics import (
    METHODS,
    ClusterEstimate,
    Interval,
    cluster_robust_from_sums,
    upper_bound_of_none,
)
from reactions.rates.strata import WITHOUT_ONSET_COUNTS, moment_of

_UNIT_WORDS = {"infusion": "infusions", "course": "courses", "patient": "patients"}
CONFOUNDING = "Premedication is mostly given to patients who reacted before. These rates cannot show what it does."


@dataclass(frozen=True)
class Rate:
    """One stratum: events of total units, from so many patients. Without units there is no rate, and no interval.

    One that is hidden by the small-cell rule has no numbers.
    """

    stratum: Stratum
    events: int = 0
    total: int = 0
    patients: int = 0
    not_recorded: int = 0
    asked: int = 0
    answered: int = 0
    silent: int = 0
    rate: float | None = None
    interval: Interval | None = None
    clustered: ClusterEstimate | None = None
    is_hidden: bool = False

    @property
    def response(self) -> float | None:
        """The share of the units asked about that were answered; None where nobody was asked."""
        return self.answered / self.asked if self.asked else None

    @property
    def worst(self) -> float | None:
        """The rate if each unit of which nobody told had an event. If none had, it is `rate`. None without units."""
        return (self.events + self.silent) / self.total if self.total else None


@dataclass(frozen=True)
class RatesTable:
    """The answer: every stratum in the order of its values, all together, and what a reader must know.

    `least_patients` is the small-cell rule that it was given under; 0 for none.
    """

    question: Question
    strata: list[Rate]
    all: Rate
    notes: list[str]
    clinics: tuple[str, ...]
    least_patients: int = 0

    @property
    def hides(self) -> bool:
        return self.all.is_hidden or any(rate.is_hidden for rate in self.strata)


def answer(question: Question, clinics: Iterable[Clinic]) -> RatesTable:
    """Answer for the given clinics. The caller decides which a person may see."""
    return answers(question, [question.by], clinics)[0]


def answers(question: Question, groupings: Sequence[tuple[str, ...]], clinics: Iterable[Clinic]) -> list[RatesTable]:
    """The same question divided in several ways, as a table and its margins, in one pass over the infusions."""
    return answers_by_unit(question, groupings, clinics, [question.unit])[question.unit]


def answers_by_unit(
    question: Question,
    groupings: Sequence[tuple[str, ...]],
    clinics: Iterable[Clinic],
    units: Collection[str] = UNITS,
    blocks: Sequence[Columns] | None = None,
) -> dict[str, list[RatesTable]]:
    """The answers per infusion, per course and per patient, side by side and from one pass over the infusions.

    Who has read them already gives their columns in `blocks`, with all keys of the groupings.

    The strictest small-cell rule of the clinics holds for all of them, and the same strata are hidden in every unit.
    Raises UnanswerableQuestion where the rule cannot be kept: for more than two keys at once.
    """
    clinics = list(clinics)
    slugs = tuple(sorted(clinic.slug for clinic in clinics))
    least = max((clinic.least_patients for clinic in clinics), default=0)
    if least and any(len(by) > 2 for by in groupings):
        raise UnanswerableQuestion("Small groups are not shown here: divide by two keys at most.")
    margins = {(key,) for by in groupings if least for key in by}
    every = list(dict.fromkeys([*groupings, *sorted(margins)]))
    if blocks is None:
        names = COUNTED if "course" in units else [name for name in COUNTED if name != "course"]
        blocks = columns_of(question, keys_of(every), clinics, names)
    counted = count_units(blocks, every, {"infusion", *units} if least else units)
    out = _hidden(question, every, counted["infusion"], least) if least else {}
    period = None if least else _period(blocks, clinics)
    found: dict[str, list[RatesTable]] = {}
    for unit in units:
        asked = _in_unit(question, unit)
        by_grouping = dict(zip(every, counted[unit], strict=True))
        found[unit] = [
            _table(replace(asked, by=by), by_grouping[by], slugs, least, out.get(by, frozenset()), period)
            for by in groupings
        ]
    return found


def _period(blocks: Iterable[Columns], clinics: Iterable[Clinic]) -> tuple[date, date] | None:
    """The first and the last day on which an infusion began; UTC where the clinics' clocks differ. None without any."""
    spans = [(int(block.started.min()), int(block.started.max())) for block in blocks if len(block)]
    if not spans:
        return None
    zones = {clinic.time_zone for clinic in clinics}
    zone = ZoneInfo(zones.pop() if len(zones) == 1 else "UTC")
    first, last = min(first for first, _ in spans), max(last for _, last in spans)
    return moment_of(first).astimezone(zone).date(), moment_of(last).astimezone(zone).date()


def keys_of(groupings: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Every key by which one of the groupings divides."""
    return tuple(dict.fromkeys(key for by in groupings for key in by))


def _in_unit(question: Question, unit: str) -> Question:
    """The question per this unit; patients are not repeated within patients."""
    interval = "wilson" if unit == "patient" and question.interval == "cluster" else question.interval
    return replace(question, unit=unit, interval=interval)


def _hidden(
    question: Question, every: Sequence[tuple[str, ...]], counted: Sequence[Counted], least: int
) -> dict[tuple[str, ...], frozenset[Stratum]]:
    """{keys: the strata that are not shown}. The margins of a table are hidden first, as where they are asked alone."""
    if counted[0].everything.patients < least:
        return {
            by: frozenset([(), *_strata(replace(question, by=by), one)]) for by, one in zip(every, counted, strict=True)
        }
    out: dict[tuple[str, ...], frozenset[Stratum]] = {}
    cells_of = {
        by: {stratum: _cell(one.strata.get(stratum, Counts())) for stratum in _strata(replace(question, by=by), one)}
        for by, one in zip(every, counted, strict=True)
    }
    for by in sorted(every, key=len):
        cells = cells_of[by]
        divisions = (
            [[list(cells)]] if len(by) == 1 else [_lines(cells, place, out[(key,)]) for place, key in enumerate(by)]
        )
        out[by] = hidden(cells, divisions, least) if by else frozenset()
    return out


def _lines(cells: Iterable[Stratum], place: int, out: Collection[Stratum]) -> list[list[Stratum]]:
    """The strata of each shown line of a margin, and of the hidden ones together: all less the shown tells these."""
    lines: dict[object, list[Stratum]] = {}
    for stratum in cells:
        value = stratum[place : place + 1]
        lines.setdefault(() if value in out else value, []).append(stratum)
    return list(lines.values())


def _cell(counts: Counts) -> Cell:
    return Cell(counts.events, counts.total, frozenset(counts.patient.tolist()))


def _table(
    question: Question,
    counted: Counted,
    slugs: tuple[str, ...],
    least: int,
    out: frozenset[Stratum],
    period: tuple[date, date] | None,
) -> RatesTable:
    strata = [
        Rate(stratum, is_hidden=True)
        if stratum in out
        else _rate(question, stratum, counted.strata.get(stratum, Counts()))
        for stratum in _strata(question, counted)
    ]
    if () in out:
        notes = [f"There are fewer than {least} patients: the clinic shows no figures of so few."]
        return RatesTable(question, strata, Rate((), is_hidden=True), notes, slugs, least)
    notes = _notes(question, counted, period, tells_numbers=not least)
    if not least:
        notes += _on_few(question, counted.everything)
    if any(rate.is_hidden for rate in strata):
        notes.append(
            f"Strata of fewer than {least} patients are hidden, as the clinic decided, and others where their numbers"
            " could be worked out otherwise."
        )
    return RatesTable(question, strata, _rate(question, (), counted.everything), notes, slugs, least)


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
    events, total = counts.events, counts.total
    if total == 0:
        return Rate(stratum)
    clustered = cluster_robust_from_sums(*counts.sums) if question.unit != "patient" else None
    if question.interval == "cluster" and clustered:
        interval = clustered.interval
    else:
        interval = METHODS[question.interval](events, total)
    return Rate(
        stratum,
        events=events,
        total=total,
        patients=counts.patients,
        not_recorded=counts.not_recorded,
        asked=counts.asked,
        answered=counts.answered,
        silent=counts.silent,
        rate=events / total,
        interval=interval,
        clustered=clustered,
    )


def _notes(question: Question, counted: Counted, period: tuple[date, date] | None, *, tells_numbers: bool) -> list[str]:
    """What a reader must know of the numbers. Where small groups are hidden, without numbers that may be of few."""
    unit = _UNIT_WORDS[question.unit]
    counts = counted.everything
    notes = [
        f"Unit: {unit} with at least one {question.event} that began {WINDOWS[question.window]}.",
        f"Source: reactions {SOURCES[question.source]}.",
    ]
    if period:
        notes.append(f"The first of these infusions was on {period[0]}, the last on {period[1]}.")
    if counts.not_recorded and not tells_numbers:
        notes.append(f"For some {unit} nobody recorded whether there was a reaction; they count as without.")
    elif counts.not_recorded:
        looked = counts.total - counts.not_recorded
        notes.append(
            f"For {counts.not_recorded} of {counts.total} {unit} nobody recorded whether there was a reaction; they"
            f" count as without. Among the other {looked}: {counts.events}/{looked}."
        )
    if counts.silent:
        nobody = "nobody recorded" if question.window in WATCHED else "nobody said in a check-in"
        some = counts.silent if tells_numbers else "some"
        notes.append(
            f"For {some} of the {unit} without a reaction {nobody} that there was none. The bounds of silence: the rate"
            " if none of them had a reaction, and if each of them had one."
        )
    if counted.without_onset:
        infusions = "1 infusion" if counted.without_onset == 1 else f"{counted.without_onset} infusions"
        treated = "counted as events" if question.window in WITHOUT_ONSET_COUNTS else "not counted in this window"
        told = f" ({infusions})" if tells_numbers else ""
        notes.append(f"Reactions whose onset was not recorded{told} are {treated}.")
    if counted.unclear:
        infusions = "1 infusion" if counted.unclear == 1 else f"{counted.unclear} infusions"
        told = f"For {infusions}" if tells_numbers else "For some infusions"
        what = "graded a reaction" if question.min_grade is not None else "said whether a reaction was serious"
        if question.min_grade is not None and question.serious:
            what = "graded a reaction or said whether it was serious"
        notes.append(f"{told} nobody {what} that may be one: they count as without, and in the bounds of silence.")
    if "max_rate" in question.by:
        notes.append(
            "The highest rate is the highest that was reached. An infusion that was stopped for a reaction may never"
            " have reached the rate it was planned for, so low rates look worse here than they are."
        )
    if "first_infusion" in question.by:
        notes.append("First is the first that is recorded here; what was given elsewhere before is not known.")
    if question.by and question.unit != "infusion":
        notes.append(
            f"{unit.capitalize()} count once in every stratum in which they have an infusion, so strata overlap."
        )
    if question.interval == "poisson":
        notes.append(
            f"Exact Poisson takes {unit} for exposure, so its upper bound may lie above 100 %, where the chart ends."
        )
    if question.interval == "cluster":
        notes.append("Where patients show no spread, the interval is Wilson's.")
    if any(key == "premedication" or key.startswith("drug:") for key in question.by):
        notes.append(CONFOUNDING)
    return notes


def _on_few(question: Question, counts: Counts) -> list[str]:
    """What a reader must know where the figures rest on few patients. Not said where small groups are hidden."""
    units = _UNIT_WORDS[question.unit]
    notes = []
    if counts.total and not counts.events:
        notes.append(_on_none(counts, units))
    most_events = int(counts.events_of.max(initial=0))
    if most_events == counts.events > 1:
        notes.append(f"All {most_events} events are of one patient: they tell of that patient more than of a rate.")
    largest = int(counts.units_of.max(initial=0))
    if counts.patients > 1 and largest * 4 > counts.total and question.unit != "patient" and largest > 1:
        notes.append(f"One patient has {largest} of the {counts.total} {units}.")
    return notes


def _on_none(counts: Counts, units: str) -> str:
    """How often there may still be an event: where patients repeat, no spread between them shows how much that says."""
    most = percent(upper_bound_of_none(counts.total))
    if counts.patients == counts.total:
        return f"No event in {counts.total} {units}: the rate lies below {most} % with 95 % confidence (one-sided)."
    of_patients = percent(upper_bound_of_none(counts.patients))
    return (
        f"No event in {counts.total} {units}: if they were independent of each other, the rate would lie below {most} %"
        f" with 95 % confidence (one-sided). They are of {counts.patients} patients, none of whom had one: that many"
        f" alone only tell that fewer than {of_patients} % of patients have one."
    )


def as_json(table: RatesTable) -> dict[str, Any]:
    """The answer in the form that other programs read; rates are fractions at full precision."""
    question = table.question
    return {
        "unit": question.unit,
        "window": question.window,
        "interval": question.interval,
        "asked": _asked(table),
        "strata": [dict(zip(question.by, rate.stratum, strict=True)) | _numbers(rate) for rate in table.strata],
        "all": _numbers(table.all),
        "notes": table.notes,
    }


def _asked(table: RatesTable) -> dict[str, str]:
    """What the question was limited to; empty where it was not."""
    question = table.question
    return {
        "reaction": question.term,
        "min_grade": str(question.min_grade or ""),
        "serious": "yes" if question.serious else "",
        "source": question.source,
        "from": str(question.first_day or ""),
        "to": str(question.last_day or ""),
        "product": question.product,
        "clinics": " ".join(table.clinics),
    }


def as_csv(table: RatesTable) -> str:
    """One line for each stratum and one for all, with the same numbers as the JSON."""
    question = table.question
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    asked = {name: safe_cell(words) for name, words in _asked(table).items()}
    writer.writerow([*question.by, "unit", "window", "interval", *_numbers(table.all), *asked])
    for rate in [*table.strata, table.all]:
        stratum = rate.stratum or tuple("all" for _ in question.by)
        words = [safe_cell(str(value)) for value in stratum]
        numbers = ["" if number is None else number for number in _numbers(rate).values()]
        writer.writerow([*words, question.unit, question.window, question.interval, *numbers, *asked.values()])
    return output.getvalue()


def _numbers(rate: Rate) -> dict[str, Any]:
    """Every number of a stratum by its name; all of them None where it is hidden, and whether it is."""
    interval, clustered = rate.interval, rate.clustered
    # Where patients show no spread, its interval is Wilson's, which stands beside it already.
    robust = clustered.interval if clustered and clustered.design_effect is not None else None
    numbers = {
        "events": rate.events,
        "total": rate.total,
        "patients": rate.patients,
        "rate": rate.rate,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "method": interval.method if interval else None,
        "cluster_low": robust.low if robust else None,
        "cluster_high": robust.high if robust else None,
        "design_effect": clustered.design_effect if clustered else None,
        "asked": rate.asked,
        "answered": rate.answered,
        "silent": rate.silent,
        "worst": rate.worst,
    }
    return (dict.fromkeys(numbers) if rate.is_hidden else numbers) | {"hidden": rate.is_hidden}


def percent(fraction: float | None) -> str:
    """A fraction as a percentage in three significant digits, so that what is not zero never reads as zero.

    Nor what is not all as all. Below a thousandth of a percent it only says so.
    """
    if fraction is None:
        return "–"
    if fraction == 0:
        return "0"
    value = fraction * 100
    if value < 0.001:
        return "< 0.001"
    if 99.95 <= value < 100:
        return "> 99.9"
    return f"{value:.{max(0, 2 - floor(log10(value)))}f}"
