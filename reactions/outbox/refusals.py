"""What a mail server's answer means, and how staff read it."""

import re
import smtplib

# Answers to RCPT that are not about the recipient: the command itself, the sign-in, and a server that takes no mail.
NOT_THE_RECIPIENT = frozenset({500, 501, 502, 503, 504, 521, 530, 534, 535, 538})
# And by enhanced status (RFC 3463): sender's address, full mailbox, mail system, protocol, and policy, such as relaying
# without permission or a blocked sender.
NOT_THE_RECIPIENT_STATUS = re.compile(r"5\.(1\.[78]|2\.2|3\.\d+|5\.\d+|7\.\d+)\b")

# The server answered: it does not have the mail.
ANSWERS = (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused, smtplib.SMTPNotSupportedError)


def is_final(error: Exception) -> bool:
    """The server will never take mail for this recipient, as far as it says."""
    if not isinstance(error, smtplib.SMTPRecipientsRefused):
        return False
    code, text = next(iter(error.recipients.values()))
    ours = code in NOT_THE_RECIPIENT or NOT_THE_RECIPIENT_STATUS.match(_decoded(text).strip())
    return 500 <= code < 600 and not ours


def in_words(error: Exception) -> str:
    """The error for staff and log, without addresses."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        words = f"{code} {_decoded(text)}"
    elif isinstance(error, smtplib.SMTPSenderRefused):
        words = f"{error.smtp_code} {_decoded(error.smtp_error)} (our sender's address or account)"
    elif isinstance(error, smtplib.SMTPResponseException):
        words = f"{error.smtp_code} {_decoded(error.smtp_error)}"
    else:
        words = f"{type(error).__name__}: {error}"
    return re.sub(r"\S+@\S+", "(address)", printable(words))[:200]


def printable(words: str) -> str:
    """A server's words as a database takes them: PostgreSQL has no room for a NUL."""
    return "".join(letter if letter.isprintable() else " " for letter in words)


def _decoded(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
