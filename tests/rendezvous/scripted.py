"""A rendezvous in memory that answers as a test tells it, and keeps what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol, ServerFactory

from p2pchat.rendezvous.answers import Client, answer
from p2pchat.rendezvous.registry import Registry
from p2pchat.testing import MemoryHost


@attrs.frozen
class Silence:
    """In place of a reply: nothing, and the connection stays open."""


@attrs.frozen
class Reset:
    """In place of a reply: the connection is reset."""


@attrs.frozen
class KeptOpen:
    """A reply behind which the connection stays open."""

    line: bytes


Reply = bytes | Silence | Reset | KeptOpen


@attrs.frozen
class Request:
    """What one client asked, and when."""

    at_s: float
    ip: str
    fields: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.fields["type"])


def entry(**changed: Any) -> dict[str, Any]:
    """One peer as a server lists it."""
    return {"ip": "192.0.2.1", "port": 7070, "name": "bob", "namespace": "UnB", **changed}


class ScriptedServer(ServerFactory):
    """Answers by `say`, and where that is None as our own server does. The test creates it.

    :param host: where it listens from the start, until `close`.
    """

    noisy = False

    def __init__(self, host: MemoryHost, port: int = 5000) -> None:
        self.registry = Registry(host.seconds)
        #: What to reply to a request.
        self.say: Callable[[Request], Reply | None] = lambda request: None
        self.requests: list[Request] = []
        #: The bytes that came, one entry a write, of all connections.
        self.writes: list[bytes] = []
        #: Connections, those that brought no request included.
        self.visits = 0
        self._host = host
        self._port = port
        self.open()

    def open(self) -> None:
        """Listen again; what was known is known still."""
        self._listening = self._host.listenTCP(self._port, self)

    def close(self) -> None:
        """Refuse connections."""
        self._listening.stopListening()

    def lose_memory(self) -> None:
        """Forget everybody, as at a restart."""
        self.registry = Registry(self._host.seconds)

    def always(self, reply: Reply) -> None:
        """Reply the same to everything."""
        self.say = lambda request: reply

    @property
    def kinds(self) -> list[str]:
        """What was asked, oldest first."""
        return [request.kind for request in self.requests]

    def times(self, kind: str = "") -> list[float]:
        """When it was asked."""
        return [request.at_s for request in self.requests if kind in ("", request.kind)]

    @property
    def names(self) -> set[str]:
        """Who is registered."""
        return {record.name for record in self.registry.discover()}

    def buildProtocol(self, addr: object) -> _ScriptedConnection:
        self.visits += 1
        return _ScriptedConnection(self)

    def reply_to(self, line: bytes, ip: str) -> Reply:
        """Keep a request and return its reply."""
        request = Request(self._host.seconds(), ip, json.loads(line))
        self.requests.append(request)
        reply = self.say(request)
        return answer(line, Client(ip, 40000), self.registry, 2**30).line if reply is None else reply


class _ScriptedConnection(Protocol):
    transport: ITCPTransport

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def dataReceived(self, data: bytes) -> None:
        self._server.writes.append(data)
        reply = self._server.reply_to(data, self.transport.getPeer().host)
        if isinstance(reply, Reset):
            self.transport.abortConnection()
        elif isinstance(reply, KeptOpen):
            self.transport.write(reply.line)
        elif isinstance(reply, bytes):
            self.transport.write(reply)
            self.transport.loseConnection()
