"""Plain lines in, plain lines out: for pipes, scripts and simple terminals."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.stdio import StandardIO
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.addresses import Reactor
from p2pchat.console.session import Session
from p2pchat.language import ntr, tr
from p2pchat.protocol.framing import LineBuffer, TooLong

#: The longest line that is read, in bytes: more than any message, so that the message is what is refused.
MAX_INPUT = 256 * 1024

#: How often it is looked whether more input may be read, and at its end whether all is done, in seconds.
LOOK_S = 0.02

#: Seconds that the last output may take before the program ends all the same.
FAREWELL_S = 1.0


@implementer(IHalfCloseableProtocol, IPushProducer)
class StdioProtocol(Protocol):
    """Reads commands and writes lines. `StdioConsole` creates, owns and ends it.

    :param take: takes a line of input.
    :param may_take: whether another line may be taken now.
    :param ended: called when the input has ended and every line was taken, and whenever that is looked at.
    :param unread: called once when nobody reads our output any more.
    """

    def __init__(
        self,
        *,
        encoding: str,
        take: Callable[[str], None],
        may_take: Callable[[], bool],
        ended: Callable[[], None],
        unread: Callable[[], None],
    ) -> None:
        self.closed: Deferred[None] = Deferred()
        self._encoding = encoding
        self._take = take
        self._may_take = may_take
        self._ended = ended
        self._unread = unread
        self._buffer = LineBuffer(limit=MAX_INPUT)
        #: Lines that wait until there is room for what they ask for; reading stops meanwhile.
        self._lines: deque[bytes | TooLong] = deque()
        self._input_over = False
        self._output_full = False
        #: Lines for the user that were left out because nobody read the ones before.
        self._left_out = 0

    def connectionMade(self) -> None:
        """Ask to be told when the output is not read."""
        assert self.transport is not None
        self.transport.registerProducer(self, True)  # type: ignore[attr-defined]

    def show(self, line: str) -> None:
        """Write one line, unless the output is full."""
        if self._output_full:
            self._left_out += 1
        else:
            self._write(line)

    def dataReceived(self, data: bytes) -> None:
        """Take what was typed."""
        self._lines.extend(self._buffer.feed(data))
        self.pump()

    def readConnectionLost(self) -> None:
        """The input has ended, maybe without a last line end."""
        self._input_over = True
        rest = self._buffer.take_rest()
        if rest:
            self._lines.append(rest)
        self.pump()

    def writeConnectionLost(self) -> None:
        """Nobody reads our output."""
        self._unread()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """All is written."""
        self.closed.callback(None)

    def pump(self) -> None:
        """Take lines as long as there is room for what they ask for."""
        while self._lines and self._may_take():
            self._take_one(self._lines.popleft())
        if self._input_over:
            if not self._lines:
                self._ended()
        elif self._lines:
            self.transport.pauseProducing()  # type: ignore[union-attr]
        else:
            self.transport.resumeProducing()  # type: ignore[union-attr]

    def pauseProducing(self) -> None:
        """The output is full."""
        self._output_full = True

    def resumeProducing(self) -> None:
        """There is room for output again."""
        self._output_full = False
        self.tell_left_out()

    def tell_left_out(self) -> None:
        """Say how much is missing at this place, if anything is."""
        if self._left_out:
            told = ntr(
                "* {n} line was left out here: the output was not read in time",
                "* {n} lines were left out here: the output was not read in time",
                self._left_out,
            )
            self._write(told.format(n=self._left_out))
            self._left_out = 0

    def stopProducing(self) -> None:
        """The output is gone."""

    def _take_one(self, line: bytes | TooLong) -> None:
        if isinstance(line, TooLong):
            if not line.endless:  # that was told when it became too long
                self.show(tr("A line has at most {n} bytes. Nothing was sent.").format(n=MAX_INPUT))
            return
        try:
            text = line.decode(self._encoding)
        except UnicodeDecodeError:
            self.show(tr("That was not {encoding} text. Nothing was sent.").format(encoding=self._encoding))
        else:
            self._take(text)

    def _write(self, line: str) -> None:
        assert self.transport is not None
        self.transport.write(line.encode(self._encoding, "backslashreplace") + b"\n")


class StdioConsole(Service):
    """The console of a node in the foreground. `tap.makeService` creates it below the node.

    :param banner: the first lines, made when the node runs.
    :param session: makes the session; gets where to show lines.
    :param quit: ends the program.
    """

    def __init__(
        self,
        reactor: Reactor,
        *,
        banner: Callable[[], list[str]],
        session: Callable[[Callable[[str], None]], Session],
        quit: Callable[[], None],
        encoding: str = "utf-8",
        stdin: int = 0,
        stdout: int = 1,
    ) -> None:
        self._reactor = reactor
        self._banner = banner
        self._quit = quit
        self._stdin = stdin
        self._stdout = stdout
        self._was_blocking: dict[int, bool] = {}
        self._ignores_end = is_null(stdin)
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
        self._input_taken = False
        self._session = session(self._show)
        self._protocol = StdioProtocol(
            encoding=encoding,
            take=self._session.take,
            may_take=lambda: not self._session.is_busy,
            ended=self._input_ended,
            unread=quit,
        )

    def startService(self) -> None:
        """Say who we are, and begin to read."""
        super().startService()
        for fd in (self._stdin, self._stdout):
            self._was_blocking[fd] = os.get_blocking(fd)
        # mypy takes the class for that of Windows.
        StandardIO(self._protocol, self._stdin, self._stdout, self._reactor)  # type: ignore[call-arg]
        for line in self._banner():
            self._show(line)
        self._looking.start(LOOK_S, now=False)

    def stopService(self) -> Deferred[None]:
        """Write what is still to be written, and leave the terminal as it was."""
        super().stopService()
        if self._looking.running:
            self._looking.stop()
        transport = self._protocol.transport
        if transport is None:
            return succeed(None)
        self._protocol.tell_left_out()
        transport.unregisterProducer()  # type: ignore[attr-defined]
        transport.loseConnection()
        closed = self._protocol.closed
        closed.addTimeout(FAREWELL_S, self._reactor).addErrback(lambda _: None)
        return closed.addCallback(self._restore)

    def _restore(self, _: None) -> None:
        # The reactor made them non-blocking, and on a terminal the shell shares that with us.
        for fd, was_blocking in self._was_blocking.items():
            os.set_blocking(fd, was_blocking)

    def _show(self, line: str) -> None:
        if self._protocol.transport is not None and self.running:
            self._protocol.show(line)

    def _input_ended(self) -> None:
        self._input_taken = not self._ignores_end

    def _look(self) -> None:
        self._protocol.pump()
        if self._input_taken and self._session.is_idle:
            self._quit()


def is_null(fd: int) -> bool:
    """Whether *fd* is closed, or a device that is not a terminal, such as /dev/null.

    A service manager gives such an input; its end means that there is no input, not that we should go.
    """
    try:
        return stat.S_ISCHR(os.fstat(fd).st_mode) and not os.isatty(fd)
    except OSError:
        return True
