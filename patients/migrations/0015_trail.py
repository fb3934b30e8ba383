import hmac
import json
from datetime import UTC

import django.db.models.deletion
import django.utils.timezone
from cryptography.fernet import Fernet
from django.db import migrations, models

import patients.sealing.fields


def seal(apps, editor):
    """What events told in the open goes under keys, and each event gets its code."""
    events = apps.get_model("patients", "AuditEvent")._base_manager
    keys = apps.get_model("patients", "AuditKey").objects
    made = {}

    def key_of(number):
        if number not in made:
            made[number] = keys.create(patient_id=number, key=Fernet.generate_key().decode())
        return made[number]

    own = key_of(0).key.encode()
    for event in events.order_by("pk").iterator(chunk_size=1_000):
        key = key_of(event.patient_id or 0)
        told = {name: value for name in ("changes", "reason") if (value := getattr(event, name))}
        token = Fernet(key.key).encrypt(json.dumps(told).encode()).decode()
        said = [event.at.astimezone(UTC).isoformat(), event.by_id, event.clinic_id, event.act, event.entity]
        said += [event.entity_id, event.patient_id, None, token]
        code = hmac.digest(b"code " + own, json.dumps(said).encode(), "sha256").hex()
        events.filter(pk=event.pk).update(key=key, told=token, code=code)


def unseal(apps, editor):
    events = apps.get_model("patients", "AuditEvent")._base_manager
    for event in events.select_related("key").iterator(chunk_size=1_000):
        if event.key and event.key.key and event.told:
            told = json.loads(Fernet(event.key.key).decrypt(event.told))
            events.filter(pk=event.pk).update(changes=told.get("changes", {}), reason=told.get("reason", "")[:500])


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0014_number_once'),
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
        migrations.RunPython(seal, unseal),
    ]
