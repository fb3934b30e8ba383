"""Tests talk to this machine only."""

import socket
from ipaddress import ip_address
from typing import Any


class OutsideAddress(ConnectionError):
    """A test tried to connect to another machine."""


def allow_only_loopback() -> None:
    """From now on a connection to anything but loopback addresses and unix sockets raises OutsideAddress."""
    for name in ("connect", "connect_ex"):
        setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))


def _guarded(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise OutsideAddress(f"Tests stay on this machine, and one wanted to connect to {address!r}.")
        return connect(self, address)

    return guarded


def _is_loopback(host: str) -> bool:
    if host in ("localhost", ""):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
