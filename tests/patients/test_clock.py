"""Clock times on the two nights on which clocks change."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from patients.clock import NoSuchTime, TwoSuchTimes, in_zone, read

NEW_YORK = ZoneInfo("America/New_York")


def test_a_plain_time_is_taken_in_the_zone() -> None:
    assert read("2026-07-01T09:00", NEW_YORK) == datetime(2026, 7, 1, 13, tzinfo=UTC)


def test_a_time_in_the_gap_is_refused() -> None:
    with pytest.raises(NoSuchTime, match="02:30 did not exist on 2026-03-08"):
        read("2026-03-08T02:30", NEW_YORK)


def test_the_edges_of_the_gap_exist() -> None:
    assert read("2026-03-08T01:59", NEW_YORK) == datetime(2026, 3, 8, 6, 59, tzinfo=UTC)
    assert read("2026-03-08T03:00", NEW_YORK) == datetime(2026, 3, 8, 7, 0, tzinfo=UTC)


def test_a_time_that_happened_twice_asks_which() -> None:
    with pytest.raises(TwoSuchTimes, match=r"2026-11-01T01:30-04:00 for the first.*2026-11-01T01:30-05:00"):
        read("2026-11-01T01:30", NEW_YORK)


def test_an_offset_says_which_of_the_two() -> None:
    first, second = read("2026-11-01T01:30-04:00", NEW_YORK), read("2026-11-01T01:30-05:00", NEW_YORK)
    assert (second - first).total_seconds() == 3600


def test_differences_over_a_change_of_clocks_are_real_hours() -> None:
    evening, morning = in_zone(datetime(2026, 3, 7, 22), NEW_YORK), in_zone(datetime(2026, 3, 8, 6), NEW_YORK)
    assert (morning - evening).total_seconds() == 7 * 3600


@pytest.mark.parametrize(
    "text", ["yesterday", "", "2026-13-01T00:00", "0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00"]
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a date and time|outside the years"):
        read(text, NEW_YORK)
