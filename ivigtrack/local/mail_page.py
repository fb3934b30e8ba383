"""The pages of the local mail sink: a list of messages, and one message with links that can be followed."""

import re
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ivigtrack.local.mail_store import MailStore, StoredMail
from ivigtrack.local.ports import HOST

NEWEST = 100
REFRESH_SECONDS = 5
_LINK = re.compile(r"https?://[^\s<>\"']+")
# What a sentence puts behind an address does not belong to it.
_AFTER_LINK = ".,;:!?)]}"

STYLE = """
:root { color-scheme: light dark; --line: #d3dde2; --link: #0b6170; }
@media (prefers-color-scheme: dark) { :root { --line: #33444f; --link: #6cc7d6; } }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line); }
td { overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; }
pre { border-top: 1px solid var(--line); padding-top: 1rem; }
a { color: var(--link); }
td a, pre a { display: inline-block; padding: .25rem 0; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem; overflow-wrap: anywhere; }
"""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # A link in a mail is a key: the page that it opens must not be told by whom, nor the other way round.
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def with_links(text: str) -> str:
    """HTML of a plain text: everything escaped, every http address a link."""
    pieces: list[str] = []
    end = 0
    for match in _LINK.finditer(text):
        address = match[0].rstrip(_AFTER_LINK)
        pieces += [escape(text[end : match.start()]), f'<a href="{escape(address)}">{escape(address)}</a>']
        end = match.start() + len(address)
    return "".join([*pieces, escape(text[end:])])


def list_page(store: MailStore) -> str:
    """The newest messages, the latest first; the page loads itself anew every few seconds."""
    names = store.names()
    shown = [mail for mail in map(store.read, names[:NEWEST]) if mail is not None]
    rows = "".join(map(_row, shown))
    count = f"{len(names)} message{'' if len(names) == 1 else 's'}"
    if len(names) > len(shown):
        count += f", the newest {len(shown)} shown"
    table = (
        f"<table><thead><tr><th>Arrived (UTC)</th><th>To</th><th>Subject</th></tr></thead><tbody>{rows}</tbody></table>"
        if shown
        else "<p>No mail yet. Check-ins leave within a minute of being due.</p>"
    )
    refresh = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">'
    return _page("Local mail", f"<h1>Local mail</h1><p>{count}. Nothing leaves this machine.</p>{table}", refresh)


def message_page(mail: StoredMail) -> str:
    """One message: who, when, what about, and its text."""
    fields = {
        "From": mail.header("From"),
        "To": mail.header("To"),
        "Arrived": f"{mail.arrived_at:%Y-%m-%d %H:%M:%S} UTC",
    }
    facts = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in fields.items())
    subject = mail.header("Subject") or "(no subject)"
    text = with_links(mail.text()) or "(no plain text part)"
    body = f'<p><a href="/">All mail</a></p><h1>{escape(subject)}</h1><dl>{facts}</dl><pre>{text}</pre>'
    return _page(subject, f'{body}<p><a href="/{mail.name}.eml">The whole message as it came</a></p>')


def _row(mail: StoredMail) -> str:
    subject = escape(mail.header("Subject") or "(no subject)")
    return (
        f"<tr><td>{mail.arrived_at:%Y-%m-%d %H:%M:%S}</td><td>{escape(mail.header('To'))}</td>"
        f'<td><a href="/{mail.name}">{subject}</a></td></tr>'
    )


def _page(title: str, body: str, head: str = "") -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="/style.css">{head}</head>'
        f"<body><main>{body}</main></body></html>"
    )


class _Handler(BaseHTTPRequestHandler):
    store: MailStore

    def do_GET(self) -> None:
        if self.headers.get("Host", "").rpartition(":")[0] not in (HOST, "localhost"):
            # A foreign page that points its own name at this machine gets nothing.
            return self._answer(HTTPStatus.FORBIDDEN, "text/plain", "Open this page as http://127.0.0.1.\n")
        if self.path == "/":
            return self._answer(HTTPStatus.OK, "text/html", list_page(self.store))
        if self.path == "/style.css":
            return self._answer(HTTPStatus.OK, "text/css", STYLE)
        mail = self.store.read(self.path.removeprefix("/").removesuffix(".eml"))
        if mail is None:
            return self._answer(HTTPStatus.NOT_FOUND, "text/plain", "There is no such mail.\n")
        if self.path.endswith(".eml"):
            return self._answer(HTTPStatus.OK, "text/plain", mail.content)
        return self._answer(HTTPStatus.OK, "text/html", message_page(mail))

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def _answer(self, status: HTTPStatus, kind: str, body: str | bytes) -> None:
        content = body if isinstance(body, bytes) else body.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the addresses asked for tell which mail somebody read."""


def page_server(store: MailStore, port: int) -> ThreadingHTTPServer:
    """A server of the pages on the loopback address; the caller runs and closes it. Port 0 takes any."""
    return ThreadingHTTPServer((HOST, port), type("Handler", (_Handler,), {"store": store}))
