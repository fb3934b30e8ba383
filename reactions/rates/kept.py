"""Reading what is kept ready: the same figures as from scratch at every moment, without reading the infusions.

Sums of each clinic are kept (reactions/models/rates.py), and what each patient adds to them. A patient of whom
something changed bears a mark: what is kept of such a patient is taken off the sums, and worked out from scratch
instead. Nothing is written here, so it is exact inside a transaction and on a database that can only be read.

A question that is limited by days or to a product is answered from rows of what is known of each infusion (`facts.py`),
in the same manner.

Sums, marks and what the marked patients add are read by one statement, so by one view of the database: every patient is
counted once, as kept or from scratch, while others write and `keeping` tidies up.
"""

import hashlib
import json
import zoneinfo
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from django.db import connections
from django.db.models import BigIntegerField, Q, TextField, Value

from patients.models import Clinic
from reactions.clinical.onset import LABEL_WINDOW_AFTER_END
from reactions.models import RatesKept, RateSums, StaleRates
from reactions.rates import facts
from reactions.rates.question import UNITS, Question
from reactions.rates.strata import (
    ANTIPYRETICS_AND_ANTIHISTAMINES,
    CORTICOSTEROIDS,
    Counts,
    Stratum,
    Units,
    count_units,
    counts_of,
    divide,
)
from reactions.rates.sums import UNTIMED, Figures, Sums, add, unpack

# What is kept: the plain question, divided in these ways.
ASKED = Question()
GROUPINGS: tuple[tuple[str, ...], ...] = (
    (),
    ("iga",),
    ("premedication",),
    ("iga", "premedication"),
    ("product",),
    ("first_infusion",),
    ("prior_reaction",),
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
    clinics = list(clinics)
    figures = None
    if can_be_kept(question, groupings):
        figures = figures_kept(clinics)
    elif facts.can_tell(question, groupings):
        figures = figures_of_facts(question, groupings, clinics, units)
    if figures is None:
        return summed_from_scratch(question, groupings, clinics, units)
    found: dict[str, list[Summed]] = {unit: [] for unit in units}
    for unit in units:
        everything = figures.get((unit, (), ()), Sums())
        for by in groupings:
            strata = {key[2]: sums for key, sums in figures.items() if key[:2] == (unit, by)}
            found[unit].append(Summed(strata, everything, figures.get(UNTIMED, Sums()).total))
    return found


def summed_from_scratch(
    question: Question,
    groupings: Sequence[tuple[str, ...]],
    clinics: Iterable[Clinic],
    units: Collection[str] = UNITS,
) -> dict[str, list[Summed]]:
    """The plain reference: every infusion is read."""
    return {
        unit: [
            Summed(
                {stratum: counts.sums() for stratum, counts in one.strata.items()},
                one.everything.sums(),
                one.without_onset,
            )
            for one in counted
        ]
        for unit, counted in count_units(question, groupings, clinics, units).items()
    }


def can_be_kept(question: Question, groupings: Iterable[tuple[str, ...]]) -> bool:
    """The question limits nothing and the ways to divide it are among those that are kept."""
    plain = replace(question, by=(), unit=ASKED.unit, interval=ASKED.interval)
    return plain == ASKED and set(groupings) <= set(GROUPINGS)


def figures_kept(clinics: Sequence[Clinic]) -> Figures | None:
    """The figures of the clinics as they are now; None where they have to be worked out from scratch."""
    if not is_ready():
        return None
    marked = StaleRates.objects.order_by().values("patient")
    if _too_many_are_marked():
        return None
    own = RateSums.objects.filter(Q(patient=None) | Q(patient__in=marked), clinic__in=[clinic.pk for clinic in clinics])
    nothing = (Value(0, BigIntegerField()), Value("", TextField()))
    rows = own.order_by().values_list("patient_id", "clinic_id", "figures")
    figures: Figures = {}
    stale = set()
    for patient, _, packed in rows.union(StaleRates.objects.order_by().values_list("patient_id", *nothing), all=True):
        if not packed:
            stale.add(patient)
        else:
            add(figures, unpack(packed), 1 if patient is None else -1)
    if stale:
        for more in figures_from_scratch(stale, clinics).values():
            add(figures, more)
    return figures


def figures_of_facts(
    question: Question, groupings: Sequence[tuple[str, ...]], clinics: Sequence[Clinic], units: Collection[str]
) -> Figures | None:
    """The figures of a question with limits, as they are now; None where they have to be worked out from scratch."""
    if not is_ready() or _too_many_are_marked():
        return None
    every = list(dict.fromkeys([(), *groupings]))
    figures, stale = facts.add_up(question, every, clinics, units)
    if stale:
        for more in figures_from_scratch(stale, clinics, question, every, units).values():
            add(figures, more)
    return figures


def by_patient(question: Question, clinics: Iterable[Clinic]) -> dict[Stratum, Counts]:
    """`by_patient` of each stratum's Counts, per infusion; nothing else of them is filled in.

    For comparisons within patients, which sums cannot tell.
    """
    clinics = list(clinics)
    if not facts.can_tell(question, [question.by]) or not is_ready() or _too_many_are_marked():
        return count_units(question, [question.by], clinics, ["infusion"])["infusion"][0].strata
    # Read first: of whoever is not among them the rows are right, be they kept anew meanwhile or not.
    marked = set(StaleRates.objects.order_by().values_list("patient_id", flat=True).distinct())
    strata: dict[Stratum, Counts] = defaultdict(Counts)
    for patient, stratum, events, total in facts.cells(question, clinics, marked):
        strata[stratum].by_patient[patient] = [events, total]
    if marked:
        [divided] = divide(question, [question.by], clinics, ["infusion"], marked).strata["infusion"]
        for stratum, members in divided.items():
            for patient, counts in _by_patient(members):
                strata[stratum].by_patient[patient] = counts.by_patient[patient]
    return dict(strata)


def figures_from_scratch(
    patients: Collection[int],
    clinics: Iterable[Clinic],
    question: Question = ASKED,
    groupings: Sequence[tuple[str, ...]] = GROUPINGS,
    units: Collection[str] = UNITS,
) -> dict[int, Figures]:
    """What each of the patients adds to the figures of the clinics; those without infusions that count are left out.

    Two queries. At most a few hundred patients at once.
    """
    divided = divide(question, groupings, clinics, units, patients)
    found: dict[int, Figures] = defaultdict(dict)
    for unit in units:
        for by, strata in zip(groupings, divided.strata[unit], strict=True):
            for stratum, members in strata.items():
                for patient, counts in _by_patient(members):
                    found[patient][unit, by, stratum] = counts.sums()
    for patient, number in Counter(divided.untimed.order_by().values_list("patient_id", flat=True)).items():
        found[patient][UNTIMED] = Sums(total=number)
    return dict(found)


def _too_many_are_marked() -> bool:
    return len(StaleRates.objects.order_by().values("patient").distinct()[: MOST_STALE + 1]) > MOST_STALE


def _by_patient(members: Units) -> Iterator[tuple[int, Counts]]:
    own: dict[int, Units] = defaultdict(dict)
    for (patient, number), bits in members.items():
        own[patient][patient, number] = bits
    for patient, units in own.items():
        yield patient, counts_of(ASKED, units)


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
    rules = [RULES, GROUPINGS, UNITS, drugs, hours, _time_zones(), server]
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
