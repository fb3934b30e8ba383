"""How many mails a minute leave, to anybody and to one domain, by all workers on all machines together.

Kept by rows and by the database's clock: a bucket that holds a tenth of a minute's mails and is refilled evenly, so
that in no minute more leave than the limit says. Red alerts are counted and never held back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from reactions.models import MailPace, OutboxMessage
from reactions.outbox.claims import database_now

# Whose row in the table is that of all mails.
ALL = ""
MINUTE = timedelta(seconds=60)


@dataclass
class Pace:
    """One limit. `taken_until` is the moment by which all that was taken would have come in evenly."""

    per_minute: int
    taken_until: datetime
    now: datetime

    def __post_init__(self) -> None:
        self.at_once = max(1, self.per_minute // 10)
        self.step = MINUTE / (self.per_minute - self.at_once + 1)
        self.taken_until = max(self.taken_until, self.now - self.at_once * self.step)

    @property
    def room_at(self) -> datetime:
        """When one more may leave."""
        return self.taken_until + self.step

    def take(self) -> None:
        self.taken_until = self.room_at


@dataclass(frozen=True)
class Leave:
    """When a mail may leave: now, or at `room_at`. `all_wait` when no mail may leave before."""

    room_at: datetime | None = None
    all_wait: bool = False


NOW = Leave()


def are_set() -> bool:
    """There is a limit at all."""
    return bool(settings.MAILS_PER_MINUTE or settings.MAILS_PER_MINUTE_PER_DOMAIN)


def turns(messages: Iterable[OutboxMessage]) -> dict[int, Leave]:
    """When each of the mails may leave, by primary key; what may leave now is counted as if it had."""
    asking = list(messages)
    with transaction.atomic():
        paces = _locked({_domain(message) for message in asking})
        found = {message.pk: _turn(message, paces) for message in asking}
        for domain, pace in paces.items():
            MailPace.objects.filter(domain=domain).update(taken_until=pace.taken_until)
    return found


def _turn(message: OutboxMessage, paces: dict[str, Pace]) -> Leave:
    its = [paces[name] for name in (ALL, _domain(message)) if name in paces]
    if message.urgency != OutboxMessage.RED:
        full = [pace for pace in its if pace.room_at > pace.now]
        if full:
            return Leave(max(pace.room_at for pace in full), all_wait=paces.get(ALL) in full)
    for pace in its:
        pace.take()
    return NOW


def _locked(domains: set[str]) -> dict[str, Pace]:
    """The limits of these domains and of all, each under its lock, always in the same order."""
    limits = {ALL: settings.MAILS_PER_MINUTE}
    limits |= dict.fromkeys(domains - {ALL}, settings.MAILS_PER_MINUTE_PER_DOMAIN)
    names = sorted(name for name, limit in limits.items() if limit)
    long_ago = database_now() - MINUTE
    MailPace.objects.bulk_create((MailPace(domain=name, taken_until=long_ago) for name in names), ignore_conflicts=True)
    rows = list(MailPace.objects.select_for_update().filter(domain__in=names).order_by("domain"))
    now = database_now()
    return {row.domain: Pace(limits[row.domain], row.taken_until, now) for row in rows}


def _domain(message: OutboxMessage) -> str:
    return message.address().rpartition("@")[2].lower()[:255]
