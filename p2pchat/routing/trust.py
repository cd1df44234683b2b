"""What routing asks of whoever has keys, so that nobody reads along or speaks for another (section 11)."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from msgspec import UnsetType

from p2pchat.protocol.messages import Ack, Hold, Pub, Send, WhoHas, WhoHasHit
from p2pchat.protocol.protection import Protection


class Belief(Enum):
    """What is thought of something that somebody says."""

    FORGED = "forged"
    #: It may be true: nothing is known of whoever says it.
    UNPROVED = "unproved"
    PROVED = "proved"


class Trust(Protocol):
    """Seals and signs what leaves, and checks what arrives. `p2pchat.trust.seals` does."""

    def wants_card(self, dst: str) -> bool:
        """Whether a message to *dst* should wait a moment for its card: there may be one."""

    def has_no_card(self, dst: str) -> None:
        """The moment is over."""

    def wrap(self, message: Send) -> tuple[Send, str]:
        """Return a message as relays may have it: sealed, or signed where its destination has no card.

        With it comes the signature, which its confirmation must cover; nothing where there is none.

        :raises ProtocolError: `unauthorized`, it should be sealed and cannot be.
        """

    def wrap_for_courier(self, message: Send, said_at_ms: int) -> Hold | None:
        """Return a message as one may have it who keeps it; None where its destination has no card.

        :param said_at_ms: the time that it says: the same each time it is wrapped, so that the signature
            stays the same, too.
        """

    def courier_sig(self, message: Send, said_at_ms: int) -> str:
        """Return the signature in what `wrap_for_courier` makes, which the confirmation must cover."""

    def fits(self, receipt: str | UnsetType, lock: str) -> bool:
        """Whether a receipt can only come from who opened the message with a lock."""

    def unwrap(self, message: Send) -> tuple[Send, Protection]:
        """Return a message to us that relays had as its source wrote it, and how well it was protected.

        :raises ProtocolError: `unauthorized`, its source did not write it or said it before; `busy`, too
            many strangers come.
        """

    def wrap_cast(self, message: Pub) -> Pub:
        """Return a message to many as it may go round."""

    def unwrap_cast(self, message: Pub, is_proved: bool) -> tuple[Pub | None, Protection]:
        """Return a message to many as its source wrote it; None where it is not for our eyes.

        :param is_proved: it came straight from its source, over an encrypted link.
        :raises ProtocolError: as with `unwrap`.
        """

    def sign_ack(self, ack: Ack, message: Send) -> Ack:
        """Sign a confirmation that goes back over relays, with a receipt for the courier where there was one.

        :param message: what is confirmed, as `unwrap` gave it.
        """

    def believes_ack(self, ack: Ack, dst: str, sig: str) -> Belief:
        """Whether *dst* itself confirms, and what we said.

        :param sig: the signature that came with `wrap`.
        """

    def ask(self, question: WhoHas) -> WhoHas:
        """Return a question in the form in which it shall be answered."""

    def sign_hit(self, hit: WhoHasHit, question: WhoHas) -> WhoHasHit:
        """Sign that we are who is sought."""

    def believes_hit(self, hit: WhoHasHit, asker: str) -> bool:
        """Whether who is sought answers itself, as far as can be known; then its card is kept."""

    def speaks_for_itself(self, peer_id: str) -> bool:
        """Whether a peer signs what it says, so that nobody else can answer for it."""


class NoTrust:
    """For a peer that has no keys: everything is as it seems."""

    def wants_card(self, dst: str) -> bool:
        """There are none."""
        return False

    def has_no_card(self, dst: str) -> None:
        """Nobody waits for one."""

    def wrap(self, message: Send) -> tuple[Send, str]:
        """Leave it as it is."""
        return message, ""

    def wrap_for_courier(self, message: Send, said_at_ms: int) -> Hold | None:
        """Nobody could seal it."""
        return None

    def courier_sig(self, message: Send, said_at_ms: int) -> str:
        """There is none."""
        return ""

    def fits(self, receipt: str | UnsetType, lock: str) -> bool:
        """There are no receipts."""
        return False

    def unwrap(self, message: Send) -> tuple[Send, Protection]:
        """Take it as it is."""
        return message, Protection.NONE

    def wrap_cast(self, message: Pub) -> Pub:
        """Leave it as it is."""
        return message

    def unwrap_cast(self, message: Pub, is_proved: bool) -> tuple[Pub | None, Protection]:
        """Take it as it is."""
        return message, Protection.NONE

    def sign_ack(self, ack: Ack, message: Send) -> Ack:
        """Leave it as it is."""
        return ack

    def believes_ack(self, ack: Ack, dst: str, sig: str) -> Belief:
        """Nothing can be proved."""
        return Belief.UNPROVED

    def ask(self, question: WhoHas) -> WhoHas:
        """Leave it as it is."""
        return question

    def sign_hit(self, hit: WhoHasHit, question: WhoHas) -> WhoHasHit:
        """Leave it as it is."""
        return hit

    def believes_hit(self, hit: WhoHasHit, asker: str) -> bool:
        """Believe it."""
        return True

    def speaks_for_itself(self, peer_id: str) -> bool:
        """Nobody does."""
        return False
