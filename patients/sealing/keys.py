"""The keys of sealed values: from IVIGTRACK_FIELD_KEYS, the first one seals and every one opens.

From each key HKDF (RFC 5869, SHA-256) makes a key of its own for each purpose, such as a column: what was sealed in one
column cannot be opened as another. Values are Fernet tokens (AES-128-CBC with HMAC-SHA-256).
"""

import hmac
from base64 import urlsafe_b64encode
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

# Characters of a key: 32 random bytes in base64 have 43.
SHORTEST_KEY = 43
# Bytes of the salt of a file.
SALT_LENGTH = 16


class KeysDoNotFit(ImproperlyConfigured):
    """The keys of this host cannot open what the database holds, or there are none. Nothing was changed."""


def seal(purpose: str, text: str) -> str:
    """The text under the first key; two seals of one text differ. Raises KeysDoNotFit without a usable key."""
    return _fernets(purpose, _keys())[0].encrypt(text.encode()).decode()


def unseal(purpose: str, sealed: str) -> str:
    """The text again. Raises KeysDoNotFit when no key opens it, be it the key or the value that is wrong."""
    try:
        return _opening(purpose, _keys()).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise KeysDoNotFit(
            f"A value of {purpose} opens under no key in IVIGTRACK_FIELD_KEYS: a key is missing, or it was changed."
        ) from None


def under_first_key(purpose: str, sealed: str) -> bool:
    """Whether the first key opens it, so that it needs no other."""
    try:
        _fernets(purpose, _keys())[0].decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True


def digests(purpose: str, text: str) -> list[bytes]:
    """HMAC-SHA-256 of the text under each key, 32 bytes each. The first is the one to keep, all are to be sought."""
    return [hmac.digest(_derived(key, f"digest of {purpose}"), text.encode(), "sha256") for key in _keys()]


def fingerprints() -> list[str]:
    """16 characters for each key, in order, that tell it from others and nothing about it."""
    return [_derived(key, "fingerprint").hex()[:16] for key in _keys()]


def _keys() -> tuple[str, ...]:
    keys = tuple(settings.FIELD_KEYS)
    if not keys:
        raise KeysDoNotFit("IVIGTRACK_FIELD_KEYS is empty: without a key nothing that names a patient can be kept.")
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise KeysDoNotFit(
            f"A key in IVIGTRACK_FIELD_KEYS has fewer than {SHORTEST_KEY} characters. `manage.py new_key` makes one."
        )
    return keys


@lru_cache(maxsize=512)
def _fernets(purpose: str, keys: tuple[str, ...]) -> list[Fernet]:
    return [Fernet(urlsafe_b64encode(_derived(key, f"seal of {purpose}"))) for key in keys]


@lru_cache(maxsize=512)
def _opening(purpose: str, keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet(_fernets(purpose, keys))


@lru_cache(maxsize=2048)
def _derived(key: str, purpose: str) -> bytes:
    """32 bytes for one purpose. The input is random already, so that HKDF needs no salt (RFC 5869, section 3.1)."""
    return HKDF(SHA256(), length=32, salt=None, info=f"ivigtrack {purpose}".encode()).derive(key.encode())


def archive_key(salt: bytes) -> tuple[str, bytes]:
    """For a file: the first key's fingerprint, and 32 bytes made of that key and the file's own salt."""
    return fingerprints()[0], _with_salt(_keys()[0], salt)


def archive_key_named(fingerprint: str, salt: bytes) -> bytes | None:
    """The same for reading a file; None where this service does not have the key."""
    for name, key in zip(fingerprints(), _keys(), strict=True):
        if name == fingerprint:
            return _with_salt(key, salt)
    return None


def _with_salt(key: str, salt: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=salt, info=b"ivigtrack archive").derive(key.encode())
