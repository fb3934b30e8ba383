"""`make run`: the whole service on one machine, for trying it out.

Starts a broker (unless REDIS_URL names one), a mail sink, the web server, a worker and beat; makes the database and the
demonstration data the first time. Ctrl-C ends all of it. State is kept in var/.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from ivigtrack.local.broker import start_broker, url_of
from ivigtrack.local.ports import LOOPBACK, free_port, is_listening, preferred_port
from ivigtrack.local.processes import Child, NotReady, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
VAR = Path(os.environ.get("IVIGTRACK_VAR", ROOT / "var"))
WEB_PORT = 8000
MAIL_PORT = 8025
DEMO = ["demo_data", "--patients", "60", "--infusions", "900", "--seed", "7"]


class Stop(Exception):
    """Somebody pressed Ctrl-C, or the machine asks us to end."""


def main() -> None:
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    VAR.mkdir(parents=True, exist_ok=True)
    children: list[Child] = []
    try:
        with the_only_one():
            run(children)
    except Stop:
        print("\nStopping.", flush=True)
    except NotReady as error:
        sys.exit(f"{error}")
    finally:
        for child in reversed(children):
            child.stop()


@contextmanager
def the_only_one() -> Iterator[None]:
    """Hold the lock of var/, or say where the running one answers."""
    with (VAR / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            sys.exit(f"IVIGTrack is already running from here, at {lock.read().strip() or 'an address not yet known'}.")
        yield


def run(children: list[Child]) -> None:
    web_port, mail_web_port, smtp_port = preferred_port(WEB_PORT), preferred_port(MAIL_PORT), free_port()
    site_url = f"http://{LOOPBACK}:{web_port}"
    (VAR / "run.lock").write_text(site_url)
    redis_url = os.environ.get("REDIS_URL", "")
    if not redis_url:
        port = free_port()
        children.append(start_broker(port, VAR / "broker", VAR / "log" / "broker.log"))
        redis_url = url_of(port)
    env = os.environ | {
        "REDIS_URL": redis_url,
        "EMAIL_URL": f"smtp://{LOOPBACK}:{smtp_port}",
        "SITE_URL": site_url,
        "ALLOWED_HOSTS": f"{LOOPBACK},localhost",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    print("Preparing the database and the static files …", flush=True)
    manage(env, "migrate", "--verbosity", "0")
    manage(env, "collectstatic", "--noinput", "--verbosity", "0")
    logins = manage(env, *DEMO)
    for name, command, ready_port in commands(web_port, mail_web_port, smtp_port):
        child = Child(name, command, log=VAR / "log" / f"{name}.log", env=env)
        children.append(child)
        if ready_port:
            wait_until(lambda port=ready_port: is_listening(port), child)  # type: ignore[misc]
    print(f"\nIVIGTrack       {site_url}\nMail sink       http://{LOOPBACK}:{mail_web_port}\n\n{logins}")
    print(f"Logs are in {VAR / 'log'}. Ctrl-C stops everything.", flush=True)
    watch(children)


def commands(web_port: int, mail_web_port: int, smtp_port: int) -> list[tuple[str, list[str], int]]:
    """(name, command, port that shows it is up or 0) of the processes beside the broker."""
    python, here = sys.executable, LOOPBACK
    celery = [python, "-m", "celery", "-A", "ivigtrack"]
    quiet = ["--without-gossip", "--without-mingle"]
    gunicorn = [python, "-m", "gunicorn", "ivigtrack.wsgi", "--bind", f"{here}:{web_port}", "--workers", "2"]
    sink = [python, "-m", "ivigtrack.local.mail_sink", "--smtp-port", str(smtp_port)]
    return [
        ("mail", [*sink, "--web-port", str(mail_web_port), "--directory", str(VAR / "mail")], smtp_port),
        ("web", [*gunicorn, "--worker-class", "gthread", "--threads", "4", "--no-control-socket"], web_port),
        ("worker", [*celery, "worker", "--concurrency", "2", "--loglevel", "INFO", *quiet], 0),
        ("beat", [*celery, "beat", "--loglevel", "INFO", "--pidfile", ""], 0),
    ]


def manage(env: dict[str, str], *arguments: str) -> str:
    """Run one of manage.py's commands; its output. Raises NotReady with what it said when it fails."""
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotReady(f"manage.py {arguments[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def watch(children: list[Child]) -> None:
    """Wait until somebody stops us. Raises NotReady when a process ends by itself."""
    while True:
        for child in children:
            if not child.is_running:
                raise NotReady(f"{child.name} ended. Its last words:\n{child.last_words()}")
        time.sleep(0.5)


def _stop(*_: object) -> NoReturn:
    # A second signal while the children are being ended must not leave any behind.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Stop


if __name__ == "__main__":
    main()
