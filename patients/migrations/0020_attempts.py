"""The table in which attempts to sign in are counted, and codes that were used (the setting CACHES)."""

from django.core.management import call_command
from django.db import migrations


def make_table(apps, schema_editor):
    call_command("createcachetable", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = [("patients", "0019_auditors")]

    operations = [migrations.RunPython(make_table, migrations.RunPython.noop, elidable=False)]
