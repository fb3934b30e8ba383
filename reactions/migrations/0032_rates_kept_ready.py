from django.db import migrations, models
import django.db.models.deletion


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
        ('reactions', '0031_indexes_by_or'),
    ]

    operations = [
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
            name='RateSums',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('figures', models.TextField(default='[]', help_text='As reactions/rates/sums.py packs them.')),
                ('clinic', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='patients.clinic')),
                ('patient', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='patients.patient')),
            ],
            options={
                'constraints': [
                    models.UniqueConstraint(fields=('patient',), name='reactions_ratesums_once'),
                    models.UniqueConstraint(condition=models.Q(('patient', None)), fields=('clinic',), name='reactions_ratesums_clinic_once'),
                ],
            },
        ),
        migrations.CreateModel(
            name='RateFacts',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('started_at', models.DateTimeField()),
                ('iga', models.CharField(max_length=15)),
                ('premedication', models.CharField(max_length=30)),
                ('product', models.CharField(max_length=200)),
                ('first_infusion', models.CharField(help_text='“true” or “false”.', max_length=5)),
                ('prior_reaction', models.CharField(help_text='“true” or “false”.', max_length=5)),
                ('reacted', models.PositiveSmallIntegerField()),
                ('looked', models.PositiveSmallIntegerField()),
                ('asked', models.PositiveSmallIntegerField()),
                ('answered', models.PositiveSmallIntegerField()),
                ('untimed', models.PositiveSmallIntegerField(help_text='It has a reaction without an onset.')),
                ('clinic', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='patients.clinic')),
                ('course', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='reactions.course')),
                ('patient', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='patients.patient')),
            ],
            options={
                'indexes': [
                    models.Index(fields=['clinic', 'started_at', 'patient', 'course', 'iga', 'premedication', 'reacted', 'looked', 'asked', 'answered', 'untimed'], name='reactions_ratefacts_by_start'),
                ],
            },
        ),
        migrations.CreateModel(
            name='StaleRates',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('patient', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='patients.patient')),
            ],
        ),
        migrations.RunPython(migrations.RunPython.noop, take_off_the_triggers),
    ]
