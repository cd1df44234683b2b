"""The full terminal of a peer in the foreground: the program that is also behind ``p2pchat attach``."""

from __future__ import annotations

import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat.control.listening import ControlService
from p2pchat.language import tr

#: Seconds that it may take to end once the connection with it has ended; then it is ended.
FAREWELL_S = 2.0


class TerminalConsole(Service):
    """Runs the terminal as a process of its own. `tap.makeService` creates it below the node.

    Where it cannot be run, or fails, the plain console takes its place: the peer goes on.

    :param reactor: one that can start processes.
    :param folder: the state folder of the peer.
    :param control: what the terminal connects to; it is started before.
    :param otherwise: the plain console.
    :param quit: ends the program.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        folder: Path,
        control: ControlService,
        *,
        otherwise: Service,
        quit: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._folder = folder
        self._control = control
        self._otherwise = otherwise
        self._quit = quit
        self._process: Any = None
        self._ended: Deferred[None] = Deferred()

    def startService(self) -> None:
        """Start it."""
        super().startService()
        if not self._control.is_listening:  # the log says why
            self._be_plain()
            return
        self._was = termios.tcgetattr(0)
        # Not with -m alone: that would import what lies around in the present folder.
        command = [sys.executable, "-P", "-m", "p2pchat.terminal", str(self._folder)]
        child = _Child(self._has_ended)
        self._process = self._reactor.spawnProcess(
            child, sys.executable, command, env=None, childFDs={0: 0, 1: 1, 2: 2}
        )

    def stopService(self) -> Deferred[None]:
        """Wait until it has left the terminal, which it does when its connection ends."""
        super().stopService()
        if self._process is None:
            return succeed(None)
        self._ended.addTimeout(FAREWELL_S, self._reactor).addErrback(lambda _: self._end())
        return self._ended

    def _has_ended(self, reason: Failure) -> None:
        self._process = None
        if not self._ended.called:
            self._ended.callback(None)
        if not self.running:
            return
        if reason.check(ProcessDone):
            self._quit()
            return
        why = reason.getErrorMessage().rstrip(".")
        self._log.error("the terminal failed: {why}", why=why)
        told = tr("The terminal failed: {why}. From here on there are plain lines.").format(why=why)
        self._restore(f"{told}\n")
        self._be_plain()

    def _be_plain(self) -> None:
        self._otherwise.setServiceParent(self.parent)

    def _end(self) -> None:
        """End what does not end, and leave the terminal as it was."""
        if self._process is not None:
            self._process.signalProcess("KILL")
            self._restore("")

    def _restore(self, text: str) -> None:
        """Undo what a terminal that was killed could not, and say something."""
        from prompt_toolkit.output import create_output  # only here, since the peer needs none of it else

        output = create_output(sys.__stdout__)
        output.quit_alternate_screen()
        output.disable_bracketed_paste()
        output.show_cursor()
        output.write_raw(text)
        with suppress(OSError, termios.error):  # the window may have been closed
            output.flush()
            termios.tcsetattr(0, termios.TCSADRAIN, self._was)


class _Child(ProcessProtocol):
    """The process of the terminal.

    :param ended: takes how it ended.
    """

    def __init__(self, ended: Callable[[Failure], None]) -> None:
        self._ended = ended

    def processEnded(self, reason: Failure) -> None:
        """Tell it."""
        self._ended(reason)
