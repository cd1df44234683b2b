"""Messages that are sealed or signed, to one who knows their source, or does not."""

from __future__ import annotations

from typing import ClassVar

from p2pchat.protocol import codec
from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.messages import Ack, Hello, HelloOk, Message, Pub, Send, WhoHasHit
from p2pchat.trust.cards import read_card
from p2pchat.trust.identity import Identity
from p2pchat.trust.pins import Pins
from p2pchat.trust.seals import Seals
from p2pchat.trust.trust import Rules, Trust
from tests.trust.test_trust import Notes
from tools.vectors import ALICE, BOB, TIME_MS, secrets_of, signatures

#: What alice said, in all that the corpus has of her.
WORDS = {example["parts"][4] for example in signatures() if example["context"] in ("send/1", "pub/1")}


class TrustedLine:
    """A line of a relay, and all that keys make of it: `trust.seals.Seals`, and cards."""

    corpus: ClassVar[str] = "trust"
    is_stream: ClassVar[bool] = False
    lasts: ClassVar[int] = 500

    def __init__(self) -> None:
        alice = Identity(ALICE, secrets_of(1))
        identity = Identity(BOB, secrets_of(11))
        trust = Trust(identity, Pins(), Rules(), Notes(), lambda: TIME_MS, lambda: 0.0)
        assert trust.meet(ALICE, alice.key, alice.card) is None
        self._trust = trust
        self._seals = Seals(trust, None, lambda size: bytes(size))

    def take(self, pieces: list[bytes]) -> bool:
        """Read a line, and look at its seals; False where it is refused as documented."""
        try:
            self._look_at(codec.decode(b"".join(pieces).replace(b"\n", b"")))
        except ProtocolError:
            return False
        return True

    def close(self) -> None:
        """Nothing is left behind."""
        assert len(self._trust.pins) <= self.lasts + 1

    def _look_at(self, message: Message) -> None:
        if isinstance(message, Send):
            opened, _ = self._seals.unwrap(message)
            assert opened.src != ALICE or opened.payload in WORDS, opened
        elif isinstance(message, Pub):
            cast, _ = self._seals.unwrap_cast(message, False)
            assert cast is None or cast.src != ALICE or cast.payload in WORDS, cast
        elif isinstance(message, WhoHasHit):
            self._seals.believes_hit(message, BOB)
        elif isinstance(message, Ack):
            self._seals.believes_ack(message, ALICE, "")
        elif isinstance(message, Hello | HelloOk):
            self._show_card(message)

    def _show_card(self, message: Hello | HelloOk) -> None:
        problem = self._trust.admit(ALICE, self._known_key, message.card)
        if problem is None and isinstance(message.card, dict):
            assert read_card(message.card).peer_id == ALICE, message.card

    @property
    def _known_key(self) -> bytes:
        pin = self._trust.pins.get(ALICE)
        assert pin is not None
        return pin.key
