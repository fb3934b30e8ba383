"""Celery's pool of processes, which outlives the sudden end of one of them in the middle of a word.

A process of the pool tells the main process through a pipe of its own what became of a task. When it is killed while it
writes that, Celery reads the rest of the pipe and waits for bytes that will never come, or takes the middle of a
message for its beginning: the main process hangs, or ends with an UnpicklingError (celery 5.7). Here only whole
messages are read; what is lost with the rest is no more than with the process.
"""

import logging
import os
import select
import signal
import struct
import time
from typing import Any

from billiard.pool import TERMINATE
from billiard.reduction import ForkingPickler
from celery.concurrency import asynpool, prefork

logger = logging.getLogger(__name__)

# A process that lives finishes its message at once.
LONGEST_WAIT_S = 5.0
LENGTH = struct.Struct("!i")


class Pool(asynpool.AsynPool):
    """Reads what is in the pipe of a process that is gone or to be forgotten, and never waits for one that is gone."""

    # Of billiard's Pool.
    _state: int
    _result_handler: Any

    def process_flush_queues(self, proc: Any) -> None:
        reader, got = proc.outq._reader, b""
        gives_up_at = time.monotonic() + LONGEST_WAIT_S
        while not reader.closed and self._state != TERMINATE:
            if select.select([reader], [], [], 0.01)[0]:
                more = os.read(reader.fileno(), select.PIPE_BUF)
                if not more:
                    return
                got = self._heard(got + more)
            elif not got or proc.exitcode is not None:
                return
            elif time.monotonic() > gives_up_at:
                logger.error("pool process %s stopped in the middle of a message and is killed", proc.pid)
                os.kill(proc.pid, signal.SIGKILL)
                return

    def _heard(self, got: bytes) -> bytes:
        """Tell whole messages to the pool. Returns what is left: the beginning of another."""
        while len(got) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(got)
            end = LENGTH.size + length
            if length >= 0 and end > len(got):
                break
            try:
                told = ForkingPickler.loads(got[LENGTH.size : end])  # type: ignore[attr-defined]
            except Exception:
                logger.exception("what a pool process wrote last cannot be read")
                return b""
            got = got[end:]
            if told is not None:
                self._result_handler.on_state_change(told)
        return got


class TaskPool(prefork.TaskPool):
    """The pool that `CELERY_WORKER_POOL` names."""

    Pool = Pool
