"""A reaction that meets a criterion of seriousness is serious: also where nobody had ticked that it is."""

from typing import Any

from django.db import migrations, models


def say_that_it_is_serious(apps: Any, schema_editor: Any) -> None:
    reactions = apps.get_model("reactions", "Reaction").objects.using(schema_editor.connection.alias)
    unsaid = reactions.filter(is_serious=None)
    unsaid.exclude(serious_criteria=[]).update(is_serious=True)


class Migration(migrations.Migration):
    dependencies = [("reactions", "0009_card_of_a_correction")]

    operations = [
        migrations.RunPython(say_that_it_is_serious, migrations.RunPython.noop),
        migrations.RemoveConstraint(model_name="reaction", name="reactions_reaction_criteria_mean_serious"),
        migrations.AddConstraint(
            model_name="reaction",
            constraint=models.CheckConstraint(
                condition=models.Q(serious_criteria=[]) | models.Q(is_serious=True, is_serious__isnull=False),
                name="reactions_reaction_criteria_mean_serious",
                violation_error_message="A reaction that meets a criterion is serious.",
            ),
        ),
    ]
