from django.db import migrations

from patients.sealing.keys import digests
from patients.sealing.marks import marks_of
from patients.sealing.moving import open_columns, seal_columns


def seal(apps, editor):
    for name in ("Patient", "IgaResult"):
        seal_columns(apps.get_model("patients", name), editor)
    patients, mark = apps.get_model("patients", "Patient").objects, apps.get_model("patients", "PatientMark")
    several = []
    for patient in patients.order_by("pk").iterator(chunk_size=1_000):
        patients.filter(pk=patient.pk).update(mrn_digest=digests("patients.patient.mrn", patient.mrn)[0].hex()[:32])
        names = (patient.given_name, patient.family_name)
        found = marks_of(patient.clinic_id, names, patient.mrn, patient.birth_date)
        several += [mark(patient_id=patient.pk, mark=value) for value in found]
        if len(several) > 10_000:
            mark.objects.bulk_create(several)
            several.clear()
    mark.objects.bulk_create(several)


def unseal(apps, editor):
    for name in ("Patient", "IgaResult"):
        open_columns(apps.get_model("patients", name), editor)


class Migration(migrations.Migration):
    """Apart from the columns: PostgreSQL does not change a table whose rows have just been written."""

    dependencies = [("patients", "0013_sealed_identifiers")]

    operations = [migrations.RunPython(seal, unseal)]
