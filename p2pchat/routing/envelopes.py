"""In what form our own messages leave: bare, signed or sealed; for our own kind or a plain peer."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from msgspec import UNSET
from msgspec.structs import replace

from p2pchat.language import tr
from p2pchat.protocol.codec import check_size, encode, encode_plain
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.framing import MAX_LINE
from p2pchat.protocol.messages import ORIGIN_TTL, Ack, Pub, Send
from p2pchat.protocol.names import ToAll, ToNamespace
from p2pchat.protocol.protection import Protection
from p2pchat.routing.delivery import Delivery
from p2pchat.routing.neighbourhood import Neighbour, Neighbourhood
from p2pchat.routing.trust import Trust


@attrs.define
class Envelopes:
    """Writes what we send. The router creates and owns it."""

    _hood: Neighbourhood
    _trust: Trust
    #: Who we are, for messages: the encoder is slow with anything but a plain str.
    _own: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._own = str(self._hood.own)

    def bare(self, delivery: Delivery) -> Send:
        """Return a message as it goes over a link with its destination."""
        return Send(delivery.msg_id, self._own, str(delivery.dst), delivery.payload, ttl=ORIGIN_TTL)

    def wrap(self, delivery: Delivery) -> Send:
        """Return a message as relays may have it; made once for all copies, since it takes time.

        :raises ProtocolError: it may not go over relays, or is too long for that.
        """
        if delivery.wrapped is None:
            wrapped, sig = self._trust.wrap(self.bare(delivery))
            check_size(wrapped)
            delivery.wrapped, delivery.sig = wrapped, sig
        if delivery.protection is Protection.LINK and delivery.wrapped.sealed is UNSET:
            raise ProtocolError(
                ErrorCode.UNAUTHORIZED,
                tr("it went over an encrypted link, and relays could read it: {peer} showed no card").format(
                    peer=delivery.dst
                ),
            )
        return delivery.wrapped

    def write(self, hop: Neighbour, delivery: Delivery, before: Iterator[Delivery]) -> bytes:
        """Return the line of the next copy of a message to a next hop.

        :param before: those to the same peer without an outcome that were said before, the last one first.
        :raises ProtocolError: that is a relay, and `wrap` fails.
        """
        message = self.bare(delivery) if hop.peer_id == delivery.dst else self.wrap(delivery)
        if delivery.copies > 1:
            message = replace(message, attempt=delivery.copies)
        if hop.plain:
            return encode_plain(message)
        last = self._last(delivery, before)
        if last is not None:  # also on one link: there may have been another when that went
            line = encode(replace(message, after=last.msg_id))
            if len(line) <= MAX_LINE:
                return line
        return encode(message)

    def _last(self, delivery: Delivery, before: Iterator[Delivery]) -> Delivery | None:
        """Return the message that one has to come after."""
        return next(before, None)

    def signature(self, delivery: Delivery, ack: Ack) -> str:
        """Return the signature that a confirmation must cover: that on the copy which it is about."""
        if ack.receipt is UNSET:
            return delivery.sig
        return self._trust.courier_sig(self.bare(delivery), delivery.said_at_ms)

    @staticmethod
    def protection(hop: Neighbour, delivery: Delivery) -> Protection:
        """Say how well a message is protected that was written to a next hop."""
        if hop.peer_id == delivery.dst:
            return Protection.LINK if hop.is_encrypted else Protection.NONE
        if delivery.wrapped is None or delivery.wrapped.sealed is not UNSET:
            return Protection.SEALED
        return Protection.NONE if delivery.wrapped.sig is UNSET else Protection.SIGNED

    def write_cast(
        self, to: ToNamespace | ToAll, payload: str
    ) -> tuple[Pub, Iterator[tuple[Neighbour, bytes | None]]]:
        """Return a message to many as our own kind gets it, and each neighbour that it is for.

        With each comes its line; None where it may not have it.

        :raises ProtocolError: it is too long, or holds half a character.
        """
        bare = Pub(self._hood.new_id(), self._own, payload, dst=str(to), ttl=ORIGIN_TTL)
        message = self._trust.wrap_cast(bare)
        check_size(message)
        ours, plain = encode(message), encode_plain(bare)
        # A plain peer cannot open what is sealed, and the text must not go round without that.
        for_plain = plain if message.sealed is UNSET else None
        return message, (
            (near, for_plain if near.plain else ours)
            for near in list(self._hood.neighbours.values())
            if not near.plain or _concerns(near, to)
        )

    def confirm(self, neighbour: Neighbour, message: Send) -> bool:
        """Confirm a message that a neighbour brought; False where too much waits for that one already.

        :param message: as its source wrote it.
        """
        ack = Ack(message.msg_id, self._own, src=self._own, dst=message.src, ttl=ORIGIN_TTL)
        if neighbour.peer_id != message.src:
            ack = self._trust.sign_ack(ack, message)
        return self._hood.answer(neighbour, ack)


def _concerns(neighbour: Neighbour, to: ToNamespace | ToAll) -> bool:
    """Whether a plain peer has any use for a message to many: it passes nothing on."""
    return isinstance(to, ToAll) or neighbour.peer_id.namespace == to.namespace


def is_straight(neighbour: Neighbour, message: Send | Pub) -> bool:
    """Whether a message came straight from its source, and nobody could have changed it on the way."""
    return neighbour.is_encrypted and neighbour.peer_id == message.src
