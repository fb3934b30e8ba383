"""The tick: what is over is closed, what is due or can be sent after all goes to the outbox, and that is emptied.

Beat calls it every minute; `manage.py tick` is the same from cron, without a broker.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from billiard.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import transaction
from django.db.models import Case, Exists, F, Max, Min, OuterRef, Q, QuerySet, When

from patients.models import Patient
from reactions import alerts, outbox, site
from reactions.checkins import replanning, resuming
from reactions.checkins.each import sum_over
from reactions.checkins.plan import when_its_mail_leaves
from reactions.models import CheckIn, CheckInPlan, OutboxMessage
from reactions.models.checkin import SENT_TOO_LATE, CheckInQuerySet
from reactions.models.outbox import CALLED_OFF_FOR_NOW
from reactions.vocabulary import CheckInState, MailKind, MailState

logger = logging.getLogger(__name__)

BATCH = 500
# After so long what is queued so far is sent first: in a tick that only queues, no mail would leave.
QUEUE_FOR_S = settings.OUTBOX_LEASE_S / 4
# Between the mails about two courses of one patient. This project's own.
APART = timedelta(hours=1)
OVERTAKEN = "A later check-in of the course is due."


@dataclass(frozen=True)
class TickReport:
    """How many check-ins were closed and queued, and what became of the mails."""

    closed: int
    queued: int
    mails: dict[str, int]


def tick() -> TickReport:
    """Do what is due by the database's clock. Whatever goes wrong with one part, the others are done and mails go out.

    Raises the first error afterwards; all of them are in the log. A host that may not send plans nothing either: with
    another key it could not even tell a changed address.
    """
    if site.sending_is_stopped():
        return TickReport(0, 0, outbox.dispatch())
    begun_at = time.monotonic()
    now, errors = outbox.database_now(), []

    def done(part: Callable[[datetime], int]) -> int:
        try:
            return part(now)
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            logger.exception("the tick could not %s", part.__name__)
            errors.append(error)
            return 0

    # Alerts first. What is planned again or anew can be due at once.
    done(alerts.keep_telling)
    closed = done(close_what_is_over)
    for part in (
        resuming.close_what_is_settled,
        resuming.resume,
        replanning.apply_changed_plans,
        outbox.resume_alerts_at_corrected_addresses,
        resuming.send_to_changed_addresses,
    ):
        done(part)
    queued = done(queue_what_is_due) + done(queue_reminders)
    mails = outbox.dispatch(task_begun_at=begun_at)
    if errors:
        raise errors[0]
    return TickReport(closed, queued, mails)


def close_what_is_over(now: datetime) -> int:
    """Check-ins whose window is over: unanswered ones expire, unsent ones are missed, never sent late."""
    over = CheckIn.objects.filter(closes_at__lte=now)
    expired = over.waiting_for_an_answer().update(state=CheckInState.EXPIRED)
    missed = over.filter(state=CheckInState.PLANNED).update(state=CheckInState.MISSED, state_reason=SENT_TOO_LATE)
    return expired + missed


def queue_what_is_due(now: datetime) -> int:
    """One outbox row for each check-in that is due and has none, and never two mails to one patient at once.

    Of several that are due in one course, as after the service stood still, the latest goes out and the others are
    missed, also those that wait in the outbox. One of another course waits until `APART` after the patient's last mail.
    """
    return sum_over(_patients_with_due(now), lambda patient: _queue_one_for(patient, now), what="queueing a mail")


def _patients_with_due(now: datetime) -> Iterator[int]:
    """Patients of check-ins that are due and have no mail, as many as there is time for; the next tick has the others.

    From any of them on, so that several ticks at once do not wait for each other, and nobody is always the last.
    """
    until = time.monotonic() + QUEUE_FOR_S
    due = _patients_of(_without_a_mail(CheckIn.objects.filter(state=CheckInState.PLANNED, due_at__lte=now)))
    ends = due.aggregate(first=Min("patient"), last=Max("patient"))
    if ends["first"] is None:
        return
    begin = ends["first"] + secrets.randbelow(ends["last"] - ends["first"] + 1)
    for part in (due.filter(patient__gte=begin), due.filter(patient__lt=begin)):
        seen = 0
        while patients := list(part.filter(patient__gt=seen)[:BATCH]):
            for row in patients:
                seen = row["patient"]
                yield seen
                if time.monotonic() > until:
                    return


def queue_reminders(now: datetime) -> int:
    """One reminder of each check-in whose mail has waited long enough for an answer, as long as it can be answered.

    None once a later check-in of the course is due: that asks for the same and more. Never in the quiet hours, nor
    within `APART` of another mail to the patient. Returns how many.
    """
    reminders = OutboxMessage.objects.filter(checkin=OuterRef("pk"), kind=MailKind.CHECKIN_REMINDER)
    reminded = reminders.exclude(CALLED_OFF_FOR_NOW)
    silent = CheckIn.objects.waiting_for_an_answer().filter(
        state=CheckInState.SENT, closes_at__gt=now, infusion__voided_at=None, remind_after__isnull=False
    )
    waits = Q(sent_at__lte=now - F("remind_after"))
    silent = silent.latest_due(now).filter(waits, ~Exists(reminded))
    rows = list(silent.select_related("infusion__patient__clinic").order_by("pk"))
    plans = CheckInPlan.of_each(checkin.patient.clinic for checkin in rows)
    return sum_over(rows, lambda checkin: _remind(checkin, plans[checkin.patient.clinic_id], now), what="reminding")


def _remind(checkin: CheckIn, plan: CheckInPlan, now: datetime) -> bool:
    # In the quiet hours none: when they are over a later check-in may be due, or the answer be there.
    if checkin.patient.why_no_mail() or when_its_mail_leaves(checkin, now=now, plan=plan) > now:
        return False
    with transaction.atomic():
        patient = Patient.objects.select_for_update(no_key=True).get(pk=checkin.patient.pk)
        own = CheckIn.objects.filter(infusion__patient=patient)
        if _has_mail_at_hand(own, checkin, now):
            return False
        reminder = outbox.enqueue(
            MailKind.CHECKIN_REMINDER,
            key=f"checkin:{checkin.pk}:reminder",
            due_at=now,
            expires_at=checkin.closes_at,
            checkin=checkin,
        )
        called_off = OutboxMessage.objects.filter(pk=reminder.pk).called_off_for_now()
        called_off.queue_again(now, expires_at=checkin.closes_at)
    return True


def _without_a_mail(checkins: CheckInQuerySet) -> CheckInQuerySet:
    """Whose invitation neither waits nor is being sent nor has left. One that ended otherwise is queued once more."""
    alive = OutboxMessage.objects.filter(checkin=OuterRef("pk"), kind=MailKind.CHECKIN_INVITATION).alive()
    return checkins.filter(~Exists(alive))


def _patients_of(due: CheckInQuerySet) -> QuerySet:
    return due.order_by().values(patient=F("infusion__patient")).distinct().order_by("patient")


def _queue_one_for(patient: int, now: datetime) -> int:
    """Queue the latest check-in of the patient that is due. Returns how many were queued: none or one."""
    with transaction.atomic():
        Patient.objects.select_for_update(no_key=True).get(pk=patient)
        own = CheckIn.objects.filter(infusion__patient=patient)
        for checkin in own.filter(state=CheckInState.PLANNED, due_at__lte=now).held():
            if own.filter(course=checkin.course_id).filter(_goes_before(checkin, now)).exists():
                _miss(checkin, now)
        asked_now = _without_a_mail(own.filter(state=CheckInState.PLANNED, due_at__lte=now))
        due = asked_now.order_by("-due_at", "-pk").first()
        if due is None or _has_mail_at_hand(own, due, now):
            return 0
        leaves_at = when_its_mail_leaves(due, now=now)
        mail = outbox.enqueue(
            MailKind.CHECKIN_INVITATION,
            key=f"checkin:{due.pk}:invitation",
            due_at=leaves_at if leaves_at > now else due.due_at,
            expires_at=due.closes_at,
            checkin=due,
        )
        # One that was refused, came back or was called off before, and is wanted and possible again.
        ended = OutboxMessage.objects.filter(pk=mail.pk).exclude(pk__in=OutboxMessage.objects.alive())
        ended.queue_again(max(leaves_at, now), expires_at=due.closes_at)
    return 1


def _goes_before(checkin: CheckIn, now: datetime) -> Q:
    """What makes a check-in of the same course superfluous: a later one that is due, or that the patient has."""
    later = Q(due_at__gt=checkin.due_at) | Q(due_at=checkin.due_at, pk__gt=checkin.pk)
    has_it = Q(sent_at__isnull=False, infusion__voided_at=None)
    return later & (Q(state=CheckInState.PLANNED, due_at__lte=now) | has_it)


def _miss(checkin: CheckIn, now: datetime) -> None:
    """Mark it missed and call its mail off, unless that is being sent this moment under a lease that holds."""
    mails = OutboxMessage.objects.filter(checkin=checkin)
    mails.filter(Q(state=MailState.QUEUED) | Q(state=MailState.SENDING, lease_until__lte=now)).update(
        state=MailState.CANCELLED,
        last_error=OVERTAKEN,
        in_doubt=Case(When(tried_at__isnull=False, then=True), default=F("in_doubt")),
        tried_at=None,
        lease_until=None,
        lease_number=F("lease_number") + 1,
    )
    if not mails.filter(state=MailState.SENDING).exists():
        planned = CheckIn.objects.filter(pk=checkin.pk, state=CheckInState.PLANNED)
        planned.update(state=CheckInState.MISSED, state_reason=SENT_TOO_LATE)


def _has_mail_at_hand(own: CheckInQuerySet, due: CheckIn, now: datetime) -> bool:
    """Another mail to the patient waits or is being sent, or one about another course has just left."""
    waiting = Q(state=CheckInState.PLANNED, due_at__lte=now, mails__state__in=[MailState.QUEUED, MailState.SENDING])
    just_left = Q(sent_at__gt=now - APART) & ~Q(course=due.course_id)
    reminders = OutboxMessage.objects.filter(kind=MailKind.CHECKIN_REMINDER, checkin__in=own.exclude(pk=due.pk))
    on_the_way = Q(state__in=[MailState.QUEUED, MailState.SENDING])
    if reminders.filter(on_the_way | Q(sent_at__gt=now - APART) & ~Q(checkin__course=due.course_id)).exists():
        return True
    return own.exclude(pk=due.pk).filter(waiting | just_left).exists()
