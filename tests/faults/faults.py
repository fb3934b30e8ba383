"""What can go wrong, one function a kind. Each is a generator: it does harm, and ends when what it touched is well.

The round steps all that is under way a hundred times a second, so that several faults overlap as they do in life.
"""

import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from tests.faults.cast import WORKER_CHILDREN, Cast, Role, send_signal
from tests.faults.people import People

Steps = Iterator[None]


@dataclass(frozen=True)
class Kind:
    """A kind of fault: what it does, which processes it needs for itself, and how often it comes beside the others."""

    name: str
    does: Callable[[Cast, random.Random, People], Steps]
    touches: frozenset[str]
    weight: int = 1
    database: str = ""


def kill_worker(cast: Cast, chance: random.Random, people: People) -> Steps:
    return _kill(cast["worker"], chance)


def kill_child(cast: Cast, chance: random.Random, people: People) -> Steps:
    """One process of the worker's pool; the worker makes a new one."""
    below = cast["worker"].descendants()
    if below:
        send_signal(chance.choice(below), signal.SIGKILL)
    worker = cast["worker"]
    yield from _until(lambda: worker.running.has_ended() or len(worker.descendants()) >= WORKER_CHILDREN)


def terminate_worker(cast: Cast, chance: random.Random, people: People) -> Steps:
    """TERM: it ends its task and leaves, as with every new version."""
    role = cast["worker"]
    send_signal(role.pid, signal.SIGTERM)
    yield from _until(role.running.has_ended)
    role.reap()
    role.start()
    yield from _until(lambda: role.ready)


def stop_worker(cast: Cast, chance: random.Random, people: People) -> Steps:
    """Frozen past its lease, whole or one process of its pool, and then going on as if nothing had been."""
    role = cast["worker"]
    below = role.descendants()
    frozen = [role.pid, *below] if chance.random() < 0.5 or not below else [chance.choice(below)]
    for pid in frozen:
        send_signal(pid, signal.SIGSTOP)
    try:
        yield from _pause(cast.limits.lease_s * chance.uniform(1.1, 1.4))
    finally:
        for pid in frozen:
            send_signal(pid, signal.SIGCONT)


def kill_beat(cast: Cast, chance: random.Random, people: People) -> Steps:
    return _kill(cast["beat"], chance)


def second_beat(cast: Cast, chance: random.Random, people: People) -> Steps:
    return _visit(cast["beat-2"], chance.uniform(4, 8))


def second_worker(cast: Cast, chance: random.Random, people: People) -> Steps:
    """Another host's worker on the same queue, and its leaving."""
    return _visit(cast["worker-2"], chance.uniform(8, 16))


def jump_clock(cast: Cast, chance: random.Random, people: People) -> Steps:
    """The clock of worker and beat is an hour wrong for a while, and is then set right.

    The database keeps its own: where it has none (SQLite), such a jump would be one of everybody's.
    """
    seconds = chance.choice([-3600, 3600, -90, 90])
    for name in ("worker", "beat"):
        cast.jump(name, seconds)
    try:
        yield from _pause(chance.uniform(2, 6))
    finally:
        for name in ("worker", "beat"):
            cast.jump(name, 0)


def kill_broker(cast: Cast, chance: random.Random, people: People) -> Steps:
    return _kill(cast["broker"], chance)


def wipe_broker(cast: Cast, chance: random.Random, people: People) -> Steps:
    """The broker comes back without anything that was in it."""

    def wipe() -> None:
        shutil.rmtree(cast.folder / "broker")
        (cast.folder / "broker").mkdir()

    return _kill(cast["broker"], chance, meanwhile=wipe)


def kill_smtp(cast: Cast, chance: random.Random, people: People) -> Steps:
    return _kill(cast["smtp"], chance)


def kill_postgres(cast: Cast, chance: random.Random, people: People) -> Steps:
    """All of the server at once; it recovers from its log when it is started again."""
    return _kill(cast["postgres"], chance)


def terminate_backends(cast: Cast, chance: random.Random, people: People) -> Steps:
    """Every connection to the database ends, or about half of them."""
    every = 1 if chance.random() < 0.5 else 2
    statement = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND mod(pid, %s) = 0"
    )
    with suppress(psycopg.OperationalError):
        home = cast.folder / "pg"
        with psycopg.connect(host=str(home), user="postgres", dbname="postgres", connect_timeout=2) as connection:
            connection.execute(statement, [every])
    yield


def kill_web(cast: Cast, chance: random.Random, people: People) -> Steps:
    """While a form is being saved, where one comes within two seconds."""
    yield from _until(people.posting.is_set, at_most_s=2)
    yield from _pause(chance.uniform(0, 0.08))
    yield from _kill(cast["web"], chance)


def drop_after_data(cast: Cast, chance: random.Random, people: People) -> Steps:
    return _order(cast, f"drop {chance.randint(1, 2)}")


def hang_after_data(cast: Cast, chance: random.Random, people: People) -> Steps:
    return _order(cast, f"hang 1 {cast.limits.mail_timeout_s * 2:.1f}")


def refuse_for_now(cast: Cast, chance: random.Random, people: People) -> Steps:
    return _order(cast, f"refuse {chance.randint(1, 10)} {chance.choice([421, 450, 451, 452])}")


def answer_slowly(cast: Cast, chance: random.Random, people: People) -> Steps:
    return _order(cast, f"slow {chance.randint(3, 20)} {chance.uniform(0.05, 0.4):.2f}")


KINDS = {
    kind.name: kind
    for kind in (
        Kind("worker", kill_worker, frozenset({"worker"}), 4),
        Kind("child", kill_child, frozenset({"worker"}), 6),
        Kind("term", terminate_worker, frozenset({"worker"}), 2),
        Kind("stop", stop_worker, frozenset({"worker"}), 2),
        Kind("beat", kill_beat, frozenset({"beat"})),
        Kind("second-beat", second_beat, frozenset({"beat-2"})),
        Kind("second-worker", second_worker, frozenset({"worker-2"}), 2),
        Kind("broker", kill_broker, frozenset({"broker"})),
        Kind("broker-wiped", wipe_broker, frozenset({"broker"})),
        Kind("smtp", kill_smtp, frozenset({"smtp"}), 2),
        Kind("postgres", kill_postgres, frozenset({"postgres"}), 2, database="postgres"),
        Kind("backends", terminate_backends, frozenset({"postgres"}), 2, database="postgres"),
        Kind("clock", jump_clock, frozenset({"clock"}), 2, database="postgres"),
        Kind("web", kill_web, frozenset({"web"}), 2),
        Kind("drop", drop_after_data, frozenset({"smtp"})),
        Kind("hang", hang_after_data, frozenset({"smtp"})),
        Kind("refuse", refuse_for_now, frozenset({"smtp"})),
        Kind("slow", answer_slowly, frozenset({"smtp"})),
    )
}


def _kill(role: Role, chance: random.Random, *, meanwhile: Callable[[], None] | None = None) -> Steps:
    """KILL, a moment without it, and a new start, as by a supervisor."""
    role.kill()
    if meanwhile:
        meanwhile()
    yield from _pause(chance.choice([0.05, chance.uniform(0.1, 3)]))
    role.start()
    yield from _until(lambda: role.ready)


def start_again(role: Role) -> Steps:
    """What ended by itself is started by its supervisor after a moment. How it ended stands at the end of its log."""
    role.reap()
    with role.running.log.open("a") as log:
        log.write(f"\nended by itself: {role.running.ending()}\n")
    yield from _pause(0.5)
    role.start()
    yield from _until(lambda: role.ready)


def _visit(role: Role, seconds: float) -> Steps:
    role.start()
    yield from _pause(seconds)
    send_signal(role.pid, signal.SIGTERM)
    yield from _until(role.running.has_ended)
    role.reap()


def _order(cast: Cast, order: str) -> Steps:
    with suppress(OSError):
        cast.tell_sink(order)
    yield


def _pause(seconds: float) -> Steps:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield


def _until(is_so: Callable[[], bool], *, at_most_s: float = 60.0) -> Steps:
    """Until something is so; a process that does not come back in a minute is left to the judge."""
    until, look_at = time.monotonic() + at_most_s, 0.0
    while time.monotonic() < until:
        # Ten times a second: some of these looks read all of /proc.
        if time.monotonic() >= look_at:
            if is_so():
                return
            look_at = time.monotonic() + 0.1
        yield
