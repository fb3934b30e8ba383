"""The verbs around a patient that reach into infusions: void the record, note a risk, measure the response."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from patients import registering
from patients.models import Patient, StaleRecord, User, difference, snapshot
from reactions.checkins.plan import cancel_for_patient
from reactions.models import PatientRisk, ResponseMeasures
from reactions.recording.writing import claim, refuse_other_words, void, write_about


@transaction.atomic
def void_patient(patient: Patient, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    """Take the patient's record out of use and cancel what would still be sent. Raises StaleRecord."""
    registering.void_patient(patient, by=by, reason=reason, seen_version=seen_version, now=now)
    cancel_for_patient(patient, reason="The patient record was voided.", now=now)


@transaction.atomic
def set_risks(
    patient: Patient, *, by: User, factors: dict[str, str], now: datetime, seen: Collection[int] | None = None
) -> None:
    """Bring the patient's noted risks in line with `factors`, code to note; what is not among them is voided.

    `seen` are the primary keys of the noted risks that the person had before them: when others are stored by now,
    StaleRecord is raised. Left out, nothing is compared.
    """
    registering.hold_patient(patient)
    stored = {risk.factor: risk for risk in patient.risks.current()}
    if seen is not None and {risk.pk for risk in stored.values()} != set(seen):
        raise StaleRecord
    for code, risk in stored.items():
        if factors.get(code) != risk.note:
            reason = "The note was changed." if code in factors else "It no longer holds."
            void(risk, "risk.voided", by=by, reason=reason, seen_version=risk.version, now=now)
    for code, note in factors.items():
        if code not in stored or stored[code].note != note:
            risk = PatientRisk.objects.create(patient=patient, factor=code, note=note, created_by=by)
            write_about(risk, "risk.noted", by=by, changes=difference({}, snapshot(risk)))


@transaction.atomic
def record_response(*, by: User, patient: Patient, measures: dict[str, Any], submission_id: UUID) -> ResponseMeasures:
    """Add a day's measures of the response to treatment.

    A form sent twice makes one; sent again with other words in it, SentBefore is raised.
    """
    registering.hold_patient(patient)
    made_before = ResponseMeasures.objects.filter(submission_id=submission_id, patient=patient).first()
    if made_before:
        refuse_other_words(made_before, measures)
        return made_before
    measured = ResponseMeasures.objects.create(patient=patient, created_by=by, submission_id=submission_id, **measures)
    write_about(measured, "response.recorded", by=by, changes=difference({}, snapshot(measured)))
    return measured


@transaction.atomic
def correct_response(
    measured: ResponseMeasures, *, by: User, measures: dict[str, Any], reason: str, seen_version: int
) -> ResponseMeasures:
    """Change a day's measures. Raises StaleRecord, and RecordVoided for a patient void or erased."""
    registering.hold_patient(measured.patient)
    claim(measured, seen_version)
    before = snapshot(measured)
    for name, value in measures.items():
        setattr(measured, name, value)
    measured.save()
    write_about(measured, "response.corrected", by=by, changes=difference(before, snapshot(measured)), reason=reason)
    return measured


@transaction.atomic
def void_response(measured: ResponseMeasures, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    """Take a day's measures out of use. Raises StaleRecord, and RecordVoided for a patient void or erased."""
    registering.hold_patient(measured.patient)
    void(measured, "response.voided", by=by, reason=reason, seen_version=seen_version, now=now)
