"""A connection in memory, from one end to the other: bytes, closing, back-pressure."""

from __future__ import annotations

from p2pchat.simulation.transport import SEND_BUFFER
from p2pchat.testing import MemoryTransport
from tests.wires import NetworkTestCase, Notes, Producer


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
