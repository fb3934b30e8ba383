from django.db import migrations, models


def leave_room_for_marks(apps, schema_editor):
    """Each mail's row is written three times on its way: with room on its page that touches few of its indexes."""
    set_fill(schema_editor, "SET (fillfactor = 60)")


def leave_no_room(apps, schema_editor):
    set_fill(schema_editor, "RESET (fillfactor)")


def set_fill(schema_editor, what):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE reactions_outboxmessage {what}")


class Migration(migrations.Migration):

    dependencies = [
        ("reactions", "0028_address_of_links"),
    ]

    operations = [
        # The new constraint before the old one goes: no moment without either.
        migrations.AddConstraint(
            model_name="outboxmessage",
            constraint=models.UniqueConstraint(fields=("idempotency_key",), name="reactions_outbox_planned_once"),
        ),
        migrations.AddConstraint(
            model_name="outboxmessage",
            constraint=models.UniqueConstraint(fields=("message_id",), name="reactions_outbox_message_id_once"),
        ),
        migrations.AlterField(
            model_name="outboxmessage",
            name="idempotency_key",
            field=models.CharField(max_length=100),
        ),
        migrations.AlterField(
            model_name="outboxmessage",
            name="message_id",
            field=models.CharField(max_length=200),
        ),
        migrations.RunPython(leave_room_for_marks, leave_no_room),
    ]
