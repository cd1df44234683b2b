"""Boxes that only one peer can open (docs/protocol.md, section 11).

All of it is HPKE (RFC 9180, base mode) with ML-KEM-768 + X25519, HKDF-SHA-256 and ChaCha20-Poly1305, as
`cryptography` has it: today's computers do not break it, nor do tomorrow's quantum computers what was
recorded today.
"""

from __future__ import annotations

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite

from p2pchat.trust.cards import Card
from p2pchat.trust.jsontext import read_json

#: What a box begins with: the version of the format. Another one is refused, not guessed at.
VERSION = b"\x01"

_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class BadSeal(ValueError):
    """Something sealed cannot be opened; the text says why, as far as can be known."""


class Content(msgspec.Struct, frozen=True, gc=False):
    """What is in the box of a message.

    :param payload: the text.
    :param time_ms: when it was said, in ms since 1970.
    :param key: the signing key of who said it, in base64.
    :param sig: its signature, in base64.
    """

    payload: str
    time_ms: int
    key: str
    sig: str

    def to_bytes(self) -> bytes:
        """Return it as it is sealed."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Content:
        """Read it.

        :raises BadSeal: it is something else.
        """
        try:
            content = read_json(data, cls)
        except ValueError as problem:
            raise BadSeal(f"what was sealed is no message: {problem}") from None
        if not 0 <= content.time_ms < 2**53:
            raise BadSeal("what was sealed has no time")
        return content


def seal(card: Card, content: bytes, info: bytes) -> bytes:
    """Return a box that only the owner of a card can open.

    :param info: what the box is bound to: with any other it cannot be opened.
    """
    return VERSION + _SUITE.encrypt(content, card.sealing_key(), info)


def open_with(key: MLKEM768X25519PrivateKey, box: bytes, info: bytes) -> bytes:
    """Open a box.

    :raises BadSeal: it is not for this key, or was changed, or is bound to something else.
    """
    if box[:1] != VERSION:
        raise BadSeal("it is sealed in a way that is not known here")
    try:
        return _SUITE.decrypt(box[1:], key, info)
    except (InvalidTag, ValueError):
        raise BadSeal("it is not sealed for the key of this peer, or was changed on the way") from None
