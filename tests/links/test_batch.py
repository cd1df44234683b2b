"""One write for each link that is written to while one is read."""

from __future__ import annotations

from twisted.internet.task import Clock

from p2pchat.links.batch import Batch
from p2pchat.links.outgoing import SOCKET_BYTES, Outgoing
from p2pchat.protocol.names import PeerId
from tests.links.test_outgoing import OutgoingTestCase

BOB = PeerId("bob@UnB")


class BatchTests(OutgoingTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.batch = Batch()
        self.outgoing = Outgoing(self.outgoing._transport, Clock(), self.batch)

    def test_gathered(self) -> None:
        """All that is written while the batch is open leaves at its end, in order, in one write."""
        self.batch.begin()
        self.outgoing.pass_on(b"1\n", BOB)
        self.outgoing.write(b"2\n")
        self.outgoing.write(b"3\n", urgent=True)
        self.assertEqual(self.written, [])
        self.batch.end()
        self.assertEqual((self.written, self.outgoing.taken), ([b"1\n2\n3\n"], 3))

    def test_over(self) -> None:
        """After its end, what is written leaves at once; a batch may be opened again."""
        for _ in range(2):
            self.batch.begin()
            self.outgoing.write(b"1\n")
            self.batch.end()
            self.outgoing.write(b"2\n")
        self.assertEqual(self.written, [b"1\n", b"2\n"] * 2)

    def test_bounded(self) -> None:
        """What is gathered is no more than a socket takes before it says stop, and a line."""
        self.batch.begin()
        line = b"x" * 1000
        for _ in range(2 * SOCKET_BYTES // 1000):
            self.outgoing.write(line)
        self.assertEqual([len(each) for each in self.written], [9000])
        self.batch.end()
        self.assertEqual(sum(map(len, self.written)), 2 * SOCKET_BYTES // 1000 * 1000)

    def test_said_stop(self) -> None:
        """When the socket says stop at a write, what comes after waits in the queue, where it is bounded."""
        self.batch.begin()
        self.outgoing.write(b"x" * SOCKET_BYTES)
        self.outgoing.write(b"y")
        self.outgoing.pauseProducing()
        self.outgoing.write(b"z")
        self.assertEqual(self.outgoing.waiting, 1)
        self.batch.end()
        self.assertEqual(self.written, [b"x" * SOCKET_BYTES + b"y"])
        self.outgoing.resumeProducing()
        self.assertEqual(self.written[1:], [b"z"])

    def test_link_ends(self) -> None:
        """A link that ends inside a batch does not disturb the others."""
        self.batch.begin()
        self.outgoing.write(b"1\n")
        self.outgoing.close()
        self.batch.end()
        self.batch.begin()
        self.batch.end()
        self.assertLessEqual(len(self.written), 1)
