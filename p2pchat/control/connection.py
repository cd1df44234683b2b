"""One program at the control socket of a node (docs/control.md)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat.console.session import Session
from p2pchat.control.journal import KINDS, Journal, NoSuchCursor
from p2pchat.control.methods import Methods, read_params
from p2pchat.control.rpc import Code, Id, Request, RpcError, error, notification, read_request, reply
from p2pchat.protocol.framing import LineBuffer, TooLong

#: The longest line that is read, in bytes: the longest text there is, escaped as wide as JSON can.
MAX_LINE = 256 * 1024

#: Requests of one connection that may be open before no more of it is read.
MAX_OPEN = 256


class Subscribe(msgspec.Struct, forbid_unknown_fields=True):
    """Which events are wanted.

    :param after: the cursor of the last event that was seen, or ``start``; None: those from now on.
    :param kinds: such as ``message_arrived``; None: all.
    :param texts: each event with what a console says of it.
    """

    after: str | None = None
    kinds: frozenset[str] | None = None
    texts: bool = False


class Command(msgspec.Struct, forbid_unknown_fields=True):
    """A line as at the console.

    :param events: whether what happens is shown too, or only what comes of commands. The first one decides.
    """

    line: str
    events: bool = True


class ControlProtocol(Protocol):
    """Reads requests, writes replies, events, and what a console would show. Its factory creates it.

    What is written waits in no queue: while the client does not read, nothing more of it is read, events
    stay in the journal, and what a console would show is left out and counted.

    :param session: makes a console for this client; gets where to show lines, what ends the connection, and
        whether to show events.
    :param later: calls something soon, from the reactor.
    :param turn_away: returns why who connected may not be here; None: it may.
    :param ended: called when the connection has ended.
    """

    _log = Logger()

    def __init__(
        self,
        methods: Methods,
        journal: Journal,
        session: Callable[[Callable[[str], None], Callable[[], None], bool], Session],
        later: Callable[[Callable[[], None]], object],
        turn_away: Callable[[ControlProtocol], RpcError | None],
        ended: Callable[[ControlProtocol], None],
    ) -> None:
        self._methods = methods
        self._journal = journal
        self._make_session = session
        self._later = later
        self._turn_away = turn_away
        self._ended = ended
        self._buffer = LineBuffer(MAX_LINE)
        self._lines: deque[bytes | TooLong] = deque()
        self._open = 0
        self._is_full = False
        self._is_over = False
        self._is_due = False
        self._session: Session | None = None
        #: Lines of the console that were left out.
        self._left_out = 0
        #: The number of the next event for this client; None: it wants none.
        self._next: int | None = None
        self._kinds: frozenset[str] | None = None
        self._texts = False

    def connectionMade(self) -> None:
        """Ask to be told when the output is not read."""
        assert self.transport is not None
        self.transport.registerProducer(self, True)  # type: ignore[attr-defined]
        problem = self._turn_away(self)
        if problem is not None:
            self._fail(None, problem)
            self.close()

    def dataReceived(self, data: bytes) -> None:
        """Take requests."""
        self._lines.extend(self._buffer.feed(data))
        self._pump()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget all that was wanted here."""
        self._is_over = True
        self._lines.clear()
        self._journal.followers.pop(self._follow, None)
        if self._session is not None:
            self._session.close()
        self._ended(self)

    def close(self) -> None:
        """End the connection, once all is written."""
        assert self.transport is not None
        self._is_over = True
        self.transport.unregisterProducer()  # type: ignore[attr-defined]
        self.transport.loseConnection()

    # What the transport asks of whoever writes to it.

    def pauseProducing(self) -> None:
        """The output is full."""
        self._is_full = True

    def resumeProducing(self) -> None:
        """There is room for output again."""
        self._is_full = False
        if self._left_out:
            self._write(notification("left_out", lines=self._left_out))
            self._left_out = 0
        self._follow()
        self._pump()

    def stopProducing(self) -> None:
        """The output is gone."""

    # Requests.

    def _pump(self) -> None:
        """Take lines as long as there is room for what comes of them."""
        self._is_due = False
        while self._lines and not (self._is_full or self._is_busy or self._is_over):
            self._take(self._lines.popleft())
        if not self._is_over:
            assert self.transport is not None
            # mypy knows it as what writes only.
            reading: Any = self.transport
            (reading.pauseProducing if self._lines else reading.resumeProducing)()

    def _pump_soon(self) -> None:
        """Take lines that wait, but not in the middle of what has made room: that may be the router."""
        if self._lines and not self._is_due:
            self._is_due = True
            self._later(self._pump)

    @property
    def _is_busy(self) -> bool:
        return self._open >= MAX_OPEN or (self._session is not None and self._session.is_busy)

    def _take(self, line: bytes | TooLong) -> None:
        if isinstance(line, TooLong):
            # Without an end it would be read over for ever.
            self._fail(None, RpcError(Code.REQUEST, f"a line has at most {MAX_LINE} bytes"))
            if line.endless:
                self.close()
            return
        if not line.strip():
            return
        try:
            request = read_request(line)
        except RpcError as problem:
            self._fail(None, problem)
            return
        try:
            self._do(request)
        except RpcError as problem:
            if not isinstance(request.id, msgspec.UnsetType):
                self._fail(request.id, problem)

    def _do(self, request: Request) -> None:
        match request.method:
            case "subscribe":
                self._subscribe(request)
            case "command":
                command = read_params(request.params, Command)
                self._reply(request, None)
                self._command(command)
            case _:
                result = self._methods.call(request.method, request.params)
                self._open += 1
                result.addCallback(lambda value: self._reply(request, value))
                result.addErrback(self._failed, request)
                result.addBoth(self._answered)

    def _subscribe(self, request: Request) -> None:
        wanted: Subscribe = read_params(request.params, Subscribe)
        unknown = (wanted.kinds or frozenset()) - KINDS
        if unknown:
            raise RpcError(Code.PARAMS, f"there is no kind of event {min(unknown)[:40]!a}")
        begin, missed = (self._journal.next, 0) if wanted.after is None else self._resume(wanted.after)
        self._next, self._kinds, self._texts = begin, wanted.kinds, wanted.texts
        self._reply(request, {"cursor": self._journal.cursor(begin - 1), "missed": missed})
        self._journal.followers[self._follow] = None
        self._follow()

    def _resume(self, cursor: str) -> tuple[int, int | None]:
        try:
            return self._journal.resume(cursor)
        except NoSuchCursor as problem:
            raise RpcError(Code.PARAMS, str(problem)) from None

    def _command(self, command: Command) -> None:
        if self._session is None:
            self._session = self._make_session(self._show, self.close, command.events)
            self._session.settled = self._pump_soon
        last = self._session.last
        self._session.take(command.line)
        if self._session.last != last:
            self._write(notification("destination", to=str(self._session.last)))

    def _failed(self, failure: Failure, request: Request) -> None:
        problem = failure.value
        if not isinstance(problem, RpcError):
            self._log.failure("a method of the control socket failed", failure)
            problem = RpcError(Code.INTERNAL, "something failed inside p2pchat; the log says what")
        if not isinstance(request.id, msgspec.UnsetType):
            self._fail(request.id, problem)

    def _answered(self, result: object) -> object:
        self._open -= 1
        self._pump_soon()
        return result

    # What is written.

    def _follow(self) -> None:
        """Write events, as far as there is room."""
        while self._next is not None and self._next < self._journal.next:
            if self._is_full or self._is_over:
                return
            if self._next < self._journal.first:
                self._write(notification("missed", events=self._journal.first - self._next))
                self._next = self._journal.first
                continue
            entry = self._journal[self._next]
            self._next += 1
            if self._kinds is None or entry.kind in self._kinds:
                self._write(entry.with_text() if self._texts else entry.line)

    def _show(self, line: str) -> None:
        if self._is_full:
            self._left_out += 1
        else:
            self._write(notification("shown", line=line))

    def _reply(self, request: Request, result: Any) -> None:
        if not isinstance(request.id, msgspec.UnsetType):
            self._write(reply(request.id, result))

    def _fail(self, request_id: Id, problem: RpcError) -> None:
        self._write(error(request_id, problem))

    def _write(self, line: bytes) -> None:
        if not self._is_over:
            self.transport.write(line)  # type: ignore[union-attr]
