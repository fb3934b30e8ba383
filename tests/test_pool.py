"""A worker outlives the sudden end of a process of its pool, whatever that was writing."""

import os
import struct
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from billiard.pool import RUN
from billiard.queues import _SimpleQueue
from celery.concurrency import get_implementation

from ivigtrack import pool
from ivigtrack.celery import app


class Process(SimpleNamespace):
    """A pool process that is gone, with the pipe through which it told what became of its tasks."""

    def __init__(self) -> None:
        super().__init__(outq=_SimpleQueue(), exitcode=-9, pid=0)

    def write(self, part: bytes) -> None:
        os.write(self.outq._writer.fileno(), part)


def heard_from(process: Process) -> list[Any]:
    """What the pool hears before it forgets the process. Raises AssertionError when it waits for more."""
    heard: list[Any] = []
    forgetful = pool.Pool.__new__(pool.Pool)
    forgetful._state = RUN
    forgetful._result_handler = SimpleNamespace(on_state_change=heard.append)
    flushes = threading.Thread(target=forgetful.process_flush_queues, args=[process], daemon=True)
    flushes.start()
    flushes.join(3)
    assert not flushes.is_alive()
    return heard


def test_the_worker_has_this_pool() -> None:
    assert get_implementation(app.conf.worker_pool) is pool.TaskPool


@pytest.mark.parametrize(
    "rest",
    [b"", b"\0\0", struct.pack("!i", 100), struct.pack("!i", 100) + b"half of a message"],
    ids=["nothing more", "half a length", "a length alone", "half a message"],
)
def test_what_was_told_whole_is_heard_and_the_rest_is_not_waited_for(rest: bytes) -> None:
    process = Process()
    process.outq.put((1, ("told",)))
    process.outq.put((2, ("told too" * 2000,)))
    process.write(rest)
    assert heard_from(process) == [(1, ("told",)), (2, ("told too" * 2000,))]


@pytest.mark.parametrize("middle", [struct.pack("!i", 4) + b"????", struct.pack("!i", -5) + b"?" * 20])
def test_what_begins_in_the_middle_of_a_message_ends_nothing(middle: bytes) -> None:
    process = Process()
    process.write(middle)
    assert heard_from(process) == []


def test_a_process_that_stops_in_the_middle_of_a_message_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(pool, "LONGEST_WAIT_S", 0.1)
    monkeypatch.setattr(pool.os, "kill", lambda *one: killed.append(one))
    process = Process()
    process.exitcode = None
    process.write(b"\0")
    assert heard_from(process) == []
    assert [pid for pid, _ in killed] == [0]
