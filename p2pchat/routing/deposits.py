"""Copies of our waiting messages with neighbours that keep them for us (docs/protocol.md, section 12.4)."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from p2pchat.protocol.codec import check_size, encode
from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.messages import COURIER, MAX_ADDRESS, Ack, Held, Hold
from p2pchat.protocol.names import PeerId
from p2pchat.routing.delivery import Delivery
from p2pchat.routing.envelopes import Envelopes
from p2pchat.routing.neighbourhood import Neighbour, Neighbourhood
from p2pchat.routing.outbox import EXPIRY_S
from p2pchat.routing.trust import Trust

#: Seconds for which a courier keeps a message at most: two days.
KEEP_S = 48 * 3600.0

#: Couriers that are linked and shall have a copy of a message.
COURIERS = 3

#: Couriers that have ever had one. When those that were linked come and go, others get copies.
MOST_COURIERS = 8

#: Seconds that a courier has to answer.
ANSWER_S = 10.0

#: Seconds after which a courier that refused a message, or did not answer, is asked again for its
#: destination.
REFUSED_S = 300.0

#: Seconds between two looks for copies that can be given.
LOOK_S = 5.0


class _Asked(Struct):
    """What a courier was asked to keep, and until when it may answer."""

    delivery: Delivery
    until_s: float


class Deposits:
    """Gives copies of what waits to couriers, one after the other. The router creates and owns it.

    Messages to one peer are given to a courier in the order in which they were said, so that it hands them
    over in that order: while one is not taken, those behind it are not offered.

    :param open_to: returns all our messages to a peer that have no outcome, oldest first.
    :param held: told that one more courier keeps a message.
    """

    def __init__(
        self,
        hood: Neighbourhood,
        envelopes: Envelopes,
        trust: Trust,
        open_to: Callable[[str], list[Delivery]],
        held: Callable[[Delivery], None],
    ) -> None:
        self._hood = hood
        self._envelopes = envelopes
        self._trust = trust
        self._open_to = open_to
        self._held = held
        #: Those that have waited, by msg_id. At most all that have no outcome.
        self._waiting: dict[str, Delivery] = {}
        self._asked: dict[PeerId, _Asked] = {}
        #: When a courier is asked again to keep something for a peer.
        self._refused: dict[tuple[PeerId, PeerId], float] = {}
        self._look_at_s = hood.now()

    def __len__(self) -> int:
        """Return of how many messages a courier has a copy."""
        return sum(bool(delivery.couriers) for delivery in self._waiting.values())

    def waits(self, delivery: Delivery) -> None:
        """A message could not be delivered: let others keep a copy."""
        if delivery.said_at_ms:
            self._waiting[delivery.msg_id] = delivery
            self._look_at_s = self._hood.now()

    def settled(self, delivery: Delivery) -> None:
        """The outcome of a message is known: its copies are of no use."""
        self._waiting.pop(delivery.msg_id, None)
        asked = [peer for peer, asked in self._asked.items() if asked.delivery is delivery]
        for peer in dict.fromkeys((*delivery.couriers, *asked)):
            neighbour = self._hood.neighbours.get(peer)
            if neighbour is not None:
                self._take_back(neighbour, delivery.msg_id, delivery.dst)

    def neighbour_down(self, neighbour: Neighbour) -> None:
        """A courier is gone. What it has it keeps."""
        self._asked.pop(neighbour.peer_id, None)
        self._refused = {key: at_s for key, at_s in self._refused.items() if key[0] != neighbour.peer_id}

    def tick(self) -> None:
        """Give what can be given."""
        now_s = self._hood.now()
        if now_s < self._look_at_s or not self._waiting:
            return
        self._look_at_s = now_s + LOOK_S
        for peer, asked in list(self._asked.items()):
            if now_s >= asked.until_s:
                self._is_refused(peer, asked.delivery)
        self._refused = {key: at_s for key, at_s in self._refused.items() if at_s > now_s}
        for neighbour in self._couriers():
            self._offer(neighbour)

    def on_held(self, neighbour: Neighbour, message: Held) -> None:
        """Take the answer of a courier."""
        asked = self._asked.get(neighbour.peer_id)
        if asked is None or asked.delivery.msg_id != message.msg_id:
            return  # it was too late
        delivery = asked.delivery
        if message.for_s == 0:
            self._is_refused(neighbour.peer_id, delivery)
        else:
            del self._asked[neighbour.peer_id]
            self._note(delivery, neighbour.peer_id)
        self._offer(neighbour)

    def on_receipt(self, neighbour: Neighbour, message: Ack) -> None:
        """A courier tells that it has handed over a message whose outcome is known here: it may forget it."""
        if COURIER in neighbour.features and 1 <= len(message.from_) <= MAX_ADDRESS:
            self._take_back(neighbour, message.msg_id, message.from_)

    def _note(self, delivery: Delivery, courier: PeerId) -> None:
        if not delivery.is_over and courier not in delivery.couriers:
            delivery.couriers += (courier,)
            self._held(delivery)

    def _is_refused(self, courier: PeerId, delivery: Delivery) -> None:
        del self._asked[courier]
        self._refused[courier, delivery.dst] = self._hood.now() + REFUSED_S

    def _couriers(self) -> list[Neighbour]:
        return [near for near in self._hood.relays() if COURIER in near.features]

    def _offer(self, neighbour: Neighbour) -> None:
        """Ask a courier to keep the next message that it should have, unless it has not answered yet."""
        courier = neighbour.peer_id
        if courier in self._asked:
            return
        for dst in dict.fromkeys(delivery.dst for delivery in self._waiting.values()):
            delivery = self._next(courier, dst)
            hold = self._hold(delivery) if delivery is not None else None
            if hold is not None and neighbour.write(encode(hold)):
                assert delivery is not None, "it is what was sealed"
                self._waiting[delivery.msg_id] = delivery
                self._asked[courier] = _Asked(delivery, self._hood.now() + ANSWER_S)
                return

    def _next(self, courier: PeerId, dst: PeerId) -> Delivery | None:
        """Return the oldest message to a peer that a courier does not have, if it should have it.

        Also those that are just being tried: what is said after them must not come before them.
        """
        for delivery in self._open_to(dst):
            if courier not in delivery.couriers:
                return delivery if self._is_wanted(courier, delivery) else None
        return None

    def _is_wanted(self, courier: PeerId, delivery: Delivery) -> bool:
        """Whether a courier should have a copy."""
        if delivery.dst in self._hood.neighbours or delivery.dst == courier:
            return False  # it is there, and gets the message itself
        if self._refused.get((courier, delivery.dst), 0.0) > self._hood.now():
            return False
        linked = sum(peer in self._hood.neighbours for peer in delivery.couriers)
        return linked < COURIERS and len(delivery.couriers) < MOST_COURIERS

    def _hold(self, delivery: Delivery) -> Hold | None:
        """Return a message as a courier may have it; None where that cannot be."""
        hold = self._trust.wrap_for_courier(self._envelopes.bare(delivery), delivery.said_at_ms)
        if hold is None:
            return None
        left_s = EXPIRY_S - (self._hood.now() - delivery.began_at_s)
        hold = replace(hold, for_s=int(max(1.0, min(left_s, KEEP_S))))
        try:
            check_size(hold)
        except ProtocolError:
            return None
        return hold

    def _take_back(self, neighbour: Neighbour, msg_id: str, dst: str) -> None:
        neighbour.write(encode(Hold(msg_id, str(self._hood.own), dst)))
