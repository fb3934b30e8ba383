"""The tokens in a patient's mails: the one that answers a check-in, the standing one, the one that stops the mails.

Derived from a random nonce of the row and a key of the service; the row keeps only a hash. So every copy of a mail
carries the same link, and a copy of the database alone opens none.

Each says for which address it was written, by a mark that the key proves. Once another address is recorded it opens
nothing any more, whoever changed that and wherever; with the old address it works again. Nothing is stored for that.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from functools import lru_cache

from django.db import models
from django.urls import get_script_prefix, reverse
from django.utils.crypto import constant_time_compare

from patients.digests import keyed
from patients.models import Patient, address_digest

NONCE_BYTES = 16
# 144 bits: 24 characters without padding. At least 128 make guessing hopeless.
TOKEN_BYTES = 18
TOKEN_CHARACTERS = 24
# 48 bits tell the few addresses of one patient apart.
MARK_BYTES, MARK_CHARACTERS = 6, 8
# Only who holds the rest of the token can try these 96 bits.
PROOF_BYTES = 12
# A hash of 32 bytes in base64 without padding.
STOP_NAME_CHARACTERS = 43


@dataclass(frozen=True)
class Named:
    """What a true token names: a row by its hash, and an address by its mark; empty in links from before marks."""

    link_hash: str
    mark: str


class Linked(models.Model):
    """A row with a link for its patient alone."""

    link_nonce = models.BinaryField(max_length=16, editable=False)
    link_hash = models.CharField(max_length=64, unique=True, editable=False)
    link_address = models.CharField(
        max_length=64, blank=True, editable=False, help_text="Digest of the address that has a link without a mark."
    )

    class Meta:
        abstract = True

    @property
    def patient(self) -> Patient:
        """Whose link it is."""
        raise NotImplementedError

    def link_path(self) -> str:
        """The path of the page, for the address that is recorded now.

        When the service's key has changed since, the row's hash follows it first.
        """
        token = token_from(bytes(self.link_nonce))
        if hash_of(token) != self.link_hash:
            self.link_hash = hash_of(token)
            type(self)._default_manager.filter(pk=self.pk).update(link_hash=self.link_hash)
        return path_with(with_mark(token, self.patient.email), "reactions:patient_checkin")

    def opens_with(self, token: str) -> bool:
        """The token was written for the address that is recorded now."""
        return self._is_for_its_reader(named_in(token))

    def _is_for_its_reader(self, named: Named | None) -> bool:
        if named is None or named.link_hash != self.link_hash:
            return False
        if not named.mark:
            return self.link_address == address_digest(self.patient.email)
        return named.mark == _mark_of(self.patient.email)


def new_link() -> tuple[bytes, str]:
    """A fresh nonce and the hash of its token, for the columns `link_nonce` and `link_hash`."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce, hash_of(token_from(nonce))


def token_from(nonce: bytes) -> str:
    """The part of a token that belongs to a nonce under the service's key; 24 characters that a link can carry."""
    return _as_text(keyed("reactions.checkin.link", nonce)[:TOKEN_BYTES])


def with_mark(token: str, address: str) -> str:
    """The token as it is mailed to this address; 48 characters."""
    mark = _mark_of(address)
    return token + mark + _proof(token, mark)


def named_in(token: str) -> Named | None:
    """What a token of ours names; None for one that is wrong in any way."""
    own, mark = token[:TOKEN_CHARACTERS], token[TOKEN_CHARACTERS:][:MARK_CHARACTERS]
    if len(token) != TOKEN_CHARACTERS and not constant_time_compare(token, own + mark + _proof(own, mark)):
        return None
    return Named(hash_of(own), mark)


def hash_of(token: str) -> str:
    """What the database keeps of a token's first part. Any text has a hash; only a true token's is on a row."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def path_with(token: str, view: str) -> str:
    """The path of the page of this name with a token of ours in it. Every mail carries three."""
    before, after = _around_the_token(view, get_script_prefix())
    return f"{before}{token}{after}"


@lru_cache(maxsize=16)
def _around_the_token(view: str, _prefix: str) -> tuple[str, str]:
    before, _, after = reverse(view, args=["TOKEN"]).partition("TOKEN")
    return before, after


def stop_token(link_hash: str, address: str) -> str:
    """The token that stops the mails to this address, of the patient whose check-in has this hash; 75 characters.

    It names the row by the hash that the row keeps, which gives nothing away, and proves with the service's key that a
    mail of ours carried it. Nothing more need be stored, and it does not answer the check-in.
    """
    return _stop_token(link_hash, _mark_of(address))


def named_in_stop_token(token: str) -> Named | None:
    """What a token to stop the mails names; None unless it is true."""
    named, rest = token[:STOP_NAME_CHARACTERS], token[STOP_NAME_CHARACTERS:]
    mark = rest[:MARK_CHARACTERS] if len(rest) > TOKEN_CHARACTERS else ""
    try:
        link_hash = base64.urlsafe_b64decode(f"{named}=").hex()
    except ValueError:
        return None
    return Named(link_hash, mark) if constant_time_compare(token, _stop_token(link_hash, mark)) else None


def _stop_token(link_hash: str, mark: str) -> str:
    digest = keyed("reactions.checkin.stop", (link_hash + mark).encode())
    return _as_text(bytes.fromhex(link_hash)) + mark + _as_text(digest[:TOKEN_BYTES])


def _mark_of(address: str) -> str:
    return _as_text(bytes.fromhex(address_digest(address))[:MARK_BYTES])


def _proof(token: str, mark: str) -> str:
    value = (token + mark).encode("utf-8", "replace")
    return _as_text(keyed("reactions.link.address", value)[:PROOF_BYTES])


def _as_text(code: bytes) -> str:
    return base64.urlsafe_b64encode(code).decode("ascii").rstrip("=")
