"""What goes on by itself once mail to a patient is wanted and possible again: consent given anew, address put right."""

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from patients.models import MAIL_CAME_BACK, WITHDRAWN_BY_LINK, Patient, address_digest, write_event
from reactions.checkins.plan import when_its_mail_leaves
from reactions.models import CheckIn, OutboxMessage, WorkItem
from reactions.models.outbox import ADDRESS_CHANGED, NOT_TAKEN
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


def send_to_changed_addresses(now: datetime) -> int:
    """Plan again what was mailed to an address that is not the patient's any more, and is open. Returns how many.

    By what the mail and the record say, so that it does not matter who changed the address and how. Of a course that is
    the latest check-in that is due, and none that could not leave before its window closes. It goes the way of every
    check-in that is due, with the link of the new address; a reminder follows that mail as it would follow the first.
    """
    asked = CheckIn.objects.filter(state=CheckInState.SENT, closes_at__gt=now, infusion__voided_at=None)
    there = Q(infusion__patient__email_consent_at__isnull=False) & ~Q(infusion__patient__email="")
    invited = Q(mails__kind=MailKind.CHECKIN_INVITATION, mails__state=MailState.SENT) & ~Q(mails__sent_to="")
    # Only the service's key makes a digest of an address, so the database cannot compare the two.
    rows = asked.latest_due(now).filter(there, invited).order_by("infusion__patient", "pk")
    pairs = rows.values_list("pk", "infusion__patient__email", "mails__sent_to")
    elsewhere = [pk for pk, address, sent_to in pairs.iterator() if address_digest(address) != sent_to]
    return sum(_send_to_new_address(pk, now) for pk in elsewhere)


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


@transaction.atomic
def _send_to_new_address(pk: int, now: datetime) -> bool:
    held = Patient.objects.select_for_update(of=("self",), no_key=True)
    patient = held.select_related("clinic").get(infusions__checkins=pk)
    asked = CheckIn.objects.select_for_update(of=("self",), no_key=True).select_related("infusion__patient__clinic")
    checkin = asked.filter(pk=pk, state=CheckInState.SENT, closes_at__gt=now).first()
    # Not before it can leave: who has the old address back by then has the mail already.
    if checkin is None or patient.why_no_mail() or when_its_mail_leaves(checkin, now=now) > now:
        return False
    mails = OutboxMessage.objects.filter(checkin=checkin)
    stored = list(mails.select_for_update(no_key=True).order_by("pk"))
    sent_to = {mail.sent_to for mail in stored if mail.kind == MailKind.CHECKIN_INVITATION}
    # What is being sent this moment is let go first; the next tick looks again.
    if any(mail.state == MailState.SENDING for mail in stored) or sent_to <= {"", address_digest(patient.email)}:
        return False
    mails.filter(state__in=[MailState.QUEUED, MailState.SENT, *NOT_TAKEN]).update(
        state=MailState.CANCELLED, last_error=ADDRESS_CHANGED, sent_at=None, bounced_at=None, refused_address=""
    )
    CheckIn.objects.filter(pk=pk).update(state=CheckInState.PLANNED, sent_at=None)
    changes = {"sent_at": [str(checkin.sent_at), None]}
    write_event(
        "checkin.planned_again",
        by=None,
        about=checkin,
        clinic=patient.clinic,
        patient_id=patient.pk,
        changes=changes,
        reason=ADDRESS_CHANGED,
    )
    return True
