"""An infusion has one safety card more for each correction that brought in something to answer."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Exists, OuterRef


def keep_the_first(apps: Any, schema_editor: Any) -> None:
    """On the way back: the older version knows one card. What a correction asked stands in its audit event too."""
    checks = apps.get_model("reactions", "SafetyCheck").objects.using(schema_editor.connection.alias)
    earlier = checks.filter(infusion=OuterRef("infusion"), pk__lt=OuterRef("pk"))
    checks.filter(Exists(earlier)).delete()


class Migration(migrations.Migration):
    dependencies = [("reactions", "0008_moments_where_they_belong")]

    operations = [
        migrations.AlterField(
            model_name="safetycheck",
            name="infusion",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="safety_checks", to="reactions.infusion"
            ),
        ),
        # After the column on the way there, so before it on the way back.
        migrations.RunPython(migrations.RunPython.noop, keep_the_first),
    ]
