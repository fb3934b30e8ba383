"""The mail of a local run: one .eml file a message, on the disk before the sender hears “250”."""

import os
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from functools import cached_property
from pathlib import Path

# Sorts by time of arrival; the end keeps two messages of the same microsecond apart.
_NAME = re.compile(r"\d{8}T\d{12}-[0-9a-f]{8}")


@dataclass(frozen=True)
class StoredMail:
    """One message and the name under which it is kept."""

    name: str
    content: bytes

    @cached_property
    def message(self) -> EmailMessage:
        return BytesParser(EmailMessage, policy=policy.default).parsebytes(self.content)

    @property
    def arrived_at(self) -> datetime:
        return datetime.strptime(self.name[:21], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)

    def header(self, name: str) -> str:
        """A header as people read it; empty when it is missing."""
        return str(self.message.get(name, ""))

    def text(self) -> str:
        """The plain text part; empty when there is none."""
        part = self.message.get_body(preferencelist=("plain",))
        return str(part.get_content()) if part is not None else ""


class MailStore:
    """A folder of messages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keep(self, content: bytes) -> str:
        """Write a message so that it survives a power cut, and return its name. Raises OSError when it cannot."""
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        unfinished = self.folder / f"{name}.part"
        with unfinished.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self.folder / f"{name}.eml")
        self._sync_folder()
        return name

    def names(self) -> list[str]:
        """Names of all messages, the newest first."""
        return sorted((path.stem for path in self.folder.glob("*.eml") if _NAME.fullmatch(path.stem)), reverse=True)

    def read(self, name: str) -> StoredMail | None:
        """One message; None when there is none of that name."""
        if not _NAME.fullmatch(name):
            return None
        try:
            content = (self.folder / f"{name}.eml").read_bytes()
        except FileNotFoundError:
            return None
        return StoredMail(name, content)

    def _sync_folder(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
