"""Lines of one link, taken in turns with those of the others (docs/protocol.md, section 5)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.links.intake import LINES_A_TURN, Intake
from p2pchat.protocol.framing import LineBuffer, TooLong
from p2pchat.testing import HeapClock


class SwitchTransport(StringTransport):
    """Notes when its reading is switched; the same twice is a mistake of the intake's."""

    is_reading = True

    def __init__(self) -> None:
        super().__init__()
        self.switched = 0

    def pauseProducing(self) -> None:
        """Read nothing."""
        assert self.is_reading, "paused twice"
        self.is_reading = False
        self.switched += 1

    def resumeProducing(self) -> None:
        """Read again."""
        assert not self.is_reading, "resumed without a pause"
        self.is_reading = True
        self.switched += 1


class Taker:
    """Takes lines as a link does: until it holds itself up. Its test makes it.

    :param holds_s: how long to hold on after which line, by the number of the line.
    """

    def __init__(self, clock: HeapClock, holds_s: dict[int, float] | None = None) -> None:
        self.clock = clock
        self.transport = SwitchTransport()
        self.intake = Intake(self.transport, clock, self.take)
        self.holds_s = holds_s or {}
        self.lines: list[bytes | TooLong] = []
        #: How many lines each turn took, and when each turn was.
        self.turns: list[int] = []
        self.times_s: list[float] = []

    def take(self, lines: list[bytes | TooLong]) -> int:
        """Take lines."""
        taken = 0
        for line in lines:
            if self.intake.is_held:
                break
            taken += 1
            self.lines.append(line)
            hold_s = self.holds_s.get(len(self.lines))
            if hold_s is not None:
                self.intake.hold(hold_s)
        self.turns.append(taken)
        self.times_s.append(self.clock.seconds())
        return taken


class NamedTaker(Taker):
    """Notes its turns among those of others."""

    def __init__(self, clock: HeapClock, order: list[str], name: str) -> None:
        super().__init__(clock)
        self.order = order
        self.name = name

    def take(self, lines: list[bytes | TooLong]) -> int:
        """Take lines."""
        self.order.append(self.name)
        return super().take(lines)


def numbered(count: int) -> bytes:
    """Return so many lines, each its own number."""
    return b"".join(b"%d\n" % number for number in range(count))


class IntakeTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = HeapClock()
        self.addCleanup(self.assert_clean)

    def assert_clean(self) -> None:
        """Nothing is left on the clock."""
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def taker(self, holds_s: dict[int, float] | None = None) -> Taker:
        return Taker(self.clock, holds_s)

    def assert_all_taken(self, taker: Taker, count: int) -> None:
        """Assert that all numbered lines were taken, in order, and that more is read now."""
        self.assertEqual(taker.lines, [b"%d" % number for number in range(count)])
        self.assertTrue(taker.transport.is_reading)


class TurnTests(IntakeTestCase):
    def test_few(self) -> None:
        """As many lines as one turn has are taken at once, and reading goes on."""
        taker = self.taker()
        taker.intake.feed(numbered(LINES_A_TURN))
        self.assert_all_taken(taker, LINES_A_TURN)
        self.assertEqual((taker.turns, taker.transport.switched), ([LINES_A_TURN], 0))

    def test_many(self) -> None:
        """Of more lines one turn's are taken; nothing is read until the last of them had its turn."""
        taker = self.taker()
        count = 2 * LINES_A_TURN + 1
        taker.intake.feed(numbered(count))
        self.assertEqual((taker.turns, taker.transport.is_reading), ([LINES_A_TURN], False))
        self.clock.advance(0.0)
        self.assert_all_taken(taker, count)
        self.assertEqual((taker.turns, taker.transport.switched), ([LINES_A_TURN, LINES_A_TURN, 1], 2))

    def test_the_others_have_their_turn(self) -> None:
        """Between two turns of a link that sends much, another has its own."""
        order: list[str] = []
        greedy, other = (NamedTaker(self.clock, order, name) for name in ("greedy", "other"))
        greedy.intake.feed(numbered(3 * LINES_A_TURN))
        other.intake.feed(numbered(2 * LINES_A_TURN))
        self.clock.advance(0.0)
        self.assertEqual(order, ["greedy", "other", "greedy", "other", "greedy"])

    def test_data_while_paused(self) -> None:
        """What a transport still brings though it was told to pause is taken behind what waits."""
        taker = self.taker()
        lines = numbered(3 * LINES_A_TURN)
        cut = len(numbered(LINES_A_TURN + 5)) - 1
        taker.intake.feed(lines[:cut])
        taker.intake.feed(lines[cut:])
        self.assertEqual(taker.turns, [LINES_A_TURN])
        self.clock.advance(0.0)
        self.assert_all_taken(taker, 3 * LINES_A_TURN)

    def test_part_of_a_line(self) -> None:
        """Where the end of a line is to come, nothing is taken, and reading goes on."""
        taker = self.taker()
        taker.intake.feed(b"half")
        self.assertEqual((taker.turns, taker.transport.switched), ([], 0))
        taker.intake.feed(b" and half\n")
        self.assertEqual(taker.lines, [b"half and half"])

    def test_too_long(self) -> None:
        """A line that is too long stands in its place among the others."""
        taker = self.taker()
        taker.intake.feed(b"a\n" + b"x" * 40_000 + b"\nb\n")
        self.assertEqual(taker.lines, [b"a", TooLong(), b"b"])


class HoldTests(IntakeTestCase):
    def test_in_a_turn(self) -> None:
        """A hold ends the turn behind the line that caused it; the next line comes when it is over."""
        taker = self.taker({3: 0.05})
        taker.intake.feed(numbered(10))
        self.assertEqual((taker.turns, taker.transport.is_reading), ([3], False))
        self.clock.advance(0.049)
        self.assertEqual(taker.turns, [3])
        self.clock.advance(0.002)
        self.assert_all_taken(taker, 10)

    def test_behind_the_last_line(self) -> None:
        """A hold with nothing waiting keeps the link from being read, for as long as it lasts."""
        taker = self.taker({10: 0.05})
        taker.intake.feed(numbered(10))
        self.assertFalse(taker.transport.is_reading)
        self.clock.advance(0.06)
        self.assert_all_taken(taker, 10)
        self.assertEqual(taker.transport.switched, 2)

    def test_outside_of_a_turn(self) -> None:
        """A hold may come because of something else; what arrives meanwhile waits."""
        taker = self.taker()
        taker.intake.hold(0.05)
        self.assertFalse(taker.transport.is_reading)
        taker.intake.feed(numbered(2))
        self.assertEqual(taker.turns, [])
        self.clock.advance(0.06)
        self.assert_all_taken(taker, 2)

    def test_between_turns(self) -> None:
        """A hold between two turns puts the second off."""
        taker = self.taker()
        taker.intake.feed(numbered(LINES_A_TURN + 1))
        taker.intake.hold(0.05)
        self.clock.advance(0.04)
        self.assertEqual(len(taker.lines), LINES_A_TURN)
        self.clock.advance(0.02)
        self.assert_all_taken(taker, LINES_A_TURN + 1)

    def test_twice_in_a_turn(self) -> None:
        """Of two holds in one turn the longer one counts."""
        taker = self.taker()
        take = taker.take

        def hold_twice(lines: list[bytes | TooLong]) -> int:
            if not taker.turns:
                taker.intake.hold(0.2)
                taker.intake.hold(0.05)
                taker.turns.append(0)
                return 0
            return take(lines)

        self.patch(taker.intake, "_take", hold_twice)
        taker.intake.feed(numbered(1))
        self.clock.advance(0.19)
        self.assertEqual(taker.lines, [])
        self.clock.advance(0.02)
        self.assert_all_taken(taker, 1)

    def test_twice(self) -> None:
        """A hold during a hold makes it longer, and pauses nothing twice."""
        taker = self.taker()
        taker.intake.hold(0.05)
        self.clock.advance(0.04)
        taker.intake.hold(0.05)
        taker.intake.feed(numbered(1))
        self.clock.advance(0.04)
        self.assertEqual(taker.lines, [])
        self.clock.advance(0.06)
        self.assert_all_taken(taker, 1)
        self.assertEqual(taker.transport.switched, 2)

    def test_each_line_holds(self) -> None:
        """A neighbour each of whose lines holds it up is still read, a line at a time."""
        taker = self.taker(dict.fromkeys(range(1, 101), 0.05))
        taker.intake.feed(numbered(100))
        self.clock.advance(10.0)
        self.assert_all_taken(taker, 100)
        self.assertAlmostEqual(taker.times_s[-1], 99 * 0.05)


class EndTests(IntakeTestCase):
    """The connection is gone: what it brought before counts, and nobody waits for more."""

    def test_all_at_once(self) -> None:
        """What waits is taken at once, in order, whatever holds it up."""
        taker = self.taker({40: 0.05, 41: 0.05, 100: 0.05})
        taker.intake.feed(numbered(100))
        taker.intake.end()
        self.assertEqual(taker.lines, [b"%d" % number for number in range(100)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_in_a_hold(self) -> None:
        """What waits for the end of a hold is taken too."""
        taker = self.taker()
        taker.intake.hold(0.05)
        taker.intake.feed(numbered(2))
        taker.intake.end()
        self.assertEqual((len(taker.lines), self.clock.getDelayedCalls()), (2, []))

    def test_nothing_waits(self) -> None:
        """With nothing waiting nothing is taken; the part of a line is none."""
        taker = self.taker()
        taker.intake.feed(b"part")
        taker.intake.end()
        self.assertEqual(taker.turns, [])

    def test_too_late(self) -> None:
        """What comes after the end does nothing, a hold neither: there is nobody to be held up."""
        taker = self.taker()
        taker.intake.end()
        taker.intake.end()
        taker.intake.feed(numbered(1))
        taker.intake.hold(0.05)
        self.assertEqual((taker.turns, taker.intake.waiting), ([], 0))
        self.assertEqual((self.clock.getDelayedCalls(), taker.transport.switched), ([], 0))

    def test_in_a_turn(self) -> None:
        """A connection that ends in the middle of a turn, held up or not, leaves nothing behind."""
        for hold_s in (0.0, 0.05):
            taker = self.taker()

            def end(_lines: list[bytes | TooLong], taker: Taker = taker, hold_s: float = hold_s) -> int:
                taker.intake.hold(hold_s)
                taker.intake.end()
                return 1

            self.patch(taker.intake, "_take", end)
            taker.intake.feed(numbered(2))
            self.assertEqual((self.clock.getDelayedCalls(), taker.transport.switched), ([], 0))


#: Streams of lines: short ones, empty ones, a few that are too long, and an end that is none.
streams = st.lists(
    st.sampled_from([b"", b"a", b"bc", b"\r", b"line\r", b"x" * 33_000]) | st.binary(max_size=5), max_size=150
).map(b"\n".join)


class AnyTests(IntakeTestCase):
    @given(
        streams,
        st.lists(st.integers(1, 200), max_size=20),
        st.dictionaries(st.integers(1, 150), st.sampled_from([0.0, 0.01, 0.05]), max_size=10),
        st.lists(st.sampled_from([0.0, 0.003, 0.05]), min_size=1, max_size=20),
    )
    def test_nothing_lost_nothing_twice(
        self, stream: bytes, cuts: list[int], holds_s: dict[int, float], waits_s: list[float]
    ) -> None:
        """However a stream is cut, and whatever holds it up, each line is taken once, in order."""
        expected = LineBuffer().feed(stream)
        taker = self.taker(holds_s)
        pieces = list(stream)
        for number, cut in enumerate(cuts):
            taker.intake.feed(bytes(pieces[:cut]))
            del pieces[:cut]
            self.clock.advance(waits_s[number % len(waits_s)])
        taker.intake.feed(bytes(pieces))
        self.clock.advance(60.0)
        self.assertEqual(taker.lines, expected)
        self.assertLessEqual(max(taker.turns, default=0), LINES_A_TURN)
        self.assertTrue(taker.transport.is_reading)

    @given(
        streams,
        st.lists(
            st.one_of(
                st.integers(1, 200),
                st.sampled_from([0.0, 0.01, 0.05]).map(lambda seconds: ("hold", seconds)),
                st.sampled_from([0.0, 0.01, 0.05]).map(lambda seconds: ("wait", seconds)),
            ),
            max_size=30,
        ),
    )
    def test_whatever_happens(self, stream: bytes, steps: list[int | tuple[str, float]]) -> None:
        """Whatever comes when, of a connection that ends all lines were taken, none twice."""
        taker = self.taker()
        fed = 0
        for step in steps:
            if isinstance(step, int):
                taker.intake.feed(stream[fed : fed + step])
                fed = min(len(stream), fed + step)
            elif step[0] == "hold":
                taker.intake.hold(step[1])
            else:
                self.clock.advance(step[1])
        taker.intake.end()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(taker.lines, LineBuffer().feed(stream[:fed]))
