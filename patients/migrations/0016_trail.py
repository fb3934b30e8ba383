import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import patients.sealing.fields


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0015_number_once'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('patient_id', models.BigIntegerField(unique=True)),
                ('key', patients.sealing.fields.SealedCharField(blank=True, help_text='Empty once it was destroyed.', max_length=44)),
            ],
        ),
        migrations.CreateModel(
            name='AuditSeal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveBigIntegerField(unique=True)),
                ('at', models.DateTimeField()),
                ('events', models.TextField()),
                ('digest', models.CharField(help_text='Of the seal before and of the codes of the events.', max_length=64)),
            ],
            options={
                'ordering': ['number'],
            },
        ),
        migrations.AlterField(
            model_name='auditevent',
            name='at',
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AlterField(
            model_name='auditevent',
            name='entity',
            field=models.CharField(help_text='The kind of record, or the name of a page.', max_length=60),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='address',
            field=models.GenericIPAddressField(help_text='From where; empty for what the service did by itself.', null=True),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='told',
            field=models.TextField(blank=True, default='', help_text='Sealed: what was changed, why, and with which browser.'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='auditevent',
            name='code',
            field=models.CharField(default='', max_length=64),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='auditevent',
            name='key',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.auditkey'),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='seal',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.auditseal'),
        ),
    ]
