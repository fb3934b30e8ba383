"""Reports about the delivery of a mail, as mail servers send them back (RFC 3464 inside RFC 6522). No Django.

A report counts only for a Message-ID of ours that it returns: an address alone can be forged by anybody, and a
Message-ID of ours is random and known to those alone through whose hands the mail went.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage, Message

from reactions.mail_status import STATUS, is_for_good, without_addresses

MESSAGE_ID = re.compile(r"<[^<>\s]+@[^<>\s]+>")


@dataclass(frozen=True)
class DeliveryReport:
    """What became of one mail. `for_good`: it never reaches the address. `words` are for staff and hold no address.

    `given_up`: the server tries no further, be it for good or because it could not bring this one mail.
    `addresses` are those that the report is about: the last on the way, and the one that it was sent to where told.
    """

    message_id: str
    for_good: bool
    words: str
    addresses: tuple[str, ...] = ()
    given_up: bool = False


def read_reports(raw: bytes) -> list[DeliveryReport]:
    """What a returned mail reports, one for each recipient; empty for any other mail, and for one that came through."""
    mail = message_from_bytes(raw, _class=EmailMessage, policy=policy.default)
    if mail.get_content_type() != "multipart/report" or _parameter(mail, "report-type") != "delivery-status":
        return []
    returned = _returned_message_id(mail)
    if not returned:
        return []
    return list(dict.fromkeys(_reports(mail, returned)))


def _reports(mail: EmailMessage, message_id: str) -> Iterator[DeliveryReport]:
    for part in mail.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        # The first group is about the mail, each further one about a recipient.
        for group in part.get_payload():
            if not isinstance(group, Message) or "Final-Recipient" not in group:
                continue
            action = str(group.get("Action", "")).strip().lower()
            found = STATUS.search(str(group.get("Status", "")))
            status = found.group(1) if found else ""
            if action not in {"failed", "delayed"}:
                continue
            said = str(group.get("Diagnostic-Code", "")).partition(";")[2] or "no reason given"
            words = without_addresses(f"{status} {said}")
            addresses = tuple(_addresses(group))
            given_up = action == "failed"
            yield DeliveryReport(message_id, given_up and is_for_good(status), words, addresses, given_up)


def _addresses(group: Message) -> Iterator[str]:
    for name in ("Final-Recipient", "Original-Recipient"):
        _, _, address = str(group.get(name, "")).partition(";")
        if address.strip():
            yield address.strip().strip("<>")


def _returned_message_id(mail: EmailMessage) -> str:
    """The Message-ID of the mail that is returned, whole or by its headers; empty when there is none."""
    for part in mail.walk():
        kind = part.get_content_type()
        content: object = None
        if kind == "text/rfc822-headers":
            text = part.get_payload(decode=True)
            content = message_from_bytes(text) if isinstance(text, bytes) else None
        elif kind == "message/rfc822" and part.is_multipart():
            content = part.get_payload(0)
        if isinstance(content, Message):
            found = MESSAGE_ID.search(str(content.get("Message-ID", "")))
            return found.group(0) if found else ""
    return ""


def _parameter(mail: EmailMessage, name: str) -> str:
    return str(mail.get_param(name, "")).lower()
