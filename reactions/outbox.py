"""The one way an email leaves.

A row is planned once by its idempotency key. A dispatcher claims a small batch in one short transaction: it sets a
lease by the database's clock and counts the lease number up. Every later write of the row names that number, so that a
dispatcher whose lease ran out changes nothing any more. A lease that ran out is taken up again under the same
Message-ID and the row says that it is in doubt: the mail server may have taken the first copy. Between the server's
"250" and our commit lies the only way to a second copy.
"""

import logging
import random
import re
import smtplib
import time
import uuid
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction
from django.db.models import Case, F, Q, QuerySet, When
from django.utils import timezone

from patients.models import User
from reactions import emails
from reactions.models import Alert, CheckIn, OutboxMessage
from reactions.vocabulary import CheckInState, MailKind, MailState

logger = logging.getLogger(__name__)

# Longer than the time limit of a task (settings), so that a claim outlives whoever holds it.
LEASE = timedelta(seconds=120)
BATCH = 20
# A dispatcher stops taking up more after this, well within its lease and the task's time limit.
STOP_AFTER_S = 60
MOST_ATTEMPTS = 12
FIRST_WAIT = timedelta(seconds=60)
LONGEST_WAIT = timedelta(hours=1)


def database_now() -> datetime:
    """The database's clock, which decides leases. SQLite has none but this machine's."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def enqueue(
    kind: MailKind,
    *,
    key: str,
    due_at: datetime,
    expires_at: datetime | None = None,
    checkin: CheckIn | None = None,
    alert: Alert | None = None,
    recipient: User | None = None,
) -> OutboxMessage:
    """Plan a mail. The same key again gives the row that is there; it is never planned twice."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    message, _ = OutboxMessage.objects.get_or_create(
        idempotency_key=key,
        defaults={
            "kind": kind,
            "due_at": due_at,
            "expires_at": expires_at,
            "checkin": checkin,
            "alert": alert,
            "recipient": recipient,
            "message_id": f"<{uuid.uuid4()}@{domain}>",
        },
    )
    return message


def move(checkin: CheckIn, *, due_at: datetime, expires_at: datetime) -> None:
    """Give the check-in's mail, if there is one and it has not left, its new time; one that was called off waits."""
    called_off = [MailState.QUEUED, MailState.CANCELLED, MailState.EXPIRED]
    mails = OutboxMessage.objects.filter(checkin=checkin, state__in=called_off)
    mails.update(state=MailState.QUEUED, due_at=due_at, expires_at=expires_at)


def dispatch(*, batch: int = BATCH) -> dict[str, int]:
    """Send what is due. Returns how many rows ended as sent, waiting, refused, cancelled, expired or overtaken."""
    outcomes: Counter[str] = Counter()
    transport = get_connection()
    stop_at = time.monotonic() + STOP_AFTER_S
    try:
        while time.monotonic() < stop_at and (claimed := claim(batch)):
            outcomes.update(deliver(message, transport) for message in claimed)
    finally:
        _close(transport)
    return dict(outcomes)


def claim(batch: int) -> list[OutboxMessage]:
    """Take up to `batch` rows that are due or whose lease ran out, under a new lease."""
    with transaction.atomic():
        now = database_now()
        due = Q(state=MailState.QUEUED, due_at__lte=now) | Q(state=MailState.SENDING, lease_until__lte=now)
        waiting = OutboxMessage.objects.filter(due).order_by("due_at", "pk")
        if connection.features.has_select_for_update_skip_locked:
            waiting = waiting.select_for_update(skip_locked=True)
        taken = list(waiting.values_list("pk", flat=True)[:batch])
        OutboxMessage.objects.filter(pk__in=taken).update(
            in_doubt=Case(When(state=MailState.SENDING, then=True), default=F("in_doubt")),
            state=MailState.SENDING,
            lease_number=F("lease_number") + 1,
            lease_until=now + LEASE,
            attempts=F("attempts") + 1,
        )
    rows = OutboxMessage.objects.filter(pk__in=taken).order_by("due_at", "pk")
    return list(rows.select_related("checkin__infusion__patient__clinic", "alert__patient__clinic", "recipient"))


def deliver(message: OutboxMessage, transport: BaseEmailBackend) -> str:
    """Send one claimed row if it is still wanted, and write down what became of it. Returns that in a word."""
    now = database_now()
    if message.lease_until is None or message.lease_until <= now:
        return "overtaken"
    if message.expires_at and message.expires_at <= now:
        return _finish(message, MailState.EXPIRED)
    if message.checkin and message.checkin.due_at > now:
        return _wait(message, until=message.checkin.due_at, error="")
    if why := message.why_not_wanted():
        return _finish(message, MailState.CANCELLED, error=why)
    try:
        mail = emails.render(message)
        mail.message()
    except Exception as error:
        # Whatever is wrong with this one mail (a bent template, an address that no header can carry): the rest goes on.
        logger.exception("outbox row %s could not be written", message.pk)
        return _try_later(message, error, in_doubt=False)
    return _send(message, mail, transport)


def _send(message: OutboxMessage, mail: EmailMessage, transport: BaseEmailBackend) -> str:
    try:
        transport.open()
    except (OSError, smtplib.SMTPException) as error:
        _close(transport)
        return _try_later(message, error, in_doubt=False)
    try:
        transport.send_messages([mail])
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
        _close(transport)
        if 500 <= _code(error) < 600:
            return _finish(message, MailState.REFUSED, error=_in_words(error))
        return _try_later(message, error, in_doubt=False)
    except (OSError, smtplib.SMTPException) as error:
        # The line broke while the mail was under way: the server may have it.
        _close(transport)
        return _try_later(message, error, in_doubt=True)
    return _finish(message, MailState.SENT)


def _finish(message: OutboxMessage, state: MailState, *, error: str = "") -> str:
    """Write the row's end and what it means for its check-in, together; "overtaken" when the lease was lost."""
    now = database_now()
    with transaction.atomic():
        ended = _own(message).update(
            state=state, lease_until=None, sent_at=now if state == MailState.SENT else None, last_error=error[:300]
        )
        if not ended:
            logger.warning("outbox row %s was taken over by another dispatcher", message.pk)
            return "overtaken"
        if message.checkin:
            _tell_checkin(message.checkin, state, now, error)
    return str(state)


def _tell_checkin(checkin: CheckIn, state: MailState, now: datetime, error: str) -> None:
    planned = CheckIn.objects.filter(pk=checkin.pk, state=CheckInState.PLANNED)
    if state == MailState.SENT:
        planned.update(state=CheckInState.SENT, sent_at=now)
    elif state == MailState.REFUSED:
        planned.update(state=CheckInState.CANCELLED, state_reason=f"The mail was refused. {error}"[:200])
    elif state == MailState.CANCELLED:
        planned.update(state=CheckInState.CANCELLED, state_reason=error[:200])


def _try_later(message: OutboxMessage, error: Exception, *, in_doubt: bool) -> str:
    words = _in_words(error)
    logger.warning("outbox row %s, attempt %s: %s", message.pk, message.attempts, words)
    if message.attempts >= MOST_ATTEMPTS:
        return _finish(message, MailState.REFUSED, error=f"Given up after {message.attempts} attempts. {words}")
    wait = min(FIRST_WAIT * 2 ** (message.attempts - 1), LONGEST_WAIT) * random.uniform(0.8, 1.2)  # noqa: S311
    return _wait(message, until=database_now() + wait, error=words, in_doubt=in_doubt)


def _wait(message: OutboxMessage, *, until: datetime, error: str, in_doubt: bool = False) -> str:
    doubt = {"in_doubt": True} if in_doubt else {}
    waiting = _own(message).update(
        state=MailState.QUEUED, lease_until=None, due_at=until, last_error=error[:300], **doubt
    )
    return "waiting" if waiting else "overtaken"


def _own(message: OutboxMessage) -> QuerySet[OutboxMessage]:
    """The row, as long as nobody else has claimed it since."""
    return OutboxMessage.objects.filter(pk=message.pk, lease_number=message.lease_number, state=MailState.SENDING)


def _close(transport: BaseEmailBackend) -> None:
    with suppress(OSError, smtplib.SMTPException):
        transport.close()


def _code(error: smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused) -> int:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max(code for code, _ in error.recipients.values())
    return error.smtp_code


def _in_words(error: Exception) -> str:
    """The error for staff and log, without addresses."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        words = f"{code} {_decoded(text)}"
    elif isinstance(error, smtplib.SMTPResponseException):
        words = f"{error.smtp_code} {_decoded(error.smtp_error)}"
    else:
        words = f"{type(error).__name__}: {error}"
    return re.sub(r"\S+@\S+", "(address)", words)[:200]


def _decoded(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
