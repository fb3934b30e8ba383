from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

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


def test_clocks_that_were_put_back_do_not_shorten_the_time() -> None:
    """From 00:30 to 06:00 on 1 November 2026 in New York six and a half hours pass."""
    zone = ZoneInfo("America/New_York")
    started, onset = datetime(2026, 11, 1, 0, 30, tzinfo=zone), datetime(2026, 11, 1, 6, 0, tzinfo=zone)
    assert onset_class(onset, started) == OnsetClass.DELAYED
    assert onset_class(onset - timedelta(minutes=30), started) == OnsetClass.IMMEDIATE
    assert hours_after_end(onset, started) == Decimal("6.5")
    end = datetime(2026, 10, 31, 5, 30, tzinfo=zone)
    last = datetime(2026, 11, 3, 4, 30, tzinfo=zone)
    assert is_within_label_window(last, end - timedelta(hours=1), end)
    assert not is_within_label_window(last + timedelta(minutes=1), end - timedelta(hours=1), end)


def test_clocks_that_were_put_forward_do_not_lengthen_it() -> None:
    """From 00:30 to 07:30 on 8 March 2026 in New York six hours pass."""
    zone = ZoneInfo("America/New_York")
    started, onset = datetime(2026, 3, 8, 0, 30, tzinfo=zone), datetime(2026, 3, 8, 7, 30, tzinfo=zone)
    assert onset_class(onset, started) == OnsetClass.IMMEDIATE
    assert onset_class(onset + timedelta(minutes=1), started) == OnsetClass.DELAYED
