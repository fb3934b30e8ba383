"""The verbs of a running infusion: change the rate, measure, give a drug, add a vial, say that nothing happened.

Each holds the infusion's row while it writes, so that two people at one chair take turns. A row sent twice with one
`submission_id` is one row; sent again with other words, SentBefore is raised. `at_left_open` says that `at` is only the
moment of arrival.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from patients.models import StaleRecord, User, difference, snapshot
from reactions import safety, tasks
from reactions.checkins.plan import plan_checkins
from reactions.clinical.flow import STILL
from reactions.clinical.vitals_schedule import why_impossible_moment
from reactions.models import ChairsideRow, Infusion, RateStep, Reaction, Treatment, Vial, Vitals
from reactions.recording.infusions import CardUnanswered, outdate_what_tells_the_end, save_infusion
from reactions.recording.rate_steps import StepOutside, check_steps, on_clock
from reactions.recording.reactions import changing
from reactions.recording.writing import (
    AlreadyThere,
    SentBefore,
    claim,
    count_up,
    lock,
    made_before,
    refuse_denial,
    void,
    write_about,
)
from reactions.vocabulary import RateReason, ReactionRecord


class VialThere(ValueError):
    """The infusion has the vial with this code and serial number already."""


class MeasuredTooEarly(ValueError):
    """Vital signs lie so long before the infusion that their date must be wrong."""


@transaction.atomic
def record_step(
    infusion: Infusion,
    *,
    by: User,
    at: datetime,
    rate_ml_per_h: Decimal,
    reason: RateReason,
    seen_step: int | None,
    submission_id: UUID,
    now: datetime,
    at_left_open: bool = False,
) -> RateStep:
    """Change the rate. A stop ends the infusion and plans its check-ins.

    `seen_step` is the newest step that the person saw: when somebody else has changed the rate since, StaleRecord is
    raised. Raises ImpossibleSteps when the step cannot follow those recorded, StepOutside when it lies outside the
    infusion: one that was recorded without steps has its start, and may have its end, already.
    """
    held = lock(infusion)
    told = _told({"rate_ml_per_h": rate_ml_per_h}, at, at_left_open=at_left_open)
    if reason in STILL:
        # Whether a rate is a step up or a slowing follows from the step before it, which is this very step by now.
        told["reason"] = reason
    if stored := made_before(held.rate_steps, submission_id, told):
        return cast("RateStep", stored)
    latest = held.rate_steps.current().order_by("at", "pk").last()
    if (latest.pk if latest else None) != seen_step:
        raise StaleRecord
    step = RateStep(
        infusion=held,
        at=at,
        rate_ml_per_h=rate_ml_per_h,
        reason=reason,
        submission_id=submission_id,
        created_by=by,
    )
    _add_step(held, step, by=by)
    if reason == RateReason.STOP and held.ended_at is None:
        _end(held, at, by=by, now=now)
    return step


@transaction.atomic
def stop_infusion(infusion: Infusion, *, by: User, at: datetime, submission_id: UUID, now: datetime) -> None:
    """End a running infusion, whatever its rate was last seen to be. One recorded without rate steps just ends.

    Raises ImpossibleSteps, or SentBefore when the stop of this submission was taken back since.
    """
    held = lock(infusion)
    if taken_back := held.rate_steps.filter(submission_id=submission_id).first():
        raise SentBefore(taken_back)
    if at <= held.started_at:
        raise StepOutside([f"The infusion starts at {on_clock(held, held.started_at)}: it cannot be over by then."])
    if held.rate_steps.current().exists():
        stop = RateStep(
            infusion=held,
            at=at,
            rate_ml_per_h=Decimal(0),
            reason=RateReason.STOP,
            submission_id=submission_id,
            created_by=by,
        )
        _add_step(held, stop, by=by)
    else:
        count_up(held)
    _end(held, at, by=by, now=now)


@transaction.atomic
def correct_step(
    step: RateStep, *, by: User, details: dict[str, Any], reason: str, seen_version: int, now: datetime
) -> RateStep:
    """Change a step's time or rate; the infusion's start and end follow.

    Raises StaleRecord, ImpossibleSteps, StartsTooLate, AlreadyRecorded when another infusion of the patient has the
    start, CardUnanswered when at that start the safety card warns of more, or StepOutside when the step would lie
    behind an end that no step of the infusion tells.
    """
    held = lock(step.infusion)
    claim(step, seen_version)
    before = snapshot(step)
    _set(step, details)
    others = list(held.rate_steps.current().exclude(pk=step.pk))
    check_steps(held, [*others, step])
    if not _stop_among([*others, step]):
        _refuse_behind_end(held, step)
    step.save()
    write_about(step, "rate.corrected", by=by, changes=difference(before, snapshot(step)), reason=reason)
    count_up(held)
    _follow_ends(held, step, by=by, reason=reason, now=now)
    return step


@transaction.atomic
def void_step(step: RateStep, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    """Take a step back; without its stop the infusion runs on. Raises StaleRecord or ImpossibleSteps."""
    held = lock(step.infusion)
    void(step, "rate.voided", by=by, reason=reason, seen_version=seen_version, now=now)
    check_steps(held)
    count_up(held)
    _follow_ends(held, step, by=by, reason=reason, now=now)


@transaction.atomic
def record_vitals(
    infusion: Infusion,
    *,
    by: User,
    at: datetime,
    values: dict[str, Any],
    submission_id: UUID,
    at_left_open: bool = False,
) -> Vitals:
    """Add a set of vital signs.

    Raises AlreadyThere when somebody else has recorded one for this minute, MeasuredTooEarly when it lies long before
    the start.
    """
    held = lock(infusion)
    if before := made_before(held.vitals, submission_id, _told(values, at, at_left_open=at_left_open)):
        return cast("Vitals", before)
    if why := why_impossible_moment(at, held.started_at):
        raise MeasuredTooEarly(why)
    if stored := held.vitals.current().filter(at=at).first():
        raise AlreadyThere(stored)
    vitals: Vitals = held.vitals.create(at=at, submission_id=submission_id, created_by=by, **values)
    _write_row(vitals, "vitals.recorded", by=by)
    return vitals


@transaction.atomic
def correct_vitals(vitals: Vitals, *, by: User, details: dict[str, Any], reason: str, seen_version: int) -> Vitals:
    """Change a set of vital signs. Raises StaleRecord, MeasuredTooEarly, or AlreadyThere: another has this minute."""
    held = lock(vitals.infusion)
    if why := why_impossible_moment(details["at"], held.started_at):
        raise MeasuredTooEarly(why)
    if stored := held.vitals.current().filter(at=details["at"]).exclude(pk=vitals.pk).first():
        raise AlreadyThere(stored)
    _correct(vitals, "vitals.corrected", by=by, details=details, reason=reason, seen_version=seen_version)
    return vitals


@transaction.atomic
def void_vitals(vitals: Vitals, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    """Take a set of vital signs back. Raises StaleRecord."""
    lock(vitals.infusion)
    void(vitals, "vitals.voided", by=by, reason=reason, seen_version=seen_version, now=now)


@transaction.atomic
def give_treatment(
    infusion: Infusion,
    *,
    by: User,
    at: datetime,
    details: dict[str, Any],
    submission_id: UUID,
    now: datetime,
    reaction: Reaction | None = None,
    at_left_open: bool = False,
) -> Treatment:
    """Write down a drug or measure given after the start. Raises AlreadyThere for the same drug in the same minute.

    It is given for `reaction`; where none is named, for the newest that was going on then, if there is one.
    """
    held = lock(infusion)
    if before := made_before(held.treatments, submission_id, _told(details, at, at_left_open=at_left_open)):
        return cast("Treatment", before)
    same = held.treatments.current().filter(at=at, drug=details["drug"], other_drug=details.get("other_drug", ""))
    if stored := same.first():
        raise AlreadyThere(stored)
    treated = reaction or _going_on(held, at)
    treatment = Treatment(infusion=held, reaction=treated, at=at, submission_id=submission_id, created_by=by, **details)
    with changing(treated, "reaction.treatment_given", by=by, now=now):
        treatment.save()
    _write_row(treatment, "treatment.given", by=by)
    return treatment


@transaction.atomic
def correct_treatment(
    treatment: Treatment, *, by: User, details: dict[str, Any], reason: str, seen_version: int, now: datetime
) -> Treatment:
    """Change a treatment, or say for which reaction it was given; the reactions count up.

    Raises StaleRecord, also when that reaction was voided meanwhile, or AlreadyThere for the drug at that minute.
    """
    held = lock(treatment.infusion)
    same = held.treatments.current().filter(
        at=details["at"], drug=details["drug"], other_drug=details.get("other_drug", "")
    )
    if stored := same.exclude(pk=treatment.pk).first():
        raise AlreadyThere(stored)
    given_for = details.get("reaction")
    if given_for and not held.reactions.current().filter(pk=given_for.pk).exists():
        raise StaleRecord
    # The one that it was given for, and the one that it is given for now.
    reactions = {treatment.reaction, details.get("reaction", treatment.reaction)}
    with ExitStack() as around:
        for reaction in reactions:
            around.enter_context(changing(reaction, "reaction.treatment_corrected", by=by, reason=reason, now=now))
        _correct(treatment, "treatment.corrected", by=by, details=details, reason=reason, seen_version=seen_version)
    return treatment


@transaction.atomic
def void_treatment(treatment: Treatment, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    """Take a treatment back; its reaction counts up. Raises StaleRecord."""
    lock(treatment.infusion)
    with changing(treatment.reaction, "reaction.treatment_voided", by=by, reason=reason, now=now):
        void(treatment, "treatment.voided", by=by, reason=reason, seen_version=seen_version, now=now)


@transaction.atomic
def add_vial(infusion: Infusion, *, by: User, vial: dict[str, Any], submission_id: UUID) -> Vial:
    """Add one vial to an infusion; correcting or taking it away is a correction of the infusion.

    Raises VialThere when the vial with this code and serial number is recorded already.
    """
    held = lock(infusion)
    if before := made_before(held.vials, submission_id, vial):
        return cast("Vial", before)
    gtin, serial = vial.get("gtin", ""), vial.get("serial", "")
    if gtin and serial and held.vials.filter(gtin=gtin, serial=serial).exists():
        raise VialThere("This very vial is recorded already: same code, same serial number.")
    added: Vial = held.vials.create(submission_id=submission_id, **vial)
    count_up(held)
    changes = {name: [None, value] for name, value in snapshot(added).items() if value not in (None, "")}
    write_about(held, "vial.added", by=by, changes=changes)
    return added


@transaction.atomic
def record_observed(infusion: Infusion, *, by: User) -> None:
    """Say that the patient was watched and no reaction was seen. Raises ReactionStands when there was one."""
    held = lock(infusion)
    refuse_denial(held)
    if held.reaction_record == ReactionRecord.OBSERVED:
        return
    Infusion.objects.filter(pk=held.pk).update(reaction_record=ReactionRecord.OBSERVED)
    count_up(held)
    changes = {"reaction_record": [held.reaction_record, str(ReactionRecord.OBSERVED)]}
    write_about(held, "infusion.observed", by=by, changes=changes)


def _told(values: dict[str, Any], at: datetime, *, at_left_open: bool) -> dict[str, Any]:
    """What a person said in a form, for comparing it with what an earlier sending of it stored."""
    return dict(values) if at_left_open else values | {"at": at}


def _going_on(infusion: Infusion, at: datetime) -> Reaction | None:
    begun = infusion.reactions.current().filter(Q(resolved_at=None) | Q(resolved_at__gte=at), onset_at__lte=at)
    newest: Reaction | None = begun.order_by("onset_at", "pk").last()
    return newest


def _add_step(infusion: Infusion, step: RateStep, *, by: User) -> None:
    others = list(infusion.rate_steps.current())
    check_steps(infusion, [*others, step])
    if not others and step.at != infusion.started_at:
        said = f"The infusion started at {on_clock(infusion, infusion.started_at)}, and its first rate belongs there."
        raise StepOutside([f"{said} Leave the time empty; if the start is wrong, correct the infusion."])
    _refuse_behind_end(infusion, step)
    step.save()
    count_up(infusion)
    _write_row(step, "rate.changed", by=by)


def _refuse_behind_end(infusion: Infusion, step: RateStep) -> None:
    """Raise StepOutside for a step that is not before the infusion's end, or a stop that is not at it."""
    if infusion.ended_at is None:
        return
    said = f"The infusion ended at {on_clock(infusion, infusion.ended_at)}"
    if step.reason == RateReason.STOP and step.at != infusion.ended_at:
        said = f"{said}, and its stop belongs there. Leave the time empty; if the end is wrong, correct the infusion."
        raise StepOutside([said])
    if step.reason != RateReason.STOP and step.at >= infusion.ended_at:
        raise StepOutside([f"{said}. Write when before that this was."])


def _end(infusion: Infusion, at: datetime | None, *, by: User, now: datetime) -> None:
    before = infusion.ended_at
    Infusion.objects.filter(pk=infusion.pk).update(ended_at=at)
    changes = {"ended_at": [str(before) if before else None, str(at) if at else None]}
    write_about(infusion, "infusion.ended" if at else "infusion.resumed", by=by, changes=changes)
    infusion.ended_at = at
    outdate_what_tells_the_end(infusion, by=by, now=now)
    plan_checkins(infusion, now=now)
    tasks.wake_after_commit()


def _follow_ends(infusion: Infusion, changed: RateStep, *, by: User, reason: str, now: datetime) -> None:
    """Bring the infusion's start and end in line with its first step and its stop, after a step was changed.

    An end that no stop tells is left as it is, unless the stop that told it was taken back: without it, what was
    recorded as it happened runs on.
    """
    steps = list(infusion.rate_steps.current().order_by("at"))
    if steps and steps[0].at != infusion.started_at:
        before, card_before = snapshot(infusion), safety.card_before(infusion, now=now)
        infusion.started_at = steps[0].at
        save_infusion(infusion, ["started_at"])
        card_now = safety.card_before(infusion, now=now)
        if asked := safety.asked_by_correction(infusion, card_before, card_now):
            raise CardUnanswered(tuple(asked))
        changes = difference(before, snapshot(infusion))
        write_about(infusion, "infusion.corrected", by=by, changes=changes, reason=reason)
    stop = _stop_among(steps)
    ended_at = stop.at if stop else None
    took_back_the_end = changed.reason == RateReason.STOP and infusion.is_chairside
    if ended_at != infusion.ended_at and (stop or took_back_the_end):
        _end(infusion, ended_at, by=by, now=now)


def _stop_among(steps: Iterable[RateStep]) -> RateStep | None:
    return next((step for step in steps if step.reason == RateReason.STOP), None)


def _correct(row: ChairsideRow, act: str, *, by: User, details: dict[str, Any], reason: str, seen_version: int) -> None:
    claim(row, seen_version)
    before = snapshot(row)
    _set(row, details)
    row.save()
    write_about(row, act, by=by, changes=difference(before, snapshot(row)), reason=reason)


def _set(row: ChairsideRow, details: dict[str, Any]) -> None:
    for name, value in details.items():
        setattr(row, name, value)


def _write_row(row: ChairsideRow, act: str, *, by: User) -> None:
    write_about(row, act, by=by, changes=difference({}, snapshot(row)))
