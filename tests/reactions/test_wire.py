"""A mail in the bytes of SMTP is what Django's own way through the email package makes of it."""

from email import message_from_bytes, policy
from typing import Any

import pytest
from django.core.mail import BadHeaderError, EmailMultiAlternatives

from reactions.outbox import wire


def make_mail(**changes: Any) -> EmailMultiAlternatives:
    given: dict[str, Any] = {
        "subject": "A short question",
        "body": "Hello,\n\nhttps://ivigtrack.example/c/abc/\n",
        "from_email": "Synthetic Clinic <check-in@clinic.example>",
        "to": ["tessa@patients.example"],
        "headers": {"Message-ID": "<1@clinic.example>", "Auto-Submitted": "auto-generated"},
    }
    html = changes.pop("html", "<p>Hello</p>\n")
    mail = EmailMultiAlternatives(**(given | changes))
    mail.attach_alternative(html, "text/html")
    return mail


def said(written: bytes) -> dict[str, Any]:
    """What a reader gets of it, without its boundary and the second in which it was written."""
    assert b"\n" not in written.replace(b"\r\n", b"")
    mail = message_from_bytes(written, policy=policy.default)
    assert not mail.defects
    headers = {name.lower(): " ".join(str(value).split()) for name, value in mail.items()}
    assert headers.pop("date")
    headers.pop("content-type")
    parts = [(part.get_content_type(), part.get_content_charset(), part.get_content()) for part in mail.iter_parts()]
    return {"headers": headers, "kind": mail.get_content_type(), "parts": parts}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "subject": "Una pregunta breve de la Clínica Sintética",
            "body": "¿Cómo está?\n",
            "html": "<p>¿Cómo está?</p>\n",
        },
        {"subject": "A question from a clinic with a name that is longer than any line of a header may well be here"},
        {"subject": "ü" * 90},
        {"from_email": "Clínica Sintética <check-in@clinic.example>"},
        {"from_email": '"Clinic, Synthetic" <check-in@clinic.example>'},
        {"to": ["tessa@bücher.example"]},
        {"to": ["Tessa <tessa@patients.example>"]},
        {"reply_to": ["desk@clinic.example"]},
        {"reply_to": ["Clínica <desk@clinic.example>"]},
        {"cc": ["second@patients.example"]},
        {"body": "x" * 2000},
        {"body": "é" * 500, "html": "<p>" + "é" * 500 + "</p>"},
        {"body": "one\r\ntwo\rthree\n.\nfour"},
        {"body": "--boundary\n--=_\n.", "html": ""},
        {"headers": {"Message-ID": "<1@clinic.example>", "List-Unsubscribe": f"<https://x.example/{'a' * 90}>"}},
        {"headers": {"X-Without": "an id of ours"}},
    ],
)
def test_a_reader_gets_what_django_would_have_sent(changes: dict[str, Any]) -> None:
    mail = make_mail(**changes)
    theirs, ours = said(mail.message().as_bytes(linesep="\r\n")), said(wire.as_bytes(mail))
    if "Message-ID" not in mail.extra_headers:
        # A new one each time.
        assert theirs["headers"].pop("message-id") != ours["headers"].pop("message-id")
    for part in (theirs, ours):
        part["parts"] = [(kind, charset, text.rstrip("\n")) for kind, charset, text in part["parts"]]
    assert ours == theirs


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "A question\nBcc: everybody@patients.example"},
        {"from_email": "Clinic\r\nBcc: x@y.example <check-in@clinic.example>"},
        {"to": ["tessa@patients.example\nBcc: everybody@patients.example"]},
        {"headers": {"Message-ID": "<1@x>\nBcc: everybody@patients.example"}},
    ],
)
def test_nothing_slips_a_header_in(changes: dict[str, Any]) -> None:
    with pytest.raises(BadHeaderError):
        wire.as_bytes(make_mail(**changes))


@pytest.mark.parametrize(
    ("written", "bare"),
    [
        ("tessa@patients.example", "tessa@patients.example"),
        ("Clínica Sintética <check-in@clinic.example>", "check-in@clinic.example"),
        ("tessa@bücher.example", "tessa@xn--bcher-kva.example"),
    ],
)
def test_the_envelope_has_the_bare_address(written: str, bare: str) -> None:
    assert wire.address(written) == bare


@pytest.mark.parametrize("written", ["two\nlines@patients.example", "a@b.example> SIZE=1", ""])
def test_an_address_that_no_mail_can_go_to_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="address"):
        wire.address(written)
