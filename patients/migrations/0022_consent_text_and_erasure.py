import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0021_emergencies'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='patient',
            name='patients_patient_consent_is_whole',
        ),
        migrations.AddField(
            model_name='clinic',
            name='keep_years',
            field=models.PositiveSmallIntegerField(blank=True, help_text='After the last infusion. Patients whose time is over are listed under Privacy, where an administrator erases what names them; nothing is erased by itself. Empty: for good.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(100)], verbose_name='years that records are kept'),
        ),
        migrations.AddField(
            model_name='patient',
            name='email_consent_text',
            field=models.CharField(blank=True, editable=False, help_text='Version and language of what was read to the patient (patients/consent.py).', max_length=10, verbose_name='text of the consent'),
        ),
        migrations.AddField(
            model_name='patient',
            name='erased_at',
            field=models.DateTimeField(blank=True, editable=False, help_text='When all that names the patient was taken out of the record.', null=True),
        ),
        migrations.AddField(
            model_name='patient',
            name='erased_by',
            field=models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
    ]
