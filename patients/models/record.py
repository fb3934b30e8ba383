"""What every clinical record has in common: who made it, which version it is, and how it is voided."""

from typing import Any, NoReturn, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from patients.sealing.fields import SealedCharField


class NeverDeleted(TypeError):
    """Somebody tried to delete a clinical record. Records are voided with a reason instead."""


class RecordQuerySet(models.QuerySet):
    def current(self) -> Self:
        """Records that have not been voided."""
        return self.filter(voided_at=None)

    def delete(self) -> NoReturn:
        raise NeverDeleted(f"{self.model._meta.verbose_name_plural} are never deleted: void them with a reason.")


class Record(models.Model):
    """A clinical record. `version` counts its changes, so that a stale form is noticed and refused."""

    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    version = models.PositiveIntegerField(default=1, editable=False)
    voided_at = models.DateTimeField(null=True, blank=True, editable=False)
    voided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, editable=False
    )
    void_reason = SealedCharField(max_length=500, blank=True, editable=False)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                name="%(app_label)s_%(class)s_void_is_whole",
                condition=Q(voided_at=None, voided_by=None, void_reason="")
                | Q(voided_at__isnull=False, voided_by__isnull=False) & ~Q(void_reason=""),
                violation_error_message="A voided record needs a time, a person and a reason.",
            ),
        ]

    def __repr__(self) -> str:
        """Where programmers look, such as in logs and tests that fail, nobody is named."""
        return f"<{type(self).__name__} {self.pk}>"

    @property
    def is_void(self) -> bool:
        return self.voided_at is not None

    def claim_version(self, seen: int) -> bool:
        """Count the version up if it is still the one that was seen; False when somebody else was faster.

        One conditional update, so that of two people saving at once exactly one goes on.
        """
        manager = type(self)._default_manager
        claimed = manager.filter(pk=self.pk, version=seen, voided_at=None).update(version=F("version") + 1)
        if claimed:
            self.version = seen + 1
        return bool(claimed)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NeverDeleted(f"A {self._meta.verbose_name} is never deleted: void it with a reason.")


class RecordVoided(Exception):
    """The record was voided after the form was opened; nothing was written."""


class StaleRecord(Exception):
    """Somebody else changed or voided the record after the form was opened; nothing was written."""
