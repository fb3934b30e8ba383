"""IgA readings: both sides of every threshold, and comparators that stay what they are."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patients.iga import (
    COMPARATORS,
    UNITS,
    Reading,
    Status,
    UnreadableIga,
    classify,
    is_implausible,
    parse,
    to_mg_dl,
    write,
)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("6.9 mg/dL", Status.DEFICIENT),
        ("7 mg/dL", Status.PARTIAL),
        ("0.069 g/L", Status.DEFICIENT),
        ("0.07 g/L", Status.PARTIAL),
        ("69 mg/L", Status.DEFICIENT),
        ("70 mg/L", Status.PARTIAL),
        ("69.9 mg/dL", Status.PARTIAL),
        ("70 mg/dL", Status.NORMAL),
        ("400 mg/dL", Status.NORMAL),
        ("401 mg/dL", Status.ABOVE_RANGE),
        ("0.38 g/L", Status.PARTIAL),
        ("<7 mg/dL", Status.DEFICIENT),
        ("< 5 mg/dL", Status.DEFICIENT),
        ("<7.1 mg/dL", Status.INDETERMINATE),
        ("<25 mg/dL", Status.INDETERMINATE),
        ("<=6.9 mg/dL", Status.DEFICIENT),
        ("≤7 mg/dL", Status.INDETERMINATE),
        (">400 mg/dL", Status.ABOVE_RANGE),
        (">399 mg/dL", Status.INDETERMINATE),
        (">=400 mg/dL", Status.INDETERMINATE),
        (">=401 mg/dL", Status.ABOVE_RANGE),
        ("75 mg/dL (80-350)", Status.PARTIAL),
        ("80 mg/dL (80-350)", Status.NORMAL),
        ("351 mg/dL (80-350)", Status.ABOVE_RANGE),
        ("20 mg/dL (15-)", Status.NORMAL),
        ("0 mg/dL", Status.DEFICIENT),
    ],
)
def test_a_reading_stands_for_its_status(text: str, status: Status) -> None:
    assert classify(parse(text)) == status


def test_less_than_seven_is_never_the_number_seven() -> None:
    assert parse("<7 mg/dL") != parse("7 mg/dL")
    assert classify(parse("<7 mg/dL")) != classify(parse("7 mg/dL"))


@pytest.mark.parametrize(
    "text", ["7", "normal", "-3 mg/dL", "7 mg", "", "7 mg/dL extra", "70 mg/dL (90-80)", "<> 7 g/L"]
)
def test_what_is_no_result_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(UnreadableIga, match=r"IgA result|lower limit"):
        parse(text)


def test_units_are_one_amount() -> None:
    assert to_mg_dl(Decimal("0.07"), "g/L") == to_mg_dl(Decimal(7), "mg/dL") == to_mg_dl(Decimal(70), "mg/L")


def test_a_value_in_the_wrong_unit_is_implausible() -> None:
    assert is_implausible(parse("200 g/L"))
    assert is_implausible(parse("15.01 g/L"))
    assert not is_implausible(parse("15 g/L"))


readings = st.builds(
    Reading,
    st.sampled_from(COMPARATORS),
    st.decimals(0, 9999, places=2),
    st.sampled_from(sorted(UNITS)),
    st.none() | st.decimals(1, 100, places=1),
    st.none() | st.decimals(101, 900, places=1),
)


@given(readings)
def test_writing_and_reading_gives_the_same(reading: Reading) -> None:
    again = parse(write(reading))
    assert again == reading
    assert classify(again) == classify(reading)
