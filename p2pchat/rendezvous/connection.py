"""One client of the rendezvous server: one request, one reply (docs/protocol.md, section 7).

Theory of operation. A connection is in one of three phases, with one deadline in each:

    WAITING   for the request line. Silence, or 10 s in all -> the timeout reply, CLOSING
    DRAINING  replied while input was still coming. Closing at once would make the kernel reset the
              connection, and the client lose the reply: so only our side is closed, and what comes is
              thrown away. EOF, 1 MiB or 1 s -> CLOSING
    CLOSING   replied; the transport closes when the client has taken it. 10 s -> aborted

No connection has a timer: its desk calls `check_deadline`, often.
"""

from __future__ import annotations

import math
import typing
from enum import Enum, auto

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.protocol.framing import MAX_DISCARD, LineBuffer, TooLong
from p2pchat.rendezvous.answers import LINE_TOO_LONG, REPLY_NOT_TAKEN, TIMED_OUT, Answer, Client

#: A whole request takes no longer, in seconds, so that a byte now and then does not hold a connection
#: for hours.
REQUEST_DEADLINE_S = 10.0

#: How long input behind a request is read over, in seconds: who did not stop by then never will.
DRAIN_S = 1.0

#: How long a client may take over its reply, in seconds: enough for 8 MiB on a line of ours, and a
#: client that is gone holds its reply no longer.
TAKE_REPLY_S = 10.0


class Desk(typing.Protocol):
    """What a connection needs of the factory that created it."""

    clock: IReactorTime
    #: Silence that ends a connection, in seconds.
    request_timeout_s: float

    def joined(self, connection: RequestConnection) -> None:
        """Keep the connection, or refuse it."""

    def left(self, connection: RequestConnection) -> None:
        """Forget the connection: it is closed."""

    def answer(self, line: bytes, client: Client) -> Answer:
        """Carry out a request. Never raises."""

    def replying(self, size: int) -> None:
        """Count the bytes of a reply, which the connection holds until it is closed."""

    def refused(self, client: Client, reason: str, line: bytes) -> None:
        """Count and log that a client was refused."""


class Phase(Enum):
    """Where a connection is; see the top of this module."""

    WAITING = auto()
    DRAINING = auto()
    CLOSING = auto()


@implementer(IHalfCloseableProtocol)
class RequestConnection(Protocol):
    """One client. The factory creates and keeps it; it ends by itself, or by `check_deadline`."""

    transport: ITCPTransport

    def __init__(self, desk: Desk) -> None:
        self.phase = Phase.WAITING
        #: Bytes of the reply, whether the client has taken them or not.
        self.reply_bytes = 0
        self._desk = desk
        self._client = Client("", 0)
        self._lines = LineBuffer()
        self._drained = 0
        self._request_due_s = self._reply_due_s = desk.clock.seconds() + REQUEST_DEADLINE_S
        #: When the phase is over at the latest.
        self._due_s = 0.0

    def connectionMade(self) -> None:
        """Wait for the request, if there is room."""
        self._client = client_at(self.transport.getPeer())
        self._heard()
        self._desk.joined(self)

    def dataReceived(self, data: bytes) -> None:
        """Answer the first line; read over what comes behind it."""
        if self.phase is Phase.WAITING:
            self._heard()
            lines = self._lines.feed(data)
            if lines:
                more = len(lines) > 1 or bool(self._lines.take_rest())
                self._serve(lines[0], more=more or isinstance(lines[0], TooLong))
        elif self.phase is Phase.DRAINING:
            self._drained += len(data)
            if self._drained > MAX_DISCARD:
                self._close()

    def readConnectionLost(self) -> None:
        """The client sends no more: what it sent is its request, with a line end or without."""
        rest = self._lines.take_rest()
        if self.phase is Phase.WAITING and rest:
            self._serve(self._lines.feed(rest + b"\n")[0], more=False)
        else:
            self._close()

    def writeConnectionLost(self) -> None:
        """The reply is out and our side closed; the client's side goes on."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Leave the desk."""
        self._desk.left(self)

    def check_deadline(self, now_s: float) -> None:
        """End the phase if it has lasted long enough."""
        if now_s < self._due_s:
            return
        if self.phase is Phase.WAITING:
            self.refuse(TIMED_OUT)
        elif self.phase is Phase.DRAINING:
            self._close()
        else:
            self._desk.refused(self._client, REPLY_NOT_TAKEN, b"")
            self.abort()

    def refuse(self, answer: Answer, line: bytes = b"", *, more: bool = False) -> None:
        """Reply with an error, and close.

        :param line: the request, if there was one.
        :param more: input may still be coming.
        """
        self._desk.refused(self._client, answer.refused, line)
        self._reply(answer.line, more=more)

    def abort(self) -> None:
        """Close without waiting for anything."""
        self._due_s = math.inf
        self.transport.abortConnection()

    def _heard(self) -> None:
        silent_at_s = self._desk.clock.seconds() + self._desk.request_timeout_s
        self._due_s = min(silent_at_s, self._request_due_s)

    def _serve(self, line: bytes | TooLong, *, more: bool) -> None:
        if isinstance(line, TooLong):
            self.refuse(LINE_TOO_LONG, more=more)
            return
        answer = self._desk.answer(line, self._client)
        if answer.refused:
            self.refuse(answer, line, more=more)
        else:
            self._reply(answer.line, more=more)

    def _reply(self, line: bytes, *, more: bool) -> None:
        now_s = self._desk.clock.seconds()
        self._reply_due_s = now_s + TAKE_REPLY_S
        self.reply_bytes = len(line)
        self._desk.replying(len(line))
        self.transport.write(line)
        if not more:
            self._close()
            return
        self.phase = Phase.DRAINING
        self._due_s = now_s + DRAIN_S
        self.transport.loseWriteConnection()

    def _close(self) -> None:
        self.phase = Phase.CLOSING
        self._due_s = self._reply_due_s
        self.transport.loseConnection()


def client_at(address: IAddress) -> Client:
    """Return who is at the other end; an IPv4 client of an IPv6 socket has its IPv4 address."""
    assert isinstance(address, IPv4Address | IPv6Address), "a rendezvous server is reached by TCP"
    host = address.host.removeprefix("::ffff:") if "." in address.host else address.host
    return Client(host, address.port)
