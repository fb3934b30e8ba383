"""Send what is due, one after the other on one line, and write down what became of it."""

import logging
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import F

from reactions import emails, site
from reactions.models import OutboxMessage
from reactions.outbox import claims, limits, stopping
from reactions.outbox.claims import LEASE, database_now, own
from reactions.outbox.line import Letter, Line
from reactions.outbox.marks import Marks, insist
from reactions.outbox.outcomes import finish, try_later, wait
from reactions.outbox.refusals import ANSWERS, in_words, is_about_recipient, is_final
from reactions.vocabulary import MailKind, MailState

logger = logging.getLogger(__name__)

BATCH = 200
# What was read so many seconds ago is read again before anything is sent by it: consent, address, answer and death may
# have changed, and something more urgent may have come.
FRESH_FOR_S = 0.25
# And what was noted is not sent any more after so long. Other mails are prepared meanwhile, which takes its time.
NOTED_FOR_S = 5.0
# So many mails are noted as tried at once: a commit takes PostgreSQL longer than it takes to send a mail. Whoever ends
# without a word leaves so many rows in doubt, of which one was under way.
AHEAD = 2
# A dispatcher begins no further mail after this: one that hangs then still ends within the task's time limit.
STOP_AFTER_S = LEASE.total_seconds() * 3 / 8
# Nor after this, from the beginning of the task in which others have used time before it: a mail that is under way when
# the task's limit comes is in doubt, and goes out twice.
STOP_IN_TASK_AFTER_S = LEASE.total_seconds() * 13 / 32
# And for so long after that it offers what became of its mails to a database that has gone away. Both together stay
# below the task's soft limit, 3/4 of a lease, or that would end the offering and lose the mark.
MARK_WITHIN_S = LEASE.total_seconds() * 5 / 16
# The soft limit comes later, when something else hung. Marks under way are still written, before the hard one at 5/6.
MARK_AFTER_THE_LIMIT_S = LEASE.total_seconds() / 16
# While the limits hold mails back, so often it is looked whether something urgent has come.
LOOK_EVERY_S = 1.0
PACED = "As many mails as are allowed in a minute have left."
# How the words of a mail begin that waits though the mail server is well.
PUT_OFF = "This recipient was put off: "
UNWRITTEN = "The mail could not be written: "


class NoConnection(Exception):
    """The mail server cannot be reached or does not let us in; no mail of this run can leave."""


@dataclass(frozen=True)
class Ready:
    """A mail that is wanted and written, by what was read at `read_at` of the monotonic clock."""

    message: OutboxMessage
    letter: Letter
    read_at: float

    @property
    def is_stale(self) -> bool:
        return time.monotonic() - self.read_at > FRESH_FOR_S


def dispatch(*, batch: int = BATCH, task_begun_at: float | None = None) -> dict[str, int]:
    """Send what is due. Returns how many rows were sent, refused, cancelled, expired or overtaken, or wait, and why.

    A row is `waiting` when the mail server did not take it: no connection, our sender, its own trouble, the text. It is
    `put_off` when the server only did not take this recipient for now, `paced` when the limits hold it back, `moved`
    when its check-in is due later, and `unwritten` when it could not be written.

    Without a connection to the mail server it stops at the first row; the others keep their turn. `task_begun_at` is
    when the task began of which this is a part, on the monotonic clock.
    """
    if stopped := site.sending_is_stopped():
        logger.error("%s", stopped)
        return {}
    outcomes: Counter[str] = Counter()
    stop_at = time.monotonic() + STOP_AFTER_S
    if task_begun_at is not None:
        stop_at = min(stop_at, task_begun_at + STOP_IN_TASK_AFTER_S)
    if not _may_go_on(stop_at):
        logger.warning("no time is left to send in this task; the next tick sends")
        return {}
    line = Line(get_connection())
    try:
        with stopping.sending():
            _empty(line, batch, stop_at, outcomes)
    except NoConnection:
        pass
    finally:
        line.close()
    return dict(outcomes)


def _empty(line: Line, batch: int, stop_at: float, outcomes: Counter[str]) -> None:
    room_at: datetime | None = None
    while _may_go_on(stop_at):
        claimed = claims.claim(batch)
        run = Run(claimed, line, stop_at, outcomes)
        run.go()
        room_at = run.room_at or room_at
        if not claimed or run.all_wait:
            if room_at is None or not _wait_for_room(room_at, stop_at):
                return
            room_at = room_at if room_at > database_now() else None


def _wait_for_room(room_at: datetime, stop_at: float) -> bool:
    """Let some of the time pass until the limits let one more mail leave; False when that is another tick's."""
    wait_s = max((room_at - database_now()).total_seconds(), 0.0)
    if time.monotonic() + wait_s > stop_at:
        return False
    # Not at one go: a red alert may come, and this process may be told to end.
    time.sleep(min(wait_s, LOOK_EVERY_S))
    return True


def deliver(message: OutboxMessage, transport: BaseEmailBackend) -> str:
    """Send one claimed row if it is still wanted, and write down what became of it. Returns that in a word.

    Raises NoConnection, with the row waiting for its next try, when the mail server cannot be reached.
    """
    outcomes: Counter[str] = Counter()
    Run([message], Line(transport), time.monotonic() + STOP_AFTER_S, outcomes, is_fresh=False).go()
    return next(iter(outcomes), "overtaken")


def _may_go_on(stop_at: float) -> bool:
    return not stopping.is_told() and time.monotonic() < stop_at


class Run:
    """A claimed batch, sent one after the other until the time is up or something more urgent is due.

    PostgreSQL notes the try of one mail while the one before it is being sent and the one after it is looked at and
    written. So between a mail's end and its mark there is nothing but the mark.
    """

    def __init__(
        self,
        claimed: Iterable[OutboxMessage],
        line: Line,
        stop_at: float,
        outcomes: Counter[str],
        *,
        is_fresh: bool = True,
    ) -> None:
        self._left = deque(claimed)
        # What is given back at the end: claimed, and neither ended nor on its way to the mail server.
        self._held = {message.pk: message for message in self._left}
        self._line, self._stop_at, self._outcomes = line, stop_at, outcomes
        self._insist_until = stop_at + MARK_WITHIN_S
        self._now = database_now()
        self._read_at = time.monotonic() if is_fresh else float("-inf")
        # The mail that the server has taken and that no mark is under way for yet.
        self._taken: OutboxMessage | None = None
        self._under_way: deque[Marks] = deque()
        self._ahead = AHEAD if connection.vendor == "postgresql" else 1
        # Moments of the monotonic clock at which the leases of noted mails began.
        self._noted_at: dict[int, float] = {}
        self._asked: set[int] = set()
        # When the limits let one more mail leave; `all_wait` when that is so for every mail that is not red.
        self.room_at: datetime | None = None
        self.all_wait = False

    def go(self) -> None:
        """Raises NoConnection when the mail server cannot be reached; the mail at hand waits for its next try."""
        noted: deque[Ready] = deque()
        with connection.execute_wrapper(self._settle_before), ExitStack() as at_last:
            # From the last to the first, each whatever becomes of the others.
            at_last.callback(self._give_back)
            at_last.callback(self._take_back, noted)
            at_last.push(self._settle_all)
            while self._fill(noted):
                self._send_first_of(noted)

    def _fill(self, noted: deque[Ready]) -> bool:
        """Note the tries of the next mails, as far ahead as pays. False when there is none to be sent."""
        while len(noted) < self._ahead and (ready := self._next()):
            self._mark(tried=ready)
            noted.append(ready)
        return bool(noted)

    def _send_first_of(self, noted: deque[Ready]) -> None:
        ready = noted.popleft()
        upcoming = self._next()
        if time.monotonic() - ready.read_at > NOTED_FOR_S or not _may_go_on(self._stop_at):
            # The database was away meanwhile, or this process is told to end.
            if upcoming:
                self._left.appendleft(upcoming.message)
            noted.appendleft(ready)
            self._take_back(noted)
            return
        outcome = self._send(ready)
        if outcome:
            self._outcomes[outcome] += 1
        if upcoming and not self._may_send(upcoming):
            self._left.appendleft(upcoming.message)
            upcoming = None
        self._mark(tried=upcoming)
        if upcoming:
            noted.append(upcoming)
        if not all(map(self._may_send, noted)):
            self._take_back(noted)

    def _take_back(self, noted: deque[Ready]) -> None:
        """These were noted and not tried: they are looked at again, by this run or another."""
        self._settle()
        while noted:
            message = noted.pop().message
            own(message).update(tried_at=None, attempts=F("attempts") - 1)
            self._noted_at.pop(message.pk, None)
            self._left.appendleft(message)

    def _next(self) -> Ready | None:
        """The next mail that is wanted, written and ready to leave; None when this run is to end."""
        while self._left and _may_go_on(self._stop_at):
            if time.monotonic() - self._read_at > FRESH_FOR_S and not self._read_again():
                return None
            if limits.are_set():
                self._keep_to_limits()
            if self._left and (ready := self._prepare(self._left.popleft())):
                return ready
        return None

    def _read_again(self) -> bool:
        """Read what is left as it is stored now. False when something more urgent goes first."""
        self._settle()
        self._now, self._read_at = database_now(), time.monotonic()
        stored = claims.reread(self._left)
        for message in self._left:
            if message.pk not in {row.pk for row in stored}:
                self._ended(message, "overtaken")
        self._left = deque(stored)
        return not (stored and claims.more_urgent_is_due(stored[0], self._now))

    def _keep_to_limits(self) -> None:
        """Take what may leave now. The rest is put off where its domain is full, and given back where all are."""
        asking = [message for message in self._left if message.pk not in self._asked]
        if not asking:
            return
        self._settle()
        self._asked |= {message.pk for message in asking}
        for pk, turn in limits.turns(asking).items():
            if turn.room_at is None:
                continue
            self.room_at = min(turn.room_at, self.room_at or turn.room_at)
            message = self._held[pk]
            self._left.remove(message)
            if turn.all_wait:
                self.all_wait = True
            else:
                self._ended(message, wait(message, "paced", until=turn.room_at, error=PACED))

    def _prepare(self, message: OutboxMessage) -> Ready | None:
        """Look whether the mail is still wanted, and write it. What it cannot be is written down at once."""
        try:
            if outcome := self._why_not_now(message):
                self._ended(message, outcome)
                return None
            return Ready(message, Letter.of(emails.render(message)), self._read_at)
        except (DatabaseError, InterfaceError):
            raise
        except Exception as error:
            # Whatever is wrong with this one mail (a bent template, an address that no header can carry): the rest goes
            # on. Its own words may hold the address, so the log gets its name and where it arose.
            where = "".join(traceback.format_tb(error.__traceback__))
            logger.error("outbox row %s could not be written: %s\n%s", message.pk, type(error).__name__, where)
            self._settle()
            message.attempts += 1
            self._ended(message, try_later(message, error, "unwritten", begin=UNWRITTEN))
            return None

    def _why_not_now(self, message: OutboxMessage) -> str:
        """What became of a mail that must not be sent now, after writing that down; empty for one that is wanted."""
        now = self._now + timedelta(seconds=time.monotonic() - self._read_at)
        # A check-in that moved while its mail was claimed has taken its window with it.
        invites = message.kind == MailKind.CHECKIN_INVITATION
        ends_at = message.checkin.closes_at if message.checkin and invites else message.expires_at
        if ends_at and ends_at <= now:
            self._settle()
            return finish(message, MailState.EXPIRED, error=message.last_error)
        if message.checkin and message.checkin.due_at > now:
            self._settle()
            return wait(message, "moved", until=message.checkin.due_at, error="")
        if why := message.why_not_wanted():
            self._settle()
            return finish(message, MailState.CANCELLED, error=why)
        return ""

    def _send(self, ready: Ready) -> str | None:
        """Send one mail whose try is being noted. Returns what became of it, or None when the server has taken it."""
        message = ready.message
        message.attempts += 1
        try:
            self._line.open()
        except Exception as error:
            self._line.close()
            if self._is_noted(message):
                self._ended(message, try_later(message, error))
            raise NoConnection from error
        failure: Exception | None = None
        try:
            self._line.address(ready.letter)
        except Exception as error:
            failure = error
        if not self._is_noted(message):
            self._line.forget()
            self._held.pop(message.pk)
            return "overtaken"
        if failure:
            return self._failed(message, failure, in_doubt=False)
        self._held.pop(message.pk)
        try:
            self._line.send(ready.letter)
        except ANSWERS as error:
            return self._failed(message, error, in_doubt=False)
        except Exception as error:
            # The line broke or the time was up while the mail was under way: the server may have it.
            return self._failed(message, error, in_doubt=True)
        self._taken = message
        return None

    def _failed(self, message: OutboxMessage, error: Exception, *, in_doubt: bool) -> str:
        self._line.forget() if isinstance(error, ANSWERS) else self._line.close()
        self._held.pop(message.pk, None)
        self._settle()
        if is_final(error):
            return self._insist(lambda: finish(message, MailState.REFUSED, error=in_words(error)))
        if is_about_recipient(error):
            return self._insist(lambda: try_later(message, error, "put_off", begin=PUT_OFF))
        return self._insist(lambda: try_later(message, error, in_doubt=in_doubt))

    def _insist(self, write: Callable[[], str]) -> str:
        return insist(write, until=self._insist_until)

    def _may_send(self, upcoming: Ready) -> bool:
        return not upcoming.is_stale and _may_go_on(self._stop_at)

    def _ended(self, message: OutboxMessage, outcome: str) -> None:
        self._held.pop(message.pk, None)
        self._outcomes[outcome] += 1

    def _mark(self, *, tried: Ready | None = None) -> None:
        """Mark the mail that was taken, and note that the next one is about to be tried."""
        while len(self._under_way) >= self._ahead:
            self._settle_first()
        behind = self._under_way[-1] if self._under_way else None
        message = tried.message if tried else None
        marks = Marks(sent=self._taken, tried=message, insist_until=self._insist_until)
        self._under_way.append(marks)
        self._taken = None
        marks.begin(behind)

    def _is_noted(self, message: OutboxMessage) -> bool:
        """The try is noted, and the lease that began with it has not run out while this process was stopped."""
        while self._under_way and message.pk not in self._noted_at:
            self._settle_first()
        return time.monotonic() - self._noted_at.get(message.pk, float("-inf")) < LEASE.total_seconds()

    def _settle(self) -> None:
        """Wait for all notes under way."""
        while self._under_way:
            self._settle_first()

    def _settle_all(self, kind: type[BaseException] | None, *_: object) -> None:
        """At the end: also a mail that was taken when the time limit came, and each whatever becomes of the others."""
        if kind and not issubclass(kind, (DatabaseError, InterfaceError)):
            self._insist_longer()
        with ExitStack() as each:
            for _step in range(len(self._under_way) + 1):
                each.callback(self._settle)
            if self._taken:
                self._mark()

    def _insist_longer(self) -> None:
        """The task's time is up, which is so once. What is under way is written all the same."""
        self._insist_until = max(self._insist_until, time.monotonic() + MARK_AFTER_THE_LIMIT_S)
        for marks in self._under_way:
            marks.insist_longer(self._insist_until)

    def _give_back(self) -> None:
        claims.give_back(self._held.values())

    def _settle_first(self) -> None:
        """Wait for the notes that have been under way the longest, and count the mail that they mark."""
        marks = self._under_way[0]
        try:
            self._under_way.popleft()
            self._count(marks, *marks.wait())
        except (DatabaseError, InterfaceError):
            raise
        except BaseException:
            if marks not in self._under_way:
                self._under_way.appendleft(marks)
            self._insist_longer()
            raise

    def _count(self, marks: Marks, marked: bool, noted: bool) -> None:
        if noted and marks.tried:
            self._noted_at[marks.tried.pk] = marks.begun_at
        if sent := marks.take_sent():
            if not marked:
                logger.warning("outbox row %s was taken over by another dispatcher", sent.pk)
            self._outcomes["sent" if marked else "overtaken"] += 1

    def _settle_before(self, execute: Callable[..., Any], *statement: Any) -> Any:
        """Whoever asks the database something while it writes our notes waits for them first."""
        self._settle()
        return execute(*statement)
