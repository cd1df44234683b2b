"""Plain lines in, plain lines out: the protocol of the console."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.console.stdio import MAX_INPUT, StdioProtocol

TOO_LONG = f"A line has at most {MAX_INPUT} bytes. Nothing was sent."


class Desk:
    """A protocol with a transport in memory; takes notes of what it takes.

    :param room: lines that may be taken; None for any number.
    """

    def __init__(self, encoding: str = "utf-8", room: int | None = None) -> None:
        self.taken: list[str] = []
        self.room = room
        self.is_ended = False
        self.times_unread = 0
        self.transport = StringTransport()
        self.protocol = StdioProtocol(
            encoding=encoding,
            take=self._take,
            may_take=lambda: self.room is None or self.room > 0,
            ended=self._end,
            unread=self._unread,
        )
        self.protocol.makeConnection(self.transport)

    @property
    def shown(self) -> list[str]:
        """The lines on the screen."""
        data: bytes = self.transport.value()
        return data.decode().splitlines()

    @property
    def reads(self) -> bool:
        """Whether more input is read."""
        return self.transport.producerState == "producing"

    def type(self, data: bytes, chunk: int = 1 << 20) -> None:
        """Let bytes arrive."""
        for start in range(0, len(data), chunk):
            self.protocol.dataReceived(data[start : start + chunk])

    def make_room(self, lines: int) -> None:
        """Let more lines be taken, as soon as it is looked."""
        self.room = lines
        self.protocol.pump()

    def _take(self, line: str) -> None:
        self.taken.append(line)
        if self.room is not None:
            self.room -= 1

    def _end(self) -> None:
        self.is_ended = True

    def _unread(self) -> None:
        self.times_unread += 1


class InputTests(SynchronousTestCase):
    def test_chunks(self) -> None:
        """However the input is cut, its lines are taken in order, also those that are longer than a chunk."""
        for chunk in range(1, 10):
            desk = Desk()
            desk.type("/msg @bob olá\r\n\nção \U0001f600\n/quit\n".encode(), chunk)
            self.assertEqual(desk.taken, ["/msg @bob olá", "", "ção \U0001f600", "/quit"])
            self.assertEqual((desk.shown, desk.is_ended), ([], False))

    @given(
        st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]))),
        st.integers(1, 99),
    )
    def test_any_lines(self, lines: list[str], chunk: int) -> None:
        """Any lines at all arrive as they were typed."""
        desk = Desk()
        desk.type("".join(f"{line}\n" for line in lines).encode(), chunk)
        self.assertEqual(desk.taken, lines)

    @given(st.binary(), st.integers(1, 9))
    def test_any_bytes(self, data: bytes, chunk: int) -> None:
        """Of any bytes at all each line is taken or refused, in their order, and none is forgotten."""
        desk = Desk()
        desk.type(data + b"\n", chunk)
        self.assertEqual(len(desk.taken) + len(desk.shown), data.count(b"\n") + 1)

    def test_not_text(self) -> None:
        """A line that is not of the encoding is refused, and the next one is taken."""
        desk = Desk()
        desk.type(b"/msg @bob \xff\xfe\n/status\n")
        self.assertEqual(desk.shown, ["That was not utf-8 text. Nothing was sent."])
        self.assertEqual(desk.taken, ["/status"])

    def test_another_encoding(self) -> None:
        """Input and output have the encoding of the terminal; what it lacks is written as its number."""
        desk = Desk("latin-1")
        desk.type("olá\n".encode("latin-1"))
        desk.protocol.show("olá 日")
        self.assertEqual(desk.taken, ["olá"])
        self.assertEqual(desk.transport.value(), "olá \\u65e5\n".encode("latin-1"))

    def test_longest_line(self) -> None:
        """A line of just the longest length is taken."""
        desk = Desk()
        desk.type(b"x" * MAX_INPUT + b"\n", 65536)
        self.assertEqual(([len(line) for line in desk.taken], desk.shown), ([MAX_INPUT], []))

    def test_too_long(self) -> None:
        """A line that is too long is refused once, however long it is, and the next one is taken."""
        for size in (MAX_INPUT + 1, 3 * 1024 * 1024):
            desk = Desk()
            desk.type(b"x" * size + b"\n/status\n", 65536)
            self.assertEqual((desk.shown, desk.taken), ([TOO_LONG], ["/status"]))


class EndOfInputTests(SynchronousTestCase):
    def test_last_line(self) -> None:
        """A last line without a line end is taken before the end is told."""
        desk = Desk()
        desk.type(b"one\ntwo")
        self.assertEqual(desk.taken, ["one"])
        desk.protocol.readConnectionLost()
        self.assertEqual((desk.taken, desk.is_ended), (["one", "two"], True))

    def test_no_last_line(self) -> None:
        """Where the last line has its end, or there was no input at all, nothing is made up."""
        for data in (b"", b"one\n"):
            desk = Desk()
            desk.type(data)
            desk.protocol.readConnectionLost()
            self.assertEqual((desk.taken, desk.is_ended), (["one"] * (data != b""), True))

    def test_too_long_a_last_line(self) -> None:
        """A last line that is too long is refused before the end is told."""
        desk = Desk()
        desk.type(b"x" * (MAX_INPUT + 1), 65536)
        desk.protocol.readConnectionLost()
        self.assertEqual((desk.shown, desk.taken, desk.is_ended), ([TOO_LONG], [], True))

    def test_busy(self) -> None:
        """The end is told only after every line was taken."""
        desk = Desk(room=1)
        desk.type(b"one\ntwo\nthree")
        desk.protocol.readConnectionLost()
        self.assertEqual((desk.taken, desk.is_ended), (["one"], False))
        desk.make_room(1)
        self.assertEqual((desk.taken, desk.is_ended), (["one", "two"], False))
        desk.make_room(2)
        self.assertEqual((desk.taken, desk.is_ended), (["one", "two", "three"], True))


class BackPressureTests(SynchronousTestCase):
    def test_pauses_and_resumes(self) -> None:
        """Without room no more is read, what was read is kept in order, and with room it goes on."""
        desk = Desk(room=2)
        desk.type(b"1\n2\n")
        self.assertTrue(desk.reads)
        desk.type(b"3\n4\n5\n6")
        self.assertEqual((desk.taken, desk.reads), (["1", "2"], False))
        desk.make_room(2)
        self.assertEqual((desk.taken, desk.reads), (["1", "2", "3", "4"], False))
        desk.make_room(2)
        self.assertEqual((desk.taken, desk.reads), (["1", "2", "3", "4", "5"], True))
        desk.type(b"\n")
        self.assertEqual(desk.taken[-1], "6")

    def test_refusals_keep_their_place(self) -> None:
        """What is refused is refused in its turn, not before the lines that wait."""
        desk = Desk(room=1)
        desk.type(b"1\n2\n\xff\n")
        self.assertEqual(desk.shown, [])
        desk.make_room(2)
        self.assertEqual((desk.taken, len(desk.shown)), (["1", "2"], 1))


class OutputTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """What is shown is written as lines."""
        desk = Desk()
        desk.protocol.show("one")
        desk.protocol.show("two \ud800")
        self.assertEqual(desk.transport.value(), b"one\ntwo \\ud800\n")

    def test_output_full(self) -> None:
        """Lines that nobody reads are left out and counted, and the count is told when there is room."""
        for left_out, words in ((1, "1 line was"), (3, "3 lines were")):
            desk = Desk()
            desk.protocol.show("before")
            producer = desk.protocol
            self.assertIs(desk.transport.producer, producer)
            producer.pauseProducing()
            for number in range(left_out):
                desk.protocol.show(f"line {number}")
            self.assertEqual(desk.shown, ["before"])
            producer.resumeProducing()
            desk.protocol.show("after")
            told = f"* {words} left out here: the output was not read in time"
            self.assertEqual(desk.shown, ["before", told, "after"])
            producer.pauseProducing()
            producer.resumeProducing()
            self.assertEqual(len(desk.shown), 3)

    def test_unread(self) -> None:
        """Where nobody reads any more, that is told, and what is still shown does no harm."""
        desk = Desk()
        desk.protocol.stopProducing()
        desk.protocol.writeConnectionLost()
        desk.protocol.show("too late")
        self.assertEqual(desk.times_unread, 1)
