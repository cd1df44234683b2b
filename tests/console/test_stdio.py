"""Plain lines in, plain lines out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.addresses import Reactor
from p2pchat.console import stdio
from p2pchat.console.session import Session
from p2pchat.console.stdio import FAREWELL_S, LOOK_S, MAX_INPUT, StdioConsole, StdioProtocol, is_null

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


class FakeSession:
    """What a console needs of a session."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self.show = show
        self.taken: list[str] = []
        self.is_busy = False
        self.is_idle = True

    def take(self, line: str) -> None:
        self.taken.append(line)
        self.show(f"took {line}")


class ConsoleTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(stdio, "StandardIO", self._standard_io)
        self.clock = Clock()
        self.quits = 0
        self.stdin, self.keyboard = os.pipe()
        self.screen, self.stdout = os.pipe()
        for fd in (self.stdin, self.keyboard, self.screen, self.stdout):
            self.addCleanup(os.close, fd)

    def console(self, stdin: int | None = None) -> StdioConsole:
        """Make a console that is not yet started."""
        return StdioConsole(
            cast(Reactor, self.clock),
            banner=lambda: ["You are alice@UnB."],
            session=self._session,
            quit=self._quit,
            stdin=self.stdin if stdin is None else stdin,
            stdout=self.stdout,
        )

    def started(self, stdin: int | None = None) -> StdioConsole:
        """Make a console and start it; it has nothing of time left at the end."""
        console = self.console(stdin)
        self.start(console)
        return console

    def start(self, console: StdioConsole) -> None:
        console.startService()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.addCleanup(self.stop, console)

    def stop(self, console: StdioConsole) -> None:
        """Stop the console, if it runs, as its transport does it."""
        if console.running:
            stopped = console.stopService()
            self.lose()
            self.successResultOf(stopped)

    def lose(self) -> None:
        """Let the transport say that all is written."""
        self.protocol.connectionLost(Failure(ConnectionDone()))

    @property
    def shown(self) -> list[str]:
        """The lines on the screen."""
        data: bytes = self.transport.value()
        return data.decode().splitlines()

    def look(self, times: int = 1) -> None:
        """Let the console look how things are."""
        self.clock.pump([LOOK_S] * times)

    def _session(self, show: Callable[[str], None]) -> Session:
        self.session = FakeSession(show)
        return cast(Session, self.session)

    def _quit(self) -> None:
        self.quits += 1

    def _standard_io(self, protocol: StdioProtocol, stdin: int, stdout: int, reactor: object) -> None:
        """Make input and output non-blocking, as Twisted's does, but touch them no further."""
        for fd in (stdin, stdout):
            os.set_blocking(fd, False)
        self.protocol, self.transport = protocol, StringTransport()
        protocol.makeConnection(self.transport)


class ConsoleTests(ConsoleTestCase):
    def test_banner_and_lines(self) -> None:
        """The first lines say who one is; what was shown before there was a screen is nowhere."""
        console = self.console()
        self.session.show("nobody sees this")
        self.start(console)
        self.protocol.dataReceived(b"/status\n")
        self.assertEqual(self.shown, ["You are alice@UnB.", "took /status"])
        self.look(10)
        self.assertEqual((self.session.taken, self.quits), (["/status"], 0))

    def test_room_is_looked_for(self) -> None:
        """Lines that wait for a busy session are taken soon after it is not busy any more."""
        self.started()
        self.session.is_busy = True
        self.protocol.dataReceived(b"one\ntwo\n")
        self.look(5)
        self.assertEqual(self.session.taken, [])
        self.session.is_busy = False
        self.look()
        self.assertEqual(self.session.taken, ["one", "two"])

    def test_end_of_input(self) -> None:
        """At the end of input the program ends, but only after nothing waits for its outcome."""
        self.started()
        self.session.is_idle = False
        self.protocol.dataReceived(b"/msg @bob bye")
        self.protocol.readConnectionLost()
        self.look(20)
        self.assertEqual((self.session.taken, self.quits), (["/msg @bob bye"], 0))
        self.session.is_idle = True
        self.look()
        self.assertEqual(self.quits, 1)

    def test_null_input(self) -> None:
        """The end of an input that never was one, such as /dev/null, ends nothing."""
        null = os.open(os.devnull, os.O_RDONLY)
        self.addCleanup(os.close, null)
        self.started(stdin=null)
        self.protocol.readConnectionLost()
        self.look(20)
        self.assertEqual(self.quits, 0)

    def test_unread_output(self) -> None:
        """Where nobody reads the output any more, the program ends."""
        self.started()
        self.protocol.writeConnectionLost()
        self.assertEqual(self.quits, 1)

    def test_stop_before_start(self) -> None:
        """A console that never ran has nothing to leave."""
        self.successResultOf(self.console().stopService())


class FarewellTests(ConsoleTestCase):
    def test_blocking_is_restored(self) -> None:
        """At the end input and output block, or do not, as they did before."""
        os.set_blocking(self.stdout, False)
        console = self.started()
        self.assertFalse(os.get_blocking(self.stdin))
        self.stop(console)
        self.assertEqual((os.get_blocking(self.stdin), os.get_blocking(self.stdout)), (True, False))

    def test_waits_for_the_output(self) -> None:
        """The end waits until all is written, and shows nothing more."""
        console = self.started()
        stopped = console.stopService()
        self.assertNoResult(stopped)
        self.session.show("too late")
        self.assertEqual(self.shown, ["You are alice@UnB."])
        self.assertTrue(self.transport.disconnecting)
        self.lose()
        self.successResultOf(stopped)

    def test_does_not_wait_for_ever(self) -> None:
        """Output that nobody reads holds the end up for a second at most; blocking is restored too."""
        console = self.started()
        stopped = console.stopService()
        self.clock.advance(FAREWELL_S)
        self.successResultOf(stopped)
        self.assertTrue(os.get_blocking(self.stdout))

    def test_left_out_lines_are_told_at_the_end(self) -> None:
        """Lines that were left out are told at the end at the latest."""
        console = self.started()
        self.protocol.pauseProducing()
        self.session.show("nobody reads this")
        self.stop(console)
        self.assertEqual(self.shown[1:], ["* 1 line was left out here: the output was not read in time"])


class NullTests(SynchronousTestCase):
    def test_devices(self) -> None:
        """/dev/null and what is closed are no input; pipes, files and terminals are."""
        with open(os.devnull, "rb") as null, tempfile.TemporaryFile() as file:
            self.assertEqual((is_null(null.fileno()), is_null(file.fileno())), (True, False))
        reader, writer = os.pipe()
        controller, terminal = os.openpty()
        for fd in (reader, writer, controller, terminal):
            self.addCleanup(os.close, fd)
        self.assertEqual((is_null(reader), is_null(terminal), is_null(-1)), (False, False, True))
