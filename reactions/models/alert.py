"""An alert: something that a named person must acknowledge."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Case, Q, When

from patients.models import Patient, User, of_visible_patients
from patients.sealing.fields import SealedCharField
from reactions.models.checkin import Answer
from reactions.vocabulary import AlertLevel, MailState, choices, values


class AlertQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Alerts about patients of the clinics in which the user works."""
        return self.filter(of_visible_patients(user, "patient"))

    def open(self) -> Self:
        """Alerts that nobody has acknowledged."""
        return self.filter(acknowledged_at=None)

    def mailed(self) -> Self:
        """Alerts of a level that is told by mail at once."""
        return self.filter(level__in=[AlertLevel.RED, AlertLevel.AMBER])

    def untold(self, *, waited_since: datetime) -> Self:
        """Open alerts that have reached nobody by mail: none can be sent, or it waits since before that moment."""
        still_waits = {"mails__state__in": [MailState.QUEUED, MailState.SENDING], "raised_at__gt": waited_since}
        return self.open().mailed().exclude(mails__state=MailState.SENT).exclude(**still_waits)

    def with_answers(self) -> Self:
        """With the patient and every version of the answers to the check-in."""
        return self.select_related("patient__clinic", "answer__checkin").prefetch_related(
            "answer__symptoms", "answer__checkin__answers__symptoms"
        )

    def by_urgency(self) -> Self:
        """Red first, then amber, then green; within a level the one that waits longest first."""
        order = [When(level=level, then=place) for place, level in enumerate(AlertLevel)]
        return self.order_by(Case(*order), "raised_at", "pk")


class Alert(models.Model):
    patient = models.ForeignKey(Patient, models.PROTECT, related_name="alerts")
    answer = models.OneToOneField(Answer, models.PROTECT, related_name="alert")
    level = models.CharField(max_length=6, choices=choices(AlertLevel))
    why = SealedCharField(max_length=2000, help_text="What in the answer led to the level.")
    raised_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True
    )
    what_was_done = SealedCharField(max_length=500, blank=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-raised_at"]
        constraints = [
            models.CheckConstraint(name="reactions_alert_level_known", condition=Q(level__in=values(AlertLevel))),
            models.CheckConstraint(
                name="reactions_alert_acknowledged_is_whole",
                condition=Q(acknowledged_at=None, acknowledged_by=None, what_was_done="")
                | Q(acknowledged_at__isnull=False, acknowledged_by__isnull=False) & ~Q(what_was_done=""),
            ),
        ]
        indexes = [models.Index(fields=["patient"], condition=Q(acknowledged_at=None), name="reactions_alert_open")]

    def answered_since(self) -> Answer | None:
        """The patient's newest answer to the same check-in, where that is not the one the alert is about."""
        latest = self.answer.checkin.latest_answer()
        return latest if latest and latest.pk != self.answer_id else None

    def __str__(self) -> str:
        return f"{self.get_level_display()}: {self.why}"

    def __repr__(self) -> str:
        """Where programmers look stand no words of a patient."""
        return f"<Alert {self.pk}>"
