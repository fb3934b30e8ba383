"""When whoever is told of an alert is told again, who is told then, and when nobody is on call. Pure.

Signatures
    round_at(level, raised_at, now, targets) -> int                0 at once, then 1, 2, ...
    round_begins(level, raised_at, number, targets) -> datetime
    due_by(level, raised_at, targets) -> datetime                  acknowledged by then is within the target
    rungs(level, *, has_rota) -> tuple[Rung, ...]                  round n reaches the first n + 1 of them
    gaps(spans, start, end) -> list[(datetime, datetime)]          what no span covers

Red counts by the clock, amber by the clinic's working hours: what is reported in the evening is due the next working
day. Fifteen minutes and four hours are this project's own; no guideline names them for reports from home. So are five
minutes a rung, which let everybody know when fifteen minutes are over, and the slower pace after two hours, so that one
alert that nobody acknowledges does not fill mailboxes until they refuse the next one.

Moments carry a zone and results are in UTC: Python compares and subtracts two times of one zone by their clock faces,
which is an hour wrong across a change of the clocks.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

from reactions.vocabulary import AlertLevel

SATURDAY = 5
# How long red is repeated at the clinic's pace, and how often afterwards at the least.
URGENT_FOR = timedelta(hours=2)
THEN_EVERY = timedelta(hours=1)


class Rung(IntEnum):
    """Who is told of an alert. Where a rung has nobody, the next one stands in for it."""

    FIRST_ON_CALL = 1
    SECOND_ON_CALL = 2
    CLINICIANS = 3
    ADMINISTRATORS = 4


@dataclass(frozen=True)
class WorkingHours:
    """From `start` up to, and not including, `end` on the clinic's clocks, Monday to Friday or every day.

    Holidays are not known. Raises ValueError when the end does not come after the start.
    """

    start: time
    end: time
    zone: ZoneInfo
    every_day: bool = False

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError("Working hours end after they begin.")

    def on(self, day: date) -> tuple[datetime, datetime] | None:
        """The working hours of that day in UTC; None for a day off, and for hours that the clocks skip that day."""
        if day.weekday() >= SATURDAY and not self.every_day:
            return None
        opens, closes = (_moment(day, clock, self.zone) for clock in (self.start, self.end))
        return (opens, closes) if opens < closes else None

    def since(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """What is left of the working hours from that moment on, day by day, without end."""
        day = moment.astimezone(self.zone).date()
        while True:
            hours = self.on(day)
            if hours and hours[1] > moment:
                yield max(hours[0], moment.astimezone(UTC)), hours[1]
            day += timedelta(days=1)


@dataclass(frozen=True)
class Targets:
    """What a clinic has decided: within how long an alert is to be acknowledged, and how often it is told again."""

    red_within: timedelta
    red_every: timedelta
    amber_within: timedelta
    amber_every: timedelta
    hours: WorkingHours


def round_at(level: AlertLevel, raised_at: datetime, now: datetime, targets: Targets) -> int:
    """The round that is on at that moment. Green has no round but the first."""
    if level == AlertLevel.RED:
        return _red_round(now.astimezone(UTC) - raised_at.astimezone(UTC), targets.red_every)
    if level == AlertLevel.AMBER:
        worked = _worked(raised_at, now, targets.hours)
        return 0 if worked < targets.amber_within else 1 + (worked - targets.amber_within) // targets.amber_every
    return 0


def round_begins(level: AlertLevel, raised_at: datetime, number: int, targets: Targets) -> datetime:
    """When that round begins."""
    if number == 0 or level == AlertLevel.GREEN:
        return raised_at.astimezone(UTC)
    if level == AlertLevel.RED:
        fast = min(number, URGENT_FOR // targets.red_every)
        after = fast * targets.red_every + (number - fast) * max(targets.red_every, THEN_EVERY)
        return raised_at.astimezone(UTC) + after
    return _when_worked(raised_at, targets.amber_within + (number - 1) * targets.amber_every, targets.hours)


def due_by(level: AlertLevel, raised_at: datetime, targets: Targets) -> datetime:
    """By when it is to be acknowledged: red by the clock, amber in working hours, green by the end of the next day."""
    if level == AlertLevel.RED:
        return raised_at.astimezone(UTC) + targets.red_within
    if level == AlertLevel.AMBER:
        return _when_worked(raised_at, targets.amber_within, targets.hours)
    day = raised_at.astimezone(targets.hours.zone).date() + timedelta(days=1)
    return next(end for _, end in targets.hours.since(_moment(day, time(0), targets.hours.zone)))


def rungs(level: AlertLevel, *, has_rota: bool) -> tuple[Rung, ...]:
    """The ladder. Without a rota all clinicians are told at once, and once more before the administrators are."""
    if not has_rota:
        return (Rung.CLINICIANS, Rung.CLINICIANS, Rung.ADMINISTRATORS)
    if level == AlertLevel.RED:
        return (Rung.FIRST_ON_CALL, Rung.SECOND_ON_CALL, Rung.CLINICIANS, Rung.ADMINISTRATORS)
    return (Rung.FIRST_ON_CALL, Rung.CLINICIANS, Rung.ADMINISTRATORS)


def gaps(spans: Iterable[tuple[datetime, datetime]], start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The parts of start to end that none of the spans covers, in order. Spans may overlap."""
    found, covered = [], start
    for begins, ends in sorted(spans):
        if begins >= end:
            break
        if begins > covered:
            found.append((covered, begins))
        covered = max(covered, ends)
    return [*found, (covered, end)] if covered < end else found


def _red_round(passed: timedelta, every: timedelta) -> int:
    fast = URGENT_FOR // every
    if passed < fast * every:
        return max(0, passed // every)
    return fast + (passed - fast * every) // max(every, THEN_EVERY)


def _worked(start: datetime, end: datetime, hours: WorkingHours) -> timedelta:
    """How much working time lies between the two."""
    worked = timedelta(0)
    for opens, closes in hours.since(start):
        if opens >= end:
            break
        worked += min(closes, end) - opens
    return worked


def _when_worked(start: datetime, span: timedelta, hours: WorkingHours) -> datetime:
    """The first moment at which so much working time has passed since `start`."""
    for opens, closes in hours.since(start):
        if span <= closes - opens:
            return opens + span
        span -= closes - opens
    raise AssertionError("Working hours go on for ever.")


def _moment(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """When the clocks show it that day, in UTC; the first time where twice, and the moment after a gap it falls in."""
    return datetime.combine(day, clock, zone).astimezone(UTC)
