"""The verbs around check-ins: a patient answers one, a clinician acknowledges the alert it raised."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction

from patients.models import User, write_event
from reactions import tasks
from reactions.alerts import raise_alert
from reactions.models import Alert, Answer, AnswerSymptom, CheckIn
from reactions.vocabulary import AnsweredBy, CheckInState


class AlreadyAcknowledged(ValueError):
    """Somebody else has acknowledged the alert."""


class AnsweredAgain(ValueError):
    """The patient has answered again since the person read the alert or the report, which is about that now."""


class CheckInClosed(ValueError):
    """The check-in takes no answer any more; `state` says why, as in vocabulary.CheckInState."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


@transaction.atomic
def acknowledge_alert(
    alert: Alert, *, by: User, what_was_done: str, seen_answer: int | None = None, now: datetime
) -> None:
    """Say that a named person has dealt with the alert, and how.

    `seen_answer` is the answer that this person read, by default that of `alert`. Raises AlreadyAcknowledged, and
    AnsweredAgain when the alert is about a newer one.
    """
    taken = Alert.objects.open().filter(pk=alert.pk, answer=seen_answer or alert.answer_id)
    if not taken.update(acknowledged_at=now, acknowledged_by=by, what_was_done=what_was_done):
        raise AnsweredAgain if Alert.objects.open().filter(pk=alert.pk).exists() else AlreadyAcknowledged
    patient = alert.patient
    changes = {"what_was_done": ["", what_was_done]}
    write_event("alert.acknowledged", by=by, about=alert, clinic=patient.clinic, patient_id=patient.pk, changes=changes)


@transaction.atomic
def submit_answer(
    checkin: CheckIn,
    *,
    has_problem: bool,
    details: dict[str, Any],
    symptoms: dict[str, str],
    answered_by: AnsweredBy = AnsweredBy.PATIENT,
    by: User | None = None,
    even_closed: bool = False,
    submission_id: UUID | None = None,
    now: datetime,
) -> Answer:
    """Store what a patient sent through a check-in, and raise the alert that it calls for.

    `by` is the person of the clinic who took it down by telephone; with `even_closed` it is taken after the window too,
    unless the infusion is void.

    `symptoms` maps PatientSymptom to PatientSeverity; `details` are further columns of Answer. Answering again adds a
    version; the earlier ones stay. The form `submission_id` sent twice as it was is one answer; sent again from the
    browser's history with something changed, it is a further one. Raises CheckInClosed when it is over or cancelled.
    """
    stored = CheckIn.objects.select_for_update().get(pk=checkin.pk)
    latest = stored.latest_answer()
    version = latest.version + 1 if latest else 1
    if latest and submission_id:
        same_form = latest.submission_id in {submission_id, _id_of(submission_id, stored, latest.version)}
        if same_form and latest.says(has_problem=has_problem, details=details, symptoms=symptoms):
            return latest
    state = stored.why_closed(now)
    if state and not (even_closed and not stored.infusion.is_void):
        raise CheckInClosed(state)
    if submission_id and Answer.objects.filter(submission_id=submission_id).exists():
        submission_id = _id_of(submission_id, stored, version)
    answer = Answer.objects.create(
        checkin=stored,
        version=version,
        submitted_at=now,
        has_problem=has_problem,
        answered_by=answered_by,
        submission_id=submission_id,
        **details,
    )
    AnswerSymptom.objects.bulk_create(
        AnswerSymptom(answer=answer, symptom=symptom, severity=severity) for symptom, severity in symptoms.items()
    )
    CheckIn.objects.filter(pk=stored.pk).update(state=CheckInState.ANSWERED, answered_at=now)
    alert = raise_alert(answer, now=now)
    patient = stored.patient
    changes = {"version": [version - 1, version], "has_problem": [None, has_problem]}
    write_event("answer.sent", by=by, about=answer, clinic=patient.clinic, patient_id=patient.pk, changes=changes)
    if alert:
        tasks.wake_after_commit()
    return answer


def _id_of(submission_id: UUID, checkin: CheckIn, version: int) -> UUID:
    """The id under which a form that was changed and sent again is stored: its own is on an earlier answer."""
    return uuid5(submission_id, f"{checkin.pk}/{version}")
