"""Opening the record of another clinic's patient in an emergency: with a reason, for some hours, for all to see."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Q

from patients.models.append_only import AppendOnly, AppendOnlyQuerySet
from patients.models.clinic import User
from patients.models.patient import Patient
from patients.sealing.fields import SealedCharField


class EmergencyAccessQuerySet(AppendOnlyQuerySet):
    def open_at(self, now: datetime) -> Self:
        """Those that are not over."""
        return self.filter(ends_at__gt=now)


class EmergencyAccess(AppendOnly):
    """One person may work with one patient's record until `ends_at`, whatever clinic it is of."""

    user = models.ForeignKey(User, models.PROTECT, related_name="emergencies")
    patient = models.ForeignKey(Patient, models.PROTECT, related_name="emergencies")
    reason = SealedCharField(max_length=300)
    began_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    objects = EmergencyAccessQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        verbose_name = "emergency access"
        verbose_name_plural = "emergency accesses"
        indexes = [models.Index(fields=["user", "ends_at"], name="patients_emergency_of_user")]
        constraints = [
            models.CheckConstraint(
                name="patients_emergencyaccess_ends", condition=Q(ends_at__gt=F("began_at")) & ~Q(reason="")
            )
        ]

    def __repr__(self) -> str:
        return f"<EmergencyAccess {self.pk}>"
