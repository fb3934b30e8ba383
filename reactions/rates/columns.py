"""What counts of infusions, column by column: numpy arrays of one length, with a place for each infusion. No database.

Signatures
    Columns(numbers, keys)
    Columns.where(chosen) -> Columns                 those infusions alone
    Columns.only(names) -> Columns                   these columns, and all keys
    Columns.newest(places) -> Columns                those at these places, by start from the newest on
    Columns.in_stratum(stratum) -> Chosen            which of them have these values of the keys
    joined(parts) -> Columns                         one after the other
    in_blocks(groups) -> [Columns]                   the same infusions, some at a time, each patient in one block
    of_rows(rows, keys) -> Columns                   from what is known of each infusion and its values of the keys
    distinct(numbers) -> (numbers, places)           the numbers that occur, and of each place which of them it has
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What is known of an infusion, as bits: it had an event; somebody of the clinic watched; a check-in about its course
# left; the patient answered one; nobody said that there was none; it had a matching reaction without an onset; it had
# no event, but a reaction of which nobody said whether it is one.
REACTED, LOOKED, ASKED, ANSWERED, SILENT, UNTIMED, UNCLEAR = 1, 2, 4, 8, 16, 32, 64
# What there is of each infusion beside its keys: its number, its patient, its course, the second of its start since
# 1970, and what is known of it.
OF_INFUSION = ("infusion", "patient", "course", "started", "known")
# What counting needs of them.
COUNTED = ("patient", "course", "started", "known")

Numbers = NDArray[np.integer[Any]]
Chosen = NDArray[np.bool_]


@dataclass(frozen=True)
class Key:
    """By what infusions are divided: the values there are, and of each infusion the place of its own among them."""

    values: tuple[object, ...]
    places: Numbers

    def has(self, wanted: object) -> Chosen:
        """Which infusions have the value."""
        return np.array([value == wanted for value in self.values], dtype=np.bool_)[self.places]


@dataclass(frozen=True)
class Columns:
    """The columns of OF_INFUSION, or those of them that were asked for, and the keys in the order asked for."""

    numbers: Mapping[str, Numbers]
    keys: Mapping[str, Key]

    def __len__(self) -> int:
        return len(self.patient)

    @property
    def patient(self) -> Numbers:
        return self.numbers["patient"]

    @property
    def course(self) -> Numbers:
        return self.numbers["course"]

    @property
    def known(self) -> Numbers:
        return self.numbers["known"]

    @property
    def started(self) -> Numbers:
        return self.numbers["started"]

    def where(self, chosen: Chosen | Numbers | slice) -> "Columns":
        """The chosen infusions alone, or those at these places, in their order."""
        return Columns(
            {name: column[chosen] for name, column in self.numbers.items()},
            {name: Key(key.values, key.places[chosen]) for name, key in self.keys.items()},
        )

    def only(self, names: Collection[str]) -> "Columns":
        """These of the columns, and all keys."""
        return Columns({name: self.numbers[name] for name in names}, self.keys)

    def in_stratum(self, stratum: Sequence[object]) -> Chosen:
        """Which infusions have these values of the keys, in their order."""
        chosen = np.ones(len(self), dtype=np.bool_)
        for key, wanted in zip(self.keys.values(), stratum, strict=True):
            chosen &= key.has(wanted)
        return chosen

    def newest(self, places: range) -> "Columns":
        """Those at these places when the newest is the first: by the second of start, and of one second by number."""
        among = np.arange(len(self))
        if 0 < places.stop < len(self):
            earliest = -places.stop
            among = np.flatnonzero(self.started >= np.partition(self.started, earliest)[earliest])
        order = np.lexsort((self.numbers["infusion"][among], self.started[among]))[::-1]
        return self.where(among[order[places.start : places.stop]])


def of_rows(rows: Iterable[Sequence[Any]], keys: Sequence[str]) -> Columns:
    """Columns of rows with what OF_INFUSION names, in its order, and then the values of the keys."""
    own = len(OF_INFUSION)
    numbers: list[tuple[int, ...]] = []
    found: list[dict[object, int]] = [{} for _ in keys]
    for row in rows:
        places = [seen.setdefault(value, len(seen)) for seen, value in zip(found, row[own:], strict=True)]
        numbers.append((*row[:own], *places))
    columns = np.array(numbers, dtype=np.int64).reshape(-1, own + len(keys)).T
    return Columns(
        dict(zip(OF_INFUSION, columns[:own], strict=True)),
        {key: Key(tuple(seen), places) for key, seen, places in zip(keys, found, columns[own:], strict=True)},
    )


def joined(parts: Sequence[Columns]) -> Columns:
    """All infusions of the parts, at least one, which are different ones with the same columns and keys."""
    if len(parts) == 1:
        return parts[0]
    return Columns(
        {name: np.concatenate([part.numbers[name] for part in parts]) for name in parts[0].numbers},
        {key: _joined_key([part.keys[key] for part in parts]) for key in parts[0].keys},
    )


def _joined_key(keys: Sequence[Key]) -> Key:
    if len({key.values for key in keys}) == 1:
        return Key(keys[0].values, np.concatenate([key.places for key in keys]))
    values: dict[object, int] = {}
    places = []
    for key in keys:
        new = np.array([values.setdefault(value, len(values)) for value in key.values], dtype=np.int32)
        places.append(new[key.places])
    return Key(tuple(values), np.concatenate(places))


# Infusions in one block, about: the arrays of a count then stay in a processor's cache, so that ten times the infusions
# take ten times as long, not more.
BLOCK = 1 << 17
# Every so manieth infusion tells where the patients of a block end.
SAMPLED = 64


def in_blocks(groups: Iterable[Sequence[Columns]], size: int = BLOCK) -> list[Columns]:
    """All infusions in blocks of about `size`, each with patients of its own: each is counted alone.

    Groups have patients of their own too. The parts of a group may share theirs, and have them in rising order.
    """
    blocks, small, waiting = [], list[Columns](), 0
    for parts in groups:
        infusions = sum(len(part) for part in parts)
        if infusions > size:
            blocks += _cut(parts, -(-infusions // size))
            continue
        small, waiting = [*small, *parts], waiting + infusions
        if waiting >= size:
            blocks, small, waiting = [*blocks, joined(small)], [], 0
    return [*blocks, joined(small)] if waiting else blocks


def _cut(parts: Sequence[Columns], count: int) -> list[Columns]:
    """About so many blocks of the parts, none of them empty."""
    sample = np.sort(np.concatenate([part.patient[::SAMPLED] for part in parts]))
    edges = np.unique(sample[np.arange(1, count) * len(sample) // count])
    ends = [[0, *np.searchsorted(part.patient, edges).tolist(), len(part)] for part in parts]
    slices = ([slice(*end[number : number + 2]) for end in ends] for number in range(len(edges) + 1))
    blocks = (
        [part.where(own) for part, own in zip(parts, chosen, strict=True) if own.start < own.stop] for chosen in slices
    )
    return [joined(block) for block in blocks if block]


# Numbers are found by counting up to so many of them, or up to so many times as many as there are places.
LOOSE, DENSE = 1_000, 16


def distinct(numbers: Numbers) -> tuple[Numbers, Numbers]:
    """The different whole numbers in their order, and of each place which of them stands there.

    Where they lie close together they are found by counting instead of sorting.
    """
    lowest = int(numbers.min()) if len(numbers) else 0
    span = int(numbers.max()) - lowest + 1 if len(numbers) else 0
    if span > LOOSE + DENSE * len(numbers):
        found, places = np.unique(numbers, return_inverse=True)
        return found, places
    there = np.zeros(span, dtype=np.bool_)
    offsets = numbers - lowest
    there[offsets] = True
    places_of = np.cumsum(there, dtype=np.int32) - 1
    return np.flatnonzero(there) + lowest, places_of[offsets]
