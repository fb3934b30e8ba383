"""Who gets in where: every address of the project, new ones by themselves, asked by everybody.

access.txt, beside this file, says for each address and method who gets in. Whoever adds an address, or opens one to
somebody else, has to change that file, and whoever reads the change sees it there.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from patients.models import Clinic, User
from patients.words import StaffRoleName
from reactions.models import CheckIn, Infusion
from tests.support import PASSWORD
from tests.support.every_model import fill
from tests.support.factories import make_staff
from tests.support.pages import ADMINISTRATORS_PAGES, RECORD_PAGES, one_of_each
from tests.test_access import RECORD_BUTTONS

pytestmark = pytest.mark.django_db

ACCESS = Path(__file__).with_name("access.txt")
METHODS = ("GET", "POST")
PEOPLE = (
    "nobody",
    "half",
    "nurse",
    "administrator",
    "auditor",
    "other-nurse",
    "other-administrator",
    "superuser",
)
# Where people are led who may not come in; the admin's front page, who asks for what is not theirs.
THE_DOOR = re.compile(r"^/((sign-in|admin/login)/(\?|$)|account/second-step/$|admin/$)")
# What an address names that is no record of a clinic.
ANYTHING = {
    "name": "now",
    "submission_id": "00000000-0000-4000-8000-000000000000",
    "app_label": "patients",
    "url": "nowhere",
    "content_type_id": "1",
}


def addresses() -> Iterator[tuple[str, str]]:
    """(name, pattern) of every address."""
    yield from _below(get_resolver(), "", "")


def _below(resolver: URLResolver, space: str, prefix: str) -> Iterator[tuple[str, str]]:
    for one in resolver.url_patterns:
        pattern = prefix + str(one.pattern)
        if isinstance(one, URLPattern):
            yield f"{space}{one.name or pattern}", pattern
        else:
            yield from _below(one, f"{space}{one.namespace}:" if one.namespace else space, pattern)


def records_of(infusion: Infusion) -> dict[str, str]:
    """For each address that names a record, the record."""
    made = one_of_each(infusion)
    named = RECORD_PAGES | ADMINISTRATORS_PAGES | RECORD_BUTTONS
    about = {name: f"{made[kind]}" for name, kind in named.items()}
    fill(infusion.clinic, 1)
    for model, page in admin.site._registry.items():
        rows = page.get_queryset(_by_a_superuser())
        if own := getattr(page, "clinic_path", ""):
            rows = rows.filter(**{own: infusion.clinic.pk})
        row = rows.first()
        for act in ("change", "delete", "history"):
            about[f"admin:{model._meta.app_label}_{model._meta.model_name}_{act}"] = f"{row.pk if row else ''}"
    return about


def _by_a_superuser() -> Any:
    request = Client().get("/healthz").wsgi_request
    request.user = User(is_superuser=True, is_active=True)
    return request


def address_of(name: str, pattern: str, records: dict[str, str], token: str) -> str:
    """Fills in what the pattern leaves open."""

    def value(found: re.Match[str]) -> str:
        kind, which = (found[1] or "str").rstrip(":"), found[2]
        if which == "token":
            return token
        if which in ANYTHING:
            return ANYTHING[which]
        return records.get(name) or ("0" if kind == "int" else "nothing")

    filled = re.sub(r"<(\w+:)?(\w+)>", value, re.sub(r"\(\?P(<\w+>)[^)]*\)", r"\1", pattern))
    return "/" + filled.translate(str.maketrans("", "", "^$?"))


class Person:
    """Somebody with a browser. Whatever they do is undone."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.cookies = {name: cookie.value for name, cookie in client.cookies.items()}

    def gets_in(self, method: str, address: str) -> bool:
        with transaction.atomic():
            answer = self.client.generic(method, address)
            transaction.set_rollback(True)
        self.client.cookies.clear()
        self.client.cookies.load(self.cookies)
        is_led_away = answer.status_code in {301, 302} and THE_DOOR.match(answer["Location"])
        return answer.status_code < 400 and not is_led_away


def person(name: str, clinic: Clinic, other_clinic: Clinic) -> Person:
    client = Client(raise_request_exception=True)
    roles = {
        "nurse": (clinic, StaffRoleName.CLINICIAN),
        "administrator": (clinic, StaffRoleName.ADMINISTRATOR),
        "auditor": (clinic, StaffRoleName.AUDITOR),
        "other-nurse": (other_clinic, StaffRoleName.CLINICIAN),
        "other-administrator": (other_clinic, StaffRoleName.ADMINISTRATOR),
        "half": (clinic, StaffRoleName.ADMINISTRATOR),
    }
    if name == "superuser":
        client.force_login(User.objects.create_superuser("root"))
    elif name in roles:
        where, role = roles[name]
        user = make_staff(where, f"person-{name}", role)
        if name == "half":
            client.post("/sign-in/", {"login": user.username, "password": PASSWORD})
        else:
            client.force_login(user)
    return Person(client)


def allowed() -> dict[str, frozenset[str]]:
    """{method and name: who gets in}"""
    lines = [line.split() for line in ACCESS.read_text().splitlines() if line and not line.startswith("#")]
    return {f"{method} {name}": frozenset(people) for method, name, *people in lines}


def test_every_address_has_a_line_and_every_line_an_address() -> None:
    there = {f"{method} {name}" for name, _ in addresses() for method in METHODS}
    assert sorted(there ^ set(allowed())) == []
    assert {person for people in allowed().values() for person in people} <= set(PEOPLE)


@pytest.mark.parametrize("name", PEOPLE)
def test_whoever_asks_gets_in_where_the_list_says_so_and_nowhere_else(
    name: str, infusion: Infusion, clinic: Clinic, other_clinic: Clinic
) -> None:
    records = records_of(infusion)
    token = CheckIn.objects.earliest("due_at").link_path().split("/")[2]
    somebody = person(name, clinic, other_clinic)
    found = {
        f"{method} {address}"
        for address, pattern in addresses()
        for method in METHODS
        if somebody.gets_in(method, address_of(address, pattern, records, token))
    }
    expected = {line for line, people in allowed().items() if name in people}
    assert sorted(found - expected) == [], "got in"
    assert sorted(expected - found) == [], "was kept out"
