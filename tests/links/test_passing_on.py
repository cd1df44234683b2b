"""Lines of others in the queue in front of a socket: behind ours, taking turns (docs/protocol.md, 5)."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from p2pchat.links.outgoing import (
    MAX_BYTES,
    MAX_LINES,
    PLAIN_SPACING_S,
    RELAYED_BYTES,
    RELAYED_LINES,
    SOURCE_BYTES,
    SOURCE_LINES,
    SPACED_RELAYED_LINES,
    SPACED_SOURCE_LINES,
    URGENT_BYTES,
    URGENT_LINES,
    Outgoing,
)
from p2pchat.protocol.names import PeerId
from tests.links.peers import ALICE, BOB, CAROL
from tests.links.test_outgoing import OutgoingTestCase


class PassingOnTestCase(OutgoingTestCase):
    def pass_on(self, source: PeerId, *lines: bytes) -> None:
        """Pass lines on, all of which are taken."""
        for each in lines:
            self.assertTrue(self.outgoing.pass_on(each, source))

    def fill(self, sources: int, size: int = 1) -> int:
        """Pass on of so many sources what is taken; return how many lines that is."""
        taken = 0
        for number in range(sources):
            while self.outgoing.pass_on(b"x" * size, PeerId(f"p{number}@UnB")):
                taken += 1
        return taken


class OrderTests(PassingOnTestCase):
    def test_straight_through(self) -> None:
        """While the socket drains, lines of others go straight to it, in between ours."""
        self.outgoing.write(b"own\n")
        self.pass_on(BOB, b"b\n")
        self.assertEqual((self.written, self.outgoing.taken), ([b"own\n", b"b\n"], 2))

    def test_one_write(self) -> None:
        """What is passed on while one read is handled leaves in one write with the rest."""
        self.outgoing.cork()
        self.pass_on(BOB, b"b\n")
        self.outgoing.write(b"own\n")
        self.outgoing.uncork()
        self.assertEqual(self.written, [b"b\nown\n"])

    def test_behind_ours(self) -> None:
        """When the socket says stop, control lines go first, then ours, then those of others."""
        self.outgoing.pauseProducing()
        self.pass_on(BOB, b"b1\n", b"b2\n")
        self.outgoing.write(b"own\n")
        self.outgoing.write(b"PONG\n", urgent=True)
        self.assertEqual((self.outgoing.waiting, self.written), (4, []))
        self.outgoing.resumeProducing()
        self.assertEqual(self.written, [b"PONG\n", b"own\n", b"b1\n", b"b2\n"])
        self.pass_on(BOB, b"b3\n")
        self.assertEqual((self.written[-1], self.outgoing.waiting), (b"b3\n", 0))

    def test_turns(self) -> None:
        """Several sources take turns, however much each has waiting; each keeps its own order."""
        self.outgoing.pauseProducing()
        self.pass_on(ALICE, b"a1\n", b"a2\n", b"a3\n", b"a4\n")
        self.pass_on(BOB, b"b1\n")
        self.pass_on(CAROL, b"c1\n", b"c2\n")
        self.outgoing.resumeProducing()
        expected = b"a1 b1 c1 a2 c2 a3 a4".split()
        self.assertEqual([data.strip() for data in self.written], expected)

    def test_turns_go_on(self) -> None:
        """A source whose turn was before a stop waits for the others; who had nothing waiting comes first."""
        self.outgoing.pauseProducing()
        self.pass_on(ALICE, b"a1\n", b"a2\n")
        self.pass_on(BOB, b"b1\n", b"b2\n")
        self.transport.full_at = 1
        self.outgoing.resumeProducing()
        self.pass_on(CAROL, b"c1\n")
        self.pass_on(ALICE, b"a3\n")
        self.outgoing.resumeProducing()
        self.assertEqual([data.strip() for data in self.written], b"a1 b1 c1 a2 b2 a3".split())

    def test_first_but_once(self) -> None:
        """Who sends a line as soon as the one before has left does not come first for ever."""
        self.outgoing.space_out(0.0)
        self.pass_on(ALICE, *[b"a\n"] * 9)
        for _ in range(10):
            if not self.outgoing._lanes.get(BOB) or not self.outgoing._lanes[BOB].lines:
                self.pass_on(BOB, b"b\n")
            self.clock.advance(PLAIN_SPACING_S)
        self.assertEqual(b"".join(self.written).replace(b"\n", b""), b"abababababa")

    def test_plain_peer(self) -> None:
        """9.5: to a plain peer lines of others leave 50 ms apart too, behind ours."""
        self.outgoing.space_out(0.0)
        self.pass_on(BOB, b"b1\n", b"b2\n")
        self.outgoing.write(b"own\n")
        self.pass_on(CAROL, b"c1\n")
        self.clock.advance(1.0)
        self.assertEqual(self.written, [b"b1\n", b"own\n", b"c1\n", b"b2\n"])
        for earlier_s, later_s in pairwise(self.times_s):
            self.assertGreaterEqual(later_s - earlier_s, PLAIN_SPACING_S - 1e-9)


class BoundTests(PassingOnTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.outgoing.pauseProducing()

    def test_lines_of_one_source(self) -> None:
        """One source fills its own share, is refused what is beyond, and hinders nobody."""
        self.assertEqual(self.fill(1), SOURCE_LINES)
        self.assertEqual((self.outgoing.refused, self.outgoing.taken), (1, SOURCE_LINES))
        self.pass_on(BOB, b"b\n")
        self.assertTrue(self.outgoing.write(b"own\n"))

    def test_spaced(self) -> None:
        """9.13: of others no more waits for a plain peer than leaves before its sources send it again."""
        self.outgoing.resumeProducing()
        self.outgoing.space_out(0.1)
        self.assertEqual((self.fill(1), self.fill(3)), (SPACED_SOURCE_LINES, SPACED_RELAYED_LINES // 2))
        self.clock.advance(4.1)
        self.assertEqual(self.outgoing.waiting, 0)

    def test_bytes_of_one_source(self) -> None:
        """The same for bytes, to the byte; a line that is shorter may still fit."""
        self.pass_on(BOB, b"x" * (SOURCE_BYTES - 2))
        self.assertFalse(self.outgoing.pass_on(b"xxx", BOB))
        self.pass_on(BOB, b"xx")
        self.assertFalse(self.outgoing.pass_on(b"x", BOB))
        self.pass_on(CAROL, b"x" * SOURCE_BYTES)

    def test_lines_of_all(self) -> None:
        """All sources together fill what is theirs; ours have the rest, and control lines theirs."""
        self.assertEqual(self.fill(10), RELAYED_LINES)
        for urgent, room in ((False, MAX_LINES - RELAYED_LINES), (True, URGENT_LINES)):
            taken = 0
            while self.outgoing.write(b"x", urgent):
                taken += 1
            self.assertEqual(taken, room)

    def test_bytes_of_all(self) -> None:
        """The same for bytes."""
        self.assertEqual(self.fill(10, SOURCE_BYTES), RELAYED_BYTES // SOURCE_BYTES)
        self.assertTrue(self.outgoing.write(b"x" * (MAX_BYTES - RELAYED_BYTES)))
        self.assertFalse(self.outgoing.write(b"x"))
        self.assertTrue(self.outgoing.write(b"x" * URGENT_BYTES, urgent=True))

    def test_behind_many_of_ours(self) -> None:
        """Where ours fill the queue there is no room for others: the bound is that of the whole."""
        while self.outgoing.write(b"x"):
            pass
        self.assertFalse(self.outgoing.pass_on(b"x", BOB))
        self.assertEqual((self.outgoing.waiting, self.outgoing.refused), (MAX_LINES, 2))

    def test_behind_many_bytes_of_ours(self) -> None:
        """The same for bytes."""
        self.outgoing.write(b"x" * (MAX_BYTES - 1))
        self.assertFalse(self.outgoing.pass_on(b"xx", BOB))
        self.pass_on(BOB, b"x")

    def test_room_again(self) -> None:
        """What left makes room, for its source and for all."""
        for _ in range(3):
            self.assertEqual(self.fill(10), RELAYED_LINES)
            self.outgoing.resumeProducing()
            self.outgoing.pauseProducing()
            self.assertEqual(self.fill(10, SOURCE_BYTES), RELAYED_BYTES // SOURCE_BYTES)
            self.outgoing.resumeProducing()
            self.outgoing.pauseProducing()

    def test_crowded(self) -> None:
        """Who has half of its share waiting, in lines or in bytes, should slow down; the others need not."""
        self.pass_on(CAROL, *[b"x"] * (SOURCE_LINES // 2 - 1))
        self.assertFalse(self.outgoing.is_crowded(CAROL))
        self.pass_on(CAROL, b"x")
        self.pass_on(BOB, b"x" * (SOURCE_BYTES // 2 - 1))
        self.assertEqual((self.outgoing.is_crowded(CAROL), self.outgoing.is_crowded(BOB)), (True, False))
        self.pass_on(BOB, b"x")
        self.assertTrue(self.outgoing.is_crowded(BOB))
        self.outgoing.resumeProducing()
        self.assertEqual((self.outgoing.is_crowded(CAROL), self.outgoing.is_crowded(BOB)), (False, False))

    def test_crowded_where_spaced(self) -> None:
        """The same where lines are spaced and fewer may wait."""
        self.outgoing.resumeProducing()
        self.outgoing.space_out(0.1)
        self.pass_on(BOB, *[b"x"] * (SPACED_SOURCE_LINES // 2 - 1))
        self.assertFalse(self.outgoing.is_crowded(BOB))
        self.pass_on(BOB, b"x")
        self.assertTrue(self.outgoing.is_crowded(BOB))


class LastTests(PassingOnTestCase):
    def test_behind_those_of_others(self) -> None:
        """A BYE goes behind all that waits, in the order in which it would have left; nothing after it."""
        self.outgoing.pauseProducing()
        self.pass_on(BOB, b"b1\n", b"b2\n")
        self.pass_on(CAROL, b"c1\n")
        self.outgoing.write(b"own\n")
        self.outgoing.write_last(b"BYE\n", within_s=1.0)
        self.assertFalse(self.outgoing.pass_on(b"b3\n", BOB))
        self.outgoing.resumeProducing()
        self.assertEqual([data.strip() for data in self.written], b"own b1 c1 b2 BYE".split())

    def test_to_a_plain_peer(self) -> None:
        """9.8: to a plain peer it leaves in time; of what waits, lines of others are given up first."""
        self.outgoing.space_out(0.0)
        self.pass_on(BOB, *[b"b%d\n" % number for number in range(SPACED_SOURCE_LINES)])
        for number in range(15):
            self.outgoing.write(b"%d\n" % number)
        self.outgoing.write_last(b"BYE\n", within_s=1.0)
        self.clock.advance(1.0 + 1e-6)
        ours = [b"%d\n" % number for number in range(15)]
        self.assertEqual(self.written, [b"b0\n", *ours, b"b1\n", b"b2\n", b"b3\n", b"b4\n", b"BYE\n"])
        self.assertEqual((self.outgoing.refused, self.outgoing.waiting), (SPACED_SOURCE_LINES - 5, 0))

    def test_closed(self) -> None:
        """A closed queue forgets what others had waiting and takes nothing of them."""
        empty: list[int] = []
        self.outgoing.pauseProducing()
        self.pass_on(BOB, b"b1\n")
        self.outgoing.when_empty(lambda: empty.append(1))
        self.outgoing.close()
        self.assertFalse(self.outgoing.pass_on(b"b2\n", BOB))
        self.outgoing.resumeProducing()
        self.assertEqual((self.written, empty, self.outgoing.waiting), ([], [], 0))

    def test_empty(self) -> None:
        """It is empty only once the lines of others are written too."""
        empty: list[int] = []
        self.outgoing.pauseProducing()
        self.pass_on(BOB, b"b1\n")
        self.outgoing.when_empty(lambda: empty.append(len(self.written)))
        self.assertEqual(empty, [])
        self.outgoing.resumeProducing()
        self.assertEqual(empty, [1])


#: What may happen to a queue: a line of some size from some source, or something around it.
steps = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["own", "urgent", "p0", "p1", "p2", "p3", "p4", "p5", "p6"]),
            st.sampled_from([1, 2000]),
            st.sampled_from([1, 2, 40]),
        ),
        st.tuples(st.sampled_from(["pause", "resume", "cork", "uncork", "wait"]), st.just(0), st.just(1)),
    ),
    max_size=30,
)


class Mirror:
    """Drives a queue, and notes what it took and what it must hold."""

    def __init__(self, outgoing: Outgoing) -> None:
        self.outgoing = outgoing
        self.took: dict[str, list[bytes]] = defaultdict(list)
        self.tried = 0

    def do(self, what: str, size: int, times: int) -> None:
        """Do one step."""
        calls = {
            "pause": self.outgoing.pauseProducing,
            "resume": self.outgoing.resumeProducing,
            "cork": self.outgoing.cork,
            "uncork": self.outgoing.uncork,
        }
        if what in calls:
            calls[what]()
            return
        for _ in range(times):
            self.tried += 1
            line = b"%s-%d-" % (what.encode(), self.tried) + b"x" * size + b"\n"
            if what.startswith("p"):
                taken = self.outgoing.pass_on(line, PeerId(f"{what}@UnB"))
            else:
                taken = self.outgoing.write(line, what == "urgent")
            if taken:
                self.took[what].append(line)


class AnyTests(PassingOnTestCase):
    @given(steps, st.booleans())
    def test_consistent(self, steps: list[tuple[str, int, int]], is_plain: bool) -> None:
        """Whatever comes when, nothing is lost or doubled, each source keeps its order, bounds hold."""
        self.transport.writes.clear()
        outgoing = Outgoing(self.transport, self.clock)
        if is_plain:
            outgoing.space_out(0.0)
        mirror = Mirror(outgoing)
        for step in steps:
            mirror.do(*step)
            if step[0] == "wait":
                self.clock.advance(0.07)
            self.assertLessEqual(outgoing.waiting, MAX_LINES + URGENT_LINES)
        outgoing.uncork()
        outgoing.resumeProducing()
        self.clock.advance((MAX_LINES + URGENT_LINES + 1) * PLAIN_SPACING_S)
        written = b"".join(self.written).splitlines(keepends=True)
        for source, lines in mirror.took.items():
            self.assertEqual([line for line in written if line.startswith(source.encode())], lines)
        self.assertEqual(len(written), outgoing.taken)
        self.assertEqual(outgoing.taken + outgoing.refused, mirror.tried)
        self.assertEqual(outgoing.waiting, 0)
        self.assert_full_room(outgoing)

    def assert_full_room(self, outgoing: Outgoing) -> None:
        """Assert that an empty queue counts nothing any more: it has room for all that it ever had."""
        outgoing.pauseProducing()
        for number in range(RELAYED_BYTES // SOURCE_BYTES):
            self.assertTrue(outgoing.pass_on(b"x" * SOURCE_BYTES, PeerId(f"q{number}@UnB")))
        self.assertTrue(outgoing.write(b"x" * (MAX_BYTES - RELAYED_BYTES)))
        self.assertTrue(outgoing.write(b"x" * URGENT_BYTES, urgent=True))
        self.assertFalse(outgoing.write(b"x", urgent=True))
        outgoing.close()
