"""`make run`: the whole of IVIGTrack on this machine, until Ctrl-C.

`python -m ivigtrack.local.run` prepares the database, starts broker, mail sink, web, worker and beat as children, says
where to go, and watches them. When one of them ends by itself, all are stopped and its last words are shown.
"""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from ivigtrack.local import broker, ports, processes
from ivigtrack.local.processes import Child, ChildFailed

ROOT = Path(__file__).resolve().parents[2]
VAR = Path(os.environ.get("IVIGTRACK_VAR", ROOT / "var"))
WEB_PORT, MAIL_PORT, MAIL_PAGE_PORT = 8000, 1025, 8025
DEMO_PASSWORD = "demo-ivigtrack-2026"  # noqa: S105 - printed on purpose
DEMO_ROLES = {
    "nurse": "nurse",
    "admin": "administrator",
    "auditor": "auditor",
    "other-nurse": "nurse of another clinic",
}
READY_WITHIN_SECONDS = 60.0


class AlreadyRunning(Exception):
    """Another local run holds this folder's var/."""


class Stopped(Exception):
    """Somebody asked for the end: Ctrl-C, SIGTERM or a closed terminal."""


@dataclass(frozen=True)
class Addresses:
    """Where everything listens."""

    web: int
    mail: int
    mail_page: int

    @property
    def site(self) -> str:
        return f"http://{ports.HOST}:{self.web}"

    @property
    def mail_site(self) -> str:
        return f"http://{ports.HOST}:{self.mail_page}"


@dataclass
class Run:
    """The children of one local run, in the order in which they were started."""

    children: list[Child] = field(default_factory=list)
    stop_asked: bool = False

    def ask_to_stop(self, signum: int, frame: FrameType | None) -> None:
        self.stop_asked = True

    def start(self, name: str, *command: str, env: dict[str, str]) -> Child:
        child = processes.start(name, command, log=VAR / "log" / f"{name}.log", env=env, cwd=ROOT)
        self.children.append(child)
        return child

    def pause(self, seconds: float = 0.1) -> None:
        """Let time pass. Raises Stopped or, when a child has ended by itself, ChildFailed."""
        if self.stop_asked:
            raise Stopped
        for child in self.children:
            if child.has_ended():
                processes.stop([child])
                raise child.failure(f"ended by itself with {child.ending()}")
        time.sleep(seconds)

    def wait_for(self, what: str, is_there: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while not is_there():
            if time.monotonic() > deadline:
                raise ChildFailed(f"{what} was not ready within {READY_WITHIN_SECONDS:g} s; see {VAR / 'log'}.")
            self.pause()

    def stop_all(self) -> None:
        """Stop what uses the broker and the mail sink first, then those."""
        servers = [child for child in self.children if child.name in ("broker", "mail")]
        processes.stop([child for child in self.children if child not in servers])
        processes.stop(servers, patience=5)


def hold_lock() -> IO[str]:
    """Take the lock of this folder's local run. Raises AlreadyRunning, which says where the other one is."""
    VAR.mkdir(parents=True, exist_ok=True)
    lock = (VAR / "run.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise AlreadyRunning(
            f"IVIGTrack is already running from this folder: {lock.read() or 'it is starting'}"
        ) from None
    _note(lock, f"process {os.getpid()}, starting")
    return lock


def _note(lock: IO[str], text: str) -> None:
    lock.seek(0)
    lock.truncate()
    lock.write(text)
    lock.flush()


def choose_ports() -> Addresses:
    """The usual ports, or the next free ones, which is said."""
    chosen = Addresses(*(ports.first_free(port) for port in (WEB_PORT, MAIL_PORT, MAIL_PAGE_PORT)))
    for wanted, taken in ((WEB_PORT, chosen.web), (MAIL_PORT, chosen.mail), (MAIL_PAGE_PORT, chosen.mail_page)):
        if wanted != taken:
            print(f"Port {wanted} is in use, taking {taken}.", flush=True)
    return chosen


def environment(addresses: Addresses, broker_url: str) -> dict[str, str]:
    """The children's environment. Mail always goes to the local sink, whatever EMAIL_URL says."""
    return os.environ | {
        "SITE_URL": addresses.site,
        "REDIS_URL": broker_url,
        "EMAIL_URL": f"smtp://{ports.HOST}:{addresses.mail}",
        "IVIGTRACK_VAR": str(VAR),
        "PYTHONUNBUFFERED": "1",
        # The demonstration's accounts have a password that everybody knows. Only this machine is served.
        "IVIGTRACK_WITHOUT_SECOND_STEP": "true",
    }


def prepare(run: Run, env: dict[str, str]) -> list[str]:
    """Tables, static files and the first demo data. Returns the demo accounts."""
    log = VAR / "log" / "prepare.log"
    child = processes.start("prepare", [sys.executable, "-m", "ivigtrack.local.prepare"], log=log, env=env, cwd=ROOT)
    try:
        while not child.has_ended():
            run.pause()
    finally:
        processes.stop([child])
    if child.process.returncode != 0:
        raise child.failure(f"failed with {child.ending()}")
    accounts: list[str] = json.loads(child.last_lines(1))
    return accounts


def start_broker(run: Run) -> str:
    """The address of the broker: the one of REDIS_URL, or a server of our own. Raises ChildFailed when it is silent."""
    given = os.environ.get("REDIS_URL", "")
    if not given:
        child, url = broker.start(VAR / "broker", log=VAR / "log" / "broker.log")
        run.children.append(child)
        return url
    if not broker.answers(given):
        raise ChildFailed("Nothing answers at REDIS_URL. Start that server, or unset REDIS_URL to have one started.")
    return given


def start_services(run: Run, addresses: Addresses, env: dict[str, str]) -> None:
    """Start mail sink, web, worker and beat, and wait until each is ready."""
    python = sys.executable
    sink = ["--smtp-port", str(addresses.mail), "--page-port", str(addresses.mail_page), "--folder", str(VAR / "mail")]
    run.start("mail", python, "-m", "ivigtrack.local.mail_sink", *sink, env=env)
    web = ["--worker-class", "gthread", "--workers", "2", "--threads", "4", "--no-control-socket"]
    bind = f"{ports.HOST}:{addresses.web}"
    run.start("web", python, "-m", "gunicorn", "ivigtrack.wsgi:application", *web, "--bind", bind, env=env)
    celery = [python, "-m", "celery", "-A", "ivigtrack"]
    quiet = ["--without-gossip", "--without-mingle", "--concurrency", "2"]
    worker = run.start("worker", *celery, "worker", "--loglevel", "INFO", *quiet, env=env)
    run.wait_for("the mail sink", lambda: ports.answers(addresses.mail) and ports.answers(addresses.mail_page))
    run.wait_for("the web server", lambda: ports.answers(addresses.web))
    run.wait_for("the worker", lambda: " ready." in worker.last_lines())
    # Last, since its first act is a tick that somebody should take.
    run.start(
        "beat",
        *celery,
        "beat",
        "--loglevel",
        "INFO",
        "--schedule",
        str(VAR / "beat-schedule"),
        "--pidfile",
        "",
        env=env,
    )
    run.pause()


def welcome(addresses: Addresses, accounts: list[str]) -> str:
    """What a person reads when everything runs."""
    lines = ["", f"IVIGTrack    {addresses.site}/", f"Admin        {addresses.site}/admin/"]
    lines += [f"Local mail   {addresses.mail_site}/   (every mail that the demo sends)", ""]
    if accounts:
        lines.append(f"Sign in with one of these names and the password {DEMO_PASSWORD}")
        lines += [f"  {name:<12} {DEMO_ROLES[name]}" for name in accounts]
    else:
        lines.append("The database has no demo accounts; `python manage.py createsuperuser` makes a first one.")
    return "\n".join([*lines, "", f"Logs are in {VAR / 'log'}. Ctrl-C stops everything.", ""])


def serve(run: Run, lock: IO[str]) -> None:
    """Start everything and watch it. Ends only by Stopped or ChildFailed."""
    addresses = choose_ports()
    print("Starting …", flush=True)
    env = environment(addresses, start_broker(run))
    accounts = prepare(run, env)
    start_services(run, addresses, env)
    _note(lock, f"{addresses.site}/ (process {os.getpid()}). Stop it with Ctrl-C where it was started.")
    print(welcome(addresses, accounts), flush=True)
    while True:
        run.pause(0.5)


def main() -> int:
    """Run until told to stop. Exit code 0 after a stop that was asked for, 1 otherwise."""
    run = Run()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, run.ask_to_stop)
    try:
        with hold_lock() as lock:
            try:
                serve(run, lock)
            except Stopped:
                with suppress(OSError):
                    print("\nStopping …", flush=True)
            finally:
                run.stop_all()
    except (AlreadyRunning, ChildFailed) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
