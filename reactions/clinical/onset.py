"""When a reaction began, counted from clock times. Pure.

Signatures
    onset_class(onset_at, started_at) -> OnsetClass
    is_within_label_window(onset_at, started_at, ended_at) -> bool
    is_during(onset_at, started_at, ended_at) -> bool
    hours_after_end(onset_at, ended_at) -> Decimal | None

Sources: immediate up to 6 h, delayed up to 1 week, late beyond: Stiehm, Transfus Med Rev 2013 (PMID 23835249). The
window of US labels, during an infusion or within 72 h after its end: Bivigam and Asceniv labels, adverse reactions.

Moments carry their zone and are counted in UTC: Python subtracts two times of one zone by their clock faces, which is
an hour wrong across a change of the clocks.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

IMMEDIATE_WITHIN = timedelta(hours=6)
DELAYED_WITHIN = timedelta(days=7)
LABEL_WINDOW_AFTER_END = timedelta(hours=72)


class OnsetClass(StrEnum):
    IMMEDIATE = "immediate"
    DELAYED = "delayed"
    LATE = "late"


def onset_class(onset_at: datetime, started_at: datetime) -> OnsetClass:
    """The class of an onset, from the infusion's start. Raises ValueError for an onset before the start."""
    after = _between(started_at, onset_at)
    if after < timedelta(0):
        raise ValueError("A reaction to an infusion cannot begin before the infusion.")
    if after <= IMMEDIATE_WITHIN:
        return OnsetClass.IMMEDIATE
    return OnsetClass.DELAYED if after <= DELAYED_WITHIN else OnsetClass.LATE


def is_within_label_window(onset_at: datetime, started_at: datetime, ended_at: datetime | None) -> bool:
    """During the infusion or at most 72 h after its end. While it is running, every onset after the start is."""
    if _between(started_at, onset_at) < timedelta(0):
        return False
    return ended_at is None or _between(ended_at, onset_at) <= LABEL_WINDOW_AFTER_END


def is_during(onset_at: datetime, started_at: datetime, ended_at: datetime | None) -> bool:
    """From the start to the end, both included. While it is running, every onset from the start on is."""
    if _between(started_at, onset_at) < timedelta(0):
        return False
    return ended_at is None or _between(onset_at, ended_at) >= timedelta(0)


def hours_after_end(onset_at: datetime, ended_at: datetime | None) -> Decimal | None:
    """Hours from the end to the onset, not rounded. None for an onset at or before the end, or while it is running."""
    if ended_at is None or (after := _between(ended_at, onset_at)) <= timedelta(0):
        return None
    return Decimal(after // timedelta(microseconds=1)) / 3_600_000_000


def _between(earlier: datetime, later: datetime) -> timedelta:
    """From one moment to another as it passed, whatever the clocks showed."""
    return later.astimezone(UTC) - earlier.astimezone(UTC)
