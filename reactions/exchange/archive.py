"""A file of any length under a key of this service: nobody reads it without, and no part of it is changed unnoticed.

Layout: a first line that names the format and the key, a random salt, then blocks of at most a megabyte, each with its
length before it. AES-256-GCM with the block's number as nonce, under a key that HKDF (RFC 5869) makes of the service's
key and the salt; the last block says that it is the last. So blocks that are altered, left out, put elsewhere or cut
off are found when they are read.
"""

import secrets
import zlib
from collections.abc import Iterator
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from patients.sealing.keys import SALT_LENGTH, archive_key, archive_key_named

FORMAT = b"IVIGTrack archive 1"
BLOCK = 1_048_576
MORE, LAST = b"more", b"last"


class Damaged(ValueError):
    """The file is no archive, is cut off, or was changed; or it was made under a key that this service has not."""


class Writer:
    """Compresses and encrypts what is written to it. Without `close` the file is cut off, and reading it says so."""

    def __init__(self, file: IO[bytes]) -> None:
        salt = secrets.token_bytes(SALT_LENGTH)
        name, key = archive_key(salt)
        self.file, self.cipher, self.number = file, AESGCM(key), 0
        self.packer, self.waiting = zlib.compressobj(6), bytearray()
        file.write(FORMAT + b" " + name.encode() + b"\n" + salt)

    def write(self, data: bytes) -> None:
        self.waiting += self.packer.compress(data)
        while len(self.waiting) > BLOCK:
            self._put(bytes(self.waiting[:BLOCK]), MORE)
            del self.waiting[:BLOCK]

    def close(self) -> None:
        self.waiting += self.packer.flush()
        while len(self.waiting) > BLOCK:
            self._put(bytes(self.waiting[:BLOCK]), MORE)
            del self.waiting[:BLOCK]
        self._put(bytes(self.waiting), LAST)

    def _put(self, data: bytes, place: bytes) -> None:
        sealed = self.cipher.encrypt(_nonce(self.number), data, place)
        self.file.write(len(sealed).to_bytes(4) + sealed)
        self.number += 1


def read(file: IO[bytes]) -> Iterator[bytes]:
    """What was written, in pieces. Raises Damaged, possibly after some of them: trust nothing before the end."""
    line = file.readline(200)
    if not line.startswith(FORMAT + b" ") or not line.endswith(b"\n"):
        raise Damaged("This is no backup of IVIGTrack.")
    key = archive_key_named(line[len(FORMAT) + 1 : -1].decode("ascii", "replace"), file.read(SALT_LENGTH))
    if key is None:
        raise Damaged("The backup was made under a key that is not among IVIGTRACK_FIELD_KEYS.")
    cipher, unpacker, number, place = AESGCM(key), zlib.decompressobj(), 0, MORE
    while place == MORE:
        length = int.from_bytes(file.read(4))
        sealed = file.read(length)
        place, data = _opened(cipher, number, sealed if len(sealed) == length else b"")
        number += 1
        yield from _unpacked(unpacker, data)
    if file.read(1):
        raise Damaged("Something follows the end of the backup.")
    yield unpacker.flush()


def _opened(cipher: AESGCM, number: int, sealed: bytes) -> tuple[bytes, bytes]:
    for place in (MORE, LAST):
        try:
            return place, cipher.decrypt(_nonce(number), sealed, place)
        except (InvalidTag, ValueError):
            continue
    raise Damaged(f"The backup is cut off or was changed, in block {number + 1}.")


def _unpacked(unpacker: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """A megabyte at a time, however much a block unpacks to."""
    while data:
        yield unpacker.decompress(data, BLOCK)
        data = unpacker.unconsumed_tail


def _nonce(number: int) -> bytes:
    return number.to_bytes(12)
