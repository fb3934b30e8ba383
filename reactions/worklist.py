"""Follow-through: a serious reaction stays on the worklist until it is complete and signed, a signal until decided.

A new item is mailed to the clinic's administrators; the mail says no more than that.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import QuerySet

from patients.models import Clinic, Patient, StaffRole
from patients.words import StaffRoleName
from reactions import outbox
from reactions.models import AnaphylaxisRecord, Reaction, Signal, WorkItem
from reactions.vocabulary import MailKind, Outcome, WorkKind

BATCH = 500
# An outcome in these words is not the end of the story.
OPEN_OUTCOMES = frozenset({Outcome.UNKNOWN, Outcome.RECOVERING})


def missing(reaction: Reaction) -> list[str]:
    """What keeps a serious reaction open, in the order in which it is done; empty when it is complete."""
    found = []
    symptoms = list(reaction.symptoms.all())
    if any(symptom.grade is None for symptom in symptoms):
        found.append("a grade for every symptom")
    if reaction.is_serious is None:
        found.append("whether it is serious")
    if reaction.outcome in OPEN_OUTCOMES:
        found.append("the final outcome")
    judged = reaction.causality.first()
    if judged is None or not judged.category:
        found.append("the cause")
    signed = reaction.signatures.first()
    if signed is None:
        found.append("a signature")
    elif signed.version != reaction.version:
        found.append(f"a signature under version {reaction.version}: version {signed.version} was signed")
    return found


def follow(reaction: Reaction, *, now: datetime) -> None:
    """Open, keep or close the reaction's item. Belongs inside the transaction that changed the reaction."""
    # As it is stored now: what the caller holds may know its rows from before the change.
    reaction = Reaction.objects.select_related("infusion__patient").get(pk=reaction.pk)
    if not needs_following(reaction):
        drop(reaction, because="It is judged not serious.", now=now)
        return
    if missing(reaction):
        item, is_new = WorkItem.objects.get_or_create(
            kind=WorkKind.SERIOUS_REACTION,
            reaction=reaction,
            closed_at=None,
            defaults={"clinic": reaction.infusion.patient.clinic, "opened_at": now},
        )
        if is_new:
            _tell_administrators(item, now)
    else:
        drop(reaction, because="Complete and signed.", now=now)


def follow_log(clinic: Clinic, reactions: Iterable[Reaction], *, now: datetime) -> None:
    """Open an item for each serious reaction of a log. Nobody is mailed: whoever imports knows."""
    kind = WorkKind.SERIOUS_REACTION
    items = [WorkItem(clinic=clinic, kind=kind, reaction=reaction, opened_at=now) for reaction in reactions]
    WorkItem.objects.bulk_create(items, batch_size=BATCH)


def follow_patient(patient: Patient, kind: WorkKind, *, now: datetime) -> None:
    """Open an item about the patient unless one of this kind is open. Belongs inside a verb's transaction."""
    opened = {"clinic": patient.clinic, "opened_at": now}
    item, is_new = WorkItem.objects.get_or_create(kind=kind, patient=patient, closed_at=None, defaults=opened)
    if is_new:
        _tell_administrators(item, now)


def drop_about_patient(patient: Patient, kind: WorkKind, *, because: str, now: datetime) -> None:
    """Close the patient's open item of this kind."""
    WorkItem.objects.open().filter(patient=patient, kind=kind).update(closed_at=now, closed_because=because)


def follow_signal(signal: Signal, *, now: datetime) -> None:
    """Open the item of a signal that was raised. Belongs inside the transaction that raised it."""
    opened = {"clinic": signal.clinic, "opened_at": now}
    item, is_new = WorkItem.objects.get_or_create(kind=WorkKind.SIGNAL, signal=signal, closed_at=None, defaults=opened)
    if is_new:
        _tell_administrators(item, now)


def drop_signal(signal: Signal, *, because: str, now: datetime) -> None:
    """Close the signal's open item."""
    WorkItem.objects.open().filter(signal=signal).update(closed_at=now, closed_because=because)


def _tell_administrators(item: WorkItem, now: datetime) -> None:
    """Plan a mail to each administrator of the clinic; the page and its count are there for everybody."""
    roles = StaffRole.objects.filter(
        clinic=item.clinic, role=StaffRoleName.ADMINISTRATOR, is_active=True, user__is_active=True
    )
    for role in roles.exclude(user__email="").select_related("user"):
        key = f"work:{item.pk}:{role.user_id}"
        outbox.enqueue(MailKind.WORK, key=key, due_at=now, work=item, recipient=role.user)


def needs_following(reaction: Reaction) -> bool:
    """Serious, or it meets published criteria of anaphylaxis, or that is suspected and seriousness is not judged."""
    if reaction.is_void:
        return False
    if reaction.is_serious:
        return True
    record = AnaphylaxisRecord.objects.current().filter(reaction=reaction).first()
    return record is not None and bool(record.criteria or reaction.is_serious is None)


def drop(reaction: Reaction, *, because: str, now: datetime) -> None:
    """Close the reaction's open items."""
    _open(reaction).update(closed_at=now, closed_because=because)


def _open(reaction: Reaction) -> QuerySet[WorkItem]:
    return WorkItem.objects.open().filter(reaction=reaction)
