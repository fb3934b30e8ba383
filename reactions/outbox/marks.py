"""The two notes of each mail: that it is about to be tried, and that it was taken.

They decide how wide the gap is in which a crash makes a second copy, and how fast mail leaves. So the mark of one mail
goes with the note of the next in one commit, as durable as every other. To PostgreSQL that is one statement, and it
works on it while the mail server is already told who writes to whom and the mail after that is written.
"""

import select
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from psycopg import pq

from reactions.models import CheckIn, OutboxMessage
from reactions.outbox.claims import LEASE, database_now, own
from reactions.vocabulary import CheckInState, MailState

# For so long what became of a mail is offered to a database that has gone away: it is back before the lease is over, or
# another dispatcher takes the row up and says that it is in doubt.
INSIST_FOR = LEASE / 2
PAUSE_S = 0.25

# All values are numbers of ours. One statement: one way there and back, and one commit for both rows.
STATEMENT = """
WITH marked AS (
  UPDATE reactions_outboxmessage
  SET state = 'sent', lease_until = NULL, tried_at = NULL, sent_at = clock_timestamp(),
      last_error = '', refused_address = ''
  WHERE id = {sent} AND lease_number = {sent_lease} AND state = 'sending'
  RETURNING checkin_id, sent_at
), told AS (
  UPDATE reactions_checkin SET state = 'sent', sent_at = marked.sent_at
  FROM marked WHERE reactions_checkin.id = marked.checkin_id AND reactions_checkin.state = 'planned'
), noted AS (
  UPDATE reactions_outboxmessage
  SET tried_at = clock_timestamp(), attempts = attempts + 1,
      lease_until = clock_timestamp() + interval '{lease_s} seconds'
  WHERE id = {tried} AND lease_number = {tried_lease} AND state = 'sending' AND lease_until > clock_timestamp()
  RETURNING 1
)
SELECT (SELECT count(*) FROM marked), (SELECT count(*) FROM noted)
"""

OVER = {"lease_until": None, "tried_at": None, "last_error": "", "refused_address": ""}

T = TypeVar("T")


class Marks:
    """`sent` is marked as sent with its check-in, and `tried` gets its try noted with a whole lease. Begun at once.

    `begun_at` is a moment of the monotonic clock, not later than the beginning of that lease.
    """

    def __init__(self, *, sent: OutboxMessage | None = None, tried: OutboxMessage | None = None) -> None:
        self.begun_at = time.monotonic()
        self._sent, self._tried, self._uncounted = sent, tried, sent
        self._rows: list[pq.abc.PGresult] = []
        self._done: tuple[bool, bool] | None = None if sent or tried else (False, False)
        self._failure: Exception | None = None
        if self._done is None:
            self._attempt(self._begin)

    def wait(self) -> tuple[bool, bool]:
        """Whether `sent` was marked, and whether `tried` was noted; False where the row is no longer ours.

        A database that is away is waited for. Raises OperationalError or InterfaceError when it stays away.
        """
        if self._done is None and self._failure is None:
            self._attempt(self._finish)
        if self._done is None:
            # What of it was written is not known.
            self._done = insist(self._again, failure=self._failure)
        return self._done

    def take_sent(self) -> OutboxMessage | None:
        """The mail that is marked as sent, for whoever asks first."""
        sent, self._uncounted = self._uncounted, None
        return sent

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (OperationalError, InterfaceError) as failure:
            self._failure = failure

    def _begin(self) -> None:
        if connection.vendor != "postgresql":
            self._done = _one_after_the_other(self._sent, self._tried)
            return
        connection.ensure_connection()
        with connection.wrap_database_errors:
            server = connection.connection.pgconn
            server.send_query(_statement(self._sent, self._tried))
            while server.flush():
                select.select([], [server.socket], [])

    def _finish(self) -> None:
        with connection.wrap_database_errors:
            server = connection.connection.pgconn
            while True:
                while server.is_busy():
                    select.select([server.socket], [], [])
                    server.consume_input()
                row = server.get_result()
                if row is None:
                    break
                self._rows.append(row)
            for row in self._rows:
                if row.status != pq.ExecStatus.TUPLES_OK:
                    raise psycopg.errors.error_from_result(row)
            if not self._rows:
                raise psycopg.OperationalError("The database hung up.")
        marked, noted = (self._rows[0].get_value(0, column) != b"0" for column in (0, 1))
        self._done = marked, noted

    def _again(self) -> tuple[bool, bool]:
        marked = self._sent is not None and (_one_after_the_other(self._sent, None)[0] or _is_marked(self._sent))
        return marked, _one_after_the_other(None, self._tried)[1]


def insist(write: Callable[[], T], *, failure: Exception | None = None) -> T:
    """Write down what became of a mail, even when the database has to come back before. `failure` is that so far.

    Only this process knows what the mail server said; without it the next dispatcher would send a second copy.
    """
    until = time.monotonic() + INSIST_FOR.total_seconds()
    while True:
        if failure:
            if connection.in_atomic_block or time.monotonic() > until:
                raise failure
            connection.close()
            time.sleep(PAUSE_S)
        try:
            return write()
        except (OperationalError, InterfaceError) as error:
            failure = error


def _one_after_the_other(sent: OutboxMessage | None, tried: OutboxMessage | None) -> tuple[bool, bool]:
    marked = noted = 0
    with transaction.atomic():
        now = database_now()
        if sent:
            marked = own(sent).update(state=MailState.SENT, sent_at=now, **OVER)
            if marked and sent.checkin_id:
                planned = CheckIn.objects.filter(pk=sent.checkin_id, state=CheckInState.PLANNED)
                planned.update(state=CheckInState.SENT, sent_at=now)
        if tried:
            ours = own(tried).filter(lease_until__gt=now)
            noted = ours.update(tried_at=now, attempts=F("attempts") + 1, lease_until=now + LEASE)
    return bool(marked), bool(noted)


def _is_marked(message: OutboxMessage) -> bool:
    """The mark was written after all, and only its answer was lost."""
    own = OutboxMessage.objects.filter(pk=message.pk, lease_number=message.lease_number)
    return own.filter(state=MailState.SENT).exists()


def _statement(sent: OutboxMessage | None, tried: OutboxMessage | None) -> bytes:
    numbers = {
        "sent": sent.pk if sent else 0,
        "sent_lease": sent.lease_number if sent else 0,
        "tried": tried.pk if tried else 0,
        "tried_lease": tried.lease_number if tried else 0,
        "lease_s": LEASE.total_seconds(),
    }
    return STATEMENT.format(**numbers).encode("ascii")
