"""The verbs of follow-through: judge whether a reaction is serious and what caused it, and sign it."""

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.db import transaction

from patients.models import StaleRecord, User, difference
from reactions import worklist
from reactions.models import CausalityAssessment, Reaction, Signature
from reactions.recording.reactions import reaction_snapshot, signed_content
from reactions.recording.writing import claim, lock, lock_reaction, made_before, outdate_signature, write_about
from reactions.vocabulary import CausalityScale, SignatureMeaning


class WrongPassword(ValueError):
    """The second component of a signature, the signer's password, does not fit."""


@transaction.atomic
def judge_seriousness(
    reaction: Reaction, *, by: User, is_serious: bool, criteria: list[str], seen_version: int, now: datetime
) -> Reaction:
    """Say which criteria of 21 CFR 600.80 are met, or that none is. Raises StaleRecord."""
    lock_reaction(reaction)
    claim(reaction, seen_version)
    before = reaction_snapshot(reaction)
    reaction.is_serious, reaction.serious_criteria = is_serious, criteria
    reaction.save(update_fields=["is_serious", "serious_criteria"])
    changes = difference(before, reaction_snapshot(reaction))
    write_about(reaction, "reaction.seriousness_judged", by=by, changes=changes)
    worklist.follow(reaction, now=now)
    return reaction


@transaction.atomic
def judge_causality(
    reaction: Reaction,
    *,
    by: User,
    scale: CausalityScale,
    answers: dict[str, Any],
    category: str,
    score: int | None,
    note: str,
    submission_id: UUID,
    now: datetime,
) -> CausalityAssessment:
    """Add a judgement of the cause; the newest counts.

    A form sent twice makes one; with other words, SentBefore is raised.

    A signature that stands under the reaction is one of an earlier version then.
    """
    lock_reaction(reaction)
    told = {"scale": scale, "answers": answers, "category": category, "score": score, "note": note}
    if before := made_before(CausalityAssessment.objects.filter(reaction=reaction), submission_id, told):
        return cast("CausalityAssessment", before)
    judged = CausalityAssessment.objects.create(
        reaction=reaction,
        scale=scale,
        answers=answers,
        category=category,
        score=score,
        note=note,
        judged_at=now,
        judged_by=by,
        submission_id=submission_id,
    )
    changes = {"scale": [None, str(scale)], "category": [None, category], "answers": [None, answers]}
    write_about(reaction, "reaction.causality", by=by, changes=changes)
    outdate_signature(reaction, by=by)
    worklist.follow(reaction, now=now)
    return judged


@transaction.atomic
def sign_reaction(
    reaction: Reaction, *, by: User, password: str, meaning: SignatureMeaning, seen_version: int, now: datetime
) -> Signature:
    """Sign the version of the reaction that was seen, with name, time and meaning.

    Two components, as 21 CFR 11.200 asks: who is signed in, and their password once more. Raises WrongPassword, and
    StaleRecord when the reaction changed after it was read. A form sent twice signs once.
    """
    if not by.check_password(password):
        raise WrongPassword
    lock(reaction.infusion)
    stored = Reaction.objects.get(pk=reaction.pk)
    if stored.version != seen_version or stored.is_void:
        raise StaleRecord
    if signed_before := stored.signatures.filter(by=by, meaning=meaning, version=stored.version).first():
        return signed_before
    signature = Signature.objects.create(
        reaction=stored,
        by=by,
        printed_name=str(by),
        meaning=meaning,
        signed_at=now,
        version=stored.version,
        content=signed_content(stored),
    )
    changes = {"meaning": [None, str(meaning)], "version": [None, stored.version]}
    write_about(stored, "reaction.signed", by=by, changes=changes)
    worklist.follow(stored, now=now)
    return signature
