"""A megabyte in pieces of one byte, for everything that reads a stream."""

from __future__ import annotations

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.console.stdio import MAX_INPUT, StdioProtocol
from p2pchat.protocol.framing import MAX_DISCARD, MAX_LINE
from tests.fuzz.targets import Framing
from tests.links.peers import BOB, LinkTestCase
from tests.rendezvous.callers import TOO_LONG, ServerTestCase

MEGABYTE = b"x" * (MAX_DISCARD + 2)


def single(data: bytes) -> list[bytes]:
    """Cut into single bytes."""
    return [data[at : at + 1] for at in range(len(data))]


class LineBufferTests(SynchronousTestCase):
    def test_megabyte(self) -> None:
        """It is reported twice, and never more than one line is kept."""
        self.assertFalse(Framing().take(single(MEGABYTE)))


class LinkTests(LinkTestCase):
    def test_megabyte(self) -> None:
        """A link complains once, and is closed where no end comes."""
        self.connect(False)
        self.raw.say("HELLO", peer_id=BOB)
        self.clock.advance(1)
        for byte in single(MEGABYTE):
            self.link.dataReceived(byte)
        self.clock.advance(5)
        self.assertEqual([error["limit"] for error in self.raw.of("ERROR")], [MAX_LINE] * 2)
        self.assertTrue(self.raw.ended)


class RendezvousTests(ServerTestCase):
    def test_megabyte(self) -> None:
        """A rendezvous answers once, and closes."""
        caller = self.call()
        caller.send(MEGABYTE, 1)
        self.assertEqual(caller.replies, [TOO_LONG])
        self.assertIn(caller.ending, ("closed", "half closed"))


class ConsoleTests(SynchronousTestCase):
    def test_megabyte(self) -> None:
        """A console says once that it is too long, and takes the next line."""
        taken: list[str] = []
        console = StdioProtocol(
            encoding="utf-8",
            take=taken.append,
            may_take=lambda: True,
            ended=lambda: None,
            unread=lambda: None,
        )
        wire = StringTransport()
        console.makeConnection(wire)
        for byte in single(MEGABYTE + b"\nhello\n"):
            console.dataReceived(byte)
        self.assertEqual(taken, ["hello"])
        self.assertEqual(wire.value(), b"A line has at most %d bytes. Nothing was sent.\n" % MAX_INPUT)
