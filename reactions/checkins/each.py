"""One row after the other, so that a bad one holds up nobody else."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from billiard.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError

logger = logging.getLogger(__name__)

# These are nobody's row: the time of the task is up, or the database is away.
OF_ALL = (SoftTimeLimitExceeded, OperationalError, InterfaceError)

Row = TypeVar("Row")


def sum_over(rows: Iterable[Row], do: Callable[[Row], int], *, what: str) -> int:
    """The sum of what was done for each row. Raises the first error once all had their turn.

    Every one is in the log, as `what` could not be done for which row.
    """
    done, errors = 0, []
    for row in rows:
        try:
            done += do(row)
        except OF_ALL:
            raise
        except Exception as error:
            logger.exception("%s failed for row %s", what, getattr(row, "pk", row))
            errors.append(error)
    if errors:
        raise errors[0]
    return done
