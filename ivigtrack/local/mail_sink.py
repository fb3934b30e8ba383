"""The mail server of a local run: takes every message, delivers none, shows all.

`python -m ivigtrack.local.mail_sink --smtp-port 1025 --page-port 8025 --folder var/mail`
"""

import argparse
import logging
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from ivigtrack.local.mail_page import page_server
from ivigtrack.local.mail_store import MailStore
from ivigtrack.local.ports import HOST

logger = logging.getLogger(__name__)


class Keeper:
    """What the SMTP server does with a message."""

    def __init__(self, store: MailStore) -> None:
        self.store = store

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        try:
            name = self.store.keep(envelope.original_content or b"")
        except OSError as error:
            logger.error("a message could not be kept: %s", error)
            return "452 The message could not be kept; try again later"
        return f"250 Kept as {name}"


def smtp_server(store: MailStore, port: int) -> Controller:
    """An SMTP server on the loopback address; the caller starts and stops it."""
    return Controller(Keeper(store), hostname=HOST, port=port, enable_SMTPUTF8=True)


def main() -> None:
    """Serve until the process is told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--page-port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    store = MailStore(options.folder)
    smtp = smtp_server(store, options.smtp_port)
    smtp.start()
    with page_server(store, options.page_port) as pages:
        pages.serve_forever()


if __name__ == "__main__":
    main()
