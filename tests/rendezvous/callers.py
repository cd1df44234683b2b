"""Clients of a rendezvous server in memory, for its tests."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.rendezvous.server import RendezvousFactory

CLIENT = IPv4Address("TCP", "203.0.113.7", 45678)

#: The longest line in bytes.
LIMIT = 32768
TOO_LONG = {"status": "ERROR", "error": "line_too_long", "limit": LIMIT}
TIMEOUT = {"status": "ERROR", "message": "Timeout: no data received, closing connection"}
BUSY = {"status": "ERROR", "error": "busy", "message": "Too many connections, try again"}
NO_PEERS = {"status": "OK", "peers": []}

REGISTER = b'{"type":"REGISTER","namespace":"UnB","name":"alice","port":7070,"ttl":60}'
REGISTERED = {"status": "OK", "ttl": 60, "observed_ip": CLIENT.host, "observed_port": CLIENT.port}
DISCOVER = b'{"type":"DISCOVER"}'


class Wire(StringTransport):
    """A transport that remembers a half-close, and is closed by `Caller.close`."""

    half_closed = False

    def loseWriteConnection(self) -> None:
        self.half_closed = True


class Caller:
    """One client of a factory, seen from its end of the wire. Each test creates its own."""

    def __init__(self, factory: RendezvousFactory, address: IPv4Address | IPv6Address = CLIENT) -> None:
        self.wire = Wire(peerAddress=address)
        self.connection = factory.buildProtocol(address)
        self.connection.makeConnection(self.wire)

    def send(self, data: bytes, size: int = 0) -> None:
        """Send, in chunks of *size* bytes if it is given."""
        for at in range(0, len(data), size or len(data) or 1):
            self.connection.dataReceived(data[at : at + (size or len(data))])

    def half_close(self) -> None:
        self.connection.readConnectionLost()

    def close(self) -> None:
        """Let the transport report that the connection is closed."""
        self.connection.connectionLost(Failure(ConnectionDone()))

    @property
    def replies(self) -> list[Any]:
        return [json.loads(line) for line in self.wire.value().splitlines()]

    @property
    def ending(self) -> str:
        """How the server left the connection."""
        if self.wire.disconnected:
            return "aborted"
        if self.wire.disconnecting:
            return "closed"
        return "half closed" if self.wire.half_closed else "open"


class ServerTestCase(SynchronousTestCase):
    """A factory on a clock that the test moves; it has to leave no timer behind."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.callers: list[Caller] = []
        self.factory = self.make()
        self.addCleanup(self.end)

    def end(self) -> None:
        ended = self.factory.end_all()
        for caller in self.callers:
            if caller.connection in self.factory._connections:
                caller.close()
        self.successResultOf(ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((self.factory.connections, self.factory.unsent_bytes), (0, 0))

    def make(self, request_timeout_s: float = 1.0, **limits: int) -> RendezvousFactory:
        self.factory = RendezvousFactory(self.clock, request_timeout_s, **limits)  # type: ignore[arg-type]
        return self.factory

    def call(self, address: IPv4Address | IPv6Address = CLIENT) -> Caller:
        caller = Caller(self.factory, address)
        self.callers.append(caller)
        return caller

    def pass_time(self, seconds: float) -> None:
        """Move the clock as a reactor would, in small steps."""
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)

    def assert_ended(self, caller: Caller, *replies: Any, ending: str = "closed") -> None:
        self.assertEqual((caller.replies, caller.ending), (list(replies), ending))
