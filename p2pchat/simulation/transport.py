"""One end of a simulated connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Protocol

from twisted.internet.address import IPv4Address
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
)
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.simulation.clock import HeapClock

#: Bytes that a transport holds before it tells its producer to stop, unless told otherwise.
SEND_BUFFER = 64 * 1024

#: Bytes of a segment where it takes time to send one.
SEGMENT = 1460

#: Seconds after which what was not answered is sent again.
RETRANSMIT_S = 3.0


class Wire(Protocol):
    """What a transport needs of the network that it belongs to."""

    clock: HeapClock
    transports: dict[MemoryTransport, None]
    #: Keep all that is written, for tests.
    keeps_writes: bool
    #: Told each piece that arrives, and by which end it was sent.
    tap: Callable[[MemoryTransport, bytes], None] | None

    def delay_s(self, source: str, ip: str) -> float:
        """Return how long it takes from one host to another, in seconds."""

    def jitter_s(self) -> float:
        """Return by how much longer it takes this time, in seconds."""

    def is_cut(self, one: str, other: str) -> bool:
        """Whether nothing gets through between two hosts."""

    def is_up(self, ip: str) -> bool:
        """Whether a machine runs, so that it answers to a connection that it does not know."""

    def bytes_per_s(self, source: str, ip: str) -> float | None:
        """Return how many bytes get through from one host to another, or None where all do."""


class _TCP(ITCPTransport, IConsumer, IPushProducer):
    """What a TCP transport of Twisted is."""


@implementer(_TCP)
class MemoryTransport:
    """One end of a connection. What is written arrives at the other end, in order, after a while.

    :param siblings: the ends of the same process; it takes itself out when it ends.
    """

    def __init__(
        self,
        network: Wire,
        host: IPv4Address,
        peer: IPv4Address,
        siblings: dict[MemoryTransport, None] | None = None,
    ) -> None:
        self.host = host
        self.peer = peer
        self.disconnecting = False
        #: Bytes that it holds before it tells its producer to stop; as with Twisted's, it may be changed.
        self.bufferSize = SEND_BUFFER
        #: Everything that was written, one entry a write, with its time, where the network keeps it.
        self.writes: list[tuple[float, bytes]] = []
        #: Nothing that is written here arrives; whoever sets it unsets it and calls `flush_soon`.
        self.stalled = False
        #: The next piece that is sent is cut off there, and the connection with it: 0 to 1 of its length.
        self.snap_at: float | None = None
        self._network = network
        #: The other end; None once either of them is gone.
        self.other: MemoryTransport | None = None
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
        self._is_flushing = False
        #: The other end is gone and could not say so.
        self._is_orphan = False
        self._latency_s = network.delay_s(host.host, peer.host)
        self._bytes_per_s = network.bytes_per_s(host.host, peer.host)
        #: When the last segment has left, where that takes time, and when what was written last is due.
        self._sent_at_s = self._due_s = 0.0
        self._siblings = {} if siblings is None else siblings
        network.transports[self] = None

    def join(self, other: MemoryTransport, protocol: IProtocol) -> None:
        """Connect the two ends."""
        self.other = other
        self._protocol = protocol

    # ITransport, ITCPTransport

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._protocol is None or self._fin_wanted:
            return
        network = self._network
        now_s = network.clock.now_s
        if network.keeps_writes:
            self.writes.append((now_s, data))
        for left_at_s, segment in self._segments(data, now_s):
            # Segments that overtake each other wait for each other at the other end.
            self._due_s = max(self._due_s, left_at_s + self._latency_s + network.jitter_s())
            self._buffer.append((self._due_s, segment))
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
        clock, other = self._network.clock, self.other
        if other is not None and not self._network.is_cut(self.host.host, self.peer.host):
            clock.call_at(clock.now_s + self._latency_s, partial(other._end, ConnectionLost()))
        elif other is not None:
            other._is_orphan = True
        clock.call_at(clock.now_s, partial(self._end, ConnectionAborted()))

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
        if self.other is not None:
            self.other.flush_soon()

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
        """Let what waits arrive when it is due, unless it is on its way already."""
        if not self._is_flushing and self._protocol is not None:
            self._is_flushing = True
            clock = self._network.clock
            due_s = self._buffer[0][0] if self._buffer else self._due_s
            clock.call_at(max(clock.now_s + self._latency_s, due_s), self._flush)

    def vanish(self) -> None:
        """The process at this end is gone, without a word."""
        if self.other is not None:
            self.other._is_orphan = True
        self._protocol = self.other = None
        self._forget()

    def reset(self) -> None:
        """Something on the way ends the connection; both ends see that."""
        for end in (self, self.other):
            if end is not None:
                end._end(ConnectionLost())

    def _flush(self) -> None:
        self._is_flushing = False
        if self._protocol is None or self._aborting or self.stalled:
            return
        if self._network.is_cut(self.host.host, self.peer.host):
            return
        if self._is_orphan:
            self._ask_orphaned()
        elif not self._is_held_back:
            self._deliver(self._take_due())

    def _deliver(self, data: bytes) -> None:
        """Let what is due arrive, and go on with the rest."""
        if data and self.snap_at is not None:
            self._snap(data)
            return
        if data and self.other is not None:
            if self._network.tap is not None:
                self._network.tap(self, data)
            self.other._receive(data)
        if self._protocol is not None and not self._is_flushing:
            self._go_on()

    def _go_on(self) -> None:
        if self._buffer:
            self._is_flushing = True
            self._network.clock.call_at(self._buffer[0][0], self._flush)
        elif self._producer is not None and self._producer_paused:
            # As in Twisted: while a producer is paused, nothing is closed.
            self._producer_paused = False
            self._producer.resumeProducing()
        elif self._fin_wanted and not self._fin_sent and not self._is_held_back:
            self._fin_sent = True
            self._send_fin()

    def _snap(self, data: bytes) -> None:
        """End the connection in the middle of what is sent."""
        piece = data[: int(len(data) * (self.snap_at or 0.0))]
        if piece and self.other is not None:
            self.other._receive(piece)
        self.reset()

    def _ask_orphaned(self) -> None:
        """A machine that does not know the connection says so, once it runs; till then nobody answers."""
        if self._network.is_up(self.peer.host):
            self._end(ConnectionLost())
        else:
            self._is_flushing = True
            self._network.clock.call_at(self._network.clock.now_s + RETRANSMIT_S, self._flush)

    @property
    def _is_held_back(self) -> bool:
        """The other end reads nothing for now; one that closes never will, and holds nobody back."""
        other = self.other
        return other is not None and not (other._is_reading or other.disconnecting)

    def _segments(self, data: bytes, now_s: float) -> Iterable[tuple[float, bytes]]:
        """Cut what is written into segments, each with the time when it has left."""
        return ((now_s, data),) if self._bytes_per_s is None else self._slowly(data, now_s, self._bytes_per_s)

    def _slowly(self, data: bytes, now_s: float, bytes_per_s: float) -> Iterator[tuple[float, bytes]]:
        for start in range(0, len(data), SEGMENT):
            segment = data[start : start + SEGMENT]
            self._sent_at_s = max(self._sent_at_s, now_s) + len(segment) / bytes_per_s
            yield self._sent_at_s, segment

    def _take_due(self) -> bytes:
        """Return what arrives now: what was written at one moment comes in one piece."""
        buffer, now_s = self._buffer, self._network.clock.now_s
        if not buffer or buffer[0][0] > now_s:
            return b""
        data = buffer.popleft()[1]
        if buffer and buffer[0][0] <= now_s:
            due = [data]
            while buffer and buffer[0][0] <= now_s:
                due.append(buffer.popleft()[1])
            data = b"".join(due)
        self._buffered -= len(data)
        return data

    def _receive(self, data: bytes) -> None:
        if self._protocol is not None and not self.disconnecting:
            self._protocol.dataReceived(data)

    def _send_fin(self) -> None:
        if self.other is not None:
            self.other._receive_fin()
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
        protocol, self._protocol, self.other = self._protocol, None, None
        producer, self._producer = self._producer, None
        self._forget()
        if protocol is not None:
            if producer is not None:
                producer.stopProducing()
            protocol.connectionLost(Failure(reason))

    def _forget(self) -> None:
        self._network.transports.pop(self, None)
        self._siblings.pop(self, None)
