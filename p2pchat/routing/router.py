"""What to do with a message that arrived, or that the user wants to send (docs/protocol.md, 4, 5, 8).

This floor knows direct links only: what is for somebody else is answered `no_route`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs
from msgspec import UNSET

from p2pchat.allowance import Allowance
from p2pchat.protocol.codec import check_size, encode, encode_plain
from p2pchat.protocol.errors import MEANINGS, TRANSIENT, ErrorCode, ProtocolError
from p2pchat.protocol.framing import MAX_LINE
from p2pchat.protocol.messages import ORIGIN_TTL, Ack, Error, Message, Pub, Send
from p2pchat.protocol.names import PeerId, ToAll, ToNamespace
from p2pchat.routing.delivery import ACK_WAITS_S, SEEK_S, Deliveries, Delivery, State
from p2pchat.routing.seen import Seen

#: Lines longer than this may be more than a plain peer takes, in bytes (9.5).
PLAIN_LINE = 4096

#: A link to a plain peer that falls so many seconds after a message may have fallen because of it,
#: and the message is not sent there again (9.15).
SUSPECT_S = 5.0

#: Complaints of peers that the user is shown per second; the others are counted.
COMPLAINTS_PER_S = 5


class Neighbour(Protocol):
    """A peer with a direct link."""

    peer_id: PeerId

    @property
    def plain(self) -> bool:
        """Not known to be of our own kind: section 9 applies."""

    @property
    def features(self) -> frozenset[str]:
        """What it offered in its greeting."""

    def write(self, line: bytes, urgent: bool = False) -> bool:
        """Send one encoded line; False where too much waits for this peer already."""


class House(Protocol):
    """What the router makes happen: the node."""

    def show(self, neighbour: Neighbour, message: Send | Pub) -> None:
        """Show a message to the user; it is the first time."""

    def sent(self, delivery: Delivery) -> None:
        """A message was given to the destination's link for the first time."""

    def settled(self, delivery: Delivery) -> None:
        """The outcome of a message is known."""

    def seek(self, dst: PeerId) -> None:
        """Try to get a link with *dst*, if it is known where it is."""

    def warn(self, peer_id: PeerId, text: str) -> None:
        """Tell the user something about a message to a peer."""

    def complained(self, neighbour: Neighbour, error: Error) -> None:
        """A peer sent an ERROR that is about none of our messages."""


@attrs.define
class Tally:
    """What the router counts."""

    sent: int = 0
    resent: int = 0
    confirmed: int = 0
    failed: int = 0
    cast: int = 0
    received: int = 0
    duplicates: int = 0
    not_for_us: int = 0
    forged: int = 0
    confirmations_refused: int = 0
    errors_received: int = 0


class Router:
    """Decides. The node creates and owns it, and tells it the time.

    :param own: who we are.
    :param now: monotonic seconds.
    :param new_id: makes a msg_id.
    """

    def __init__(
        self, own: PeerId, house: House, now: Callable[[], float], new_id: Callable[[], str]
    ) -> None:
        self.tally = Tally()
        self.complaints = Allowance(COMPLAINTS_PER_S)
        self.pending = Deliveries()
        self._own = own
        #: The same for messages: the encoder is slow with anything but a plain str.
        self._own_text = str(own)
        self._house = house
        self._now = now
        self._new_id = new_id
        self._neighbours: dict[PeerId, Neighbour] = {}
        self._seen = Seen(now())
        self._actions: dict[type[Message], Callable[[Neighbour, Message], None]] = {
            Send: self._on_send,  # type: ignore[dict-item]
            Ack: self._on_ack,  # type: ignore[dict-item]
            Pub: self._on_pub,  # type: ignore[dict-item]
            Error: self._on_error,  # type: ignore[dict-item]
        }

    # The user wants to send.

    def send(self, dst: PeerId, payload: str) -> Delivery:
        """Send a text to one peer. What becomes of it is told by `House.settled`.

        :raises ProtocolError: it is too long, holds half a character, or too much waits already.
        """
        now_s = self._now()
        if self.pending.full:
            raise ProtocolError(
                ErrorCode.BUSY, f"{len(self.pending)} messages wait for their outcome already"
            )
        delivery = Delivery(self._new_id(), dst, payload, now_s, now_s + SEEK_S)
        # Escapes make 12 bytes of a character at most, so that most texts need no measuring.
        if len(payload) * 12 > MAX_LINE // 2 or not payload.isascii():
            check_size(self._message(delivery))
        self.pending.add(delivery)
        neighbour = self._neighbours.get(dst)
        if neighbour is not None:
            self._transmit(neighbour, delivery)
        else:
            self._house.seek(dst)
        return delivery

    def publish(self, to: ToNamespace | ToAll, payload: str) -> int:
        """Send a text to all neighbours whom it concerns; return how many links took it.

        :raises ProtocolError: it is too long.
        """
        message = Pub(self._new_id(), self._own, payload, dst=str(to), ttl=ORIGIN_TTL)
        check_size(message)
        self._seen.is_new((self._own, message.msg_id))
        self.tally.cast += 1
        ours, plain = encode(message), encode_plain(message)
        took = 0
        for neighbour in list(self._neighbours.values()):
            # A plain peer passes nothing on, so outside of the namespace it has no use for it.
            if (
                neighbour.plain
                and isinstance(to, ToNamespace)
                and neighbour.peer_id.namespace != to.namespace
            ):
                continue
            line = plain if neighbour.plain else ours
            self._warn_if_long(neighbour, line)
            took += neighbour.write(line)
        return took

    def give_up(self, why: str) -> None:
        """End everything that is open: the node stops."""
        for delivery in self.pending:
            self._fail(delivery, "not confirmed", why)

    # What happens around us.

    def neighbour_up(self, neighbour: Neighbour) -> None:
        """A link with a peer stands: what waited for it can go."""
        self._neighbours[neighbour.peer_id] = neighbour
        for delivery in self.pending.to(neighbour.peer_id, State.SEEKING):
            self._transmit(neighbour, delivery)

    def neighbour_down(self, neighbour: Neighbour, why: str) -> None:
        """The last link with a peer has ended: what it did not confirm goes again over the next."""
        del self._neighbours[neighbour.peer_id]
        for delivery in self.pending.to(neighbour.peer_id, State.SENT):
            if not self._fail_suspect(neighbour, delivery, why):
                self._seek_again(delivery, f"the link ended: {why}")

    def link_lost(self, neighbour: Neighbour, why: str) -> None:
        """The link that was sent on has ended, but the neighbour has others."""
        for delivery in self.pending.to(neighbour.peer_id, State.SENT):
            self._fail_suspect(neighbour, delivery, why)

    def received(self, neighbour: Neighbour, message: Message) -> None:
        """Take a message that is not about the link itself.

        :raises ProtocolError: it is not what section 4 allows.
        """
        self._actions[type(message)](neighbour, message)

    def tick(self) -> None:
        """Do what is due; to be called several times a second."""
        now_s = self._now()
        self._seen.rotate(now_s)
        self.pending.sweep(now_s, self._overdue)

    # Messages that arrived.

    def _on_send(self, neighbour: Neighbour, message: Send) -> None:
        if message.dst != self._own:
            self.tally.not_for_us += 1
            detail = f"{message.dst} is not reachable through {self._own}"
            self._answer(
                neighbour, Error.make(ErrorCode.NO_ROUTE, detail, ref=message.msg_id, dst=message.src)
            )
            return
        self._refuse_forged(message)
        self._show_once(neighbour, message)
        if message.require_ack:
            own = self._own_text
            ack = Ack(message.msg_id, own, src=own, dst=message.src, ttl=ORIGIN_TTL)
            if not self._answer(neighbour, ack):
                self.tally.confirmations_refused += 1

    def _on_pub(self, neighbour: Neighbour, message: Pub) -> None:
        if message.src == self._own and not self._seen.is_new((self._own, message.msg_id)):
            return  # our own words come back
        self._refuse_forged(message)
        if self._concerns_us(message.dst):
            self._show_once(neighbour, message)
        else:
            self.tally.not_for_us += 1

    def _on_ack(self, neighbour: Neighbour, message: Ack) -> None:
        delivery = self.pending.get(message.msg_id)
        # Only the destination can know that it has the message.
        if delivery is None or neighbour.peer_id != delivery.dst:
            return
        self.pending.close(delivery)
        delivery.state = State.CONFIRMED
        delivery.took_s = self._now() - delivery.began_at_s
        self.tally.confirmed += 1
        self._house.settled(delivery)

    def _on_error(self, neighbour: Neighbour, message: Error) -> None:
        self.tally.errors_received += 1
        delivery = self.pending.get(message.ref)
        if delivery is None or neighbour.peer_id != delivery.dst:
            if self.complaints.take(self._now()):
                self._house.complained(neighbour, message)
            return
        code = message.reason or "error"
        delivery.trouble = f"the peer says {code}: {message.detail or MEANINGS.get(code, 'no detail given')}"
        if code not in TRANSIENT:
            self._fail(delivery, code, delivery.trouble)

    def _concerns_us(self, dst: str) -> bool:
        """Whether a PUB is shown: clients write its dst in many ways (9.12)."""
        return dst in ("", "*", self._own) or dst.removeprefix("#") == self._own.namespace

    def _refuse_forged(self, message: Send | Pub) -> None:
        if message.src == self._own:
            self.tally.forged += 1
            detail = f"{self._own} is this peer itself and did not say that"
            raise ProtocolError(ErrorCode.UNAUTHORIZED, detail, ref=message.msg_id)

    def _show_once(self, neighbour: Neighbour, message: Send | Pub) -> None:
        # Some plain clients count seconds for a msg_id, so theirs is not enough (9.13).
        key = (message.src, message.msg_id, message.payload if neighbour.plain else None)
        if self._seen.is_new(key):
            self.tally.received += 1
            self._house.show(neighbour, message)
        else:
            self.tally.duplicates += 1

    def _answer(self, neighbour: Neighbour, message: Message) -> bool:
        return neighbour.write(encode_plain(message) if neighbour.plain else encode(message), urgent=True)

    # Deliveries.

    def _message(self, delivery: Delivery) -> Send:
        attempt = delivery.tries if delivery.tries > 1 else UNSET
        dst = str(delivery.dst)
        return Send(delivery.msg_id, self._own_text, dst, delivery.payload, ttl=ORIGIN_TTL, attempt=attempt)

    def _transmit(self, neighbour: Neighbour, delivery: Delivery) -> None:
        delivery.tries += 1
        message = self._message(delivery)
        line = encode_plain(message) if neighbour.plain else encode(message)
        if delivery.tries == 1:
            self._warn_if_long(neighbour, line)
        if not neighbour.write(line):
            # What was sent before may still have arrived.
            code = ErrorCode.BUSY if delivery.tries == 1 else "not confirmed"
            self._fail(delivery, code, f"too much waits for {neighbour.peer_id} already")
            return
        delivery.state = State.SENT
        delivery.deadline_s = self._now() + ACK_WAITS_S[delivery.tries - 1]
        if delivery.tries == 1:
            self.tally.sent += 1
            self._house.sent(delivery)
        else:
            self.tally.resent += 1

    def _warn_if_long(self, neighbour: Neighbour, line: bytes) -> None:
        if neighbour.plain and len(line) > PLAIN_LINE:
            text = f"it may not take a line of {len(line)} bytes; up to {PLAIN_LINE} is safe"
            self._house.warn(neighbour.peer_id, text)

    def _overdue(self, delivery: Delivery) -> None:
        if delivery.state is State.SEEKING:
            self._fail_unrouted(delivery)
        elif delivery.tries < len(ACK_WAITS_S):
            self._seek_again(delivery, "")
        else:
            self._fail(delivery, "not confirmed", self._why_unconfirmed(delivery))

    def _why_unconfirmed(self, delivery: Delivery) -> str:
        waited_s = self._now() - delivery.began_at_s
        text = f"sent {delivery.tries} times in {waited_s:.0f} s, and no confirmation came"
        neighbour = self._neighbours.get(delivery.dst)
        if neighbour is not None and "ack" not in neighbour.features:
            text += "; this peer does not offer confirmations, so it may have arrived"
        return f"{text}; {delivery.trouble}" if delivery.trouble else text

    def _fail_suspect(self, neighbour: Neighbour, delivery: Delivery, why: str) -> bool:
        """Give up a message that may be why a plain peer ended the link; whether it was one (9.15)."""
        sent_at_s = delivery.deadline_s - ACK_WAITS_S[delivery.tries - 1]
        is_suspect = neighbour.plain and self._now() - sent_at_s <= SUSPECT_S
        if is_suspect:
            text = f"the link ended right after it was sent, so it is not sent again ({why})"
            self._fail(delivery, "not confirmed", text)
        return is_suspect

    def _fail_unrouted(self, delivery: Delivery) -> None:
        if delivery.tries:
            self._fail(
                delivery, "not confirmed", f"{delivery.trouble}, and no new link came within {SEEK_S:.0f} s"
            )
        else:
            self._fail(delivery, ErrorCode.NO_ROUTE, f"no link with it within {SEEK_S:.0f} s")

    def _seek_again(self, delivery: Delivery, trouble: str) -> None:
        delivery.trouble = delivery.trouble or trouble
        neighbour = self._neighbours.get(delivery.dst)
        if delivery.tries >= len(ACK_WAITS_S):
            self._fail(delivery, "not confirmed", delivery.trouble)
        elif neighbour is not None:
            self._transmit(neighbour, delivery)
        else:
            delivery.state = State.SEEKING
            delivery.deadline_s = self._now() + SEEK_S
            self._house.seek(delivery.dst)

    def _fail(self, delivery: Delivery, code: str, why: str) -> None:
        self.pending.close(delivery)
        delivery.state = State.FAILED
        delivery.code = str(code)
        delivery.why = why
        self.tally.failed += 1
        self._house.settled(delivery)
