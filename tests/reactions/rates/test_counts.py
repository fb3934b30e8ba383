"""Counting columns is counting infusions one by one."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactions.rates.columns import (
    ANSWERED,
    ASKED,
    LOOKED,
    OF_INFUSION,
    REACTED,
    SILENT,
    UNTIMED,
    Columns,
    distinct,
    in_blocks,
    joined,
    of_rows,
)
from reactions.rates.counts import Counts, count_units, together
from reactions.rates.question import UNITS

KEYS = ("drug", "prior", "lot")
GROUPINGS = [(), ("drug",), ("prior", "drug"), KEYS]
# Numbers that lie close together, and numbers far apart.
NUMBERS = st.integers(1, 5) | st.sampled_from([70_000, 3_000_000_000])
# Few values of a key, or very many: then combinations that do not occur have no place of their own.
LOTS = st.integers(0, 3) | st.integers(0, 5_000)
ROWS = st.lists(
    st.tuples(
        NUMBERS,
        NUMBERS,
        NUMBERS,
        st.integers(-(10**9), 10**9),
        st.integers(0, 63),
        st.sampled_from(["none", "given"]),
        st.booleans(),
        LOTS,
    ),
    max_size=40,
)
Row = tuple[Any, ...]


def one_by_one(rows: list[Row], by: tuple[str, ...], unit: str) -> dict[Row, tuple[Any, ...]]:
    """{stratum: ({patient: (events, units)}, not recorded, asked, answered, silent)}"""
    place = {"infusion": None, "course": 2, "patient": 1}[unit]
    units: dict[Row, dict[Row, int]] = defaultdict(dict)
    for number, row in enumerate(rows):
        stratum = tuple(row[5 + KEYS.index(key)] for key in by)
        member = (row[1], number if place is None else row[place])
        units[stratum][member] = units[stratum].get(member, 0) | row[4]
    return {stratum: _told(members) for stratum, members in units.items()}


def _told(members: dict[Row, int]) -> tuple[Any, ...]:
    cells: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for (patient, _), bits in members.items():
        cells[patient][0] += bits & REACTED
        cells[patient][1] += 1
    bits_of = members.values()
    return (
        {patient: tuple(cell) for patient, cell in sorted(cells.items())},
        sum(not bits & LOOKED for bits in bits_of),
        sum(bool(bits & ASKED) for bits in bits_of),
        sum(bool(bits & ANSWERED) for bits in bits_of),
        sum(bool(bits & SILENT) and not bits & REACTED for bits in bits_of),
    )


def told(counts: Counts) -> tuple[Any, ...]:
    cells = zip(counts.events_of.tolist(), counts.units_of.tolist(), strict=True)
    by_patient = dict(zip(counts.patient.tolist(), cells, strict=True))
    assert len(by_patient) == counts.patients
    return by_patient, counts.not_recorded, counts.asked, counts.answered, counts.silent


def in_groups(rows: list[Row]) -> list[list[Columns]]:
    """As clinics keep them: each has patients of its own, in two parts, in rising order."""
    parts: dict[int, dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in sorted(rows, key=lambda row: row[1]):
        parts[row[1] % 2][row[3] % 2].append(row)
    return [[of_rows(part, KEYS) for part in group.values()] for group in parts.values()]


@given(ROWS, st.integers(1, 40))
@settings(max_examples=150, deadline=None)
def test_columns_are_counted_as_rows_are(rows: list[Row], size: int) -> None:
    found = count_units(in_blocks(in_groups(rows), size), GROUPINGS)
    assert set(found) == set(UNITS)
    for unit, tables in found.items():
        for by, table in zip(GROUPINGS, tables, strict=True):
            wanted = one_by_one(rows, by, unit)
            assert {stratum: told(counts) for stratum, counts in table.strata.items()} == wanted
            assert told(table.everything) == one_by_one(rows, (), unit).get((), told(Counts()))
            assert table.without_onset == sum(bool(row[4] & UNTIMED) for row in rows)


@given(ROWS)
@settings(max_examples=50, deadline=None)
def test_sums_and_what_is_put_together_are_those_of_the_patients(rows: list[Row]) -> None:
    [table] = count_units([of_rows(rows, KEYS)], [("drug", "lot")], ["infusion"])["infusion"]
    for counts in table.strata.values():
        cells = told(counts)[0].values()
        assert counts.sums == (
            len(cells),
            sum(x for x, _ in cells),
            sum(n for _, n in cells),
            sum(x * x for x, _ in cells),
            sum(x * n for x, n in cells),
            sum(n * n for _, n in cells),
        )
    assert told(together(table.strata.values()))[0] == told(table.everything)[0]


def lines(columns: Columns) -> list[Row]:
    values = [[key.values[place] for place in key.places] for key in columns.keys.values()]
    return list(zip(*(columns.numbers[name].tolist() for name in OF_INFUSION), *values, strict=True))


@given(ROWS, ROWS)
@settings(max_examples=50, deadline=None)
def test_what_is_joined_is_one_after_the_other(first: list[Row], second: list[Row]) -> None:
    assert lines(joined([of_rows(first, KEYS), of_rows(second, KEYS)])) == first + second


@given(ROWS, st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_blocks_have_all_infusions_and_patients_of_their_own(rows: list[Row], size: int) -> None:
    blocks = in_blocks(in_groups(rows), size)
    assert sorted((line for block in blocks for line in lines(block)), key=str) == sorted(rows, key=str)
    assert all(len(block) for block in blocks)
    patients = [patient for block in blocks for patient in set(block.patient.tolist())]
    assert len(patients) == len(set(patients))


def test_blocks_are_about_as_large_as_wanted() -> None:
    def rows(patients: range) -> Columns:
        return of_rows([(patient, patient, patient, patient, 0, "none", True, 0) for patient in patients], KEYS)

    small = [[rows(range(start, start + 100))] for start in range(1_000_000, 1_001_000, 100)]
    sizes = [len(block) for block in in_blocks([[rows(range(20_000)), rows(range(20_000))], *small], 1_000)]
    assert sum(sizes) == 41_000
    assert max(sizes) < 1_500
    assert len(sizes) < 60


@given(ROWS, st.sampled_from([("none", True, 1), ("given", False, 2)]))
@settings(max_examples=50, deadline=None)
def test_a_stratum_is_those_with_its_values(rows: list[Row], stratum: Row) -> None:
    columns = of_rows(rows, KEYS)
    assert lines(columns.where(columns.in_stratum(stratum))) == [row for row in rows if row[5:] == stratum]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10**9)), unique=True), st.integers(0, 30), st.integers(0, 9)
)
@settings(max_examples=100, deadline=None)
def test_a_page_of_infusions_is_newest_first(starts: list[tuple[int, int]], first: int, more: int) -> None:
    columns = of_rows([(number, 1, 1, start, 0, "none", True, 0) for start, number in starts], KEYS)
    found = columns.newest(range(first, first + more))
    shown = list(zip(found.started.tolist(), found.numbers["infusion"].tolist(), strict=True))
    assert shown == sorted(starts, reverse=True)[first : first + more]


@pytest.mark.parametrize("numbers", [[], [7], [3, 1, 3, 2], [0, 10**12, 5], list(range(3000, 0, -1))])
def test_distinct_numbers_and_their_places(numbers: list[int]) -> None:
    found, places = distinct(np.array(numbers, dtype=np.int64))
    assert found.tolist() == sorted(set(numbers))
    assert found[places].tolist() == numbers if numbers else places.tolist() == []
