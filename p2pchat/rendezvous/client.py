"""One connection, one request, one reply (docs/protocol.md, sections 6 and 9.17 to 9.20)."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, cast

import attrs
import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from p2pchat.addresses import Address, Reactor, TlsAddress, client_endpoint, why_not_connected
from p2pchat.language import tr
from p2pchat.protocol.framing import LineBuffer, TooLong
from p2pchat.protocol.names import PeerId
from p2pchat.rendezvous.listing import Entry, read_any, read_usual
from p2pchat.rendezvous.tls import ALERT, ClientTls, trouble

#: The longest reply that is read, in bytes (section 6): some 40,000 peers.
MAX_REPLY = 8 * 1024 * 1024

#: What differs between two answers to DISCOVER that list the same peers: the seconds that each has left.
_COUNTDOWN = re.compile(rb'"expires_in": ?[1-9][0-9]*')

#: Seconds from the connection to the end of the reply.
REPLY_S = 10.0


class RendezvousError(Exception):
    """The rendezvous did not do what was asked; the text says why, for people."""


class NobodyThere(RendezvousError):
    """Nobody listens at the address: the connection was refused."""


class Banned(RendezvousError):
    """The reply was empty or a reset, as from servers that ban: wait a minute or more (9.19)."""


class Blocked(Banned):
    """The reply speaks of blocking, so it is certain that we are banned."""


@lru_cache(maxsize=1)
def _digest_of(line: bytes) -> int:
    """Return a hash of what an answer to DISCOVER lists; many nodes of one process get the same one."""
    return hash(_COUNTDOWN.sub(b"", line))


@attrs.frozen
class Registered:
    """The answer to REGISTER.

    :param ttl_s: seconds that the registration lasts.
    :param observed_ip: our address as the server sees it; empty where it did not say.
    """

    ttl_s: float
    observed_ip: str = ""


@attrs.define
class RendezvousClient:
    """Asks one rendezvous server. The registration creates and owns it."""

    _reactor: Reactor
    address: Address
    #: Who may sign for the server, where it speaks TLS, in PEM; None: whom the system knows.
    authority: bytes | None = None
    #: What the last answer to DISCOVER listed, and the hash of it without what counts down.
    _entries: list[Entry] = attrs.Factory(list)
    _digest: int | None = None
    _tls: ClientTls | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        is_tls = isinstance(self.address, TlsAddress)
        self._tls = ClientTls(self.address.host, self.authority) if is_tls else None

    async def register(self, peer_id: PeerId, port: int, ttl_s: int) -> Registered:
        """Register, or renew.

        :raises RendezvousError: it was not done.
        """
        reply = await self._ask(
            "REGISTER", namespace=peer_id.namespace, name=peer_id.name, port=port, ttl=ttl_s
        )
        ttl = reply.get("ttl")
        if not isinstance(ttl, int | float) or isinstance(ttl, bool) or not 0 < ttl <= 86400:
            ttl = ttl_s
        observed = reply.get("observed_ip") or reply.get("ip")
        return Registered(float(ttl), observed if isinstance(observed, str) else "")

    async def discover(self) -> list[Entry]:
        """Return all peers of all namespaces; entries that cannot be used are left out.

        Where they are the same as last time it is the same list: to read a long one takes milliseconds.

        :raises RendezvousError: there is no usable answer.
        """
        line = await self._send("DISCOVER")
        digest = _digest_of(line)
        if digest != self._digest:
            self._entries = self._read(line)
            # Who is listed twice has moved, perhaps; the time that is left tells where to.
            is_clear = len({entry.peer_id for entry in self._entries}) == len(self._entries)
            self._digest = digest if is_clear else None
        return self._entries

    @staticmethod
    def _read(line: bytes) -> list[Entry]:
        try:
            return read_usual(line)
        except (ValueError, RecursionError):
            pass  # it is written in another way, or a refusal
        peers = _accepted("DISCOVER", line).get("peers")
        if not isinstance(peers, list):
            raise RendezvousError(tr("the answer to DISCOVER has no list of peers"))
        return read_any(peers)

    async def unregister(self, peer_id: PeerId, port: int) -> None:
        """Take the registration back. What a server answers to it is of no matter (9.18).

        :raises RendezvousError: nobody answered.
        """
        await self._ask("UNREGISTER", namespace=peer_id.namespace, name=peer_id.name, port=port)

    async def knock(self) -> None:
        """Find out whether anybody listens, without a request.

        :raises NobodyThere: nobody does.
        :raises RendezvousError: there is no telling.
        """
        visitor = await self._connect(_KnockFactory())
        visitor.transport.abortConnection()  # type: ignore[attr-defined]

    async def _ask(self, kind: str, **fields: str | int) -> dict[str, Any]:
        return _accepted(kind, await self._send(kind, **fields))

    async def _send(self, kind: str, **fields: str | int) -> bytes:
        request = msgspec.json.encode({"type": kind, **fields}) + b"\n"
        conversation = await self._connect(_ConversationFactory(request, self._reactor))
        return await cast(_Conversation, conversation).reply

    async def _connect(self, factory: Factory) -> IProtocol:
        endpoint = client_endpoint(self._reactor, self.address)
        try:
            if self._tls is None:
                return await endpoint.connect(factory)
            encrypted = await endpoint.connect(TLSMemoryBIOFactory(self._tls, True, factory, self._reactor))
            return cast(TLSMemoryBIOProtocol, encrypted).wrappedProtocol
        except ConnectionRefusedError:
            raise NobodyThere(tr("connection refused")) from None
        except (ConnectError, OSError, ValueError) as problem:  # ValueError: not a name of a host
            raise RendezvousError(why_not_connected(problem)) from None


def _accepted(kind: str, line: bytes) -> dict[str, Any]:
    """Read the reply to a request.

    :raises RendezvousError: it is a refusal, or no reply at all.
    """
    if not line.strip():
        raise Banned(tr("the answer was empty"))
    reply = _read(line)
    status = str(reply.get("status", "OK")).upper()
    if status != "OK" or (reply.get("error") and "status" not in reply):
        text = str(reply.get("error") or reply.get("message") or tr("no reason given"))[:200]
        # Half a surrogate could neither be shown nor logged.
        text = text.encode("utf-8", "replace").decode()
        refusal = Blocked if b"block" in line.lower() else RendezvousError
        raise refusal(tr("it refused {kind}: {why}").format(kind=kind, why=text))
    return reply


def _read(line: bytes) -> dict[str, Any]:
    reply = _decode(line)
    if isinstance(reply, dict):
        return reply
    if line.startswith(ALERT):
        raise RendezvousError(tr("it speaks TLS; write its address as tls:HOST:PORT"))
    if b"block" in line.lower():
        raise Blocked(tr("it says that we are blocked"))
    raise RendezvousError(tr("its answer is not of this protocol: {line!r}").format(line=line[:60]))


def _decode(line: bytes) -> object:
    try:
        return msgspec.json.decode(line)
    except (ValueError, RecursionError):
        pass
    # Most servers are written with this one, and write what it writes: half a surrogate in the name of
    # one peer must not cost us all the others.
    try:
        return json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


class _Conversation(Protocol):
    """One request and its reply."""

    def __init__(self, request: bytes, clock: IReactorTime) -> None:
        self.reply: Deferred[bytes] = Deferred(lambda _: self._abort())
        self._request = request
        self._clock = clock
        self._lines = LineBuffer(limit=MAX_REPLY)

    def connectionMade(self) -> None:
        """Send the request at once, in one write (9.20)."""
        assert self.transport is not None
        self._deadline = self._clock.callLater(REPLY_S, self._too_late)
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        """Take the first line and close; what follows is ignored (9.20)."""
        for line in self._lines.feed(data):
            if isinstance(line, TooLong):
                problem = tr("its answer is longer than {n} bytes").format(n=MAX_REPLY)
                self._finish(RendezvousError(problem))
            else:
                self._finish(line)
            return

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The server closed: take what came, even without a line end."""
        why, rest = trouble(reason), self._lines.take_rest()
        if why:
            self._finish(RendezvousError(why))
        elif reason.check(ConnectionDone) or rest.startswith(ALERT):
            self._finish(rest)
        else:
            self._finish(Banned(reason.getErrorMessage().rstrip(".")))

    def _too_late(self) -> None:
        self._finish(RendezvousError(tr("no answer within {seconds:.0f} s").format(seconds=REPLY_S)))

    def _finish(self, outcome: bytes | RendezvousError) -> None:
        if self.reply.called:
            return
        if self._deadline.active():
            self._deadline.cancel()
        self._abort()
        if isinstance(outcome, bytes):
            self.reply.callback(outcome)
        else:
            self.reply.errback(outcome)

    def _abort(self) -> None:
        if self._deadline.active():
            self._deadline.cancel()
        # Not loseConnection: a server that does not read would keep us here.
        self.transport.abortConnection()  # type: ignore[union-attr]


class _KnockFactory(Factory):
    noisy = False
    protocol = Protocol


class _ConversationFactory(Factory):
    noisy = False

    def __init__(self, request: bytes, clock: IReactorTime) -> None:
        self._request = request
        self._clock = clock

    def buildProtocol(self, addr: object) -> _Conversation:
        return _Conversation(self._request, self._clock)
