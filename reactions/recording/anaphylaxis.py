"""The verbs when anaphylaxis is suspected: open the record in one tap, tap what is done, write down what was seen."""

from dataclasses import asdict
from datetime import datetime, timedelta
from uuid import UUID, uuid4, uuid5

from django.db import transaction
from django.db.models import F, Q

from patients.models import RecordVoided, StaleRecord, User, difference, snapshot
from reactions import tasks, worklist
from reactions.checkins.plan import plan_evening
from reactions.clinical.anaphylaxis import Evidence, assess
from reactions.clinical.ctcae import EPISODE, version_for
from reactions.models import AnaphylaxisRecord, Infusion, Reaction
from reactions.recording.chairside import give_treatment, stop_infusion
from reactions.recording.reactions import changing, free_treatments, reaction_snapshot, say_observed, take_along
from reactions.recording.writing import (
    AlreadyThere,
    SentBefore,
    claim,
    lock,
    lock_reaction,
    outdate_signature,
    void,
    write_about,
)
from reactions.vocabulary import ADRENALINE, Action

# A drug given so shortly before the tap was given for what led to it; an earlier one is for a person to assign. The
# half hour is this project's.
GIVEN_FOR_IT = timedelta(minutes=30)


class AlreadyStamped(ValueError):
    """Somebody else has recorded this moment; `at` is when."""

    def __init__(self, at: datetime) -> None:
        super().__init__(str(at))
        self.at = at


class ImpossibleMoment(ValueError):
    """The moment contradicts what is recorded; the words are for the person who tapped."""


@transaction.atomic
def suspect_anaphylaxis(
    infusion: Infusion, *, by: User, at: datetime, submission_id: UUID, now: datetime
) -> AnaphylaxisRecord:
    """Open a reaction in one tap, so that times can be stamped at once; symptoms and grades are written down later.

    The reaction starts with CTCAE's term for the whole episode, ungraded. A tap sent twice opens one reaction, and
    while one goes on a second tap on the infusion leads to it. Raises SentBefore when the reaction of this tap
    was voided, or its suspicion taken back, in the meantime.
    """
    held = lock(infusion)
    records = AnaphylaxisRecord.objects.current().filter(reaction__infusion=held, reaction__voided_at=None)
    # A tap that comes late belongs to what was going on when it was tapped.
    at_that_time = Q(reaction__resolved_at__gte=at, reaction__onset_at__lte=at + GIVEN_FOR_IT)
    if already_open := records.filter(Q(reaction__resolved_at=None) | at_that_time).order_by("pk").last():
        return already_open
    reaction = Reaction.objects.filter(submission_id=submission_id, infusion=held).first()
    if reaction and (reaction.is_void or not AnaphylaxisRecord.objects.current().filter(reaction=reaction).exists()):
        raise SentBefore(reaction)
    if reaction is None:
        if Reaction.objects.filter(submission_id=submission_id).exists():
            # The id made a reaction to another infusion. A tap in an emergency is not turned away for that.
            submission_id = uuid4()
        reaction = Reaction.objects.create(infusion=held, submission_id=submission_id, created_by=by, onset_at=at)
        version = version_for(EPISODE, held.clinic.ctcae_version)
        reaction.symptoms.create(term=EPISODE, ctcae_version=version, onset_at=at)
        take_along(reaction, free_treatments(held).filter(at__gte=at - GIVEN_FOR_IT), by=by)
        say_observed(held)
        write_about(reaction, "reaction.recorded", by=by, changes=difference({}, reaction_snapshot(reaction)))
    return open_anaphylaxis(reaction, by=by, now=now)


@transaction.atomic
def open_anaphylaxis(reaction: Reaction, *, by: User, now: datetime) -> AnaphylaxisRecord:
    """The reaction's anaphylaxis record, made when it has none; one that was taken back begins anew, empty."""
    lock_reaction(reaction)
    record = AnaphylaxisRecord.objects.filter(reaction=reaction).first()
    if record and not record.is_void:
        return record
    if record is None:
        record = AnaphylaxisRecord.objects.create(reaction=reaction, created_by=by)
    else:
        _begin_anew(record, by=by, now=now)
    write_about(record, "anaphylaxis.suspected", by=by)
    outdate_signature(reaction, by=by)
    worklist.follow(reaction, now=now)
    return record


@transaction.atomic
def void_anaphylaxis(record: AnaphylaxisRecord, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    """Take the suspicion back; the reaction counts up. Raises StaleRecord.

    What was done stays where it stands: the drugs given, the stop, the resolution. A criterion that was met counts
    nowhere any more, and the worklist keeps the reaction only for what else it is.
    """
    reaction = lock_reaction(record.reaction)
    held = snapshot(AnaphylaxisRecord.objects.get(pk=record.pk))
    changes = {name: [held[name], None] for name in AnaphylaxisRecord.FOUND if held[name] not in (None, [], {})}
    void(record, "anaphylaxis.voided", by=by, reason=reason, seen_version=seen_version, now=now, changes=changes)
    Reaction.objects.filter(pk=reaction.pk).update(version=F("version") + 1)
    reaction.refresh_from_db()
    if not worklist.needs_following(reaction):
        worklist.drop(reaction, because="The suspicion of anaphylaxis was taken back.", now=now)
    worklist.follow(reaction, now=now)
    plan_evening(reaction.infusion, now=now)


@transaction.atomic
def stamp(
    record: AnaphylaxisRecord, name: str, *, by: User, at: datetime, now: datetime, tap_id: UUID | None = None
) -> None:
    """Record one of MOMENT_LABELS where it belongs: the stop ends the infusion, adrenaline is a treatment.

    The record does not count up: evidence being typed meanwhile can be saved. Correcting a moment is another verb. What
    was tapped before the infusion's start, on a clock that goes wrong, counts as tapped at it. `tap_id` tells a tap
    that comes again from another one.

    Raises AlreadyStamped when the moment is there, AlreadyThere when this minute has a dose of adrenaline,
    ImpossibleSteps when the rate was changed after the stop, ImpossibleMoment for an end before the beginning or help
    that comes before it is called, SentBefore when what this very tap wrote was taken back since, and RecordVoided when
    the suspicion was.
    """
    reaction = lock_reaction(record.reaction)
    stored = AnaphylaxisRecord.objects.current().filter(pk=record.pk).first()
    if stored is None:
        raise RecordVoided
    stored.reaction = reaction
    at = max(at, reaction.infusion.started_at)
    to_the_minute = max(at.replace(second=0, microsecond=0), reaction.infusion.started_at)
    submission_id = uuid5(tap_id, name) if tap_id else uuid4()
    if name == "stopped_at":
        _stop(reaction, by=by, at=at, submission_id=submission_id, now=now)
    elif name in AnaphylaxisRecord.ADRENALINE_MOMENTS:
        _give_adrenaline(stored, name, by=by, at=to_the_minute, submission_id=submission_id, now=now)
    elif name == "resolved_at":
        _resolve(reaction, by=by, at=to_the_minute, now=now)
    elif name in AnaphylaxisRecord.OWN_MOMENTS:
        _keep(stored, name, by=by, at=to_the_minute)
    else:
        raise ValueError(f"{name} is no moment of an anaphylaxis record.")
    if outdate_signature(reaction, by=by):
        worklist.follow(reaction, now=now)


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

    `moments` holds those of AnaphylaxisRecord.OWN_MOMENTS that were corrected, each as it was seen and as it shall be.
    Raises StaleRecord when somebody else has judged the evidence or changed one of these moments meanwhile.

    Meeting a criterion plans the check-in of that evening, meeting none any more cancels it. The reaction counts up: a
    signature under it is one of an earlier version then.
    """
    lock_reaction(record.reaction)
    claim(record, seen_version)
    before = snapshot(record)
    found = assess(evidence)
    nothing = asdict(Evidence())
    record.evidence = {name: value for name, value in asdict(evidence).items() if value != nothing[name]}
    record.criteria = [str(one) for one in (*found.niaid_faan_2006.criteria, *found.wao_2020.criteria)]
    record.brown_grade, record.judged_at = found.brown_grade, now
    for name, (seen, at) in moments.items():
        if getattr(record, name) != seen:
            raise StaleRecord
        setattr(record, name, at)
    if not _comes_after_the_call(record):
        # The form was right; a tap came in between.
        raise StaleRecord
    record.save()
    write_about(record, "anaphylaxis.judged", by=by, changes=difference(before, snapshot(record)))
    Reaction.objects.filter(pk=record.reaction_id).update(version=F("version") + 1)
    record.reaction.refresh_from_db()
    worklist.follow(record.reaction, now=now)
    plan_evening(record.reaction.infusion, now=now)
    tasks.wake_after_commit()
    return record


def _begin_anew(record: AnaphylaxisRecord, *, by: User, now: datetime) -> None:
    """A record that was taken back, as a tap makes one. What it held is in the audit event of its taking back."""
    blank = {field.name: field.get_default() for field in record._meta.concrete_fields if field.name in record.FOUND}
    in_use = {"voided_at": None, "voided_by": None, "void_reason": ""}
    AnaphylaxisRecord.objects.filter(pk=record.pk).update(
        version=F("version") + 1, created_by=by, created_at=now, **in_use, **blank
    )
    record.refresh_from_db()


def _stop(reaction: Reaction, *, by: User, at: datetime, submission_id: UUID, now: datetime) -> None:
    """End the infusion; that it was stopped is said in the reaction, unless somebody has said what was done."""
    if ended := reaction.infusion.ended_at:
        raise AlreadyStamped(ended)
    stop_infusion(reaction.infusion, by=by, at=at, submission_id=submission_id, now=now)
    if reaction.action == Action.NOT_RECORDED:
        with changing(reaction, "reaction.infusion_stopped", by=by, now=now):
            Reaction.objects.filter(pk=reaction.pk).update(action=Action.STOPPED)


def _give_adrenaline(
    record: AnaphylaxisRecord, name: str, *, by: User, at: datetime, submission_id: UUID, now: datetime
) -> None:
    dose = AnaphylaxisRecord.ADRENALINE_MOMENTS.index(name)
    given = record.adrenaline
    if len(given) > dose:
        raise AlreadyStamped(given[dose].at)
    details = {"drug": ADRENALINE, "other_drug": "", "dose": "", "route": ""}
    try:
        give_treatment(
            record.reaction.infusion,
            by=by,
            at=at,
            details=details,
            reaction=record.reaction,
            submission_id=submission_id,
            now=now,
            at_left_open=True,
        )
    except AlreadyThere as error:
        free = free_treatments(record.reaction.infusion).filter(pk=error.stored.pk)
        if not free:
            raise
        # It was written down on the page of the infusion a moment ago.
        with changing(record.reaction, "reaction.treatment_given", by=by, now=now):
            take_along(record.reaction, free, by=by)


def _resolve(reaction: Reaction, *, by: User, at: datetime, now: datetime) -> None:
    if reaction.resolved_at:
        raise AlreadyStamped(reaction.resolved_at)
    if reaction.onset_at and at < reaction.onset_at.replace(second=0, microsecond=0):
        raise ImpossibleMoment("The reaction cannot resolve before it began. Correct its onset first.")
    with changing(reaction, "reaction.resolved", by=by, now=now):
        Reaction.objects.filter(pk=reaction.pk).update(resolved_at=max(at, reaction.onset_at or at))


def _comes_after_the_call(record: AnaphylaxisRecord, **changed: datetime) -> bool:
    """Whether help arrives when it was called or later, with some of the two times changed."""
    called, arrived = (changed.get(name, getattr(record, name)) for name in AnaphylaxisRecord.OWN_MOMENTS)
    return called is None or arrived is None or called <= arrived


def _keep(record: AnaphylaxisRecord, name: str, *, by: User, at: datetime) -> None:
    if getattr(record, name) is None and not _comes_after_the_call(record, **{name: at}):
        raise ImpossibleMoment("Help cannot come before it was called. Write the right time below.")
    taken = AnaphylaxisRecord.objects.filter(pk=record.pk, **{name: None})
    if not taken.update(**{name: at}):
        raise AlreadyStamped(getattr(record, name))
    write_about(record, "anaphylaxis.stamped", by=by, changes={name: [None, str(at)]})
