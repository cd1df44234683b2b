"""A peer without a user: a switchboard and a router, joined as the node joins them, taking notes."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from p2pchat.addresses import Address
from p2pchat.links.link import Link
from p2pchat.links.neighbour import Neighbour
from p2pchat.links.switchboard import Switchboard
from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.messages import Error, Message, Pub, Send
from p2pchat.protocol.names import PeerId
from p2pchat.protocol.protection import Protection
from p2pchat.routing import neighbourhood as routing
from p2pchat.routing.courier import Load
from p2pchat.routing.delivery import Delivery, State
from p2pchat.routing.router import Router
from p2pchat.testing import MemoryHost


class Station:
    """`switchboard.Board` and `router.House`. A test creates, starts, ticks and stops it."""

    def __init__(self, host: MemoryHost, own: PeerId, random: Callable[[], float] = lambda: 1.0) -> None:
        self.own = own
        self.address = Address(host.ip, 7070)
        #: What was shown, and what became of what was sent, in order.
        self.shown: list[str] = []
        self.confirmed: list[str] = []
        self.failed: list[Delivery] = []
        self.events: list[str] = []
        self.complaints: list[Error] = []
        numbers = itertools.count(1)

        def new_id() -> str:
            return f"{own}-{next(numbers)}"

        self.router = Router(own, self, host.seconds, new_id)
        self.switchboard = Switchboard(
            host, own, self, new_id=new_id, timestamp=lambda: "", random=random, port=7070
        )

    def admit(self, link: Link) -> ProtocolError | None:
        """Let in everybody."""
        return None

    def neighbour_up(self, neighbour: Neighbour) -> None:
        """Route over it."""
        self.events.append(f"+{neighbour.peer_id}")
        self.router.neighbour_up(neighbour)

    def neighbour_down(self, neighbour: Neighbour, why: str) -> None:
        """Route over it no more."""
        self.events.append(f"-{neighbour.peer_id}")
        self.router.neighbour_down(neighbour, why)

    def link_lost(self, neighbour: Neighbour, why: str) -> None:
        """Let the router decide."""
        self.router.link_lost(neighbour, why)

    def message_received(self, neighbour: Neighbour, message: Message, line: bytes) -> None:
        """Let the router decide."""
        self.router.received(neighbour, message, line)

    def line_traced(self, peer_id: PeerId, line: bytes) -> None:
        """Nobody watches."""

    def arrived(
        self,
        neighbour: routing.Neighbour,
        message: Send | Pub,
        protection: Protection,
        by_text: bool,
        then: Callable[[bool], None],
    ) -> None:
        """Note it."""
        self.shown.append(message.payload)
        then(True)

    def after_all(self, then: Callable[[], None]) -> None:
        """Nothing is written down."""
        then()

    def taken(self, delivery: Delivery, then: Callable[[], None]) -> None:
        """Nobody watches."""
        then()

    def seeks(self, delivery: Delivery) -> None:
        """Nobody watches."""

    def waits(self, delivery: Delivery) -> None:
        """Nobody watches."""

    def sent(self, delivery: Delivery) -> None:
        """Nobody watches."""

    def settled(self, delivery: Delivery) -> None:
        """Note it."""
        if delivery.state is State.CONFIRMED:
            self.confirmed.append(delivery.payload)
        else:
            self.failed.append(delivery)

    def held(self, delivery: Delivery) -> None:
        """Nobody watches."""

    def keep_cast(self, message: Pub) -> None:
        """Nothing is written down."""

    def casts(self) -> list[Pub]:
        """There are none."""
        return []

    def keep_load(self, load: Load, for_s: float, then: Callable[[], None]) -> None:
        """Nothing is written down."""
        then()

    def drop_load(self, load: Load) -> None:
        """Nothing is written down."""

    def seek(self, dst: PeerId) -> None:
        """Dial it."""
        for dialler in self.switchboard.diallers_of(dst):
            dialler.dial()

    def warn(self, peer_id: PeerId, text: str) -> None:
        """Nobody watches."""

    def complained(self, neighbour: routing.Neighbour, error: Error) -> None:
        """Note it."""
        self.complaints.append(error)
