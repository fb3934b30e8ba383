import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0017_trail_told'),
    ]

    operations = [
        migrations.RemoveField(
            model_name='auditevent',
            name='changes',
        ),
        migrations.RemoveField(
            model_name='auditevent',
            name='reason',
        ),
        migrations.AlterField(
            model_name='auditevent',
            name='key',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.auditkey'),
        ),
        migrations.AlterField(
            model_name='auditevent',
            name='code',
            field=models.CharField(max_length=64, unique=True),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(condition=models.Q(('seal', None)), fields=['id'], name='patients_audit_unsealed'),
        ),
    ]
