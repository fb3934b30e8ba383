"""What a rate and its cluster-robust interval need of many patients, in whole numbers that add up over patients. Pure.

Signatures
    add(figures, more, sign=1)      adds more to the figures in place, or takes it away with sign −1
    pack(figures) -> str            text for a row
    unpack(text) -> Figures         what `pack` wrote

Sums over strata do not give those of their margin: a patient counts once in each stratum with infusions there. So each
grouping has sums of its own.
"""

import json
from typing import NamedTuple


class Sums(NamedTuple):
    """Of patients, each with x units with an event among its n units: k, Σx, Σn, Σx², Σxn, Σn².

    And units: of which nobody wrote down whether there was a reaction, asked about, answered, silent, as in
    `strata.Counts`.
    """

    patients: int = 0
    events: int = 0
    total: int = 0
    events_squared: int = 0
    events_by_total: int = 0
    total_squared: int = 0
    not_recorded: int = 0
    asked: int = 0
    answered: int = 0
    silent: int = 0

    @property
    def effective_patients(self) -> float:
        """(Σn)²/Σn²: how many patients with equally many units would weigh as much (Kish, Survey Sampling 1965)."""
        return self.total**2 / self.total_squared if self.total else 0.0


NOTHING = Sums()

# The unit, the keys, and their values.
Key = tuple[str, tuple[str, ...], tuple[object, ...]]
Figures = dict[Key, Sums]

# Under this key stands, as `total`, how many infusions have a reaction without an onset.
UNTIMED: Key = ("untimed", (), ())
# With this grouping stands, under these units and (a, n1, c, n0), how many `patients` have a events among n1 infusions
# with premedication and c among n0 without: of all their infusions, and of first infusions.
COMPARED_BY = ("premedication", "prior_reaction", "first_infusion")
COMPARED, COMPARED_AT_FIRST = "compared", "compared at first"


def add(figures: Figures, more: Figures, sign: int = 1) -> None:
    """Add `more` to the figures; what comes to nothing is left out."""
    for key, sums in more.items():
        there = figures.get(key, NOTHING)
        now = Sums._make([one + sign * other for one, other in zip(there, sums, strict=True)])
        if now == NOTHING:
            figures.pop(key, None)
        else:
            figures[key] = now


def pack(figures: Figures) -> str:
    """The figures as JSON, in an order of its own, so that the same figures are the same text."""
    return json.dumps(sorted((list(map(_listed, key)), list(sums)) for key, sums in figures.items()))


def unpack(text: str) -> Figures:
    """The figures that `pack` wrote."""
    return {(unit, tuple(by), tuple(stratum)): Sums(*sums) for (unit, by, stratum), sums in json.loads(text)}


def _listed(part: object) -> object:
    return list(part) if isinstance(part, tuple) else part
