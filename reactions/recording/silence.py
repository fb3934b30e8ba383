"""The verbs of the telephone: what came of calling a patient who did not answer, and what was taken down meanwhile."""

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.db import transaction

from patients.models import Patient, User
from patients.registering import hold_patient
from reactions.clinical.questions import BY_TELEPHONE
from reactions.models import Answer, CheckIn, PhoneCall
from reactions.recording.answers import submit_answer
from reactions.recording.writing import made_before, write_about
from reactions.vocabulary import AnsweredBy, PhoneOutcome


@transaction.atomic
def record_call(
    patient: Patient,
    *,
    by: User,
    checkin: CheckIn,
    outcome: PhoneOutcome,
    words: str = "",
    submission_id: UUID,
    now: datetime,
) -> PhoneCall:
    """Say what came of calling the patient about a check-in without an answer.

    A form sent twice makes one; with other words, SentBefore is raised. Raises RecordVoided for a void patient, and
    ValueError for a check-in of another patient.
    """
    if checkin.infusion.patient_id != patient.pk:
        raise ValueError("The check-in is another patient's.")
    held = hold_patient(patient)
    told = {"outcome": outcome, "words": words}
    if before := made_before(PhoneCall.objects.filter(patient=held), submission_id, told):
        return cast("PhoneCall", before)
    return _call(held, by=by, checkin=checkin, submission_id=submission_id, now=now, **told)


@transaction.atomic
def answer_by_telephone(
    checkin: CheckIn,
    *,
    by: User,
    details: dict[str, Any],
    symptoms: dict[str, str],
    submission_id: UUID,
    now: datetime,
) -> Answer:
    """Take down on the patient's behalf what the problem is, as an answer to the check-in, also after its window.

    Triage and alerts follow as from any answer. A form sent twice is one answer and one call; changed and sent again,
    it is a further version of the answer. Raises RecordVoided for a void patient, CheckInClosed for a void infusion,
    and SentBefore for a form that was about another check-in.
    """
    held = hold_patient(checkin.patient)
    made = made_before(PhoneCall.objects.filter(checkin=checkin), submission_id, {"outcome": PhoneOutcome.PROBLEM})
    # On the telephone one beginning and one end are asked for all problems, and hold for each.
    times = {"began_at": details.get("began_at"), "still_there": details.get("still_there")}
    answer = submit_answer(
        checkin,
        has_problem=True,
        details=details | {"question_set": BY_TELEPHONE, "language": ""},
        symptoms=symptoms,
        of_symptoms=dict.fromkeys(symptoms, times),
        answered_by=AnsweredBy.TELEPHONE,
        by=by,
        even_closed=True,
        submission_id=submission_id,
        now=now,
    )
    if not made:
        outcome = PhoneOutcome.PROBLEM
        _call(held, by=by, checkin=checkin, outcome=outcome, answer=answer, submission_id=submission_id, now=now)
    return answer


def _call(patient: Patient, *, by: User, now: datetime, **told: Any) -> PhoneCall:
    call = PhoneCall.objects.create(patient=patient, phone=patient.phone, called_by=by, called_at=now, **told)
    changes = {"outcome": [None, str(call.outcome)]}
    write_about(call, "silence.called", by=by, changes=changes, reason=call.words)
    return call
