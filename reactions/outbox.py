"""The one way an email leaves.

A row is planned once by its idempotency key. A dispatcher claims a small batch in one short transaction, the most
urgent first: it sets a lease by the database's clock and counts the lease number up. Every later write of the row names
that number, so that a dispatcher whose lease ran out changes nothing any more. Right before the mail server is spoken
to, the row notes the try and its lease begins anew. A lease that ran out is taken up again under the same Message-ID;
where a try was noted the row says that it is in doubt: the mail server may have taken the first copy. Between the
server's "250" and our commit lies the only way to a second copy.

What ends a mail for good is the server's refusal of the recipient. Everything else is a fault of ours or of the
network and is tried again: a check-in's mail until its window closes, an alert's until somebody acknowledges it.
"""

import logging
import random
import re
import smtplib
import time
import uuid
from collections import Counter, deque
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction
from django.db.models import Case, F, Q, When
from django.utils import timezone
from django.utils.crypto import salted_hmac

from patients.models import User
from reactions import emails
from reactions.models import Alert, CheckIn, OutboxMessage, WorkItem
from reactions.models.checkin import MAIL_REFUSED
from reactions.models.outbox import OutboxQuerySet
from reactions.vocabulary import AlertLevel, CheckInState, MailKind, MailState

logger = logging.getLogger(__name__)

# Longer than the time limit of a task (settings), so that a try outlives nobody's claim.
LEASE = timedelta(seconds=120)
BATCH = 20
# A dispatcher begins no further mail after this: one that hangs then still ends within the task's time limit.
STOP_AFTER_S = 45
FIRST_WAIT = timedelta(seconds=60)
LONGEST_WAIT = timedelta(hours=1)
LONGEST_WAIT_FOR_ALERTS = timedelta(minutes=5)
# Doubling ends here, long after every longest wait.
MOST_DOUBLINGS = 12

# Answers to RCPT that are not about the recipient: the command itself, the sign-in, and a server that takes no mail.
NOT_THE_RECIPIENT = frozenset({500, 501, 502, 503, 504, 521, 530, 534, 535, 538})
# And by enhanced status (RFC 3463): sender's address, full mailbox, mail system, protocol, and policy, such as relaying
# without permission or a blocked sender.
NOT_THE_RECIPIENT_STATUS = re.compile(r"5\.(1\.[78]|2\.2|3\.\d+|5\.\d+|7\.\d+)\b")


class NoConnection(Exception):
    """The mail server cannot be reached or does not let us in; no mail of this run can leave."""


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
    work: WorkItem | None = None,
    recipient: User | None = None,
) -> OutboxMessage:
    """Plan a mail. The same key again gives the row that is there; it is never planned twice."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    message, _ = OutboxMessage.objects.get_or_create(
        idempotency_key=key,
        defaults={
            "kind": kind,
            "urgency": OutboxMessage.AMBER if work else _urgency(alert),
            "due_at": due_at,
            "expires_at": expires_at,
            "checkin": checkin,
            "alert": alert,
            "work": work,
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


def queue_called_off(key: str, now: datetime) -> None:
    """Queue the mail of this key once more if it was called off."""
    called_off = OutboxMessage.objects.filter(idempotency_key=key, state=MailState.CANCELLED)
    called_off.update(state=MailState.QUEUED, due_at=now, last_error="")


def queue_corrected_addresses(now: datetime) -> int:
    """Queue what was refused once more where the address was corrected since. Returns how many.

    A check-in's mail as long as its window is open, an alert's as long as nobody has acknowledged it.
    """
    wanted = Q(checkin__state=CheckInState.CANCELLED, checkin__state_reason__startswith=MAIL_REFUSED)
    refused = OutboxMessage.objects.filter(
        wanted & Q(expires_at__gt=now) | Q(alert__isnull=False, alert__acknowledged_at=None),
        ~Q(refused_address=""),
        state=MailState.REFUSED,
    )
    corrected = [
        message
        for message in refused.with_all_it_says()
        if message.address() and _digest(message.address()) != message.refused_address
    ]
    return sum(_queue_anew(message, now) for message in corrected)


def dispatch(*, batch: int = BATCH) -> dict[str, int]:
    """Send what is due. Returns how many rows ended as sent, waiting, refused, cancelled, expired or overtaken.

    Without a connection to the mail server it stops at the first row; the others keep their turn.
    """
    outcomes: Counter[str] = Counter()
    transport = get_connection()
    stop_at = time.monotonic() + STOP_AFTER_S
    try:
        while time.monotonic() < stop_at and (claimed := claim(batch)):
            _deliver_in_turn(claimed, transport, stop_at, outcomes)
    except NoConnection:
        outcomes["waiting"] += 1
    finally:
        _close(transport)
    return dict(outcomes)


def claim(batch: int) -> list[OutboxMessage]:
    """Take up to `batch` rows that are due or whose lease ran out, the most urgent first, under a new lease."""
    turn = ("urgency", "due_at", "pk")
    with transaction.atomic():
        now = database_now()
        waiting = OutboxMessage.objects.due(now).order_by(*turn)
        if connection.features.has_select_for_update_skip_locked:
            waiting = waiting.select_for_update(skip_locked=True)
        taken = list(waiting.values_list("pk", flat=True)[:batch])
        OutboxMessage.objects.filter(pk__in=taken).update(
            in_doubt=Case(When(tried_at__isnull=False, then=True), default=F("in_doubt")),
            tried_at=None,
            state=MailState.SENDING,
            lease_number=F("lease_number") + 1,
            lease_until=now + LEASE,
        )
    return list(OutboxMessage.objects.filter(pk__in=taken).order_by(*turn).with_all_it_says())


def deliver(message: OutboxMessage, transport: BaseEmailBackend) -> str:
    """Send one claimed row if it is still wanted, and write down what became of it. Returns that in a word.

    Raises NoConnection, with the row waiting for its next try, when the mail server cannot be reached.
    """
    # As it is stored now: consent, address, answer and death may have changed since the batch was claimed.
    stored = _own(message).with_all_it_says().first()
    now = database_now()
    if stored is None or stored.lease_until is None or stored.lease_until <= now:
        return "overtaken"
    message = stored
    if message.expires_at and message.expires_at <= now:
        return _finish(message, MailState.EXPIRED, error=message.last_error)
    if message.checkin and message.checkin.due_at > now:
        return _wait(message, until=message.checkin.due_at, error="")
    if why := message.why_not_wanted():
        return _finish(message, MailState.CANCELLED, error=why)
    if not _begin(message, now):
        return "overtaken"
    try:
        mail = emails.render(message)
        mail.message()
    except Exception as error:
        # Whatever is wrong with this one mail (a bent template, an address that no header can carry): the rest goes on.
        logger.exception("outbox row %s could not be written", message.pk)
        return _try_later(message, error, in_doubt=False)
    return _send(message, mail, transport)


def _deliver_in_turn(
    claimed: list[OutboxMessage], transport: BaseEmailBackend, stop_at: float, outcomes: Counter[str]
) -> None:
    """Deliver one after the other until the time is up or something more urgent is due; give back what is left."""
    left = deque(claimed)
    try:
        while left and time.monotonic() < stop_at and not _must_give_way(left[0]):
            outcomes[deliver(left.popleft(), transport)] += 1
    finally:
        for message in left:
            _own(message).update(state=MailState.QUEUED, lease_until=None)


def _must_give_way(message: OutboxMessage) -> bool:
    """A mail that is more urgent has become due."""
    if message.urgency == OutboxMessage.RED:
        return False
    return OutboxMessage.objects.due(database_now()).filter(urgency__lt=message.urgency).exists()


def _begin(message: OutboxMessage, now: datetime) -> bool:
    """Note the try, with a whole lease for it; False when the row is no longer ours."""
    message.attempts += 1
    message.lease_until = now + LEASE
    begun = _own(message).filter(lease_until__gt=now)
    return bool(begun.update(tried_at=now, attempts=message.attempts, lease_until=message.lease_until))


def _send(message: OutboxMessage, mail: EmailMessage, transport: BaseEmailBackend) -> str:
    try:
        transport.open()
    except Exception as error:
        _close(transport)
        _try_later(message, error, in_doubt=False)
        raise NoConnection from error
    try:
        transport.send_messages([mail])
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused, smtplib.SMTPNotSupportedError) as error:
        _close(transport)
        if _is_final(error):
            return _finish(message, MailState.REFUSED, error=_in_words(error))
        return _try_later(message, error, in_doubt=False)
    except Exception as error:
        # The line broke or the time was up while the mail was under way: the server may have it.
        _close(transport)
        return _try_later(message, error, in_doubt=True)
    return _finish(message, MailState.SENT)


def _finish(message: OutboxMessage, state: MailState, *, error: str = "") -> str:
    """Write the row's end and what it means for its check-in, together; "overtaken" when the lease was lost."""
    now = database_now()
    with transaction.atomic():
        ended = _own(message).update(
            state=state,
            lease_until=None,
            tried_at=None,
            sent_at=now if state == MailState.SENT else None,
            last_error=error[:300],
            refused_address=_digest(message.address()) if state == MailState.REFUSED else "",
        )
        if not ended:
            logger.warning("outbox row %s was taken over by another dispatcher", message.pk)
            return "overtaken"
        if message.checkin:
            _tell_checkin(message.checkin, state, now, error)
    if state == MailState.REFUSED:
        logger.warning("outbox row %s, %s: the recipient is refused for good: %s", message.pk, message.kind, error)
    return str(state)


def _tell_checkin(checkin: CheckIn, state: MailState, now: datetime, error: str) -> None:
    planned = CheckIn.objects.filter(pk=checkin.pk, state=CheckInState.PLANNED)
    if state == MailState.SENT:
        planned.update(state=CheckInState.SENT, sent_at=now)
    elif state == MailState.REFUSED:
        planned.update(state=CheckInState.CANCELLED, state_reason=f"{MAIL_REFUSED} {error}"[:200])
    elif state == MailState.CANCELLED:
        planned.update(state=CheckInState.CANCELLED, state_reason=error[:200])


def _try_later(message: OutboxMessage, error: Exception, *, in_doubt: bool) -> str:
    words = _in_words(error)
    logger.warning("outbox row %s, attempt %s: %s", message.pk, message.attempts, words)
    longest = LONGEST_WAIT_FOR_ALERTS if message.alert else LONGEST_WAIT
    wait = min(FIRST_WAIT * 2 ** min(message.attempts - 1, MOST_DOUBLINGS), longest)
    # Spread, so that what failed together does not come back together.
    wait *= random.uniform(0.8, 1.2)  # noqa: S311
    return _wait(message, until=database_now() + wait, error=words, in_doubt=in_doubt)


def _wait(message: OutboxMessage, *, until: datetime, error: str, in_doubt: bool = False) -> str:
    doubt = {"in_doubt": True} if in_doubt else {}
    waiting = _own(message).update(
        state=MailState.QUEUED, lease_until=None, tried_at=None, due_at=until, last_error=error[:300], **doubt
    )
    return "waiting" if waiting else "overtaken"


def _own(message: OutboxMessage) -> OutboxQuerySet:
    """The row, as long as nobody else has claimed it since."""
    return OutboxMessage.objects.filter(pk=message.pk, lease_number=message.lease_number, state=MailState.SENDING)


def _queue_anew(message: OutboxMessage, now: datetime) -> bool:
    with transaction.atomic():
        refused = OutboxMessage.objects.filter(pk=message.pk, state=MailState.REFUSED)
        queued = refused.update(state=MailState.QUEUED, due_at=now, attempts=0, last_error="", refused_address="")
        if queued and message.checkin:
            ended = CheckIn.objects.filter(pk=message.checkin.pk, state=CheckInState.CANCELLED)
            ended.update(state=CheckInState.PLANNED, state_reason="")
    return bool(queued)


def _urgency(alert: Alert | None) -> int:
    if alert is None:
        return OutboxMessage.CHECKIN
    return OutboxMessage.RED if alert.level == AlertLevel.RED else OutboxMessage.AMBER


def _digest(address: str) -> str:
    """Tells two addresses apart without being one."""
    return salted_hmac("reactions.outbox.refused", address.lower(), algorithm="sha256").hexdigest()


def _close(transport: BaseEmailBackend) -> None:
    with suppress(Exception):
        transport.close()


def _is_final(error: Exception) -> bool:
    """The server will never take mail for this recipient, as far as it says."""
    if not isinstance(error, smtplib.SMTPRecipientsRefused):
        return False
    code, text = next(iter(error.recipients.values()))
    ours = code in NOT_THE_RECIPIENT or NOT_THE_RECIPIENT_STATUS.match(_decoded(text).strip())
    return 500 <= code < 600 and not ours


def _in_words(error: Exception) -> str:
    """The error for staff and log, without addresses."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        words = f"{code} {_decoded(text)}"
    elif isinstance(error, smtplib.SMTPSenderRefused):
        words = f"{error.smtp_code} {_decoded(error.smtp_error)} (our sender's address or account)"
    elif isinstance(error, smtplib.SMTPResponseException):
        words = f"{error.smtp_code} {_decoded(error.smtp_error)}"
    else:
        words = f"{type(error).__name__}: {error}"
    return re.sub(r"\S+@\S+", "(address)", words)[:200]


def _decoded(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
