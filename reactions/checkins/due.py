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
from reactions.checkins.each import PASSING, sum_over
from reactions.checkins.plan import when_its_mail_leaves
from reactions.models import CheckIn, CheckInPlan, OutboxMessage
from reactions.models.checkin import SENT_TOO_LATE, CheckInQuerySet
from reactions.models.outbox import ALIVE, CALLED_OFF_FOR_NOW
from reactions.vocabulary import CheckInState, MailKind, MailState

logger = logging.getLogger(__name__)

# Patients whose mails are queued in one transaction: few enough to hold nobody up. This project's own.
TOGETHER = 50
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
    return sum_over(_patients_with_due(now), lambda patients: _queue_for_each(patients, now), what="queueing mails")


def _patients_with_due(now: datetime) -> Iterator[list[int]]:
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
        while patients := [row["patient"] for row in part.filter(patient__gt=seen)[:TOGETHER]]:
            yield patients
            if time.monotonic() > until:
                return
            seen = patients[-1]


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
        Patient.objects.select_for_update(no_key=True).get(pk=checkin.patient.pk)
        if CheckIn.objects.filter(_mail_is_at_hand(now), pk=checkin.pk).exists():
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


def _queue_for_each(patients: list[int], now: datetime) -> int:
    """Queue for all of them in one transaction; where that fails for each alone, so that a bad row holds up itself."""
    try:
        return _queue_for(patients, now)
    except PASSING:
        raise
    except Exception as error:
        logger.warning("queueing for %d patients together failed: %s", len(patients), type(error).__name__)
        return sum_over(patients, lambda patient: _queue_for([patient], now), what="queueing a mail")


def _queue_for(patients: list[int], now: datetime) -> int:
    """Queue the latest check-in that is due of each patient. Returns how many were queued: at most one for each."""
    with transaction.atomic():
        # Whom somebody else holds, the next tick has: a batch that waited would hold the others as long.
        free = Patient.objects.filter(pk__in=patients).select_for_update(no_key=True, skip_locked=True).order_by("pk")
        held = list(free.values_list("pk", flat=True))
        due = CheckIn.objects.filter(infusion__patient__in=held, state=CheckInState.PLANNED, due_at__lte=now)
        for overtaken in list(due.held().filter(_is_overtaken(now))):
            _miss(overtaken, now)
        asked_now = _without_a_mail(due).annotate(must_wait=_mail_is_at_hand(now)).order_by("due_at", "pk")
        latest = {checkin.patient.pk: checkin for checkin in asked_now.select_related("infusion__patient__clinic")}
        wanted = [checkin for checkin in latest.values() if not checkin.must_wait]
        plans = CheckInPlan.of_each(checkin.patient.clinic for checkin in wanted)
        for checkin in wanted:
            _queue(checkin, when_its_mail_leaves(checkin, now=now, plan=plans[checkin.patient.clinic_id]), now)
    return len(wanted)


def _queue(checkin: CheckIn, leaves_at: datetime, now: datetime) -> None:
    mail = outbox.enqueue(
        MailKind.CHECKIN_INVITATION,
        key=f"checkin:{checkin.pk}:invitation",
        due_at=leaves_at if leaves_at > now else checkin.due_at,
        expires_at=checkin.closes_at,
        checkin=checkin,
    )
    # One that was refused, came back or was called off before, and is wanted and possible again.
    if mail.state not in ALIVE:
        ended = OutboxMessage.objects.filter(pk=mail.pk).exclude(pk__in=OutboxMessage.objects.alive())
        ended.queue_again(max(leaves_at, now), expires_at=checkin.closes_at)


def _is_overtaken(now: datetime) -> Exists:
    """What makes a check-in superfluous: a later one of the same course that is due, or that the patient has."""
    later = Q(due_at__gt=OuterRef("due_at")) | Q(due_at=OuterRef("due_at"), pk__gt=OuterRef("pk"))
    has_it = Q(sent_at__isnull=False, infusion__voided_at=None)
    is_there = Q(state=CheckInState.PLANNED, due_at__lte=now) | has_it
    return Exists(CheckIn.objects.filter(later, is_there, course=OuterRef("course")))


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


def _mail_is_at_hand(now: datetime) -> Q:
    """Of a check-in: another mail to its patient waits or is being sent, or one about another course has just left."""
    on_the_way = [MailState.QUEUED, MailState.SENDING]
    others = CheckIn.objects.filter(infusion__patient=OuterRef("infusion__patient")).exclude(pk=OuterRef("pk"))
    waiting = Q(state=CheckInState.PLANNED, due_at__lte=now, mails__state__in=on_the_way)
    just_left = Q(sent_at__gt=now - APART) & ~Q(course=OuterRef("course"))
    reminders = OutboxMessage.objects.filter(
        kind=MailKind.CHECKIN_REMINDER, checkin__infusion__patient=OuterRef("infusion__patient")
    ).exclude(checkin=OuterRef("pk"))
    just_reminded = Q(sent_at__gt=now - APART) & ~Q(checkin__course=OuterRef("course"))
    reminded = reminders.filter(Q(state__in=on_the_way) | just_reminded)
    return Q(Exists(others.filter(waiting | just_left))) | Q(Exists(reminded))
