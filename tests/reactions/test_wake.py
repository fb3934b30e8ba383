"""Saving something wakes the worker, and nothing that the broker does can spoil the saving."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from django.db import transaction
from django.test import Client
from django.utils import timezone

from reactions import tasks
from reactions.checkins.plan import plan_checkins
from reactions.models import Answer, Infusion
from tests.support.celery_worker import connected_to


@pytest.fixture
def silent_broker() -> Iterator[None]:
    """Takes every connection and never says a word."""
    server = socket.create_server(("127.0.0.1", 0), backlog=50)
    with server, connected_to(f"redis://127.0.0.1:{server.getsockname()[1]}/0"):
        yield


def test_a_broker_that_never_answers_holds_up_no_page(
    client: Client,
    infusion: Infusion,
    silent_broker: None,
    django_capture_on_commit_callbacks: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plan_checkins(infusion, now=timezone.now())
    page = f"{infusion.checkins.earliest('due_at').link_path()}problems/"
    client.post(page.removesuffix("problems/"), {"has_problem": "yes"})
    began = time.monotonic()
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(page, {"symptoms": ["chest_pain"]}).status_code == 200
    assert time.monotonic() - began < 3
    assert "the broker did not take the wake-up" in caplog.text
    assert Answer.objects.count() == 1


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("anything"), TimeoutError()])
def test_whatever_the_brokers_client_raises_stays_inside(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(tasks.tick, "apply_async", fail)
    tasks.wake()
    assert type(error).__name__ in caplog.text


@pytest.mark.django_db(transaction=True)
def test_what_was_written_stands_even_if_waking_fails_in_an_unheard_of_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise LookupError

    monkeypatch.setattr(tasks, "wake", fail)
    with transaction.atomic():
        tasks.wake_after_commit()


def test_a_wake_up_reaches_the_broker_and_expires_before_the_next_tick(broker: str) -> None:
    tasks.wake()
    with current_app.connection_for_read() as connection:
        message = connection.SimpleQueue("celery").get(timeout=5)
        message.ack()
    assert message.headers["task"] == "reactions.tasks.tick"
    assert message.headers["expires"]
