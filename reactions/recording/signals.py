"""What a named person decides about a signal."""

from datetime import datetime
from typing import cast
from uuid import UUID

from django.db import transaction

from patients.models import StaleRecord, User, write_event
from reactions import worklist
from reactions.models import Signal, SignalDecision
from reactions.recording.writing import made_before
from reactions.vocabulary import SignalVerdict


@transaction.atomic
def decide_signal(
    signal: Signal,
    *,
    by: User,
    verdict: SignalVerdict,
    words: str,
    seen_version: int,
    submission_id: UUID,
    now: datetime,
) -> SignalDecision:
    """Write the decision down with the figures that were seen, and take the signal off the worklist.

    A further decision about the same signal is a note to it; the earlier ones stay. A form sent twice makes one; with
    other words, SentBefore is raised. Raises StaleRecord when a look has brought other figures than those seen.
    """
    held = Signal.objects.select_for_update(of=("self",), no_key=True).select_related("clinic").get(pk=signal.pk)
    told = {"verdict": verdict, "words": words}
    if before := made_before(SignalDecision.objects.filter(signal=held), submission_id, told):
        return cast("SignalDecision", before)
    if held.version != seen_version:
        raise StaleRecord
    decision = SignalDecision.objects.create(
        signal=held,
        figures=held.words,
        events=held.events,
        infusions=held.infusions,
        decided_at=now,
        decided_by=by,
        submission_id=submission_id,
        **told,
    )
    if held.decided_at is None:
        held.decided_at = now
        held.save(update_fields=["decided_at"])
    worklist.drop_signal(held, because=decision.get_verdict_display(), now=now)
    changes = {"what": [None, held.what], "verdict": [None, str(verdict)]}
    write_event("signal.decided", by=by, about=held, clinic=held.clinic, changes=changes, reason=words[:500])
    return decision
