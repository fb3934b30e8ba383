"""What counts of infusions, column by column: numpy arrays of one length, with a place for each infusion. No database.

Signatures
    Columns(patient, course, known, keys, started)
    Columns.where(chosen) -> Columns                 those infusions alone
    joined(parts, keys) -> Columns                   one after the other
    of_rows(rows, keys) -> Columns                   from (patient, course, started, known, values …) of each infusion
    distinct(numbers) -> (numbers, places)           the numbers that occur, and of each place which of them it has
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What is known of an infusion, as bits: it had an event; somebody of the clinic watched; a check-in about its course
# left; the patient answered one; nobody said that there was none; it had a matching reaction without an onset.
REACTED, LOOKED, ASKED, ANSWERED, SILENT, UNTIMED = 1, 2, 4, 8, 16, 32

Numbers = NDArray[np.integer[Any]]
Chosen = NDArray[np.bool_]


def nothing() -> Numbers:
    """A column of no infusion."""
    return np.array([], dtype=np.int64)


@dataclass(frozen=True)
class Key:
    """By what infusions are divided: the values there are, and of each infusion the place of its own among them."""

    values: tuple[object, ...]
    places: Numbers


@dataclass(frozen=True)
class Columns:
    """Of each infusion: its patient, its course, what is known of it, and its keys.

    `started` is the second of its start since 1970; nothing at all where nobody asks.
    """

    patient: Numbers
    course: Numbers
    known: Numbers
    keys: Mapping[str, Key]
    started: Numbers = field(default_factory=nothing)

    def __len__(self) -> int:
        return len(self.patient)

    def where(self, chosen: Chosen) -> "Columns":
        keys = {name: Key(key.values, key.places[chosen]) for name, key in self.keys.items()}
        started = self.started[chosen] if len(self.started) else nothing()
        return Columns(self.patient[chosen], self.course[chosen], self.known[chosen], keys, started)


def of_rows(rows: Iterable[Sequence[Any]], keys: Sequence[str]) -> Columns:
    """Columns of rows (patient, course, second of the start, what is known, values of the keys …)."""
    numbers: list[tuple[int, ...]] = []
    found: list[dict[object, int]] = [{} for _ in keys]
    for patient, course, started, known, *values in rows:
        places = [seen.setdefault(value, len(seen)) for seen, value in zip(found, values, strict=True)]
        numbers.append((patient, course, started, known, *places))
    patients, courses, starts, bits, *divided = np.array(numbers, dtype=np.int64).reshape(-1, 4 + len(keys)).T
    named = {key: Key(tuple(seen), places) for key, seen, places in zip(keys, found, divided, strict=True)}
    return Columns(patients, courses, bits, named, starts)


def joined(parts: Sequence[Columns], keys: Sequence[str]) -> Columns:
    """All infusions of the parts, which are different ones, divided by these of their keys."""
    return Columns(
        np.concatenate([nothing(), *(part.patient for part in parts)]),
        np.concatenate([nothing(), *(part.course for part in parts)]),
        np.concatenate([nothing(), *(part.known for part in parts)]),
        {key: _joined_key([part.keys[key] for part in parts]) for key in keys},
        np.concatenate([nothing(), *(part.started for part in parts)]),
    )


def _joined_key(keys: Sequence[Key]) -> Key:
    values: dict[object, int] = {}
    places: list[Numbers] = [np.array([], dtype=np.int32)]
    for key in keys:
        new = np.array([values.setdefault(value, len(values)) for value in key.values], dtype=np.int32)
        places.append(new[key.places])
    return Key(tuple(values), np.concatenate(places))


def distinct(numbers: Numbers) -> tuple[Numbers, Numbers]:
    """The different numbers in their order, and of each place which of them stands there.

    Numbers are whole and not below 0. Where they lie close together they are found by counting instead of sorting.
    """
    span = int(numbers.max()) + 1 if len(numbers) else 0
    if span > 1_000 + 32 * len(numbers):
        found, places = np.unique(numbers, return_inverse=True)
        return found, places
    there = np.zeros(span, dtype=np.bool_)
    there[numbers] = True
    places_of = np.cumsum(there, dtype=np.int32) - 1
    return np.flatnonzero(there), places_of[numbers]
