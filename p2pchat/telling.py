"""What a node tells its listeners."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from p2pchat import events
from p2pchat.protocol.errors import ErrorCode
from p2pchat.protocol.messages import Error, Pub, Send
from p2pchat.protocol.names import PeerId
from p2pchat.protocol.protection import Protection
from p2pchat.routing.delivery import Delivery, State
from p2pchat.routing.neighbourhood import Neighbour, hops_of
from p2pchat.trust.cards import fingerprint


class Telling:
    """Turns what happens to messages into events: `routing.router.House`. The node creates and owns it.

    :param seek: tries to get a link with a peer.
    :param why_not_linked: says what came of that, for people; nothing where there is a link.
    :param is_verified: says whether the user knows a peer for sure.
    """

    _log = Logger()

    def __init__(
        self,
        seek: Callable[[PeerId], None],
        why_not_linked: Callable[[PeerId], str],
        is_verified: Callable[[PeerId], bool],
    ) -> None:
        self.listeners: list[Callable[[events.Event], None]] = []
        self.seek = seek
        self._why_not_linked = why_not_linked
        self._is_verified = is_verified

    def tell(self, event: events.Event) -> None:
        """Tell all listeners."""
        for listener in [*self.listeners]:  # one may end another, or itself
            try:
                listener(event)
            except Exception:
                # A listener's fault must not become the fault of the peer whose message it was.
                self._log.failure("a listener failed")

    def show(self, neighbour: Neighbour, message: Send | Pub, protection: Protection) -> None:
        """Tell a message that arrived."""
        is_cast = isinstance(message, Pub)
        via, is_plain = neighbour.peer_id, neighbour.plain
        # The ttl of a plain peer tells nothing.
        hops = 1 if via == message.src else hops_of(message.ttl)
        src, dst, payload = message.src, message.dst, message.payload
        is_verified = self._is_verified(PeerId(src))
        self.tell(
            events.MessageArrived(src, dst, payload, is_cast, via, is_plain, hops, protection, is_verified)
        )

    def taken(self, delivery: Delivery) -> None:
        """Tell that a message of ours was accepted."""
        self.tell(events.MessageTaken(delivery.msg_id, delivery.dst, delivery.payload))

    def sent(self, delivery: Delivery) -> None:
        """Tell that a message is on its way."""
        self.tell(events.MessageSent(delivery.msg_id, delivery.dst, delivery.via, delivery.protection))

    def settled(self, delivery: Delivery) -> None:
        """Tell what became of a message."""
        msg_id, dst = delivery.msg_id, delivery.dst
        if delivery.state is State.CONFIRMED:
            took_s, tries, via = delivery.took_s, delivery.tries, delivery.via
            self.tell(events.MessageConfirmed(msg_id, dst, took_s, tries, via, delivery.is_proved))
            return
        why = delivery.why
        not_linked = self._why_not_linked(dst)
        if delivery.code == ErrorCode.NO_ROUTE and not_linked:
            why += f"; {not_linked}"
        self.tell(events.MessageFailed(msg_id, dst, delivery.payload, delivery.code, why))

    def warn(self, peer_id: PeerId, text: str) -> None:
        """Tell the user something about a message to a peer."""
        self.tell(events.Warned(peer_id, text))

    def key_refused(self, peer_id: PeerId, key: bytes, pinned: bytes) -> None:
        """Tell that somebody came under a known name with another key."""
        self.tell(events.KeyRefused(peer_id, fingerprint(key), fingerprint(pinned)))

    def key_missing(self, peer_id: PeerId) -> None:
        """Tell that somebody came under the name of a peer that has a key, without any."""
        self.tell(events.KeyMissing(peer_id))

    def trouble(self, why: str) -> None:
        """Tell that what is known of peers cannot be written down."""
        self.tell(events.PeersNotKept(why))

    def complained(self, neighbour: Neighbour, error: Error) -> None:
        """Tell what a peer complains about."""
        self.tell(events.PeerComplained(neighbour.peer_id, error.reason, error.detail, error.ref))
