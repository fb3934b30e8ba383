"""Small groups stay hidden from somebody who subtracts: checked by trying every table that fits what is shown."""

import time
from itertools import chain, combinations, count, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactions.rates import small_cells
from reactions.rates.small_cells import Cell, Division, hidden

Place = tuple[int, int]
_numbers = count(1000)


def cell(total: int, events: int = 0, patients: int | None = None) -> Cell:
    """Infusions, each of its own patient unless said otherwise."""
    some = total if patients is None else patients
    return Cell(events, total, frozenset(next(_numbers) for _ in range(some)))


def line(*cells: Cell | int) -> tuple[dict[int, Cell], list[Division[int]]]:
    strata = {place: cell(one) if isinstance(one, int) else one for place, one in enumerate(cells)}
    return strata, [[list(strata)]]


def table(rows: list[list[Cell]], least: int) -> tuple[dict[Place, Cell], list[Division[Place]]]:
    """The cells, and the sums that are known: each line's unless its margin is hidden; of the hidden lines together."""
    cells = {(r, c): one for r, row in enumerate(rows) for c, one in enumerate(row)}
    divisions: list[Division[Place]] = []
    for axis in (0, 1):
        keys = {number: [place for place in cells if place[axis] == number] for number in {p[axis] for p in cells}}
        out = hidden({number: added(cells, places) for number, places in keys.items()}, [[list(keys)]], least)
        shown = [places for number, places in keys.items() if number not in out]
        together = [place for number in out for place in keys[number]]
        divisions.append([*shown, together] if together else shown)
    return cells, divisions


def added(cells: dict[Any, Cell], places: list[Any]) -> Cell:
    several = [cells[place] for place in places]
    patients = frozenset[int]().union(*(one.patients for one in several))
    return Cell(sum(one.events for one in several), sum(one.total for one in several), patients)


def all_that_fit(
    cells: dict[Any, Cell], divisions: list[Division[Any]], out: frozenset[Any], what: str, most: int
) -> list[dict[Any, int]]:
    """Every {hidden place: whole number} that agrees with all that is shown."""
    places = sorted(out)
    known = []
    for part in (out.intersection(group) for division in divisions for group in division):
        known.append(([places.index(key) for key in part], sum(getattr(cells[key], what) for key in part)))
    return [
        dict(zip(places, values, strict=True))
        for values in product(range(most + 1), repeat=len(places))
        if all(sum(values[place] for place in some) == total for some, total in known)
    ]


def sums_told(divisions: list[Division[Any]], out: frozenset[Any]) -> list[tuple[Any, ...]]:
    """Every set of hidden places whose sum follows from the known ones: those that they combine to."""
    places = sorted(out)
    rows = [[float(key in group) for key in places] for division in divisions for group in division]
    matrix = np.array(rows)
    onto = np.linalg.pinv(matrix) @ matrix
    every = chain.from_iterable(combinations(range(len(places)), size) for size in range(1, len(places) + 1))
    told = []
    for some in every:
        aim = np.isin(np.arange(len(places)), some).astype(float)
        if np.allclose(aim @ onto, aim):
            told.append(tuple(places[place] for place in some))
    return told


def tells_of_few(cells: dict[Any, Cell], divisions: list[Division[Any]], out: frozenset[Any], least: int) -> bool:
    return any(0 < len(added(cells, list(some)).patients) < least for some in sums_told(divisions, out))


def test_without_a_rule_and_without_small_cells_nothing_is_hidden() -> None:
    assert hidden(*line(1, 2, 30), least=0) == frozenset()
    assert hidden(*line(5, 6, 30), least=5) == frozenset()


def test_one_small_cell_takes_the_next_smallest_with_it() -> None:
    """The total less the others would give it away."""
    assert hidden(*line(3, 40, 20, 30), least=5) == {0, 2}


def test_so_few_that_the_sum_of_the_hidden_tells_them_are_joined_by_a_larger_one() -> None:
    """1 + 1 of 42: were 40 shown, the two would be told to be 2 together."""
    assert hidden(*line(1, 1, 40, 50), least=5) == {0, 1, 2}


def test_the_hidden_together_are_of_enough_patients_however_many_their_infusions() -> None:
    """All less the shown would be 4 of 36 infusions of 3 patients."""
    strata, divisions = line(cell(24, 4, patients=2), cell(12, patients=1), cell(200, 10, 50), cell(300, 12, 70))
    assert hidden(strata, divisions, least=5) == {0, 1, 2}


def test_a_patient_of_two_hidden_strata_is_one() -> None:
    both = frozenset(range(4))
    strata, divisions = line(Cell(1, 8, both), Cell(0, 8, both), cell(20), cell(30))
    assert hidden(strata, divisions, least=5) == {0, 1, 2}


def test_an_empty_cell_hides_among_small_ones() -> None:
    out = hidden(*line(0, 3, 40, 50), least=5)
    assert {0, 1} <= out


def test_empty_cells_need_no_company() -> None:
    assert hidden(*line(0, 40, 50), least=5) == {0}


def test_what_has_no_sum_beside_it_needs_no_company() -> None:
    cells, _ = line(3, 40)
    assert hidden(cells, [], least=5) == {0}


def test_a_cell_whose_events_alone_would_be_told_is_hidden_deeper() -> None:
    """4 hidden infusions of 24, all 2 events of the hidden: whoever subtracts must not know whose they are."""
    assert hidden(*line(cell(4, 2), cell(20), cell(30, 3)), least=5) == {0, 1}


def test_in_a_table_each_line_keeps_its_secret() -> None:
    rows = [[cell(2), cell(40), cell(50)], [cell(60), cell(30), cell(70)], [cell(80), cell(90), cell(45)]]
    out = hidden(*table(rows, 5), least=5)
    assert (0, 0) in out
    for axis in (0, 1):
        assert len([place for place in out if place[axis] == 0]) >= 2
    assert len(out) == 4


def test_infusions_of_few_patients_are_small_however_many() -> None:
    assert 0 in hidden(*line(cell(40, 9, patients=2), cell(60), cell(80)), least=5)


def test_a_line_less_others_tells_a_block() -> None:
    """Each line has enough patients, but the first less the third column is a block of 3 with many infusions."""
    few, many = [cell(30, 3, patients=1) for _ in range(3)], [cell(10) for _ in range(5)]
    rows = [[few[0], few[1], many[0]], [few[2], many[1], cell(20)], [many[2], many[3], cell(20)]]
    cells, divisions = table(rows, 4)
    # As if somebody hid the first two only, with company in their lines.
    assert tells_of_few(cells, divisions, frozenset([(0, 0), (0, 1), (0, 2)]), 4)
    out = hidden(cells, divisions, 4)
    assert {(0, 0), (0, 1), (1, 0)} <= out
    assert not tells_of_few(cells, divisions, out, 4)


PATIENTS = st.dictionaries(st.integers(0, 7), st.integers(1, 2), max_size=4)


@st.composite
def strata(draw: st.DrawFn) -> Cell:
    """Few patients with one or two infusions each; a patient may be in several strata."""
    infusions = draw(PATIENTS)
    total = sum(infusions.values())
    return Cell(draw(st.integers(0, min(total, 2))), total, frozenset(infusions))


@settings(max_examples=120, deadline=None)
@given(st.lists(st.lists(strata(), min_size=3, max_size=3), min_size=2, max_size=3), st.integers(2, 4))
def test_no_sum_that_can_be_told_is_of_few_patients(rows: list[list[Cell]], least: int) -> None:
    cells, divisions = table(rows, least)
    if len(added(cells, list(cells)).patients) < least:
        return
    out = hidden(cells, divisions, least)
    assert not tells_of_few(cells, divisions, out, least)
    lines = {number: added(cells, [place for place in cells if place[1] == number]) for number in range(3)}
    assert not tells_of_few(lines, [[list(lines)]], hidden(lines, [[list(lines)]], least), least)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(strata(), min_size=2, max_size=2), min_size=2, max_size=3), st.integers(2, 3))
def test_nobody_who_tries_every_table_can_tell_a_small_cell(rows: list[list[Cell]], least: int) -> None:
    cells, divisions = table(rows, least)
    if len(added(cells, list(cells)).patients) < least:
        return
    out = hidden(cells, divisions, least)
    small = {place for place, one in cells.items() if len(one.patients) < least}
    assert small <= out
    if out == frozenset(cells):
        return
    totals = all_that_fit(cells, divisions, out, "total", most=8)
    events = all_that_fit(cells, divisions, out, "events", most=4)
    for place in small:
        if cells[place].total:
            found = {one[place] for one in totals}
            assert max(found) - min(found) >= least
        if cells[place].events:
            others = (one for one in events if one[place] != cells[place].events)
            assert any(all(with_it[key] <= of[key] for key in out) for with_it in others for of in totals)


@pytest.mark.parametrize("least", [2, 3, 5])
def test_a_table_of_one_patient_a_cell_is_hidden_whole(least: int) -> None:
    rows = [[cell(1), cell(1)], [cell(1), cell(1)]]
    assert len(hidden(*table(rows, least), least=least)) == 4


def test_four_by_four_with_a_hidden_margin() -> None:
    counts = {(2, 3): 1, (3, 0): 1, (3, 1): 1, (3, 2): 3, (3, 3): 2}
    rows = [[cell(counts.get((r, c), 0)) for c in range(4)] for r in range(4)]
    cells, divisions = table(rows, 3)
    out = hidden(cells, divisions, 3)
    assert not tells_of_few(cells, divisions, frozenset(place for place in out if place[0] > 1), 3)


def test_two_hundred_rare_strata_of_one_sum_need_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_cells, "_Ranges", None)
    assert hidden(*line(*[1] * 200, 900), least=5) == set(range(200))


def test_a_large_table_is_quick() -> None:
    import scipy.optimize  # noqa: F401, PLC0415 - loading it is not what is measured

    totals = [[(7 * r + 3 * c * c) % 9 + 20 * (r > 2) for c in range(5)] for r in range(7)]
    rows = [
        [cell(total, events=min(total, (r + c) % 2)) for c, total in enumerate(row)] for r, row in enumerate(totals)
    ]
    cells, divisions = table(rows, 6)
    begun = time.process_time()
    assert 10 < len(hidden(cells, divisions, 6)) < 35
    assert time.process_time() - begun < 1


def test_a_table_of_many_lines_both_ways_is_hidden_whole() -> None:
    cells, divisions = table([[cell(6 if r or c else 1) for c in range(11)] for r in range(11)], 5)
    assert hidden(cells, divisions, 5) == frozenset(cells)
