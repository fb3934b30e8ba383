from django.db import migrations


def note_first_text(apps, editor):
    """Who agreed before texts had versions was told the sentence on the form."""
    agreed = apps.get_model("patients", "Patient").objects.filter(email_consent_at__isnull=False)
    agreed.filter(email_consent_text="").update(email_consent_text="1")


class Migration(migrations.Migration):
    """Apart from the constraint: PostgreSQL does not change a table whose rows have just been written."""

    dependencies = [("patients", "0022_consent_text_and_erasure")]

    operations = [migrations.RunPython(note_first_text, migrations.RunPython.noop)]
