"""Lines that arrive in a simulated network in a second of processor time: of real nodes, and of bare ones."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from benchmarks import bare
from benchmarks.wire import CODECS, PAYLOAD
from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.node import Node
from p2pchat.protocol.names import PeerId
from p2pchat.settings import Settings
from p2pchat.simulation.wiretap import Wiretap
from p2pchat.testing import MemoryHost, MemoryNetwork

#: Pairs that talk, each with so many messages under way at once.
PAIRS = 20
WINDOW = 4

#: Simulated seconds, first until all are linked, then of talking.
LINKED_S = 1.0
TALKING_S = 0.5


class _Client(bare.Client):
    """Says the next thing when the one before is confirmed."""

    def connectionMade(self) -> None:
        """Begin."""
        super().connectionMade()
        self.confirmed = self.say
        for _ in range(WINDOW):
            self.say()


def bare_lines_per_s(codec: str) -> float:
    """Let pairs talk that do the JSON and nothing else."""
    network = MemoryNetwork()
    for number in range(PAIRS):
        server, client = _hosts(network, number)
        server.listenTCP(7070, cast(Any, Factory.forProtocol(_with(bare.Server, codec))))
        TCP4ClientEndpoint(client, server.ip, 7070).connect(Factory.forProtocol(_with(_Client, codec)))
    return _measure(network)


def node_lines_per_s() -> float:
    """Let pairs of real nodes talk."""
    network, ids = MemoryNetwork(), itertools.count()
    for number in range(PAIRS):
        server, client = _hosts(network, number)
        bob, alice = (
            _node(host, f"{name}{number}@lobby", ids) for host, name in ((server, "b"), (client, "a"))
        )
        alice.listen(_talk(alice, bob.own))
        bob.startService()
        alice.startService()
        alice.switchboard.add_fixed(Address(server.ip, 7070))
    return _measure(network)


def _talk(speaker: Node, listener: PeerId) -> Callable[[events.Event], None]:
    def told(event: events.Event) -> None:
        if isinstance(event, events.NeighbourUp):
            for _ in range(WINDOW):
                speaker.send(listener, PAYLOAD)
        elif isinstance(event, events.MessageConfirmed):
            speaker.send(listener, PAYLOAD)

    return told


def _node(host: MemoryHost, own: str, ids: itertools.count[int]) -> Node:
    return Node(
        host,
        PeerId(own),
        Settings(port=7070, rendezvous=None, shared=False),
        new_id=lambda: f"{next(ids):032x}",
        random=lambda: 0.5,
        timestamp=lambda: "2000-01-01T00:00:00Z",
    )


def _with(kind: type[bare._Line], codec: str) -> Any:
    return type(kind.__name__, (kind,), {"codec": CODECS[codec]})


def _hosts(network: MemoryNetwork, number: int) -> tuple[MemoryHost, MemoryHost]:
    return network.host(f"10.0.0.{number + 1}"), network.host(f"10.0.1.{number + 1}")


def _measure(network: MemoryNetwork) -> float:
    network.advance(LINKED_S)
    wiretap = Wiretap()
    network.tap = lambda _sender, data: wiretap.passed(data)
    began_s = time.process_time()
    network.advance(TALKING_S)
    return wiretap.lines / (time.process_time() - began_s)
