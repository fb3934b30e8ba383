"""Who gets in: a name, a password and a second step, in time, and not by trying."""

import hmac
import json
import re
import struct
import time
from base64 import b32decode
from datetime import timedelta
from hashlib import sha1
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.contrib.messages import get_messages
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from pytest_django import Settings

from patients import rotating
from patients.models import AuditEvent, Clinic, User
from patients.signing_in import second_step
from tests.support import PASSWORD
from tests.support.factories import make_staff

# What follows a new second step happens when it is committed.
pytestmark = pytest.mark.django_db(transaction=True)

SIGN_IN = "/sign-in/"
SECOND_STEP = "/account/second-step/authenticate/"
SET_UP = "/account/second-step/"
APP = "/account/second-step/totp/activate/"
WRONG = "000000"


@pytest.fixture(autouse=True)
def _no_attempts_so_far(transactional_db: None) -> None:
    cache.clear()


def code_of(secret: str, *, later: int = 0) -> str:
    """RFC 6238: of so many half minutes from now."""
    counter = struct.pack(">Q", int(time.time()) // 30 + later)
    digest = hmac.digest(b32decode(secret), counter, sha1)
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 10**6:06}"


def give_password(client: Client, user: User, password: str = PASSWORD, **more: Any) -> Any:
    return client.post(SIGN_IN, {"login": user.username, "password": password}, **more)


def set_up(client: Client, user: User) -> tuple[str, list[str]]:
    """Sign in for the first time, and set up an app. The secret, and the recovery codes that are shown."""
    give_password(client, user)
    page = client.get(APP).content.decode()
    found = re.search(r'class="secret">([A-Z2-7]{32})<', page)
    assert found
    # The code before this one, so that the present one is left for the next sign-in.
    answer = client.post(APP, {"code": code_of(found[1], later=-1)})
    assert answer.url == "/account/second-step/recovery-codes/"
    shown = re.findall(r"<code>(\d{8})</code>", client.get(answer.url).content.decode())
    assert len(shown) == 10
    return found[1], shown


def is_in(client: Client) -> bool:
    return client.get("/patients/").status_code == 200


@pytest.fixture
def superuser(db: None) -> User:
    return User.objects.create_superuser("root", password=PASSWORD)


def test_with_a_password_alone_there_is_one_page(client: Client, superuser: User) -> None:
    assert give_password(client, superuser).url == "/patients/"
    for address in ("/patients/", "/admin/", "/admin/patients/user/", "/account/sessions/", "/account/password/"):
        assert client.get(address).url == SET_UP, address
        assert client.post(address, {}).url == SET_UP, address
    assert "Set up an app" in client.get(SET_UP).content.decode()


def test_setting_up_an_app_opens_the_rest(client: Client, superuser: User) -> None:
    set_up(client, superuser)
    assert is_in(client)
    assert client.get("/admin/").status_code == 200
    assert AuditEvent.objects.filter(act="person.second_step_added", by=superuser).exists()
    # Codes are shown once.
    assert "<code>" not in client.get("/account/second-step/recovery-codes/").content.decode()


def test_a_wrong_code_sets_nothing_up(client: Client, nurse: User) -> None:
    give_password(client, nurse)
    client.get(APP)
    answer = client.post(APP, {"code": WRONG})
    assert "This code is not right" in answer.content.decode()
    assert not second_step.has_one(nurse)
    assert not is_in(client)


def test_the_next_sign_in_asks_for_a_code_and_takes_each_once(client: Client, nurse: User) -> None:
    secret, _ = set_up(client, nurse)
    other = Client()
    assert give_password(other, nurse).url == SECOND_STEP
    assert not is_in(other)
    assert "This code is not right" in other.post(SECOND_STEP, {"code": WRONG}).content.decode()
    assert not is_in(other)
    assert AuditEvent.objects.get(act="person.second_step_failed").entity_id == nurse.pk
    code = code_of(secret)
    assert other.post(SECOND_STEP, {"code": code}).url == "/patients/"
    assert is_in(other)
    third = Client()
    give_password(third, nurse)
    assert "was used before" in third.post(SECOND_STEP, {"code": code}).content.decode()
    assert not is_in(third)


def test_a_recovery_code_opens_once(client: Client, nurse: User) -> None:
    _, codes = set_up(client, nurse)
    for opens in (True, False):
        other = Client()
        give_password(other, nurse)
        other.post(SECOND_STEP, {"code": codes[3]})
        assert is_in(other) is opens


def test_an_old_code_is_not_taken(client: Client, nurse: User) -> None:
    secret, _ = set_up(client, nurse)
    other = Client()
    give_password(other, nurse)
    for later in (-3, 3):
        other.post(SECOND_STEP, {"code": code_of(secret, later=later)})
        assert not is_in(other)


def test_a_session_from_before_the_second_step_sets_up_no_other(client: Client, nurse: User) -> None:
    """Of whoever knows the password, and signed in before the nurse set hers up."""
    stranger = Client()
    give_password(stranger, nurse)
    set_up(client, nurse)
    for address in (SET_UP, APP, "/account/second-step/webauthn/add/", "/patients/"):
        assert stranger.get(address).url.startswith(SIGN_IN), address
    assert second_step.of(nurse).count() == 1


def test_the_only_second_step_stays(client: Client, nurse: User) -> None:
    set_up(client, nurse)
    removing = "/account/second-step/totp/deactivate/"
    assert "your only second step" in client.get(removing).content.decode()
    client.post(removing)
    assert second_step.has_one(nurse)


def test_the_only_key_stays_and_can_be_renamed(client: Client, nurse: User) -> None:
    set_up(client, nurse)
    kept = {"name": "My tablet", "credential": {}}
    Authenticator.objects.filter(type="totp").delete()
    key = Authenticator.objects.create(user=nurse, type="webauthn", data=kept)
    assert "your only second step" in client.post(f"{SET_UP}webauthn/keys/{key.pk}/remove/").content.decode()
    assert second_step.has_one(nurse)
    assert "My tablet" in client.get(f"{SET_UP}webauthn/keys/{key.pk}/remove/").content.decode()
    client.post(f"{SET_UP}webauthn/keys/{key.pk}/edit/", {"name": "Ward tablet"})
    assert "Ward tablet" in client.get(f"{SET_UP}webauthn/keys/{key.pk}/edit/").content.decode()
    Authenticator.objects.create(user=nurse, type="webauthn", data=kept)
    assert client.post(f"{SET_UP}webauthn/keys/{key.pk}/remove/").status_code == 302
    assert second_step.of(nurse).count() == 1


def test_what_changes_the_second_step_asks_for_it_again(client: Client, nurse: User) -> None:
    secret, _ = set_up(client, nurse)
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        for address in ("webauthn/add/", "totp/deactivate/", "recovery-codes/generate/"):
            asked = client.get(SET_UP + address)
            assert asked.url.startswith("/account/second-step/reauthenticate/"), address
        assert "not right" in client.post(asked.url, {"code": WRONG}).content.decode()
        assert client.post(asked.url, {"code": code_of(secret)}).url == f"{SET_UP}recovery-codes/generate/"
        assert client.get(f"{SET_UP}recovery-codes/generate/").status_code == 200


def test_whoever_tries_too_often_waits_and_nobody_else_does(client: Client, nurse: User, administrator: User) -> None:
    here, elsewhere = {"REMOTE_ADDR": "192.0.2.1"}, {"REMOTE_ADDR": "198.51.100.1"}
    for _ in range(5):
        assert "do not belong together" in give_password(client, nurse, "wrong", **here).content.decode()
    refused = give_password(client, nurse, **here).content.decode()
    assert "too many attempts" in refused
    # A colleague behind the same address, and the nurse from another one.
    assert give_password(Client(), administrator, **here).status_code == 302
    assert give_password(Client(), nurse, **elsewhere).status_code == 302
    with time_machine.travel(timezone.now() + timedelta(minutes=5, seconds=1)):
        assert give_password(Client(), nurse, **here).status_code == 302


def test_trying_other_names_makes_no_attempts_forgotten(client: Client) -> None:
    def attempt(name: str) -> str:
        return client.post(SIGN_IN, {"login": name, "password": "wrong"}).content.decode()

    names = [f"nurse-{number}" for number in range(8)]
    for name in names * 5:
        attempt(name)
    for number in range(350):
        attempt(f"nobody-{number}")
    assert all("too many attempts" in attempt(name) for name in names)


def test_codes_are_not_guessed(client: Client, nurse: User) -> None:
    secret, _ = set_up(client, nurse)
    other = Client()
    give_password(other, nurse)
    for number in range(5):
        other.post(SECOND_STEP, {"code": f"{number:06}"})
    assert "too many attempts" in other.post(SECOND_STEP, {"code": code_of(secret)}).content.decode()
    assert not is_in(other)


def test_known_and_unknown_names_are_answered_alike(client: Client, nurse: User) -> None:
    known = give_password(client, nurse, "wrong").content.decode()
    unknown = client.post(SIGN_IN, {"login": "nobody", "password": "wrong"}).content.decode()
    token = re.compile(r'value="[^"]*"')
    assert token.sub("", known) == token.sub("", unknown)


def test_nobody_signs_up(client: Client) -> None:
    for name in ("account_signup", "account_signup_by_passkey", "account_reset_password", "account_email"):
        with pytest.raises(NoReverseMatch):
            reverse(name)


def test_who_does_nothing_is_signed_out(client: Client, nurse: User, settings: Settings) -> None:
    client.force_login(nurse)
    start = timezone.now()
    with time_machine.travel(start + timedelta(minutes=29)):
        assert is_in(client)
    with time_machine.travel(start + timedelta(minutes=58)):
        assert is_in(client)
        # A page that looks for news by itself.
    with time_machine.travel(start + timedelta(minutes=80)):
        assert client.get("/patients/", headers={"Sec-Fetch-Mode": "cors"}).status_code == 200
    with time_machine.travel(start + timedelta(minutes=89)):
        assert client.get("/patients/").url == f"{SIGN_IN}?next=/patients/"
    assert AuditEvent.objects.filter(act="person.signed_out", by=nurse).exists()


def test_a_page_that_asks_what_is_left_does_not_keep_the_session(client: Client, nurse: User) -> None:
    client.force_login(nurse)
    now = time.time()
    by_script = {"headers": {"Sec-Fetch-Mode": "cors"}}
    events = AuditEvent.objects.count()
    with time_machine.travel(now + 1799.5, tick=False):
        assert client.get("/account/stay/", **by_script).json()["idle"] >= 1
    assert AuditEvent.objects.count() == events
    with time_machine.travel(now + 1801, tick=False):
        assert client.get("/account/stay/", **by_script).status_code == 302
    client.force_login(nurse)
    now = time.time()
    with time_machine.travel(now + 1700, tick=False):
        assert client.post("/account/stay/", **by_script).json()["idle"] == 1800


def test_nobody_is_signed_in_for_longer_than_a_shift(client: Client, nurse: User) -> None:
    client.force_login(nurse)
    start = timezone.now()
    for minutes in range(25, 12 * 60, 25):
        with time_machine.travel(start + timedelta(minutes=minutes)):
            assert is_in(client), minutes
    with time_machine.travel(start + timedelta(minutes=12 * 60 + 1)):
        assert not is_in(client)


def test_a_session_of_an_older_version_is_over(client: Client, nurse: User) -> None:
    client.force_login(nurse)
    session = client.session
    del session["began"]
    session.save()
    assert not is_in(client)


def test_a_person_sees_where_they_are_signed_in_and_signs_out_elsewhere(client: Client, nurse: User) -> None:
    _, codes = set_up(client, nurse)
    elsewhere = Client()
    give_password(elsewhere, nurse)
    elsewhere.post(SECOND_STEP, {"code": codes[0]})
    assert is_in(elsewhere)
    page = client.get("/account/sessions/").content.decode()
    assert page.count("Since ") == 2
    client.post("/account/sessions/")
    assert is_in(client)
    assert not is_in(elsewhere)


def test_the_session_key_changes_at_the_sign_in(client: Client, nurse: User) -> None:
    client.get(SIGN_IN)
    give_password(client, nurse)
    before = client.session.session_key
    client.logout()
    client.cookies["sessionid"] = "planted-by-somebody-else"
    give_password(client, nurse)
    assert client.session.session_key not in {before, "planted-by-somebody-else"}


def test_secrets_are_sealed_and_sealed_anew_under_a_new_key(client: Client, nurse: User, settings: Settings) -> None:
    secret, codes = set_up(client, nurse)
    held = json.dumps(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in held
    assert not any(code in held for code in codes)
    settings.FIELD_KEYS = ["n" * 43, *settings.FIELD_KEYS]
    while rotating.rotate():
        pass
    settings.FIELD_KEYS = settings.FIELD_KEYS[:1]
    other = Client()
    give_password(other, nurse)
    other.post(SECOND_STEP, {"code": code_of(secret)})
    assert is_in(other)


def test_who_lost_everything_sets_up_anew(client: Client, nurse: User, superuser: User) -> None:
    set_up(client, nurse)
    chief = Client()
    chief.force_login(superuser)
    sent = {"action": "forget_second_step", "_selected_action": [nurse.pk]}
    answer = chief.post("/admin/patients/user/", sent)
    assert "signed out everywhere" in str(next(iter(get_messages(answer.wsgi_request))))
    assert not is_in(client)
    event = AuditEvent.objects.get(act="person.second_step_forgotten")
    assert (event.by, event.entity_id) == (superuser, nurse.pk)
    again = Client()
    give_password(again, nurse)
    assert again.get("/patients/").url == SET_UP


def test_so_on_the_command_line(client: Client, nurse: User) -> None:
    set_up(client, nurse)
    with pytest.raises(CommandError, match="Nobody is called 'nobody'"):
        call_command("forget_second_step", "nobody")
    call_command("forget_second_step", nurse.username)
    assert not second_step.has_one(nurse)
    assert not is_in(client)


def test_the_demonstration_goes_without(client: Client, nurse: User, settings: Settings) -> None:
    settings.SECOND_STEP_REQUIRED = False
    give_password(client, nurse)
    assert is_in(client)


def test_who_left_is_out_at_once(client: Client, nurse: User, clinic: Clinic) -> None:
    leaving = make_staff(clinic, "leaving")
    client.force_login(leaving)
    assert is_in(client)
    User.objects.filter(pk=leaving.pk).update(is_active=False)
    assert not is_in(client)
    assert "do not belong together" in give_password(Client(), leaving).content.decode()


def test_a_change_of_shift_is_not_too_many_passkeys(client: Client) -> None:
    """All of a clinic come from one address, and there is no secret to be guessed."""
    answers = [client.post("/account/second-step/webauthn/login/", {"credential": "{}"}) for _ in range(15)]
    assert {answer.status_code for answer in answers} & {403, 429, 500} == set()
