"""The tick comes whatever is done to the machine's clock."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from celery import Celery

from ivigtrack.beat import Scheduler, Steady

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("last_run_at", "due"),
    [
        (NOON - timedelta(seconds=61), True),
        (NOON - timedelta(seconds=10), False),
        (NOON + timedelta(hours=1), True),
    ],
    ids=["a minute ago", "just now", "in an hour, by a clock that was set back since"],
)
def test_a_tick_is_due_a_minute_after_the_last_and_when_the_last_lies_ahead(last_run_at: datetime, due: bool) -> None:
    every = Steady(60)
    with time_machine.travel(NOON, tick=False):
        found = every.is_due(last_run_at)
    assert found.is_due is due
    assert 0 < found.next <= 60


@pytest.fixture
def beat(tmp_path: Path) -> Iterator[Scheduler]:
    """Beat with one tick a minute, which nobody takes."""
    app = Celery("beat", broker="memory://", set_as_current=False)
    app.conf.beat_schedule = {"tick": {"task": "reactions.tasks.tick", "schedule": Steady(60, app=app)}}
    scheduler = Scheduler(app, schedule_filename=str(tmp_path / "schedule"), lazy=False)
    yield scheduler
    scheduler.close()


def ticks_at(beat: Scheduler, moment: datetime) -> int:
    """How many ticks beat sends when the clock shows this."""
    before = beat.schedule["tick"].total_run_count
    with time_machine.travel(moment, tick=False):
        for _ in range(3):
            beat.tick()
    return int(beat.schedule["tick"].total_run_count) - before


def test_beat_goes_on_when_a_clock_that_was_an_hour_ahead_is_set_right(beat: Scheduler) -> None:
    assert ticks_at(beat, NOON) == 1
    assert ticks_at(beat, NOON + timedelta(seconds=30)) == 0
    assert ticks_at(beat, NOON + timedelta(hours=1)) == 1
    assert ticks_at(beat, NOON + timedelta(seconds=40)) == 1
    assert ticks_at(beat, NOON + timedelta(seconds=60)) == 0
    assert ticks_at(beat, NOON + timedelta(seconds=101)) == 1
