"""What names a person stands on the pages of those who care for them, and nowhere else.

Each sealed column gets words that occur nowhere else, new columns by themselves; then everything around it is read.
"""

import logging
import re
from collections.abc import Iterator
from datetime import date

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, models, transaction
from django.test import Client
from redis import Redis

from patients.models import AuditKey, Patient, User
from patients.sealing.fields import SealedDateField, SealedEmailField, SealedJSONField, sealed_fields
from reactions.models import CheckIn, Infusion
from reactions.tasks import tick
from tests.security.test_every_address import address_of, addresses, records_of

# No other date in the tests is of this year.
BORN = date(1903, 2, 1)
CANARY = re.compile(rb"zeisig|1903-02-01", re.IGNORECASE)
# Columns that the database keeps empty in the rows that are made here. Whoever seals another one finds it named by a
# test that fails, and has it filled.
VOIDED = "AnaphylaxisRecord IgaResult Infusion Patient PatientRisk RateStep Reaction ResponseMeasures Treatment Vitals"
NOT_FILLED = {
    *(f"{model}.void_reason" for model in VOIDED.split()),
    "Alert.what_was_done",
    "AnswerDraft.steps",
    "SignalDecision.words",
}
# Addresses in a page. A telephone is called by the phone, which asks no server.
ADDRESS = re.compile(r'\b(?:href|src|action|formaction|data-[\w-]+)="(?!tel:)([^"]*)"')


@pytest.fixture
def records(infusion: Infusion) -> dict[str, str]:
    """A record for each address, with a canary in every sealed column that has something."""
    with transaction.atomic():
        found = records_of(infusion)
        lacking = {f"{field.model.__name__}.{field.name}" for field in release_canaries()}
    assert lacking == NOT_FILLED
    return found


def release_canaries() -> Iterator[models.Field]:
    """Into every column of every row that may hold something. Yields the columns in which no row may."""
    for model in set(apps.get_models()) - {AuditKey}:
        for field in sealed_fields(model):
            if not sum(_released(field, row) for row in model._default_manager.all()):
                yield field


def _released(field: models.Field, row: models.Model) -> bool:
    """False where the database keeps it empty, such as the reason of what is not void, or refuses every change."""
    setattr(row, field.name, canary(field, row))
    try:
        with transaction.atomic():
            if isinstance(row, Patient):
                row.save()
            else:
                models.QuerySet(type(row)).filter(pk=row.pk).update(**{field.name: getattr(row, field.name)})
    except DatabaseError:
        return False
    return True


def canary(field: models.Field, row: models.Model) -> object:
    if isinstance(field, SealedDateField):
        return BORN
    if isinstance(field, SealedJSONField):
        held = getattr(row, field.name)
        if isinstance(held, dict):
            return held | {"comment": "zeisig"}
        return [one | {"text": "zeisig"} if isinstance(one, dict) else one for one in held]
    words = f"Zeisig{row.pk}"
    return f"{words}@patients.example" if isinstance(field, SealedEmailField) else words[: field.max_length]


def raw_rows() -> Iterator[tuple[str, bytes]]:
    """(table, row) of the whole database, as whoever stole it reads it."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            for row in cursor.fetchall():
                values = [bytes(value) if isinstance(value, memoryview) else value for value in row]
                yield table, b" ".join(v if isinstance(v, bytes) else f"{v}".encode() for v in values)


@pytest.mark.django_db
def test_the_stolen_database_names_nobody(records: dict[str, str]) -> None:
    assert [table for table, row in raw_rows() if CANARY.search(row)] == []
    assert Patient.objects.filter(pk=Infusion.objects.earliest("pk").patient_id).get().given_name.startswith("Zeisig")


@pytest.mark.django_db
def test_addresses_cookies_and_the_log_name_nobody(
    records: dict[str, str], infusion: Infusion, administrator: User, caplog: pytest.LogCaptureFixture
) -> None:
    """Of every page, asked by somebody who sees everything on it, and of a search."""
    caplog.set_level(logging.DEBUG)
    token = CheckIn.objects.earliest("due_at").link_path().split("/")[2]
    client = Client()
    client.force_login(administrator)
    seen = 0
    for name, pattern in addresses():
        for method in ("GET", "POST"):
            answer = client.generic(method, address_of(name, pattern, records, token))
            if not client.session.get("_auth_user_id"):
                client.force_login(administrator)
            headers = f"{answer.headers} {client.cookies.output()}"
            assert not CANARY.search(headers.encode()), name
            if answer.get("Content-Type", "").startswith("text/html"):
                page = answer.content.decode()
                seen += "eisig" in page
                assert not [it for it in ADDRESS.findall(page) if CANARY.search(it.encode())], name
    # Otherwise there was nothing to be found.
    assert seen > 20
    answer = client.post("/patients/", {"q": "zeisig"}, follow=True)
    assert "Zeisig" in answer.content.decode()
    assert not CANARY.search(f"{answer.redirect_chain}".encode())
    assert not CANARY.search(caplog.text.encode())


@pytest.mark.django_db
def test_an_error_names_nobody(
    records: dict[str, str],
    infusion: Infusion,
    administrator: User,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaks(*args: object, **kwargs: object) -> None:
        patient = Patient.objects.get(pk=infusion.patient_id)
        raise RuntimeError(f"{patient!r} {[patient]}")

    client = Client(raise_request_exception=False)
    client.force_login(administrator)
    monkeypatch.setattr("patients.views.patients.find_patient", breaks)
    for method in ("get", "post"):
        answer = getattr(client, method)(f"/patients/{infusion.patient_id}/correct/", {"given_name": "Zeisig"})
        assert answer.status_code == 500
        assert not CANARY.search(answer.content)
    assert "RuntimeError" in caplog.text
    assert not CANARY.search(caplog.text.encode())


@pytest.mark.django_db(transaction=True)
def test_the_broker_names_nobody(records: dict[str, str], broker: str, administrator: User) -> None:
    tick.delay()
    with Redis.from_url(broker) as client:
        held = [client.dump(key) or b"" for key in client.scan_iter()]
    assert held
    assert not any(CANARY.search(one) for one in held)


@pytest.mark.django_db
def test_what_programmers_look_at_names_nobody(records: dict[str, str]) -> None:
    for model in apps.get_models():
        for row in model._default_manager.all():
            if not isinstance(row, User):
                assert not CANARY.search(repr(row).encode()), model
