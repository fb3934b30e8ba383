"""What is put together, so that nothing that is shown, or left when it is taken from a total, rests on few patients.

Pure. `least` is the smallest number of patients on which anything may rest; nothing at all is fine, for it tells of
nobody. Everything is kept: what is too small joins its neighbours, so a total less what is shown tells nothing.

Signatures
    in_order(cells, least) -> list[range] | None     neighbours, as months: cells are the patients of each
    apart(units, least) -> frozenset[str] | None     names as lots: units are (patient, the names that it counts for)
    apart_in_each(groups, least, together) -> frozenset[str]      the same where each group's total is shown as well

None where even all together rest on too few.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence, Set
from itertools import chain

Unit = tuple[int, frozenset[str]]


def in_order(cells: Sequence[Set[int]], least: int) -> list[range] | None:
    """Runs of neighbours that cover all cells; each has no patients, or at least so many.

    Cumulated or not, the difference of any two points of a series is a number of whole runs.
    """
    runs: list[range] = []
    begun, patients = 0, set[int]()
    for number, cell in enumerate(cells):
        patients |= cell
        if not patients or len(patients) >= least:
            runs.append(range(begun, number + 1))
            begun, patients = number + 1, set()
    if not patients:
        return runs
    # What is left at the end joins the last run with patients, over empty ones between.
    while runs and not any(cells[number] for number in runs[-1]):
        runs.pop()
    if not runs:
        return None
    last = runs.pop()
    return [*runs, range(last.start, len(cells))]


def apart(units: Iterable[Unit], least: int, together: Collection[str] = ()) -> frozenset[str] | None:
    """The names that can be shown apart; all others, and those of `together`, count as one, "the others".

    A unit may count for several names, as an infusion with vials of two lots. Then three things hold of what is shown:
    each name, and the others, rests on enough patients; so do the units that are left when any names are taken from
    the total; and so do those that count more than once, by which the names together exceed the total.
    """
    patients: dict[frozenset[str], set[int]] = defaultdict(set)
    for patient, names in units:
        patients[names].add(patient)
    if not _enough(patients.values(), least):
        return None
    shown = frozenset().union(*patients).difference(together)
    while shown and (gone := _too_few(patients, shown, least)):
        shown -= gone
    return shown


def apart_in_each(groups: Sequence[Sequence[Unit]], least: int, together: Collection[str] = ()) -> frozenset[str]:
    """The names that can be shown apart in each group of units and in all: totals of the groups are shown beside them.

    As lots beside a table of products: a product less its lots that are shown must not tell of few either.
    """
    everything = frozenset().union(*(names for _, names in chain.from_iterable(groups)))
    shown, before = everything.difference(together), None
    while shown != before:
        before = shown
        for units in (list(chain.from_iterable(groups)), *groups):
            here = frozenset().union(*(names for _, names in units))
            shown -= here - (apart(units, least, everything - shown) or frozenset())
    return shown


def _too_few(patients: dict[frozenset[str], set[int]], shown: frozenset[str], least: int) -> frozenset[str]:
    """Shown names that have to join the others; empty when all may stay."""
    others = ""
    by_names: dict[frozenset[str], set[int]] = defaultdict(set)
    by_name: dict[str, set[int]] = defaultdict(set)
    for names, people in patients.items():
        kept = names & shown if names <= shown else names & shown | {others}
        by_names[kept] |= people
        for name in kept:
            by_name[name] |= people
    small = frozenset(name for name, people in by_name.items() if len(people) < least)
    if small - {others}:
        return small - {others}
    next_smallest = frozenset({min(shown, key=lambda name: (len(by_name[name]), name))})
    if small:
        return next_smallest
    doubled = [names for names in by_names if len(names) > 1]
    if not _enough((by_names[names] for names in doubled), least):
        return frozenset().union(*doubled) - {others} or next_smallest
    alone = [
        names
        for names in by_names
        if not _enough((people for inner, people in by_names.items() if inner <= names), least)
    ]
    return frozenset().union(*alone) - {others} or (next_smallest if alone else frozenset())


def _enough(groups: Iterable[Collection[int]], least: int) -> bool:
    """All together have no patients, or enough."""
    return not 0 < len(set().union(*groups)) < least
