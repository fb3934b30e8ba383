"""The verbs around a reaction: record, correct, void, and what is done when anaphylaxis is suspected."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from patients.models import StaleRecord, User, difference, snapshot
from reactions import tasks, worklist
from reactions.checkins.plan import plan_extra_checkins
from reactions.clinical.anaphylaxis import Evidence, assess
from reactions.clinical.ctcae import version_for
from reactions.models import AnaphylaxisRecord, Infusion, Reaction, Symptom, Treatment
from reactions.recording.writing import (
    AlreadyThere,
    Rows,
    SentBefore,
    claim,
    count_up,
    lock,
    lock_reaction,
    outdate_signature,
    refuse_other_words,
    replace_rows,
    row_snapshots,
    same_rows,
    void,
    write_about,
)
from reactions.vocabulary import ReactionRecord

# CTCAE's term for the episode as a whole, until its symptoms are written down.
EPISODE = "infusion_related_reaction"
# One infusion has one row for a drug at a minute.
TREATMENT_ONCE = ("at", "drug", "other_drug")


class AlreadyStamped(ValueError):
    """Somebody else has recorded this moment; `at` is when."""

    def __init__(self, at: datetime) -> None:
        super().__init__(str(at))
        self.at = at


@transaction.atomic
def record_reaction(
    *,
    by: User,
    infusion: Infusion,
    details: dict[str, Any],
    symptoms: Rows,
    treatments: Rows = (),
    submission_id: UUID,
    now: datetime,
) -> Reaction:
    """Add a reaction with its symptoms and treatments; its onset is the earliest of theirs.

    A form sent twice makes one reaction. Treatments of the infusion that belong to no reaction yet are taken along.
    Raises SentBefore when the form that made it comes again with other words, and AlreadyThere when one of `treatments`
    is recorded at its minute already.
    """
    held = lock(infusion)
    made_before = Reaction.objects.filter(submission_id=submission_id, infusion=infusion).first()
    if made_before:
        refuse_other_words(made_before, details, symptoms=symptoms)
        # Those of the form were made after the reaction; those that it took along, before.
        own = made_before.treatments.current().filter(created_at__gte=made_before.created_at)
        if not same_rows(own, treatments):
            raise SentBefore(made_before)
        return made_before
    reaction = Reaction.objects.create(infusion=held, submission_id=submission_id, created_by=by, **details)
    _replace_symptoms(reaction, symptoms)
    _take_along(held, reaction, by=by)
    _add_treatments(reaction, treatments, by=by)
    _say_observed(held)
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
    reason: str,
    seen_version: int,
    now: datetime,
) -> Reaction:
    """Change a reaction with its symptoms and treatments. Raises StaleRecord or AlreadyThere.

    A treatment that stands in no row any more is voided. One of the infusion that belongs to no reaction yet is taken
    along when a row names it, and left alone otherwise.
    """
    lock(reaction.infusion)
    claim(reaction, seen_version)
    before = reaction_snapshot(reaction)
    for name, value in details.items():
        setattr(reaction, name, value)
    reaction.onset_at = None
    reaction.save()
    _replace_symptoms(reaction, symptoms)
    _replace_treatments(reaction, treatments, by=by, now=now)
    changes = difference(before, reaction_snapshot(reaction))
    write_about(reaction, "reaction.corrected", by=by, changes=changes, reason=reason)
    worklist.follow(reaction, now=now)
    return reaction


@transaction.atomic
def void_reaction(reaction: Reaction, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    """Take the reaction out of every count and off the worklist. Raises StaleRecord.

    What was given for it was given all the same: it belongs to no reaction then, and the next one takes it along.
    """
    lock(reaction.infusion)
    void(reaction, "reaction.voided", by=by, reason=reason, seen_version=seen_version, now=now)
    for treatment in reaction.treatments.current():
        _belong(treatment, None, by=by, reason=reason)
    worklist.drop(reaction, because="The reaction was voided.", now=now)
    infusion = Infusion.objects.select_related("patient__clinic").get(pk=reaction.infusion_id)
    if not infusion.reactions.current().exists() and infusion.reaction_record != ReactionRecord.NOT_RECORDED:
        # Nobody has said that there was none: with its only reaction void, the infusion says nothing.
        Infusion.objects.filter(pk=infusion.pk).update(reaction_record=ReactionRecord.NOT_RECORDED)
        changes = {"reaction_record": [infusion.reaction_record, str(ReactionRecord.NOT_RECORDED)]}
        count_up(infusion)
        write_about(infusion, "infusion.corrected", by=by, changes=changes, reason=reason)


@transaction.atomic
def suspect_anaphylaxis(
    infusion: Infusion, *, by: User, at: datetime, submission_id: UUID, now: datetime
) -> AnaphylaxisRecord:
    """Open a reaction in one tap, so that times can be stamped at once; symptoms and grades are written down later.

    The reaction starts with CTCAE's term for the whole episode, ungraded. A tap sent twice opens one reaction, and
    while one is not resolved a second tap on the infusion leads to it.
    """
    held = lock(infusion)
    unresolved = AnaphylaxisRecord.objects.current().filter(
        reaction__infusion=held, reaction__voided_at=None, resolved_at=None
    )
    if already_open := unresolved.order_by("pk").last():
        return already_open
    reaction = Reaction.objects.filter(submission_id=submission_id, infusion=held).first()
    if reaction is None:
        reaction = Reaction.objects.create(infusion=held, submission_id=submission_id, created_by=by, onset_at=at)
        version = version_for(EPISODE, held.clinic.ctcae_version)
        reaction.symptoms.create(term=EPISODE, ctcae_version=version, onset_at=at)
        _take_along(held, reaction, by=by)
        _say_observed(held)
        write_about(reaction, "reaction.recorded", by=by, changes=difference({}, reaction_snapshot(reaction)))
    return open_anaphylaxis(reaction, by=by, now=now)


@transaction.atomic
def open_anaphylaxis(reaction: Reaction, *, by: User, now: datetime) -> AnaphylaxisRecord:
    """The reaction's anaphylaxis record, made when it has none."""
    lock_reaction(reaction)
    record, is_new = AnaphylaxisRecord.objects.get_or_create(reaction=reaction, defaults={"created_by": by})
    if is_new:
        write_about(record, "anaphylaxis.suspected", by=by)
        outdate_signature(reaction, by=by)
        worklist.follow(reaction, now=now)
    return record


@transaction.atomic
def stamp(record: AnaphylaxisRecord, name: str, *, by: User, at: datetime, now: datetime) -> None:
    """Record one of AnaphylaxisRecord.MOMENTS, to the minute. Raises AlreadyStamped when it is there.

    Correcting a moment is another verb. The record does not count up: evidence being typed meanwhile can be saved.
    """
    if name not in AnaphylaxisRecord.MOMENTS:
        raise ValueError(f"{name} is no moment of an anaphylaxis record.")
    lock_reaction(record.reaction)
    at = at.replace(second=0, microsecond=0)
    taken = AnaphylaxisRecord.objects.filter(pk=record.pk, voided_at=None, **{name: None})
    if not taken.update(**{name: at}):
        record.refresh_from_db()
        raise AlreadyStamped(getattr(record, name))
    record.refresh_from_db()
    write_about(record, "anaphylaxis.stamped", by=by, changes={name: [None, str(at)]})
    if outdate_signature(record.reaction, by=by):
        worklist.follow(record.reaction, now=now)


@transaction.atomic
def record_evidence(
    record: AnaphylaxisRecord,
    *,
    by: User,
    evidence: Evidence,
    moments: dict[str, tuple[datetime | None, datetime | None]],
    seen_version: int,
    now: datetime,
) -> AnaphylaxisRecord:
    """Store what was seen and when, with the published criteria that it meets.

    `moments` holds those that were corrected, each as it was seen and as it shall be. Raises StaleRecord when somebody
    else has judged the evidence or changed one of these moments meanwhile.

    Meeting a criterion plans the extra check-in. The reaction counts up: a signature under it is one of an earlier
    version then.
    """
    lock_reaction(record.reaction)
    claim(record, seen_version)
    before = snapshot(record)
    found = assess(evidence)
    nothing = asdict(Evidence())
    record.evidence = {name: value for name, value in asdict(evidence).items() if value != nothing[name]}
    record.criteria = [str(one) for one in (*found.niaid_faan_2006.criteria, *found.wao_2020.criteria)]
    record.brown_grade = found.brown_grade
    for name, (seen, at) in moments.items():
        if getattr(record, name) != seen:
            raise StaleRecord
        setattr(record, name, at)
    record.save()
    write_about(record, "anaphylaxis.judged", by=by, changes=difference(before, snapshot(record)))
    Reaction.objects.filter(pk=record.reaction_id).update(version=F("version") + 1)
    record.reaction.refresh_from_db()
    worklist.follow(record.reaction, now=now)
    if record.criteria:
        plan_extra_checkins(record.reaction.infusion, now=now)
        tasks.wake_after_commit()
    return record


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
        "anaphylaxis": snapshot(record) if record else None,
        "causality": snapshot(cause) if cause else None,
    }


@contextmanager
def follow_treatment(treatment: Treatment, act: str, *, by: User, reason: str, now: datetime) -> Iterator[None]:
    """Around a change of a treatment: its reaction counts up, and its own history says what became of it."""
    reaction = treatment.reaction
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


def _take_along(infusion: Infusion, reaction: Reaction, *, by: User) -> None:
    for treatment in infusion.treatments.current().filter(reaction=None):
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
    named = [tuple(row[name] for name in TREATMENT_ONCE) for row in wanted]
    for stored in Treatment.objects.current().filter(infusion=reaction.infusion_id):
        is_free = stored.reaction_id is None and tuple(getattr(stored, name) for name in TREATMENT_ONCE) in named
        if stored.reaction_id != reaction.pk and not is_free:
            continue
        same = {name: getattr(stored, name) for name in (*TREATMENT_ONCE, "dose", "route")}
        if same in wanted:
            wanted.remove(same)
            _belong(stored, reaction, by=by)
        else:
            why = "Corrected with the reaction."
            void(stored, "treatment.voided", by=by, reason=why, seen_version=stored.version, now=now)
    _add_treatments(reaction, wanted, by=by)


def _say_observed(infusion: Infusion) -> None:
    Infusion.objects.filter(pk=infusion.pk).update(reaction_record=ReactionRecord.OBSERVED)
    count_up(infusion)


__all__ = [
    "AlreadyStamped",
    "AlreadyThere",
    "StaleRecord",
    "correct_reaction",
    "follow_treatment",
    "open_anaphylaxis",
    "reaction_snapshot",
    "record_evidence",
    "record_reaction",
    "signed_content",
    "stamp",
    "suspect_anaphylaxis",
    "void_reaction",
]
