from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0023_text_of_consents'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='patient',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('email_consent_at', None), ('email_consent_by', None), ('email_consent_text', '')), models.Q(('email_consent_at__isnull', False), ('email_consent_by__isnull', False), models.Q(('email_consent_text', ''), _negated=True)), _connector='OR'), name='patients_patient_consent_is_whole'),
        ),
        migrations.AddConstraint(
            model_name='patient',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('erased_at', None), ('erased_by', None)), models.Q(('birth_date', None), ('bounced_address', ''), ('died_on', None), ('email', ''), ('email_consent_at', None), ('email_withdrawn_by_link_at', None), ('erased_at__isnull', False), ('erased_by__isnull', False), ('family_name', ''), ('given_name', ''), ('phone', '')), _connector='OR'), name='patients_patient_erased_names_nobody'),
        ),
        migrations.AddConstraint(
            model_name='clinic',
            constraint=models.CheckConstraint(condition=models.Q(('keep_years', None), models.Q(('keep_years__gte', 1), ('keep_years__lte', 100)), _connector='OR'), name='patients_clinic_keep_years'),
        ),
    ]
