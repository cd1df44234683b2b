"""Hosts and connections in memory: many real nodes, one clock, no socket."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import (
    CannotListenError,
    ConnectError,
    ConnectionRefusedError,
    TimeoutError,
    UserError,
)
from twisted.internet.interfaces import (
    IConnector,
    IDelayedCall,
    IListeningPort,
    IProtocol,
)
from twisted.internet.protocol import ClientFactory, ServerFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.addresses import Reactor
from p2pchat.testing.clock import HeapClock
from p2pchat.testing.transport import MemoryTransport

#: Seconds that a segment is under way.
LATENCY_S = 0.001


class MemoryNetwork:
    """Hosts that reach each other through memory. A test creates and owns it.

    :param latency_s: how long a segment is under way, in seconds.
    """

    def __init__(self, latency_s: float = LATENCY_S) -> None:
        self.clock = HeapClock()
        self.latency_s = latency_s
        self.ports: dict[tuple[str, int], MemoryPort] = {}
        #: The ends of all connections, oldest first: the same order in every run.
        self.transports: dict[MemoryTransport, None] = {}
        self._hosts: list[MemoryHost] = []
        self._cut: set[frozenset[str]] = set()
        self._hidden: set[str] = set()
        self._bytes_per_s: dict[tuple[str, str], float] = {}

    def host(self, ip: str) -> MemoryHost:
        """Return a reactor that lives at *ip*; after a crash, a new one."""
        host = MemoryHost(self, ip)
        self._hosts.append(host)
        return host

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def cut(self, one: str, other: str) -> None:
        """Let nothing through between two hosts: connects time out, segments are held back."""
        self._cut.add(frozenset((one, other)))

    def heal(self) -> None:
        """Let everything through again, what was held back first."""
        self._cut.clear()
        for transport in list(self.transports):
            transport.flush_soon()

    def mend(self, one: str, other: str) -> None:
        """Let everything through again between two hosts."""
        self._cut.discard(frozenset((one, other)))
        for transport in list(self.transports):
            transport.flush_soon()

    def hide(self, ip: str) -> None:
        """Put a host behind a NAT: it can dial, and connects to it time out."""
        self._hidden.add(ip)

    def is_reachable(self, source: str, ip: str) -> bool:
        """Whether a connect from one host arrives at another."""
        return not self.is_cut(source, ip) and (ip not in self._hidden or source == ip)

    def throttle(self, source: str, ip: str, bytes_per_s: float) -> None:
        """Let that many bytes through from one host to another, on each connection made from now on."""
        self._bytes_per_s[source, ip] = bytes_per_s

    def bytes_per_s(self, source: str, ip: str) -> float | None:
        """Return how many bytes get through from one host to another, or None where all do."""
        return self._bytes_per_s.get((source, ip))

    def is_cut(self, one: str, other: str) -> bool:
        """Whether nothing gets through."""
        return frozenset((one, other)) in self._cut

    def crash(self, ip: str) -> None:
        """End a host without a word: its time stops, its ports close, its connections stay half-open."""
        for host in [host for host in self._hosts if host.ip == ip]:
            self._hosts.remove(host)
            host.stop_time()
        for key in [key for key in self.ports if key[0] == ip]:
            del self.ports[key]
        for transport in [found for found in self.transports if found.host.host == ip]:
            transport.vanish()


@implementer(Reactor)
class MemoryHost:
    """One host of the network, as its processes see it: a reactor."""

    def __init__(self, network: MemoryNetwork, ip: str) -> None:
        self.ip = ip
        self._network = network
        self._free_ports = itertools.count(49152)
        # What was called or cancelled is held by nobody else.
        self._calls: weakref.WeakSet[IDelayedCall] = weakref.WeakSet()

    def seconds(self) -> float:
        """Return the present time in seconds."""
        return self._network.clock.seconds()

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any) -> IDelayedCall:
        """Call something *delay* seconds from now."""
        call = self._network.clock.callLater(delay, callable, *args, **kw)
        self._calls.add(call)
        return call

    def stop_time(self) -> None:
        """Call nothing of what is still to be called: the host has crashed."""
        for call in self._calls:
            if call.active():
                call.cancel()

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """Return what is still to be called, on all hosts."""
        return self._network.clock.getDelayedCalls()

    def listenTCP(
        self, port: int, factory: ServerFactory[Any], backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """Listen on this host; *interface* 127.0.0.1 is reached from this host only."""
        port = port or next(self._free_ports)
        if (self.ip, port) in self._network.ports:
            raise CannotListenError(interface, port, OSError("address already in use"))
        listening = MemoryPort(self._network, self.ip, port, factory, interface)
        self._network.ports[self.ip, port] = listening
        return listening

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory[Any],
        timeout: float = 30,
        bindAddress: tuple[str, int] | None = None,  # noqa: N803
    ) -> IConnector:
        """Connect to a port of any host, or of this one as 127.0.0.1."""
        connector = MemoryConnector(self._network, self, factory, timeout)
        to = self.ip if host == "127.0.0.1" else host
        connector.start((self.ip, next(self._free_ports)), (to, port))
        return connector


@implementer(IListeningPort)
@attrs.define(eq=False)
class MemoryPort:
    """A port that is listened on."""

    _network: MemoryNetwork
    _ip: str
    _port: int
    factory: ServerFactory[Any]
    _interface: str = ""

    def accept(self, source: IPv4Address) -> IProtocol | None:
        """Make the protocol of a connection from *source*, or None to refuse it."""
        if self._interface == "127.0.0.1" and source.host != self._ip:
            return None
        return self.factory.buildProtocol(source)

    def startListening(self) -> None:
        """Nothing to do: it listens from the start."""

    def stopListening(self) -> Deferred[None]:
        """Listen no more."""
        if self._network.ports.get((self._ip, self._port)) is self:
            del self._network.ports[self._ip, self._port]
        return succeed(None)

    def getHost(self) -> IPv4Address:
        """Return where it listens."""
        return IPv4Address("TCP", self._ip, self._port)


@implementer(IConnector)
@attrs.define(eq=False)
class MemoryConnector:
    """One try to connect."""

    _network: MemoryNetwork
    _host: MemoryHost
    _factory: ClientFactory[Any]
    _timeout_s: float
    _call: IDelayedCall | None = None
    _to: tuple[str, int] = ("", 0)

    def start(self, source: tuple[str, int], to: tuple[str, int]) -> None:
        """Begin."""
        self._to = to
        self._factory.doStart()
        self._factory.startedConnecting(self)
        if not self._network.is_reachable(source[0], to[0]):
            self._call = self._host.callLater(self._timeout_s, self._fail, TimeoutError())
        else:
            self._call = self._host.callLater(2 * self._network.latency_s, self._arrive, source)

    def stopConnecting(self) -> None:
        """Give up."""
        if self._call is not None and self._call.active():
            self._call.cancel()
            self._fail(UserError())

    def disconnect(self) -> None:
        """Give up."""
        self.stopConnecting()

    def connect(self) -> None:
        """Not again: nobody here uses a connector twice."""

    def getDestination(self) -> IPv4Address:
        """Return where to."""
        return IPv4Address("TCP", *self._to)

    def _arrive(self, source: tuple[str, int]) -> None:
        port = self._network.ports.get(self._to)
        here, there = IPv4Address("TCP", *source), IPv4Address("TCP", *self._to)
        server = None if port is None else port.accept(here)
        if server is None:
            self._fail(ConnectionRefusedError())
            return
        self._call = None
        client = self._factory.buildProtocol(there)
        assert client is not None, "an endpoint's factory always makes a protocol"
        near, far = MemoryTransport(self._network, here, there), MemoryTransport(self._network, there, here)
        near.join(far, client)
        far.join(near, server)
        server.makeConnection(far)
        client.makeConnection(near)

    def _fail(self, problem: ConnectError | UserError) -> None:
        self._call = None
        self._factory.clientConnectionFailed(self, Failure(problem))
        self._factory.doStop()
