"""A suspicion of anaphylaxis says itself when what was seen was recorded: other changes count its version up too."""

from typing import Any

from django.db import migrations, models


def say_when_it_was_judged(apps: Any, schema_editor: Any) -> None:
    """Up to here only judging counted a record up. The audit trail knows when that was last."""
    alias = schema_editor.connection.alias
    records = apps.get_model("reactions", "AnaphylaxisRecord").objects.using(alias)
    events = apps.get_model("patients", "AuditEvent").objects.using(alias).filter(act="anaphylaxis.judged")
    for record in records.filter(version__gt=1).iterator():
        last = events.filter(entity="reactions.anaphylaxisrecord", entity_id=record.pk).order_by("-pk").first()
        records.filter(pk=record.pk).update(judged_at=last.at if last else record.created_at)


class Migration(migrations.Migration):
    dependencies = [("patients", "0002_whole_and_once"), ("reactions", "0011_measured_and_acknowledged")]
    # It reads or writes the trail as it was until then.
    run_before = [("patients", "0016_trail")]

    operations = [
        migrations.AddField(
            model_name="anaphylaxisrecord",
            name="judged_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="what was seen was recorded"),
        ),
        # Nothing seen and no criterion met is a finding too.
        migrations.AlterField(
            model_name="anaphylaxisrecord", name="evidence", field=models.JSONField(blank=True, default=dict)
        ),
        migrations.AlterField(
            model_name="anaphylaxisrecord",
            name="criteria",
            field=models.JSONField(blank=True, default=list, help_text="Such as C1 and W1."),
        ),
        migrations.RunPython(say_when_it_was_judged, migrations.RunPython.noop),
    ]
