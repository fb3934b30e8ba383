"""Read the mailbox to which undeliverable mail comes back, and write down what came back."""

import imaplib
import mailbox
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from reactions.delivery_status import DeliveryReport, read_reports
from reactions.emails import STOP_SUBJECT
from reactions.models import CheckIn
from reactions.recording import record_bounce, withdraw_email

TIMEOUT_S = 30
IMAP_PORT, IMAPS_PORT = 143, 993


class Command(BaseCommand):
    help = (
        "Read undeliverable mail and write down what came back. What was understood is marked as seen, everything else "
        "stays unread, for a person. Reads the mailbox of the setting BOUNCE_MAILBOX unless told otherwise."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        where = parser.add_mutually_exclusive_group()
        where.add_argument("--maildir", metavar="FOLDER", help="a Maildir on this machine")
        where.add_argument(
            "--stdin", action="store_true", help="one mail from standard input, for a mail server's pipe"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Each mail on its own: one that cannot be dealt with stays unread, and the rest is read all the same."""
        self.outcomes: Counter[str] = Counter()
        if options["stdin"]:
            self._take(sys.stdin.buffer.read())
        elif options["maildir"]:
            self._read_maildir(Path(options["maildir"]))
        elif settings.BOUNCE_MAILBOX:
            self._read_mailbox(settings.BOUNCE_MAILBOX)
        else:
            raise CommandError("Set BOUNCE_MAILBOX, or name a Maildir with --maildir, or give one mail with --stdin.")
        said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items())) or "nothing new"
        self.stdout.write(f"Read: {said}.")
        if self.outcomes["failed"]:
            raise CommandError(f"{self.outcomes['failed']} mails could not be dealt with; they stay unread.")

    def _take(self, raw: bytes) -> bool:
        """Deal with one mail. Returns whether it was understood and is about a mail of ours."""
        try:
            outcome = _deal_with(raw)
        except Exception as error:
            # One odd mail or a moment without a database: it stays unread and is tried again with the next reading.
            self.stderr.write(f"A mail could not be dealt with: {type(error).__name__}.")
            outcome = "failed"
        self.outcomes[outcome] += 1
        return outcome not in {"failed", "left for a person"}

    def _read_maildir(self, folder: Path) -> None:
        if not (folder / "new").is_dir():
            raise CommandError(f"{folder} is no Maildir: it has no folder named new.")
        box = mailbox.Maildir(folder, factory=None, create=False)
        for key in list(box.keys()):
            mail = box.get_message(key)
            if "S" in mail.get_flags() or not self._take(box.get_bytes(key)):
                continue
            mail.set_subdir("cur")
            mail.add_flag("S")
            box[key] = mail

    def _read_mailbox(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme == "maildir":
            self._read_maildir(Path(unquote(parts.path)))
            return
        if parts.scheme not in {"imap", "imaps"} or not parts.hostname:
            raise CommandError("BOUNCE_MAILBOX is written imaps://user:password@host/FOLDER or maildir:///path.")
        try:
            with _opened(address) as box:
                self._read_folder(box, unquote(parts.path.strip("/")) or "INBOX")
        except (OSError, imaplib.IMAP4.error) as error:
            raise CommandError(f"The bounce mailbox on {parts.hostname} could not be read: {error}") from error

    def _read_folder(self, box: imaplib.IMAP4, folder: str) -> None:
        status, said = box.select(f'"{folder}"')
        if status != "OK":
            raise CommandError(f"The bounce mailbox has no folder {folder}: {said!r}")
        for number in box.uid("search", "UNSEEN")[1][0].split():
            # PEEK: reading alone marks nothing as seen.
            found = box.uid("fetch", number.decode(), "(BODY.PEEK[])")[1]
            raw = next((part[1] for part in found if isinstance(part, tuple)), None)
            if raw is not None and self._take(raw):
                box.uid("store", number.decode(), "+FLAGS", r"(\Seen)")


def _deal_with(raw: bytes) -> str:
    """Write down what a mail says; returns in words what that was."""
    reports = read_reports(raw)
    known = [report for report in reports if _record(report)]
    if known:
        if any(report.for_good for report in known):
            return "came back"
        return "given up" if any(report.given_up for report in known) else "held up"
    subject = str(message_from_bytes(raw, policy=policy.default).get("Subject", "")).split()
    if len(subject) == 2 and subject[0].lower() == STOP_SUBJECT:
        checkin = CheckIn.objects.all().of_stop_token(subject[1]).first()
        if checkin and checkin.stops_with(subject[1]):
            withdraw_email(checkin, now=timezone.now())
            return "to stop"
    return "left for a person"


def _record(report: DeliveryReport) -> bool:
    return record_bounce(
        report.message_id,
        words=report.words,
        for_good=report.for_good,
        given_up=report.given_up,
        addresses=report.addresses,
        now=timezone.now(),
    )


@contextmanager
def _opened(address: str) -> Iterator[imaplib.IMAP4]:
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme == "imaps":
        box: imaplib.IMAP4 = imaplib.IMAP4_SSL(host, parts.port or IMAPS_PORT, timeout=TIMEOUT_S)
    else:
        box = imaplib.IMAP4(host, parts.port or IMAP_PORT, timeout=TIMEOUT_S)
    with box:
        box.login(unquote(parts.username or ""), unquote(parts.password or ""))
        yield box
