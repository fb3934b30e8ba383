"""When a mail may go out by the patient's clocks, also in the nights in which they change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactions.clinical.schedule import QuietHours, before_next_course, is_quiet, when_to_send

NIGHT = QuietHours(time(21), time(8))
NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("due", "zone", "quiet", "sent"),
    [
        ("2026-07-01T15:00", NEW_YORK, NIGHT, "2026-07-01T15:00"),
        ("2026-07-02T00:59", NEW_YORK, NIGHT, "2026-07-02T00:59"),
        ("2026-07-02T01:00", NEW_YORK, NIGHT, "2026-07-02T12:00"),
        ("2026-07-02T11:59", NEW_YORK, NIGHT, "2026-07-02T12:00"),
        ("2026-07-02T12:00", NEW_YORK, NIGHT, "2026-07-02T12:00"),
        # The same moment for somebody who has moved west.
        ("2026-07-02T12:00", "America/Denver", NIGHT, "2026-07-02T14:00"),
        # The nights in which the clocks go forward and back: eight o'clock is an hour nearer, or farther.
        ("2026-03-08T03:00", NEW_YORK, NIGHT, "2026-03-08T12:00"),
        ("2026-03-07T03:00", NEW_YORK, NIGHT, "2026-03-07T13:00"),
        ("2026-11-01T03:00", NEW_YORK, NIGHT, "2026-11-01T13:00"),
        # Half past two does not exist that night; the hours end when the clocks show three.
        ("2026-03-08T06:00", NEW_YORK, QuietHours(time(22), time(2, 30)), "2026-03-08T07:00"),
        # Half past one comes twice; between the two the clocks show quiet hours once more.
        ("2026-11-01T04:00", NEW_YORK, QuietHours(time(22), time(1, 30)), "2026-11-01T05:30"),
        ("2026-11-01T06:10", NEW_YORK, QuietHours(time(22), time(1, 30)), "2026-11-01T06:30"),
        # Clocks that change by half an hour, and an offset of three quarters.
        ("2026-10-03T12:00", "Australia/Lord_Howe", NIGHT, "2026-10-03T21:00"),
        ("2026-07-01T16:00", "Asia/Kathmandu", NIGHT, "2026-07-02T02:15"),
        ("2026-07-02T03:00", NEW_YORK, None, "2026-07-02T03:00"),
    ],
)
def test_when_it_is_sent(due: str, zone: str, quiet: QuietHours | None, sent: str) -> None:
    result = when_to_send(utc(due), ZoneInfo(zone), quiet)
    assert result == utc(sent)


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    st.sampled_from([NEW_YORK, "Australia/Lord_Howe", "Asia/Kathmandu", "Europe/Dublin", "America/Santiago", "UTC"]),
    st.integers(0, 95),
    st.integers(1, 95),
)
def test_never_quiet_never_early_and_within_a_day(due: datetime, zone: str, start: int, length: int) -> None:
    quiet = QuietHours(quarter(start), quarter(start + length))
    sent = when_to_send(due, ZoneInfo(zone), quiet)
    assert not is_quiet(sent, ZoneInfo(zone), quiet)
    # The day in which the clocks go back has an hour more.
    assert due <= sent <= due + timedelta(hours=25)


def test_quiet_hours_that_leave_no_time_are_refused() -> None:
    with pytest.raises(ValueError, match="leave no time"):
        QuietHours(time(8), time(8))


@pytest.mark.parametrize(
    ("next_day", "due"),
    [
        (None, "2026-03-29T15:00"),
        (date(2026, 4, 20), "2026-03-29T15:00"),
        # Two days before, at the end's clock time: ten o'clock in New York, which is an hour earlier in UTC by then.
        (date(2026, 3, 22), "2026-03-20T14:00"),
        (date(2026, 3, 2), "2026-03-29T15:00"),
    ],
)
def test_the_last_one_comes_before_the_next_course(next_day: date | None, due: str) -> None:
    ended = utc("2026-03-01T15:00")
    result = before_next_course(ended + timedelta(days=28), ended, next_day, ZoneInfo(NEW_YORK))
    assert result == utc(due)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def quarter(number: int) -> time:
    return time(number % 96 // 4, number % 4 * 15)
