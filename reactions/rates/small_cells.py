"""Which strata are not shown, so that no small group can be told apart. Pure; scipy is loaded when first needed.

Signatures
    hidden(cells, sums, least) -> frozenset      the keys of the cells to hide

A cell is a stratum: (infusions with a reaction, infusions, patients). Those of fewer than `least` patients are hidden,
empty ones among them: an empty cell that is told apart would say more of its neighbours. A reader knows the shown cells
and the sums that are shown beside them, and may subtract. What such a reader can work out of a hidden cell is the range
that a linear program finds; while a small cell's range is narrow, further cells are hidden, the smallest first.

Infusions add up over strata. Courses and patients do not (one may count in several), so that nothing can be subtracted
from their totals; they are hidden with the infusions of their stratum.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Cell:
    """One stratum: infusions with a reaction, infusions, and patients."""

    events: int
    total: int
    patients: int


# What a reader sees beside the cells: which of them add up to which events and infusions.
Sum = tuple[Sequence[Key], Cell]


def hidden(cells: Mapping[Key, Cell], sums: Sequence[Sum[Key]], least: int) -> frozenset[Key]:
    """The keys that are not shown, where `sums` are shown. None when `least` is 0 or no cell is small.

    Every small cell that has infusions keeps a range of at least `least` infusions for whoever subtracts, and one that
    has events a range of one event; where no hiding gives it that, all cells are hidden.
    """
    small = {key for key, cell in cells.items() if cell.patients < least}
    if not small:
        return frozenset()
    out = set(small)
    # What is hidden besides takes nothing from what is hidden enough already.
    for key in cells:
        while key in small and cells[key].total and _Knowledge(cells, sums, out).tells(key, least):
            more = _next_to_hide(key, cells, sums, out)
            if more is None:
                break
            out.add(more)
    return frozenset(out)


def _next_to_hide(key: Key, cells: Mapping[Key, Cell], sums: Sequence[Sum[Key]], out: set[Key]) -> Key | None:
    """The shown cell that gives most lonely cells company, the smallest of these; None if none is left.

    A hidden cell that is alone in a sum is told by subtraction. Where none is alone, the smallest cell that shares a
    sum with the key, the shortest sum first.
    """
    alone = [set(keys) for keys, _ in sums if len(out.intersection(keys)) == 1]
    company = {other: sum(other in line for line in alone) for other in cells if other not in out}
    if any(company.values()):
        return min(company, key=lambda other: (-company[other], cells[other].total))
    beside = [[other for other in keys if other not in out] for keys, _ in sums if key in keys]
    nearest = min((others for others in beside if others), key=len, default=[])
    shown = nearest or [other for other in cells if other not in out]
    return min(shown, key=lambda other: cells[other].total, default=None)


class _Knowledge(Generic[Key]):
    """What the shown cells and sums say of the hidden ones: linear equations over infusions and events."""

    def __init__(self, cells: Mapping[Key, Cell], sums: Sequence[Sum[Key]], out: set[Key]) -> None:
        self.cells = cells
        self.places = {key: place for place, key in enumerate(key for key in cells if key in out)}
        self.rows: list[list[float]] = []
        self.values: list[float] = []
        width = len(self.places)
        for keys, cell in sums:
            shown = [cells[key] for key in keys if key not in out]
            row = [0.0] * width
            for key in keys:
                if key in out:
                    row[self.places[key]] = 1.0
            self.rows.append(row + [0.0] * width)
            self.values.append(cell.total - sum(one.total for one in shown))
            self.rows.append([0.0] * width + row)
            self.values.append(cell.events - sum(one.events for one in shown))

    def tells(self, key: Key, least: int) -> bool:
        """Whether the cell's infusions are known to within `least`, or that it has events and how many."""
        place, width = self.places[key], len(self.places)
        return self._range(place) < least or (self.cells[key].events > 0 and self._range(width + place) < 1)

    def _range(self, place: int) -> float:
        """The width of what the number at the place may be; events are never more than infusions."""
        from scipy.optimize import linprog  # noqa: PLC0415 - scipy takes long to load, and few pages need it

        width = len(self.places)
        more_events = [[0.0] * (2 * width) for _ in range(width)]
        for number, row in enumerate(more_events):
            row[number], row[width + number] = -1.0, 1.0
        ends = []
        for sign in (1.0, -1.0):
            aim = [0.0] * (2 * width)
            aim[place] = sign
            found = linprog(aim, A_ub=more_events, b_ub=[0.0] * width, A_eq=self.rows or None, b_eq=self.values or None)
            if found.status == 3:  # Without an end: no sum is shown.
                return float("inf")
            ends.append(sign * float(found.fun))
        # The numbers are whole; the solver's are so only nearly.
        return ends[1] - ends[0] + 1e-6
