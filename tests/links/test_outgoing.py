"""The bounded queue in front of a socket (docs/protocol.md, sections 5 and 9.5)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.links.outgoing import (
    MAX_BYTES,
    MAX_LINES,
    PLAIN_FIRST_S,
    PLAIN_SPACING_S,
    URGENT_BYTES,
    URGENT_LINES,
    Outgoing,
)
from p2pchat.testing import HeapClock


class NotingTransport(StringTransport):
    """Notes each write with its time; can be told to say stop at a write."""

    def __init__(self, clock: HeapClock) -> None:
        super().__init__()
        self.clock = clock
        self.writes: list[tuple[float, bytes]] = []
        self.full_at: int | None = None

    def write(self, data: bytes) -> None:
        """Note *data*, and say stop where it was told to."""
        self.writes.append((self.clock.seconds(), data))
        if self.full_at == len(self.writes):
            assert self.producer is not None
            self.producer.pauseProducing()


class OutgoingTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = HeapClock()
        self.transport = NotingTransport(self.clock)
        self.outgoing = Outgoing(self.transport, self.clock)
        self.transport.registerProducer(self.outgoing, True)
        self.addCleanup(self.assert_clean)

    def assert_clean(self) -> None:
        """Nothing is left on the clock once the queue is closed."""
        self.outgoing.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @property
    def written(self) -> list[bytes]:
        return [data for _, data in self.transport.writes]

    @property
    def times_s(self) -> list[float]:
        return [at_s for at_s, _ in self.transport.writes]


class DirectTests(OutgoingTestCase):
    def test_straight_through(self) -> None:
        """While the socket drains, lines go straight to it, each on its own."""
        for number in range(3):
            self.assertTrue(self.outgoing.write(b"%d\n" % number))
        self.assertEqual(self.written, [b"0\n", b"1\n", b"2\n"])
        self.assertEqual((self.outgoing.taken, self.outgoing.waiting), (3, 0))

    def test_back_pressure(self) -> None:
        """When the socket says stop lines wait, and go in order when it wants more."""
        self.outgoing.pauseProducing()
        for number in range(3):
            self.assertTrue(self.outgoing.write(b"%d\n" % number))
        self.assertEqual((self.written, self.outgoing.waiting), ([], 3))
        self.outgoing.resumeProducing()
        self.assertEqual((self.written, self.outgoing.waiting), ([b"0\n", b"1\n", b"2\n"], 0))
        self.outgoing.write(b"3\n")
        self.assertEqual(self.written[-1], b"3\n")

    def test_stop_in_the_middle(self) -> None:
        """A socket that says stop while what waited is written keeps the rest waiting, in order."""
        self.outgoing.pauseProducing()
        for number in range(4):
            self.outgoing.write(b"%d\n" % number)
        self.transport.full_at = 2
        self.outgoing.resumeProducing()
        self.assertEqual(self.written, [b"0\n", b"1\n"])
        self.outgoing.write(b"4\n")
        self.outgoing.resumeProducing()
        self.assertEqual(self.written, [b"0\n", b"1\n", b"2\n", b"3\n", b"4\n"])

    def test_urgent_first(self) -> None:
        """Section 5: control traffic goes ahead of what waits, in its own order."""
        self.outgoing.pauseProducing()
        for line, urgent in ((b"a\n", False), (b"P\n", True), (b"b\n", False), (b"Q\n", True)):
            self.outgoing.write(line, urgent)
        self.outgoing.resumeProducing()
        self.assertEqual(self.written, [b"P\n", b"Q\n", b"a\n", b"b\n"])


class CorkTests(OutgoingTestCase):
    """What answers one read goes out in one write."""

    def test_one_write(self) -> None:
        """What is written between cork and uncork is written at once, in order."""
        self.outgoing.cork()
        self.outgoing.write(b"a\n")
        self.outgoing.write(b"P\n", urgent=True)
        self.assertEqual(self.written, [])
        self.outgoing.uncork()
        self.outgoing.uncork()
        self.outgoing.write(b"b\n")
        self.assertEqual((self.written, self.outgoing.taken), ([b"a\nP\n", b"b\n"], 3))

    def test_nothing_gathered(self) -> None:
        """Nothing gathered is nothing written."""
        self.outgoing.cork()
        self.outgoing.uncork()
        self.assertEqual(self.written, [])

    def test_last_line(self) -> None:
        """The last line goes behind what was gathered."""
        self.outgoing.cork()
        self.outgoing.write(b"a\n")
        self.outgoing.write_last(b"BYE\n", within_s=1.0)
        self.outgoing.write(b"b\n")
        self.outgoing.uncork()
        self.assertEqual(b"".join(self.written), b"a\nBYE\nb\n")

    def test_empty(self) -> None:
        """It is empty only once what was gathered is written."""
        written: list[int] = []
        self.outgoing.cork()
        self.outgoing.write(b"a\n")
        self.outgoing.when_empty(lambda: written.append(len(self.written)))
        self.assertEqual(written, [1])

    def test_not_to_plain_peers(self) -> None:
        """9.5: what is spaced out is never gathered; what was gathered before goes out before."""
        self.outgoing.cork()
        self.outgoing.write(b"HELLO_OK\n")
        self.outgoing.space_out(PLAIN_FIRST_S)
        self.outgoing.write(b"a\n")
        self.outgoing.uncork()
        self.outgoing.cork()
        self.outgoing.write(b"b\n")
        self.outgoing.uncork()
        self.clock.advance(1.0)
        self.assertEqual(self.written, [b"HELLO_OK\n", b"a\n", b"b\n"])

    def test_behind_what_waits(self) -> None:
        """While the socket is full nothing is gathered, so that nothing overtakes what waits."""
        self.outgoing.pauseProducing()
        self.outgoing.write(b"a\n")
        self.outgoing.cork()
        self.outgoing.write(b"b\n")
        self.outgoing.uncork()
        self.outgoing.resumeProducing()
        self.assertEqual(self.written, [b"a\n", b"b\n"])

    def test_full_while_gathering(self) -> None:
        """A socket that says stop in between does not change the order."""
        self.outgoing.cork()
        self.outgoing.write(b"a\n")
        self.outgoing.pauseProducing()
        self.outgoing.write(b"b\n")
        self.outgoing.uncork()
        self.outgoing.resumeProducing()
        self.assertEqual(self.written, [b"a\n", b"b\n"])


class BoundTests(OutgoingTestCase):
    def test_lines(self) -> None:
        """Section 5: beyond so many lines the newest is refused and counted; control lines last."""
        self.outgoing.pauseProducing()
        for _ in range(MAX_LINES):
            self.assertTrue(self.outgoing.write(b"x\n"))
        self.assertFalse(self.outgoing.write(b"x\n"))
        for _ in range(URGENT_LINES):
            self.assertTrue(self.outgoing.write(b"u\n", urgent=True))
        self.assertFalse(self.outgoing.write(b"u\n", urgent=True))
        self.assertEqual((self.outgoing.refused, self.outgoing.taken), (2, MAX_LINES + URGENT_LINES))

    def test_bytes(self) -> None:
        """Section 5: beyond so many bytes likewise; to the byte."""
        self.outgoing.pauseProducing()
        half = b"x" * (MAX_BYTES // 2)
        self.assertTrue(self.outgoing.write(half))
        self.assertTrue(self.outgoing.write(half))
        self.assertFalse(self.outgoing.write(b"\n"))
        self.assertTrue(self.outgoing.write(b"u" * URGENT_BYTES, urgent=True))
        self.assertFalse(self.outgoing.write(b"\n", urgent=True))

    def test_room_again(self) -> None:
        """What left makes room."""
        self.outgoing.pauseProducing()
        self.outgoing.write(b"x" * MAX_BYTES)
        self.assertFalse(self.outgoing.write(b"\n"))
        self.outgoing.resumeProducing()
        self.outgoing.pauseProducing()
        self.assertTrue(self.outgoing.write(b"x" * MAX_BYTES))

    @given(st.lists(st.tuples(st.integers(1, MAX_BYTES), st.booleans()), max_size=20))
    def test_never_more(self, lines: list[tuple[int, bool]]) -> None:
        """Whatever is written into a stuck queue, it holds no more than its bounds, nothing twice."""
        outgoing = Outgoing(self.transport, self.clock)
        outgoing.pauseProducing()
        held = sum(size for size, urgent in lines if outgoing.write(b"x" * size, urgent))
        self.assertLessEqual(held, MAX_BYTES + URGENT_BYTES)
        self.transport.writes.clear()
        outgoing.resumeProducing()
        self.assertEqual(sum(map(len, self.written)), held)
        self.assertEqual(outgoing.taken + outgoing.refused, len(lines))


class SpacingTests(OutgoingTestCase):
    def test_one_line_at_a_time(self) -> None:
        """9.5: the first line leaves after the agreed wait, the others 50 ms apart."""
        self.outgoing.space_out(PLAIN_FIRST_S)
        for number in range(4):
            self.outgoing.write(b"%d\n" % number)
        self.assertEqual(self.written, [])
        self.clock.advance(1.0)
        self.assertEqual(self.written, [b"0\n", b"1\n", b"2\n", b"3\n"])
        for at_s, expected_s in zip(self.times_s, (0.25, 0.30, 0.35, 0.40), strict=True):
            self.assertAlmostEqual(at_s, expected_s)

    def test_at_once_after_a_pause(self) -> None:
        """A line that follows after a while waits for nothing."""
        self.outgoing.space_out(0.0)
        self.outgoing.write(b"0\n")
        self.clock.advance(PLAIN_SPACING_S)
        self.outgoing.write(b"1\n")
        self.assertEqual(self.written, [b"0\n", b"1\n"])

    def test_spaced_behind_a_stop(self) -> None:
        """Lines that waited for the socket are spaced as well when it wants more."""
        self.outgoing.space_out(0.0)
        self.outgoing.pauseProducing()
        for number in range(3):
            self.outgoing.write(b"%d\n" % number)
        self.clock.advance(10.0)
        self.assertEqual(self.written, [])
        self.outgoing.resumeProducing()
        self.clock.advance(10.0)
        self.assertEqual(self.written, [b"0\n", b"1\n", b"2\n"])
        self.assert_spaced()

    def assert_spaced(self) -> None:
        """Assert that no two lines left closer than 50 ms."""
        for earlier_s, later_s in pairwise(self.times_s):
            self.assertGreaterEqual(later_s - earlier_s, PLAIN_SPACING_S - 1e-9)

    @given(st.lists(st.tuples(st.floats(0, 0.2), st.booleans()), max_size=30))
    def test_always_spaced(self, steps: list[tuple[float, bool]]) -> None:
        """9.5: whenever lines are written, urgent or not, they leave 50 ms apart and all of them."""
        self.transport.writes.clear()
        outgoing = Outgoing(self.transport, self.clock)
        outgoing.space_out(PLAIN_FIRST_S)
        for wait_s, urgent in steps:
            self.clock.advance(wait_s)
            outgoing.write(b"x\n", urgent)
        self.clock.advance(10.0)
        self.assertEqual(len(self.written), len(steps))
        self.assert_spaced()


class EndTests(OutgoingTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.empty = 0

    def note(self) -> None:
        self.empty += 1

    def test_empty_now(self) -> None:
        """Where nothing waits, it is empty now."""
        self.outgoing.when_empty(self.note)
        self.assertEqual(self.empty, 1)

    def test_empty_later(self) -> None:
        """Where lines wait, it is empty once they are all written, once."""
        self.outgoing.pauseProducing()
        self.outgoing.write(b"x\n")
        self.outgoing.when_empty(self.note)
        self.assertEqual(self.empty, 0)
        self.outgoing.resumeProducing()
        self.outgoing.resumeProducing()
        self.assertEqual(self.empty, 1)

    def test_closed(self) -> None:
        """A closed queue forgets what waits and takes nothing, whatever comes."""
        for spaced in (False, True):
            outgoing = Outgoing(self.transport, self.clock)
            if spaced:
                outgoing.space_out(0.1)
            outgoing.pauseProducing()
            outgoing.write(b"x\n")
            outgoing.when_empty(self.note)
            outgoing.close()
            outgoing.resumeProducing()
            self.assertFalse(outgoing.write(b"x\n"))
            self.assertFalse(outgoing.write(b"x\n", urgent=True))
            outgoing.write_last(b"BYE\n", within_s=1.0)
            self.assertEqual((outgoing.waiting, self.clock.getDelayedCalls()), (0, []))
        self.assertEqual((self.written, self.empty), ([], 0))

    def test_transport_gone(self) -> None:
        """A transport that is gone closes the queue."""
        self.outgoing.space_out(0.1)
        self.outgoing.write(b"x\n")
        self.outgoing.stopProducing()
        self.assertFalse(self.outgoing.write(b"x\n"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_last_line_of_a_full_queue(self) -> None:
        """9.8: the last line, a BYE, is taken however much waits, and goes behind it."""
        self.outgoing.pauseProducing()
        while self.outgoing.write(b"x\n"):
            pass
        self.outgoing.write_last(b"BYE\n", within_s=1.0)
        self.outgoing.resumeProducing()
        self.assertEqual((len(self.written), self.written[-1]), (MAX_LINES + 1, b"BYE\n"))

    def test_last_line_to_a_plain_peer(self) -> None:
        """9.8: to a plain peer it leaves in time; what cannot leave before it is given up, counted."""
        self.outgoing.space_out(0.0)
        for number in range(100):
            self.outgoing.write(b"%d\n" % number, urgent=number >= 90)
        self.outgoing.write_last(b"BYE\n", within_s=1.0)
        self.clock.advance(1.0 + 1e-6)
        self.assertEqual(self.written[-1], b"BYE\n")
        kept = [0, *range(90, 100), *range(1, 10)]
        self.assertEqual(self.written[:-1], [b"%d\n" % number for number in kept])
        self.assertEqual(self.outgoing.refused, 80)
