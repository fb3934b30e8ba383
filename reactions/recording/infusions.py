"""The verbs around an infusion as a whole: record it, start it, correct it, void it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from patients.models import Patient, User, difference, snapshot
from patients.registering import hold_patient
from reactions import safety, tasks, worklist
from reactions.checkins.plan import cancel_checkins, plan_checkins
from reactions.clinical.safety_card import CardItem
from reactions.models import AnaphylaxisRecord, Course, Infusion, Premedication, SafetyCheck, Vial
from reactions.recording.courses import next_course_label
from reactions.recording.rate_steps import move_ends, on_clock
from reactions.recording.writing import (
    Rows,
    claim,
    lock,
    outdate_signature,
    refuse_denial,
    refuse_other_words,
    replace_rows,
    row_snapshots,
    void,
    write_about,
)
from reactions.vocabulary import RateReason, ReactionRecord


class AlreadyRecorded(ValueError):
    """The patient has an infusion with the same start."""

    def __init__(self) -> None:
        super().__init__("An infusion of this patient with the same start is already recorded.")


class StartsTooLate(ValueError):
    """The infusion would start after a reaction to it began, or after a drug that was given during it."""


@dataclass(frozen=True)
class Acknowledgement:
    """Why an infusion goes on although the safety card warns, and who decided where the label speaks against it."""

    reason: str
    decided_by: str = ""


class CardUnanswered(ValueError):
    """The safety card warns, and nobody has said why the infusion goes on. `items` are those without an answer."""

    def __init__(self, items: tuple[Any, ...]) -> None:
        super().__init__(", ".join(item.code for item in items))
        self.items = items


@transaction.atomic
def record_infusion(
    *,
    by: User,
    patient: Patient,
    course: Course | None,
    planned_days: int,
    planned_g: Decimal | None = None,
    details: dict[str, Any],
    vials: Rows,
    premedications: Rows,
    acknowledged: Acknowledgement | None,
    submission_id: UUID,
    now: datetime,
    start_rate_ml_per_h: Decimal | None = None,
) -> Infusion:
    """Add an infusion with its vials, premedication, safety card and check-ins; a new course when `course` is None.

    With `start_rate_ml_per_h` it is one that begins now at the chairside: it has no end yet, and its first rate step is
    its start. The same `submission_id` again gives the infusion that it made the first time, as when a form is sent
    twice; with other words in it SentBefore is raised. Raises AlreadyRecorded when the patient has an infusion with
    this start, and CardUnanswered when the safety card warns and `acknowledged` does not answer it.
    """
    # Two infusions of one patient recorded at once take turns, so that courses are numbered and check-ins moved once.
    hold_patient(patient)
    at_chairside = start_rate_ml_per_h is not None
    made_before = Infusion.objects.filter(submission_id=submission_id, patient=patient).first()
    if made_before:
        # A start that was left open is the moment of saving, another one each time.
        left_open = {"started_at"} if at_chairside else set()
        told = {name: value for name, value in details.items() if name not in left_open}
        refuse_other_words(made_before, told, vials=vials, premedications=premedications)
        return made_before
    if course is None:
        course = Course.objects.create(
            patient=patient, label=next_course_label(patient), planned_days=planned_days, planned_g=planned_g
        )
    infusion = Infusion(
        patient=patient,
        course=course,
        submission_id=submission_id,
        created_by=by,
        is_chairside=at_chairside,
        **details,
    )
    check = _safety_check(infusion, by, acknowledged, now)
    save_infusion(infusion)
    check.infusion = infusion
    check.save()
    _replace_rows(infusion, vials, premedications)
    if start_rate_ml_per_h is not None:
        infusion.rate_steps.create(
            at=infusion.started_at, rate_ml_per_h=start_rate_ml_per_h, reason=RateReason.START, created_by=by
        )
    answer = {"safety_card": check.items, "acknowledged": check.reason, "decided_by": check.decided_by}
    changes = difference({}, _infusion_snapshot(infusion) | answer)
    write_about(infusion, "infusion.started" if at_chairside else "infusion.recorded", by=by, changes=changes)
    plan_checkins(infusion, now=now)
    tasks.wake_after_commit()
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
    acknowledged: Acknowledgement | None = None,
) -> Infusion:
    """Change an infusion; check-ins not yet sent move with its end, and the rate steps of its start and end with them.

    What the change brings onto the safety card is answered by `acknowledged`, and kept as one more card of the
    infusion; what was answered before is not asked again.

    Raises StaleRecord, RecordVoided, AlreadyRecorded, ReactionStands when it would deny a reaction that is recorded,
    StartsTooLate, ImpossibleSteps when a rate step would lie outside the infusion, or CardUnanswered.
    """
    lock(infusion)
    claim(infusion, seen_version)
    if details.get("reaction_record", ReactionRecord.OBSERVED) != ReactionRecord.OBSERVED:
        refuse_denial(infusion)
    before = _infusion_snapshot(infusion)
    card_before = safety.card_before(infusion, now=now)
    for name, value in details.items():
        setattr(infusion, name, value)
    check = _check_of_correction(infusion, card_before, by, acknowledged, now)
    save_infusion(infusion)
    if check:
        check.save()
    _replace_rows(infusion, vials, premedications)
    move_ends(infusion, by=by, reason=reason, now=now)
    changes = difference(before, _infusion_snapshot(infusion) | (_answer_in_words(check) if check else {}))
    write_about(infusion, "infusion.corrected", by=by, changes=changes, reason=reason)
    if "ended_at" in changes:
        outdate_what_tells_the_end(infusion, by=by, now=now)
    plan_checkins(infusion, now=now)
    tasks.wake_after_commit()
    return infusion


@transaction.atomic
def void_infusion(infusion: Infusion, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    """Take the infusion and its reactions out of every count and cancel its check-ins.

    Raises StaleRecord, or RecordVoided for one that is void.
    """
    lock(infusion)
    void(infusion, "infusion.voided", by=by, reason=reason, seen_version=seen_version, now=now)
    cancel_checkins(infusion, reason="The infusion was voided.", now=now)


def outdate_what_tells_the_end(infusion: Infusion, *, by: User, now: datetime) -> None:
    """Signatures under suspected anaphylaxis tell when the infusion was stopped: another end is not what was signed."""
    suspected = AnaphylaxisRecord.objects.current().filter(reaction__infusion=infusion, reaction__voided_at=None)
    for record in suspected.select_related("reaction__infusion__patient__clinic"):
        if outdate_signature(record.reaction, by=by):
            worklist.follow(record.reaction, now=now)


def refuse_late_start(infusion: Infusion) -> None:
    """Raise StartsTooLate when a reaction began, or a drug was given, before the infusion starts."""
    start = infusion.started_at
    onsets = infusion.reactions.current().filter(onset_at__lt=start).order_by("onset_at")
    if onset := onsets.values_list("onset_at", flat=True).first():
        said = f"A reaction to this infusion began at {on_clock(infusion, onset)}"
    elif treatment := infusion.treatments.current().filter(at__lt=start).order_by("at").first():
        said = f"{treatment} was given during this infusion at {on_clock(infusion, treatment.at)}"
    else:
        return
    raise StartsTooLate(f"{said}, before this start. Correct that first.")


def _safety_check(infusion: Infusion, by: User, acknowledged: Acknowledgement | None, now: datetime) -> SafetyCheck:
    """The safety card of the infusion about to be written, answered; the row is not saved yet."""
    items = safety.card_before(infusion, now=now)
    answer = _answered(items, acknowledged)
    needs_answer = any(safety.needs_answer(item) for item in items)
    return SafetyCheck(
        items=[safety.as_stored(item) for item in items],
        shown_at=now,
        acknowledged_by=by if needs_answer else None,
        reason=answer.reason if needs_answer else "",
        decided_by=answer.decided_by if needs_answer else "",
    )


def _check_of_correction(
    infusion: Infusion,
    card_before: tuple[CardItem, ...],
    by: User,
    acknowledged: Acknowledgement | None,
    now: datetime,
) -> SafetyCheck | None:
    """The card of the corrected infusion with the answer to what is new on it; None when nothing is asked."""
    items = safety.card_before(infusion, now=now)
    asked = safety.asked_by_correction(infusion, card_before, items)
    answer = _answered(asked, acknowledged)
    if not asked:
        return None
    return SafetyCheck(
        infusion=infusion,
        items=[safety.as_stored(item) | {"asked": item in asked} for item in items],
        shown_at=now,
        acknowledged_by=by,
        reason=answer.reason,
        decided_by=answer.decided_by,
    )


def _answered(items: Iterable[CardItem], acknowledged: Acknowledgement | None) -> Acknowledgement:
    """The answer to the items, empty where none was given; raises CardUnanswered when they need one."""
    answer = acknowledged or Acknowledgement("")
    if open_items := safety.unanswered(items, reason=answer.reason, decided_by=answer.decided_by):
        raise CardUnanswered(open_items)
    return answer


def _answer_in_words(check: SafetyCheck) -> dict[str, Any]:
    """What a correction's audit event says of the card: what was asked, and the answer."""
    asked = [item["text"] for item in check.items if item["asked"]]
    decided = {"decided_by": check.decided_by} if check.decided_by else {}
    return {"safety_card": asked, "acknowledged": check.reason} | decided


def save_infusion(infusion: Infusion, columns: list[str] | None = None) -> None:
    """Write the infusion, or some of its columns. Raises AlreadyRecorded or StartsTooLate."""
    try:
        with transaction.atomic():
            infusion.save(update_fields=columns)
    except IntegrityError as error:
        same_start = Infusion.objects.current().filter(patient=infusion.patient_id, started_at=infusion.started_at)
        if same_start.exclude(pk=infusion.pk).exists():
            raise AlreadyRecorded from error
        raise
    refuse_late_start(infusion)


def _replace_rows(infusion: Infusion, vials: Rows, premedications: Rows) -> None:
    _replace_vials(infusion, vials)
    replace_rows(infusion.premedications, [Premedication(infusion=infusion, **drug) for drug in premedications])


def _replace_vials(infusion: Infusion, vials: Rows) -> None:
    """Bring the vials in line with the rows. A row with the `pk` of one corrects it.

    What was read from its code stays with it, unless the lot becomes another one.
    """
    stored = {vial.pk: vial for vial in infusion.vials.all()}
    corrected, new = [], []
    for row in vials:
        values = dict(row)
        # A vial that was taken away meanwhile, or belongs elsewhere, is a new one here.
        vial = stored.pop(values.pop("pk", None), None)
        if vial is None:
            new.append(Vial(infusion=infusion, **values))
            continue
        if values["lot"].upper() != vial.lot.upper():
            # It is another vial than the one whose code was read.
            values |= {"gtin": "", "serial": ""}
        for name, value in values.items():
            setattr(vial, name, value)
        corrected.append(vial)
    infusion.vials.filter(pk__in=stored).delete()
    for vial in corrected:
        vial.save()
    Vial.objects.bulk_create(new)


def _infusion_snapshot(infusion: Infusion) -> dict[str, Any]:
    return snapshot(infusion) | {
        "vials": row_snapshots(infusion.vials.all(), "infusion_id"),
        "premedications": row_snapshots(infusion.premedications.all(), "infusion_id"),
    }
