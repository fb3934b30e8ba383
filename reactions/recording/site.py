"""Making this host the sender of a database that was restored or copied."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F, Q, QuerySet

from patients.models import write_event
from reactions import site
from reactions.checkins.resuming import mailed_and_open
from reactions.models import CheckIn, OutboxMessage, Site
from reactions.models.checkin import SKIPPED
from reactions.vocabulary import CheckInState, MailState


@dataclass(frozen=True)
class DueMails:
    """What would leave at once: check-ins, mails to staff (alerts and worklist), and check-ins mailed again.

    Those are open ones that were sent under another key: their links stopped working.
    """

    checkins: int
    to_staff: int
    again: int


@dataclass(frozen=True)
class Adoption:
    """The host's site id, and how many check-ins were marked missed."""

    site_id: str
    skipped: int


def due_mails(now: datetime) -> DueMails:
    """How many mails are due or overdue at `now`."""
    waiting = OutboxMessage.objects.filter(state__in=[MailState.QUEUED, MailState.SENDING])
    return DueMails(
        checkins=_due_checkins(now).count(),
        to_staff=waiting.filter(checkin=None, due_at__lte=now).count(),
        again=mailed_and_open(now).count() if site.has_other_key(Site.objects.first()) else 0,
    )


@transaction.atomic
def adopt_site(*, skip_due: bool, now: datetime) -> Adoption:
    """Make this host the sender; with `skip_due` the check-ins that were due by `now` are marked missed, not sent.

    Mails to staff are never skipped: an alert that nobody has acknowledged is told once too often rather than never.
    A reminder that waits is called off with its check-in's other mails, and what was sent under another key is not sent
    again. Raises OSError when the host's id cannot be
    kept; nothing has changed then.
    """
    before = Site.objects.values_list("site_id", flat=True).first()
    skipped = _skip(now) if skip_due else 0
    site_id = site.make_sender()
    changes = {"site_id": [before, site_id], "check-ins marked missed": skipped}
    write_event("site.adopted", by=None, about=Site.objects.get(), changes=changes)
    return Adoption(site_id, skipped)


def _skip(now: datetime) -> int:
    due = list(_due_checkins(now).values_list("pk", flat=True))
    waiting = OutboxMessage.objects.filter(checkin__isnull=False, state__in=[MailState.QUEUED, MailState.SENDING])
    waiting.filter(Q(checkin__in=due) | Q(due_at__lte=now)).update(
        state=MailState.CANCELLED, lease_until=None, tried_at=None, last_error=SKIPPED
    )
    # Without the address they went to nobody takes it for changed.
    if site.has_other_key(Site.objects.first()):
        OutboxMessage.objects.filter(checkin__in=mailed_and_open(now)).update(sent_to="")
    # Whoever was sent a check-in may have been reminded since the copy was made.
    asked = CheckIn.objects.filter(state=CheckInState.SENT, remind_after__isnull=False)
    asked.filter(sent_at__lte=now - F("remind_after")).update(remind_after=None)
    return CheckIn.objects.filter(pk__in=due).update(state=CheckInState.MISSED, state_reason=SKIPPED)


def _due_checkins(now: datetime) -> QuerySet[CheckIn]:
    return CheckIn.objects.filter(state=CheckInState.PLANNED, due_at__lte=now)
