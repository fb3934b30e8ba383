"""The tokens in a check-in's mail: the one that answers it, and the one that only stops the mails.

Derived from a random nonce of the row and a key of the service; the row keeps only the token's hash. So every copy of a
mail carries the same link, and a copy of the database alone opens none.
"""

import base64
import hashlib
import secrets
from functools import lru_cache

from django.urls import get_script_prefix, reverse
from django.utils.crypto import constant_time_compare, salted_hmac

NONCE_BYTES = 16
# 144 bits: 24 characters without padding. At least 128 make guessing hopeless.
TOKEN_BYTES = 18
# A hash of 32 bytes in base64 without padding.
STOP_NAME_CHARACTERS = 43


def new_link() -> tuple[bytes, str]:
    """A fresh nonce and the hash of its token, for the columns `link_nonce` and `link_hash`."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce, hash_of(token_from(nonce))


def token_from(nonce: bytes) -> str:
    """The token that belongs to a nonce under the service's key; 24 characters that an address can carry."""
    digest = salted_hmac("reactions.checkin.link", nonce, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest[:TOKEN_BYTES]).decode("ascii")


def hash_of(token: str) -> str:
    """What the database keeps of a token. Any text has a hash; only a true token's is on a row."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def path_with(token: str, view: str) -> str:
    """The path of the page of this name with a token of ours in it. Every mail carries three."""
    before, after = _around_the_token(view, get_script_prefix())
    return f"{before}{token}{after}"


@lru_cache(maxsize=16)
def _around_the_token(view: str, _prefix: str) -> tuple[str, str]:
    before, _, after = reverse(view, args=["TOKEN"]).partition("TOKEN")
    return before, after


def stop_token(link_hash: str) -> str:
    """The token that stops the mails of the patient whose check-in has this hash; 67 characters.

    It names the row by the hash that the row keeps, which gives nothing away, and proves with the service's key that a
    mail of ours carried it. Nothing more need be stored, and it does not answer the check-in.
    """
    return _as_text(bytes.fromhex(link_hash)) + _proof(link_hash)


def hash_in_stop_token(token: str) -> str:
    """The hash of the check-in's link that a stop token names; empty unless the token is true."""
    named = token[:STOP_NAME_CHARACTERS]
    try:
        link_hash = base64.urlsafe_b64decode(f"{named}=").hex()
    except ValueError:
        return ""
    return link_hash if constant_time_compare(token, stop_token(link_hash)) else ""


def _proof(link_hash: str) -> str:
    digest = salted_hmac("reactions.checkin.stop", link_hash, algorithm="sha256").digest()
    return _as_text(digest[:TOKEN_BYTES])


def _as_text(code: bytes) -> str:
    return base64.urlsafe_b64encode(code).decode("ascii").rstrip("=")
