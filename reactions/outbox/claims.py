"""Whose turn it is, and who holds a row: leases by the database's clock, fenced by a number."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, F, Q, When
from django.utils import timezone

from reactions.models import OutboxMessage
from reactions.models.outbox import OutboxQuerySet
from reactions.vocabulary import MailState

# Longer than the time limit of a task (settings), so that a try outlives nobody's claim.
LEASE = timedelta(seconds=settings.OUTBOX_LEASE_S)


def database_now() -> datetime:
    """The database's clock, which decides leases. SQLite has none but this machine's."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def claim(batch: int) -> list[OutboxMessage]:
    """Take up to `batch` rows that are due or whose lease ran out, the most urgent first, under a new lease."""
    with transaction.atomic():
        now = database_now()
        waiting = OutboxMessage.objects.due(now).order_by("urgency", "due_at", "pk")
        if connection.features.has_select_for_update_skip_locked:
            waiting = waiting.select_for_update(skip_locked=True)
        taken = list(waiting.values_list("pk", flat=True)[:batch])
        if not taken:
            return []
        OutboxMessage.objects.filter(pk__in=taken).update(
            in_doubt=Case(When(tried_at__isnull=False, then=True), default=F("in_doubt")),
            tried_at=None,
            state=MailState.SENDING,
            lease_number=F("lease_number") + 1,
            lease_until=now + LEASE,
        )
    return _in_turn(OutboxMessage.objects.filter(pk__in=taken))


def reread(messages: Iterable[OutboxMessage]) -> list[OutboxMessage]:
    """The rows as they and what they are about are stored now, without those that are no longer ours."""
    held = {message.pk: message.lease_number for message in messages}
    found = _in_turn(OutboxMessage.objects.filter(pk__in=held, state=MailState.SENDING))
    return [message for message in found if message.lease_number == held[message.pk]]


def own(message: OutboxMessage) -> OutboxQuerySet:
    """The row, as long as nobody else has claimed it since."""
    return OutboxMessage.objects.filter(pk=message.pk, lease_number=message.lease_number, state=MailState.SENDING)


def give_back(messages: Iterable[OutboxMessage]) -> None:
    """Let others take rows that were claimed and not tried."""
    held = [Q(pk=message.pk, lease_number=message.lease_number) for message in messages]
    if held:
        ours = OutboxMessage.objects.filter(Q(*held, _connector=Q.OR), state=MailState.SENDING)
        ours.update(state=MailState.QUEUED, lease_until=None, tried_at=None)


def more_urgent_is_due(message: OutboxMessage, now: datetime) -> bool:
    """A mail that goes before this one has become due."""
    if message.urgency == OutboxMessage.RED:
        return False
    return OutboxMessage.objects.due(now).filter(urgency__lt=message.urgency).exists()


def _in_turn(rows: OutboxQuerySet) -> list[OutboxMessage]:
    return sorted(rows.with_all_it_says(), key=lambda row: (row.urgency, row.due_at, row.pk))
