"""Patients who were asked and did not answer, and what came of calling them.

One line a patient, not one a mail. A line leaves when the patient answers any check-in, or when a call has settled it,
after the latest check-in that stayed without an answer was due.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery

from patients.models import AppendOnly, Patient
from reactions.models.checkin import MAIL_REFUSED, Answer, CheckIn, CheckInQuerySet
from reactions.models.outbox import OutboxMessage
from reactions.vocabulary import CheckInState, PhoneOutcome, choices, values

# States of a mail to a patient, and of a check-in, in which it did not arrive. A further one is added here.
UNDELIVERED = frozenset({"refused", "bounced"})
# A reminder follows a day after the mail, and somebody calls 48 hours after that.
CALL_AFTER_REMINDER = timedelta(hours=48)
CALL_AFTER_SENT = timedelta(hours=24) + CALL_AFTER_REMINDER


class PhoneCall(AppendOnly):
    """What came of calling a patient. `phone` is the number that was recorded then."""

    # After one of these nothing more is to be done about what was asked before.
    SETTLES = frozenset({PhoneOutcome.NO_PROBLEM, PhoneOutcome.DECLINED, PhoneOutcome.GIVEN_UP})
    # Nobody was spoken to.
    IN_VAIN = frozenset({PhoneOutcome.NOT_REACHED, PhoneOutcome.WRONG_NUMBER})

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="phone_calls")
    checkin = models.ForeignKey(CheckIn, models.PROTECT, related_name="phone_calls", help_text="The latest unanswered.")
    outcome = models.CharField(max_length=15, choices=choices(PhoneOutcome))
    phone = models.CharField(max_length=40, blank=True)
    words = models.CharField(max_length=500, blank=True)
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

    Time is when the window closes, or 72 hours after the mail and 48 hours after whatever was mailed last about it (the
    reminder), whichever is first. What was cancelled for another reason, or missed by the service, is not among them.
    """
    mails = OutboxMessage.objects.filter(checkin=OuterRef("pk"))
    lost = Exists(mails.filter(state__in=UNDELIVERED))
    mailed_lately = Exists(mails.filter(sent_at__gt=now - CALL_AFTER_REMINDER))
    waited = Q(state=CheckInState.SENT, sent_at__lte=now - CALL_AFTER_SENT) & ~Q(mailed_lately)
    refused = Q(state=CheckInState.CANCELLED, state_reason__startswith=MAIL_REFUSED)
    undelivered = Q(state__in=UNDELIVERED) | Q(lost, state__in=[CheckInState.SENT, CheckInState.EXPIRED]) | refused
    over = Q(state=CheckInState.EXPIRED) | Q(state=CheckInState.SENT, closes_at__lte=now)
    found: CheckInQuerySet = CheckIn.objects.filter(undelivered | over | waited, infusion__voided_at=None)
    return found


def silent_patients(patients: QuerySet[Patient], now: datetime) -> QuerySet[Patient]:
    """Those of `patients` who are to be called, the latest silence first.

    `silent_due_at` is when the latest check-in without an answer was due; `heard_at` and `settled_at` are the latest
    answer and the latest call that settled it, if any, from before. Who has died, withdrew the consent to be mailed, or
    whose record is void is not asked at all.
    """
    silent = silent_checkins(now).filter(infusion__patient=OuterRef("pk")).order_by("-due_at", "-pk")
    answers = Answer.objects.filter(checkin__infusion__patient=OuterRef("pk")).order_by("-submitted_at")
    settled = PhoneCall.objects.filter(patient=OuterRef("pk"), outcome__in=PhoneCall.SETTLES).order_by("-called_at")
    asked = patients.filter(voided_at=None, died_on=None, email_consent_at__isnull=False)
    return (
        asked.annotate(
            silent_due_at=Subquery(silent.values("due_at")[:1]),
            heard_at=Subquery(answers.values("submitted_at")[:1]),
            settled_at=Subquery(settled.values("called_at")[:1]),
        )
        .filter(silent_due_at__isnull=False)
        .filter(Q(heard_at=None) | Q(heard_at__lt=F("silent_due_at")))
        .filter(Q(settled_at=None) | Q(settled_at__lt=F("silent_due_at")))
        .order_by("-silent_due_at", "pk")
    )
