"""A real Celery worker beside the tests, on their database."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from ivigtrack.celery import app
from ivigtrack.local import processes

READY_WITHIN_SECONDS = 30.0
ROOT = Path(__file__).resolve().parents[2]


def url_of_test_database() -> str:
    """The address of the database that this test uses, for another process."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{name}"


def start_worker(*, broker_url: str, email_url: str, site_url: str, log: Path) -> processes.Child:
    """Start a worker and wait until it takes tasks. Raises ChildFailed, with the end of its log, when it does not."""
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "ivigtrack.settings",
        "DATABASE_URL": url_of_test_database(),
        "REDIS_URL": broker_url,
        "EMAIL_URL": email_url,
        "SITE_URL": site_url,
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "celery", "-A", "ivigtrack", "worker", "--loglevel", "INFO"]
    command += ["--without-gossip", "--without-mingle", "--concurrency", "1"]
    worker = processes.start("worker", command, log=log, env=env, cwd=ROOT)
    processes.wait_for(worker, lambda: " ready." in worker.last_lines(), seconds=READY_WITHIN_SECONDS)
    return worker


@contextmanager
def connected_to(url: str) -> Iterator[None]:
    """Celery in this process publishes to the broker at the address. The pool of producers would keep the old one."""
    before = app.conf.broker_url
    _publish_to(url)
    try:
        yield
    finally:
        _publish_to(before)


def _publish_to(url: str) -> None:
    app.close()
    app.conf.update(broker_url=url)
    # Celery has no public way to let go of it.
    app.amqp._producer_pool = None  # type: ignore[attr-defined]


def start_beat(*, broker_url: str, log: Path, every_s: int) -> processes.Child:
    """Start a scheduler that hands over the tick every so many seconds, on the test's database."""
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.support.hasty",
        "DATABASE_URL": url_of_test_database(),
        "REDIS_URL": broker_url,
        "IVIGTRACK_TEST_TICK": str(every_s),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "celery", "-A", "ivigtrack", "beat", "--loglevel", "INFO"]
    command += ["--schedule", str(log.with_suffix(".schedule")), "--pidfile", ""]
    return processes.start("beat", command, log=log, env=env, cwd=ROOT)
