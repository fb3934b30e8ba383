"""What was done, by whom, to which record, and why. Rows are only ever added."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import models

from patients.models.append_only import AppendOnly
from patients.models.clinic import Clinic, User


class AuditEvent(AppendOnly):
    """One act. No foreign keys to what it is about, so that it says the same whatever becomes of the record."""

    at = models.DateTimeField(auto_now_add=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True)
    clinic = models.ForeignKey(Clinic, models.PROTECT, related_name="+", null=True)
    act = models.CharField(max_length=40, help_text="Such as infusion.recorded or reaction.voided.")
    entity = models.CharField(max_length=40)
    entity_id = models.BigIntegerField(null=True)
    patient_id = models.BigIntegerField(null=True)
    changes = models.JSONField(default=dict, help_text="Field: [old value, new value].")
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["entity", "entity_id"], name="patients_audit_entity"),
            models.Index(fields=["patient_id"], name="patients_audit_patient"),
        ]

    def __str__(self) -> str:
        return f"{self.act} {self.entity} {self.entity_id}"


def write_event(
    act: str,
    *,
    by: User | None,
    about: models.Model | None = None,
    clinic: Clinic | None = None,
    patient_id: int | None = None,
    changes: dict[str, Any] | None = None,
    reason: str = "",
) -> AuditEvent:
    """Add one event. `by` is None only for what a patient did through a link or the service did by itself."""
    return AuditEvent.objects.create(
        act=act,
        by=by,
        clinic=clinic,
        entity=about._meta.label_lower if about is not None else "",
        entity_id=about.pk if about is not None else None,
        patient_id=patient_id,
        changes=changes or {},
        reason=reason,
    )


def snapshot(record: models.Model) -> dict[str, Any]:
    """The record's own columns as JSON takes them, without the keeping of its version and its voiding."""
    left_out = {
        "id",
        "version",
        "created_at",
        "created_by_id",
        "voided_at",
        "voided_by_id",
        "void_reason",
        "submission_id",
        "bounced_address",
    }
    return {
        field.attname: _as_json(getattr(record, field.attname))
        for field in record._meta.concrete_fields
        if field.attname not in left_out
    }


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[Any]]:
    """{field: [old, new]} for what differs."""
    return {name: [before.get(name), value] for name, value in after.items() if before.get(name) != value}


def _as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        # 35 and 35.00 are the same dose, not a change.
        return format(value.normalize(), "f")
    return value if value is None or isinstance(value, bool | int | str | list | dict) else str(value)
