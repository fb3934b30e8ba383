"""What goes on by itself once mail to a patient is wanted and possible again: consent given anew, address put right."""

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from patients.models import MAIL_CAME_BACK, WITHDRAWN_BY_LINK, Patient, write_event
from reactions.models import CheckIn, OutboxMessage, WorkItem
from reactions.vocabulary import CheckInState, MailKind, MailState


def resume(now: datetime) -> int:
    """Plan again what ended for a reason that holds no more, as long as its window is open. Returns how many.

    It goes the way of every check-in that is due: of several only the latest is mailed.

    A check-in that has been planned anew meanwhile is not asked twice.
    """
    wanted_again = Q(state_reason__startswith=WITHDRAWN_BY_LINK) | Q(state_reason__startswith=MAIL_CAME_BACK)
    ended = CheckIn.objects.filter(wanted_again, state=CheckInState.CANCELLED, closes_at__gt=now)
    same = CheckIn.objects.filter(course=OuterRef("course"), kind=OuterRef("kind")).exclude(pk=OuterRef("pk"))
    ended = ended.exclude(Exists(same.exclude(state=CheckInState.CANCELLED)))
    ended = ended.filter(infusion__voided_at=None).select_related("infusion__patient__clinic").order_by("due_at")
    return sum(_plan_again(checkin) for checkin in ended if not checkin.patient.why_no_mail())


def close_what_is_settled(now: datetime) -> int:
    """Close the items about patients whose reason is gone. Returns how many."""
    return sum(_close(item, now) for item in WorkItem.objects.settled().select_related("clinic"))


@transaction.atomic
def _close(item: WorkItem, now: datetime) -> bool:
    # Held and asked once more: mail that comes back this moment takes its turn, and its item stays open.
    Patient.objects.select_for_update(of=("self",), no_key=True).get(work=item)
    because = WorkItem.objects.filter(pk=item.pk).why_settled()
    if because is None:
        return False
    WorkItem.objects.filter(pk=item.pk).update(closed_at=now, closed_because=because)
    changes = {"closed_at": [None, str(now)]}
    write_event(
        "work.settled",
        by=None,
        about=item,
        clinic=item.clinic,
        patient_id=item.patient_id,
        changes=changes,
        reason=because,
    )
    return True


@transaction.atomic
def _plan_again(checkin: CheckIn) -> bool:
    ended = CheckIn.objects.filter(pk=checkin.pk, state=CheckInState.CANCELLED, state_reason=checkin.state_reason)
    if not ended.update(state=CheckInState.PLANNED, state_reason="", sent_at=None):
        return False
    own = OutboxMessage.objects.filter(checkin=checkin)
    # A reminder that came back gives its place to the invitation, which goes out once more.
    if own.filter(kind=MailKind.CHECKIN_REMINDER, state=MailState.BOUNCED).exists():
        own.filter(state__in=[MailState.BOUNCED, MailState.SENT]).update(
            state=MailState.CANCELLED, bounced_at=None, sent_at=None
        )
    return True
