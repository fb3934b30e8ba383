"""The line to the mail server: what goes in one go, what is refused on the way, and what is never left half said."""

import smtplib
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.mail import EmailMessage, get_connection

from reactions.outbox.line import Letter, Line


class Server(socketserver.ThreadingTCPServer):
    """Answers each verb with 250, or what `answers` says; keeps the mails that it took, by connection."""

    daemon_threads = True

    def __init__(self, *, pipelining: bool, answers: dict[str, Callable[[int, str], str]]) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.pipelining, self.answers = pipelining, answers
        self.taken: list[tuple[int, bytes]] = []
        self.connections = 0


class Session(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        self.server.connections += 1
        number = self.server.connections
        self.say("220 ready")
        while line := self.rfile.readline().decode().strip():
            verb = line.split()[0].upper()
            if verb == "EHLO":
                self.say("250-here\r\n250 PIPELINING" if self.server.pipelining else "250 here")
                continue
            told = self.server.answers.get(verb)
            answer = told(number, line) if told else "354 go on" if verb == "DATA" else "250 OK"
            self.say(answer)
            if verb == "QUIT" or answer.startswith("421"):
                return
            if answer.startswith("354") and not self.take(number):
                return

    def take(self, number: int) -> bool:
        """Read a mail; False when the client hung up in the middle of it."""
        text = b""
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return False
            text += line[1:] if line.startswith(b".") else line
        self.server.taken.append((number, text))
        self.say("250 taken")
        return True

    def say(self, answer: str) -> None:
        self.wfile.write(f"{answer}\r\n".encode())


@contextmanager
def line_to(pipelining: bool, **answers: Callable[[int, str], str]) -> Iterator[tuple[Line, Server]]:
    with Server(pipelining=pipelining, answers=answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        host, port = server.server_address[:2]
        transport = get_connection("django.core.mail.backends.smtp.EmailBackend", host=host, port=port, timeout=10)
        line = Line(transport)
        line.open()
        yield line, server
        line.close()
        server.shutdown()


def letter(text: str = "Hello\n", to: str = "tessa@patients.example") -> Letter:
    return Letter.of(EmailMessage("A short question", text, "check-in@clinic.example", [to]))


def deliver(line: Line, mail: Letter) -> None:
    line.open()
    line.address(mail)
    line.send(mail)


@pytest.fixture(params=[True, False], ids=["together", "one by one"])
def pipelining(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_texts_arrive_as_they_were_written_on_one_connection(pipelining: bool) -> None:
    mails = [letter(f"{number}\n.\n..two\n.end\n") for number in range(3)] + [letter(".")]
    with line_to(pipelining) as (line, server):
        for mail in mails:
            deliver(line, mail)
        assert [text.rstrip(b"\r\n") for _, text in server.taken] == [mail.data.rstrip(b"\r\n") for mail in mails]
        assert server.connections == 1


def test_a_server_that_takes_commands_together_gets_them_at_one_go() -> None:
    said_before_the_text = threading.Event()
    with line_to(True, DATA=lambda *_: said_before_the_text.set() or "354 go on") as (line, _):
        line.address(letter())
        assert said_before_the_text.wait(5)


@pytest.mark.parametrize("to_data", ["554 nobody to send it to", "354 go on"])
def test_a_refused_recipient_gets_nothing_and_the_next_one_gets_theirs(pipelining: bool, to_data: str) -> None:
    def rcpt(_: int, line: str) -> str:
        return "450 4.2.0 later" if "first" in line else "250 OK"

    refused: list[str] = []

    def data(_: int, __: str) -> str:
        return to_data if pipelining and not refused else "354 go on"

    with line_to(pipelining, RCPT=rcpt, DATA=data) as (line, server):
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            line.address(letter(to="first@patients.example"))
        refused.append("first")
        line.forget()
        deliver(line, letter("for the second"))
        assert [b"for the second" in text for _, text in server.taken] == [True]


def test_a_server_that_has_had_enough_of_a_line_gets_the_mail_once_on_a_new_one(pipelining: bool) -> None:
    seen: list[int] = []

    def mail(number: int, _: str) -> str:
        seen.append(number)
        return "421 enough" if seen.count(1) == 2 and number == 1 else "250 OK"

    with line_to(pipelining, MAIL=mail) as (line, server):
        deliver(line, letter("one"))
        deliver(line, letter("two"))
        assert [number for number, _ in server.taken] == [1, 2]


def test_what_is_taken_back_before_its_text_is_no_mail_and_nobody_waits_for_it(pipelining: bool) -> None:
    with line_to(pipelining) as (line, server):
        line.address(letter("taken back"))
        line.forget()
        deliver(line, letter("wanted"))
        assert [b"wanted" in text for _, text in server.taken] == [True]


def test_a_server_that_takes_no_text_now_has_not_got_the_mail(pipelining: bool) -> None:
    answers = iter(["452 full", "354 go on"])
    with line_to(pipelining, DATA=lambda *_: next(answers)) as (line, server):
        with pytest.raises(smtplib.SMTPDataError, match="full"):
            deliver(line, letter("first"))
        line.forget()
        deliver(line, letter("second"))
        assert [b"second" in text for _, text in server.taken] == [True]
