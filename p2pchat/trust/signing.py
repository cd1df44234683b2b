"""Signatures, and the bytes that they cover (docs/protocol.md, section 11)."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEY_BYTES = 32
SIGNATURE_BYTES = 64

#: Points of small order, as Ed25519 writes them. With one of them as a key, one signature holds for many
#: messages, so that nobody could tell what its owner said.
WEAK_KEYS = frozenset(
    bytes.fromhex(point)
    for point in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    )
)


def framed(context: str, *parts: bytes | str | int) -> bytes:
    """Return what is signed: no two lists of parts, and no two contexts, give the same bytes.

    :param context: what is said, and the version of how it is written, as in ``send/1``.
    :param parts: bytes, texts, and numbers from 0 to 2**64 - 1.
    """
    pieces = [f"p2pchat {context}\n".encode()]
    for part in parts:
        raw = _raw(part)
        pieces += (len(raw).to_bytes(4, "big"), raw)
    return b"".join(pieces)


def _raw(part: bytes | str | int) -> bytes:
    if isinstance(part, int):
        return part.to_bytes(8, "big")
    # Half a character, which JSON can write and UTF-8 cannot, must not be an error of ours.
    return part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part


def is_signed(key: bytes, signature: bytes, signed: bytes) -> bool:
    """Whether the owner of a public key has signed these bytes."""
    if len(key) != KEY_BYTES or key in WEAK_KEYS:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except InvalidSignature:
        return False
    return True
