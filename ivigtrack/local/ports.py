"""Ports of this machine's loopback address."""

import socket

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """True when a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """True when something accepts connections on the port."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((HOST, port)) == 0


def any_free() -> int:
    """A port that nothing uses at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def first_free(wanted: int, *, tries: int = 50) -> int:
    """The wanted port, or the next one above it that is free; any free one when `tries` are taken."""
    return next((port for port in range(wanted, min(wanted + tries, 65536)) if is_free(port)), 0) or any_free()
