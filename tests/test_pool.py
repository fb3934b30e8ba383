"""A worker outlives the sudden end of a process of its pool, whatever that was writing."""

import os
import signal
import struct
import threading
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from billiard.pool import ACK, READY, RUN, SIG_SOFT_TIMEOUT
from billiard.queues import _SimpleQueue
from celery.concurrency import asynpool, get_implementation

from ivigtrack import pool
from ivigtrack.celery import app


class Hub:
    """As much of Celery's event loop as a handler needs."""

    def __init__(self) -> None:
        self.removed: list[int] = []

    def remove_reader(self, fileno: int) -> None:
        self.removed.append(fileno)


class Process:
    """A pool process that is gone, with the pipe through which it told what became of its tasks."""

    def __init__(self) -> None:
        self.outq, self.pid = _SimpleQueue(), 0
        self.exitcode: int | None = -9

    def write(self, part: bytes) -> None:
        os.write(self.outq._writer.fileno(), part)


def listening(process: Process) -> tuple[pool.MessageHandler, list[Any]]:
    """The handler that listens to the process, and what it has heard so far."""
    heard: list[Any] = []
    handler = pool.MessageHandler.__new__(pool.MessageHandler)
    handler._unfinished = WeakKeyDictionary()
    handler.fileno_to_outq = {process.outq._reader.fileno(): process}
    handler.on_state_change = heard.append
    return handler, heard


def heard_from(process: Process) -> list[Any]:
    """What the pool hears before it forgets the process. Raises AssertionError when it waits for more."""
    forgetful = pool.Pool.__new__(pool.Pool)
    forgetful._state = RUN
    forgetful._result_handler, heard = listening(process)
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


def test_a_time_limit_ends_a_task_and_never_the_message_about_it(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[Any, ...]] = []

    class Outqueue:
        def put(self, message: tuple[Any, ...]) -> None:
            written.append(message[:1])
            os.kill(os.getpid(), SIG_SOFT_TIMEOUT)
            assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, [])
            written[-1] = message

    monkeypatch.setattr(asynpool.Worker, "after_fork", lambda worker: None)
    worker = pool.Worker.__new__(pool.Worker)
    worker.outq = Outqueue()
    before = signal.getsignal(SIG_SOFT_TIMEOUT)
    try:
        worker.after_fork()
        os.kill(os.getpid(), SIG_SOFT_TIMEOUT)
        worker.outq.put((ACK, "accepted"))
        with pytest.raises(SoftTimeLimitExceeded):
            os.kill(os.getpid(), SIG_SOFT_TIMEOUT)
        worker.outq.put((READY, "done"))
        os.kill(os.getpid(), SIG_SOFT_TIMEOUT)
    finally:
        signal.signal(SIG_SOFT_TIMEOUT, before)
    assert written == [(ACK, "accepted"), (READY, "done")]
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert pool.Pool.Worker is pool.Worker


def test_half_a_message_is_kept_when_the_event_loop_starts_anew() -> None:
    """As it does when the broker is lost."""
    process = Process()
    process.outq.put((1, ("told" * 5000,)))
    whole = os.read(process.outq._reader.fileno(), 100_000)
    handler, heard = listening(process)
    fileno = process.outq._reader.fileno()
    for part in (whole[:2], whole[2:5000], whole[5000:] + whole[:7], whole[7:]):
        process.write(part)
        handler.register_with_event_loop(Hub())
        handler.handle_event(fileno)
    assert heard == [(1, ("told" * 5000,))] * 2


def test_what_celery_reads_by_itself_goes_through_here_as_well() -> None:
    """Its warm shutdown reads the pipes in its own way, and so would the next version of Celery by new names."""
    process = Process()
    process.outq.put((1, ("told",)))
    handler, heard = listening(process)
    fileno = process.outq._reader.fileno()
    handler._flush_outqueue(fileno, pytest.fail, handler.fileno_to_outq, handler.on_state_change)
    assert heard == [(1, ("told",))]
    forgotten: list[int] = []
    handler._flush_outqueue(fileno + 1, forgotten.append, handler.fileno_to_outq, handler.on_state_change)
    process.outq._writer.close()
    handler._flush_outqueue(fileno, forgotten.append, handler.fileno_to_outq, handler.on_state_change)
    assert forgotten == [fileno + 1, fileno]
    assert pool.Pool.ResultHandler is pool.MessageHandler


def test_a_pipe_that_is_closed_is_listened_to_no_more() -> None:
    process, hub = Process(), Hub()
    handler, _ = listening(process)
    handler.register_with_event_loop(hub)
    fileno = process.outq._reader.fileno()
    process.outq._writer.close()
    handler.handle_event(fileno)
    handler.handle_event(fileno + 1)
    assert hub.removed == [fileno, fileno + 1]


def test_a_process_that_stops_in_the_middle_of_a_message_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(pool, "LONGEST_WAIT_S", 0.1)
    monkeypatch.setattr(pool.os, "kill", lambda *one: killed.append(one))
    process = Process()
    process.exitcode = None
    process.write(b"\0")
    assert heard_from(process) == []
    assert [pid for pid, _ in killed] == [0]
