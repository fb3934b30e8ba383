from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from reactions.clinical.onset import OnsetClass, hours_after_end, is_during, is_within_label_window, onset_class

START = datetime(2026, 5, 1, 9, tzinfo=UTC)
END = START + timedelta(hours=4)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (timedelta(0), OnsetClass.IMMEDIATE),
        (timedelta(hours=6), OnsetClass.IMMEDIATE),
        (timedelta(hours=6) + SECOND, OnsetClass.DELAYED),
        (timedelta(days=7), OnsetClass.DELAYED),
        (timedelta(days=7) + SECOND, OnsetClass.LATE),
    ],
)
def test_classes_by_time_from_the_start(after: timedelta, expected: OnsetClass) -> None:
    assert onset_class(START + after, START) == expected


def test_no_reaction_before_the_infusion() -> None:
    with pytest.raises(ValueError, match=r"^A reaction to an infusion cannot begin before the infusion\.$"):
        onset_class(START - SECOND, START)


@pytest.mark.parametrize(
    ("onset", "ended", "inside"),
    [
        (START, END, True),
        (START - SECOND, END, False),
        (END + timedelta(hours=72), END, True),
        (END + timedelta(hours=72) + SECOND, END, False),
        (START + timedelta(days=30), None, True),
    ],
)
def test_the_label_window_ends_72_h_after_the_end(onset: datetime, ended: datetime | None, inside: bool) -> None:
    assert is_within_label_window(onset, START, ended) is inside


@pytest.mark.parametrize(
    ("onset", "ended", "during"),
    [
        (START - SECOND, END, False),
        (START, END, True),
        (END, END, True),
        (END + SECOND, END, False),
        (START - SECOND, None, False),
        (START, None, True),
        (START + timedelta(days=30), None, True),
    ],
)
def test_during_the_infusion(onset: datetime, ended: datetime | None, during: bool) -> None:
    assert is_during(onset, START, ended) is during


@pytest.mark.parametrize(
    ("onset", "ended", "hours"),
    [
        (END - SECOND, END, None),
        (END, END, None),
        (END + timedelta(seconds=9), END, "0.0025"),
        (END + timedelta(microseconds=36), END, "1E-8"),
        (END + timedelta(hours=72), END, "72"),
        (END + timedelta(days=7, minutes=30), END, "168.5"),
        (END, None, None),
    ],
)
def test_hours_after_the_end(onset: datetime, ended: datetime | None, hours: str | None) -> None:
    assert hours_after_end(onset, ended) == (None if hours is None else Decimal(hours))
