"""The rendezvous server: its connections, its loop, its service (docs/protocol.md, section 7)."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IAddress, IListeningPort, IReactorTCP, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import LoopingCall
from twisted.logger import Logger, LogLevel
from twisted.protocols.tls import TLSMemoryBIOFactory

from p2pchat.addresses import listen_tcp
from p2pchat.rendezvous.answers import FAILED, TOO_MANY_CONNECTIONS, Answer, Client, answer
from p2pchat.rendezvous.connection import Phase, RequestConnection
from p2pchat.rendezvous.registry import Registry

#: The port in the specification (section 6).
DEFAULT_PORT = 5000

#: Silence that ends a connection, in seconds, as in the server in use; and the most to ask for (section 7).
REQUEST_TIMEOUT_S = 1.0
MAX_REQUEST_TIMEOUT_S = 10.0

#: How often deadlines are looked at, in seconds: silence of 1 s is answered within 1.1 s.
TICK_S = 0.1

#: A process may usually have 1024 files open; half of them leaves room for links, logs and the console.
MAX_CONNECTIONS = 512

#: Bytes of replies that clients have not taken yet: eight of the longest, where machines have gigabytes.
MAX_UNSENT_BYTES = 64 * 1024 * 1024

#: As many may wait to be accepted as are served at once; the kernel cuts it to its own limit.
BACKLOG = MAX_CONNECTIONS

#: Log lines of one kind are this many seconds apart at least, so that a flood cannot fill the disk.
LOG_INTERVAL_S = 1.0

#: How much of a refused line the log shows, in bytes: enough to recognise the client by.
LOGGED_BYTES = 64


class LogRation:
    """Lets one log line through per `LOG_INTERVAL_S`. The factory creates and owns one per kind."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._next_at_s = clock.seconds()
        self._left_out = 0

    def take(self) -> int | None:
        """Return how many lines were left out since the last one, or None to leave out this one too."""
        now_s = self._clock.seconds()
        if now_s < self._next_at_s:
            self._left_out += 1
            return None
        self._next_at_s = now_s + LOG_INTERVAL_S
        left_out, self._left_out = self._left_out, 0
        return left_out


class RendezvousFactory(ServerFactory):
    """The connections of a rendezvous server, its registry and its loop.

    `RendezvousServer` creates, owns and ends it. Whoever listens with it in another way, as tests do,
    ends it with `end_all`. The loop runs only while there are connections or records.

    :param request_timeout_s: silence that ends a connection, in seconds, above 0 and at most 10.
    :param max_connections: how many are served at once.
    :param max_unsent_bytes: beyond, DISCOVER is answered ``busy``.
    :raises ValueError: the timeout is out of range.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        request_timeout_s: float = REQUEST_TIMEOUT_S,
        *,
        registry: Registry | None = None,
        max_connections: int = MAX_CONNECTIONS,
        max_unsent_bytes: int = MAX_UNSENT_BYTES,
    ) -> None:
        if not 0 < request_timeout_s <= MAX_REQUEST_TIMEOUT_S:
            raise ValueError(f"the request timeout is above 0 s and at most {MAX_REQUEST_TIMEOUT_S:.0f} s")
        self.clock = clock
        self.request_timeout_s = request_timeout_s
        self.registry = Registry(clock.seconds) if registry is None else registry
        #: How many clients were refused, by reason: the error codes of section 7 and a few of our own.
        self.refusals: Counter[str] = Counter()
        #: Bytes of the replies on connections that are still open.
        self.unsent_bytes = 0
        self._max_connections = max_connections
        self._max_unsent_bytes = max_unsent_bytes
        #: In the order in which they came.
        self._connections: dict[RequestConnection, None] = {}
        self._all_left: Deferred[None] | None = None
        self._refusal_lines = LogRation(clock)
        self._failure_lines = LogRation(clock)
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def startFactory(self) -> None:
        """Go on letting records expire, where the server was started again."""
        self._run_loop()

    def buildProtocol(self, addr: IAddress | None) -> RequestConnection:
        """Create the connection to a client."""
        return RequestConnection(self)

    def end_all(self) -> Deferred[None]:
        """Abort every connection and stop the loop.

        :return: fires when the last connection is closed.
        """
        if self._loop.running:
            self._loop.stop()
        for connection in list(self._connections):
            connection.abort()
        if not self._connections:
            return succeed(None)
        self._all_left = Deferred()
        return self._all_left

    def joined(self, connection: RequestConnection) -> None:
        """Keep a connection. Where they become too many, the one that let us wait longest is ended.

        So silent clients cannot lock others out. Only where all others are being answered already it
        is the newcomer that is refused.
        """
        self._connections[connection] = None
        self._run_loop()
        if len(self._connections) > self._max_connections:
            longest = next(each for each in self._connections if each.phase is Phase.WAITING)
            longest.refuse(TOO_MANY_CONNECTIONS)

    def left(self, connection: RequestConnection) -> None:
        """Forget a connection that is closed."""
        del self._connections[connection]
        self.unsent_bytes -= connection.reply_bytes
        if self._all_left is not None and not self._connections:
            all_left, self._all_left = self._all_left, None
            all_left.callback(None)

    def answer(self, line: bytes, client: Client) -> Answer:
        """Carry out a request. What fails in it is logged and answered; the server goes on."""
        try:
            return answer(line, client, self.registry, self._max_unsent_bytes - self.unsent_bytes)
        except Exception:
            self._log_failure(f"answering {client}")
            return FAILED

    def replying(self, size: int) -> None:
        """Count the bytes of a reply until its connection is closed."""
        self.unsent_bytes += size

    def refused(self, client: Client, reason: str, line: bytes) -> None:
        """Count a refusal, and log it if there is not too much of that."""
        self.refusals[reason] += 1
        left_out = self._refusal_lines.take()
        if left_out is not None:
            self._log.info(
                "refused {client}: {reason} {line} (and {left_out} before, not logged)",
                client=str(client),
                reason=reason,
                line=ascii(line[:LOGGED_BYTES]),
                left_out=left_out,
            )

    def _run_loop(self) -> None:
        if not self._loop.running:
            self._loop.start(TICK_S, now=False)

    def _tick(self) -> None:
        """Look at deadlines, let records expire. An exception would stop the loop for good."""
        for step in (self._check_deadlines, self.registry.expire):
            try:
                step()
            except Exception:
                self._log_failure("the loop")
        if self._loop.running and not self._connections and not len(self.registry):
            self._loop.stop()

    def _check_deadlines(self) -> None:
        now_s = self.clock.seconds()
        for connection in list(self._connections):
            connection.check_deadline(now_s)

    def _log_failure(self, where: str) -> None:
        """Log the exception that is being handled."""
        left_out = self._failure_lines.take()
        if left_out is not None:
            self._log.failure(
                "failed in {where} (and {left_out} before, not logged)",
                level=LogLevel.error,
                where=where,
                left_out=left_out,
            )


class RendezvousServer(Service):
    """A rendezvous server on a TCP port. Its node, or twistd, creates, owns and ends it.

    :param reactor: also an `IReactorTime`.
    :param port: 0 lets the system choose; see `listening_port`.
    :param interface: an address of this machine; empty is all of them (IPv4), ``::`` all, IPv6 too.
    :param request_timeout_s: silence that ends a connection, in seconds, above 0 and at most 10.
    :param tls: speaks TLS, and nothing else, from the first byte; None: plain TCP.
    :raises ValueError: the timeout is out of range.
    """

    def __init__(
        self,
        reactor: IReactorTCP,
        port: int = DEFAULT_PORT,
        interface: str = "",
        request_timeout_s: float = REQUEST_TIMEOUT_S,
        tls: CertificateOptions | None = None,
    ) -> None:
        self.factory = RendezvousFactory(IReactorTime(reactor), request_timeout_s)
        self._reactor = reactor
        self._port = port
        self._interface = interface
        self._tls = tls
        self._listener: IListeningPort | None = None

    @property
    def listening_port(self) -> int:
        """The port that it listens at; 0 while it does not."""
        if self._listener is None:
            return 0
        address = self._listener.getHost()
        assert isinstance(address, IPv4Address | IPv6Address)
        return address.port

    def startService(self) -> None:
        """Listen; done when this returns.

        :raises twisted.internet.error.CannotListenError: the port is taken; nothing was started.
        """
        factory: ServerFactory[Any] = self.factory
        if self._tls is not None:
            # Twisted types what wraps one as a factory of clients, though it serves both.
            factory = cast(
                "ServerFactory[Any]", TLSMemoryBIOFactory(self._tls, False, factory, self.factory.clock)
            )
        self._listener = listen_tcp(self._reactor, self._port, factory, BACKLOG, self._interface)
        super().startService()

    def stopService(self) -> Deferred[None]:
        """Close the port and every connection; the records stay until they expire.

        :return: fires when all are closed.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        listener, self._listener = self._listener, None
        port_closed = succeed(None) if listener is None else maybeDeferred(listener.stopListening)
        all_closed = self.factory.end_all()
        await port_closed
        await all_closed
