"""What an attacker learns who knows everything that is shown, and every total: nothing that rests on few patients."""

from collections.abc import Iterable
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from reactions.rates.pictures.pooling import Unit, apart, apart_in_each, in_order

CELLS = st.lists(st.frozensets(st.integers(0, 9), max_size=5), max_size=12)
UNITS = st.lists(
    st.tuples(st.integers(0, 9), st.frozensets(st.sampled_from("ABCDEF"), min_size=1, max_size=3)), max_size=40
)
LEAST = st.integers(1, 6)


def tells_of_few(patients: Iterable[int], least: int) -> bool:
    return 0 < len(set(patients)) < least


def test_neighbours_join_until_enough() -> None:
    cells = [{1}, {2}, {3, 4}, set(), {5}]
    assert in_order(cells, 1) == [range(1), range(1, 2), range(2, 3), range(3, 4), range(4, 5)]
    assert in_order(cells, 2) == [range(2), range(2, 5)]
    assert in_order(cells, 5) == [range(5)]
    assert in_order(cells, 6) is None


def test_a_patient_in_several_cells_is_one() -> None:
    assert in_order([{1}, {1}, {1}], 2) is None


def test_empty_neighbours_stay_apart() -> None:
    assert in_order([set(), {1, 2}, set()], 2) == [range(1), range(1, 2), range(2, 3)]
    assert in_order([], 2) == []


@given(cells=CELLS, least=LEAST)
def test_no_difference_of_two_moments_tells_of_few(cells: list[frozenset[int]], least: int) -> None:
    runs = in_order(cells, least)
    if runs is None:
        assert tells_of_few(frozenset().union(*cells), least)
        return
    assert [number for run in runs for number in run] == list(range(len(cells)))
    ends = [0, *(run.stop for run in runs)]
    for begin, end in combinations(ends, 2):
        assert not tells_of_few(frozenset().union(*cells[begin:end]), least)


def units(*found: tuple[int, str]) -> list[Unit]:
    return [(patient, frozenset(names)) for patient, names in found]


def test_a_small_lot_does_not_stand_alone_among_the_others() -> None:
    """Lot C has one patient: alone it would be the whole of “others”, so the next smallest goes with it."""
    found = units((1, "A"), (2, "A"), (3, "A"), (1, "B"), (2, "B"), (9, "C"))
    assert apart(found, 2) == {"A"}
    assert apart(found, 1) == {"A", "B", "C"}


def test_what_is_left_of_all_without_a_lot_is_not_one_patient() -> None:
    """All but one infusion have vials of A, so all less A would be that one, though B has enough patients."""
    found = units((1, "AB"), (2, "AB"), (3, "AB"), (4, "B"))
    assert apart(found, 2) == frozenset()


def test_the_one_infusion_that_counts_twice_is_not_told() -> None:
    """A and B together exceed all by the one infusion that has both."""
    found = units((1, "A"), (2, "A"), (3, "B"), (4, "B"), (5, "AB"))
    assert apart(found, 2) == frozenset()
    assert apart(found[:-1], 2) == {"A", "B"}


def test_too_few_patients_altogether() -> None:
    assert apart(units((1, "A"), (1, "B")), 2) is None
    assert apart([], 2) == frozenset()


@given(found=UNITS, least=LEAST)
def test_no_name_taken_from_all_tells_of_few(found: list[Unit], least: int) -> None:
    shown = apart(found, least)
    if shown is None:
        assert tells_of_few((patient for patient, _ in found), least)
        return
    groups: dict[str, set[int]] = {}
    for number, (_, names) in enumerate(found):
        for name in names:
            groups.setdefault(name if name in shown else "others", set()).add(number)
    everything = set(range(len(found)))
    for size in range(len(groups) + 1):
        for taken in combinations(groups.values(), size):
            left = everything - set().union(*taken)
            assert not tells_of_few((found[number][0] for number in left), least)
    for inside in groups.values():
        assert not tells_of_few((found[number][0] for number in inside), least)
    twice = [number for number in everything if sum(number in inside for inside in groups.values()) > 1]
    assert not tells_of_few((found[number][0] for number in twice), least)


def several(names: str, first: int, number: int) -> list[Unit]:
    return units(*((patient, names) for patient in range(first, first + number)))


def test_a_product_less_its_lots_is_not_of_few() -> None:
    """Beside a table of products the first less lot A would be lot B, though B and D together are enough."""
    first, second = several("A", 0, 10) + several("B", 10, 2), several("C", 20, 10) + several("D", 30, 3)
    assert apart([*first, *second], 5) == {"A", "C"}
    assert apart_in_each([first, second], 5) == frozenset()
    assert apart_in_each([first + several("B", 50, 3), second + several("D", 60, 2)], 5) == {"A", "B", "C", "D"}


def test_what_stands_together_is_not_shown() -> None:
    """Lots of hidden products, the smaller of which would be all others less the larger."""
    hidden = several("A", 0, 3) + several("B", 10, 6)
    shown = several("C", 20, 9)
    assert apart_in_each([hidden, shown], 5, {"A", "B"}) == {"C"}


@given(found=st.lists(UNITS, max_size=3), least=LEAST)
def test_no_names_taken_from_a_group_or_from_all_tell_of_few(found: list[list[Unit]], least: int) -> None:
    shown = apart_in_each(found, least)
    for group in (*found, [unit for one in found for unit in one]):
        if tells_of_few((patient for patient, _ in group), least):
            assert not shown.intersection(*[frozenset().union(*(names for _, names in group))])
            continue
        for size in range(len(shown) + 1):
            for taken in combinations(sorted(shown), size):
                left = {patient for patient, names in group if names.isdisjoint(taken)}
                assert not tells_of_few(left, least)
