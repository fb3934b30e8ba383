"""What a mail server's answer means, and how staff read it."""

import re
import smtplib

from reactions.mail_status import STATUS, is_for_good, without_addresses

# Answers to RCPT that are not about the recipient: the command itself, the sign-in, and a server that takes no mail.
NOT_THE_RECIPIENT = frozenset({500, 501, 502, 503, 504, 521, 530, 534, 535, 538})

# Answers to RCPT by which the mail server itself takes no mail now: it closes, or it is about our address, its system,
# the protocol, or a policy for good. Greylisting (4.7) and a full mailbox (2.2) are about the one recipient.
CLOSING = 421
OF_THE_SERVER_STATUS = re.compile(r"([45]\.(1\.[78]|3\.\d+|5\.\d+)|5\.7\.\d+)\b")

# The server answered: it does not have the mail.
ANSWERS = (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused, smtplib.SMTPNotSupportedError)


def is_final(error: Exception) -> bool:
    """The server will never take mail for this recipient, as far as it says."""
    if not isinstance(error, smtplib.SMTPRecipientsRefused):
        return False
    code, text = next(iter(error.recipients.values()))
    if code in NOT_THE_RECIPIENT or not 500 <= code < 600:
        return False
    status = STATUS.match(_decoded(text).strip())
    return is_for_good(status.group(1)) if status else True


def is_about_recipient(error: Exception) -> bool:
    """The server is there and takes mail; it does not take any for this recipient, now or for good."""
    if not isinstance(error, smtplib.SMTPRecipientsRefused):
        return False
    code, text = next(iter(error.recipients.values()))
    of_server = code == CLOSING or code in NOT_THE_RECIPIENT or OF_THE_SERVER_STATUS.match(_decoded(text).strip())
    return not of_server


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
    return without_addresses(words)


def _decoded(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
