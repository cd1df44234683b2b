"""Our own keys, and what is done with them (docs/protocol.md, section 11)."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey

from p2pchat.language import tr
from p2pchat.protocol.names import PeerId
from p2pchat.trust.base64 import decode, encode
from p2pchat.trust.cards import MAX_ISSUE, Card, signed_by_card
from p2pchat.trust.jsontext import read_json
from p2pchat.trust.sealing import open_with
from p2pchat.trust.signing import framed

#: Seeds of the three keys, in bytes.
SIGNING_BYTES, MLKEM_BYTES, X25519_BYTES = 32, 64, 32


class _File(msgspec.Struct):
    """The file of an identity."""

    v: int
    signing: str
    mlkem: str
    x25519: str
    issue: int


@attrs.frozen
class Secrets:
    """The seeds of all keys of an identity. Never shown, not even in a traceback.

    :param issue: the number of the card that shows them.
    """

    signing: bytes = attrs.field(repr=False)
    mlkem: bytes = attrs.field(repr=False)
    x25519: bytes = attrs.field(repr=False)
    issue: int = 1

    @classmethod
    def new(cls, random_bytes: Callable[[int], bytes]) -> Secrets:
        """Make new ones.

        :param random_bytes: so many, from the source for secrets.
        """
        return cls(random_bytes(SIGNING_BYTES), random_bytes(MLKEM_BYTES), random_bytes(X25519_BYTES))

    def to_bytes(self) -> bytes:
        """Return them as they are kept in a file."""
        seeds = encode(self.signing), encode(self.mlkem), encode(self.x25519)
        return msgspec.json.format(msgspec.json.encode(_File(1, *seeds, self.issue)), indent=2) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Secrets:
        """Read them.

        :raises ValueError: they are not what `to_bytes` writes.
        """
        file = read_json(data, _File)
        if file.v != 1:
            raise ValueError(
                tr("it is of version {version}, which this p2pchat does not know").format(version=file.v)
            )
        secrets = cls(decode(file.signing), decode(file.mlkem), decode(file.x25519), file.issue)
        sizes = len(secrets.signing), len(secrets.mlkem), len(secrets.x25519)
        if sizes != (SIGNING_BYTES, MLKEM_BYTES, X25519_BYTES):
            raise ValueError(tr("a key in it has the wrong size"))
        if not 1 <= file.issue <= MAX_ISSUE:
            raise ValueError(tr("the number of its card is not from 1 to {most}").format(most=MAX_ISSUE))
        return secrets


class Identity:
    """Who we are, and the keys that prove it. Whoever makes the node creates it.

    :param own: the name that the card binds to the keys.
    """

    def __init__(self, own: PeerId, secrets: Secrets) -> None:
        self.own = own
        self.signing_key = Ed25519PrivateKey.from_private_bytes(secrets.signing)
        #: The public signing key, in bytes.
        self.key = self.signing_key.public_key().public_bytes_raw()
        mlkem = MLKEM768PrivateKey.from_seed_bytes(secrets.mlkem)
        x25519 = X25519PrivateKey.from_private_bytes(secrets.x25519)
        self._sealing_key = MLKEM768X25519PrivateKey(mlkem, x25519)
        sealing = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        sig = self.signing_key.sign(signed_by_card(own, self.key, sealing, secrets.issue))
        self.card = Card(own, self.key, sealing, secrets.issue, sig)

    def sign(self, context: str, *parts: bytes | str | int) -> bytes:
        """Sign `framed` parts; 64 bytes."""
        return self.signing_key.sign(framed(context, *parts))

    def open_box(self, box: bytes, info: bytes) -> bytes:
        """Open what was sealed for us.

        :param info: what it was bound to.
        :raises BadSeal: it was not, or was changed, or belongs to something else.
        """
        return open_with(self._sealing_key, box, info)
