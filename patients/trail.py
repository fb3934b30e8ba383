"""The audit trail as a chain: events come under seals, and whether both are as they were written."""

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Count

from patients import guards
from patients.models import AuditEvent, AuditKey, AuditSeal

# Events under one seal at most.
TOGETHER = 5_000
START = "0" * 64


def seal_events(*, now: datetime) -> int:
    """Bring the events since the last seal under new ones. Returns how many. For the tick.

    A transaction that is still open has its events sealed afterwards, so nobody who writes waits for the chain. Of two
    hosts that seal at once one fails with IntegrityError, and nothing of its seal stays.
    """
    sealed = 0
    while batch := _seal_batch(now):
        sealed += batch
    return sealed


@transaction.atomic
def _seal_batch(now: datetime) -> int:
    last = AuditSeal.objects.order_by("number").last()
    events = dict(AuditEvent.objects.filter(seal=None).order_by("pk").values_list("pk", "code")[:TOGETHER])
    if not events:
        return 0
    number = last.number + 1 if last else 1
    digest = _digest(last.digest if last else START, number, events.items())
    seal = AuditSeal.objects.create(number=number, at=now, events=write_ranges(events), digest=digest)
    # Past the rule that events are never changed: the triggers let nothing but this through.
    AuditEvent._base_manager.filter(pk__in=list(events), seal=None).update(seal=seal)
    return len(events)


def _digest(before: str, number: int, events: Iterable[tuple[int, str]]) -> str:
    said = f"{before} {number} " + " ".join(f"{pk}:{code}" for pk, code in events)
    return hashlib.sha256(said.encode()).hexdigest()


@dataclass
class Verdict:
    """What `verify` found. `faults` say in words what is wrong and where; `head` is the digest of the last seal."""

    events: int = 0
    seals: int = 0
    unsealed: int = 0
    head: str = START
    knows_head: bool = True
    faults: list[str] = field(default_factory=list)


def verify(*, head: str = "") -> Verdict:
    """Read the whole trail and say what is wrong with it.

    An altered event and one that this service did not write have a wrong code; a removed one is missing under its seal;
    one that was put in later is not named by the seal it claims. What nobody can see from inside is that the end was
    cut off, last seals and all: `head`, a digest that was noted down elsewhere, must be in the chain.
    """
    verdict = Verdict(knows_head=not head)
    if not guards.are_on(DEFAULT_DB_ALIAS):
        verdict.faults.append("The triggers that keep the trail are not all there. `migrate` puts them on again.")
    everything = AuditEvent.objects.order_by("pk")
    own, _ = AuditKey.of(None)
    before = START
    for seal in AuditSeal.objects.order_by("number").iterator():
        verdict.seals += 1
        if seal.number != verdict.seals:
            verdict.faults.append(f"Before seal {seal.number} one is missing.")
            verdict.seals = seal.number
        events = list(everything.filter(seal=seal))
        _look_at_codes(verdict, events, own)
        there, named = {event.pk for event in events}, set(read_ranges(seal.events))
        verdict.faults += [f"Event {pk} is missing under seal {seal.number}." for pk in sorted(named - there)]
        verdict.faults += [f"Event {pk} came under seal {seal.number} later." for pk in sorted(there - named)]
        if seal.digest != _digest(before, seal.number, [(event.pk, event.code) for event in events]):
            verdict.faults.append(f"Seal {seal.number} does not fit the events under it and the seal before.")
        before = verdict.head = seal.digest
        verdict.knows_head |= seal.digest == head
    for event in everything.filter(seal=None).iterator():
        _look_at_codes(verdict, [event], own)
        verdict.unsealed += 1
    twice = everything.order_by().values("code").annotate(count=Count("pk")).filter(count__gt=1)
    verdict.faults += [f"{found['count']} events carry the same code {found['code']}." for found in twice]
    if not verdict.knows_head:
        verdict.faults.append("The digest that was noted down is not in the chain: its end was cut off, or replaced.")
    return verdict


def _look_at_codes(verdict: Verdict, events: list[AuditEvent], own: AuditKey) -> None:
    for event in events:
        verdict.events += 1
        if not hmac.compare_digest(event.code, event.right_code(own)):
            verdict.faults.append(f"Event {event.pk} was altered, or not written by this service.")


def write_ranges(numbers: Iterable[int]) -> str:
    """“1-40,42” for numbers in ascending order."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in ranges)


def read_ranges(text: str) -> Iterator[int]:
    """The numbers again."""
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
