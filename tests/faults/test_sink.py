"""The mail server of the faults: on disk before it says 250, and as bad as it is told to be."""

import json
import smtplib
import socket
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from ivigtrack.local import ports, processes
from reactions.models.link import hash_of

TOKEN = "A" * 24


class RunningSink:
    """The sink's process, its ports and its record."""

    def __init__(self, folder: Path) -> None:
        self.port, self.control, self.file = ports.any_free(), ports.any_free(), folder / "sink.jsonl"
        command = [sys.executable, "-m", "tests.faults.sink", "--port", str(self.port)]
        command += ["--control", str(self.control), "--record", str(self.file)]
        self.process = processes.start("sink", command, log=folder / "sink.log")
        processes.wait_for(self.process, lambda: ports.answers(self.port), seconds=10)

    def order(self, words: str) -> None:
        with socket.create_connection((ports.HOST, self.control)) as line:
            line.sendall(f"{words}\n".encode())
            assert line.recv(8) == b"ok\n"

    def send(self, to: str = "one@patients.example") -> None:
        mail = EmailMessage()
        mail["Message-ID"], mail["To"], mail["Subject"] = "<1@clinic.example>", to, "Check-in"
        mail.set_content(f"Please open http://clinic.example/c/{TOKEN}/ now.")
        with smtplib.SMTP(ports.HOST, self.port, timeout=1) as client:
            client.send_message(mail, "from@clinic.example", [to])

    def record(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[RunningSink]:
    running = RunningSink(tmp_path)
    yield running
    processes.stop([running.process], patience=5)


def test_what_was_accepted_is_on_the_record_with_its_link_by_hash_and_survives_a_kill(sink: RunningSink) -> None:
    sink.send()
    sink.process.process.kill()
    [kept] = sink.record()
    assert (kept["message_id"], kept["recipient"], kept["answer"]) == (
        "<1@clinic.example>",
        "one@patients.example",
        "250",
    )
    assert kept["link"] == hash_of(TOKEN)


def test_it_refuses_for_now_and_keeps_nothing(sink: RunningSink) -> None:
    sink.order("refuse 1 451")
    with pytest.raises(smtplib.SMTPDataError):
        sink.send()
    sink.send()
    assert len(sink.record()) == 1


def test_it_refuses_some_addresses_for_good_and_puts_others_off_twice(sink: RunningSink) -> None:
    for to, times, code in (("refused-1@patients.example", 3, 550), ("later-1@patients.example", 2, 451)):
        for _ in range(times):
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
                sink.send(to)
            assert refusal.value.recipients[to][0] == code
    sink.send("later-1@patients.example")
    assert len(sink.record()) == 1


@pytest.mark.parametrize("manner", ["drop 1", "hang 1 5"])
def test_it_keeps_a_mail_in_silence(sink: RunningSink, manner: str) -> None:
    sink.order(manner)
    with pytest.raises((OSError, smtplib.SMTPServerDisconnected)):
        sink.send()
    assert [kept["answer"] for kept in sink.record()] == [manner.split()[0]]
