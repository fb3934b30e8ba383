"""Which mails there are to send: planned once, moved, called off and queued again."""

import uuid
from datetime import datetime
from email.utils import parseaddr

from django.conf import settings
from django.db.models import Q

from patients.models import User, address_digest
from reactions.models import Alert, CheckIn, OutboxMessage, WorkItem
from reactions.models.outbox import NOT_TAKEN
from reactions.vocabulary import AlertLevel, MailKind, MailState


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
    """Give the check-in's invitation, if there is one that has not left, its new time; one called off waits again.

    One that waits for its next try within the same window has not moved, and keeps its turn and what was said of it.
    """
    called_off = [MailState.QUEUED, MailState.CANCELLED, MailState.EXPIRED]
    mails = OutboxMessage.objects.filter(checkin=checkin, kind=MailKind.CHECKIN_INVITATION, state__in=called_off)
    unmoved = Q(state=MailState.QUEUED, attempts__gt=0, due_at__gte=due_at, expires_at=expires_at)
    mails.exclude(unmoved).queue_again(due_at, expires_at=expires_at)


def queue_called_off(key: str, now: datetime) -> None:
    """Queue the mail of this key once more if it was called off."""
    OutboxMessage.objects.filter(idempotency_key=key, state=MailState.CANCELLED).queue_again(now)


def resume_alerts_at_corrected_addresses(now: datetime) -> int:
    """Queue alerts' mails that were refused where the address was corrected since. Returns how many.

    As long as nobody has acknowledged the alert. What becomes of check-ins: checkins.resuming.
    """
    refused = OutboxMessage.objects.filter(
        NOT_TAKEN, ~Q(refused_address=""), alert__isnull=False, alert__acknowledged_at=None
    )
    corrected = [
        message
        for message in refused.with_all_it_says()
        if message.address() and address_digest(message.address()) != message.refused_address
    ]
    same = [OutboxMessage.objects.filter(pk=message.pk, state=message.state) for message in corrected]
    return sum(message.queue_again(now) for message in same)


def _urgency(alert: Alert | None) -> int:
    if alert is None:
        return OutboxMessage.CHECKIN
    return OutboxMessage.RED if alert.level == AlertLevel.RED else OutboxMessage.AMBER
