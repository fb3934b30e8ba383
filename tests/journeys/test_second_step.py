"""A nurse signs in for the first time, sets up an app and a key of her tablet, and then needs no password."""

import re

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings

from patients.models import User
from tests.journeys.conftest import NewPage, sign_in
from tests.journeys.eyes import look_at
from tests.security.test_signing_in import code_of


@pytest.fixture(autouse=True)
def _both_steps(settings: Settings, _password_alone: None) -> None:
    settings.SECOND_STEP_REQUIRED = True


def has_a_finger(page: Page) -> None:
    """The browser believes in a reader of fingerprints, on which the right finger always lies."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    reader = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": reader})


@pytest.mark.django_db(transaction=True)
def test_the_first_sign_in_and_the_next_ones(new_person: NewPage, nurse: User) -> None:
    page = new_person()
    has_a_finger(page)
    sign_in(page, nurse)
    expect(page.get_by_text("One thing before you go on.")).to_be_visible()
    look_at(page, "second-step-first")

    page.get_by_role("link", name="Set up an app").click()
    page.get_by_text("No camera? Type this instead").click()
    secret = page.locator("code.secret").inner_text()
    look_at(page, "second-step-app")
    page.get_by_label("Code").fill(code_of(secret, later=-1))
    page.get_by_role("button", name="Use this app").click()
    expect(page.locator(".codes li")).to_have_count(10)
    look_at(page, "second-step-codes")
    page.get_by_role("link", name="I have them. Go on").click()
    expect(page).to_have_url(re.compile("/patients/$"))

    page.get_by_text("Signed in as").locator("..").click()
    page.get_by_role("link", name="Second step").click()
    look_at(page, "second-step")
    page.get_by_role("link", name="Set up a key").click()
    page.get_by_label("Sign in with it alone, without a password").check()
    look_at(page, "second-step-key")
    page.get_by_role("button", name="Set up the key").click()
    expect(page.get_by_text("1 set up.")).to_be_visible()
    page.get_by_role("link", name="See, add or remove keys").click()
    look_at(page, "second-step-keys")

    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page).to_have_url(re.compile("/patients/$"))

    page.get_by_text("Signed in as").locator("..").click()
    page.get_by_role("link", name="Where you are signed in").click()
    look_at(page, "sessions")
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, nurse)
    look_at(page, "second-step-asked")
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("This code is not right")).to_be_visible()
    look_at(page, "second-step-wrong")
    page.get_by_role("button", name="Use a passkey or security key").click()
    expect(page).to_have_url(re.compile("/patients/$"))


@pytest.mark.django_db(transaction=True)
def test_a_key_that_does_not_answer_is_told_of(new_person: NewPage, nurse: User) -> None:
    page = new_person()
    page.goto("/sign-in/")
    page.evaluate("() => { navigator.credentials.get = () => Promise.reject(new DOMException('', 'NotAllowedError')) }")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was confirmed")


@pytest.mark.django_db(transaction=True)
def test_who_does_nothing_is_warned_and_stays_or_is_signed_out(
    new_person: NewPage, nurse: User, settings: Settings
) -> None:
    settings.SECOND_STEP_REQUIRED = False
    # The warning comes at once, two minutes before the end.
    settings.IDLE_LIMIT_S = 110
    page = new_person()
    sign_in(page, nurse)
    warning = page.get_by_role("alert").filter(has_text="Nothing was done here for a while")
    expect(warning).to_contain_text("signed out in 2 minutes")
    look_at(page, "session-end")
    settings.IDLE_LIMIT_S = 1800
    page.get_by_role("button", name="Stay signed in").click()
    expect(warning).to_have_count(0)
    settings.IDLE_LIMIT_S = 3
    page.reload()
    expect(page).to_have_url(re.compile(r"/sign-in/\?next=/patients/"), timeout=15_000)
