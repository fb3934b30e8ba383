"""Celery entry points: load ids, call one function."""

import logging
from typing import Any

from celery import current_app, shared_task
from django.db import transaction

from reactions.checkins import due

logger = logging.getLogger(__name__)

# Seconds for each step of publishing.
IMPATIENT = {"socket_timeout": 1, "socket_connect_timeout": 1}


@shared_task(name="reactions.tasks.tick")
def tick() -> None:
    due.tick()


def wake_after_commit() -> None:
    """Ask a worker to tick as soon as what is being written is there."""
    transaction.on_commit(wake, robust=True)


def wake() -> None:
    """Ask a worker to tick now. When the broker does not answer, nothing is lost: the next tick does the same.

    A form has just been saved and its page waits for this: whatever the broker or its client does, it neither fails nor
    waits for long. So it is published through a connection of its own, which gives up sooner than a worker's.
    """
    try:
        with current_app.connection_for_write(transport_options=IMPATIENT) as connection:
            options: dict[str, Any] = {"connection": connection}
            tick.apply_async(retry=False, expires=55, **options)
    except Exception as error:
        logger.warning("the broker did not take the wake-up: %s: %s", type(error).__name__, error)
