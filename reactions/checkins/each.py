"""One row after the other, so that a bad one holds up nobody else."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from billiard.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)

# What may pass by itself and says nothing against a row: the time of the task is up, or the database has its trouble.
PASSING = (SoftTimeLimitExceeded, OperationalError, InterfaceError)

Row = TypeVar("Row")


def sum_over(rows: Iterable[Row], do: Callable[[Row], int], *, what: str) -> int:
    """The sum of what was done for each row. Raises the first error once all had their turn.

    Every one is in the log, as `what` could not be done for which row. Without a database or time nobody has a turn.
    """
    done, errors = 0, []
    for row in rows:
        try:
            done += do(row)
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            if isinstance(error, PASSING) and not connection.is_usable():
                raise
            logger.exception("%s failed for row %s", what, getattr(row, "pk", row))
            errors.append(error)
    if errors:
        raise errors[0]
    return done
