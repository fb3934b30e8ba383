"""Children end when they should, and say why when they should not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ivigtrack.local import processes
from ivigtrack.local.processes import Child, ChildFailed


def python(tmp_path: Path, code: str) -> Child:
    return processes.start("child", [sys.executable, "-c", code], log=tmp_path / "child.log")


def soon(is_so: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_so()


def is_alive(pid: int) -> bool:
    """False also for a process that has ended and that nobody has asked about."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_that_ends_by_itself_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    child = python(tmp_path, "print('the disk is full'); raise SystemExit(3)")
    with pytest.raises(ChildFailed, match=r"child was not ready .*exit code 3") as failure:
        processes.wait_for(child, lambda: False, seconds=10)
    assert "the disk is full" in str(failure.value)


def test_a_child_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    child = python(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(ChildFailed, match="SIGTERM"):
        processes.wait_for(child, lambda: False, seconds=0.3)
    assert not is_alive(child.process.pid)


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    child = processes.start("child", ["/no/such/command"], log=tmp_path / "child.log")
    assert soon(child.has_ended)
    processes.stop([child])
    assert "/no/such/command cannot be run" in child.last_lines()


def test_stopping_a_child_stops_what_it_started(tmp_path: Path) -> None:
    code = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    child = python(tmp_path, code)
    assert soon(lambda: child.last_lines().isdecimal())
    grandchild = int(child.last_lines())
    processes.stop([child])
    assert child.ending() == "SIGTERM"
    assert soon(lambda: not is_alive(grandchild))


def test_a_child_that_will_not_end_is_killed(tmp_path: Path) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    child = python(tmp_path, code)
    assert soon(lambda: child.last_lines() == "deaf")
    processes.stop([child], patience=0.2)
    assert child.ending() == "SIGKILL"


def test_stopping_twice_is_stopping_once(tmp_path: Path) -> None:
    child = python(tmp_path, "import time; time.sleep(60)")
    processes.stop([child])
    processes.stop([child])
    assert child.has_ended()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to its parent")
def test_a_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from ivigtrack.local import processes;"
        " child = processes.start('child', ['sleep', '60'], log=Path(sys.argv[1]));"
        " print(child.process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "log")], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_alive(child)
        os.kill(parent.pid, signal.SIGKILL)
        assert soon(lambda: not is_alive(child))
