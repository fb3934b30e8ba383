"""What a mail server's enhanced status codes (RFC 3463) say about an address, wherever they are read. No Django.

A code comes in the answer to RCPT, in a returned mail and in a provider's event; it means the same in all three.
"""

import re

STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
# Codes that begin with 5 and yet do not say that the address is wrong for good: the sender, a full mailbox, the mail
# system, the network and the way there, the protocol, the content, and the policy of the receiver. 5.4.4 is apart: no
# way to the domain is known, which is how one that does not exist is told.
NOT_THE_ADDRESS = re.compile(r"5\.(1\.[78]|2\.2|4\.(?!4$)\d+|[3567]\.\d+)$")
ADDRESS = re.compile(r"\S+@\S+")


def is_for_good(status: str) -> bool:
    """An enhanced status code, such as 5.1.1, says that the address takes no mail and never will."""
    return status.startswith("5.") and not NOT_THE_ADDRESS.match(status)


def without_addresses(words: str) -> str:
    """The words on one line, with every address taken out; 200 characters at most."""
    # PostgreSQL has no room for a NUL.
    printable = "".join(letter if letter.isprintable() else " " for letter in words)
    return ADDRESS.sub("(address)", " ".join(printable.split()))[:200]
