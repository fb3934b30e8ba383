"""A mail server that keeps what it is given, and a page that shows it. For demonstrations and tests, on loopback only.

Each mail is a file, written through to the disk before the server says that it took it.
"""

import argparse
import html
import os
import re
import signal
import threading
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from ivigtrack.local.ports import LOOPBACK

STYLE = """
body { font: 1rem/1.5 system-ui, "DejaVu Sans", sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
  color: #14212b; background: #f4f7f8; }
a { color: #0b6170; } li { padding: .6rem 0; border-bottom: 1px solid #d3dde2; } ol { list-style: none; padding: 0; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #fff; border: 1px solid #d3dde2; padding: 1rem;
  border-radius: .5rem; font: inherit; }
@media (prefers-color-scheme: dark) { body { color: #e6eef2; background: #0f171c; } a { color: #6cc7d6; }
  pre { background: #18232a; } }
"""
LINK = re.compile(r"https?://[^\s<>\"]+")


class Keep:
    """Keeps each mail as a file, named so that the newest sorts last."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - the server's name
        name = f"{time.time_ns():020d}.eml"
        written = self.directory / f"{name}.part"
        with written.open("wb") as file:
            file.write(envelope.content)
            file.flush()
            os.fsync(file.fileno())
        written.rename(self.directory / name)
        return "250 kept"


def read_mail(path: Path) -> EmailMessage:
    with path.open("rb") as file:
        message: EmailMessage = message_from_bytes(file.read(), policy=policy.default)
    return message


def page_of_list(directory: Path) -> str:
    """All mails, the newest first."""
    rows = []
    for path in sorted(directory.glob("*.eml"), reverse=True)[:200]:
        mail = read_mail(path)
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(int(path.stem) / 1e9))
        subject, to = html.escape(str(mail["Subject"])), html.escape(str(mail["To"]))
        rows.append(f'<li><a href="/{path.stem}">{subject}</a><br>to {to}, {when}</li>')
    return _page("Mail sink", "<ol>" + ("".join(rows) or "<li>No mail yet.</li>") + "</ol>", refresh=True)


def page_of_mail(path: Path) -> str:
    """One mail's text, its links to be followed."""
    mail = read_mail(path)
    part = mail.get_body(preferencelist=("plain",))
    text = part.get_content() if part else ""
    linked = LINK.sub(lambda found: f'<a href="{found[0]}">{found[0]}</a>', html.escape(text, quote=False))
    facts = "<br>".join(f"{name}: {html.escape(str(mail[name]))}" for name in ("From", "To", "Date", "Message-ID"))
    return _page(str(mail["Subject"]), f'<p>{facts}</p><pre>{linked}</pre><p><a href="/">All mails</a></p>')


def _page(title: str, body: str, *, refresh: bool = False) -> str:
    again = '<meta http-equiv="refresh" content="5">' if refresh else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{again}<title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="/style.css">'
        f"</head><body><h1>{html.escape(title)}</h1>{body}</body></html>"
    )


def web_server(directory: Path, port: int) -> ThreadingHTTPServer:
    """The page, on loopback; the caller runs it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/style.css":
                return self.answer(200, "text/css", STYLE)
            if self.path == "/":
                return self.answer(200, "text/html", page_of_list(directory))
            path = directory / f"{self.path[1:]}.eml"
            if self.path[1:].isdecimal() and path.exists():
                return self.answer(200, "text/html", page_of_mail(path))
            return self.answer(404, "text/html", _page("No such mail", '<p><a href="/">All mails</a></p>'))

        def answer(self, status: int, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'")
            self.send_header("Referrer-Policy", "no-referrer")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """A list that refreshes itself would fill the log."""

    return ThreadingHTTPServer((LOOPBACK, port), Handler)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--web-port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    wanted = parser.parse_args()
    sink = Controller(Keep(wanted.directory), hostname=LOOPBACK, port=wanted.smtp_port)
    sink.start()
    web = web_server(wanted.directory, wanted.web_port)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    web.shutdown()
    sink.stop()


if __name__ == "__main__":
    main()
