"""The verbs people do with a patient: register, correct, record an IgA result.

Each is one transaction that writes the rows and the audit event. `by` is who acts, `now` the moment it is done.
"""

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from patients import consent
from patients.models import (
    Clinic,
    IgaResult,
    Patient,
    RecordVoided,
    StaleRecord,
    User,
    difference,
    snapshot,
    write_event,
)


class AlreadyRegistered(ValueError):
    """The clinic has a patient under this record number."""


@transaction.atomic
def register_patient(
    *, by: User, clinic: Clinic, details: dict[str, Any], email_consent: bool, now: datetime
) -> Patient:
    """Add a patient to the clinic. `details` are columns of Patient; consent to ordinary email is dated and signed.

    Raises AlreadyRegistered when somebody was faster with the same record number.
    """
    patient = Patient(clinic=clinic, created_by=by, **details)
    _set_consent(patient, given=email_consent, by=by, now=now)
    _save(patient)
    _write(patient, "patient.registered", by=by, changes=difference({}, snapshot(patient)))
    return patient


@transaction.atomic
def correct_patient(
    patient: Patient, *, by: User, details: dict[str, Any], email_consent: bool, seen_version: int, now: datetime
) -> Patient:
    """Change the patient's details. Raises StaleRecord when the record is no longer the version that was seen."""
    if not patient.claim_version(seen_version):
        raise StaleRecord
    patient.refresh_from_db()
    before = snapshot(patient)
    for name, value in details.items():
        setattr(patient, name, value)
    if not patient.mail_came_back:
        patient.bounced_address = ""
    _set_consent(patient, given=email_consent, by=by, now=now)
    _save(patient)
    _write(patient, "patient.corrected", by=by, changes=difference(before, snapshot(patient)))
    return patient


@transaction.atomic
def void_patient(patient: Patient, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    """Take the record out of use; its infusions stop counting in rates.

    Raises StaleRecord, and RecordVoided for one that was erased.
    """
    if Patient.objects.select_for_update(no_key=True).get(pk=patient.pk).erased_at:
        raise RecordVoided
    if not patient.claim_version(seen_version):
        raise StaleRecord
    patient.voided_at, patient.voided_by, patient.void_reason = now, by, reason
    patient.save(update_fields=["voided_at", "voided_by", "void_reason"])
    _write(patient, "patient.voided", by=by, reason=reason)


@transaction.atomic
def record_iga(patient: Patient, *, by: User, result: dict[str, Any]) -> IgaResult:
    """Add an IgA result from columns of IgaResult; its status follows. A form sent twice makes one.

    Raises RecordVoided for a void patient.
    """
    hold_patient(patient)
    sent = result.get("submission_id")
    if sent and (made_before := IgaResult.objects.filter(submission_id=sent, patient=patient).first()):
        return made_before
    iga = IgaResult.objects.create(patient=patient, created_by=by, **result)
    changes = difference({}, snapshot(iga))
    write_event("iga.recorded", by=by, about=iga, clinic=patient.clinic, patient_id=patient.pk, changes=changes)
    return iga


@transaction.atomic
def void_iga(iga: IgaResult, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    """Take an IgA result out of use. Raises StaleRecord when it changed after it was seen.

    RecordVoided for a patient void or erased.
    """
    hold_patient(iga.patient)
    if not iga.claim_version(seen_version):
        raise StaleRecord
    iga.voided_at, iga.voided_by, iga.void_reason = now, by, reason
    iga.save(update_fields=["voided_at", "voided_by", "void_reason"])
    patient = iga.patient
    write_event("iga.voided", by=by, about=iga, clinic=patient.clinic, patient_id=patient.pk, reason=reason)


def hold_patient(patient: Patient) -> Patient:
    """The patient as stored, held until the transaction ends. Raises RecordVoided for one void or erased."""
    # Rows that point to the patient are written meanwhile: only a lock on its key would hold them up.
    held = Patient.objects.select_for_update(no_key=True).get(pk=patient.pk)
    if held.is_closed:
        raise RecordVoided
    return held


def _save(patient: Patient) -> None:
    try:
        with transaction.atomic():
            patient.save()
    except IntegrityError as error:
        same = (
            Patient.objects.current().with_number([patient.mrn]).filter(clinic=patient.clinic_id).exclude(pk=patient.pk)
        )
        if same.exists():
            raise AlreadyRegistered from error
        raise


def _set_consent(patient: Patient, *, given: bool, by: User, now: datetime) -> None:
    if given and patient.email_consent_at is None:
        patient.email_consent_at, patient.email_consent_by = now, by
        patient.email_consent_text = consent.read_in(patient.language)
        patient.email_withdrawn_by_link_at = None
    elif not given:
        patient.email_consent_at = patient.email_consent_by = None
        patient.email_consent_text = ""


def _write(patient: Patient, act: str, *, by: User, changes: dict[str, Any] | None = None, reason: str = "") -> None:
    write_event(act, by=by, about=patient, clinic=patient.clinic, patient_id=patient.pk, changes=changes, reason=reason)
