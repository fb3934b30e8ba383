"""What is tapped when anaphylaxis is suspected stands where it belongs, once.

Adrenaline becomes a treatment, the stop the infusion's end with its rate step, the resolution that of the reaction.
What is there already stays as it is; a tap that contradicts it is kept in the audit trail.
"""

from datetime import datetime
from itertools import zip_longest
from typing import Any

from django.db import migrations, models

ADRENALINE = "epinephrine"
VOID = "The time was tapped for a reaction that is void."
DOSES = ("adrenaline_1_at", "adrenaline_2_at", "adrenaline_3_at")


def move_out(apps: Any, schema_editor: Any) -> None:
    alias = schema_editor.connection.alias
    events = apps.get_model("patients", "AuditEvent").objects.using(alias)
    for record in _records(apps, alias).iterator():
        reaction, infusion = record.reaction, record.reaction.infusion
        # Another record may have ended the same infusion a moment ago.
        infusion.refresh_from_db(fields=["ended_at"])
        is_void = any(one.voided_at for one in (record, reaction, infusion, infusion.patient))
        for name in DOSES:
            # What was given was given, though the reaction is void.
            _give(None if is_void else reaction, infusion, getattr(record, name), record.created_by_id)
        if is_void:
            contradicted = {name: VOID for name in ("stopped_at", "resolved_at") if getattr(record, name)}
        else:
            contradicted = {
                "stopped_at": _stop(infusion, record.stopped_at, record.created_by_id),
                "resolved_at": _resolve(reaction, record.resolved_at),
            }
        for name, why in contradicted.items():
            if why:
                events.create(
                    act="anaphylaxis.tap_set_aside",
                    entity="reactions.anaphylaxisrecord",
                    entity_id=record.pk,
                    clinic_id=infusion.patient.clinic_id,
                    patient_id=infusion.patient_id,
                    changes={name: [str(getattr(record, name)), None]},
                    reason=why,
                )


def _records(apps: Any, alias: str) -> Any:
    records = apps.get_model("reactions", "AnaphylaxisRecord").objects.using(alias)
    return records.select_related("reaction__infusion__patient")


def _give(reaction: Any, infusion: Any, at: datetime | None, by: int) -> None:
    if at is None:
        return
    same = infusion.treatments.filter(at=at, drug=ADRENALINE, other_drug="", voided_at=None).first()
    if same is None:
        infusion.treatments.create(reaction=reaction, at=at, drug=ADRENALINE, created_by_id=by)
    elif same.reaction_id is None and reaction is not None:
        same.reaction = reaction
        same.save(update_fields=["reaction"])


def _stop(infusion: Any, at: datetime | None, by: int) -> str:
    """End the infusion; or why it cannot have ended then, empty when nothing is lost."""
    if at is None or at == infusion.ended_at:
        return ""
    if infusion.ended_at:
        return f"The stop was tapped for this time, and the infusion has another end: {infusion.ended_at}."
    if at <= infusion.started_at:
        return f"The stop was tapped for this time, and the infusion started later: {infusion.started_at}."
    steps = infusion.rate_steps.filter(voided_at=None)
    if steps.filter(at__gte=at).exists():
        # Nobody can tell from here when it was over.
        return "The stop was tapped for this time, and the rate was changed then or later."
    if steps.exists():
        infusion.rate_steps.create(at=at, rate_ml_per_h=0, reason="stop", created_by_id=by)
    infusion.ended_at = at
    infusion.save(update_fields=["ended_at"])
    return ""


def _resolve(reaction: Any, at: datetime | None) -> str:
    """End the reaction; or why it cannot have ended then, empty when nothing is lost."""
    if at is None or at == reaction.resolved_at:
        return ""
    if reaction.resolved_at:
        return f"The end of the reaction was tapped for this time, and it has another one: {reaction.resolved_at}."
    if reaction.onset_at and at < reaction.onset_at:
        return f"The end of the reaction was tapped for this time, and it began later: {reaction.onset_at}."
    reaction.resolved_at = at
    reaction.save(update_fields=["resolved_at"])
    return ""


def move_back(apps: Any, schema_editor: Any) -> None:
    for record in _records(apps, schema_editor.connection.alias).iterator():
        reaction, infusion = record.reaction, record.reaction.infusion
        given = reaction.treatments.filter(drug=ADRENALINE, voided_at=None).order_by("at", "pk")
        for name, at in zip_longest(DOSES, given.values_list("at", flat=True)[: len(DOSES)]):
            setattr(record, name, at)
        record.stopped_at, record.resolved_at = infusion.ended_at, reaction.resolved_at
        record.save(update_fields=[*DOSES, "stopped_at", "resolved_at"])


class Migration(migrations.Migration):
    dependencies = [("patients", "0001_initial"), ("reactions", "0007_vial_once")]
    # It reads or writes the trail as it was until then.
    run_before = [("patients", "0016_trail")]

    operations = [
        migrations.RunPython(move_out, move_back),
        *(
            migrations.RemoveField(model_name="anaphylaxisrecord", name=name)
            for name in ("stopped_at", *DOSES, "resolved_at")
        ),
    ]
