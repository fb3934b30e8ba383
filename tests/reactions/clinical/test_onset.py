from datetime import UTC, datetime, timedelta

import pytest

from reactions.clinical.onset import OnsetClass, is_within_label_window, onset_class

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
    with pytest.raises(ValueError, match="before the infusion"):
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
