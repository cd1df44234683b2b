"""One end of a connection in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
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

#: Bytes that a transport holds before it tells its producer to stop, unless told otherwise.
SEND_BUFFER = 64 * 1024

#: Bytes of a segment where it takes time to send one.
SEGMENT = 1460


class Wire(Protocol):
    """What a transport needs of the network that it belongs to."""

    clock: HeapClock
    latency_s: float
    transports: dict[MemoryTransport, None]

    def is_cut(self, one: str, other: str) -> bool:
        """Whether nothing gets through between two hosts."""

    def bytes_per_s(self, source: str, ip: str) -> float | None:
        """Return how many bytes get through from one host to another, or None where all do."""


class _TCP(ITCPTransport, IConsumer, IPushProducer):
    """What a TCP transport of Twisted is."""


@implementer(_TCP)
class MemoryTransport:
    """One end of a connection. What is written arrives at the other end, in order, after a while."""

    def __init__(self, network: Wire, host: IPv4Address, peer: IPv4Address) -> None:
        self.host = host
        self.peer = peer
        self.disconnecting = False
        #: Bytes that it holds before it tells its producer to stop; as with Twisted's, it may be changed.
        self.bufferSize = SEND_BUFFER
        #: Everything that was written, one entry a write, with its time.
        self.writes: list[tuple[float, bytes]] = []
        #: The other end does not read: a test sets and unsets it, then calls `flush_soon`.
        self.stalled = False
        self._network = network
        self._other: MemoryTransport | None = None
        self._protocol: IProtocol | None = None
        #: What was written and has not arrived, each with the time when it is due.
        self._buffer: deque[tuple[float, bytes]] = deque()
        self._buffered = 0
        self._producer: IPushProducer | None = None
        self._producer_paused = False
        self._fin_wanted = False
        self._fin_sent = False
        self._aborting = False
        self._is_reading = True
        self._flush_call: IDelayedCall | None = None
        self._bytes_per_s = network.bytes_per_s(host.host, peer.host)
        #: When the last segment has left, where that takes time.
        self._sent_at_s = 0.0
        network.transports[self] = None

    def join(self, other: MemoryTransport, protocol: IProtocol) -> None:
        """Connect the two ends."""
        self._other = other
        self._protocol = protocol

    # ITransport, ITCPTransport

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._protocol is None or self._fin_wanted:
            return
        now_s = self._network.clock.seconds()
        self.writes.append((now_s, data))
        for left_at_s, segment in self._segments(data, now_s):
            self._buffer.append((left_at_s + self._network.latency_s, segment))
        self._buffered += len(data)
        if self._buffered > self.bufferSize and self._producer and not self._producer_paused:
            self._producer_paused = True
            self._producer.pauseProducing()
        self.flush_soon()

    def writeSequence(self, data: Any) -> None:
        """Send bytes."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close once everything is sent; what still arrives is not read, as with Twisted's."""
        self.disconnecting = True
        if self._fin_sent:
            self._end(ConnectionDone())
        else:
            self.loseWriteConnection()

    def loseWriteConnection(self) -> None:
        """Close this half once everything is sent."""
        self._fin_wanted = True
        self.flush_soon()

    def abortConnection(self) -> None:
        """Close now; the other end sees a reset."""
        if self._protocol is None or self._aborting:
            return
        self.disconnecting = self._aborting = True
        clock, other = self._network.clock, self._other
        if other is not None and not self._network.is_cut(self.host.host, self.peer.host):
            clock.callLater(self._network.latency_s, other._end, ConnectionLost())
        clock.callLater(0, self._end, ConnectionAborted())

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

    # IPushProducer

    def pauseProducing(self) -> None:
        """Read nothing: what the other end writes stays there."""
        self._is_reading = False

    def resumeProducing(self) -> None:
        """Read again."""
        self._is_reading = True
        if self._other is not None:
            self._other.flush_soon()

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    # IConsumer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Tell *producer* to stop when too much waits."""
        self._producer = producer

    def unregisterProducer(self) -> None:
        """Forget the producer."""
        self._producer = None
        if self.disconnecting:
            self.flush_soon()

    # The network.

    def flush_soon(self) -> None:
        """Let what waits arrive a latency from now, unless it is on its way already."""
        if self._flush_call is None and self._protocol is not None:
            self._flush_call = self._network.clock.callLater(self._network.latency_s, self._flush)

    def vanish(self) -> None:
        """The process at this end is gone, without a word."""
        self._protocol = self._other = None
        self._network.transports.pop(self, None)
        if self._flush_call is not None:
            self._flush_call.cancel()
            self._flush_call = None

    def _flush(self) -> None:
        self._flush_call = None
        if self._aborting or self.stalled or self._network.is_cut(self.host.host, self.peer.host):
            return
        if self._is_held_back:
            return
        data = self._take_due()
        if data and self._other is not None:
            self._other._receive(data)
        if self._buffer:
            wait_s = max(0.0, self._buffer[0][0] - self._network.clock.seconds())
            self._flush_call = self._flush_call or self._network.clock.callLater(wait_s, self._flush)
        elif self._producer is not None and self._producer_paused:
            # As in Twisted: while a producer is paused, nothing is closed.
            self._producer_paused = False
            self._producer.resumeProducing()
        elif self._fin_wanted and not self._fin_sent and not self._is_held_back:
            self._fin_sent = True
            self._send_fin()

    @property
    def _is_held_back(self) -> bool:
        """The other end reads nothing for now; one that closes never will, and holds nobody back."""
        other = self._other
        return other is not None and not (other._is_reading or other.disconnecting)

    def _segments(self, data: bytes, now_s: float) -> Iterator[tuple[float, bytes]]:
        """Cut what is written into segments, each with the time when it has left."""
        if self._bytes_per_s is None:
            yield now_s, data
            return
        for start in range(0, len(data), SEGMENT):
            segment = data[start : start + SEGMENT]
            self._sent_at_s = max(self._sent_at_s, now_s) + len(segment) / self._bytes_per_s
            yield self._sent_at_s, segment

    def _take_due(self) -> bytes:
        """Return what arrives now: what was written at one moment comes in one piece."""
        due: list[bytes] = []
        now_s = self._network.clock.seconds()
        while self._buffer and self._buffer[0][0] <= now_s:
            due.append(self._buffer.popleft()[1])
        data = b"".join(due)
        self._buffered -= len(data)
        return data

    def _receive(self, data: bytes) -> None:
        if self._protocol is not None and not self.disconnecting:
            self._protocol.dataReceived(data)

    def _send_fin(self) -> None:
        if self._other is not None:
            self._other._receive_fin()
        if self.disconnecting:
            self._end(ConnectionDone())

    def _receive_fin(self) -> None:
        protocol = self._protocol
        if protocol is None or self.disconnecting:
            return
        if IHalfCloseableProtocol.providedBy(protocol) and not self._fin_sent:
            IHalfCloseableProtocol(protocol).readConnectionLost()
        else:
            self._end(ConnectionDone())

    def _end(self, reason: Exception) -> None:
        protocol, self._protocol = self._protocol, None
        producer, self._producer = self._producer, None
        self.vanish()
        if protocol is not None:
            if producer is not None:
                producer.stopProducing()
            protocol.connectionLost(Failure(reason))
