"""The token in a check-in's link.

Derived from a random nonce of the row and a key of the service; the row keeps only the token's hash. So every copy of a
mail carries the same link, and a copy of the database alone opens none.
"""

import base64
import hashlib
import secrets

from django.utils.crypto import salted_hmac

NONCE_BYTES = 16
# 144 bits: 24 characters without padding. At least 128 make guessing hopeless.
TOKEN_BYTES = 18


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
