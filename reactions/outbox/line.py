"""The connection to the mail server: opened when first needed, kept for many mails, opened anew after an error."""

import smtplib
from contextlib import suppress
from dataclasses import dataclass

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from reactions.outbox import wire

SERVICE_NOT_AVAILABLE = 421


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

    Another backend than Django's for SMTP sends the whole mail in the second step.
    """

    def __init__(self, transport: BaseEmailBackend) -> None:
        self._transport = transport
        self._used = False

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
        code, answer = smtp.data(letter.data)
        if code != 250:
            raise smtplib.SMTPDataError(code, answer)
        self._used = True

    def forget(self) -> None:
        """Let the server forget what was begun; the line stays open where it can."""
        smtp = self._smtp()
        try:
            if smtp is None or smtp.rset()[0] != 250:
                self.close()
        except (smtplib.SMTPException, OSError):
            self.close()

    def close(self) -> None:
        """Hang up, whatever state the connection is in."""
        self._used = False
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
        code, answer = smtp.docmd("MAIL", f"FROM:<{letter.sender}>{size}")
        if code != 250:
            raise smtplib.SMTPSenderRefused(code, answer, letter.sender)
        code, answer = smtp.docmd("RCPT", f"TO:<{letter.recipient}>")
        if code not in {250, 251}:
            raise smtplib.SMTPRecipientsRefused({letter.recipient: (code, answer)})

    def _address_on_a_new_line(self, letter: Letter) -> None:
        """Servers hang up on a line that was idle or has carried enough mails. A new one does for that."""
        was_used = self._used
        self.close()
        if not was_used:
            raise smtplib.SMTPServerDisconnected("The mail server hung up at once.")
        self.open()
        self._address(letter)
