"""The network in memory and its clock: what tests of everything else stand on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import (
    CannotListenError,
    ConnectingCancelledError,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from p2pchat.addresses import of_transport
from p2pchat.testing import HeapClock, MemoryHost, MemoryNetwork, MemoryTransport
from p2pchat.testing.transport import SEND_BUFFER

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


class ClockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = HeapClock()
        self.called: list[tuple[str, float]] = []

    def note(self, name: str) -> None:
        self.called.append((name, self.clock.seconds()))

    def test_in_order(self) -> None:
        """Calls come in the order of their times, those of one time in the order of their making."""
        for name, delay_s in (("late", 2.0), ("early", 1.0), ("late too", 2.0)):
            self.clock.callLater(delay_s, self.note, name)
        self.clock.advance(0.5)
        self.assertEqual((self.called, self.clock.seconds()), ([], 0.5))
        self.clock.advance(3.0)
        self.assertEqual(self.called, [("early", 1.0), ("late", 2.0), ("late too", 2.0)])
        self.assertEqual((self.clock.seconds(), self.clock.getDelayedCalls()), (3.5, []))

    def test_calls_from_calls(self) -> None:
        """What a call plans is called in the same stretch of time where it is due in it."""
        self.clock.callLater(1.0, self.clock.callLater, 1.0, self.note, "second")
        self.clock.advance(2.0)
        self.assertEqual(self.called, [("second", 2.0)])

    def test_cancel(self) -> None:
        """A call that was cancelled is not called, and not listed."""
        call = self.clock.callLater(1.0, self.note, "never")
        self.assertEqual(self.clock.getDelayedCalls(), [call])
        call.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(2.0)
        self.assertEqual(self.called, [])

    def test_moved(self) -> None:
        """A call can be moved, to later and to earlier; it is called and listed once."""
        one = self.clock.callLater(5.0, self.note, "one")
        other = self.clock.callLater(1.0, self.note, "other")
        one.reset(2.0)
        other.delay(3.0)
        self.assertEqual(len(self.clock.getDelayedCalls()), 2)
        self.clock.advance(10.0)
        self.assertEqual(self.called, [("one", 2.0), ("other", 4.0)])

    def test_moved_beyond(self) -> None:
        """A call that was moved beyond the stretch of time is called in a later one."""
        self.clock.callLater(1.0, self.note, "one").delay(5.0)
        self.clock.advance(3.0)
        self.assertEqual(self.called, [])
        self.clock.advance(3.0)
        self.assertEqual(self.called, [("one", 6.0)])

    @given(st.lists(st.floats(0, 10), max_size=20), st.lists(st.floats(0, 3), max_size=10))
    def test_every_call_at_its_time(self, delays_s: list[float], steps_s: list[float]) -> None:
        """However time is cut into stretches, each call comes once, at its own time."""
        clock = HeapClock()
        called: list[tuple[float, float]] = []
        for delay_s in delays_s:
            clock.callLater(delay_s, lambda due_s=delay_s: called.append((due_s, clock.seconds())))
        for step_s in [*steps_s, 11.0]:
            clock.advance(step_s)
        self.assertEqual([due_s for due_s, _ in called], sorted(delays_s))
        self.assertEqual([due_s for due_s, _ in called], [at_s for _, at_s in called])


class NetworkTestCase(SynchronousTestCase):
    """Two hosts, one second apart."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(latency_s=1.0)
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


class ConnectingTests(NetworkTestCase):
    def test_addresses(self) -> None:
        """Both ends know both addresses."""
        client, server = self.pair()
        self.assertEqual(client.wire.getPeer(), IPv4Address("TCP", THERE, 7070))
        self.assertEqual(server.wire.getPeer(), client.wire.getHost())
        self.assertEqual(client.wire.getHost().host, HERE)
        self.assertEqual(server.wire.getHost(), IPv4Address("TCP", THERE, 7070))
        self.assertTrue(client.wire.getTcpNoDelay())
        self.assertFalse(client.wire.getTcpKeepAlive())
        client.wire.setTcpKeepAlive(True)

    def test_refused(self) -> None:
        """Where nobody listens, or somebody does not want us, a connection is refused."""
        refused = [TCP4ClientEndpoint(self.here, THERE, 7070).connect(ServerFactory())]
        self.clock.advance(2.0)
        factory = ServerFactory()
        self.patch(factory, "buildProtocol", lambda _: None)
        self.there.listenTCP(7070, factory)
        refused.append(TCP4ClientEndpoint(self.here, THERE, 7070).connect(ServerFactory()))
        self.clock.advance(2.0)
        for connecting in refused:
            self.failureResultOf(connecting, ConnectionRefusedError)

    def test_cut(self) -> None:
        """Between hosts that are cut off, a connect times out."""
        self.listen()
        self.network.cut(HERE, THERE)
        connecting = TCP4ClientEndpoint(self.here, THERE, 7070, timeout=5).connect(ServerFactory())
        self.clock.advance(4.9)
        self.assertNoResult(connecting)
        self.clock.advance(0.1)
        self.failureResultOf(connecting, TimeoutError)

    def test_cancelled(self) -> None:
        """A connect can be given up."""
        self.listen()
        connecting = TCP4ClientEndpoint(self.here, THERE, 7070).connect(ServerFactory())
        connecting.cancel()
        self.failureResultOf(connecting, ConnectingCancelledError)
        self.assertEqual((self.clock.getDelayedCalls(), self.servers), ([], []))

    def test_port_taken(self) -> None:
        """A port is taken until it is listened on no more; without a wish a free one is found."""
        listening = self.here.listenTCP(7070, ServerFactory())
        with self.assertRaises(CannotListenError):
            self.here.listenTCP(7070, ServerFactory())
        self.there.listenTCP(7070, ServerFactory())
        listening.stopListening()
        self.here.listenTCP(7070, ServerFactory())
        ports = [of_transport(self.here.listenTCP(0, ServerFactory()).getHost()).port for _ in range(2)]
        self.assertNotEqual(ports[0], ports[1])

    def test_loopback(self) -> None:
        """A port at 127.0.0.1 is reached from its own host, and from no other."""
        self.listen(self.here, interface="127.0.0.1")
        client = self.connect("127.0.0.1")
        self.assertEqual(len(self.servers), 1)
        client.wire.abortConnection()
        refused = TCP4ClientEndpoint(self.there, HERE, 7070).connect(ServerFactory())
        self.clock.advance(2.0)
        self.failureResultOf(refused, ConnectionRefusedError)


class TransportTests(NetworkTestCase):
    def test_latency(self) -> None:
        """What is written arrives a latency later; what is written at one moment, in one piece."""
        client, server = self.pair()
        client.wire.write(b"a")
        client.wire.writeSequence([b"b", b"c"])
        self.clock.advance(0.4)
        client.wire.write(b"d")
        self.clock.advance(1.0)
        self.assertEqual(server.events, [(3.0, "abc"), (3.4, "d")])
        self.assertEqual(client.wire.writes, [(2.0, b"a"), (2.0, b"bc"), (2.4, b"d")])

    def test_lose_connection(self) -> None:
        """A close comes behind what was written; the other end may finish what it has to say."""
        client, server = self.pair()
        client.wire.write(b"bye")
        client.wire.loseConnection()
        client.wire.write(b"too late")
        self.clock.advance(1.0)
        self.assertEqual(client.events, [(3.0, "ConnectionDone")])
        self.assertEqual(server.events, [(3.0, "bye"), (3.0, "eof")])
        server.wire.loseConnection()
        self.clock.advance(1.0)
        self.assertEqual(server.events[2:], [(4.0, "ConnectionDone")])

    def test_lose_connection_without_half_close(self) -> None:
        """A protocol that knows no half-close is closed by the other end's close."""
        self.kind = Notes
        client, server = self.pair()
        client.wire.loseConnection()
        self.clock.advance(1.0)
        self.assertEqual((client.events, server.events), ([(3.0, "ConnectionDone")],) * 2)

    def test_half_close(self) -> None:
        """A half-closed connection still carries what comes the other way, and ends when both closed."""
        client, server = self.pair()
        client.wire.loseWriteConnection()
        self.clock.advance(1.0)
        server.wire.write(b"answer")
        server.wire.loseConnection()
        self.clock.advance(1.0)
        self.assertEqual(server.events, [(3.0, "eof"), (4.0, "ConnectionDone")])
        self.assertEqual(client.events, [(4.0, "answer"), (4.0, "ConnectionDone")])

    def test_half_close_then_close(self) -> None:
        """A connection whose half was closed already closes at once."""
        client, _ = self.pair()
        client.wire.loseWriteConnection()
        self.clock.advance(1.0)
        client.wire.loseConnection()
        self.assertEqual(client.events, [(3.0, "ConnectionDone")])

    def test_abort(self) -> None:
        """An abort ends this side at once and throws away what waits; the other sees a reset."""
        client, server = self.pair()
        server.wire.write(b"on its way")
        client.wire.write(b"lost")
        client.wire.abortConnection()
        client.wire.abortConnection()
        self.clock.advance(0.0)
        self.assertEqual(client.events, [(2.0, "ConnectionAborted")])
        self.clock.advance(1.0)
        self.assertEqual((client.events[1:], server.events), ([], [(3.0, "ConnectionLost")]))
        client.wire.abortConnection()
        client.wire.loseConnection()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_read_after_closing(self) -> None:
        """As with Twisted's transports, who closes or aborts reads nothing any more."""
        for close in (MemoryTransport.loseConnection, MemoryTransport.abortConnection):
            self.network.ports.clear()
            client, server = self.pair()
            server.wire.write(b"on its way")
            close(client.wire)
            self.clock.advance(1.0)
            self.assertNotIn("on its way", [event for _, event in client.events])

    def test_back_pressure(self) -> None:
        """A producer is told to stop when too much is under way, and to go on when all arrived."""
        client, server = self.pair()
        producer = Producer()
        client.wire.registerProducer(producer, True)
        client.wire.write(b"x" * SEND_BUFFER)
        self.assertEqual(producer.told, [])
        client.wire.write(b"x")
        client.wire.write(b"x")
        self.assertEqual(producer.told, ["pause"])
        self.clock.advance(1.0)
        self.assertEqual(producer.told, ["pause", "resume"])
        self.assertEqual(len(server.events[0][1]), SEND_BUFFER + 2)

    def test_stalled(self) -> None:
        """What the other end does not read arrives when it reads again."""
        client, server = self.pair()
        client.wire.stalled = True
        client.wire.write(b"a")
        self.clock.advance(10.0)
        self.assertEqual(server.events, [])
        client.wire.stalled = False
        client.wire.flush_soon()
        self.clock.advance(1.0)
        self.assertEqual(server.events, [(13.0, "a")])

    def test_paused_producer_holds_the_close(self) -> None:
        """As with Twisted's transports, a connection is not closed while its producer is paused."""
        client, server = self.pair()
        client.wire.registerProducer(Producer(), True)
        client.wire.write(b"x" * (SEND_BUFFER + 1))
        client.wire.loseConnection()
        self.clock.advance(10.0)
        self.assertEqual((client.events, len(server.events)), ([], 1))
        client.wire.unregisterProducer()
        self.clock.advance(1.0)
        self.assertEqual([event for _, event in client.events], ["ConnectionDone"])


class TroubleTests(NetworkTestCase):
    def test_cut_and_healed(self) -> None:
        """What is sent while hosts are cut off arrives when they are not, in order."""
        client, server = self.pair()
        self.network.cut(THERE, HERE)
        client.wire.write(b"a")
        self.clock.advance(5.0)
        client.wire.write(b"b")
        client.wire.loseConnection()
        self.clock.advance(5.0)
        self.assertEqual(server.events, [])
        self.network.heal()
        self.clock.advance(1.0)
        self.assertEqual([event for _, event in server.events], ["ab", "eof"])

    def test_abort_while_cut(self) -> None:
        """A reset does not get through where nothing does."""
        client, server = self.pair()
        self.network.cut(HERE, THERE)
        client.wire.abortConnection()
        self.clock.advance(5.0)
        self.assertEqual([event for _, event in client.events], ["ConnectionAborted"])
        self.assertEqual(server.events, [])

    def test_crash(self) -> None:
        """A host that crashed says nothing, hears nothing, and its connections stay half-open."""
        client, server = self.pair()
        server.wire.write(b"never sent")
        self.network.crash(THERE)
        client.wire.write(b"anybody?")
        self.clock.advance(100.0)
        self.assertEqual((client.events, server.events), ([], []))
        refused = TCP4ClientEndpoint(self.here, THERE, 7070).connect(ServerFactory())
        self.clock.advance(2.0)
        self.failureResultOf(refused, ConnectionRefusedError)

    def test_time_of_a_crashed_host(self) -> None:
        """Nothing that a crashed host had planned happens; what starts there anew is another host."""
        called: list[str] = []
        self.there.callLater(1.0, called.append, "ghost").cancel()
        self.there.callLater(5.0, called.append, "ghost")
        self.listen(self.here)
        ghost = TCP4ClientEndpoint(self.there, HERE, 7070).connect(ServerFactory())
        self.network.crash(THERE)
        self.network.host(THERE).callLater(5.0, called.append, "new")
        self.clock.advance(10.0)
        self.assertEqual((called, self.servers), (["new"], []))
        self.assertNoResult(ghost)
        self.assertEqual(self.there.getDelayedCalls(), [])
        self.assertEqual(self.there.seconds(), 10.0)

    def test_a_vanished_end_resets_nobody(self) -> None:
        """A connection of a crashed host does nothing to the other end, whatever its ghost does."""
        client, server = self.pair()
        wire = server.wire
        self.network.crash(THERE)
        wire.abortConnection()
        wire.write(b"ghost")
        wire.loseConnection()
        self.clock.advance(10.0)
        self.assertEqual(client.events, [])
