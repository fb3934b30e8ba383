"""A process that is told to end sends the mail that is under way, gives back the rest and begins no other."""

from collections.abc import Iterator
from contextlib import contextmanager


class _Process:
    is_told = False
    runs = 0


def stop_soon() -> None:
    """From now on this process begins no mail any more. Safe to call in the handler of a signal."""
    _Process.is_told = True


def is_told() -> bool:
    """This process was told to end."""
    return _Process.is_told


def is_sending() -> bool:
    """A dispatcher runs in this process."""
    return _Process.runs > 0


@contextmanager
def sending() -> Iterator[None]:
    """While the block runs, a dispatcher runs in this process."""
    _Process.runs += 1
    try:
        yield
    finally:
        _Process.runs -= 1
