"""What is measured: real nodes, with everything that they do for a message.

Run as ``python -m benchmarks.ours serve [RELAY]``, ``... relay``, ``... crowd`` or
``... drive PORT MESSAGES``. All but the last print their port once they are ready; RELAY is the port of a
relay through which messages come. With ``keyed`` in front of that, nodes have keys; with
``keeping=FOLDER`` they keep their messages, each role in a folder there.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor as _reactor

from benchmarks.drive import Drive
from benchmarks.orders import listen_to_orders
from benchmarks.wire import PAYLOAD, RECEIVER, RELAY, SENDER
from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.node import Node
from p2pchat.protocol.names import PeerId, ToAll
from p2pchat.routing.quotas import Limits, Rate
from p2pchat.settings import Settings
from p2pchat.store.database import MESSAGES_FILE, FileDatabase
from p2pchat.store.sqlite import SqliteStore
from p2pchat.store.threads import ReactorThreads
from p2pchat.trust.certificates import Certificates
from p2pchat.trust.identity import Identity, Secrets
from p2pchat.trust.keys import Keys
from p2pchat.trust.pins import Pins
from p2pchat.trust.trust import Rules

reactor: Any = _reactor

#: The work is measured, not what one neighbour may make us do.
_UNLIMITED = Rate(1e9, 1e9)


#: The words in front of the role that give nodes keys, and a place for their messages.
_KEYED = "keyed"
_KEEPING = "keeping="


def _node(name: str, *peers: Address) -> Node:
    own = PeerId.parse(name)
    return Node(
        reactor,
        own,
        Settings(port=0, interface="127.0.0.1", rendezvous=None, shared=False, peers=peers),
        new_id=lambda: os.urandom(16).hex(),
        random=random.random,
        timestamp=lambda: "2000-01-01T00:00:00Z",
        keys=_keys_of(own) if sys.argv[1] == _KEYED else None,
        store=_store_in(Path(sys.argv[1].removeprefix(_KEEPING), sys.argv[2]))
        if sys.argv[1].startswith(_KEEPING)
        else None,
    )


def _store_in(folder: Path) -> SqliteStore:
    folder.mkdir(exist_ok=True)
    return SqliteStore(
        FileDatabase(folder / MESSAGES_FILE),
        ReactorThreads(reactor),
        now_ms=lambda: time.time_ns() // 1_000_000,
        clock_s=time.monotonic,
    )


def _keys_of(own: PeerId) -> Keys:
    identity = Identity(own, Secrets.new(os.urandom))
    return Keys(
        identity,
        Pins(),
        Certificates(identity),
        now_ms=lambda: time.time_ns() // 1_000_000,
        random_bytes=os.urandom,
        rules=Rules(),
    )


def _serve(*relay_port: str) -> None:
    node = _node(RECEIVER, *(Address("127.0.0.1", int(port)) for port in relay_port))

    def told(event: events.Event) -> None:
        if relay_port and isinstance(event, events.NeighbourUp):
            _print_port(node)

    node.listen(told)
    node.startService()
    if not relay_port:
        _print_port(node)


def _relay() -> None:
    node = _node(RELAY)
    node.router.hood.limits = Limits(*[_UNLIMITED] * len(attrs.fields(Limits)))
    node.listen(lambda event: None)
    node.startService()
    listen_to_orders(lambda: node.router.publish(ToAll(), PAYLOAD))
    _print_port(node)


def _drive(port: str, messages: str) -> None:
    node = _node(SENDER, Address("127.0.0.1", int(port)))
    receiver = PeerId.parse(RECEIVER)
    drive = Drive(lambda: _say(node, receiver), int(messages), reactor.stop)

    def told(event: events.Event) -> None:
        if isinstance(event, events.MessageConfirmed):
            drive.confirmed()
        elif isinstance(event, events.NeighbourUp):
            reactor.callLater(0.1, drive.start)
        elif isinstance(event, events.MessageFailed | events.MessageWaits):
            print(f"a message failed: {event.why}", file=sys.stderr)
            reactor.stop()

    node.listen(told)
    node.startService()


def _say(node: Node, to: PeerId) -> None:
    node.send(to, PAYLOAD)


def _print_port(node: Node) -> None:
    print(node.switchboard.port, flush=True)


#: A node needs no other role to cast to a crowd; a bare relay does.
_ROLES = {"serve": _serve, "relay": _relay, "crowd": _relay, "drive": _drive}


def _main(role: str, *arguments: str) -> None:
    reactor.callWhenRunning(_ROLES[role], *arguments)
    reactor.run()


if __name__ == "__main__":
    _main(*(word for word in sys.argv[1:] if word != _KEYED and not word.startswith(_KEEPING)))
