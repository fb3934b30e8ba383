from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reactions", "0013_answers_by_symptom")]

    operations = [
        migrations.CreateModel(
            name="MailPace",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "domain",
                    models.CharField(blank=True, help_text="Empty for all mails.", max_length=255, unique=True),
                ),
                (
                    "taken_until",
                    models.DateTimeField(help_text="By then all that left would have come in evenly."),
                ),
            ],
            options={"verbose_name": "pace of outgoing mail"},
        ),
    ]
