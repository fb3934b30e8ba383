"""Child processes that never outlive the one who started them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TETHER = Path(__file__).with_name("tether.py")


class ChildFailed(Exception):
    """A child process ended by itself or did not get ready; the message says which and shows the end of its log."""


@dataclass(frozen=True)
class Child:
    """One running command. It leads a process group of its own, so that stopping it reaches what it started."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def has_ended(self) -> bool:
        """True once the command is over. Leaves it waiting to be reaped, so that its group's number stays its own."""
        if self.process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def last_lines(self, count: int = 20) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-count:])

    def ending(self) -> str:
        """“exit code 3” or “SIGKILL”, once it has been stopped."""
        code = self.process.returncode
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def failure(self, what: str) -> ChildFailed:
        """An error that says `what` happened to the child, with the end of its log."""
        return ChildFailed(f"{self.name} {what}. The end of {self.log}:\n{self.last_lines() or '(nothing)'}")


def start(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str = "",
    death_signal: signal.Signals = signal.SIGTERM,
) -> Child:
    """Start a command, as another user when root names one, with its output going to `log`, which begins anew.

    When this process dies, however abruptly, the kernel sends `death_signal` to the command (Linux only). The kernel
    watches the thread that started it, so call this from a thread that lives as long as the command should.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    tether = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), str(int(death_signal)), user]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*tether, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    return Child(name, process, log)


def wait_for(child: Child, is_ready: Callable[[], bool], *, seconds: float) -> None:
    """Wait until the child is of use. When it ends or takes too long, stop it and raise ChildFailed."""
    deadline = time.monotonic() + seconds
    while not is_ready():
        if child.has_ended() or time.monotonic() > deadline:
            stop([child], patience=2)
            raise child.failure(f"was not ready within {seconds:g} s, {child.ending()}")
        time.sleep(0.02)


def stop(children: Sequence[Child], *, patience: float = 25.0, how: signal.Signals = signal.SIGTERM) -> None:
    """Ask the children to end, wait up to `patience` seconds in all, then kill what is left of their groups."""
    for child in children:
        if not child.has_ended():
            child.process.send_signal(how)
    deadline = time.monotonic() + patience
    for child in children:
        while not child.has_ended() and time.monotonic() < deadline:
            time.sleep(0.02)
        _end_group(child)


def _end_group(child: Child) -> None:
    """Kill what is left of the child's group and reap it. Until it is reaped no other group can have its number."""
    if child.process.returncode is not None:
        return
    # macOS answers with a permission error where only the ended leader is left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, signal.SIGKILL)
    child.process.wait()
