"""What the tests of the network in memory connect: protocols and a producer that take notes."""

from __future__ import annotations

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from p2pchat.testing import HeapClock, MemoryHost, MemoryNetwork, MemoryTransport

HERE, THERE = "10.0.0.1", "10.0.0.2"


class Notes(Protocol):
    """Notes what happens to it, each with its time."""

    def __init__(self, clock: HeapClock) -> None:
        self.clock = clock
        self.events: list[tuple[float, str]] = []

    @property
    def wire(self) -> MemoryTransport:
        """The transport, as what it is."""
        assert isinstance(self.transport, MemoryTransport)
        return self.transport

    def note(self, event: str) -> None:
        """Note an event."""
        self.events.append((round(self.clock.seconds(), 6), event))

    def dataReceived(self, data: bytes) -> None:
        """Note it."""
        self.note(data.decode())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note it."""
        self.note(type(reason.value).__name__)


@implementer(IHalfCloseableProtocol)
class HalfNotes(Notes):
    """The same, for half-closed connections."""

    def readConnectionLost(self) -> None:
        """Note it."""
        self.note("eof")

    def writeConnectionLost(self) -> None:
        """Nothing to note."""


class Producer:
    """Notes when it is told to stop and to go on."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        """Note it."""
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """Note it."""
        self.told.append("resume")

    def stopProducing(self) -> None:
        """Note it."""


class NetworkTestCase(SynchronousTestCase):
    """Two hosts, one second apart."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(latency_s=1.0, keeps_writes=True)
        self.clock = self.network.clock
        self.here, self.there = self.network.host(HERE), self.network.host(THERE)
        self.servers: list[Notes] = []
        self.kind: type[Notes] = HalfNotes

    def listen(self, host: MemoryHost | None = None, interface: str = "") -> None:
        """Listen, at the other host where none is given."""

        def make(_address: object) -> Notes:
            self.servers.append(self.kind(self.clock))
            return self.servers[-1]

        factory = ServerFactory()
        self.patch(factory, "buildProtocol", make)
        (host or self.there).listenTCP(7070, factory, interface=interface)

    def connect(self, to: str = THERE) -> Notes:
        """Connect, and wait until it is done."""
        client = self.kind(self.clock)
        factory = ServerFactory()
        self.patch(factory, "buildProtocol", lambda _: client)
        connecting = TCP4ClientEndpoint(self.here, to, 7070).connect(factory)
        self.clock.advance(2.0)
        self.successResultOf(connecting)
        return client

    def pair(self) -> tuple[Notes, Notes]:
        """Return two protocols that are connected; both are cut at the end, which leaves nothing."""
        self.listen()
        client = self.connect()
        self.addCleanup(self.cut_all)
        return client, self.servers[-1]

    def cut_all(self) -> None:
        """Cut what still stands; then nothing is left on the clock."""
        for transport in list(self.network.transports):
            transport.abortConnection()
        self.clock.advance(1.0)
        self.assertEqual((self.clock.getDelayedCalls(), len(self.network.transports)), ([], 0))
