"""Celery entry points: load ids, call one function. And how a worker that is told to end lets go of its mails."""

import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from billiard.process import active_children
from celery import current_app, shared_task
from celery.signals import (
    after_task_publish,
    beat_embedded_init,
    beat_init,
    task_postrun,
    task_prerun,
    worker_process_init,
    worker_ready,
    worker_shutting_down,
)
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from patients.models import Clinic
from reactions import outbox, raising, watch
from reactions.checkins import due
from reactions.rates import keeping
from reactions.vocabulary import WatchedPart

logger = logging.getLogger(__name__)

# Seconds for each step of publishing.
IMPATIENT = {"socket_timeout": 1, "socket_connect_timeout": 1}


@shared_task(name="reactions.tasks.tick")
def tick() -> None:
    with watch.turn(WatchedPart.WORKER) as turn:
        turn.mails = due.tick().mails


@shared_task(name="reactions.tasks.look_for_signals")
def look_for_signals() -> None:
    """Each clinic is a task of its own, so that trouble with one keeps no other from being looked at."""
    for clinic in raising.clinics_to_look_at(now=timezone.now()):
        look_at_clinic.apply_async((clinic.pk,), expires=settings.LOOK_EXPIRES_S)


@shared_task(name="reactions.tasks.look_at_clinic")
def look_at_clinic(clinic_pk: int) -> None:
    raising.raise_signals(Clinic.objects.get(pk=clinic_pk), now=timezone.now())


@shared_task(name="reactions.tasks.keep_rates_ready")
def keep_rates_ready() -> None:
    """Apart from the tick: no mail waits for it, and trouble with it is none with mails."""
    keeping.keep_up()


@beat_init.connect
@beat_embedded_init.connect
def watch_beat(**kwargs: Any) -> None:
    """In the process of beat alone: each tick that the broker took is a sign of its life."""
    after_task_publish.connect(beat_was_heard, sender=tick.name, weak=False)


def beat_was_heard(**kwargs: Any) -> None:
    _write_from_process(lambda: watch.note(WatchedPart.BEAT))


@worker_ready.connect
def worker_came_up(**kwargs: Any) -> None:
    """Afterwards each tick speaks for the worker: one that lives and takes no task is as good as dead."""
    _write_from_process(lambda: watch.introduce(WatchedPart.WORKER))


def _write_from_process(write: Callable[[], None]) -> None:
    """Write a heartbeat outside of a task. The connection is not kept, or the worker's children would inherit it.

    Without a database beat and worker go on: the missing heartbeat tells of it.
    """
    try:
        write()
    except Exception:
        logger.exception("a heartbeat could not be written")
    finally:
        connection.close()


def wake_after_commit() -> None:
    """Ask a worker to tick as soon as what is being written is there."""
    transaction.on_commit(wake, robust=True)


def wake() -> None:
    """Ask a worker to tick now. When the broker does not answer, nothing is lost: the next tick does the same.

    A form has just been saved and its page waits for this: whatever the broker or its client does, it neither fails nor
    waits for long. So it is published through a connection of its own, which gives up sooner than a worker's.
    """
    try:
        with current_app.connection_for_write(transport_options=IMPATIENT) as broker:
            options: dict[str, Any] = {"connection": broker}
            tick.apply_async(retry=False, expires=settings.TICK_EXPIRES_S, **options)
    except Exception as error:
        logger.warning("the broker did not take the wake-up: %s: %s", type(error).__name__, error)


@worker_shutting_down.connect
def tell_the_children(**_: Any) -> None:
    """Celery lets a task go on for as long as it likes when the worker is told to end; whoever told it may not wait."""
    outbox.stop_soon()
    for child in active_children():
        if child.pid:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGUSR2)


class _Child:
    """What a child of the worker knows about itself."""

    is_one = False
    has_to_end = False


@worker_process_init.connect
def be_a_child(**_: Any) -> None:
    """USR2 is the word of the worker's main process."""
    _Child.is_one = True
    signal.signal(signal.SIGUSR2, lambda *_: outbox.stop_soon())


@task_prerun.connect
def end_gently(**_: Any) -> None:
    """TERM comes from whoever ends all processes at once, and Celery's answer to it ends a child on the spot.

    That would be between a mail and the mark that it was sent. Set at each task, because the pool sets its own answer
    after it has started a child.
    """
    if _Child.is_one:
        signal.signal(signal.SIGTERM, _end_when_the_mail_is_marked)


@task_postrun.connect
def end_after_the_task(**_: Any) -> None:
    """The task that was under way when TERM came is over."""
    if _Child.has_to_end:
        raise SystemExit(0)


def _end_when_the_mail_is_marked(*_: Any) -> None:
    outbox.stop_soon()
    if not outbox.is_sending():
        raise SystemExit(0)
    _Child.has_to_end = True
