"""One end of a connection in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.address import IPv4Address
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
)
from twisted.internet.interfaces import (
    IConsumer,
    IDelayedCall,
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.testing.clock import HeapClock

#: Bytes that a transport holds before it tells its producer to stop, as Twisted's do.
SEND_BUFFER = 64 * 1024


class Wire(Protocol):
    """What a transport needs of the network that it belongs to."""

    clock: HeapClock
    latency_s: float
    transports: set[MemoryTransport]

    def is_cut(self, one: str, other: str) -> bool:
        """Whether nothing gets through between two hosts."""


class _TCP(ITCPTransport, IConsumer):
    """What a TCP transport of Twisted is."""


@implementer(_TCP)
class MemoryTransport:
    """One end of a connection. What is written arrives at the other end, in order, after a while."""

    def __init__(self, network: Wire, host: IPv4Address, peer: IPv4Address) -> None:
        self.host = host
        self.peer = peer
        self.disconnecting = False
        #: Everything that was written, one entry a write, with its time.
        self.writes: list[tuple[float, bytes]] = []
        #: The other end does not read: a test sets and unsets it, then calls `flush_soon`.
        self.stalled = False
        self._network = network
        self._other: MemoryTransport | None = None
        self._protocol: IProtocol | None = None
        self._buffer: list[bytes] = []
        self._producer: IPushProducer | None = None
        self._producer_paused = False
        self._fin_wanted = False
        self._fin_sent = False
        self._flush_call: IDelayedCall | None = None
        network.transports.add(self)

    def join(self, other: MemoryTransport, protocol: IProtocol) -> None:
        """Connect the two ends."""
        self._other = other
        self._protocol = protocol

    # ITransport, ITCPTransport

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._protocol is None or self._fin_wanted:
            return
        self.writes.append((self._network.clock.seconds(), data))
        self._buffer.append(data)
        if sum(map(len, self._buffer)) > SEND_BUFFER and self._producer and not self._producer_paused:
            self._producer_paused = True
            self._producer.pauseProducing()
        self.flush_soon()

    def writeSequence(self, data: Any) -> None:
        """Send bytes."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close once everything is sent."""
        self.disconnecting = True
        self.loseWriteConnection()

    def loseWriteConnection(self) -> None:
        """Close this half once everything is sent."""
        self._fin_wanted = True
        self.flush_soon()

    def abortConnection(self) -> None:
        """Close now; the other end sees a reset."""
        self.disconnecting = True
        other = self._other
        self._later(lambda: self._end(ConnectionAborted()))
        if other is not None and not self._network.is_cut(self.host.host, self.peer.host):
            self._later(lambda: other._end(ConnectionLost()))

    def getPeer(self) -> IPv4Address:
        """Return the address of the other end."""
        return self.peer

    def getHost(self) -> IPv4Address:
        """Return the address of this end."""
        return self.host

    def getTcpNoDelay(self) -> bool:
        """Nothing is ever delayed."""
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing is ever delayed."""

    def getTcpKeepAlive(self) -> bool:
        """There is none."""
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """There is none."""

    # IConsumer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Tell *producer* to stop when too much waits."""
        self._producer = producer

    def unregisterProducer(self) -> None:
        """Forget the producer."""
        self._producer = None

    # The network.

    def flush_soon(self) -> None:
        """Let what waits arrive a latency from now, unless it is on its way already."""
        if self._flush_call is None and self._protocol is not None:
            self._flush_call = self._network.clock.callLater(self._network.latency_s, self._flush)

    def vanish(self) -> None:
        """The process at this end is gone, without a word."""
        self._protocol = None
        self._network.transports.discard(self)
        if self._flush_call is not None:
            self._flush_call.cancel()
            self._flush_call = None

    def _later(self, do: Callable[[], None]) -> None:
        self._network.clock.callLater(self._network.latency_s, do)

    def _flush(self) -> None:
        self._flush_call = None
        if self.stalled or self._network.is_cut(self.host.host, self.peer.host):
            return
        data, self._buffer = b"".join(self._buffer), []
        if data and self._other is not None:
            self._other._receive(data)
        if self._producer is not None and self._producer_paused:
            self._producer_paused = False
            self._producer.resumeProducing()
        if self._fin_wanted and not self._fin_sent and not self._buffer:
            self._fin_sent = True
            self._send_fin()

    def _receive(self, data: bytes) -> None:
        if self._protocol is not None:
            self._protocol.dataReceived(data)

    def _send_fin(self) -> None:
        if self._other is not None:
            self._other._receive_fin()
        if self.disconnecting:
            self._end(ConnectionDone())

    def _receive_fin(self) -> None:
        protocol = self._protocol
        if protocol is None:
            return
        if IHalfCloseableProtocol.providedBy(protocol) and not self._fin_sent:
            IHalfCloseableProtocol(protocol).readConnectionLost()
        else:
            self._end(ConnectionDone())

    def _end(self, reason: Exception) -> None:
        protocol, self._protocol = self._protocol, None
        self.vanish()
        if protocol is not None:
            protocol.connectionLost(Failure(reason))
