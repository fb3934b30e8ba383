import django.db.models.deletion
from django.db import migrations, models


def take_off_the_triggers(apps, schema_editor):
    """On the way back: they write into tables that go away. After the way there they are put on by post_migrate."""
    with schema_editor.connection.cursor() as cursor:
        if schema_editor.connection.vendor == 'postgresql':
            cursor.execute("SELECT proname FROM pg_proc WHERE starts_with(proname, 'rates_stale_')")
            for name, in cursor.fetchall():
                cursor.execute(f'DROP FUNCTION IF EXISTS {name}() CASCADE')
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name GLOB 'rates_stale_*'")
            for name, in cursor.fetchall():
                cursor.execute(f'DROP TRIGGER IF EXISTS {name}')


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0011_least_patients'),
        ('reactions', '0032_signals'),
    ]

    operations = [
        migrations.CreateModel(
            name='RateSums',
            fields=[
                ('clinic', models.OneToOneField(db_constraint=False, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='+', serialize=False, to='patients.clinic')),
                ('figures', models.TextField(default='[]', help_text='As reactions/rates/sums.py packs them.')),
            ],
        ),
        migrations.CreateModel(
            name='RatesKept',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ('fingerprint', models.CharField(blank=True, help_text='Of the rules; empty while tables change.', max_length=64)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='reactions_rateskept_only_one')],
            },
        ),
        migrations.CreateModel(
            name='StaleRates',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('patient', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='patients.patient')),
            ],
        ),
        migrations.CreateModel(
            name='RateFacts',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('started_at', models.DateTimeField()),
                ('iga', models.PositiveSmallIntegerField()),
                ('premedication', models.PositiveSmallIntegerField()),
                ('product', models.PositiveIntegerField(help_text='The least number among the products of this name.')),
                ('first_infusion', models.PositiveSmallIntegerField()),
                ('prior_reaction', models.PositiveSmallIntegerField()),
                ('known', models.PositiveSmallIntegerField(help_text='Whether it reacted, somebody looked, and so on, as bits.')),
                ('clinic', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='patients.clinic')),
                ('course', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='reactions.course')),
                ('infusion', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='reactions.infusion')),
                ('patient', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='patients.patient')),
            ],
            options={
                'indexes': [models.Index(fields=['clinic', 'started_at', 'patient', 'course', 'iga', 'premedication', 'product', 'first_infusion', 'prior_reaction', 'known'], name='reactions_ratefacts_by_start')],
                'constraints': [models.UniqueConstraint(fields=('patient', 'infusion'), name='reactions_ratefacts_once')],
            },
        ),
        migrations.RunPython(migrations.RunPython.noop, take_off_the_triggers),
    ]
