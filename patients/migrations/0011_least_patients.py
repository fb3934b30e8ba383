import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("patients", "0010_mail")]

    operations = [
        migrations.AddField(
            model_name="clinic",
            name="least_patients",
            field=models.PositiveSmallIntegerField(
                default=0,
                help_text="No page, file or picture of rates shows groups of fewer patients, nor what subtracting tells of them."
                " Several questions with different filters may still tell them. 0 shows all.",
                validators=[django.core.validators.MaxValueValidator(50)],
                verbose_name="fewest patients in a figure",
            ),
        ),
    ]
