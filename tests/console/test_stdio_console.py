"""The console in the foreground: its start, its end, and the files that it talks through."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import cast

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.addresses import Reactor
from p2pchat.console import stdio
from p2pchat.console.session import Session
from p2pchat.console.stdio import FAREWELL_S, LOOK_S, StdioConsole, StdioProtocol, is_null


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
