"""The key of a namespace: who has it reads what is said to all of it (docs/protocol.md, section 11)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from p2pchat.language import tr
from p2pchat.trust.base64 import decode, encode
from p2pchat.trust.jsontext import read_json
from p2pchat.trust.sealing import BadSeal
from p2pchat.trust.secretfile import KeysUnusable, read_secret
from p2pchat.trust.signing import framed

#: What a box begins with: the version of the format.
VERSION = b"\x01"

KEY_BYTES = 32

#: Of a salt, from which and the key each cast has a key of its own: many peers seal with the same key without
#: knowing of each other, and random nonces of 12 bytes alone would one day meet.
SALT_BYTES = 32

_NONCE = bytes(12)


class _File(msgspec.Struct):
    """The file of a key."""

    v: int
    namespace: str
    key: str


@attrs.frozen
class NamespaceKey:
    """Seals and opens what is said to a namespace."""

    namespace: str
    _key: bytes = attrs.field(repr=False)

    @classmethod
    def new(cls, namespace: str, random_bytes: Callable[[int], bytes]) -> NamespaceKey:
        """Make a new one."""
        return cls(namespace, random_bytes(KEY_BYTES))

    def to_bytes(self) -> bytes:
        """Return it as it is kept in a file."""
        file = _File(1, self.namespace, encode(self._key))
        return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> NamespaceKey:
        """Read it.

        :raises ValueError: it is not what `to_bytes` writes.
        """
        file = read_json(data, _File)
        if file.v != 1:
            raise ValueError(
                tr("it is of version {version}, which this p2pchat does not know").format(version=file.v)
            )
        key = decode(file.key)
        if len(key) != KEY_BYTES:
            raise ValueError(
                tr("its key has {n} bytes, expected {expected}").format(n=len(key), expected=KEY_BYTES)
            )
        return cls(file.namespace, key)

    def seal(self, content: bytes, info: bytes, random_bytes: Callable[[int], bytes]) -> bytes:
        """Return a box that those who have the key can open.

        :param info: what the box is bound to: with any other it cannot be opened.
        """
        salt = random_bytes(SALT_BYTES)
        return VERSION + salt + self._cipher(salt).encrypt(_NONCE, content, info)

    def open(self, box: bytes, info: bytes) -> bytes:
        """Open a box.

        :raises BadSeal: it is not sealed with this key, or was changed, or is bound to something else.
        """
        salt, sealed = box[1 : 1 + SALT_BYTES], box[1 + SALT_BYTES :]
        if box[:1] != VERSION:
            raise BadSeal("it is sealed in a way that is not known here")
        try:
            return self._cipher(salt).decrypt(_NONCE, sealed, info)
        except InvalidTag:
            raise BadSeal("it is sealed with another key of the namespace, or was changed") from None

    def _cipher(self, salt: bytes) -> ChaCha20Poly1305:
        derive = HKDF(SHA256(), 32, salt, framed("namespace/1", self.namespace))
        return ChaCha20Poly1305(derive.derive(self._key))


def load_namespace_key(path: Path, namespace: str) -> NamespaceKey:
    """Read the key of our namespace.

    :raises KeysUnusable: the file is missing, or no such key, or of another namespace.
    """
    try:
        key = NamespaceKey.from_bytes(read_secret(path))
    except OSError as problem:
        raise KeysUnusable(
            tr("The file {file} cannot be read ({why})").format(file=path, why=problem.strerror)
        ) from None
    except ValueError as problem:
        told = tr("The file {file} is no key of a namespace ({problem}); p2pchat namespace-key new makes one")
        raise KeysUnusable(told.format(file=path, problem=problem)) from None
    if key.namespace != namespace:
        told = tr("The key in {file} is of the namespace {other!a}, yours is {own!a}")
        raise KeysUnusable(told.format(file=path, other=key.namespace, own=namespace))
    return key
