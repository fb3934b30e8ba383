"""Whatever stands in one field of a form: no breakdown, nothing impossible stored, nothing else that was typed lost."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from urllib.parse import urljoin

import pytest
from django.apps import apps
from django.db import connection, models, transaction
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from patients.models import AuditEvent, User
from reactions.models import Infusion
from tests.support.forms import infusion_form, reaction_form
from tests.support.pages import LEADING_ELSEWHERE, RECORD_PAGES, one_of_each
from tests.support.sent_forms import TYPED, SentForm, forms_of

pytestmark = pytest.mark.django_db

# By what a control takes: words, numbers, days with their times.
WORDS = (" \t ", "\0", "x" * 10_001, "<script>alert('x')</script>\N{RIGHT-TO-LEFT OVERRIDE}💉")
NUMBERS = ("", "\0", "NaN", "1e400", "-1", "9" * 40, "1,5", "٣")
TIMES = ("", "\0", "2026-02-30T25:61", "9999-12-31T23:59", "0001-01-01T00:00")
NASTY = (*WORDS, *NUMBERS, *TIMES)
NONSENSE = dict.fromkeys(TYPED, WORDS) | {
    "number": NUMBERS,
    "date": TIMES,
    "datetime-local": TIMES,
}
# A control that offers its values is changed only by whoever builds a request by hand.
OFFERS = {"select", "radio", "checkbox"}
NOT_OFFERED = ("", "nonsense\0", "9" * 40)
# The forms of a running infusion stand on its page.
PAGES = [*(set(RECORD_PAGES) - LEADING_ELSEWHERE), "patients:register"]
# Filled in as somebody fills them in who starts from an empty page.
FILLED = {"reactions:record_infusion": infusion_form, "reactions:record_reaction": reaction_form}
# Of rows that repeat, the first stands for the others.
SPARE_ROW = re.compile(r"-[1-9]\d*-")
# Pages that read values from their address, and some of those; what else they read is found by asking them.
LISTS = {
    "patients:list": {"q", "page"},
    "reactions:lots": {"lot", "product", "like"},
    "reactions:worklist": {"page"},
    "reactions:alerts": {"page"},
    "reactions:checkins": {"show", "page"},
    "reactions:grades": {"term", "version"},
    "reactions:review_list": {"page"},
    "reactions:silent_list": {"page"},
}
LATEST_YEAR = timezone.now().year + 10


@pytest.mark.parametrize("name", sorted(PAGES))
def test_one_field_full_of_nonsense(client: Client, nurse: User, infusion: Infusion, name: str) -> None:
    client.force_login(nurse)
    address = _address(name, infusion)
    page = client.get(address, follow=True).content.decode()
    assert 'role="alert"' not in page, "there before anything was sent"
    # The same field on another page, or on the other database, meets another value alone.
    turn = sorted(PAGES).index(name) + (connection.vendor == "postgresql")
    for form in forms_of(page, address):
        form.data |= {key: [value] for key, value in FILLED.get(name, dict)().items()}
        fields = [one for one in form.kinds if not SPARE_ROW.search(one)]
        for nonsense in (*_alone(form, fields, turn), *_side_by_side(form, fields)):
            _send(client, form, nonsense)
        for nasty in NOT_OFFERED:
            _send(client, form, {one: [nasty] for one in fields if form.kinds[one] in OFFERS})
        _send(client, form, {key: ["1", "2"] for key in fields})
        _send(client, form, {key: ["\x00'--"] for key in form.kinds})
        form.data = {}
        _send(client, form, {})


def _alone(form: SentForm, fields: list[str], turn: int) -> Iterator[dict[str, list[str]]]:
    """One field at a time: each field of the form meets a value, each value a field of every kind that takes it."""
    for kind in sorted({form.kinds[one] for one in fields} - OFFERS):
        values, such = NONSENSE.get(kind, NOT_OFFERED), [one for one in fields if form.kinds[one] == kind]
        for number in range(max(len(values), len(such))):
            yield {such[number % len(such)]: [values[(number + turn) % len(values)]]}


def _side_by_side(form: SentForm, fields: list[str]) -> Iterator[dict[str, list[str]]]:
    """All fields that are typed at once, until each of them met each value; none where they did so alone."""
    typed = [one for one in fields if form.kinds[one] in NONSENSE]
    if len({form.kinds[one] for one in typed}) == len(typed):
        return
    for number in range(max(len(NONSENSE[form.kinds[one]]) for one in typed)):
        values = [NONSENSE[form.kinds[one]] for one in typed]
        yield {
            one: [some[(place + number) % len(some)]]
            for place, (one, some) in enumerate(zip(typed, values, strict=True))
        }


def _address(name: str, infusion: Infusion) -> str:
    records = one_of_each(infusion)
    return reverse(name, args=[records[RECORD_PAGES[name]]] if name in RECORD_PAGES else [])


def _send(client: Client, form: SentForm, nonsense: dict[str, list[str]]) -> None:
    """Send the form with nonsense in some of its fields. What that writes is taken back afterwards."""
    with transaction.atomic():
        _send_and_look(client, form, nonsense)
        transaction.set_rollback(True)


def _send_and_look(client: Client, form: SentForm, nonsense: dict[str, list[str]]) -> None:
    data = form.data | nonsense
    where = f"{form.action}: { ({name: values[0][:20] for name, values in nonsense.items()}) }"
    before = AuditEvent.objects.order_by("pk").values_list("pk", flat=True).last() or 0
    answer = client.post(form.action, data)
    events = list(AuditEvent.objects.filter(pk__gt=before))
    assert answer.status_code in {200, 302, 404, 409}, where
    if answer.status_code == 302:
        for event in events:
            _check_stored(event, where)
        return
    assert not events, f"{where}: refused, and yet written"
    if answer.status_code == 404:
        return
    page = answer.content.decode()
    assert 'role="alert"' in page, f"{where}: no word why"
    returned = [one for one in forms_of(page, form.action) if urljoin(form.action, one.action) == form.action]
    assert returned, f"{where}: the form did not come back"
    kept = [one for one in form.typed() if one not in nonsense and form.kinds[one] != "password"]
    lost = [name for name in kept if not any(_says(one.data.get(name, []), data[name]) for one in returned)]
    assert not lost, f"{where}: lost are {lost}"


def _says(there: list[str], typed: list[str]) -> bool:
    return sorted(one.strip() for one in there if one.strip()) == sorted(one.strip() for one in typed if one.strip())


def _check_stored(event: AuditEvent, where: str) -> None:
    """What was written is a record that the models take, with numbers and days that can be."""
    model = apps.get_model(event.entity)
    stored = model._default_manager.filter(pk=event.entity_id).first()
    if stored is None:
        return
    stored.clean_fields()
    for column in model._meta.concrete_fields:
        value: Any = getattr(stored, column.attname)
        if isinstance(value, date | datetime):
            assert 1900 <= value.year <= LATEST_YEAR, f"{where}: {column.name} is {value}"
        if isinstance(column, models.DecimalField) and value is not None:
            assert value.is_finite(), f"{where}: {column.name} is {value}"
        if isinstance(value, str):
            assert "\0" not in value, f"{where}: {column.name} holds a null sign"


@pytest.fixture
def looked_for(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of values that a page looks for in an address that has any; what a GET posted is empty."""
    found: set[str] = set()

    def note(method: str) -> None:
        real = getattr(QueryDict, method)

        def noting(values: QueryDict, name: str, *default: Any) -> Any:
            if values:
                found.add(name)
            return real(values, name, *default)

        monkeypatch.setattr(QueryDict, method, noting)

    for method in ("__getitem__", "__contains__", "getlist"):
        note(method)
    return found


@pytest.mark.parametrize("name", [*sorted(RECORD_PAGES.keys() - LEADING_ELSEWHERE), *LISTS])
def test_an_address_full_of_nonsense(
    client: Client, nurse: User, infusion: Infusion, looked_for: set[str], name: str
) -> None:
    client.force_login(nurse)
    address = _address(name, infusion)
    client.get(address, {"unknown": "1"})
    done: set[str] = set()
    while left := looked_for - done:
        parameter = min(left)
        for nasty in NASTY:
            answer = client.get(address, {parameter: nasty})
            assert answer.status_code in {200, 404}, f"{name}?{parameter}={nasty[:20]!r}"
        done.add(parameter)
    assert done >= LISTS.get(name, set())


def test_the_administrations_filters_full_of_nonsense(client: Client, administrator: User, infusion: Infusion) -> None:
    client.force_login(administrator)
    page = client.get("/admin/rates/").content.decode()
    names = set(re.findall(r'<(?:select|input)[^>]* name="(\w+)"', page))
    assert "first_day" in names
    for name in names:
        for nasty in NASTY:
            # The other files are made from the same filters; signals know the clinic alone.
            for address in (
                "/admin/rates/",
                "/admin/rates.csv",
                "/admin/rates.json",
                "/admin/rates/infusions/",
                "/admin/signals/",
            ):
                answer = client.get(address, {name: nasty})
                assert answer.status_code in {200, 302, 400, 404}, f"{address}?{name}={nasty[:20]!r}"
