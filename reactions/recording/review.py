"""The verbs of review: a clinician accepts a patient's report as a reaction, merges it with one, or rejects it.

Each decision is about the version of the answer that was read (`seen_answer`, its key) and comes after the decision
that was seen (`seen_decision`, its version; 0 for none). Deciding again adds a decision; the earlier one stays.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.db import transaction

from patients.models import User
from reactions.models import Infusion, Reaction, Report, ReviewDecision
from reactions.recording.answers import AnsweredAgain
from reactions.recording.reactions import record_reaction
from reactions.recording.writing import Rows, lock, lock_reaction, made_before, write_about
from reactions.vocabulary import RejectReason, ReviewVerdict


class DecidedMeanwhile(ValueError):
    """Somebody has decided about the report since the page was opened; `decision` is theirs."""

    def __init__(self, decision: ReviewDecision | None) -> None:
        super().__init__(str(decision))
        self.decision = decision


@transaction.atomic
def accept_report(
    report: Report,
    *,
    by: User,
    infusion: Infusion,
    details: dict[str, Any],
    symptoms: Rows,
    treatments: Rows = (),
    taken_along: Collection[int] = (),
    words: str = "",
    seen_answer: int | None,
    seen_decision: int | None,
    submission_id: UUID,
    now: datetime,
) -> Reaction:
    """Record the reaction to an infusion of the report's course that a clinician makes of it, and link the two.

    A form sent twice makes one. Raises AnsweredAgain, DecidedMeanwhile, what record_reaction raises, and ValueError for
    an infusion of another course.
    """
    _refuse_another_course(report, infusion)
    held = lock(infusion)
    stored = _hold(report)
    told: dict[str, Any] = {"verdict": ReviewVerdict.ACCEPTED, "words": words}
    decided = made_before(ReviewDecision.objects.filter(checkin=stored), submission_id, told)
    if not decided:
        _refuse_stale(stored, seen_answer, seen_decision)
    reaction = record_reaction(
        by=by,
        infusion=held,
        details=details,
        symptoms=symptoms,
        treatments=treatments,
        taken_along=taken_along,
        submission_id=submission_id,
        now=now,
    )
    if not decided:
        _decide(stored, by=by, now=now, reaction=reaction, submission_id=submission_id, **told)
    return reaction


@transaction.atomic
def merge_report(
    report: Report,
    *,
    by: User,
    reaction: Reaction,
    words: str = "",
    seen_answer: int | None,
    seen_decision: int | None,
    submission_id: UUID,
    now: datetime,
) -> ReviewDecision:
    """Say that the report is about a reaction that is recorded already. Nothing in the reaction changes.

    A form sent twice makes one. Raises AnsweredAgain, DecidedMeanwhile, SentBefore, RecordVoided when the reaction was
    voided meanwhile, and ValueError for a reaction to an infusion of another course.
    """
    _refuse_another_course(report, reaction.infusion)
    held = lock_reaction(reaction)
    told = {"verdict": ReviewVerdict.MERGED, "reaction": held, "words": words}
    return _decide_once(report, told, by=by, seen=(seen_answer, seen_decision), submission_id=submission_id, now=now)


@transaction.atomic
def reject_report(
    report: Report,
    *,
    by: User,
    reason: RejectReason,
    words: str = "",
    seen_answer: int | None,
    seen_decision: int | None,
    submission_id: UUID,
    now: datetime,
) -> ReviewDecision:
    """Say that the report is no reaction to the infusion, and why.

    A form sent twice makes one. Raises AnsweredAgain, DecidedMeanwhile, SentBefore, and RecordVoided when the infusion
    or the patient was voided meanwhile.
    """
    lock(report.infusion)
    told = {"verdict": ReviewVerdict.REJECTED, "reject_reason": reason, "words": words}
    return _decide_once(report, told, by=by, seen=(seen_answer, seen_decision), submission_id=submission_id, now=now)


def _decide_once(
    report: Report,
    told: dict[str, Any],
    *,
    by: User,
    seen: tuple[int | None, int | None],
    submission_id: UUID,
    now: datetime,
) -> ReviewDecision:
    stored = _hold(report)
    if decided := made_before(ReviewDecision.objects.filter(checkin=stored), submission_id, told):
        return cast("ReviewDecision", decided)
    _refuse_stale(stored, *seen)
    return _decide(stored, by=by, submission_id=submission_id, now=now, **told)


def _refuse_another_course(report: Report, infusion: Infusion) -> None:
    if infusion.course_id != report.course_id:
        raise ValueError("The infusion is of another course than the report.")


def _hold(report: Report) -> Report:
    """The report as it is stored, held until the transaction ends: an answer and a decision take turns."""
    return Report.objects.select_for_update(of=("self",)).get(pk=report.pk)


def _refuse_stale(report: Report, seen_answer: int | None, seen_decision: int | None) -> None:
    if report.newest.pk != seen_answer:
        raise AnsweredAgain
    before = report.decision
    if (before.version if before else 0) != seen_decision:
        raise DecidedMeanwhile(before)


def _decide(
    report: Report, *, by: User, verdict: ReviewVerdict, submission_id: UUID, now: datetime, **told: Any
) -> ReviewDecision:
    before = report.decision
    decision = ReviewDecision.objects.create(
        checkin_id=report.pk,
        answer=report.newest,
        version=before.version + 1 if before else 1,
        verdict=verdict,
        decided_at=now,
        decided_by=by,
        submission_id=submission_id,
        **told,
    )
    changes: dict[str, list[Any]] = {
        "verdict": [before.verdict if before else None, str(verdict)],
        "answer_id": [before.answer_id if before else None, decision.answer_id],
    }
    for name in ("reaction_id", "reject_reason"):
        was, now_is = getattr(before, name, None) or None, getattr(decision, name) or None
        if was != now_is:
            changes[name] = [was, now_is]
    write_about(decision, f"report.{verdict}", by=by, changes=changes, reason=decision.words)
    return decision
