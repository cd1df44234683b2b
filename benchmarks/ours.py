"""What is measured: two real nodes, with everything that they do for a message.

Run as ``python -m benchmarks.ours serve`` (prints its port) or ``... drive PORT``.
"""

from __future__ import annotations

import os
import random
import sys
from typing import Any

from twisted.internet import reactor as _reactor

from benchmarks.drive import MESSAGES, PAYLOAD, ROUND_TRIPS, WINDOW, Drive
from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.node import Node
from p2pchat.protocol.names import PeerId
from p2pchat.settings import Settings

reactor: Any = _reactor


def _node(name: str, *peers: Address) -> Node:
    return Node(
        reactor,
        PeerId.of(name, "lobby"),
        Settings(port=0, interface="127.0.0.1", rendezvous=None, shared=False, peers=peers),
        new_id=lambda: os.urandom(16).hex(),
        random=random.random,
        timestamp=lambda: "2000-01-01T00:00:00Z",
    )


def _serve() -> None:
    node = _node("bob")
    node.listen(lambda event: None)
    node.startService()
    print(node.switchboard.port, flush=True)


def _drive(port: int) -> None:
    node = _node("alice", Address("127.0.0.1", port))
    bob = PeerId.of("bob", "lobby")
    drive = Drive(lambda: _say(node, bob), MESSAGES, WINDOW, ROUND_TRIPS, reactor.stop)

    def told(event: events.Event) -> None:
        if isinstance(event, events.MessageConfirmed):
            drive.confirmed()
        elif isinstance(event, events.NeighbourUp):
            reactor.callLater(0.1, drive.start)
        elif isinstance(event, events.MessageFailed):
            raise SystemExit(f"a message failed: {event.why}")

    node.listen(told)
    node.startService()


def _say(node: Node, to: PeerId) -> None:
    node.send(to, PAYLOAD)


def _main(what: str, *port: str) -> None:
    reactor.callWhenRunning(_serve if what == "serve" else lambda: _drive(int(port[0])))
    reactor.run()


if __name__ == "__main__":
    _main(*sys.argv[1:])
