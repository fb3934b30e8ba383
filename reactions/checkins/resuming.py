"""What goes on by itself once mail to a patient is wanted and possible again: consent given anew, address put right.

A check-in that goes on is planned again by one verb, under the lock of its patient, and goes the way of every check-in
that is due: of several only the latest is mailed.
"""

from collections.abc import Collection
from datetime import datetime
from functools import reduce
from operator import or_

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from patients.models import MAY_PASS, Patient, address_digest, write_event
from reactions.checkins.each import sum_over
from reactions.checkins.plan import plan_checkins, when_its_mail_leaves
from reactions.models import CheckIn, Course, Infusion, OutboxMessage, WorkItem
from reactions.models.checkin import MAIL_REFUSED, CheckInQuerySet
from reactions.models.outbox import ADDRESS_CHANGED, PLANNED_AGAIN
from reactions.vocabulary import CheckInKind, CheckInState, MailKind, MailState

# The reasons of a check-in's end that may hold no more, as the first words of `state_reason`.
REASONS = (*MAY_PASS, MAIL_REFUSED)
MAY_GO_ON = reduce(or_, (Q(state_reason__startswith=reason) for reason in REASONS))


def resume(now: datetime) -> int:
    """Plan again what ended for a reason that holds no more, as long as its window is open. Returns how many.

    By the clinic's plan and the course as they are now. Of a step that was planned for a later infusion of the course
    since, only that one goes on; each infusion has its own evening. Where a later check-in of the course is due, that
    one asks for the same and more, and the earlier one stays ended.
    """
    there = Q(infusion__patient__email_consent_at__isnull=False) & ~Q(infusion__patient__email="")
    ended = CheckIn.objects.filter(MAY_GO_ON, there, state=CheckInState.CANCELLED, closes_at__gt=now)
    rows = (
        ended.exclude(_asked_anew())
        .latest_due(now)
        .select_related("infusion__patient__clinic")
        .prefetch_related("mails")
    )
    # The latest first, so that an earlier one of the course finds it due.
    return sum_over(rows.order_by("-due_at", "-pk"), lambda row: _resume(row, now), what="taking up a check-in")


def send_to_changed_addresses(now: datetime) -> int:
    """Plan again what was mailed to an address that is not the patient's any more, and is open. Returns how many.

    By what the mail and the record say, so that it does not matter who changed the address and how. Of a course that is
    the latest check-in that is due, and none that could not leave before its window closes. It goes the way of every
    check-in that is due, with the link of the new address; a reminder follows that mail as it would follow the first.
    """
    rows = mailed_and_open(now).order_by("infusion__patient", "pk")
    # Only the service's key makes a digest of an address, so the database cannot compare the two.
    pairs = rows.values_list("pk", "infusion__patient__email", "mails__sent_to")
    elsewhere = [pk for pk, address, sent_to in pairs.iterator() if address_digest(address) != sent_to]
    return sum_over(elsewhere, lambda pk: _send_to_new_address(pk, now), what="sending to a new address")


def mailed_and_open(now: datetime) -> CheckInQuerySet:
    """Check-ins that were mailed, can be answered and would be mailed again were the address another one."""
    waiting = CheckIn.objects.waiting_for_an_answer()
    asked = waiting.filter(state=CheckInState.SENT, closes_at__gt=now, infusion__voided_at=None)
    there = Q(infusion__patient__email_consent_at__isnull=False) & ~Q(infusion__patient__email="")
    invited = Q(mails__kind=MailKind.CHECKIN_INVITATION, mails__state=MailState.SENT) & ~Q(mails__sent_to="")
    found: CheckInQuerySet = asked.latest_due(now).filter(there, invited)
    return found


def close_what_is_settled(now: datetime) -> int:
    """Close the items about patients whose reason is gone. Returns how many."""
    return sum_over(
        WorkItem.objects.settled().select_related("clinic"), lambda item: _close(item, now), what="closing an item"
    )


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


def _asked_anew() -> Q:
    """A later infusion of the course has this step of its own; each infusion has its own evening."""
    same = CheckIn.objects.filter(course=OuterRef("course"), kind=OuterRef("kind"), infusion__voided_at=None)
    return Q(Exists(same.filter(pk__gt=OuterRef("pk")))) & ~Q(kind=CheckInKind.EVENING)


def _may_go_on(checkin: CheckIn, mails: Collection[OutboxMessage], now: datetime) -> bool:
    """It ended for want of mail that is wanted and possible again, and can still be answered."""
    ended = checkin.state == CheckInState.CANCELLED and checkin.closes_at > now and not checkin.is_of_void_record
    if not ended or not checkin.state_reason.startswith(REASONS) or checkin.patient.why_no_mail():
        return False
    refused = {mail.refused_address for mail in mails if mail.state == MailState.REFUSED}
    return not checkin.was_refused or address_digest(checkin.patient.email) not in refused


def _resume(row: CheckIn, now: datetime) -> bool:
    return _may_go_on(row, row.mails.all(), now) and _resume_held(row.pk, now)


@transaction.atomic
def _resume_held(pk: int, now: datetime) -> bool:
    checkin, mails = _hold(pk)
    # What is being sent this moment is let go first; the next tick looks again.
    if _is_being_sent(mails) or not _may_go_on(checkin, mails, now):
        return False
    called_off = f"{PLANNED_AGAIN} Before: {checkin.state_reason}"[:300]
    if arrived := _arrived(checkin, mails):
        checkin.mails.exclude(pk=arrived.pk).update(state=MailState.CANCELLED, last_error=called_off, sent_at=None)
        _write(checkin, CheckInState.SENT, sent_at=arrived.sent_at, because=checkin.state_reason)
        return True
    if (
        not _is_still_asked(checkin, now)
        or when_its_mail_leaves(checkin, now=max(now, checkin.due_at)) >= checkin.closes_at
    ):
        return False
    _write(checkin, CheckInState.PLANNED, sent_at=None, because=checkin.state_reason)
    infusions = Infusion.objects.current().filter(course=checkin.course_id).exclude(ended_at=None)
    if latest := infusions.select_related("patient__clinic", "course").order_by("-ended_at", "-pk").first():
        plan_checkins(latest, now=now, plan_changed=True)
    # Afterwards, since planning lets a mail that was called off wait again: this one takes its turn among the others.
    _call_off(checkin, called_off)
    return True


def _arrived(checkin: CheckIn, mails: Collection[OutboxMessage]) -> OutboxMessage | None:
    """The invitation that has left for the address that is recorded, and did not come back: its link is good again."""
    if checkin.came_back:
        return None
    here = address_digest(checkin.patient.email)
    left = (mail for mail in mails if mail.kind == MailKind.CHECKIN_INVITATION and mail.state == MailState.SENT)
    return next((mail for mail in left if mail.sent_to == here), None)


def _is_still_asked(checkin: CheckIn, now: datetime) -> bool:
    """Looked at again under the lock: no later infusion has the step, and no later check-in of the course is due."""
    return CheckIn.objects.filter(pk=checkin.pk).exclude(_asked_anew()).latest_due(now).exists()


@transaction.atomic
def _send_to_new_address(pk: int, now: datetime) -> bool:
    checkin, mails = _hold(pk)
    asked = checkin.state == CheckInState.SENT and checkin.closes_at > now
    # Not before it can leave: who has the old address back by then has the mail already.
    if not asked or checkin.patient.why_no_mail() or when_its_mail_leaves(checkin, now=now) > now:
        return False
    sent_to = {mail.sent_to for mail in mails if mail.kind == MailKind.CHECKIN_INVITATION}
    if _is_being_sent(mails) or sent_to <= {"", address_digest(checkin.patient.email)}:
        return False
    _write(checkin, CheckInState.PLANNED, sent_at=None, because=ADDRESS_CHANGED)
    _call_off(checkin, ADDRESS_CHANGED)
    return True


def _hold(pk: int) -> tuple[CheckIn, list[OutboxMessage]]:
    """The check-in as stored and its mails, held after its patient and its course (order: reactions.outbox)."""
    Patient.objects.select_for_update(of=("self",), no_key=True).get(infusions__checkins=pk)
    course = Course.objects.select_for_update(of=("self",), no_key=True).get(checkins=pk)
    held = CheckIn.objects.filter(course=course).held()
    checkin = held.select_related("infusion__patient__clinic").get(pk=pk)
    return checkin, list(checkin.mails.select_for_update(no_key=True).order_by("pk"))


def _is_being_sent(mails: Collection[OutboxMessage]) -> bool:
    return any(mail.state == MailState.SENDING for mail in mails)


def _call_off(checkin: CheckIn, called_off: str) -> None:
    """What was mailed about it counts no more, as if it had not been; its mails say why."""
    checkin.mails.update(
        state=MailState.CANCELLED, last_error=called_off, sent_at=None, bounced_at=None, refused_address=""
    )


def _write(checkin: CheckIn, state: CheckInState, *, sent_at: datetime | None, because: str) -> None:
    CheckIn.objects.filter(pk=checkin.pk).update(state=state, state_reason="", sent_at=sent_at)
    changes: dict[str, list[object]] = {"state": [checkin.state, state.value]}
    if checkin.sent_at != sent_at:
        changes["sent_at"] = [checkin.sent_at and str(checkin.sent_at), sent_at and str(sent_at)]
    patient = checkin.patient
    write_event(
        "checkin.planned_again",
        by=None,
        about=checkin,
        clinic=patient.clinic,
        patient_id=patient.pk,
        changes=changes,
        reason=because,
    )
