"""A set of vital signs measures something, and a decision against the safety card has somebody who acknowledged it.

No form ever wrote otherwise. What another way in did is put right here, and said in the audit trail.
"""

from typing import Any

from django.conf import settings
from django.db import migrations, models

MEASURES = (
    "temperature_c",
    "heart_rate_per_min",
    "systolic_mmhg",
    "diastolic_mmhg",
    "respiratory_rate_per_min",
    "spo2_percent",
)
WHY = "When the database was brought up to date."


def take_out_what_measures_nothing(apps: Any, schema_editor: Any) -> None:
    """Void or not, such a row says only that somebody wrote one: its event keeps who, when and for which infusion."""
    alias = schema_editor.connection.alias
    vitals = apps.get_model("reactions", "Vitals").objects.using(alias)
    empty = vitals.filter(**dict.fromkeys(MEASURES)).select_related("infusion__patient")
    for row in empty.iterator():
        stood = {"infusion_id": row.infusion_id, "at": str(row.at), "created_by_id": row.created_by_id}
        stood |= {"created_at": str(row.created_at), "void_reason": row.void_reason}
        changes = {name: [value, None] for name, value in stood.items() if value != ""}
        _write(apps, alias, "vitals.removed", row, changes, f"{WHY} Nothing was measured in it.")
    empty.delete()


def take_out_decisions_that_nobody_acknowledged(apps: Any, schema_editor: Any) -> None:
    alias = schema_editor.connection.alias
    checks = apps.get_model("reactions", "SafetyCheck").objects.using(alias)
    unanswered = checks.filter(acknowledged_by=None).exclude(decided_by="")
    for check in unanswered.select_related("infusion__patient").iterator():
        changes = {"decided_by": [check.decided_by, ""]}
        _write(apps, alias, "safetycheck.corrected", check, changes, f"{WHY} Nobody had acknowledged the card.")
    unanswered.update(decided_by="")


def _write(apps: Any, alias: str, act: str, row: Any, changes: dict[str, Any], reason: str) -> None:
    patient = row.infusion.patient
    apps.get_model("patients", "AuditEvent").objects.using(alias).create(
        act=act,
        clinic_id=patient.clinic_id,
        patient_id=patient.pk,
        entity=row._meta.label_lower,
        entity_id=row.pk,
        changes=changes,
        reason=reason,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("patients", "0002_whole_and_once"),
        ("reactions", "0010_criteria_mean_serious"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    # It writes the trail as it was until then.
    run_before = [("patients", "0016_trail")]

    operations = [
        migrations.RunPython(take_out_what_measures_nothing, migrations.RunPython.noop),
        migrations.RunPython(take_out_decisions_that_nobody_acknowledged, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="vitals",
            constraint=models.CheckConstraint(
                name="reactions_vitals_measure_something",
                condition=models.Q(temperature_c__isnull=False)
                | models.Q(heart_rate_per_min__isnull=False)
                | models.Q(systolic_mmhg__isnull=False)
                | models.Q(respiratory_rate_per_min__isnull=False)
                | models.Q(spo2_percent__isnull=False),
            ),
        ),
        migrations.AddConstraint(
            model_name="safetycheck",
            constraint=models.CheckConstraint(
                name="reactions_safetycheck_decided_is_acknowledged",
                condition=models.Q(decided_by="") | models.Q(acknowledged_by__isnull=False),
            ),
        ),
    ]
