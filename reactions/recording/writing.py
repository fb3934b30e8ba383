"""What every verb does around its own rows: claim the version, keep what stood there, write the audit event."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import F

from patients.models import Patient, Record, RecordVoided, StaleRecord, User, snapshot, write_event
from reactions.models import ChairsideRow, Infusion, Reaction

Rows = Iterable[dict[str, Any]]


class AlreadyThere(ValueError):
    """Somebody else has written a row for this minute; `stored` is theirs."""

    def __init__(self, stored: ChairsideRow) -> None:
        super().__init__(str(stored))
        self.stored = stored


def claim(record: Record, seen_version: int) -> None:
    """Count the version up and read the record anew. Raises StaleRecord when it is not the version that was seen."""
    if not record.claim_version(seen_version):
        raise StaleRecord
    record.refresh_from_db()


def void(
    record: Any,
    act: str,
    *,
    by: User,
    reason: str,
    seen_version: int,
    now: datetime,
    changes: dict[str, Any] | None = None,
) -> None:
    """Take a record that has a `patient` out of use. Raises StaleRecord."""
    claim(record, seen_version)
    record.voided_at, record.voided_by, record.void_reason = now, by, reason
    record.save(update_fields=["voided_at", "voided_by", "void_reason"])
    write_about(record, act, by=by, changes=changes, reason=reason)


def lock(infusion: Infusion) -> Infusion:
    """The infusion as it is stored, held until the transaction ends: what is written at one chair takes turns.

    Raises RecordVoided when the infusion or its patient is void, or the patient erased.
    """
    held = Infusion.objects.select_for_update(no_key=True).get(pk=infusion.pk)
    # In a statement of its own: a join would show the patient as before the wait for the lock.
    held.patient = Patient.objects.select_related("clinic").get(pk=held.patient_id)
    if held.is_void or held.patient.is_closed:
        raise RecordVoided
    return held


def lock_reaction(reaction: Reaction) -> Reaction:
    """The reaction as it is stored, its infusion held: the infusion's row is taken first by everybody.

    Raises RecordVoided when the reaction, its infusion or its patient is void.
    """
    held = lock(reaction.infusion)
    stored = Reaction.objects.get(pk=reaction.pk)
    if stored.is_void:
        raise RecordVoided
    stored.infusion = held
    return stored


class SentBefore(Exception):
    """A form that was saved already came again with other words in it; `record` is what was saved."""

    def __init__(self, record: Any) -> None:
        super().__init__(str(record))
        self.record = record


def refuse_other_words(record: Any, details: dict[str, Any], **rows: Rows) -> None:
    """Raise SentBefore unless the record still says what the form that came again says.

    `rows` name the record's sets of rows, each with what was sent of it.
    """
    same = all(getattr(record, name) == value for name, value in details.items())
    same = same and all(same_rows(getattr(record, name).all(), sent) for name, sent in rows.items())
    if getattr(record, "is_void", False) or not same:
        raise SentBefore(record)


def same_rows(stored: Iterable[Any], sent: Rows) -> bool:
    """There are as many rows as were sent, and each that was sent is among them."""
    rows, told = list(stored), [dict(row) for row in sent]
    return len(rows) == len(told) and all(
        any(all(getattr(row, key) == value for key, value in one.items()) for row in rows) for one in told
    )


def made_before(stored: Any, submission_id: UUID, details: dict[str, Any]) -> Any:
    """The record among `stored` that the form made when it came first; None when it comes for the first time.

    Raises SentBefore when it says something else now, or belongs elsewhere. `details` hold what a person typed: a time
    that was left open is the moment of arrival, another one each time.
    """
    record = stored.filter(submission_id=submission_id).first()
    if record:
        refuse_other_words(record, details)
    elif elsewhere := stored.model._base_manager.filter(submission_id=submission_id).first():
        raise SentBefore(elsewhere)
    return record


class ReactionStands(ValueError):
    """The infusion has a reaction that is not void, and would say otherwise."""


def refuse_denial(infusion: Infusion) -> None:
    """Raise ReactionStands when the infusion has a reaction that is not void."""
    if infusion.reactions.current().exists():
        raise ReactionStands("A reaction to this infusion is recorded. If there was none, void it first.")


def count_up(infusion: Infusion) -> None:
    """A row was added to the infusion: a form opened before it is stale now."""
    Infusion.objects.filter(pk=infusion.pk).update(version=F("version") + 1)


def outdate_signature(reaction: Reaction, *, by: User) -> bool:
    """Count a reaction up when its present version is signed, since something beside it changed. True when it did."""
    stored = Reaction.objects.select_for_update(no_key=True).get(pk=reaction.pk)
    if not stored.signatures.filter(version=stored.version).exists():
        return False
    Reaction.objects.filter(pk=stored.pk).update(version=F("version") + 1)
    reaction.refresh_from_db()
    write_about(reaction, "reaction.signature_outdated", by=by)
    return True


def replace_rows(stored: Any, rows: list[Any]) -> None:
    """Put the rows in the place of those stored. What stood there before is in the audit event of the correction."""
    stored.all().delete()
    stored.model.objects.bulk_create(rows)


def row_snapshots(rows: Iterable[models.Model], parent: str) -> list[dict[str, Any]]:
    """Each row's columns but the one that leads to its parent."""
    return [{name: value for name, value in snapshot(row).items() if name != parent} for row in rows]


def write_about(
    record: Any, act: str, *, by: User | None, changes: dict[str, Any] | None = None, reason: str = ""
) -> None:
    """The audit event of a record that has a `patient`."""
    patient: Patient = record.patient
    write_event(act, by=by, about=record, clinic=patient.clinic, patient_id=patient.pk, changes=changes, reason=reason)
