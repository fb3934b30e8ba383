"""The tick: what is over is closed, what is due or can be sent after all goes to the outbox, and that is emptied.

Beat calls it every minute; `manage.py tick` is the same from cron, without a broker.
"""

from dataclasses import dataclass
from datetime import datetime

from reactions import alerts, outbox
from reactions.checkins import resuming
from reactions.models import CheckIn
from reactions.models.checkin import SENT_TOO_LATE
from reactions.vocabulary import CheckInState, MailKind

BATCH = 500


@dataclass(frozen=True)
class TickReport:
    """How many check-ins were closed and queued, and what became of the mails."""

    closed: int
    queued: int
    mails: dict[str, int]


def tick() -> TickReport:
    """Do what is due by the database's clock."""
    now = outbox.database_now()
    closed = close_what_is_over(now)
    resuming.close_what_is_settled(now)
    resuming.resume(now)
    queued = queue_what_is_due(now) + outbox.queue_corrected_addresses(now)
    alerts.tell_where_nobody_was(now)
    return TickReport(closed, queued, outbox.dispatch())


def close_what_is_over(now: datetime) -> int:
    """Check-ins whose window is over: unanswered ones expire, unsent ones are missed, never sent late."""
    over = CheckIn.objects.filter(closes_at__lte=now)
    expired = over.filter(state__in=[CheckInState.SENT, CheckInState.OPEN]).update(state=CheckInState.EXPIRED)
    missed = over.filter(state=CheckInState.PLANNED).update(state=CheckInState.MISSED, state_reason=SENT_TOO_LATE)
    return expired + missed


def queue_what_is_due(now: datetime) -> int:
    """One outbox row for each check-in that is due and has none."""
    queued = 0
    due = CheckIn.objects.filter(state=CheckInState.PLANNED, due_at__lte=now, mails=None).order_by("due_at")
    while checkins := list(due[:BATCH]):
        for checkin in checkins:
            outbox.enqueue(
                MailKind.CHECKIN_INVITATION,
                key=f"checkin:{checkin.pk}:invitation",
                due_at=checkin.due_at,
                expires_at=checkin.closes_at,
                checkin=checkin,
            )
        queued += len(checkins)
    return queued
