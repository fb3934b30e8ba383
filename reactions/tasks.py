"""Celery entry points: load ids, call one function."""

import logging

from celery import shared_task
from kombu.exceptions import OperationalError

from reactions.checkins import due

logger = logging.getLogger(__name__)


@shared_task(name="reactions.tasks.tick")
def tick() -> None:
    due.tick()


def wake() -> None:
    """Ask a worker to tick now. When the broker does not answer, nothing is lost: the next tick does the same."""
    try:
        tick.apply_async(retry=False, expires=55)
    except OperationalError as error:
        logger.warning("the broker did not take the wake-up: %s", error)
