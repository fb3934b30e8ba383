"""When whoever is told of an alert is told again, on the clinic's clocks."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from reactions.clinical.escalation import (
    Rung,
    Targets,
    WorkingHours,
    due_by,
    gaps,
    round_at,
    round_begins,
    rungs,
)
from reactions.vocabulary import AlertLevel

NEW_YORK = ZoneInfo("America/New_York")
RED, AMBER, GREEN = AlertLevel.RED, AlertLevel.AMBER, AlertLevel.GREEN


def targets(*, every_min: int = 5, every_day: bool = False) -> Targets:
    return Targets(
        red_within=timedelta(minutes=15),
        red_every=timedelta(minutes=every_min),
        amber_within=timedelta(hours=4),
        amber_every=timedelta(hours=2),
        hours=WorkingHours(time(8), time(17), NEW_YORK, every_day),
    )


def clock(words: str) -> datetime:
    """A moment on New York's clocks."""
    return datetime.fromisoformat(words).replace(tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("minutes", "number"),
    [(-3, 0), (0, 0), (4.9, 0), (5, 1), (14.9, 2), (15, 3), (119, 23), (120, 24), (179, 24), (180, 25), (600, 32)],
)
def test_red_is_told_every_five_minutes_and_after_two_hours_every_hour(minutes: float, number: int) -> None:
    raised_at = clock("2026-03-04 03:00")
    assert round_at(RED, raised_at, raised_at + timedelta(minutes=minutes), targets()) == number


@pytest.mark.parametrize("level", [RED, AMBER])
@pytest.mark.parametrize("every_min", [1, 5, 7, 50, 90, 120])
def test_a_round_begins_when_it_becomes_the_present_one(level: AlertLevel, every_min: int) -> None:
    raised_at, told = clock("2026-03-06 16:10").astimezone(UTC), targets(every_min=every_min)
    for number in range(1, 60):
        begins = round_begins(level, raised_at, number, told)
        assert round_at(level, raised_at, begins, told) == number
        assert round_at(level, raised_at, begins - timedelta(seconds=1), told) == number - 1


@pytest.mark.parametrize(
    ("raised_at", "due"),
    [
        ("2026-03-04 09:00", "2026-03-04 13:00"),
        ("2026-03-04 13:00", "2026-03-04 17:00"),
        ("2026-03-04 15:00", "2026-03-05 10:00"),
        ("2026-03-04 22:30", "2026-03-05 12:00"),
        ("2026-03-04 03:00", "2026-03-04 12:00"),
        # A Friday, and the night in which the clocks go forward lies between.
        ("2026-03-06 16:00", "2026-03-09 11:00"),
        # A Friday, and the night in which they go back.
        ("2026-10-30 16:00", "2026-11-02 11:00"),
    ],
)
def test_amber_counts_in_working_hours(raised_at: str, due: str) -> None:
    assert due_by(AMBER, clock(raised_at), targets()) == clock(due)
    assert round_at(AMBER, clock(raised_at), clock(due) - timedelta(minutes=1), targets()) == 0
    assert round_at(AMBER, clock(raised_at), clock(due), targets()) == 1


def test_a_clinic_that_works_at_weekends_counts_them() -> None:
    assert due_by(AMBER, clock("2026-03-06 16:00"), targets(every_day=True)) == clock("2026-03-07 11:00")


def test_red_counts_by_the_clock_over_a_change_of_the_clocks() -> None:
    raised_at = datetime(2026, 3, 8, 6, 50, tzinfo=UTC).astimezone(NEW_YORK)
    assert due_by(RED, raised_at, targets()) == datetime(2026, 3, 8, 7, 5, tzinfo=UTC)
    assert round_at(RED, raised_at, clock("2026-03-08 03:00"), targets()) == 2


@pytest.mark.parametrize(
    ("raised_at", "due"),
    [("2026-03-04 00:10", "2026-03-05 17:00"), ("2026-03-06 23:00", "2026-03-09 17:00")],
)
def test_green_is_for_the_next_working_day(raised_at: str, due: str) -> None:
    assert due_by(GREEN, clock(raised_at), targets()) == clock(due)
    assert round_at(GREEN, clock(raised_at), clock(raised_at) + timedelta(days=30), targets()) == 0


def test_working_hours_that_the_clocks_skip_are_no_working_day() -> None:
    hours = WorkingHours(time(2), time(3), NEW_YORK, every_day=True)
    assert hours.on(clock("2026-03-07 12:00").date()) is not None
    assert hours.on(clock("2026-03-08 12:00").date()) is None
    with pytest.raises(ValueError, match="end after they begin"):
        WorkingHours(time(17), time(8), NEW_YORK)


def test_the_ladder() -> None:
    everybody = tuple(Rung)
    assert rungs(RED, has_rota=True) == everybody
    assert rungs(AMBER, has_rota=True) == (Rung.FIRST_ON_CALL, Rung.CLINICIANS, Rung.ADMINISTRATORS)
    for level in (RED, AMBER):
        assert rungs(level, has_rota=False) == (Rung.CLINICIANS, Rung.CLINICIANS, Rung.ADMINISTRATORS)


@pytest.mark.parametrize(
    ("spans", "found"),
    [
        ([], [(0, 24)]),
        ([(0, 24)], []),
        ([(-5, 30)], []),
        ([(-5, 8), (8, 24)], []),
        ([(-5, 8), (7, 12), (20, 30)], [(12, 20)]),
        ([(2, 20), (4, 6)], [(0, 2), (20, 24)]),
        ([(24, 30), (-8, 0)], [(0, 24)]),
    ],
)
def test_gaps(spans: list[tuple[int, int]], found: list[tuple[int, int]]) -> None:
    start = datetime(2026, 3, 4, tzinfo=UTC)

    def at(hours: int) -> datetime:
        return start + timedelta(hours=hours)

    assert gaps([(at(a), at(b)) for a, b in spans], start, at(24)) == [(at(a), at(b)) for a, b in found]
