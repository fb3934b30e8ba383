"""What a mail provider posts about mails that came back, in the form of Mailgun."""

import base64
import hashlib
import hmac
import importlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import clear_url_caches
from django.utils import timezone
from pytest_django import Settings

import ivigtrack.urls
from patients.models import Patient
from reactions.checkins import due
from reactions.models import CheckIn, Infusion, OutboxMessage
from reactions.vocabulary import MailState
from tests.support.factories import make_checkins
from tests.support.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db

ADDRESS, SECRET, KEY = "/mail-events/", "events:synthetic-secret", "synthetic-signing-key"


@pytest.fixture
def mail(infusion: Infusion, smtp_sink: SmtpSink) -> OutboxMessage:
    """A check-in's mail that was sent."""
    make_checkins(infusion)
    due.tick()
    return OutboxMessage.objects.get()


@pytest.fixture
def switched_on(settings: Settings) -> Iterator[None]:
    settings.ANYMAIL_WEBHOOK_SECRET, settings.ANYMAIL_PROVIDER = SECRET, "mailgun"
    settings.ANYMAIL = {"WEBHOOK_SECRET": SECRET, "MAILGUN_WEBHOOK_SIGNING_KEY": KEY}
    yield from with_new_addresses()


def with_new_addresses() -> Iterator[None]:
    """The addresses as the settings make them now, and as they were afterwards."""
    before = list(ivigtrack.urls.urlpatterns)
    load_addresses()
    yield
    ivigtrack.urls.urlpatterns[:] = before
    clear_url_caches()


def load_addresses() -> None:
    if known := sys.modules.get("reactions.mail_events"):
        importlib.reload(known)
    importlib.reload(ivigtrack.urls)
    clear_url_caches()


def mailgun(message_id: str, **changes: Any) -> dict[str, Any]:
    """An event as Mailgun posts it, after its documentation."""
    stamp, token = str(int(timezone.now().timestamp())), "synthetic-token"
    signature = hmac.new(KEY.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    event = {
        "event": "failed",
        "severity": "permanent",
        "reason": "bounce",
        "id": "G9Bn5sl1TC6nu79C8C0bwg",
        "timestamp": 1_795_600_000.5,
        "recipient": "tessa@patients.example",
        "recipient-domain": "patients.example",
        "delivery-status": {
            "code": 550,
            "message": "550 5.1.1 <tessa@patients.example>: Recipient address rejected: User unknown",
            "attempt-no": 1,
        },
        "message": {"headers": {"message-id": message_id.strip("<>"), "to": "tessa@patients.example"}},
        "flags": {"is-routed": False, "is-authenticated": True, "is-test-mode": False},
        "tags": [],
        "user-variables": {},
    } | changes
    return {"signature": {"timestamp": stamp, "token": token, "signature": signature}, "event-data": event}


def post(payload: Any, secret: str = SECRET) -> Any:
    headers = {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()} if secret else {}
    client = Client(enforce_csrf_checks=True)
    return client.post(ADDRESS, json.dumps(payload), content_type="application/json", headers=headers)


def test_without_a_secret_there_is_no_such_address(client: Client) -> None:
    assert post(mailgun("<a@b.example>")).status_code in {302, 404}


def test_mail_that_came_back_by_mailgun(switched_on: None, mail: OutboxMessage, patient: Patient) -> None:
    assert post(mailgun(mail.message_id)).status_code == 200
    mail.refresh_from_db()
    patient.refresh_from_db()
    words = "Mailgun: 550 5.1.1 (address) Recipient address rejected: User unknown"
    assert (mail.state, mail.last_error) == (MailState.BOUNCED, words)
    assert patient.why_no_mail() == "Mail to this address came back."
    assert CheckIn.objects.get(pk=mail.checkin_id).state_reason == f"Mail to this address came back. {words}"


@pytest.mark.parametrize(
    ("changes", "state", "note"),
    [
        ({"severity": "temporary"}, MailState.SENT, "Held up: "),
        (
            {"delivery-status": {"code": 552, "message": "552 5.2.2 Mailbox full"}},
            MailState.SENT,
            "Given up: Mailgun: 552 5.2.2",
        ),
        ({"reason": "suppress-bounce", "delivery-status": {"code": 605}}, MailState.BOUNCED, "Mailgun: "),
        ({"event": "delivered"}, MailState.SENT, ""),
        ({"event": "opened"}, MailState.SENT, ""),
    ],
)
def test_other_events_of_mailgun(
    switched_on: None, mail: OutboxMessage, changes: dict[str, Any], state: MailState, note: str
) -> None:
    assert post(mailgun(mail.message_id, **changes)).status_code == 200
    mail.refresh_from_db()
    assert mail.state == state
    assert mail.last_error.startswith(note)
    assert bool(mail.last_error) is bool(note)


def test_who_does_not_know_the_secret_or_the_key_changes_nothing(switched_on: None, mail: OutboxMessage) -> None:
    assert post(mailgun(mail.message_id), secret="").status_code == 400
    assert post(mailgun(mail.message_id), secret="events:guessed").status_code == 400
    unsigned = mailgun(mail.message_id)
    unsigned["signature"]["signature"] = "0" * 64
    assert post(unsigned).status_code == 400
    mail.refresh_from_db()
    assert mail.state == MailState.SENT


def test_a_mail_of_somebody_else_changes_nothing(switched_on: None, mail: OutboxMessage) -> None:
    assert post(mailgun("<another@clinic.example>")).status_code == 200
    mail.refresh_from_db()
    assert mail.state == MailState.SENT


def test_a_provider_that_is_misspelt_is_named_at_the_start(settings: Settings, switched_on: None) -> None:
    settings.ANYMAIL_PROVIDER = "mailgum"
    with pytest.raises(ImproperlyConfigured, match="“mailgum”, which is none of "):
        load_addresses()
