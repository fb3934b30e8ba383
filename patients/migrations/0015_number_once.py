from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0014_seal_identifiers'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='patient',
            constraint=models.UniqueConstraint(condition=models.Q(('voided_at', None)), fields=('clinic', 'mrn_digest'), name='patients_patient_mrn_once', violation_error_message='A patient with this record number is already registered.'),
        ),
    ]
