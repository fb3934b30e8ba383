from django.db import migrations

from patients.sealing.moving import open_columns, seal_columns

SEALED = ("alert", "anaphylaxisrecord", "answer", "answerdraft", "causalityassessment", "infusion", "patientrisk", "phonecall", "ratestep", "reaction", "responsemeasures", "reviewdecision", "safetycheck", "signaldecision", "signature", "treatment", "vitals")


def seal(apps, editor):
    for name in SEALED:
        seal_columns(apps.get_model("reactions", name), editor)


def unseal(apps, editor):
    for name in SEALED:
        open_columns(apps.get_model("reactions", name), editor)


class Migration(migrations.Migration):
    """Apart from the columns: PostgreSQL does not change a table whose rows have just been written."""

    dependencies = [("reactions", "0034_sealed_words")]

    operations = [migrations.RunPython(seal, unseal)]
