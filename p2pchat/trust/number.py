"""Safety numbers: what two people read to each other to know that nobody is between them (section 11)."""

from __future__ import annotations

import hashlib

from p2pchat.protocol.names import PeerId
from p2pchat.trust.signing import framed

#: Groups of digits, and digits of one: 60 digits are 199 bits, and can be read over the telephone.
GROUPS, DIGITS = 12, 5


def safety_number(one: tuple[PeerId, bytes], other: tuple[PeerId, bytes]) -> str:
    """Return the number of two peers and their signing keys, the same on both sides."""
    parts: list[str | bytes] = []
    for peer_id, key in sorted((one, other)):
        parts += (str(peer_id), key)
    digest = hashlib.sha512(framed("number/1", *parts)).digest()
    pieces = (digest[start : start + DIGITS] for start in range(0, GROUPS * DIGITS, DIGITS))
    return " ".join(f"{int.from_bytes(piece, 'big') % 10**DIGITS:0{DIGITS}}" for piece in pieces)
