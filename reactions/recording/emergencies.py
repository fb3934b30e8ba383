"""Opening a record of another clinic in an emergency, which everybody concerned learns of."""

from datetime import date, datetime, timedelta

from django.db import transaction

from patients.models import AuditEvent, EmergencyAccess, Patient, User, write_event
from reactions import worklist
from reactions.vocabulary import WorkKind

# As long as an emergency and its aftermath take. This project's own.
LASTS = timedelta(hours=4)
# Whoever seeks a record that is not there so often within the time has to wait: nobody guesses a birth date.
MOST_IN_VAIN, IN_VAIN_WITHIN = 5, timedelta(minutes=10)
OPENED, IN_VAIN = "patient.opened_in_emergency", "patient.sought_in_emergency"


class TooManyInVain(Exception):
    """The person has sought too many records that are not there."""


@transaction.atomic
def open_in_emergency(*, by: User, mrn: str, birth_date: date, reason: str, now: datetime) -> Patient | None:
    """Let the person work with the record of this number and birth date for some hours, of whatever clinic it is.

    Nothing is written where the person works with it anyhow. The trail says who, why and until when, and the clinic's
    administrators find it on their worklist and are mailed. None where no record has both, which the trail says too.
    Raises TooManyInVain, and then looks for nothing.
    """
    # One search of a person at a time, so that none is left uncounted.
    User.objects.select_for_update().get(pk=by.pk)
    since = now - IN_VAIN_WITHIN
    if AuditEvent.objects.filter(by=by, act=IN_VAIN, at__gt=since).count() >= MOST_IN_VAIN:
        raise TooManyInVain
    found = [one for one in Patient.objects.current().with_number([mrn]) if one.birth_date == birth_date]
    if not found:
        write_event(IN_VAIN, by=by, reason=f"{mrn}, born {birth_date}: {reason}")
        return None
    theirs = set(Patient.objects.visible_to(by).filter(pk__in=[one.pk for one in found]).values_list("pk", flat=True))
    for patient in found:
        if patient.pk in theirs:
            continue
        access = EmergencyAccess.objects.create(
            user=by, patient=patient, reason=reason, began_at=now, ends_at=now + LASTS
        )
        told = f"until {access.ends_at:%Y-%m-%d %H:%M} UTC: {reason}"
        write_event(OPENED, by=by, about=access, clinic=patient.clinic, patient_id=patient.pk, reason=told)
        worklist.follow_patient(patient, WorkKind.EMERGENCY, now=now)
    return found[0]
