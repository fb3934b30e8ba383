"""From where somebody acts, known to whatever writes the audit trail without being handed through every verb."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Origin:
    """A request's network address and browser, and the patients of whom something is shown in answer to it."""

    address: str | None = None
    browser: str = ""
    patients: dict[int, int | None] = field(default_factory=dict)


_origin: ContextVar[Origin | None] = ContextVar("origin", default=None)


def origin() -> Origin:
    """Of the request that is being answered; an empty one in a command or a task."""
    return _origin.get() or Origin()


def shows(patient_pk: int, clinic_pk: int | None) -> None:
    """The answer will show something of this patient."""
    origin().patients[patient_pk] = clinic_pk


@contextmanager
def acting_from(here: Origin) -> Iterator[Origin]:
    """Everything inside is done from there."""
    token = _origin.set(here)
    try:
        yield here
    finally:
        _origin.reset(token)
