"""`make run` as a person meets it: it starts, says where to go, and stops without leaving anything behind."""

import os
import re
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ivigtrack.local import ports, processes, run

ROOT = Path(__file__).resolve().parents[2]
SET_FOR_TESTS = ("DATABASE_URL", "REDIS_URL", "EMAIL_URL", "SITE_URL", "DJANGO_SETTINGS_MODULE", "STATIC_ROOT")


@contextmanager
def a_run(var: Path, log: Path) -> Iterator[processes.Child]:
    env = {name: value for name, value in os.environ.items() if name not in SET_FOR_TESTS}
    command = [sys.executable, "-u", "-m", "ivigtrack.local.run"]
    child = processes.start("run", command, log=log, env=env | {"IVIGTRACK_VAR": str(var)}, cwd=ROOT)
    try:
        yield child
    finally:
        processes.stop([child], patience=40)


def wait_for_welcome(child: processes.Child) -> str:
    processes.wait_for(child, lambda: "Ctrl-C stops everything" in child.last_lines(50), seconds=90)
    return child.last_lines(50)


def wait_for_end(child: processes.Child) -> None:
    deadline = time.monotonic() + 40
    while not child.has_ended() and time.monotonic() < deadline:
        time.sleep(0.05)
    processes.stop([child])


def address(said: str, what: str) -> str:
    found = re.search(rf"^{what} +(http://127\.0\.0\.1:\d+)/", said, re.MULTILINE)
    assert found is not None
    return found[1]


def get(url: str) -> tuple[int, str]:
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=10)) as connection:
        connection.request("GET", parts.path)
        response = connection.getresponse()
        return response.status, response.read().decode()


def commands_of_children(pid: int) -> dict[int, str]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child): Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ") for child in children}


def count(var: Path, table: str) -> int:
    with closing(sqlite3.connect(var / "ivigtrack.sqlite3")) as database:
        number: int = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
    return number


def test_it_starts_stops_and_starts_again(tmp_path: Path) -> None:
    """One test, because a start takes seconds: pages, a second start at once, the end, and a later start."""
    var = tmp_path / "var"
    with a_run(var, tmp_path / "first.log") as first:
        said = wait_for_welcome(first)
        web, mail = address(said, "IVIGTrack"), address(said, "Local mail")
        assert "demo-ivigtrack-2026" in said
        status, page = get(f"{web}/sign-in/")
        assert status == 200
        style_sheet = re.search(r"/static/[^\"]+\.css", page)
        assert style_sheet is not None
        assert get(web + style_sheet[0])[0] == 200
        assert "No mail yet" in get(f"{mail}/")[1] or "<table>" in get(f"{mail}/")[1]

        with a_run(var, tmp_path / "second.log") as second:
            wait_for_end(second)
        assert second.ending() == "exit code 1"
        assert f"already running from this folder: {web}/" in second.last_lines()

        family = commands_of_children(first.process.pid)
        assert len(family) == 5
        os.kill(first.process.pid, signal.SIGINT)
        wait_for_end(first)
        assert first.ending() == "exit code 0"
        assert not any(Path(f"/proc/{pid}").exists() for pid in family)
        assert all(ports.is_free(urlsplit(url).port or 0) for url in (web, mail))

    patients = count(var, "patients_patient")
    assert patients > 0
    with a_run(var, tmp_path / "third.log") as third:
        wait_for_welcome(third)
        assert count(var, "patients_patient") == patients
        family = commands_of_children(third.process.pid)
        worker = next(pid for pid, command in family.items() if "celery" in command and " worker " in command)
        os.kill(worker, signal.SIGKILL)
        wait_for_end(third)
        assert third.ending() == "exit code 1"
        assert "worker ended by itself with SIGKILL" in third.last_lines(60)
        assert not any(Path(f"/proc/{pid}").exists() for pid in family)


def test_a_broker_that_does_not_answer_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{ports.any_free()}/0")
    with pytest.raises(processes.ChildFailed, match="Nothing answers at REDIS_URL"):
        run.start_broker(run.Run())


def test_a_taken_port_is_said_and_the_next_free_one_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = somebody.getsockname()[1]
        monkeypatch.setattr(run, "WEB_PORT", taken)
        addresses = run.choose_ports()
    assert addresses.web > taken
    assert f"Port {taken} is in use, taking {addresses.web}." in capsys.readouterr().out


def test_the_demo_logins_are_not_named_where_they_do_not_exist() -> None:
    said = run.welcome(run.Addresses(web=8000, mail=1025, mail_page=8025), [])
    assert run.DEMO_PASSWORD not in said
    assert "createsuperuser" in said
