"""From columns to strata: how many infusions, courses and patients, and how many of them with a reaction. No database.

Signatures
    count_units(blocks, groupings, units) -> {unit: [Counted of each grouping]}
    together(several) -> Counts                      strata added up, patient by patient
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np

from reactions.rates.columns import (
    ANSWERED,
    ASKED,
    DENSE,
    LOOKED,
    LOOSE,
    REACTED,
    SILENT,
    UNCLEAR,
    UNTIMED,
    Chosen,
    Columns,
    Key,
    Numbers,
    distinct,
)
from reactions.rates.question import UNITS

Stratum = tuple[object, ...]
# How many numbers the bits of what is known can make.
BITS = 2 * UNCLEAR
_KNOWN = np.arange(BITS)
_TOLD: dict[str, Chosen] = {
    "not_recorded": (_KNOWN & LOOKED) == 0,
    "asked": (_KNOWN & ASKED) != 0,
    "answered": (_KNOWN & ANSWERED) != 0,
    "silent": ((_KNOWN & SILENT) != 0) & ((_KNOWN & REACTED) == 0),
}
# Up to so many combinations of values have a place of their own, whether they occur or not.
FEW = 1_000


def _nobody() -> Numbers:
    return np.array([], dtype=np.int64)


@dataclass(frozen=True)
class Counts:
    """What was counted in one stratum: of each of its patients, units with an event, and units."""

    patient: Numbers = field(default_factory=_nobody)
    events_of: Numbers = field(default_factory=_nobody)
    units_of: Numbers = field(default_factory=_nobody)
    # Units of which nobody wrote down whether there was a reaction.
    not_recorded: int = 0
    # Units whose course a check-in asked about, and those of them that a patient answered.
    asked: int = 0
    answered: int = 0
    # Units without an event, with an infusion of which nobody said that there was none: who watched in the windows in
    # which somebody of the clinic is there, the patient in the others. A problem that a patient told and about which
    # nobody has decided is no “none”.
    silent: int = 0

    @property
    def patients(self) -> int:
        return len(self.patient)

    @cached_property
    def events(self) -> int:
        return int(self.events_of.sum())

    @cached_property
    def total(self) -> int:
        return int(self.units_of.sum())

    @property
    def sums(self) -> tuple[int, int, int, int, int, int]:
        """k, Σx, Σn, Σx², Σxn and Σn² over the k patients with x events in n units each."""
        x, n = self.events_of, self.units_of
        return self.patients, self.events, self.total, int(x @ x), int(x @ n), int(n @ n)


@dataclass(frozen=True)
class Counted:
    """Every stratum that has infusions, and all together. `without_onset`, `unclear`: of infusions in any unit."""

    strata: dict[Stratum, Counts]
    everything: Counts
    without_onset: int
    unclear: int = 0


def count_units(
    blocks: Sequence[Columns], groupings: Sequence[tuple[str, ...]], units: Collection[str] = UNITS
) -> dict[str, list[Counted]]:
    """Count several units, each divided by each of the groupings, as a table and its margins.

    Each block has patients of its own. A course or a patient counts once in every stratum in which it has an infusion,
    and as an event there when one of those infusions has one.
    """
    without_onset, unclear = (
        sum(int(np.count_nonzero(block.known & bit)) for block in blocks) for bit in (UNTIMED, UNCLEAR)
    )
    found: dict[tuple[str, tuple[str, ...]], dict[Stratum, list[Counts]]] = {
        (unit, by): defaultdict(list) for unit in units for by in [(), *groupings]
    }
    for block in blocks:
        rows = _Rows(block)
        for (unit, by), strata in found.items():
            for stratum, counts in rows.divided(by, unit):
                strata[stratum].append(counts)
    whole = {asked: {stratum: _whole(parts) for stratum, parts in strata.items()} for asked, strata in found.items()}
    return {
        unit: [Counted(whole[unit, by], whole[unit, ()].get((), Counts()), without_onset, unclear) for by in groupings]
        for unit in units
    }


def _whole(parts: Sequence[Counts]) -> Counts:
    """One stratum of all blocks."""
    if len(parts) == 1:
        return parts[0]
    told = {name: sum(getattr(part, name) for part in parts) for name in _TOLD}
    return Counts(
        np.concatenate([part.patient for part in parts]),
        np.concatenate([part.events_of for part in parts]),
        np.concatenate([part.units_of for part in parts]),
        **told,
    )


class _Rows:
    """The columns, with patients and courses numbered from 0 on."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.patients, self.patient = distinct(columns.patient)

    @cached_property
    def courses(self) -> tuple[int, Numbers]:
        """How many courses there are, and each infusion's. One that two patients had is a course of each."""
        courses, course = distinct(self.columns.course)
        owner = np.zeros(len(courses), dtype=np.int64)
        owner[course] = self.patient
        if not np.array_equal(owner[course], self.patient):
            pairs = self.patient.astype(np.int64) * len(courses) + course
            courses, course = np.unique(pairs, return_inverse=True)
        return len(courses), course

    def divided(self, by: tuple[str, ...], unit: str) -> Iterator[tuple[Stratum, Counts]]:
        """Each stratum that has infusions, and what is counted there."""
        keys = [self.columns.keys[name] for name in by]
        code: Numbers = np.zeros(len(self.columns), dtype=np.int64)
        for key in keys:
            code = code * len(key.values) + key.places
        codes, cell = _few(code, prod(len(key.values) for key in keys))
        patient, known = self.patient, self.columns.known
        if unit != "infusion":
            number_of, member = (len(self.patients), patient) if unit == "patient" else self.courses
            members, place = distinct(cell * np.int64(number_of) + member)
            known = _any_of(known, place, len(members))
            cell, owner = members // max(1, number_of), np.empty(len(members), dtype=np.int64)
            owner[place] = patient
            patient = owner
        # In each cell, how many units there are of which the same is known.
        alike = np.bincount(cell * BITS + known, minlength=len(codes) * BITS).reshape(len(codes), BITS)
        told = {name: alike[:, so].sum(axis=1) for name, so in _TOLD.items()}
        pairs, events_of, units_of = _tally(
            cell * np.int64(len(self.patients)) + patient, known, len(codes) * len(self.patients)
        )
        ends = np.searchsorted(pairs, np.arange(len(codes) + 1) * len(self.patients))
        ids = self.patients[pairs % max(1, len(self.patients))]
        for number, code_here in enumerate(codes.tolist()):
            own = slice(ends[number], ends[number + 1])
            if own.start < own.stop:
                counts = {name: int(numbers[number]) for name, numbers in told.items()}
                yield _values(code_here, keys), Counts(ids[own], events_of[own], units_of[own], **counts)


def _few(code: Numbers, span: int) -> tuple[Numbers, Numbers]:
    """Codes below `span`, those that there are or all, and of each place which of them it has."""
    return (np.arange(span), code) if span <= FEW else distinct(code)


def _tally(pairs: Numbers, known: Numbers, span: int) -> tuple[Numbers, Numbers, Numbers]:
    """The different pairs in their order, which are below `span`, and of each how many have an event, and how many."""
    reacted = (known & REACTED) != 0
    if span > LOOSE + DENSE * len(pairs):
        found, place = np.unique(pairs, return_inverse=True)
        return found, np.bincount(place[reacted], minlength=len(found)), np.bincount(place, minlength=len(found))
    units = np.bincount(pairs, minlength=span)
    found = np.flatnonzero(units)
    return found, np.bincount(pairs[reacted], minlength=span)[found], units[found]


def _any_of(known: Numbers, place: Numbers, members: int) -> Numbers:
    """What is known of the members: each bit that one of their infusions has."""
    found = np.zeros(members, dtype=np.int64)
    for bit in (REACTED, LOOKED, ASKED, ANSWERED, SILENT):
        there = np.zeros(members, dtype=np.bool_)
        there[place[(known & bit) != 0]] = True
        found |= there * bit
    return found


def _values(code: int, keys: Sequence[Key]) -> Stratum:
    values: list[object] = []
    for key in reversed(keys):
        code, place = divmod(code, len(key.values))
        values.insert(0, key.values[place])
    return tuple(values)


def together(several: Iterable[Counts]) -> Counts:
    """Strata added up; a patient's units of all of them count together. Of what else was counted nothing is told."""
    parts = list(several)
    if not parts:
        return Counts()
    patients, place = distinct(np.concatenate([part.patient for part in parts]))
    events_of, units_of = np.zeros(len(patients), dtype=np.int64), np.zeros(len(patients), dtype=np.int64)
    np.add.at(events_of, place, np.concatenate([part.events_of for part in parts]))
    np.add.at(units_of, place, np.concatenate([part.units_of for part in parts]))
    return Counts(patients, events_of, units_of)
