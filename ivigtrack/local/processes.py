"""Child processes that live and die with us."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
GRACE_S = 15.0


def _die_with_parent() -> None:
    """Runs in the child: the kernel ends it when we are gone, however we went. Only Linux knows this."""
    if os.uname().sysname == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """A named process with its own group and a log file."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path, env: dict[str, str] | None = None) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def last_words(self, lines: int = 15) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Ask it to end, and insist after the grace. Only the process we started and its own group are meant."""
        if self.is_running:
            self.process.terminate()
            try:
                self.process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


class NotReady(RuntimeError):
    """A process did not come up; the message has its name and the end of its log."""


def wait_until(ready: Callable[[], bool], child: Child, *, seconds: float = 30) -> None:
    """Wait for a child to be of use. Raises NotReady when it ends or takes too long."""
    deadline = time.monotonic() + seconds
    while not ready():
        if not child.is_running:
            raise NotReady(f"{child.name} ended at once. Its last words:\n{child.last_words()}")
        if time.monotonic() > deadline:
            raise NotReady(f"{child.name} did not come up in {seconds:.0f} s. Its last words:\n{child.last_words()}")
        time.sleep(0.05)
