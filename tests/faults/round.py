"""One round: people at work, faults at random instants, everything left to end, and the evidence read."""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import OperationalError, connection
from django.db.models import Q

from reactions.models import CheckIn, Infusion, OutboxMessage
from reactions.models.link import hash_of
from reactions.vocabulary import CheckInState, MailState
from tests.faults.cast import Cast
from tests.faults.evidence import Acknowledged, CheckInRow, Copy, Evidence, Fault, Row
from tests.faults.faults import KINDS, Kind, Steps, start_again
from tests.faults.judge import longest_wait
from tests.faults.people import People, gather

STEP_S = 0.01
# As many tries as the end of a round waits for.
MOST_TRIES = 7
MOST_MINUTES = 10


@dataclass
class UnderWay:
    """A fault that has begun and not healed."""

    kind: Kind
    at: float
    steps: Steps


@dataclass
class Stage:
    """The faults of one round, from the first to the last healed."""

    cast: Cast
    people: People
    chance: random.Random
    kinds: Sequence[Kind]
    under_way: list[UnderWay]
    over: list[Fault]

    def begin_one(self) -> bool:
        """Begin a fault that needs nothing which is broken already; False where everything is."""
        taken = {name for fault in self.under_way for name in fault.kind.touches}
        free = [kind for kind in self.kinds if not kind.touches & taken]
        if free:
            kind = self.chance.choices(free, weights=[kind.weight for kind in free])[0]
            self.under_way.append(UnderWay(kind, time.time(), kind.does(self.cast, self.chance, self.people)))
        return bool(free)

    def step(self) -> None:
        """Let every fault go on for a moment, and start again what ended by itself, as a supervisor does."""
        taken = {name for fault in self.under_way for name in fault.kind.touches}
        for name in {"broker", "smtp", "web", "worker", "beat"} - taken:
            if self.cast[name].running.has_ended():
                fell = Kind(f"{name} fell", lambda *_, role=self.cast[name]: start_again(role), frozenset({name}))
                self.under_way.append(UnderWay(fell, time.time(), fell.does(self.cast, self.chance, self.people)))
        for fault in list(self.under_way):
            try:
                next(fault.steps)
            except StopIteration:
                self.under_way.remove(fault)
                self.over.append(Fault(fault.kind.name, fault.at, time.time()))
        time.sleep(STEP_S)


def play(
    cast: Cast, *, number: int, count: int, over_s: float, every_s: float, kinds: Sequence[str], seed: str
) -> Evidence:
    """Play one round with `count` check-ins due over so many seconds and a fault every `every_s` seconds on average."""
    chance = random.Random(seed)
    people = gather(cast.site, f"round-{number}", count, over_s=over_s, chance=random.Random(f"{seed} people"))
    threads = [threading.Thread(target=work, daemon=True) for work in (people.record_all, people.meddle)]
    stage = Stage(cast, people, chance, [KINDS[name] for name in kinds], [], [])
    for thread in threads:
        thread.start()
    try:
        _do_harm(stage, every_s, round(1.5 * over_s / every_s), threads)
        _settle(stage, threads)
    finally:
        people.stop_asked.set()
        for fault in stage.under_way:
            fault.steps.close()  # type: ignore[attr-defined]
        for thread in threads:
            thread.join(timeout=20)
    return read_evidence(stage)


def _do_harm(stage: Stage, every_s: float, at_most: int, threads: Sequence[threading.Thread]) -> None:
    """So many faults at most, until the last check-in is due and everybody has done what they came for."""
    begun, next_at = 0, time.time() + stage.chance.expovariate(1 / every_s)
    give_up_at = time.time() + MOST_MINUTES * 60
    while time.time() < give_up_at:
        last_due = max(visit.due_at for visit in stage.people.visits).timestamp()
        if not any(thread.is_alive() for thread in threads) and time.time() > last_due + 1:
            break
        if begun < at_most and time.time() >= next_at:
            begun += stage.begin_one()
            next_at = time.time() + stage.chance.expovariate(1 / every_s)
        stage.step()


def _settle(stage: Stage, threads: Sequence[threading.Thread]) -> None:
    """Let the faults heal, then wait until every row has ended; what has not by then is left to the judge."""
    while stage.under_way:
        stage.step()
    deadline = time.time() + longest_wait(stage.cast.limits, MOST_TRIES) + 0.02 * len(stage.people.visits)
    look_at = 0.0
    while time.time() < deadline:
        stage.step()
        if time.time() < look_at or stage.under_way or any(thread.is_alive() for thread in threads):
            continue
        if not _is_waiting(stage):
            return
        look_at = time.time() + 0.2


def _is_waiting(stage: Stage) -> bool:
    clinic = stage.people.clinic.pk
    due = [visit.checkin.pk for visit in stage.people.visits if visit.checkin]
    try:
        planned = CheckIn.objects.filter(pk__in=due, state=CheckInState.PLANNED)
        if planned.exists():
            return True
        return OutboxMessage.objects.filter(
            Q(checkin__infusion__patient__clinic=clinic) | Q(recipient__roles__clinic=clinic),
            state__in=[MailState.QUEUED, MailState.SENDING],
        ).exists()
    except OperationalError:
        connection.close()
        return True


def read_evidence(stage: Stage) -> Evidence:
    """What the sink's record, the database and the list of faults say about the round."""
    connection.close()
    people, clinic = stage.people, stage.people.clinic.pk
    recorded_at = {visit.checkin.pk: visit.recorded_at for visit in people.visits if visit.checkin}
    messages = OutboxMessage.objects.filter(
        Q(checkin__infusion__patient__clinic=clinic) | Q(recipient__roles__clinic=clinic)
    )
    rows = [
        Row(mail.message_id, str(mail.state), mail.attempts, mail.in_doubt, mail.checkin_id)
        for mail in messages.distinct()
    ]
    own = {row.message_id for row in rows}
    begun_at = min(visit.due_at for visit in people.visits).timestamp() - 60
    copies = [Copy(**copy) for copy in stage.cast.accepted() if float(str(copy["at"])) >= begun_at]  # type: ignore[arg-type]
    # What belongs to another round's clinic is judged there.
    foreign = set(OutboxMessage.objects.exclude(message_id__in=own).values_list("message_id", flat=True))
    checkins = CheckIn.objects.filter(pk__in=recorded_at).select_related("infusion__patient")
    planned = {
        str(one.submission_id): one.checkins.count()
        for one in Infusion.objects.filter(submission_id__in=people.acknowledged)
    }
    return Evidence(
        limits=stage.cast.limits,
        ended_at=time.time(),
        copies=[copy for copy in copies if copy.message_id not in foreign],
        faults=stage.over,
        rows=rows,
        checkins=[
            CheckInRow(
                one.pk,
                str(one.state),
                one.due_at.timestamp(),
                one.closes_at.timestamp(),
                hash_of(one.link_path().split("/")[2]),
                one.patient.email,
                recorded_at[one.pk],
            )
            for one in checkins
        ],
        called_off=people.called_off,
        # As many as the fullest has: the clinic's plan is the same for all.
        checkins_each=max(planned.values(), default=1),
        acknowledged=[Acknowledged(str(one), planned.get(str(one))) for one in people.acknowledged],
        refused=frozenset(visit.checkin.pk for visit in people.visits if visit.fate == "refused" and visit.checkin),
        problems=list(people.problems),
    )
