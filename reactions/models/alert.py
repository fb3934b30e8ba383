"""An alert: something that a named person must acknowledge."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from patients.models import Clinic, Patient, User
from reactions.models.checkin import Answer
from reactions.vocabulary import AlertLevel, choices


class AlertQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Alerts about patients of the clinics in which the user works."""
        return self.filter(patient__clinic__in=Clinic.objects.visible_to(user))

    def open(self) -> Self:
        """Alerts that nobody has acknowledged."""
        return self.filter(acknowledged_at=None)


class Alert(models.Model):
    patient = models.ForeignKey(Patient, models.PROTECT, related_name="alerts")
    answer = models.OneToOneField(Answer, models.PROTECT, related_name="alert")
    level = models.CharField(max_length=6, choices=choices(AlertLevel))
    why = models.CharField(max_length=300, help_text="What in the answer led to the level.")
    raised_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True
    )
    what_was_done = models.CharField(max_length=500, blank=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-raised_at"]
        constraints = [
            models.CheckConstraint(
                name="reactions_alert_acknowledged_is_whole",
                condition=Q(acknowledged_at=None, acknowledged_by=None, what_was_done="")
                | Q(acknowledged_at__isnull=False, acknowledged_by__isnull=False) & ~Q(what_was_done=""),
            ),
        ]
        indexes = [models.Index(fields=["patient"], condition=Q(acknowledged_at=None), name="reactions_alert_open")]

    def __str__(self) -> str:
        return f"{self.get_level_display()}: {self.why}"
