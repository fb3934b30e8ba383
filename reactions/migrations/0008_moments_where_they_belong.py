"""What is tapped when anaphylaxis is suspected stands where it belongs, once.

Adrenaline becomes a treatment, the stop the infusion's end with its rate step, the resolution that of the reaction.
What is there already stays as it is.
"""

from datetime import datetime
from itertools import zip_longest
from typing import Any

from django.db import migrations, models

ADRENALINE = "epinephrine"
DOSES = ("adrenaline_1_at", "adrenaline_2_at", "adrenaline_3_at")


def move_out(apps: Any, schema_editor: Any) -> None:
    records = apps.get_model("reactions", "AnaphylaxisRecord").objects
    for record in records.select_related("reaction__infusion").iterator():
        reaction, infusion = record.reaction, record.reaction.infusion
        for name in DOSES:
            _give(reaction, infusion, getattr(record, name), record.created_by_id)
        if record.stopped_at and infusion.ended_at is None and record.stopped_at > infusion.started_at:
            _stop(infusion, record.stopped_at, record.created_by_id)
        resolved, onset = record.resolved_at, reaction.onset_at
        if resolved and reaction.resolved_at is None and (onset is None or resolved >= onset):
            reaction.resolved_at = resolved
            reaction.save(update_fields=["resolved_at"])


def _give(reaction: Any, infusion: Any, at: datetime | None, by: int) -> None:
    if at is None:
        return
    same = infusion.treatments.filter(at=at, drug=ADRENALINE, other_drug="", voided_at=None).first()
    if same is None:
        infusion.treatments.create(reaction=reaction, at=at, drug=ADRENALINE, created_by_id=by)
    elif same.reaction_id is None:
        same.reaction = reaction
        same.save(update_fields=["reaction"])


def _stop(infusion: Any, at: datetime, by: int) -> None:
    steps = infusion.rate_steps.filter(voided_at=None)
    if steps.filter(at__gte=at).exists():
        # The rate was changed after it: nobody can tell from here when it was over.
        return
    if steps.exists():
        infusion.rate_steps.create(at=at, rate_ml_per_h=0, reason="stop", created_by_id=by)
    infusion.ended_at = at
    infusion.save(update_fields=["ended_at"])


def move_back(apps: Any, schema_editor: Any) -> None:
    records = apps.get_model("reactions", "AnaphylaxisRecord").objects
    for record in records.select_related("reaction__infusion").iterator():
        reaction, infusion = record.reaction, record.reaction.infusion
        given = reaction.treatments.filter(drug=ADRENALINE, voided_at=None).order_by("at", "pk")
        for name, at in zip_longest(DOSES, given.values_list("at", flat=True)[: len(DOSES)]):
            setattr(record, name, at)
        record.stopped_at, record.resolved_at = infusion.ended_at, reaction.resolved_at
        record.save(update_fields=[*DOSES, "stopped_at", "resolved_at"])


class Migration(migrations.Migration):
    dependencies = [("reactions", "0007_vial_once")]

    operations = [
        migrations.RunPython(move_out, move_back),
        *(
            migrations.RemoveField(model_name="anaphylaxisrecord", name=name)
            for name in ("stopped_at", *DOSES, "resolved_at")
        ),
    ]
