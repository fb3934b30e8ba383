"""The verbs around check-ins: a patient answers one, a clinician acknowledges the alert it raised."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction

from patients.models import Patient, User, address_digest, write_event
from reactions import tasks
from reactions.alerts import raise_alert
from reactions.models import Alert, Answer, AnswerDraft, AnswerSymptom, CheckIn, Infusion, ReportLink, WrongBirthYear
from reactions.models.link import new_link
from reactions.vocabulary import AnsweredBy, CheckInKind, CheckInState

# How long what a patient began between check-ins can be finished and changed. This project's own.
REPORT_OPEN_FOR = timedelta(hours=24)


class AlreadyAcknowledged(ValueError):
    """Somebody else has acknowledged the alert."""


class AnsweredAgain(ValueError):
    """The patient has answered again since the person read the alert or the report, which is about that now."""


class TooManyBirthYears(ValueError):
    """The year was wrong too often, for this patient or from this network address."""


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
    of_symptoms: dict[str, dict[str, Any]] | None = None,
    begun_at: datetime | None = None,
    now: datetime,
) -> Answer:
    """Store what a patient sent through a check-in, and raise the alert that it calls for.

    `by` is the person of the clinic who took it down by telephone; with `even_closed` it is taken after the window too,
    unless the infusion or the patient is void.

    `symptoms` maps PatientSymptom to PatientSeverity; `of_symptoms` gives some of these `began_at` and `still_there`
    of their own; `details` are further columns of Answer: care_sought, comment, what it did to the day, who answered,
    language. Who had begun at `begun_at`, before the deadline, may send within CheckIn's grace. Answering again adds a
    version; the earlier ones stay. The form `submission_id` sent twice as it was is one answer; sent again from the
    browser's history with something changed, it is a further one. Raises CheckInClosed when it is over or cancelled.
    """
    stored = CheckIn.objects.select_for_update().get(pk=checkin.pk)
    form_id = submission_id
    latest = stored.latest_answer()
    version = latest.version + 1 if latest else 1
    if latest and submission_id:
        same_form = latest.submission_id in {submission_id, _id_of(submission_id, stored, latest.version)}
        if same_form and latest.says(
            has_problem=has_problem, details=details, symptoms=symptoms, of_symptoms=of_symptoms
        ):
            return latest
    state = stored.why_closed(now, begun_at=begun_at)
    if state and not (even_closed and not stored.is_of_void_record):
        raise CheckInClosed(state)
    if submission_id and Answer.objects.filter(submission_id=submission_id).exists():
        submission_id = _id_of(submission_id, stored, version)
    answer = Answer.objects.create(
        checkin=stored,
        version=version,
        submitted_at=now,
        has_problem=has_problem,
        submission_id=submission_id,
        **({"answered_by": answered_by} | details),
    )
    AnswerSymptom.objects.bulk_create(
        AnswerSymptom(answer=answer, symptom=symptom, severity=severity, **(of_symptoms or {}).get(symptom, {}))
        for symptom, severity in symptoms.items()
    )
    # Why it had ended, where it was answered by telephone after its end, holds no more.
    CheckIn.objects.filter(pk=stored.pk).update(state=CheckInState.ANSWERED, answered_at=now, state_reason="")
    # The form that was sent; one that has only told its red words stays.
    if form_id:
        AnswerDraft.objects.filter(checkin=stored, submission_id=form_id).delete()
    alert = raise_alert(answer, now=now)
    patient = stored.patient
    ReportLink.of(patient)
    changes = {"version": [version - 1, version], "has_problem": [None, has_problem]}
    write_event("answer.sent", by=by, about=answer, clinic=patient.clinic, patient_id=patient.pk, changes=changes)
    if alert:
        tasks.wake_after_commit()
    return answer


def _id_of(submission_id: UUID, checkin: CheckIn, version: int) -> UUID:
    """The id under which a form that was changed and sent again is stored: its own is on an earlier answer."""
    return uuid5(submission_id, f"{checkin.pk}/{version}")


@transaction.atomic
def save_step(
    checkin: CheckIn,
    *,
    said: dict[str, dict[str, list[str]]],
    told: Iterable[str] = (),
    base: dict[str, dict[str, list[str]]] | None = None,
    begun_at: datetime | None = None,
    now: datetime,
) -> AnswerDraft:
    """Keep a screen of a half-filled form, beside those that were sent before, in whichever window.

    `said` is what the browser sent, by screen and field; `told` are the symptoms that have reached the clinic already;
    `base` is what a new draft starts from: the answer that is being changed. The draft is for the eyes of the address
    at which `checkin.patient` was seen; what was begun by the link in a mail to another address gives way to it unread.
    Raises CheckInClosed. No event is written: what the patient has not sent is nobody's record yet.
    """
    stored = CheckIn.objects.select_for_update().get(pk=checkin.pk)
    address = address_digest(checkin.patient.email)
    AnswerDraft.objects.filter(checkin=stored).exclude(address=address).delete()
    draft = AnswerDraft.objects.filter(checkin=stored).first()
    if draft is None:
        draft = AnswerDraft(checkin=stored, address=address, began_at=begun_at or now, steps=base or {})
    if state := stored.why_closed(now, begun_at=min(begun_at or now, draft.began_at)):
        raise CheckInClosed(state)
    draft.steps |= said
    draft.told = sorted({*draft.told, *told})
    draft.saved_at = now
    draft.save()
    return draft


@transaction.atomic
def begin_report(patient: Patient, *, now: datetime) -> CheckIn | None:
    """A check-in by which the patient reports something now; the one that is begun already, when there is one.

    It is about the latest infusion that has begun, and is never mailed. None for a patient without one or whose record
    is void, and for one whose address was changed since `patient` was read: the link that led here is not theirs any
    more.
    """
    locked = Patient.objects.select_for_update(no_key=True).get(pk=patient.pk)
    if locked.is_closed or address_digest(locked.email) != address_digest(patient.email):
        return None
    begun = CheckIn.objects.filter(
        infusion__patient=locked, infusion__voided_at=None, kind=CheckInKind.REPORT, state=CheckInState.OPEN
    )
    if found := begun.filter(closes_at__gt=now).order_by("-pk").first():
        return found
    latest = Infusion.objects.current().filter(patient=locked, started_at__lte=now).order_by("-started_at").first()
    if latest is None:
        return None
    nonce, link_hash = new_link()
    checkin = CheckIn.objects.create(
        course=latest.course,
        infusion=latest,
        kind=CheckInKind.REPORT,
        state=CheckInState.OPEN,
        due_at=now,
        closes_at=now + REPORT_OPEN_FOR,
        link_nonce=nonce,
        link_hash=link_hash,
    )
    write_event("checkin.begun", by=None, about=checkin, clinic=locked.clinic, patient_id=locked.pk, changes={})
    return checkin


def try_birth_year(patient: Patient, year: int, *, address_hash: str, now: datetime) -> bool:
    """Whether it is the year in which the patient was born; one that is not is counted.

    Tries at the same moment take their turn, so that no more are taken than WrongBirthYear allows. Raises
    TooManyBirthYears where no try is taken any more, be it right or wrong.
    """
    is_right = _take_try(patient, year, address_hash, now)
    if not is_right:
        # What is too old to count, where nobody holds it.
        WrongBirthYear.objects.filter(at__lt=now - WrongBirthYear.PER_ADDRESS_WITHIN).delete()
    return is_right


@transaction.atomic
def _take_try(patient: Patient, year: int, address_hash: str, now: datetime) -> bool:
    born = Patient.objects.select_for_update(no_key=True).get(pk=patient.pk).birth_date
    # Of one network address the earliest that counts, for those who try the years of several patients from there.
    there = WrongBirthYear.objects.filter(address_hash=address_hash).since(now - WrongBirthYear.PER_ADDRESS_WITHIN)
    there.select_for_update().order_by("pk").first()
    if WrongBirthYear.too_many(patient, address_hash, now):
        raise TooManyBirthYears
    if born and born.year == year:
        return True
    WrongBirthYear.objects.create(patient=patient, address_hash=address_hash, at=now)
    return False
