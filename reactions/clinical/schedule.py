"""Which check-ins a plan has, and when a mail may go out by the clocks where the patient lives. Pure.

Signatures
    is_quiet(at, zone, quiet_hours) -> bool
    when_to_send(due_at, zone, quiet_hours) -> datetime
    before_next_course(due_at, ended_at, next_day, zone) -> datetime
    when_it_closes(open_for, due_at, zone, quiet_hours) -> datetime

Quiet hours are clock times from one up to, and not including, another; from 21:00 to 08:00 they go over midnight. They
are counted in the zone in which the patient lives at that moment, so that a move is followed. Where the clocks go
forward, an end of the quiet hours that does not exist that night is the first moment after the gap. Where they go back,
one that comes twice is the second. No source: the hours are a clinic's choice.

Moments carry a zone and results are in UTC: Python compares and subtracts two times of one zone by their clock faces,
which is an hour wrong across a change of the clocks.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from reactions.clinical.questions import EVERYTHING, FIRST_DAYS, MONTH, SECOND_WEEK, QuestionSet
from reactions.vocabulary import LABELS, CheckInKind

# The last check-in doubles as a question before the next infusion; 2 days are this project's own. By day, since a
# booking has no hour; the hour is that of the infusion's end.
BEFORE_NEXT_COURSE = timedelta(days=2)
# A check-in can be answered for so long after it could be sent, however short its step's window. This project's own.
OPEN_AT_LEAST = timedelta(hours=12)
REMIND_AFTER = timedelta(hours=24)


@dataclass(frozen=True)
class Step:
    """One check-in: due so long after the end, open for so long, reminded of so long after its mail or not at all.

    With `before_next_course` it is asked 2 days before the next course where that is earlier. `question_set` is the
    name of one in clinical/questions.py.
    """

    key: str
    label: str
    after_end: timedelta
    open_for: timedelta
    remind_after: timedelta | None = REMIND_AFTER
    before_next_course: bool = False
    question_set: str = EVERYTHING.name


def _usual(
    kind: CheckInKind,
    after_end: timedelta,
    open_for: timedelta,
    asks: QuestionSet,
    *,
    before_next_course: bool = False,
) -> Step:
    return Step(
        key=kind.value,
        label=LABELS[CheckInKind][kind],
        after_end=after_end,
        open_for=open_for,
        before_next_course=before_next_course,
        question_set=asks.name,
    )


# Sources: checkins/plan.py; of what is asked clinical/questions.py. The windows follow from the steps; a reminder after
# 24 h is usual.
DEFAULT_PLAN = (
    _usual(CheckInKind.HOURS_24, timedelta(hours=24), timedelta(hours=48), FIRST_DAYS),
    _usual(CheckInKind.HOURS_72, timedelta(hours=72), timedelta(days=5), FIRST_DAYS),
    _usual(CheckInKind.DAYS_8, timedelta(days=8), timedelta(days=7), SECOND_WEEK),
    _usual(CheckInKind.DAYS_28, timedelta(days=28), timedelta(days=14), MONTH, before_next_course=True),
)


@dataclass(frozen=True)
class QuietHours:
    """From `start` up to, and not including, `end`, on the patient's clocks. Raises ValueError when both are equal."""

    start: time
    end: time

    def __post_init__(self) -> None:
        if self.start == self.end:
            raise ValueError("Quiet hours that end when they begin leave no time to send.")

    @property
    def last(self) -> timedelta:
        """How long they are by a clock that nobody changes."""
        day = timedelta(days=1)
        return (
            timedelta(hours=self.end.hour, minutes=self.end.minute)
            - timedelta(hours=self.start.hour, minutes=self.start.minute)
        ) % day

    def contain(self, clock: time) -> bool:
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end


def is_quiet(at: datetime, zone: ZoneInfo, quiet_hours: QuietHours | None) -> bool:
    """Whether the clocks where the patient lives show a quiet hour at that moment."""
    return quiet_hours is not None and quiet_hours.contain(at.astimezone(zone).time())


def when_to_send(due_at: datetime, zone: ZoneInfo, quiet_hours: QuietHours | None) -> datetime:
    """The first moment from `due_at` on that is not in the quiet hours, in UTC."""
    moment = due_at.astimezone(UTC)
    if quiet_hours is None or not is_quiet(moment, zone, quiet_hours):
        return moment
    today = moment.astimezone(zone).date()
    days = (today + timedelta(days=ahead) for ahead in range(3))
    ends = (_moments(day, quiet_hours.end, zone) for day in days)
    return next(end for day in ends for end in day if end > moment and not is_quiet(end, zone, quiet_hours))


def when_it_closes(open_for: timedelta, due_at: datetime, zone: ZoneInfo, quiet_hours: QuietHours | None) -> datetime:
    """The end of the window, and never before it was open for OPEN_AT_LEAST outside the quiet hours' wait."""
    return max(due_at + open_for, when_to_send(due_at, zone, quiet_hours) + OPEN_AT_LEAST)


def before_next_course(due_at: datetime, ended_at: datetime, next_day: date | None, zone: ZoneInfo) -> datetime:
    """`due_at`, or 2 days before the next course's first day at the clock time of the end where that is earlier.

    A next course that begins so soon that this would lie before the end of the infusion changes nothing.
    """
    if next_day is None:
        return due_at
    clock = ended_at.astimezone(zone).time()
    earlier = _moments(next_day - BEFORE_NEXT_COURSE, clock, zone)[0]
    return min(due_at, earlier) if earlier > ended_at else due_at


def _moments(day: date, clock: time, zone: ZoneInfo) -> list[datetime]:
    """When the clocks show it that day, in UTC: twice where they go back; the end of the gap where they skip it."""
    first = datetime.combine(day, clock, zone).astimezone(UTC)
    second = datetime.combine(day, clock, zone).replace(fold=1).astimezone(UTC)
    if first.astimezone(zone).time() == clock:
        return sorted({first, second})
    # In a gap `first` is read with the offset before it and `second` with the one after: the gap's end lies between.
    low, high = sorted((first, second))
    return [_change(low, high, zone)]


def _change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The moment, to the second, at which the offset changes between the two."""
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
    return high.replace(microsecond=0)
