"""Is mail going out? A pure judgement of what was last seen of scheduler, worker and mail server.

    judge(Pulse(...)) -> Verdict       what is wrong, since when, and how many mails wait

All moments come from the database's clock. The limits are this project's own: the tick comes every 60 s, so that three
missed ones are no accident; and a red alert is to be acknowledged within 15 minutes, so that less than half of that may
pass unseen.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

# A part that was not seen for this long is silent; a mail server that took nothing for this long is in trouble.
LATE = timedelta(minutes=3)
# While everything runs, a mail may wait for so long behind others.
BACKLOG = timedelta(minutes=10)


class Cause(StrEnum):
    FINE = "fine"
    NOT_YET = "not_run_yet"
    STOPPED = "stopped"
    SCHEDULER = "scheduler_silent"
    WORKER = "worker_silent"
    BOTH = "scheduler_and_worker_silent"
    FAILING = "worker_failing"
    MAIL_SERVER = "mail_server"
    BACKLOG = "backlog"


IN_BRACKETS = {
    Cause.SCHEDULER: "scheduler or broker not seen",
    Cause.WORKER: "worker not seen",
    Cause.BOTH: "neither scheduler nor worker seen",
    Cause.FAILING: "the worker begins and does not come to an end; its log says why",
    Cause.MAIL_SERVER: "the mail server does not take mail",
}


@dataclass(frozen=True)
class Pulse:
    """What was seen. A moment is None where there was none.

    `scheduled_at`: beat handed over a tick, or cron began one. `began_at`, `done_at`: a worker or cron began and ended
    a tick on a host that may send. `waiting` counts mails and check-ins whose time has come; `oldest_mail_since` is how
    long the oldest mail of these waits, `oldest_since` the oldest of all.
    """

    now: datetime
    stopped: str = ""
    knows_no_id: bool = False
    senders_trouble: str = ""
    first_seen_at: datetime | None = None
    scheduled_at: datetime | None = None
    began_at: datetime | None = None
    done_at: datetime | None = None
    mail_failing_since: datetime | None = None
    mail_trouble: str = ""
    waiting: int = 0
    alerts: int = 0
    oldest_mail_since: datetime | None = None
    oldest_since: datetime | None = None


@dataclass(frozen=True)
class Verdict:
    """`since` is when mail was last known to go out; None when it never was. `why` are words of the host or server."""

    cause: Cause
    since: datetime | None = None
    why: str = ""
    waiting: int = 0
    alerts: int = 0
    urgent: bool = True

    @property
    def is_ready(self) -> bool:
        """Nothing waits in vain."""
        return self.cause == Cause.FINE or not self.urgent

    def without_words_of_others(self) -> "Verdict":
        """The same without what the mail server said, for pages that anyone may read."""
        return replace(self, why="") if self.cause == Cause.MAIL_SERVER else self

    def in_words(self, clock: Callable[[datetime], str]) -> str:
        """One or two sentences, with moments as `clock` writes them; empty when all is well."""
        if self.cause == Cause.FINE:
            return ""
        return f"{self._what(clock)} {self._how_many()}"

    def _what(self, clock: Callable[[datetime], str]) -> str:
        if self.cause == Cause.NOT_YET:
            return "The sending of check-ins has not run yet."
        if self.cause == Cause.BACKLOG and self.since:
            return f"Check-ins are going out late: the oldest mail has been waiting since {clock(self.since)}."
        since = f"since {clock(self.since)}" if self.since else "so far"
        if self.cause == Cause.STOPPED:
            return f"Check-ins have not been going out {since}. {self.why}"
        why = f": {self.why}" if self.why else ""
        return f"Check-ins have not been going out {since} ({IN_BRACKETS[self.cause]}{why})."

    def _how_many(self) -> str:
        if not self.waiting:
            return "Nothing is waiting."
        said = "1 is waiting" if self.waiting == 1 else f"{self.waiting} are waiting"
        if not self.alerts:
            return f"{said}."
        return f"{said}, {self.alerts} of them {'an alert' if self.alerts == 1 else 'alerts'} to staff."


def judge(pulse: Pulse) -> Verdict:
    """The first thing that keeps mail from going out, counted from the source: host, scheduler, worker, mail server."""
    cause, since, why = _cause(pulse)
    urgent = cause != Cause.NOT_YET or _is_late(pulse.oldest_since, pulse.now)
    return Verdict(cause, since, why, pulse.waiting, pulse.alerts, urgent)


def _cause(pulse: Pulse) -> tuple[Cause, datetime | None, str]:
    sends = pulse.done_at is not None and not _is_late(pulse.done_at, pulse.now)
    if pulse.stopped and not (pulse.knows_no_id and sends):
        return Cause.STOPPED, pulse.done_at, pulse.stopped
    if pulse.senders_trouble and not sends:
        return Cause.STOPPED, pulse.done_at, pulse.senders_trouble
    if pulse.first_seen_at is None:
        return Cause.NOT_YET, None, ""
    scheduled, done = pulse.scheduled_at or pulse.first_seen_at, pulse.done_at or pulse.first_seen_at
    if _is_late(scheduled, pulse.now):
        # Without a tick no worker can be seen at work; it was gone before only where it had missed ticks already.
        return (Cause.BOTH if scheduled - done > LATE else Cause.SCHEDULER), min(scheduled, done), ""
    if _is_late(done, pulse.now):
        begins = pulse.began_at is not None and pulse.began_at > done and not _is_late(pulse.began_at, pulse.now)
        return (Cause.FAILING if begins else Cause.WORKER), done, ""
    if pulse.mail_failing_since and _is_late(pulse.mail_failing_since, pulse.now):
        return Cause.MAIL_SERVER, pulse.mail_failing_since, pulse.mail_trouble
    if pulse.oldest_mail_since and pulse.now - pulse.oldest_mail_since > BACKLOG:
        return Cause.BACKLOG, pulse.oldest_mail_since, ""
    return Cause.FINE, None, ""


def _is_late(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and now - moment > LATE
