from django.db import migrations
from django.db.models import F


def say_what_is_urgent_and_tried(apps, schema_editor):
    mails = apps.get_model('reactions', 'OutboxMessage').objects.all()
    mails.filter(kind='alert').update(urgency=1)
    mails.filter(kind='alert', alert__level='red').update(urgency=0)
    # Whether a mail that was claimed before was tried, nobody noted.
    mails.filter(state='sending').update(tried_at=F('lease_until'))


class Migration(migrations.Migration):
    """Apart from 0004: PostgreSQL alters no table with rows that were changed in the same transaction."""

    dependencies = [
        ('reactions', '0004_outbox_by_urgency'),
    ]

    operations = [
        migrations.RunPython(say_what_is_urgent_and_tried, migrations.RunPython.noop),
    ]
