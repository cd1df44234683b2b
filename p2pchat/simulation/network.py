"""Simulated hosts and connections: many real nodes, one clock, no socket."""

from __future__ import annotations

import itertools
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
from p2pchat.simulation.clock import HeapClock, View
from p2pchat.simulation.encrypted import TlsTransport
from p2pchat.simulation.transport import MemoryTransport

#: Seconds that a segment is under way.
LATENCY_S = 0.001

#: The first of the ports that a host chooses by itself.
FIRST_FREE_PORT = 49152


class MemoryNetwork:
    """Hosts that reach each other through memory. Whoever simulates something creates and owns it.

    :param latency_s: how long a segment is under way, in seconds.
    :param keeps_writes: each transport keeps all that is written to it, for tests.
    """

    #: Told each piece that arrives, and by which end it was sent.
    tap: Callable[[MemoryTransport, bytes], None] | None = None

    def __init__(self, latency_s: float = LATENCY_S, keeps_writes: bool = False) -> None:
        self.clock = HeapClock()
        self.keeps_writes = keeps_writes
        self.ports: dict[tuple[str, int], MemoryPort] = {}
        #: The ends of all connections, oldest first: the same order in every run.
        self.transports: dict[MemoryTransport, None] = {}
        self.latency_s = latency_s
        self._hosts: list[MemoryHost] = []
        self._free_ports: dict[str, itertools.count[int]] = {}
        self._cut: set[frozenset[str]] = set()
        self._hidden: set[str] = set()
        self._crashed: set[str] = set()
        self._bytes_per_s: dict[tuple[str, str], float] = {}

    def host(self, ip: str) -> MemoryHost:
        """Return a reactor that lives at *ip*: a process of its own on that machine, which runs now."""
        host = MemoryHost(self, ip)
        self._hosts.append(host)
        self._crashed.discard(ip)
        return host

    def forget(self, host: MemoryHost) -> None:
        """A process has ended."""
        if host in self._hosts:
            self._hosts.remove(host)

    def free_port(self, ip: str) -> int:
        """Return a port of a machine that nobody was given before."""
        return next(self._free_ports.setdefault(ip, itertools.count(FIRST_FREE_PORT)))

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    # What is on the way. What differs from pair to pair, a network of another kind says.

    def delay_s(self, source: str, ip: str) -> float:
        """Return how long it takes from one host to another, in seconds."""
        return self.latency_s

    def jitter_s(self) -> float:
        """Return by how much longer it takes this time, in seconds."""
        return 0.0

    def obstacle(self, source: str, ip: str) -> ConnectError | None:
        """Return what a connect from one host to another ends with on its way, or None where it arrives."""
        is_hidden = ip in self._hidden and source != ip
        return TimeoutError() if is_hidden or self.is_cut(source, ip) or not self.is_up(ip) else None

    def bytes_per_s(self, source: str, ip: str) -> float | None:
        """Return how many bytes get through from one host to another, or None where all do."""
        return self._bytes_per_s.get((source, ip))

    def is_cut(self, one: str, other: str) -> bool:
        """Whether nothing gets through."""
        return bool(self._cut) and frozenset((one, other)) in self._cut

    def is_up(self, ip: str) -> bool:
        """Whether a machine runs."""
        return ip not in self._crashed

    # What happens to it.

    def cut(self, one: str, other: str) -> None:
        """Let nothing through between two hosts: connects time out, segments are held back."""
        self._cut.add(frozenset((one, other)))

    def heal(self) -> None:
        """Let everything through again, what was held back first."""
        self._cut.clear()
        self._flush_all()

    def mend(self, one: str, other: str) -> None:
        """Let everything through again between two hosts."""
        self._cut.discard(frozenset((one, other)))
        self._flush_all()

    def hide(self, ip: str) -> None:
        """Put a host behind a NAT: it can dial, and connects to it time out."""
        self._hidden.add(ip)

    def throttle(self, source: str, ip: str, bytes_per_s: float) -> None:
        """Let that many bytes through from one host to another, on each connection made from now on."""
        self._bytes_per_s[source, ip] = bytes_per_s

    def crash(self, ip: str) -> None:
        """End a machine without a word: its time stops, its ports close, its connections stay half-open."""
        self._crashed.add(ip)
        for host in [host for host in self._hosts if host.ip == ip]:
            host.vanish()
        for transport in [found for found in self.transports if found.host.host == ip]:
            transport.vanish()

    def _flush_all(self) -> None:
        for transport in list(self.transports):
            transport.flush_soon()


@implementer(Reactor)
class MemoryHost(View):
    """One process on one machine of the network, as it sees the world: a reactor."""

    def __init__(self, network: MemoryNetwork, ip: str) -> None:
        super().__init__(network.clock)
        self.ip = ip
        self.network = network
        #: Its ends of connections.
        self.transports: dict[MemoryTransport, None] = {}
        self._ports: dict[MemoryPort, None] = {}

    def listenTCP(
        self, port: int, factory: ServerFactory[Any], backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """Listen on this host; *interface* 127.0.0.1 is reached from this host only."""
        port = port or self.network.free_port(self.ip)
        if (self.ip, port) in self.network.ports:
            raise CannotListenError(interface, port, OSError("address already in use"))
        listening = MemoryPort(self, port, factory, interface)
        self.network.ports[self.ip, port] = listening
        self._ports[listening] = None
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
        to = self.ip if host == "127.0.0.1" else host
        connector = MemoryConnector(self, factory, timeout, (to, port))
        connector.start()
        return connector

    def kill(self) -> None:
        """End at once, as by ``kill -9``: the kernel closes what was open, and nothing runs any more."""
        for transport in list(self.transports):
            transport.abortConnection()
            transport.vanish()
        self.vanish()

    def vanish(self) -> None:
        """End without a word: nothing runs any more, and nobody is told."""
        self.stop_time()
        for port in list(self._ports):
            port.stopListening()
        self.network.forget(self)

    def open(self, peer: IPv4Address, port: int) -> TlsTransport:
        """Make this end of a connection."""
        transport = TlsTransport(self.network, IPv4Address("TCP", self.ip, port), peer, self.transports)
        self.transports[transport] = None
        return transport

    def port_closed(self, port: MemoryPort) -> None:
        """A port is listened on no more."""
        self._ports.pop(port, None)


@implementer(IListeningPort)
@attrs.define(eq=False)
class MemoryPort:
    """A port that is listened on."""

    host: MemoryHost
    _port: int
    factory: ServerFactory[Any]
    _interface: str = ""

    def accept(self, source: IPv4Address) -> IProtocol | None:
        """Make the protocol of a connection from *source*, or None to refuse it."""
        if self._interface == "127.0.0.1" and source.host != self.host.ip:
            return None
        return self.factory.buildProtocol(source)

    def startListening(self) -> None:
        """Nothing to do: it listens from the start."""

    def stopListening(self) -> Deferred[None]:
        """Listen no more."""
        ports = self.host.network.ports
        if ports.get((self.host.ip, self._port)) is self:
            del ports[self.host.ip, self._port]
        self.host.port_closed(self)
        return succeed(None)

    def getHost(self) -> IPv4Address:
        """Return where it listens."""
        return IPv4Address("TCP", self.host.ip, self._port)


@implementer(IConnector)
@attrs.define(eq=False)
class MemoryConnector:
    """One try to connect."""

    _host: MemoryHost
    _factory: ClientFactory[Any]
    _timeout_s: float
    _to: tuple[str, int]
    _call: IDelayedCall | None = None

    def start(self) -> None:
        """Begin."""
        self._factory.doStart()
        self._factory.startedConnecting(self)
        network, (ip, _) = self._host.network, self._to
        obstacle = network.obstacle(self._host.ip, ip)
        if isinstance(obstacle, TimeoutError):
            self._call = self._host.callLater(self._timeout_s, self._fail, obstacle)
        else:
            round_trip_s = 2 * network.delay_s(self._host.ip, ip)
            self._call = self._host.callLater(round_trip_s, self._arrive, obstacle)

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

    def _arrive(self, obstacle: ConnectError | None) -> None:
        network = self._host.network
        port = None if obstacle is not None else network.ports.get(self._to)
        here = IPv4Address("TCP", self._host.ip, network.free_port(self._host.ip))
        server = None if port is None else port.accept(here)
        if port is None or server is None:
            self._fail(obstacle or ConnectionRefusedError())
            return
        self._call = None
        there = self.getDestination()
        client = self._factory.buildProtocol(there)
        assert client is not None, "an endpoint's factory always makes a protocol"
        near, far = self._host.open(there, here.port), port.host.open(here, there.port)
        near.is_client = True
        near.join(far, client)
        far.join(near, server)
        server.makeConnection(far)
        client.makeConnection(near)

    def _fail(self, problem: ConnectError | UserError) -> None:
        self._call = None
        self._factory.clientConnectionFailed(self, Failure(problem))
        self._factory.doStop()
