"""The network in memory: who reads nothing holds the other end back, as with Twisted's transports."""

from __future__ import annotations

from p2pchat.simulation.transport import SEND_BUFFER
from tests.wires import NetworkTestCase, Notes, Producer


class PausingNotes(Notes):
    """Reads nothing more once something arrived."""

    def dataReceived(self, data: bytes) -> None:
        """Note it, and pause."""
        super().dataReceived(data)
        self.wire.pauseProducing()


class PauseTests(NetworkTestCase):
    def what(self, notes: Notes) -> list[str]:
        """Return what happened, without its time."""
        return [event for _, event in notes.events]

    def test_holds_back(self) -> None:
        """What is written to an end that does not read arrives when it reads again, in order, once."""
        client, server = self.pair()
        server.wire.pauseProducing()
        server.wire.pauseProducing()
        client.wire.write(b"a")
        self.clock.advance(5.0)
        client.wire.write(b"b")
        self.clock.advance(5.0)
        self.assertEqual(server.events, [])
        server.wire.resumeProducing()
        server.wire.resumeProducing()
        self.clock.advance(1.0)
        self.assertEqual(server.events, [(13.0, "ab")])

    def test_other_way(self) -> None:
        """An end that does not read still writes."""
        client, server = self.pair()
        server.wire.pauseProducing()
        server.wire.write(b"a")
        self.clock.advance(1.0)
        self.assertEqual(self.what(client), ["a"])

    def test_back_pressure(self) -> None:
        """An end that does not read fills the other, whose producer is told to stop until it reads."""
        client, server = self.pair()
        producer = Producer()
        client.wire.registerProducer(producer, True)
        server.wire.pauseProducing()
        client.wire.write(b"x" * (SEND_BUFFER + 1))
        self.clock.advance(100.0)
        self.assertEqual(producer.told, ["pause"])
        server.wire.resumeProducing()
        self.clock.advance(1.0)
        self.assertEqual(producer.told, ["pause", "resume"])

    def test_eof(self) -> None:
        """That the other end closed is read like what it wrote, behind it and not while paused."""
        client, server = self.pair()
        server.wire.pauseProducing()
        client.wire.write(b"a")
        client.wire.loseWriteConnection()
        self.clock.advance(5.0)
        self.assertEqual(server.events, [])
        server.wire.resumeProducing()
        self.clock.advance(1.0)
        self.assertEqual(self.what(server), ["a", "eof"])

    def test_paused_by_the_last_data(self) -> None:
        """Who pauses at the last data learns of the close only when it reads again."""
        self.kind = PausingNotes
        client, server = self.pair()
        client.wire.write(b"a")
        client.wire.loseConnection()
        self.clock.advance(5.0)
        self.assertEqual(self.what(server), ["a"])
        server.wire.resumeProducing()
        self.clock.advance(1.0)
        self.assertEqual(self.what(server), ["a", "ConnectionDone"])

    def test_closed_while_paused(self) -> None:
        """Who closes reads nothing any more, paused or not, and holds nobody back."""
        client, server = self.pair()
        server.wire.pauseProducing()
        server.wire.loseConnection()
        self.clock.advance(1.0)
        client.wire.write(b"too late")
        client.wire.loseConnection()
        self.clock.advance(1.0)
        self.assertEqual(
            (self.what(client), self.what(server)), (["eof", "ConnectionDone"], ["ConnectionDone"])
        )

    def test_closing_while_paused(self) -> None:
        """An end that closes and still has to write is closed by what it wrote, paused or not."""
        client, server = self.pair()
        server.wire.pauseProducing()
        client.wire.write(b"never read")
        server.wire.write(b"a")
        server.wire.loseConnection()
        server.wire.resumeProducing()
        self.clock.advance(2.0)
        self.assertEqual((self.what(client), self.what(server)), (["a", "eof"], ["ConnectionDone"]))

    def test_reset_while_paused(self) -> None:
        """A connection that is reset ends, paused or not; what was not read is lost."""
        client, server = self.pair()
        server.wire.pauseProducing()
        client.wire.write(b"lost")
        client.wire.abortConnection()
        self.clock.advance(1.0)
        server.wire.resumeProducing()
        self.clock.advance(1.0)
        self.assertEqual(self.what(server), ["ConnectionLost"])

    def test_abort_while_paused(self) -> None:
        """An end may abort while it is paused."""
        client, server = self.pair()
        server.wire.pauseProducing()
        client.wire.write(b"lost")
        server.wire.abortConnection()
        self.clock.advance(1.0)
        self.assertEqual((self.what(client), self.what(server)), (["ConnectionLost"], ["ConnectionAborted"]))

    def test_gone(self) -> None:
        """A transport that is gone can be told anything; nothing happens."""
        client, _ = self.pair()
        client.wire.abortConnection()
        self.clock.advance(1.0)
        client.wire.pauseProducing()
        client.wire.resumeProducing()
        self.clock.advance(1.0)
        self.assertEqual(self.what(client), ["ConnectionAborted"])

    def test_producer_is_told_of_the_end(self) -> None:
        """As with Twisted's transports, a producer hears of the end before the protocol does."""
        client, _ = self.pair()
        order: list[str] = []
        producer = Producer()
        self.patch(producer, "stopProducing", lambda: order.append("stop"))
        self.patch(client, "connectionLost", lambda _reason: order.append("lost"))
        client.wire.registerProducer(producer, True)
        client.wire.abortConnection()
        self.clock.advance(1.0)
        self.assertEqual(order, ["stop", "lost"])
