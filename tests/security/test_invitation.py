"""Whoever is invited chooses a password by a link that works once, and nobody invites into another clinic."""

import logging
import re
from datetime import timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from ivigtrack.quiet_log import WithoutLinks
from patients.models import AuditEvent, Clinic, StaffRole, User
from patients.signing_in import inviting
from patients.words import StaffRoleName
from tests.support import PASSWORD
from tests.support.at_once import at_once

INVITE = "/account/invite/"
NEW = {"username": "new-nurse", "first_name": "Nina", "last_name": "Test", "email": "nina@staff.example"}


@pytest.fixture(autouse=True)
def _no_attempts_so_far(db: None) -> None:
    cache.clear()


@pytest.fixture
def invited(administrator: User, clinic: Clinic) -> User:
    return inviting.invite(by=administrator, clinic=clinic, role=StaffRoleName.CLINICIAN, details=NEW)


def shown_in(page: str) -> str:
    found = re.search(r'class="secret">http://127.0.0.1:8000(/invitation/[^<]+)<', page)
    assert found
    return found[1]


def opened(client: Client, link: str) -> str:
    """The address of the form behind a link."""
    answer = client.get(link)
    assert answer.status_code == 302
    assert "set-password" in answer.url
    return answer.url


def passwords(text: str = PASSWORD) -> dict[str, str]:
    return {"new_password1": text, "new_password2": text}


@pytest.mark.django_db
def test_an_administrator_makes_an_account_and_its_person_opens_it(
    client: Client, administrator: User, clinic: Clinic
) -> None:
    client.force_login(administrator)
    made = client.post(INVITE, NEW | {"clinic": clinic.pk, "role": "clinician"}).content.decode()
    user = User.objects.get(username="new-nurse")
    link = shown_in(made)
    assert client.get(INVITE).status_code == 200
    assert [(role.clinic, role.role) for role in user.roles.all()] == [(clinic, "clinician")]
    assert AuditEvent.objects.get(act="person.invited").by == administrator
    theirs = Client()
    address = opened(theirs, link)
    assert "new-nurse" in theirs.get(address).content.decode()
    assert "too short" in theirs.post(address, passwords("short")).content.decode()
    assert theirs.post(address, passwords()).url == "/sign-in/"
    theirs.post("/sign-in/", {"login": "new-nurse", "password": PASSWORD})
    assert theirs.get("/patients/").url == "/account/second-step/"
    assert Client().get("/invitation/x/y-z/").status_code == 410


@pytest.mark.django_db
def test_nobody_signs_in_before_the_link_was_opened(client: Client, invited: User) -> None:
    for password in ("", "!", invited.password):
        client.post("/sign-in/", {"login": invited.username, "password": password})
        assert client.get("/patients/").status_code == 302


@pytest.mark.django_db
def test_a_link_works_once_and_not_for_long(client: Client, invited: User) -> None:
    link = inviting.link_path(invited)
    with time_machine.travel(timezone.now() + timedelta(days=3, minutes=1)):
        assert client.get(link).status_code == 410
    address = opened(client, link)
    client.post(address, passwords())
    assert "opens nothing" in Client().get(link).content.decode()
    assert client.post(address, passwords("another-Passphrase-1")).status_code == 410
    invited.refresh_from_db()
    assert invited.check_password(PASSWORD)


@pytest.mark.django_db
def test_who_left_meanwhile_chooses_none(client: Client, invited: User) -> None:
    address = opened(client, inviting.link_path(invited))
    User.objects.filter(pk=invited.pk).update(is_active=False)
    assert client.post(address, passwords()).status_code == 410
    invited.refresh_from_db()
    assert not invited.has_usable_password()


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["nurse", "other_nurse"])
def test_only_administrators_invite(client: Client, who: str, request: pytest.FixtureRequest, clinic: Clinic) -> None:
    client.force_login(request.getfixturevalue(who))
    assert client.get(INVITE).status_code == 403
    assert client.post(INVITE, NEW | {"clinic": clinic.pk, "role": "administrator"}).status_code == 403
    assert not User.objects.filter(username="new-nurse").exists()


@pytest.mark.django_db
def test_and_only_to_their_own_clinic(client: Client, administrator: User, other_clinic: Clinic) -> None:
    client.force_login(administrator)
    answer = client.post(INVITE, NEW | {"clinic": other_clinic.pk, "role": "clinician"})
    assert "Select a valid choice" in answer.content.decode()
    assert not StaffRole.objects.filter(clinic=other_clinic).exists()


@pytest.mark.django_db
def test_a_name_that_is_taken_is_said(client: Client, administrator: User, clinic: Clinic) -> None:
    client.force_login(administrator)
    taken = NEW | {"username": administrator.username, "clinic": clinic.pk, "role": "clinician"}
    assert "already exists" in client.post(INVITE, taken).content.decode()


@pytest.mark.django_db
def test_a_superuser_makes_a_link_for_who_forgot(client: Client, nurse: User) -> None:
    client.force_login(User.objects.create_superuser("root"))
    page = client.post("/admin/patients/user/", {"action": "make_links", "_selected_action": [nurse.pk]})
    assert opened(Client(), shown_in(page.content.decode()))
    assert AuditEvent.objects.get(act="person.link_made").entity_id == nurse.pk


@pytest.mark.django_db(transaction=True)
def test_of_two_who_open_the_link_at_once_one_chooses(invited: User) -> None:
    token = inviting.link_path(invited).split("/")[3]

    def choose(password: str) -> bool:
        try:
            inviting.choose_password(invited, password, token=token)
        except inviting.LinkUsed:
            return False
        return True

    chosen = at_once(lambda: choose("first-Passphrase-1"), lambda: choose("other-Passphrase-2"))
    assert sorted(chosen) == [False, True]


def test_the_log_keeps_no_link() -> None:
    record = logging.makeLogRecord({"msg": "Gone: %s", "args": ("/invitation/MQ/c8w0vv-aaaa/ twice",)})
    assert WithoutLinks().filter(record)
    assert record.getMessage() == "Gone: /invitation/MQ/…/ twice"
