"""The connection to the mail server: opened when first needed, kept for many mails, opened anew after an error."""

import smtplib
from contextlib import suppress
from dataclasses import dataclass

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from reactions.outbox import wire

SERVICE_NOT_AVAILABLE = 421
GO_ON = 354

# A code and the words that go with it.
Answer = tuple[int, bytes]


@dataclass(frozen=True)
class Letter:
    """One mail ready to leave, in the bytes and addresses of SMTP."""

    mail: EmailMessage
    data: bytes
    sender: str
    recipient: str

    @classmethod
    def of(cls, mail: EmailMessage) -> "Letter":
        """Raises whatever is wrong with the mail, such as an address that no header can carry."""
        return cls(mail, wire.as_bytes(mail), wire.address(mail.from_email), wire.address(mail.to[0]))


class Line:
    """SMTP in two steps: who writes to whom, which commits nobody to anything, and the text, which does.

    A server that takes commands together (RFC 2920) gets MAIL, RCPT and DATA at one go: what is not followed by its
    text is no mail. Another backend than Django's for SMTP sends the whole mail in the second step.
    """

    def __init__(self, transport: BaseEmailBackend) -> None:
        self._transport = transport
        self._used = False
        # The server waits for the text.
        self._expected = False

    def open(self) -> None:
        """Connect unless connected. Raises what the network or the mail server says."""
        self._transport.open()
        if smtp := self._smtp():
            smtp.ehlo_or_helo_if_needed()

    def address(self, letter: Letter) -> None:
        """MAIL and RCPT. Raises an smtplib error when the server does not want it; it does not have the mail then."""
        try:
            self._address(letter)
        except smtplib.SMTPServerDisconnected:
            self._address_on_a_new_line(letter)
        except smtplib.SMTPSenderRefused as error:
            if error.smtp_code != SERVICE_NOT_AVAILABLE:
                raise
            self._address_on_a_new_line(letter)

    def send(self, letter: Letter) -> None:
        """The text. Returns when the server has taken it, raises SMTPDataError when it has not.

        After any other error nobody knows.
        """
        smtp = self._smtp()
        if smtp is None:
            self._transport.send_messages([letter.mail])
            return
        if self._expected:
            self._expected = False
            smtp.send(_as_data(letter.data))
            code, answer = smtp.getreply()
        else:
            code, answer = smtp.data(letter.data)
        if code != 250:
            raise smtplib.SMTPDataError(code, answer)
        self._used = True

    def forget(self) -> None:
        """Let the server forget what was begun; the line stays open where it can."""
        smtp = self._smtp()
        try:
            if smtp is None or self._expected or smtp.rset()[0] != 250:
                self.close()
        except (smtplib.SMTPException, OSError):
            self.close()

    def close(self) -> None:
        """Hang up, whatever state the connection is in."""
        if self._expected and (smtp := self._smtp()):
            # A farewell would be taken for the text that the server waits for, and never be answered.
            smtp.close()
        self._used = self._expected = False
        with suppress(Exception):
            self._transport.close()

    def _smtp(self) -> smtplib.SMTP | None:
        smtp = getattr(self._transport, "connection", None)
        return smtp if isinstance(smtp, smtplib.SMTP) else None

    def _address(self, letter: Letter) -> None:
        smtp = self._smtp()
        if smtp is None:
            return
        size = f" size={len(letter.data)}" if smtp.has_extn("size") else ""
        commands = [f"MAIL FROM:<{letter.sender}>{size}", f"RCPT TO:<{letter.recipient}>"]
        if smtp.has_extn("pipelining"):
            # Until its answers are read it may be waiting for a text.
            self._expected = True
            answers = _together(smtp, [*commands, "DATA"])
            self._expected = len(answers) == 3 and answers[2][0] == GO_ON
        else:
            answers = _one_by_one(smtp, commands)
        code, answer = answers[0]
        if code != 250:
            raise smtplib.SMTPSenderRefused(code, answer, letter.sender)
        code, answer = answers[1]
        if code not in {250, 251}:
            raise smtplib.SMTPRecipientsRefused({letter.recipient: (code, answer)})
        if len(answers) == 3 and not self._expected:
            raise smtplib.SMTPDataError(*answers[2])

    def _address_on_a_new_line(self, letter: Letter) -> None:
        """Servers hang up on a line that was idle or has carried enough mails. A new one does for that."""
        was_used = self._used
        self.close()
        if not was_used:
            raise smtplib.SMTPServerDisconnected("The mail server hung up at once.")
        self.open()
        self._address(letter)


def _one_by_one(smtp: smtplib.SMTP, commands: list[str]) -> list[Answer]:
    """The answers to the commands, up to the first that is not a good one."""
    answers: list[Answer] = []
    for command in commands:
        answers.append(smtp.docmd(command))
        if not 200 <= answers[-1][0] < 300:
            break
    return answers


def _together(smtp: smtplib.SMTP, commands: list[str]) -> list[Answer]:
    """The answers to commands that are sent at one go.

    Raises SMTPServerDisconnected when the server hangs up before it has answered all, unless its last answer was that
    it does so.
    """
    smtp.send("".join(f"{command}\r\n" for command in commands))
    answers: list[Answer] = []
    for _ in commands:
        answers.append(smtp.getreply())
        if answers[-1][0] == SERVICE_NOT_AVAILABLE:
            break
    return answers


def _as_data(text: bytes) -> bytes:
    """A text of whole lines as it goes after DATA (RFC 5321 4.5.2): dots at the beginning doubled, one at the end."""
    stuffed = text.replace(b"\r\n.", b"\r\n..")
    stuffed = b"." + stuffed if stuffed.startswith(b".") else stuffed
    return stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n")
