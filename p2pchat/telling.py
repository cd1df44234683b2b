"""What a node tells its listeners, once it is written down."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from msgspec import UNSET
from msgspec.structs import replace
from twisted.logger import Logger

from p2pchat import events
from p2pchat.protocol.codec import decode, encode
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import Error, Pub, Send
from p2pchat.protocol.names import PeerId
from p2pchat.protocol.protection import Protection
from p2pchat.routing.delivery import Delivery, State
from p2pchat.routing.neighbourhood import Neighbour, hops_of
from p2pchat.store.entries import Arrival, Cast, Outcome, Outgoing
from p2pchat.store.store import Store
from p2pchat.trust.cards import fingerprint

#: Conversations in which it is counted what the user has not seen.
MAX_UNREAD = 1000

#: Seconds after which it is told when a message was said. Clocks that differ by less do no harm.
LATE_S = 300.0


class Telling:
    """Turns what happens to messages into events: `routing.router.House`. The node creates and owns it.

    :param own: who we are.
    :param store: where messages are written down.
    :param seek: tries to get a link with a peer.
    :param why_not_linked: says what came of that, for people; nothing where there is a link.
    :param is_verified: says whether the user knows a peer for sure.
    """

    _log = Logger()

    def __init__(
        self,
        own: PeerId,
        store: Store,
        seek: Callable[[PeerId], None],
        why_not_linked: Callable[[PeerId], str],
        is_verified: Callable[[PeerId], bool],
    ) -> None:
        self.listeners: list[Callable[[events.Event], None]] = []
        self.seek = seek
        self._own = own
        self._store = store
        self._why_not_linked = why_not_linked
        self._is_verified = is_verified
        #: How much came since the start that the user has not seen, by conversation.
        self.unread: dict[str, int] = {}

    def tell(self, event: events.Event) -> None:
        """Tell all listeners."""
        for listener in [*self.listeners]:  # one may end another, or itself
            try:
                listener(event)
            except Exception:
                # A listener's fault must not become the fault of the peer whose message it was.
                self._log.failure("a listener failed")

    def arrived(
        self,
        neighbour: Neighbour,
        message: Send | Pub,
        protection: Protection,
        by_text: bool,
        then: Callable[[bool], None],
    ) -> None:
        """Write a message down, and tell it if no run before us did."""
        is_cast = isinstance(message, Pub)
        via, is_plain = neighbour.peer_id, neighbour.plain
        # The ttl of a plain peer tells nothing.
        hops = 1 if via == message.src else hops_of(message.ttl)
        src, dst, payload = message.src, message.dst, message.payload
        is_verified = self._is_verified(PeerId(src))
        late_s = self._late_s(message)
        conversation = self._conversation(message)
        event = events.MessageArrived(
            src, dst, payload, is_cast, via, is_plain, hops, conversation, protection, is_verified, late_s
        )

        def written(is_new: bool) -> None:
            if is_new:
                if conversation in self.unread or len(self.unread) < MAX_UNREAD:
                    self.unread[conversation] = self.unread.get(conversation, 0) + 1
                self.tell(event)
            then(is_new)

        arrival = Arrival(
            msg_id=message.msg_id,
            author=src,
            conversation=conversation,
            text=payload,
            at_ms=self._store.now_ms(),
            via=str(via),
            hops=hops,
            protection=protection.value,
            is_verified=is_verified,
            by_text=by_text,
        )
        self._store.receive(arrival, written)

    def read(self, conversation: str | None) -> None:
        """Note that the user has seen what was said in a conversation; None: in all."""
        if conversation is None:
            self.unread.clear()
        else:
            self.unread.pop(conversation, None)
        self._store.read(conversation)

    def _late_s(self, message: Send | Pub) -> float | None:
        """Return how long ago a message was said, where that is long: a courier or a relay kept it."""
        if message.time_ms is UNSET or not self._store.is_lasting:
            return None
        age_s = (self._store.now_ms() - message.time_ms) / 1000
        is_past = isinstance(message, Pub) and message.past is not UNSET
        return max(0.0, age_s) if age_s >= LATE_S or is_past else None

    def after_all(self, then: Callable[[], None]) -> None:
        """Go on once all that arrived before is written down."""
        self._store.after_all(then)

    def _conversation(self, message: Send | Pub) -> str:
        """Return in which conversation a message was said; the dst of a cast has many forms (9.12)."""
        if isinstance(message, Send) or message.dst == self._own:
            return f"@{message.src}"
        return "*" if message.dst in ("", "*") else f"#{message.dst.removeprefix('#')}"

    def taken(self, delivery: Delivery, then: Callable[[], None]) -> None:
        """Tell that a message of ours was accepted, and write it down; *then* it may go."""
        self.tell(events.MessageTaken(delivery.msg_id, delivery.dst, delivery.payload))
        # The time that the next run signs for couriers has to be the one that this run did.
        at_ms = delivery.said_at_ms
        self._store.keep(Outgoing(delivery.msg_id, str(delivery.dst), delivery.payload, at_ms), then)

    def seeks(self, delivery: Delivery) -> None:
        """Tell that a way to the destination of a message is looked for."""
        self.tell(events.MessageSought(delivery.msg_id, delivery.dst))

    def waits(self, delivery: Delivery) -> None:
        """Tell that a message could not be delivered yet, and why."""
        why = self._whole_why(delivery)
        self.tell(events.MessageWaits(delivery.msg_id, delivery.dst, delivery.code, why))

    def sent(self, delivery: Delivery) -> None:
        """Tell that a message is on its way."""
        self.tell(events.MessageSent(delivery.msg_id, delivery.dst, delivery.via, delivery.protection))

    def settled(self, delivery: Delivery) -> None:
        """Tell what became of a message."""
        msg_id, dst = delivery.msg_id, delivery.dst
        if delivery.state is State.CONFIRMED:
            took_s, tries, via = delivery.took_s, delivery.tries, delivery.via
            self.tell(events.MessageConfirmed(msg_id, dst, took_s, tries, via, delivery.is_proved))
        else:
            why = self._whole_why(delivery)
            self.tell(events.MessageFailed(msg_id, dst, delivery.payload, delivery.code, why))
        self._store.settle(msg_id, _outcome(delivery))

    def held(self, delivery: Delivery) -> None:
        """Tell that one more courier keeps a copy of a message."""
        self.tell(events.MessageHeld(delivery.msg_id, delivery.dst, delivery.couriers))

    def keep_cast(self, message: Pub) -> None:
        """Keep a message to many for those who come later, if it is to our namespace and signed."""
        is_signed = message.sealed is not UNSET or message.sig is not UNSET
        if message.dst == f"#{self._own.namespace}" and is_signed:
            self._store.keep_cast(encode(replace(message, past=UNSET)).decode())

    def casts(self) -> list[Pub]:
        """Return what is kept so, oldest first."""
        kept = []
        for line in self._store.casts():
            with suppress(ProtocolError):
                message = decode(line.encode())
                if isinstance(message, Pub):
                    kept.append(message)
        return kept

    def cast_sent(self, msg_id: str, dst: str, payload: str, took: int) -> None:
        """Tell that a message of ours to many was sent, and write it down."""
        self.tell(events.CastSent(dst, payload, took))
        self._store.said(Cast(msg_id, str(self._own), dst, payload, self._store.now_ms(), took))

    def _whole_why(self, delivery: Delivery) -> str:
        """Return why a message was not delivered, and what came of dialling its destination."""
        not_linked = self._why_not_linked(delivery.dst)
        is_about_links = delivery.code == ErrorCode.NO_ROUTE and not_linked
        return f"{delivery.why}; {not_linked}" if is_about_links else delivery.why

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


def _outcome(delivery: Delivery) -> Outcome:
    is_confirmed = delivery.state is State.CONFIRMED
    return Outcome(
        is_confirmed=is_confirmed,
        code="" if is_confirmed else delivery.code,
        why="" if is_confirmed else delivery.why,
        via=str(delivery.via),
        protection=delivery.protection.value,
        took_s=delivery.took_s,
        is_proved=delivery.is_proved,
    )
