"""The mail server of a local run, as a process of its own."""

import smtplib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from http.client import HTTPConnection
from pathlib import Path

import pytest

from ivigtrack.local import ports, processes
from ivigtrack.local.mail_page import with_links
from ivigtrack.local.mail_sink import smtp_server
from ivigtrack.local.mail_store import MailStore


@dataclass
class Sink:
    smtp_port: int
    page_port: int
    folder: Path

    def send(self, subject: str = "A question", text: str = "Hello") -> None:
        message = EmailMessage()
        message["From"], message["To"] = "check-in@clinic.example", "Zoë Test <zoe@patients.example>"
        message["Subject"] = subject
        message.set_content(text)
        with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=5) as client:
            client.send_message(message)

    def get(self, path: str, host: str = "") -> tuple[int, str, dict[str, str]]:
        connection = HTTPConnection("127.0.0.1", self.page_port, timeout=5)
        try:
            connection.request("GET", path, headers={"Host": host} if host else {})
            response = connection.getresponse()
            return response.status, response.read().decode(), dict(response.getheaders())
        finally:
            connection.close()

    def newest(self) -> str:
        return MailStore(self.folder).names()[0]


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    folder = tmp_path_factory.mktemp("sink")
    sink = Sink(ports.any_free(), ports.any_free(), folder / "mail")
    command = [sys.executable, "-m", "ivigtrack.local.mail_sink", "--smtp-port", str(sink.smtp_port)]
    command += ["--page-port", str(sink.page_port), "--folder", str(sink.folder)]
    child = processes.start("mail", command, log=folder / "log")
    processes.wait_for(child, lambda: ports.answers(sink.smtp_port) and ports.answers(sink.page_port), seconds=15)
    yield sink
    processes.stop([child], patience=5)


def test_a_mail_is_on_the_disk_when_the_sender_is_told_so(sink: Sink) -> None:
    sink.send(subject="How are you?", text="Zażółć, please answer.")
    mail = MailStore(sink.folder).read(sink.newest())
    assert mail is not None
    assert mail.header("Subject") == "How are you?"
    assert mail.header("To") == "Zoë Test <zoe@patients.example>"
    assert mail.text().strip() == "Zażółć, please answer."


def test_the_list_shows_the_newest_mail_first_and_loads_itself_anew(sink: Sink) -> None:
    sink.send(subject="The earlier one")
    sink.send(subject="The later one")
    status, page, _ = sink.get("/")
    assert status == 200
    assert page.index("The later one") < page.index("The earlier one")
    assert '<meta http-equiv="refresh"' in page


def test_what_a_mail_says_is_shown_and_never_run(sink: Sink) -> None:
    sink.send(subject="<b>bold</b>", text="<script>alert(1)</script> & https://site.example/c/abc?a=1&b=2.")
    _, page, headers = sink.get(f"/{sink.newest()}")
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; " in page
    assert '<a href="https://site.example/c/abc?a=1&amp;b=2">' in page
    assert "<b>" not in sink.get("/")[1]
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_whole_message_can_be_read_as_plain_text(sink: Sink) -> None:
    sink.send(subject="Raw")
    _, text, headers = sink.get(f"/{sink.newest()}.eml")
    assert "Subject: Raw" in text
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/nothing", "/../secret-key", "/20260101T000000000000-00000000", "/%2e%2e/x.eml"])
def test_there_is_nothing_but_mail(sink: Sink, path: str) -> None:
    assert sink.get(path)[0] == 404


def test_a_foreign_name_that_points_here_gets_nothing(sink: Sink) -> None:
    assert sink.get("/", host="evil.example:8025")[0] == 403
    assert sink.get("/", host=f"localhost:{sink.page_port}")[0] == 200


def test_a_mail_that_cannot_be_kept_is_refused_for_now(tmp_path: Path) -> None:
    store = MailStore(tmp_path / "mail")
    server = smtp_server(store, ports.any_free())
    server.start()
    try:
        store.folder.rmdir()
        with pytest.raises(smtplib.SMTPDataError) as refusal:
            Sink(server.port, 0, store.folder).send()
    finally:
        server.stop()
    assert refusal.value.smtp_code == 452


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("no link", "no link"),
        ("(http://a.example/x)", '(<a href="http://a.example/x">http://a.example/x</a>)'),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ('http://a.example/"><b>', '<a href="http://a.example/">http://a.example/</a>&quot;&gt;&lt;b&gt;'),
    ],
)
def test_links(text: str, html: str) -> None:
    assert with_links(text) == html
