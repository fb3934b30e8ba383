"""The verbs around a reaction: record, correct, void."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from patients.models import User, difference, snapshot
from reactions import worklist
from reactions.checkins.plan import plan_evening
from reactions.models import AnaphylaxisRecord, Infusion, Reaction, Symptom, Treatment
from reactions.recording.infusions import refuse_late_start
from reactions.recording.writing import (
    AlreadyThere,
    Rows,
    SentBefore,
    claim,
    count_up,
    lock,
    refuse_other_words,
    replace_rows,
    row_snapshots,
    same_rows,
    void,
    write_about,
)
from reactions.vocabulary import ReactionRecord

# One infusion has one row for a drug at a minute.
TREATMENT_ONCE = ("at", "drug", "other_drug")


@transaction.atomic
def record_reaction(
    *,
    by: User,
    infusion: Infusion,
    details: dict[str, Any],
    symptoms: Rows,
    treatments: Rows = (),
    taken_along: Collection[int] = (),
    submission_id: UUID,
    now: datetime,
) -> Reaction:
    """Add a reaction with its symptoms and treatments; its onset is the earliest of theirs.

    `taken_along` are the keys of treatments recorded at the chairside that were given for it; one that belongs to
    another reaction by now stays there. A form sent twice makes one reaction.

    Raises SentBefore when it comes again with other words, AlreadyThere when one of `treatments` is recorded at its
    minute already, and StartsTooLate when the infusion's start was moved behind it meanwhile.
    """
    held = lock(infusion)
    made_before = Reaction.objects.filter(submission_id=submission_id).first()
    if made_before and made_before.infusion_id != held.pk:
        raise SentBefore(made_before)
    if made_before:
        refuse_other_words(made_before, details, symptoms=symptoms)
        # Those of the form: neither recorded at the chairside, with an id of their own, nor taken along from before.
        own = made_before.treatments.current().filter(submission_id=None, created_at__gte=made_before.created_at)
        if not same_rows(own, treatments):
            raise SentBefore(made_before)
        return made_before
    reaction = Reaction.objects.create(infusion=held, submission_id=submission_id, created_by=by, **details)
    _replace_symptoms(reaction, symptoms)
    take_along(reaction, free_treatments(held).filter(pk__in=taken_along), by=by)
    _add_treatments(reaction, treatments, by=by)
    refuse_late_start(held)
    say_observed(held)
    write_about(reaction, "reaction.recorded", by=by, changes=difference({}, reaction_snapshot(reaction)))
    worklist.follow(reaction, now=now)
    return reaction


@transaction.atomic
def correct_reaction(
    reaction: Reaction,
    *,
    by: User,
    details: dict[str, Any],
    symptoms: Rows,
    treatments: Rows = (),
    taken_along: Collection[int] = (),
    reason: str,
    seen_version: int,
    now: datetime,
) -> Reaction:
    """Change a reaction with its symptoms and treatments. Raises StaleRecord, AlreadyThere or StartsTooLate.

    A treatment of the reaction that stands in no row any more is voided. `taken_along` are the keys of those recorded
    at the chairside that were given for it too.
    """
    held = lock(reaction.infusion)
    claim(reaction, seen_version)
    before = reaction_snapshot(reaction)
    for name, value in details.items():
        setattr(reaction, name, value)
    reaction.onset_at = None
    reaction.save()
    _replace_symptoms(reaction, symptoms)
    _replace_treatments(reaction, treatments, by=by, now=now)
    take_along(reaction, free_treatments(reaction.infusion).filter(pk__in=taken_along), by=by)
    refuse_late_start(held)
    changes = difference(before, reaction_snapshot(reaction))
    write_about(reaction, "reaction.corrected", by=by, changes=changes, reason=reason)
    worklist.follow(reaction, now=now)
    return reaction


@transaction.atomic
def void_reaction(reaction: Reaction, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    """Take the reaction out of every count and off the worklist. Raises StaleRecord.

    What was given for it was given all the same: it belongs to no reaction then.
    """
    lock(reaction.infusion)
    void(reaction, "reaction.voided", by=by, reason=reason, seen_version=seen_version, now=now)
    for treatment in reaction.treatments.current():
        _belong(treatment, None, by=by, reason=reason)
    worklist.drop(reaction, because="The reaction was voided.", now=now)
    plan_evening(reaction.infusion, now=now)
    infusion = Infusion.objects.select_related("patient__clinic").get(pk=reaction.infusion_id)
    if not infusion.reactions.current().exists() and infusion.reaction_record != ReactionRecord.NOT_RECORDED:
        # Nobody has said that there was none: with its only reaction void, the infusion says nothing.
        Infusion.objects.filter(pk=infusion.pk).update(reaction_record=ReactionRecord.NOT_RECORDED)
        changes = {"reaction_record": [infusion.reaction_record, str(ReactionRecord.NOT_RECORDED)]}
        count_up(infusion)
        write_about(infusion, "infusion.corrected", by=by, changes=changes, reason=reason)


def reaction_snapshot(reaction: Reaction) -> dict[str, Any]:
    """The reaction with its symptoms and treatments, as JSON takes them."""
    return snapshot(reaction) | {
        "symptoms": row_snapshots(reaction.symptoms.all(), "reaction_id"),
        "treatments": row_snapshots(reaction.treatments.current(), "reaction_id"),
    }


def signed_content(reaction: Reaction) -> dict[str, Any]:
    """What a signature stands under: the reaction, its anaphylaxis record and the judgement of its cause."""
    record = AnaphylaxisRecord.objects.current().filter(reaction=reaction).first()
    cause = reaction.causality.first()
    return reaction_snapshot(reaction) | {
        "anaphylaxis": snapshot(record) | {"stopped_at": _as_text(record.stopped_at)} if record else None,
        "causality": snapshot(cause) if cause else None,
    }


def _as_text(moment: datetime | None) -> str | None:
    return str(moment) if moment else None


@contextmanager
def changing(reaction: Reaction | None, act: str, *, by: User, now: datetime, reason: str = "") -> Iterator[None]:
    """Around a change of something that belongs to a reaction: it counts up, and its history says what became of it."""
    if reaction is None:
        yield
        return
    before = reaction_snapshot(reaction)
    yield
    Reaction.objects.filter(pk=reaction.pk).update(version=F("version") + 1)
    reaction.refresh_from_db()
    changes = difference(before, reaction_snapshot(reaction))
    write_about(reaction, act, by=by, changes=changes, reason=reason)
    worklist.follow(reaction, now=now)


def _replace_symptoms(reaction: Reaction, symptoms: Rows) -> None:
    rows = [Symptom(reaction=reaction, **symptom) for symptom in symptoms]
    replace_rows(reaction.symptoms, rows)
    reaction.onset_at = min((row.onset_at for row in rows if row.onset_at), default=None)
    reaction.save(update_fields=["onset_at"])


def free_treatments(infusion: Infusion) -> Any:
    """Treatments of the infusion that belong to no reaction yet."""
    return infusion.treatments.current().filter(reaction=None)


def take_along(reaction: Reaction, treatments: Iterable[Treatment], *, by: User) -> None:
    """Say that these were given for the reaction."""
    for treatment in treatments:
        _belong(treatment, reaction, by=by)


def _belong(treatment: Treatment, reaction: Reaction | None, *, by: User, reason: str = "") -> None:
    """Say to which reaction a treatment belongs, in its own history too."""
    if treatment.reaction_id == (reaction.pk if reaction else None):
        return
    claim(treatment, treatment.version)
    before = snapshot(treatment)
    treatment.reaction = reaction
    treatment.save(update_fields=["reaction"])
    write_about(treatment, "treatment.assigned", by=by, changes=difference(before, snapshot(treatment)), reason=reason)


def _add_treatments(reaction: Reaction, treatments: Rows, *, by: User) -> None:
    for treatment in treatments:
        same = {name: treatment[name] for name in TREATMENT_ONCE}
        if stored := Treatment.objects.current().filter(infusion=reaction.infusion_id, **same).first():
            raise AlreadyThere(stored)
        reaction.treatments.create(infusion_id=reaction.infusion_id, created_by=by, **treatment)


def _replace_treatments(reaction: Reaction, treatments: Rows, *, by: User, now: datetime) -> None:
    """Void what is not among the rows any more, add what is new; what is the same stays as it was recorded."""
    wanted = [dict(row) for row in treatments]
    for stored in reaction.treatments.current():
        same = {name: getattr(stored, name) for name in (*TREATMENT_ONCE, "dose", "route")}
        if same in wanted:
            wanted.remove(same)
        else:
            why = "Corrected with the reaction."
            void(stored, "treatment.voided", by=by, reason=why, seen_version=stored.version, now=now)
    _add_treatments(reaction, wanted, by=by)


def say_observed(infusion: Infusion) -> None:
    """The infusion was watched: there is a reaction to it."""
    Infusion.objects.filter(pk=infusion.pk).update(reaction_record=ReactionRecord.OBSERVED)
    count_up(infusion)
