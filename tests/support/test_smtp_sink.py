"""The tests' own mail server misbehaves exactly as it is told."""

import smtplib

import pytest
from django.core.mail import send_mail
from pytest_django import Settings

from tests.support.smtp_sink import SmtpSink


def send(subject: str) -> None:
    send_mail(subject, "Text", "from@ivigtrack.example", ["to@patients.example"])


def test_what_is_sent_is_kept(smtp_sink: SmtpSink) -> None:
    send("One")
    send("Two")
    assert [message["Subject"] for message in smtp_sink.messages] == ["One", "Two"]


def test_the_next_message_is_refused_and_the_one_after_taken(smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse_next(451)
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        send("Refused")
    assert refusal.value.smtp_code == 451
    send("Taken")
    assert [message["Subject"] for message in smtp_sink.messages] == ["Taken"]
    assert smtp_sink.attempts == 2


def test_hanging_up_leaves_the_sender_in_doubt_about_a_message_that_arrived(smtp_sink: SmtpSink) -> None:
    smtp_sink.drop_after_data()
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send("In doubt")
    assert [message["Subject"] for message in smtp_sink.messages] == ["In doubt"]


def test_a_sender_or_a_recipient_is_refused_before_any_data(smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse_next_sender(550)
    with pytest.raises(smtplib.SMTPSenderRefused):
        send("No such sender")
    smtp_sink.refuse_next_recipient(550)
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send("No such recipient")
    assert smtp_sink.attempts == 0


def test_it_hangs_once_and_then_answers_again(smtp_sink: SmtpSink, settings: Settings) -> None:
    settings.EMAIL_TIMEOUT = 0.3
    smtp_sink.hang_after_data()
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send("Hangs")
    send("Answered")
    assert [message["Subject"] for message in smtp_sink.messages] == ["Hangs", "Answered"]
