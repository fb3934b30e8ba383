"""Journeys: a person in a real browser, on the live server."""

import os

import pytest
from pytest_django.live_server_helper import LiveServer

# Playwright's synchronous interface keeps an event loop in the main thread, at the sight of which Django refuses to
# touch the database there. Nothing runs in that loop beside the test.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def base_url(live_server: LiveServer) -> str:
    """So that a journey says `page.goto("/patients/")`."""
    return live_server.url
