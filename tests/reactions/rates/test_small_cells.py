"""Small groups stay hidden from somebody who subtracts: checked by trying every table that fits what is shown."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactions.rates.small_cells import Cell, Sum, hidden

Place = tuple[int, int]


def cell(total: int, events: int = 0, patients: int | None = None) -> Cell:
    """Infusions, each of its own patient unless said otherwise."""
    return Cell(events, total, total if patients is None else patients)


def line(*totals: int) -> tuple[dict[int, Cell], list[Sum[int]]]:
    cells = {place: cell(total) for place, total in enumerate(totals)}
    return cells, [(list(cells), cell(sum(totals)))]


def table(rows: list[list[Cell]], least: int) -> tuple[dict[Place, Cell], list[Sum[Place]]]:
    """The cells and the sums that are shown beside them: each line's unless it is hidden itself, and all together."""
    cells = {(r, c): one for r, row in enumerate(rows) for c, one in enumerate(row)}
    whole = added(cells, list(cells))
    sums: list[Sum[Place]] = [(list(cells), whole)]
    for axis in (0, 1):
        keys = {number: [place for place in cells if place[axis] == number] for number in {p[axis] for p in cells}}
        margins = {number: added(cells, places) for number, places in keys.items()}
        out = hidden(margins, [(list(margins), whole)], least)
        sums += [(keys[number], margin) for number, margin in margins.items() if number not in out]
    return cells, sums


def added(cells: dict[Place, Cell], places: list[Place]) -> Cell:
    several = [cells[place] for place in places]
    return Cell(sum(c.events for c in several), sum(c.total for c in several), sum(c.patients for c in several))


def all_that_fit(
    cells: dict[Place, Cell], sums: list[Sum[Place]], out: frozenset[Place], what: str, most: int
) -> dict[Place, set[int]]:
    """{hidden place: each whole number that some table has there which agrees with all that is shown}."""
    places, found = sorted(out), {place: set() for place in out}
    asked = [
        ([places.index(key) for key in keys if key in out], getattr(one, what) - sum(
            getattr(cells[key], what) for key in keys if key not in out
        ))
        for keys, one in sums
    ]  # fmt: skip
    for values in product(range(most + 1), repeat=len(places)):
        if all(sum(values[place] for place in some) == total for some, total in asked):
            for place, value in zip(places, values, strict=True):
                found[place].add(value)
    return found


def test_without_a_rule_and_without_small_cells_nothing_is_hidden() -> None:
    assert hidden(*line(1, 2, 30), least=0) == frozenset()
    assert hidden(*line(5, 6, 30), least=5) == frozenset()


def test_one_small_cell_takes_the_next_smallest_with_it() -> None:
    """The total less the others would give it away."""
    assert hidden(*line(3, 40, 20, 30), least=5) == {0, 2}


def test_so_few_that_the_sum_of_the_hidden_tells_them_are_joined_by_a_larger_one() -> None:
    """1 + 1 of 42: were 40 shown, each of the two could be 0, 1 or 2 only."""
    assert hidden(*line(1, 1, 40, 50), least=5) == {0, 1, 2}


def test_an_empty_cell_hides_among_small_ones() -> None:
    out = hidden(*line(0, 3, 40, 50), least=5)
    assert {0, 1} <= out


def test_what_has_no_sum_beside_it_needs_no_company() -> None:
    cells, _ = line(3, 40)
    assert hidden(cells, [], least=5) == {0}


def test_a_cell_whose_events_alone_would_be_told_is_hidden_deeper() -> None:
    """4 hidden infusions of 24, all 2 events of the hidden: whoever subtracts must not know whose they are."""
    cells = {0: Cell(2, 4, 4), 1: Cell(0, 20, 20), 2: Cell(3, 30, 30)}
    sums: list[Sum[int]] = [([0, 1, 2], Cell(5, 54, 54))]
    assert hidden(cells, sums, least=5) == {0, 1}


def test_in_a_table_each_line_keeps_its_secret() -> None:
    rows = [[cell(2), cell(40), cell(50)], [cell(60), cell(30), cell(70)], [cell(80), cell(90), cell(45)]]
    out = hidden(*table(rows, 5), least=5)
    assert (0, 0) in out
    for axis in (0, 1):
        assert len([place for place in out if place[axis] == 0]) >= 2
    assert len(out) == 4


def test_infusions_of_few_patients_are_small_however_many() -> None:
    cells = {0: Cell(9, 40, 2), 1: cell(60), 2: cell(80)}
    assert 0 in hidden(cells, [([0, 1, 2], cell(180))], least=5)


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=2), min_size=2, max_size=3),
    st.integers(2, 3),
)
def test_nobody_who_tries_every_table_can_tell_a_small_cell(totals: list[list[int]], least: int) -> None:
    rows = [[cell(total) for total in row] for row in totals]
    whole = sum(map(sum, totals))
    if whole < least:
        return
    cells, sums = table(rows, least)
    out = hidden(cells, sums, least)
    small = {place for place, one in cells.items() if one.patients < least}
    assert small <= out
    if out == frozenset(cells):
        return
    found = all_that_fit(cells, sums, out, "total", most=max(4, *(max(row) for row in totals)) * 2)
    for place in small:
        if cells[place].total:
            assert max(found[place]) - min(found[place]) >= least, (totals, out)


@pytest.mark.parametrize("least", [2, 3, 5])
def test_a_table_of_one_patient_a_cell_is_hidden_whole(least: int) -> None:
    rows = [[cell(1), cell(1)], [cell(1), cell(1)]]
    assert len(hidden(*table(rows, least), least=least)) == 4


def test_four_by_four_with_a_hidden_margin() -> None:
    counts = {(2, 3): 1, (3, 0): 1, (3, 1): 1, (3, 2): 3, (3, 3): 2}
    rows = [[cell(counts.get((r, c), 0)) for c in range(4)] for r in range(4)]
    cells, sums = table(rows, 3)
    out = hidden(cells, sums, 3)
    found = all_that_fit(
        cells, sums, frozenset(place for place in out if cells[place].total or place[0] > 1), "total", 4
    )
    for place in ((2, 3), (3, 0), (3, 1), (3, 3)):
        assert len(found[place]) > 1
