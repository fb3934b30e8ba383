"""The two notes of each mail: that it is about to be tried, and that it was taken.

They decide how wide the gap is in which a crash makes a second copy, and how fast mail leaves. So the mark of one mail
goes with the note of the next but one in one commit, as durable as every other. To PostgreSQL that is one statement. It
is handed over the moment that a mail is taken, whether or not the one before it is done (pipeline mode), and worked on
while the next mail is sent and the one after that is written.
"""

import logging
import select
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from weakref import WeakSet

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.utils import timezone
from psycopg import pq

from patients.models import address_digest
from reactions.models import OutboxMessage
from reactions.outbox.claims import LEASE
from reactions.vocabulary import MailState

logger = logging.getLogger(__name__)

PAUSE_S = 0.25
# A database that was lost without a word is noticed while there is time to mark on another connection.
SILENT_AFTER_S = LEASE.total_seconds() / 4

# Before its mail: the order of locks (reactions.outbox).
HOLD = "SELECT id FROM reactions_checkin WHERE id = {checkin} FOR NO KEY UPDATE"
MARK = """
UPDATE reactions_outboxmessage
SET state = 'sent', lease_until = NULL, tried_at = NULL, sent_at = {now}, last_error = '', refused_address = ''
WHERE id = {sent} AND lease_number = {sent_lease} AND state = 'sending'
"""
TELL = """
UPDATE reactions_checkin SET state = 'sent', sent_at = {now} WHERE id = {checkin} AND state = 'planned'
"""
NOTE = """
UPDATE reactions_outboxmessage
SET tried_at = {now}, attempts = attempts + 1, lease_until = {lease_until}, sent_to = '{sent_to}'
WHERE id = {tried} AND lease_number = {tried_lease} AND state = 'sending' AND lease_until > {now}
"""
# One way there and back, and one commit for both rows.
TOGETHER = f"""
WITH held AS ({HOLD}),
marked AS ({MARK} AND (SELECT count(*) FROM held) >= 0 RETURNING 1),
told AS ({TELL} AND EXISTS (SELECT 1 FROM marked)),
noted AS ({NOTE} RETURNING 1)
SELECT (SELECT count(*) FROM marked), (SELECT count(*) FROM noted)
"""  # noqa: S608 - of these four, and filled with numbers and a digest
NUMBERS = ("sent", "sent_lease", "checkin", "tried", "tried_lease")
ON_POSTGRESQL = {
    "now": "clock_timestamp()",
    "lease_until": f"clock_timestamp() + interval '{LEASE.total_seconds()} seconds'",
}
# To plan it takes PostgreSQL as long as to do it, so each connection prepares it once.
PREPARED_NAME = b"outbox_marks"
WITH_PLACES = (
    TOGETHER.replace("'{sent_to}'", "{sent_to}")
    .format(**ON_POSTGRESQL, **{name: f"${place}::bigint" for place, name in enumerate(NUMBERS, 1)}, sent_to="$6::text")
    .encode("ascii")
)
# For a database that takes one at a time: the same, with places for what they are given.
PLACES = dict.fromkeys(["now", "lease_until", "sent_to", *NUMBERS], "?")
MARK_ALONE, TELL_ALONE, NOTE_ALONE = (
    part.replace("'{sent_to}'", "{sent_to}").format(**PLACES) for part in (MARK, TELL, NOTE)
)

# What PostgreSQL says when the connection that we have is not the one on which the statement was prepared.
NOT_OUR_CONNECTION = (psycopg.errors.InvalidSqlStatementName, psycopg.errors.DuplicatePreparedStatement)

T = TypeVar("T")


class Prepared:
    """On which connections the statement is prepared. None behind a pooler that has another for each transaction.

    Such a pooler is known by the same word by which Django keeps its cursors off it, DISABLE_SERVER_SIDE_CURSORS, or by
    what it answers; the marks that find it out are written once more, without.
    """

    def __init__(self) -> None:
        self._on: WeakSet[psycopg.Connection] = WeakSet()
        self._is_possible = True

    def prepare(self, server: pq.abc.PGconn) -> None:
        """Once for each connection, before its pipeline begins."""
        if not self._is_possible or connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
            return
        if connection.connection not in self._on:
            result = server.prepare(PREPARED_NAME, WITH_PLACES)
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise psycopg.errors.error_from_result(result)
            self._on.add(connection.connection)

    def send(self, server: pq.abc.PGconn, given: list[bytes | None]) -> None:
        if connection.connection in self._on:
            server.send_query_prepared(PREPARED_NAME, given)
        else:
            server.send_query_params(WITH_PLACES, given)

    def learn_from(self, failure: Exception) -> None:
        if isinstance(failure.__cause__, NOT_OUR_CONNECTION):
            logger.warning("The database is behind a pooler of transactions: add DISABLE_SERVER_SIDE_CURSORS=True.")
            self._is_possible = False
            self._on.clear()


prepared = Prepared()


class Marks:
    """`sent` is marked as sent with its check-in, and `tried` gets its try noted with a whole lease.

    `begun_at` is a moment of the monotonic clock, not later than the beginning of that lease; `insist_until` is one
    too: a database that is away is waited for until then.
    """

    def __init__(
        self,
        *,
        sent: OutboxMessage | None = None,
        tried: OutboxMessage | None = None,
        insist_until: float = 0.0,
    ) -> None:
        self.begun_at = time.monotonic()
        self.tried = tried
        self._insist_until = insist_until
        self._sent, self._uncounted = sent, sent
        self._is_last = True
        self._server: pq.abc.PGconn | None = None
        self._done: tuple[bool, bool] | None = None if sent or tried else (False, False)
        self._failure: Exception | None = None

    def begin(self, behind: "Marks | None" = None) -> None:
        """Hand them to the database. `behind` are marks that may still be under way there, to be waited for first."""
        if self._done is None:
            if behind:
                behind._is_last = False
            self._attempt(self._begin)

    def wait(self) -> tuple[bool, bool]:
        """Whether `sent` was marked, and whether `tried` was noted; False where the row is no longer ours.

        A database that is away is waited for. Raises DatabaseError or InterfaceError when it stays away.
        """
        if (server := self._server) and self._done is None and self._failure is None:
            self._attempt(lambda: self._finish(server))
        if self._done is None:
            # What of it was written is not known.
            self._done = insist(self._again, until=self._insist_until, failure=self._failure)
        return self._done

    def insist_longer(self, until: float) -> None:
        """Wait for a database that is away until then, where that is later than what was said before."""
        self._insist_until = max(self._insist_until, until)

    def take_sent(self) -> OutboxMessage | None:
        """The mail that is marked as sent, for whoever asks first."""
        sent, self._uncounted = self._uncounted, None
        return sent

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (DatabaseError, InterfaceError) as failure:
            prepared.learn_from(failure)
            self._failure = failure
        except BaseException:
            # The task's time is up. What is half read on this connection cannot be read on.
            self._failure = OperationalError("The reading of a mark was broken off.")
            raise

    def _begin(self) -> None:
        if connection.vendor != "postgresql":
            self._done = _one_after_the_other(self._sent, self.tried)
            return
        connection.ensure_connection()
        with connection.wrap_database_errors:
            self._server = server = connection.connection.pgconn
            if server.pipeline_status == pq.PipelineStatus.OFF:
                prepared.prepare(server)
                server.enter_pipeline_mode()
            prepared.send(server, _given(self._sent, self.tried))
            server.pipeline_sync()
            while server.flush():
                _await(server, writable=True)

    def _finish(self, server: pq.abc.PGconn) -> None:
        with connection.wrap_database_errors:
            rows = list(_until_sync(server))
            for row in rows:
                if row.status != pq.ExecStatus.TUPLES_OK:
                    raise psycopg.errors.error_from_result(row)
            if self._is_last:
                server.exit_pipeline_mode()
        marked, noted = (rows[0].get_value(0, column) != b"0" for column in (0, 1))
        self._done = marked, noted

    def _again(self) -> tuple[bool, bool]:
        marked = self._sent is not None and (_written(self._sent, None)[0] or _is_marked(self._sent))
        return marked, _written(None, self.tried)[1]


def insist(write: Callable[[], T], *, until: float, failure: Exception | None = None) -> T:
    """Write down what became of a mail, even when the database has to come back before. `failure` is that so far.

    Only this process knows what the mail server said; without it the next dispatcher would send a second copy. It is
    tried until `until`, a moment of the monotonic clock, whatever the database says against it. Raises DatabaseError or
    InterfaceError when it stays away: after the lease another dispatcher takes the row up, and says that it
    is in doubt.
    """
    pause_s = 0.0
    while True:
        if failure:
            if connection.in_atomic_block:
                raise failure
            # SQLite said that others are writing; its connection is as good as before.
            if connection.vendor != "sqlite":
                connection.close()
            if time.monotonic() > until:
                raise failure
            time.sleep(pause_s)
            pause_s = PAUSE_S
        try:
            return write()
        except (DatabaseError, InterfaceError) as error:
            failure = error


def _written(sent: OutboxMessage | None, tried: OutboxMessage | None) -> tuple[bool, bool]:
    if connection.vendor != "postgresql":
        return _one_after_the_other(sent, tried)
    with connection.cursor() as cursor:
        cursor.execute(_together(sent, tried))
        marked, noted = cursor.fetchone()
    return bool(marked), bool(noted)


def _one_after_the_other(sent: OutboxMessage | None, tried: OutboxMessage | None) -> tuple[bool, bool]:
    """For a database without a clock of its own, which takes one statement at a time."""
    moment = timezone.now()
    now, lease_until = map(connection.ops.adapt_datetimefield_value, (moment, moment + LEASE))
    marked = noted = False
    with _transaction_of_sqlite() as database:
        if sent:
            marked = database.execute(MARK_ALONE, [now, sent.pk, sent.lease_number]).rowcount > 0
        if marked and sent and sent.checkin_id:
            database.execute(TELL_ALONE, [now, sent.checkin_id])
        if tried:
            given = [now, lease_until, _digest(tried), tried.pk, tried.lease_number, now]
            noted = database.execute(NOTE_ALONE, given).rowcount > 0
    return marked, noted


@contextmanager
def _transaction_of_sqlite() -> Iterator[sqlite3.Connection]:
    """What `atomic` does, in half the time; within one of Django's it is part of that."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        database: sqlite3.Connection = connection.connection
        if connection.in_atomic_block:
            yield database
            return
        # Inside, so that a time limit that comes while others are waited for leaves no transaction open.
        with database:
            database.execute("BEGIN IMMEDIATE")
            yield database


def _is_marked(message: OutboxMessage) -> bool:
    """The mark was written after all, and only its answer was lost."""
    own = OutboxMessage.objects.filter(pk=message.pk, lease_number=message.lease_number)
    return own.filter(state=MailState.SENT).exists()


def _together(sent: OutboxMessage | None, tried: OutboxMessage | None) -> str:
    """The statement of PostgreSQL with all in it that it is given: numbers of ours and a digest in hexadecimal."""
    numbers = dict(zip(NUMBERS, _numbers(sent, tried), strict=True))
    return TOGETHER.format(**ON_POSTGRESQL, **numbers, sent_to=_digest(tried))


def _until_sync(server: pq.abc.PGconn) -> Iterator[pq.abc.PGresult]:
    """The results of one statement of several that are under way. Raises psycopg's OperationalError at the end."""
    while True:
        while server.is_busy():
            _await(server)
            server.consume_input()
        row = server.get_result()
        if server.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError("The database hung up.")
        if row is None:
            continue
        if row.status == pq.ExecStatus.PIPELINE_SYNC:
            return
        yield row


def _await(server: pq.abc.PGconn, *, writable: bool = False) -> None:
    """Raises psycopg's OperationalError when nothing moves for so long that another connection is the better try."""
    waits_for = [server.socket]
    if not any(select.select([] if writable else waits_for, waits_for if writable else [], [], SILENT_AFTER_S)):
        raise psycopg.OperationalError("The database is silent.")


def _given(sent: OutboxMessage | None, tried: OutboxMessage | None) -> list[bytes | None]:
    return [value.encode("ascii") for value in (*map(str, _numbers(sent, tried)), _digest(tried))]


def _numbers(sent: OutboxMessage | None, tried: OutboxMessage | None) -> tuple[int, int, int, int, int]:
    """What NUMBERS names. No row has the number 0."""
    of_sent = (sent.pk, sent.lease_number, sent.checkin_id or 0) if sent else (0, 0, 0)
    return *of_sent, *((tried.pk, tried.lease_number) if tried else (0, 0))


def _digest(tried: OutboxMessage | None) -> str:
    return address_digest(tried.address()) if tried else ""
