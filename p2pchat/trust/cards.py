"""Cards: who somebody is, and the keys to check and to seal with (docs/protocol.md, section 11)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import attrs
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PublicKey

from p2pchat.protocol.names import BadName, PeerId
from p2pchat.trust.base64 import decode, encode
from p2pchat.trust.signing import KEY_BYTES, SIGNATURE_BYTES, WEAK_KEYS, framed, is_signed

#: The version of the format. Another one is refused, not guessed at.
VERSION = 1

#: An ML-KEM-768 key, and behind it an X25519 key, in bytes.
MLKEM_BYTES, X25519_BYTES = 1184, 32
SEALING_BYTES = MLKEM_BYTES + X25519_BYTES

#: The greatest number that every JSON reader takes for the same.
MAX_ISSUE = 2**53 - 1


class BadCard(ValueError):
    """Not a card; the text says why."""


@attrs.frozen
class Card:
    """What a peer shows of itself. `read_card` makes it of what came, `issue_card` of our own keys.

    :param signing: its Ed25519 public key.
    :param sealing: its ML-KEM-768 and its X25519 public key.
    :param issue: which card of this key it is, from 1; a later one replaces those before.
    :param sig: its signature over all that.
    """

    peer_id: PeerId
    signing: bytes
    sealing: bytes
    issue: int
    sig: bytes

    def as_fields(self) -> dict[str, Any]:
        """Return it as it is written in JSON."""
        return {
            "v": VERSION,
            "peer_id": str(self.peer_id),
            "signing": encode(self.signing),
            "sealing": encode(self.sealing),
            "issue": self.issue,
            "sig": encode(self.sig),
        }

    def sealing_key(self) -> MLKEM768X25519PublicKey:
        """Return what seals for its owner."""
        return _sealing_key(self.sealing)


def signed_by_card(peer_id: PeerId, signing: bytes, sealing: bytes, issue: int) -> bytes:
    """Return what the signature of a card covers."""
    return framed("card/1", str(peer_id), signing, sealing, issue)


def read_card(fields: object) -> Card:
    """Read a card that somebody sent, and check it.

    :raises BadCard: it is none, or its signature does not hold, or its keys are of no use.
    """
    if not isinstance(fields, Mapping):
        raise BadCard("a card is a JSON object")
    version = fields.get("v")
    if type(version) is not int or version != VERSION:  # in Python also True and 1.0 equal 1
        raise BadCard(f"a card of version {VERSION} was expected")
    card = Card(
        _peer_id(fields.get("peer_id")),
        _bytes(fields, "signing", KEY_BYTES),
        _bytes(fields, "sealing", SEALING_BYTES),
        _issue(fields.get("issue")),
        _bytes(fields, "sig", SIGNATURE_BYTES),
    )
    if card.signing in WEAK_KEYS:
        raise BadCard("its signing key is one that anybody can sign with")
    signed = signed_by_card(card.peer_id, card.signing, card.sealing, card.issue)
    if not is_signed(card.signing, card.sig, signed):
        raise BadCard("its signature does not hold")
    _check_sealing(card)
    return card


def _peer_id(text: object) -> PeerId:
    try:
        return PeerId.parse(text if isinstance(text, str) else "")
    except BadName as problem:
        raise BadCard(f"peer_id: {problem}") from None


def _bytes(fields: Mapping[Any, Any], name: str, size: int) -> bytes:
    try:
        data = decode(fields.get(name))
    except ValueError as problem:
        raise BadCard(f"{name}: {problem}") from None
    if len(data) != size:
        raise BadCard(f"{name}: expected {size} bytes, got {len(data)}")
    return data


def _issue(number: object) -> int:
    if type(number) is not int or not 1 <= number <= MAX_ISSUE:
        raise BadCard(f"issue: expected a whole number from 1 to {MAX_ISSUE}")
    return number


def _check_sealing(card: Card) -> None:
    """Try whether something can be sealed with it: with some keys nothing can, or everybody could open it."""
    try:
        card.sealing_key()
        # With a point of small order the secret is the same whatever our half is; this refuses it.
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(card.sealing[MLKEM_BYTES:]))
    except ValueError:
        raise BadCard("sealing: nothing can be sealed with this key") from None


def _sealing_key(raw: bytes) -> MLKEM768X25519PublicKey:
    return MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(raw[:MLKEM_BYTES]),
        X25519PublicKey.from_public_bytes(raw[MLKEM_BYTES:]),
    )


def fingerprint(key: bytes) -> str:
    """Return a short form of a signing key for people: 32 hexadecimal digits in groups of four.

    They are 128 bits of its SHA-256: nobody finds another key with the same.
    """
    digits = hashlib.sha256(key).hexdigest()[:32]
    return " ".join(digits[start : start + 4] for start in range(0, 32, 4))
