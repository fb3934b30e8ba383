"""Patients who were asked and did not answer, and what came of calling them.

One line a patient, not one a mail. A line leaves when the patient answers any check-in, or when a call has settled it,
after the latest check-in that stayed without an answer was due.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import ExpressionWrapper, F, Max, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from patients.models import AppendOnly, Patient
from patients.sealing.fields import SealedCharField
from reactions.models.checkin import NOT_DELIVERED, Answer, CheckIn, CheckInQuerySet
from reactions.models.outbox import OutboxMessage
from reactions.vocabulary import CheckInKind, CheckInState, MailState, PhoneOutcome, choices, values

# States of a mail in which it did not arrive.
UNDELIVERED = frozenset({MailState.REFUSED, MailState.BOUNCED})
# Somebody calls so long after the reminder, or after when it would have been sent by a plan without one. Both are this
# project's own.
CALL_AFTER_REMINDER = timedelta(hours=48)
REMINDER_OTHERWISE = timedelta(hours=24)


class PhoneCall(AppendOnly):
    """What came of calling a patient. `phone` is the number that was recorded then."""

    # After one of these nothing more is to be done about what was asked before.
    SETTLES = frozenset({PhoneOutcome.NO_PROBLEM, PhoneOutcome.DECLINED, PhoneOutcome.GIVEN_UP})
    # Nobody was spoken to.
    IN_VAIN = frozenset({PhoneOutcome.NOT_REACHED, PhoneOutcome.WRONG_NUMBER})

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="phone_calls")
    checkin = models.ForeignKey(CheckIn, models.PROTECT, related_name="phone_calls", help_text="The latest unanswered.")
    outcome = models.CharField(max_length=15, choices=choices(PhoneOutcome))
    phone = SealedCharField(max_length=40, blank=True)
    words = SealedCharField(max_length=500, blank=True)
    answer = models.OneToOneField(
        Answer, models.PROTECT, related_name="phone_call", null=True, blank=True, help_text="What was taken down."
    )
    called_at = models.DateTimeField()
    called_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    submission_id = models.UUIDField(unique=True, editable=False)

    class Meta:
        verbose_name = "phone call"
        ordering = ["-called_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="reactions_phonecall_outcome_known", condition=Q(outcome__in=values(PhoneOutcome))
            ),
            models.CheckConstraint(
                name="reactions_phonecall_answer_is_a_problem", condition=Q(answer=None) | Q(outcome="problem")
            ),
        ]
        indexes = [models.Index(fields=["patient", "-called_at"], name="reactions_phonecall_latest")]

    def __str__(self) -> str:
        return str(self.get_outcome_display())


def silent_checkins(now: datetime) -> CheckInQuerySet:
    """Check-ins that call for a telephone: not delivered, or without an answer when it was time.

    Time is when the window closes; or, when that is first, 48 hours after its reminder was to follow the mail (a day
    where the plan has none) and after whatever was mailed last about it. What was cancelled for another reason, or
    missed by the service, is not among them, nor what a patient began between check-ins and did not send: nobody had
    asked.
    """
    mails = OutboxMessage.objects.filter(checkin__isnull=False)
    lost = Q(pk__in=mails.filter(state__in=UNDELIVERED).values("checkin"))
    mailed_lately = Q(pk__in=mails.filter(sent_at__gt=now - CALL_AFTER_REMINDER).values("checkin"))
    waited = Q(state=CheckInState.SENT, reminded_at__lte=now - CALL_AFTER_REMINDER) & ~mailed_lately
    # A reminder that was refused leaves the check-in as it is: the first mail may have arrived.
    undelivered = NOT_DELIVERED | lost & Q(state=CheckInState.SENT)
    over = Q(state=CheckInState.EXPIRED) | Q(state=CheckInState.SENT, closes_at__lte=now)
    remind_after = Coalesce("remind_after", Value(REMINDER_OTHERWISE), output_field=models.DurationField())
    reminded_at = ExpressionWrapper(F("sent_at") + remind_after, output_field=models.DateTimeField())
    asked = CheckIn.objects.alias(reminded_at=reminded_at).exclude(kind=CheckInKind.REPORT)
    found: CheckInQuerySet = asked.filter(undelivered | over | waited, infusion__voided_at=None)
    return found


@dataclass(frozen=True)
class SilentPatient:
    """A patient to be called, by key: when the latest check-in without an answer was due, and what was the last word.

    `last_word_at` is the latest answer or the latest call that settled something before; None where there was none.
    """

    pk: int
    due_at: datetime
    last_word_at: datetime | None


def silent_patients(patients: QuerySet[Patient], now: datetime) -> list[SilentPatient]:
    """Those of `patients` who are to be called, the latest silence first, in three queries.

    Who has died, withdrew the consent to be mailed, or whose record is void is not asked at all. Grouped here and not
    in one statement: the planners of both databases take several times as long over that.
    """
    asked = patients.filter(voided_at=None, died_on=None, email_consent_at__isnull=False).order_by().values("pk")
    silent = _latest(silent_checkins(now).filter(infusion__patient__in=asked), "infusion__patient", "due_at")
    answers = Answer.objects.filter(checkin__infusion__patient__in=asked)
    heard = _latest(answers, "checkin__infusion__patient", "submitted_at")
    settling = PhoneCall.objects.filter(patient__in=asked, outcome__in=PhoneCall.SETTLES)
    settled = _latest(settling, "patient", "called_at")
    found = []
    for pk, due_at in silent.items():
        last_word_at = max((moment for moment in (heard.get(pk), settled.get(pk)) if moment), default=None)
        if last_word_at is None or last_word_at < due_at:
            found.append(SilentPatient(pk, due_at, last_word_at))
    return sorted(found, key=lambda patient: (patient.due_at, patient.pk), reverse=True)


def _latest(rows: QuerySet[Any], patient: str, moment: str) -> dict[int, datetime]:
    """The latest moment of each patient."""
    return dict(rows.order_by().values_list(patient).annotate(latest=Max(moment)))
