"""Fills the benchmark's database: `python -m tests.benchmarks.records N` queues N mails of check-ins, all due.

Once more on the same database it queues the same mails again.
"""

import os
import sys
from datetime import timedelta
from decimal import Decimal

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ivigtrack.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 - Django has to be there first
from django.db import connection, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from patients.models import Clinic, Patient  # noqa: E402
from reactions.models import CheckIn, Course, Infusion, OutboxMessage, ReportLink  # noqa: E402
from reactions.models.link import new_link  # noqa: E402
from reactions.vocabulary import CheckInKind, CheckInState, MailKind, MailState  # noqa: E402
from tests.support.factories import make_staff, privigen  # noqa: E402

CLINICS = 5


def main(mails: int) -> None:
    call_command("migrate", verbosity=0)
    with transaction.atomic():
        if OutboxMessage.objects.exists():
            _queue_again()
        else:
            _fill(mails)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def _queue_again() -> None:
    CheckIn.objects.update(state=CheckInState.PLANNED, sent_at=None)
    OutboxMessage.objects.update(state=MailState.QUEUED, sent_at=None, attempts=0, lease_number=0)


def _fill(mails: int) -> None:
    now, product = timezone.now(), privigen()
    ended_at = now - timedelta(hours=25)
    clinics = [_clinic(number) for number in range(CLINICS)]
    recorders = [make_staff(clinic, f"nurse-{clinic.slug}") for clinic in clinics]
    patients = Patient.objects.bulk_create(
        Patient(
            clinic=clinics[number % CLINICS],
            mrn=f"TEST-{number:06}",
            given_name="Tessa",
            family_name=f"Synthetic{number}",
            email=f"patient{number}@patients.example",
            email_consent_at=now,
            email_consent_by=recorders[number % CLINICS],
            email_consent_text="2:en",
            created_by=recorders[number % CLINICS],
        )
        for number in range(mails)
    )
    # As planning their first check-in made it.
    ReportLink.objects.bulk_create(_report_link(patient) for patient in patients)
    courses = Course.objects.bulk_create(Course(patient=patient, label="T1") for patient in patients)
    infusions = Infusion.objects.bulk_create(
        Infusion(
            patient=course.patient,
            course=course,
            product=product,
            # To the second, so that no two mails say the same.
            started_at=ended_at - timedelta(hours=4),
            ended_at=ended_at - timedelta(seconds=number),
            dose_g=Decimal(30),
            weight_kg=Decimal(70),
            premedication_record="none",
            reaction_record="observed",
            created_by=course.patient.created_by,
        )
        for number, course in enumerate(courses)
    )
    checkins = CheckIn.objects.bulk_create(_checkin(infusion) for infusion in infusions)
    OutboxMessage.objects.bulk_create(
        OutboxMessage(
            idempotency_key=f"checkin:{checkin.pk}:invitation",
            kind=MailKind.CHECKIN_INVITATION,
            checkin=checkin,
            due_at=checkin.due_at,
            expires_at=checkin.closes_at,
            message_id=f"<bench-{checkin.pk}@clinic.example>",
        )
        for checkin in checkins
    )


def _clinic(number: int) -> Clinic:
    return Clinic.objects.create(
        name=f"Synthetic Clinic {number}", slug=f"bench-{number}", time_zone="America/New_York", phone="+1 555 0100"
    )


def _report_link(patient: Patient) -> ReportLink:
    nonce, link_hash = new_link()
    return ReportLink(patient=patient, link_nonce=nonce, link_hash=link_hash)


def _checkin(infusion: Infusion) -> CheckIn:
    assert infusion.ended_at
    due_at = infusion.ended_at + timedelta(hours=24)
    nonce, link_hash = new_link()
    return CheckIn(
        course=infusion.course,
        infusion=infusion,
        kind=CheckInKind.HOURS_24,
        due_at=due_at,
        closes_at=due_at + timedelta(hours=48),
        link_nonce=nonce,
        link_hash=link_hash,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
