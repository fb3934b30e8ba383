"""A real SMTP server that keeps what it is sent and misbehaves when asked to."""

import asyncio
import time
from asyncio import WriteTransport
from collections import deque
from collections.abc import Awaitable, Callable
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from functools import partial
from typing import Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from ivigtrack.local import ports


class SmtpSink:
    """`messages` holds what was accepted, in order of arrival; `attempts` counts every message that came to its end."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.attempts = 0
        self._misbehaviours: deque[Callable[[SMTP, Envelope], Awaitable[str]]] = deque()
        self._refusals: dict[str, deque[str]] = {"MAIL": deque(), "RCPT": deque()}
        self._controller = Controller(self, hostname=ports.HOST, port=ports.any_free(), enable_SMTPUTF8=True)

    @property
    def port(self) -> int:
        return self._controller.port

    @property
    def url(self) -> str:
        """The value of EMAIL_URL."""
        return f"smtp://{ports.HOST}:{self.port}"

    def refuse_next(self, code: int, text: str = "Refused for a test") -> None:
        """Answer the next message with an error: 4xx for later, 5xx for never. Called twice, refuses two."""
        self._misbehaviours.append(partial(self._refuse, f"{code} {text}"))

    def refuse_next_sender(self, code: int, text: str = "Refused for a test") -> None:
        """Answer the next MAIL FROM with an error."""
        self._refusals["MAIL"].append(f"{code} {text}")

    def refuse_next_recipient(self, code: int, text: str = "Refused for a test") -> None:
        """Answer the next RCPT TO with an error."""
        self._refusals["RCPT"].append(f"{code} {text}")

    def hang_after_data(self, *, seconds: float = 60) -> None:
        """Keep the next message, then say nothing for so long."""
        self._misbehaviours.append(partial(self._keep_and_hang, seconds))

    def drop_after_data(self) -> None:
        """Keep the next message, then hang up instead of saying 250: the sender cannot know that it arrived."""
        self._misbehaviours.append(self._keep_and_hang_up)

    def wait_for(self, count: int, *, seconds: float = 20) -> None:
        """Return when so many messages were accepted. Raises AssertionError when they do not come in time."""
        deadline = time.monotonic() + seconds
        while len(self.messages) < count:
            assert time.monotonic() < deadline, f"{len(self.messages)} of {count} mails came within {seconds:g} s"
            time.sleep(0.05)

    def clear(self) -> None:
        """Forget all messages and planned misbehaviour."""
        self.messages.clear()
        self.envelopes.clear()
        self._misbehaviours.clear()
        for refusals in self._refusals.values():
            refusals.clear()
        self.attempts = 0

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._refusals["MAIL"]:
            return self._refusals["MAIL"].popleft()
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._refusals["RCPT"]:
            return self._refusals["RCPT"].popleft()
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.attempts += 1
        if self._misbehaviours:
            return await self._misbehaviours.popleft()(server, envelope)
        return self._keep(envelope)

    def _keep(self, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        parser = BytesParser(EmailMessage, policy=policy.default)
        self.messages.append(parser.parsebytes(envelope.original_content or b""))
        return "250 Kept"

    async def _refuse(self, answer: str, server: SMTP, envelope: Envelope) -> str:
        return answer

    async def _keep_and_hang(self, seconds: float, server: SMTP, envelope: Envelope) -> str:
        kept = self._keep(envelope)
        await asyncio.sleep(seconds)
        return kept

    async def _keep_and_hang_up(self, server: SMTP, envelope: Envelope) -> str:
        self._keep(envelope)
        assert isinstance(server.transport, WriteTransport)
        server.transport.abort()
        return "250 Nobody hears this"

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._controller.stop()
