"""Which strata are not shown, so that no small group can be told apart. Pure; scipy is loaded when first needed.

Signatures
    hidden(cells, divisions, least) -> frozenset      the keys of the cells to hide

A cell is a stratum: infusions with a reaction, infusions, and its patients. Those of fewer than `least` patients are
hidden, empty ones among them: an empty cell that is told apart would say more of its neighbours. A reader knows the
shown cells and the sums that are shown beside them, and may add and subtract. While that tells the sum of hidden cells
which together have patients, but fewer than `least`, further cells are hidden, the smallest first.

In a table of two keys a reader can also narrow down a cell that no sum tells: its margins allow it a few numbers only.
What they allow is found by a linear program; a small cell's range is kept wide in the same way. With a single sum it
is as wide as all that is hidden, which needs no program.

Infusions add up over strata. Courses and patients add up where each patient is in one stratum only, as by sex; what is
told of them then is of the same patients. They are hidden with the infusions of their stratum.
"""

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
# Every set of the lines on the shorter side of a table is looked through; of more lines all is hidden.
MOST_LINES = 10


@dataclass(frozen=True)
class Cell:
    """One stratum: infusions with a reaction, infusions, and the patients who had them."""

    events: int
    total: int
    patients: frozenset[int]


# Groups of cells whose sums are shown or can be told. Each cell is in one of them.
Division = Sequence[Collection[Key]]


def hidden(cells: Mapping[Key, Cell], divisions: Sequence[Division[Key]], least: int) -> frozenset[Key]:
    """The keys that are not shown, where the sums of the (at most two) divisions are known. None when no cell is small.

    Whatever sum of hidden cells can be told rests on no patients or on at least `least`. Of two divisions every small
    cell that has infusions also keeps a range of at least `least` infusions, and one that has events a range of one
    event. Where no hiding gives it that, all cells are hidden.
    """
    small = [key for key, cell in cells.items() if len(cell.patients) < least]
    if small and min(map(len, divisions), default=0) > MOST_LINES and len(divisions) > 1:
        return frozenset(cells)
    out = set(small)
    while told := _told_of_few(cells, divisions, out, least):
        if not _hide_more(told, cells, divisions, out):
            break
    if small and len(divisions) > 1:
        # What is hidden besides takes nothing from what is hidden enough already.
        ranges = _Ranges(cells, divisions)
        for key in small:
            while cells[key].total and ranges.tell(key, out, least):
                if not _hide_more({key}, cells, divisions, out):
                    break
    return frozenset(out)


def _told_of_few(
    cells: Mapping[Key, Cell], divisions: Sequence[Division[Key]], out: set[Key], least: int
) -> set[Key] | None:
    """Hidden cells whose sum can be told, and that have patients but fewer than `least`."""
    for keys in _sums_told(divisions, out):
        # Patients are put together only where that can be few.
        are_small = all(len(cells[key].patients) < least for key in keys)
        if are_small and 0 < len(frozenset().union(*(cells[key].patients for key in keys))) < least:
            return keys
    return None


def _sums_told(divisions: Sequence[Division[Key]], out: set[Key]) -> Iterator[set[Key]]:
    """The hidden cells of each sum that can be told, the smallest: all others are several of them together.

    With two divisions, lines of the one less lines of the other are told when the latter lie within the former: of any
    set of columns, the lines that hold all its hidden cells, less the columns; or these and one line more.
    """
    parts = [[part for group in division if (part := out.intersection(group))] for division in divisions]
    parts.sort(key=len)
    if len(parts) < 2:
        yield from (part for division in parts for part in division)
        return
    columns, lines = parts
    for chosen in range(1 << len(columns)):
        taken = set[Key]().union(*(column for place, column in enumerate(columns) if chosen >> place & 1))
        within = [line for line in lines if not taken.isdisjoint(line)]
        base = set[Key]().union(*within) - taken
        yield base
        yield from (base | line for line in lines if taken.isdisjoint(line))


def _hide_more(told: set[Key], cells: Mapping[Key, Cell], divisions: Sequence[Division[Key]], out: set[Key]) -> bool:
    """Hide the shown cell that gives most lonely cells company, the smallest of these; False if none is left.

    A hidden cell that is alone in a sum is told by subtraction. Where none is alone, the smallest cell that shares a
    sum with what is told, the shortest sum first.
    """
    shown = [key for key in cells if key not in out]
    groups = [set(group) for division in divisions for group in division]
    alone = [group for group in groups if len(out & group) == 1]
    company = {key: sum(key in group for group in alone) for key in shown}
    if any(company.values()):
        out.add(min(shown, key=lambda key: (-company[key], cells[key].total)))
        return True
    beside = [group - out for group in groups if not told.isdisjoint(group)]
    nearest = min((others for others in beside if others), key=len, default=set(shown))
    if not nearest:
        return False
    out.add(min((key for key in shown if key in nearest), key=lambda key: cells[key].total))
    return True


class _Ranges(Generic[Key]):
    """What the known sums allow each hidden cell: linear equations over infusions and events, two for each sum.

    Every answer of the program is a table that agrees with all that is shown. It tells of all cells at once, and still
    agrees when more is hidden, so the numbers that were found possible are kept.
    """

    def __init__(self, cells: Mapping[Key, Cell], divisions: Sequence[Division[Key]]) -> None:
        self.cells, self.divisions = cells, divisions
        # {(key, whether of its events): the least and the most that was found possible}
        self.found = {(key, False): (float(cell.total), float(cell.total)) for key, cell in cells.items()} | {
            (key, True): (float(cell.events), float(cell.events)) for key, cell in cells.items()
        }

    def tell(self, key: Key, out: set[Key], least: int) -> bool:
        """Whether the cell's infusions are known to within `least`, or that it has events and how many."""
        return not self._is_wide((key, False), out, least) or (
            self.cells[key].events > 0 and not self._is_wide((key, True), out, 1)
        )

    def _is_wide(self, asked: tuple[Key, bool], out: set[Key], least: int) -> bool:
        for sign in (-1.0, 1.0):
            low, high = self.found[asked]
            if high - low < least:
                self._look(asked, sign, [key for key in self.cells if key in out])
        low, high = self.found[asked]
        # The numbers are whole; the solver's are so only nearly.
        return high - low + 1e-6 >= least

    def _look(self, asked: tuple[Key, bool], sign: float, keys: list[Key]) -> None:
        """Find how small (sign 1) or large (−1) the number may be; events are never more than infusions."""
        from scipy.optimize import linprog  # noqa: PLC0415 - scipy takes long to load, and few pages need it

        places = [(key, False) for key in keys] + [(key, True) for key in keys]
        width = len(keys)
        more_events = [
            [-1.0 * (at == row) + 1.0 * (at == width + row) for at in range(2 * width)] for row in range(width)
        ]
        rows: list[list[float]] = []
        values: list[float] = []
        for part in (set(keys).intersection(group) for division in self.divisions for group in division):
            if part:
                row = [float(key in part) for key in keys]
                rows += [row + [0.0] * width, [0.0] * width + row]
                values += [float(sum(self.cells[key].total for key in part))]
                values += [float(sum(self.cells[key].events for key in part))]
        aim = [sign * (place == asked) for place in places]
        solved = linprog(aim, A_ub=more_events, b_ub=[0.0] * width, A_eq=rows, b_eq=values)
        if solved.status == 0:
            for place, number in zip(places, solved.x, strict=True):
                low, high = self.found[place]
                self.found[place] = min(low, float(number)), max(high, float(number))
