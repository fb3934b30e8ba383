"""Reading what is kept ready: the same figures as from scratch at every moment, without reading the infusions.

Rows of what is known of each infusion are kept (`facts.py`), and of the plain question their sums, for each clinic. A
patient of whom something changed bears a mark: what is kept of such a patient is left out or taken off the sums, and
worked out from scratch instead. Nothing is written here, so it is exact inside a transaction and on a database that can
only be read.

Sums, rows and marks are read by one statement, so by one view of the database: every patient is counted once, as kept
or from scratch, while others write and `keeping` tidies up.
"""

import hashlib
import json
import zoneinfo
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import cast

from django.db import connections
from django.db.models import Q

from patients.models import Clinic
from reactions.clinical.onset import LABEL_WINDOW_AFTER_END
from reactions.models import Product, RateFacts, RatesKept, StaleRates
from reactions.rates import facts
from reactions.rates.question import UNITS, Question
from reactions.rates.strata import (
    ANTIPYRETICS_AND_ANTIHISTAMINES,
    CORTICOSTEROIDS,
    Counts,
    Stratum,
    count_units,
)
from reactions.rates.sums import COMPARED, COMPARED_AT_FIRST, COMPARED_BY, UNTIMED, Figures, Sums, add
from reactions.vocabulary import PremedicationClass

# What is kept as sums: the plain question, divided in these ways.
ASKED = Question()
GROUPINGS: tuple[tuple[str, ...], ...] = (
    (),
    ("iga",),
    ("premedication",),
    ("iga", "premedication"),
    ("product",),
    ("first_infusion",),
    ("prior_reaction",),
    COMPARED_BY,
)
# Count it up when `strata` counts in another way.
RULES = 1
# With more patients than these out of date, everything is worked out from scratch. This project's own: as many as
# change in a minute of a very large service, and not more than SQLite takes in one list.
MOST_STALE = 500


@dataclass
class Summed:
    """Every stratum that has infusions, and all together, as sums over patients."""

    strata: dict[Stratum, Sums]
    everything: Sums
    without_onset: int


def summed(
    question: Question,
    groupings: Sequence[tuple[str, ...]],
    clinics: Iterable[Clinic],
    units: Collection[str] = UNITS,
) -> dict[str, list[Summed]]:
    """What `strata.count_units` counts, as sums: from what is kept where the question allows, else from scratch."""
    found = figures(question, groupings, clinics, units)
    strata: dict[tuple[str, tuple[str, ...]], dict[Stratum, Sums]] = {}
    for (unit, by, stratum), sums in found.items():
        strata.setdefault((unit, by), {})[stratum] = sums
    everything = {unit: found.get((unit, (), ()), Sums()) for unit in units}
    untimed = found.get(UNTIMED, Sums()).total
    return {unit: [Summed(strata.get((unit, by), {}), everything[unit], untimed) for by in groupings] for unit in units}


def figures(
    question: Question, groupings: Sequence[tuple[str, ...]], clinics: Iterable[Clinic], units: Collection[str] = UNITS
) -> Figures:
    """The figures of the clinics as they are now, also without any grouping."""
    clinics, every = list(clinics), list(dict.fromkeys([(), *groupings]))
    if not clinics or not facts.can_tell(question, every) or not is_ready() or _too_many_are_marked():
        return from_scratch(question, every, clinics, units)
    marked = Q(patient__in=StaleRates.objects.order_by().values("patient"))
    if are_sums_kept(question, every):
        # Few rows: those of marked patients, whose share is in the sums.
        ids = [clinic.pk for clinic in clinics]
        read = facts.add_up([RateFacts.objects.filter(marked, clinic__in=ids)], every, units, ids)
        others = set(UNITS).difference(units)
        found = {key: sums for key, sums in read.kept.items() if key[1] in every and key[0] not in others}
        add(found, read.of_rows, -1)
    else:
        read = facts.add_up([rows.exclude(marked) for rows in facts.rows_of(question, clinics)], every, units)
        found = read.of_rows
    found = _with_names(found)
    if read.marked:
        add(found, from_scratch(question, every, clinics, units, read.marked))
    return found


def _with_names(found: Figures) -> Figures:
    """With names of products in the place of their numbers."""
    if not any("product" in by for _, by, _ in found):
        return found
    names = dict(Product.objects.order_by().values_list("pk", "name"))
    return {
        (
            unit,
            by,
            tuple(
                names[cast(int, value)] if key == "product" else value for key, value in zip(by, stratum, strict=False)
            ),
        )
        if "product" in by
        else (unit, by, stratum): sums
        for (unit, by, stratum), sums in found.items()
    }


def from_scratch(
    question: Question,
    groupings: Sequence[tuple[str, ...]],
    clinics: Iterable[Clinic],
    units: Collection[str] = UNITS,
    patients: Collection[int] | None = None,
) -> Figures:
    """The plain reference: every infusion is read, of these patients alone where some are given. Two queries."""
    found: Figures = {}
    for unit, counted in count_units(question, groupings, clinics, units, patients).items():
        for by, one in zip(groupings, counted, strict=True):
            found |= {(unit, by, stratum): counts.sums() for stratum, counts in one.strata.items()}
            if by == COMPARED_BY and unit == "infusion":
                found |= _of_both(COMPARED, one.strata)
                found |= _of_both(COMPARED_AT_FIRST, {key: held for key, held in one.strata.items() if key[2]})
        found[UNTIMED] = Sums(total=counted[0].without_onset)
    return {key: sums for key, sums in found.items() if any(sums)}


def _of_both(unit: str, strata: dict[Stratum, Counts]) -> Figures:
    """How many patients have so many events of so many infusions with premedication, and without."""
    tables: dict[int, list[int]] = {}
    for (premedication, *_), counts in strata.items():
        if premedication == PremedicationClass.NOT_RECORDED:
            continue
        side = 2 if premedication == PremedicationClass.NONE else 0
        for patient, (events, total) in counts.by_patient.items():
            table = tables.setdefault(patient, [0, 0, 0, 0])
            table[side] += events
            table[side + 1] += total
    return {
        (unit, COMPARED_BY, table): Sums(patients=number)
        for table, number in Counter(map(tuple, tables.values())).items()
    }


def are_sums_kept(question: Question, groupings: Iterable[tuple[str, ...]]) -> bool:
    """The question limits nothing and the ways to divide it are among those of which sums are kept."""
    plain = replace(question, by=(), unit=ASKED.unit, interval=ASKED.interval)
    return plain == ASKED and set(groupings) <= set(GROUPINGS)


def _too_many_are_marked() -> bool:
    return len(StaleRates.objects.order_by().values("patient").distinct()[: MOST_STALE + 1]) > MOST_STALE


def is_ready(using: str = "default") -> bool:
    """What is kept was made by the rules of this process."""
    kept = RatesKept.objects.using(using).values_list("fingerprint", flat=True).first()
    return kept == fingerprint(using)


def fingerprint(using: str = "default") -> str:
    """Tells the rules by which figures are made from others: what is not in a row and makes kept figures wrong.

    The groups of drugs, the window of the label, the rules of time zones, of this process and of PostgreSQL, which
    brings its own, and what is kept at all.
    """
    return _digest(getattr(connections[using], "pg_version", 0))


@lru_cache(maxsize=4)
def _digest(server: int) -> str:
    hours = LABEL_WINDOW_AFTER_END.total_seconds() / 3600
    drugs = [sorted(CORTICOSTEROIDS), sorted(ANTIPYRETICS_AND_ANTIHISTAMINES)]
    rules = [RULES, facts.COLUMNS, facts.CODES, GROUPINGS, UNITS, drugs, hours, _time_zones(), server]
    return hashlib.sha256(json.dumps(rules).encode()).hexdigest()[:32]


def _time_zones() -> str:
    """Which version of the time zone database Python reads; empty where it does not say."""
    for folder in zoneinfo.TZPATH:
        with suppress(OSError), (Path(folder) / "tzdata.zi").open(encoding="utf-8") as file:
            return file.readline().strip()
    try:
        return metadata.version("tzdata")
    except metadata.PackageNotFoundError:
        return ""
