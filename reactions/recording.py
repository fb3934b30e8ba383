"""The verbs people do: record, correct and void an infusion or a reaction, acknowledge an alert, answer a check-in.

Each is one transaction that writes the rows, the audit event and what follows (check-ins, alerts). `by` is who acts,
`now` when. `seen_version` is the version of the record that the person had before them: when it is no longer the
stored one, StaleRecord is raised and nothing is written.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, models, transaction

from patients import registering
from patients.models import Patient, Record, StaleRecord, User, difference, snapshot, write_event
from reactions import tasks
from reactions.alerts import raise_alert
from reactions.checkins.plan import cancel_checkins, cancel_for_patient, plan_checkins
from reactions.models import (
    Alert,
    Answer,
    AnswerSymptom,
    CheckIn,
    Course,
    Infusion,
    Premedication,
    Reaction,
    Symptom,
    Vial,
)
from reactions.vocabulary import CheckInState, ReactionRecord

Rows = Iterable[dict[str, Any]]


class AlreadyRecorded(ValueError):
    """The patient has an infusion with the same start."""


class AlreadyAcknowledged(ValueError):
    """Somebody else has acknowledged the alert."""


class CheckInClosed(ValueError):
    """The check-in takes no answer any more; `state` says why, as in vocabulary.CheckInState."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


@transaction.atomic
def record_infusion(
    *,
    by: User,
    patient: Patient,
    course: Course | None,
    planned_days: int,
    details: dict[str, Any],
    vials: Rows,
    premedications: Rows,
    submission_id: UUID,
    now: datetime,
) -> Infusion:
    """Add an infusion with its vials, premedication and check-ins; a new course when `course` is None.

    The same `submission_id` again gives the infusion that it made the first time, as when a form is sent twice.
    Raises AlreadyRecorded when the patient has an infusion with this start.
    """
    # Two infusions of one patient recorded at once take turns, so that courses are numbered and check-ins moved once.
    Patient.objects.select_for_update().get(pk=patient.pk)
    made_before = Infusion.objects.filter(submission_id=submission_id, patient=patient).first()
    if made_before:
        return made_before
    if course is None:
        course = Course.objects.create(patient=patient, label=next_course_label(patient), planned_days=planned_days)
    infusion = Infusion(patient=patient, course=course, submission_id=submission_id, created_by=by, **details)
    _save_infusion(infusion)
    _replace_rows(infusion, vials, premedications)
    _write(infusion, "infusion.recorded", by=by, changes=difference({}, _infusion_snapshot(infusion)))
    plan_checkins(infusion, now=now)
    transaction.on_commit(tasks.wake)
    return infusion


@transaction.atomic
def correct_infusion(
    infusion: Infusion,
    *,
    by: User,
    details: dict[str, Any],
    vials: Rows,
    premedications: Rows,
    reason: str,
    seen_version: int,
    now: datetime,
) -> Infusion:
    """Change an infusion; check-ins not yet sent move with its end. Raises StaleRecord or AlreadyRecorded."""
    _claim(infusion, seen_version)
    before = _infusion_snapshot(infusion)
    for name, value in details.items():
        setattr(infusion, name, value)
    _save_infusion(infusion)
    _replace_rows(infusion, vials, premedications)
    changes = difference(before, _infusion_snapshot(infusion))
    _write(infusion, "infusion.corrected", by=by, changes=changes, reason=reason)
    plan_checkins(infusion, now=now)
    transaction.on_commit(tasks.wake)
    return infusion


@transaction.atomic
def void_infusion(infusion: Infusion, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    """Take the infusion and its reactions out of every count and cancel its check-ins. Raises StaleRecord."""
    _void(infusion, "infusion.voided", by=by, reason=reason, seen_version=seen_version, now=now)
    cancel_checkins(infusion, reason="The infusion was voided.", now=now)


@transaction.atomic
def record_reaction(
    *,
    by: User,
    infusion: Infusion,
    details: dict[str, Any],
    symptoms: Rows,
    submission_id: UUID,
    now: datetime,
) -> Reaction:
    """Add a reaction with its symptoms; its onset is the earliest of theirs. A form sent twice makes one reaction."""
    Infusion.objects.select_for_update().get(pk=infusion.pk)
    made_before = Reaction.objects.filter(submission_id=submission_id, infusion=infusion).first()
    if made_before:
        return made_before
    reaction = Reaction.objects.create(infusion=infusion, submission_id=submission_id, created_by=by, **details)
    _replace_symptoms(reaction, symptoms)
    Infusion.objects.filter(pk=infusion.pk).update(reaction_record=ReactionRecord.OBSERVED)
    _write(reaction, "reaction.recorded", by=by, changes=difference({}, _reaction_snapshot(reaction)))
    return reaction


@transaction.atomic
def correct_reaction(
    reaction: Reaction,
    *,
    by: User,
    details: dict[str, Any],
    symptoms: Rows,
    reason: str,
    seen_version: int,
    now: datetime,
) -> Reaction:
    """Change a reaction and its symptoms. Raises StaleRecord."""
    _claim(reaction, seen_version)
    before = _reaction_snapshot(reaction)
    for name, value in details.items():
        setattr(reaction, name, value)
    reaction.onset_at = None
    reaction.save()
    _replace_symptoms(reaction, symptoms)
    changes = difference(before, _reaction_snapshot(reaction))
    _write(reaction, "reaction.corrected", by=by, changes=changes, reason=reason)
    return reaction


@transaction.atomic
def void_reaction(reaction: Reaction, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    """Take the reaction out of every count. Raises StaleRecord."""
    _void(reaction, "reaction.voided", by=by, reason=reason, seen_version=seen_version, now=now)


@transaction.atomic
def void_patient(patient: Patient, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    """Take the patient's record out of use and cancel what would still be sent. Raises StaleRecord."""
    registering.void_patient(patient, by=by, reason=reason, seen_version=seen_version, now=now)
    cancel_for_patient(patient, reason="The patient record was voided.", now=now)


@transaction.atomic
def acknowledge_alert(alert: Alert, *, by: User, what_was_done: str, now: datetime) -> None:
    """Say that a named person has dealt with the alert, and how. Raises AlreadyAcknowledged."""
    taken = Alert.objects.open().filter(pk=alert.pk)
    if not taken.update(acknowledged_at=now, acknowledged_by=by, what_was_done=what_was_done):
        raise AlreadyAcknowledged
    patient = alert.patient
    changes = {"what_was_done": ["", what_was_done]}
    write_event("alert.acknowledged", by=by, about=alert, clinic=patient.clinic, patient_id=patient.pk, changes=changes)


@transaction.atomic
def submit_answer(
    checkin: CheckIn, *, has_problem: bool, details: dict[str, Any], symptoms: dict[str, str], now: datetime
) -> Answer:
    """Store what a patient sent through a check-in, and raise the alert that it calls for.

    `symptoms` maps PatientSymptom to PatientSeverity; `details` are further columns of Answer. Answering again adds a
    version; the earlier ones stay. Raises CheckInClosed when it is over or was cancelled.
    """
    stored = CheckIn.objects.select_for_update().get(pk=checkin.pk)
    if state := stored.why_closed(now):
        raise CheckInClosed(state)
    version = stored.answers.count() + 1
    answer = Answer.objects.create(
        checkin=stored, version=version, submitted_at=now, has_problem=has_problem, **details
    )
    AnswerSymptom.objects.bulk_create(
        AnswerSymptom(answer=answer, symptom=symptom, severity=severity) for symptom, severity in symptoms.items()
    )
    CheckIn.objects.filter(pk=stored.pk).update(state=CheckInState.ANSWERED, answered_at=now)
    alert = raise_alert(answer, now=now)
    patient = stored.patient
    changes = {"version": [version - 1, version], "has_problem": [None, has_problem]}
    write_event("answer.sent", by=None, about=answer, clinic=patient.clinic, patient_id=patient.pk, changes=changes)
    if alert:
        transaction.on_commit(tasks.wake)
    return answer


def next_course_label(patient: Patient) -> str:
    """The number after the highest numbered course of the patient."""
    numbers = [int(label) for label in patient.courses.values_list("label", flat=True) if label.isdecimal()]
    return str(max(numbers, default=0) + 1)


def _claim(record: Record, seen_version: int) -> None:
    if not record.claim_version(seen_version):
        raise StaleRecord
    record.refresh_from_db()


def _void(record: Infusion | Reaction, act: str, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    _claim(record, seen_version)
    record.voided_at, record.voided_by, record.void_reason = now, by, reason
    record.save(update_fields=["voided_at", "voided_by", "void_reason"])
    _write(record, act, by=by, reason=reason)


def _save_infusion(infusion: Infusion) -> None:
    try:
        with transaction.atomic():
            infusion.save()
    except IntegrityError as error:
        same_start = Infusion.objects.current().filter(patient=infusion.patient_id, started_at=infusion.started_at)
        if same_start.exclude(pk=infusion.pk).exists():
            raise AlreadyRecorded from error
        raise


def _replace_rows(infusion: Infusion, vials: Rows, premedications: Rows) -> None:
    _replace(infusion.vials, [Vial(infusion=infusion, **vial) for vial in vials])
    _replace(infusion.premedications, [Premedication(infusion=infusion, **drug) for drug in premedications])


def _replace_symptoms(reaction: Reaction, symptoms: Rows) -> None:
    rows = [Symptom(reaction=reaction, **symptom) for symptom in symptoms]
    _replace(reaction.symptoms, rows)
    reaction.onset_at = min((row.onset_at for row in rows if row.onset_at), default=None)
    reaction.save(update_fields=["onset_at"])


def _replace(stored: Any, rows: list[Any]) -> None:
    """Put the rows in the place of those stored. What stood there before is in the audit event of the correction."""
    stored.all().delete()
    stored.model.objects.bulk_create(rows)


def _infusion_snapshot(infusion: Infusion) -> dict[str, Any]:
    return snapshot(infusion) | {
        "vials": _row_snapshots(infusion.vials.all(), "infusion_id"),
        "premedications": _row_snapshots(infusion.premedications.all(), "infusion_id"),
    }


def _reaction_snapshot(reaction: Reaction) -> dict[str, Any]:
    return snapshot(reaction) | {"symptoms": _row_snapshots(reaction.symptoms.all(), "reaction_id")}


def _row_snapshots(rows: Iterable[models.Model], parent: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in snapshot(row).items() if name != parent} for row in rows]


def _write(
    record: Infusion | Reaction, act: str, *, by: User, changes: dict[str, Any] | None = None, reason: str = ""
) -> None:
    patient = record.patient
    write_event(act, by=by, about=record, clinic=patient.clinic, patient_id=patient.pk, changes=changes, reason=reason)
