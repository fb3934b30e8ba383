"""Journeys: a person in a real browser, on the live server."""

import os
from collections.abc import Callable, Iterator

import pytest
from django.core.cache import cache
from django.urls import reverse
from playwright.sync_api import Browser, Page
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from patients.models import User
from tests.support import PASSWORD
from tests.support.in_flight import wait_until_answered
from tests.support.notes import MEASURED

# Playwright's synchronous interface keeps an event loop in the main thread, at the sight of which Django refuses to
# touch the database there. Nothing runs in that loop beside the test.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

# What the browser says of answers and outages that a journey brings about itself.
PROVOKED = ("the server responded with a status of", "net::ERR_INTERNET_DISCONNECTED", "net::ERR_FAILED")

NewPage = Callable[[], Page]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in MEASURED:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def base_url(live_server: LiveServer) -> str:
    """So that a journey says `page.goto("/patients/")`."""
    return live_server.url


@pytest.fixture(autouse=True)
def _answered(_django_db_helper: None) -> Iterator[None]:
    """The tables are emptied only when no request of a closed browser is being answered any more: they would lock."""
    yield
    wait_until_answered()


@pytest.fixture(autouse=True)
def _password_alone(settings: Settings, _django_db_helper: None) -> None:
    settings.SECOND_STEP_REQUIRED = False
    # Attempts of the test before, which the tables that are emptied do not hold.
    cache.clear()


@pytest.fixture
def new_person(browser: Browser, live_server: LiveServer) -> Iterator[NewPage]:
    """Opens a browser for one more person. Whatever goes wrong inside a page fails the test."""
    contexts, problems = [], []

    def open_browser() -> Page:
        context = browser.new_context(
            base_url=live_server.url, locale="en-US", timezone_id="America/New_York", reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
        page.on("console", lambda said: problems.append(f"{page.url}: {said.text}") if said.type == "error" else None)
        return page

    yield open_browser
    for context in contexts:
        context.close()
    assert not [problem for problem in problems if not any(words in problem for words in PROVOKED)]


def sign_in(page: Page, user: User, then: str = "", *, password: str = PASSWORD) -> None:
    """Sign in through the form, as in the demonstration: the second step has a journey of its own."""
    page.goto(then or reverse("patients:list"))
    page.get_by_label("Username").fill(user.username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
