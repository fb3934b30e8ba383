"""Celery's pool of processes, which reads what they tell message by message, whatever happens in the middle of one.

A process of the pool tells the main process through a pipe of its own what became of a task. When the process is killed
while it writes, Celery waits for bytes that will never come; when the broker is lost while the main process has read
half of a long message, Celery forgets that half and takes the middle of the message for the beginning of another; and
when a time limit comes while the process writes, that breaks off and begins the next message. The main process hangs,
or ends with an UnpicklingError (celery 5.7, billiard 4.3). Here nothing interrupts a message, the half that was read is
kept, and only whole messages are read; of a process that is gone no more is lost than with it.
"""

import logging
import os
import select
import signal
import struct
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from billiard.common import TERM_SIGNAL
from billiard.pool import ACK, SIG_SOFT_TIMEOUT, TERMINATE, soft_timeout_sighandler
from billiard.reduction import ForkingPickler
from celery.concurrency import asynpool, prefork

logger = logging.getLogger(__name__)

# A process that lives finishes its message at once.
LONGEST_WAIT_S = 5.0
LENGTH = struct.Struct("!i")
CHUNK = 65_536


class Worker(asynpool.Worker):
    """A process of the pool. A time limit ends a task, never the message that says what became of it.

    The main process sends the signal late when it was busy, such as with a broker that is away: the task is over then.
    """

    # Of billiard's Worker.
    outq: Any

    def after_fork(self) -> None:
        super().after_fork()
        write = self.outq.put

        def put(message: tuple[Any, ...]) -> None:
            signal.signal(SIG_SOFT_TIMEOUT, signal.SIG_IGN)
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {TERM_SIGNAL})
            try:
                write(message)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            # What is accepted is done next.
            if message[0] == ACK:
                signal.signal(SIG_SOFT_TIMEOUT, soft_timeout_sighandler)

        self.outq.put = put
        signal.signal(SIG_SOFT_TIMEOUT, signal.SIG_IGN)


class EndOfPipe(Exception):
    """Nothing can come from the process any more."""


class MessageHandler(asynpool.ResultHandler):
    """Hears each process out of its pipe. What has come of an unfinished message is kept until the rest is there."""

    # Of Celery's and billiard's handlers.
    fileno_to_outq: dict[int, Any]
    on_state_change: Callable[[Any], object]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unfinished: WeakKeyDictionary[Any, bytes] = WeakKeyDictionary()

    def hear(self, proc: Any, wait_s: float = 0.0) -> bool:
        """Tell the pool what is in the pipe. Returns whether anything was.

        Raises EndOfPipe when nothing can come any more. What the pool makes of a message is another matter.
        """
        try:
            reader = proc.outq._reader
            if not select.select([reader], [], [], wait_s)[0]:
                return False
            more = os.read(reader.fileno(), CHUNK)
        except (OSError, ValueError) as error:
            raise EndOfPipe from error
        if not more:
            raise EndOfPipe
        self._unfinished[proc] = self._unfinished.get(proc, b"") + more
        while (message := self._next_of(proc)) is not None:
            told = ForkingPickler.loads(message)  # type: ignore[attr-defined]
            if told is not None:
                self.on_state_change(told)
        return True

    def is_amid_a_message(self, proc: Any) -> bool:
        return bool(self._unfinished.get(proc))

    def _next_of(self, proc: Any) -> bytes | None:
        """Take the next whole message; None while it has not come."""
        got = self._unfinished[proc]
        end = LENGTH.size + LENGTH.unpack_from(got)[0] if len(got) >= LENGTH.size else 0
        if not end or end > len(got):
            return None
        self._unfinished[proc] = got[end:]
        return got[LENGTH.size : end]

    def _make_process_result(self, hub: Any) -> Callable[[int], None]:
        def on_readable(fileno: int) -> None:
            self._hear_of(fileno, hub.remove_reader, 0.0)

        return on_readable

    def _flush_outqueue(self, fd: int, remove: Any, process_index: Any, on_state_change: Any) -> None:
        self._hear_of(fd, remove, 0.5)

    def _hear_of(self, fileno: int, forget: Callable[[int], object], wait_s: float) -> None:
        proc = self.fileno_to_outq.get(fileno)
        try:
            if proc is None:
                raise EndOfPipe
            self.hear(proc, wait_s)
        except EndOfPipe:
            forget(fileno)


class Pool(asynpool.AsynPool):
    """Hears out a process that is gone or to be forgotten, and never waits for one that is gone."""

    Worker = Worker
    ResultHandler = MessageHandler
    # Of billiard's Pool.
    _state: int
    _result_handler: MessageHandler

    def process_flush_queues(self, proc: Any) -> None:
        handler, gives_up_at = self._result_handler, time.monotonic() + LONGEST_WAIT_S
        while not proc.outq._reader.closed and self._state != TERMINATE:
            try:
                heard = handler.hear(proc, wait_s=0.01)
            except EndOfPipe:
                return
            if heard:
                continue
            if proc.exitcode is not None or not handler.is_amid_a_message(proc):
                return
            if time.monotonic() > gives_up_at:
                logger.error("pool process %s stopped in the middle of a message and is killed", proc.pid)
                os.kill(proc.pid, signal.SIGKILL)
                return


class TaskPool(prefork.TaskPool):
    """The pool that `CELERY_WORKER_POOL` names."""

    Pool = Pool
