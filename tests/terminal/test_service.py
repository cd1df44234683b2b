"""The process of the terminal of a peer in the foreground."""

from __future__ import annotations

import os
import pty
import sys
import termios
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.application.service import MultiService, Service
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.terminal.service import FAREWELL_S, TerminalConsole


class Starter(Clock):
    """A reactor that notes which process it should start."""

    def __init__(self) -> None:
        super().__init__()
        self.commands: list[list[str]] = []
        self.signals: list[str] = []

    def spawnProcess(self, protocol: Any, path: str, command: list[str], **how: Any) -> Starter:
        """Note it."""
        self.protocol = protocol
        self.commands.append(command)
        return self

    def signalProcess(self, name: str) -> None:
        """Note it."""
        self.signals.append(name)

    def ends(self, problem: Exception) -> None:
        """The process ends."""
        self.protocol.processEnded(Failure(problem))


class TerminalConsoleTests(SynchronousTestCase):
    def setUp(self) -> None:
        ours, theirs = pty.openpty()
        for fd in (ours, theirs):
            self.addCleanup(os.close, fd)
        self.ours = ours
        self.terminal = theirs
        tcgetattr, tcsetattr = termios.tcgetattr, termios.tcsetattr
        self.patch(termios, "tcgetattr", lambda fd: tcgetattr(theirs))
        self.patch(termios, "tcsetattr", lambda fd, when, was: tcsetattr(theirs, when, was))
        self.file = os.fdopen(os.dup(theirs), "w")
        self.addCleanup(self.file.close)
        self.patch(sys, "__stdout__", self.file)
        self.reactor = Starter()
        self.control = mock.Mock(is_listening=True)
        self.plain = Service()
        self.quits = 0
        self.node = MultiService()
        self.console = TerminalConsole(
            self.reactor, Path("/place"), self.control, otherwise=self.plain, quit=self._quit
        )
        self.console.setServiceParent(self.node)

    def _quit(self) -> None:
        self.quits += 1

    def test_runs(self) -> None:
        """It is started with the peer, in its folder; when the user leaves it the peer ends."""
        self.node.startService()
        self.assertEqual([command[-1] for command in self.reactor.commands], ["/place"])
        self.assertFalse(self.plain.running)
        self.reactor.ends(ProcessDone(None))
        self.assertEqual((self.quits, self.plain.running), (1, False))
        self.successResultOf(self.node.stopService())

    def test_fails(self) -> None:
        """When it fails the user reads so, and the plain console goes on."""
        self.node.startService()
        changed = termios.tcgetattr(self.terminal)
        changed[3] &= ~termios.ECHO
        termios.tcsetattr(self.terminal, termios.TCSANOW, changed)
        self.reactor.ends(ProcessTerminated(signal=9))
        self.assertEqual((self.quits, self.plain.running), (0, True))
        self.assertIn(b"The terminal failed: A process has ended", os.read(self.ours, 10_000))
        self.assertTrue(termios.tcgetattr(self.terminal)[3] & termios.ECHO)
        self.successResultOf(self.node.stopService())

    def test_window_closed(self) -> None:
        """Where the window is gone there is nothing to leave as it was, and nothing goes wrong."""
        self.node.startService()
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, self.ours)  # closes the window, and is closed as the window would be
        os.close(null)
        self.reactor.ends(ProcessTerminated(signal=1))
        self.assertTrue(self.plain.running)
        self.successResultOf(self.node.stopService())
        os.dup2(self.ours, self.file.fileno())  # what could not be written goes nowhere

    def test_no_socket(self) -> None:
        """Where there is no control socket there are plain lines from the beginning."""
        self.control.is_listening = False
        self.node.startService()
        self.assertEqual((self.reactor.commands, self.plain.running), ([], True))
        self.successResultOf(self.node.stopService())

    def test_stops(self) -> None:
        """When the peer stops it waits until the terminal is left; not for ever."""
        self.node.startService()
        stopped = self.node.stopService()
        self.assertNoResult(stopped)
        self.reactor.ends(ProcessDone(None))
        self.successResultOf(stopped)
        self.assertEqual((self.quits, self.reactor.signals), (0, []))

    def test_does_not_end(self) -> None:
        """One that does not end is ended, and the terminal left as it was."""
        self.node.startService()
        stopped = self.node.stopService()
        self.reactor.advance(FAREWELL_S)
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.signals, ["KILL"])
        self.reactor.ends(ProcessTerminated(signal=9))
        self.assertEqual((self.quits, self.plain.running), (0, False))

    def test_log(self) -> None:
        """Why it failed is in the log, once."""
        with mock.patch.object(Logger, "error") as error:
            self.node.startService()
            self.reactor.ends(ProcessTerminated(exitCode=1))
        self.assertEqual(error.call_count, 1)
