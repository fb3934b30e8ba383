"""The nine points, judged from a round's evidence alone. Pure: every one of them is tested with made-up evidence.

Each function returns what speaks against its point, one sentence a finding; nothing means that the point holds.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from tests.faults.evidence import GENTLE, KILLS, SILENCES, STOPS, CalledOff, Copy, Evidence, Fault, Limits

FINAL_MAILS = frozenset({"sent", "refused", "bounced", "cancelled", "expired"})
OPEN_CHECKINS = frozenset({"planned"})


def lost(evidence: Evidence) -> list[str]:
    """1. Every check-in that was wanted until its window closed reached the mail server."""
    arrived = {_checkin_of(evidence).get(copy.message_id) for copy in evidence.copies}
    excused = evidence.refused | {done.checkin for done in evidence.called_off}
    return [
        f"check-in {checkin.pk}, due {_clock(checkin.due_at)}, is {checkin.state} and was never accepted"
        for checkin in evidence.checkins
        if checkin.pk not in arrived | excused and not _window_was_unusable(evidence, checkin.due_at, checkin.closes_at)
    ]


def unexplained_copies(evidence: Evidence) -> list[str]:
    """2. A second copy only within the mail timeout of a kill or a stop, or of the server's silence; in doubt it is."""
    in_doubt = {row.message_id: row.in_doubt for row in evidence.rows}
    found = []
    for first, second in _second_copies(evidence):
        if explanation(evidence, first, second) is None:
            found.append(f"{_pair(first, second)} is near no kill or stop")
        elif not in_doubt.get(first.message_id, False):
            found.append(f"{_pair(first, second)}: the row does not say that it is in doubt")
    return found


def copies_of_gentle_faults(evidence: Evidence) -> list[str]:
    """3. No second copy where only TERM, beat, a second beat or worker, or the broker's death happened."""
    found = []
    for first, second in _second_copies(evidence):
        near = {fault.kind for fault in evidence.faults if _touches(fault, first, second, evidence)}
        if near and near <= GENTLE and first.answer not in SILENCES:
            found.append(f"{_pair(first, second)}, with nothing near but {', '.join(sorted(near))}")
    return found


def sent_without_a_copy(evidence: Evidence) -> list[str]:
    """4. What a row calls sent, the mail server has."""
    arrived = {copy.message_id for copy in evidence.copies}
    return [
        f"{row.message_id} is called sent, and no copy was accepted"
        for row in evidence.rows
        if row.state == "sent" and row.message_id not in arrived
    ]


def unwanted(evidence: Evidence) -> list[str]:
    """5. Nothing leaves after an answer, a void, the end of consent or the end of the window.

    A mail that was under way at that moment may still arrive: for as long as the mail server has for a step, or for as
    long as the process that holds it is stopped.
    """
    checkin_of, found = _checkin_of(evidence), []
    called_off: defaultdict[int, list[CalledOff]] = defaultdict(list)
    for done in evidence.called_off:
        called_off[done.checkin].append(done)
    closes_at = {checkin.pk: checkin.closes_at for checkin in evidence.checkins}
    for copy in evidence.copies:
        checkin = checkin_of.get(copy.message_id)
        if checkin is None:
            continue
        ends = [(done.stored_at, done.why) for done in called_off[checkin]]
        ends.append((closes_at.get(checkin, math.inf), "its window is over"))
        for end, why in ends:
            if copy.at > _still_under_way_until(evidence, end):
                found.append(f"check-in {checkin} was mailed {copy.at - end:.2f} s after {why}")
    return found


def unfinished(evidence: Evidence) -> list[str]:
    """6. Every row has ended, with no more tries than there were reasons to try again."""
    found = [
        f"{row.message_id} is still {row.state} after {row.attempts} tries"
        for row in evidence.rows
        if row.state not in FINAL_MAILS
    ]
    found += [
        f"check-in {checkin.pk} is still {checkin.state}, {evidence.ended_at - checkin.due_at:.1f} s after it was due"
        for checkin in evidence.checkins
        if checkin.state in OPEN_CHECKINS
    ]
    most = 3 + sum(_tries_during(fault, evidence) for fault in evidence.faults)
    found += [f"{row.message_id} was tried {row.attempts} times" for row in evidence.rows if row.attempts > most]
    return found


def slow(evidence: Evidence) -> list[str]:
    """7. With everything well again, what is due leaves within lease + tick + back-off."""
    return [
        f"{wait.message_id} waited {wait.seconds:.1f} s without any fault, of at most {bound:.1f} s"
        for wait in waits(evidence)
        if wait.seconds > (bound := longest_wait(evidence.limits, wait.attempts))
    ]


def different_copies(evidence: Evidence) -> list[str]:
    """8. All copies of a mail have the Message-ID of the row, the link of its check-in, and one reader."""
    checkin_of = _checkin_of(evidence)
    known = {row.message_id for row in evidence.rows}
    checkins = {checkin.pk: checkin for checkin in evidence.checkins}
    found = []
    for copy in evidence.copies:
        if copy.message_id not in known:
            found.append(f"a mail at {_clock(copy.at)} has the Message-ID {copy.message_id}, which no row has")
            continue
        checkin = checkins.get(checkin_of[copy.message_id] or 0)
        if checkin and copy.link != checkin.link:
            found.append(f"{copy.message_id} does not carry the link of its check-in")
        if checkin and copy.recipient != checkin.recipient:
            found.append(f"{copy.message_id} went to somebody else")
    return found


def without_checkins(evidence: Evidence) -> list[str]:
    """9. An infusion that the product said was recorded is there, with its check-ins."""
    return [
        f"infusion {one.submission} was acknowledged and "
        + ("is not there" if one.checkins is None else f"has {one.checkins} check-ins")
        for one in evidence.acknowledged
        if one.checkins is None or one.checkins < evidence.checkins_each
    ] + evidence.problems


POINTS: dict[str, Callable[[Evidence], list[str]]] = {
    "1 nothing is lost": lost,
    "2 second copies lie near a kill or stop, and say in doubt": unexplained_copies,
    "3 no second copy for TERM, beat, second beat or worker, broker": copies_of_gentle_faults,
    "4 sent means accepted": sent_without_a_copy,
    "5 nothing to who answered, was cancelled, expired or opted out": unwanted,
    "6 every row ends, with bounded tries": unfinished,
    "7 recovery within lease + tick + back-off": slow,
    "8 one Message-ID and one link for all copies": different_copies,
    "9 an acknowledged infusion has its check-ins": without_checkins,
}


@dataclass(frozen=True)
class Wait:
    """The longest stretch in which a mail was due, nothing was broken, and it did not leave."""

    message_id: str
    seconds: float
    attempts: int


def waits(evidence: Evidence) -> list[Wait]:
    """For each mail of a check-in that arrived, from when it could leave to its first copy."""
    checkin_of = _checkin_of(evidence)
    due_at = {checkin.pk: checkin.could_leave_at for checkin in evidence.checkins}
    attempts = {row.message_id: row.attempts for row in evidence.rows}
    first: dict[str, float] = {}
    for copy in sorted(evidence.copies, key=lambda copy: copy.at):
        first.setdefault(copy.message_id, copy.at)
    broken = _merged((fault.at, fault.healed_at) for fault in evidence.faults)
    found = []
    for message_id, arrived_at in first.items():
        due = due_at.get(checkin_of.get(message_id) or 0)
        if due is not None:
            found.append(Wait(message_id, _longest_gap(due, arrived_at, broken), attempts[message_id]))
    return found


def longest_wait(limits: Limits, attempts: int) -> float:
    """Seconds within which a due mail leaves when nothing is broken: lease + tick + back-off, and the slack.

    The wait begins at `first_wait_s`, doubles with each failed try and varies by a fifth; each try waits for a tick.
    """
    tries = max(attempts, 1)
    back_off = 1.2 * limits.first_wait_s * (2 ** (tries - 1) - 1)
    return limits.lease_s + limits.tick_s * tries + back_off + limits.slack_s


def recoveries(evidence: Evidence) -> list[float]:
    """For each fault, seconds from its healing until all mails that were due at the fault had arrived."""
    checkin_of = _checkin_of(evidence)
    arrived: dict[int, float] = {}
    for copy in sorted(evidence.copies, key=lambda copy: copy.at):
        arrived.setdefault(checkin_of.get(copy.message_id) or 0, copy.at)
    spans = [(one.could_leave_at, arrived[one.pk]) for one in evidence.checkins if one.pk in arrived]
    found = []
    for fault in evidence.faults:
        hit = [end for due, end in spans if due <= fault.healed_at and end > fault.at]
        found.append(max(0.0, max(hit, default=fault.healed_at) - fault.healed_at))
    return found


def copies_by_target(evidence: Evidence) -> Counter[str]:
    """How many second copies each kind of fault explains."""
    return Counter(explanation(evidence, *pair) or "unexplained" for pair in _second_copies(evidence))


def explanation(evidence: Evidence, first: Copy, second: Copy) -> str | None:
    """The kind of fault that may have led to the second copy; the nearest where there are several."""
    if first.answer in SILENCES:
        return first.answer
    may = [f for f in evidence.faults if f.kind in KILLS | STOPS and _touches(f, first, second, evidence)]
    nearest = min(may, key=lambda fault: min(abs(fault.at - first.at), abs(fault.at - second.at)), default=None)
    return nearest.kind if nearest else None


def _touches(fault: Fault, first: Copy, second: Copy, evidence: Evidence) -> bool:
    """The fault lies within the mail timeout of the first copy or, for a stopped process that went on, of either."""
    timeout = evidence.limits.mail_timeout_s
    if fault.kind in STOPS:
        return any(fault.at - timeout <= copy.at <= fault.healed_at + timeout for copy in (first, second))
    return abs(fault.at - first.at) <= timeout


def _second_copies(evidence: Evidence) -> list[tuple[Copy, Copy]]:
    """Each copy after the first, with the one before it."""
    by_message: defaultdict[str, list[Copy]] = defaultdict(list)
    for copy in sorted(evidence.copies, key=lambda copy: copy.at):
        by_message[copy.message_id].append(copy)
    return [pair for copies in by_message.values() for pair in pairwise(copies)]


def _still_under_way_until(evidence: Evidence, end: float) -> float:
    """Until when a mail that was under way at `end` may arrive."""
    timeout = evidence.limits.mail_timeout_s
    stops = [f.healed_at for f in evidence.faults if f.kind in STOPS and f.at - timeout <= end <= f.healed_at]
    return max([end, *stops]) + timeout


def _window_was_unusable(evidence: Evidence, due_at: float, closes_at: float) -> bool:
    """The window was so short that a fault, or the wait for the next tick, could take all of it."""
    return closes_at - due_at < longest_wait(evidence.limits, 1) + sum(f.healed_at - f.at for f in evidence.faults)


def _tries_during(fault: Fault, evidence: Evidence) -> int:
    """Tries that a fault can cost one mail: one, and one for each doubling of the wait that fits into it."""
    return 1 + math.ceil(math.log2(1 + (fault.healed_at - fault.at) / evidence.limits.first_wait_s))


def _longest_gap(start: float, end: float, broken: list[tuple[float, float]]) -> float:
    """The longest stretch between start and end, in seconds, that no pair of `broken` touches."""
    longest, since = 0.0, start
    for broke, healed in broken:
        if healed <= since:
            continue
        if broke >= end:
            break
        longest, since = max(longest, broke - since), healed
    return max(longest, end - since)


def _merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _checkin_of(evidence: Evidence) -> dict[str, int | None]:
    return {row.message_id: row.checkin for row in evidence.rows}


def _clock(at: float) -> str:
    return f"{at % 86400:.2f}"


def _pair(first: Copy, second: Copy) -> str:
    return f"the copies of {first.message_id} at {_clock(first.at)} and {_clock(second.at)}"
