"""What is fed to each parser, how it may refuse, and what must hold of what it accepts."""

from __future__ import annotations

import json
import warnings
from collections.abc import Coroutine, Iterator
from typing import Any, ClassVar, Protocol

from msgspec import UNSET, structs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import ServerFactory
from twisted.python.failure import Failure

from p2pchat.addresses import Address, client_endpoint
from p2pchat.console import commands
from p2pchat.console.stdio import MAX_INPUT
from p2pchat.console.visible import visible, visible_name
from p2pchat.protocol import codec
from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.framing import MAX_DISCARD, MAX_LINE, LineBuffer, TooLong
from p2pchat.protocol.messages import PLAIN_TTL, Error, Message, Send
from p2pchat.protocol.names import PeerId, ToPeer
from p2pchat.rendezvous import answers
from p2pchat.rendezvous.client import Registered, RendezvousClient, RendezvousError
from p2pchat.rendezvous.registry import Limits, Registry
from p2pchat.testing import MemoryNetwork
from tests.console.users import steering

ALICE = PeerId("alice@UnB")


class Target(Protocol):
    """A parser under test. Whoever feeds it makes it, and closes it at its end."""

    #: The file of the corpus whose lines are broken for it.
    corpus: ClassVar[str]
    #: It takes what one connection brings, of many lines; else one input is one line.
    is_stream: ClassVar[bool]
    #: So many inputs it is fed before a new one takes its place, so that a failure can be replayed.
    lasts: ClassVar[int]

    def take(self, pieces: list[bytes]) -> bool:
        """Feed one input, in pieces; False where it was refused as documented.

        :raises Exception: anything at all: the parser has a defect.
        """

    def close(self) -> None:
        """Leave nothing behind."""


class _Line:
    """A target that keeps nothing from one line to the next."""

    is_stream: ClassVar[bool] = False
    lasts: ClassVar[int] = 1

    def close(self) -> None:
        """Nothing is left behind."""


class PeerLine(_Line):
    """A line of a peer: `codec.decode` and all that is made of what it read."""

    corpus: ClassVar[str] = "peer"

    def take(self, pieces: list[bytes]) -> bool:
        """Read a line; write it once more in every way."""
        # Where a line holds a line end, the framing has cut it there.
        line = b"".join(pieces).replace(b"\n", b"")
        try:
            message = codec.decode(line)
        except ProtocolError as problem:
            self._check_answer(problem)
            return False
        self._check_writing(message)
        self._check_passing_on(line, message)
        return True

    def _check_answer(self, problem: ProtocolError) -> None:
        answer = Error.about(problem, dst=ALICE)
        codec.check_size(answer)
        assert codec.decode(one_line(codec.encode(answer))) == answer

    def _check_writing(self, message: Message) -> None:
        assert codec.decode(one_line(codec.encode(message))) == message
        plain = codec.encode_plain(message)
        assert plain.isascii()
        assert codec.decode(one_line(plain)) == _for_plain(message)

    def _check_passing_on(self, line: bytes, message: Message) -> None:
        for passed_on in _writings(lambda: codec.pass_on(line, 3)):
            self._check_size(line, passed_on)
            assert codec.decode(one_line(passed_on)) == structs.replace(message, ttl=3)
        for plain in _writings(lambda: codec.pass_on_plain(line, message)):
            self._check_size(line, plain)
            assert plain.isascii()
            assert codec.decode(one_line(plain)) == _for_plain(message)
        for complete in _writings(lambda: codec.complete(line, message) + b"\n"):
            assert codec.decode(one_line(complete)) == message

    def _check_size(self, line: bytes, passed_on: bytes) -> None:
        assert len(passed_on) <= MAX_LINE + 1 or len(line) > MAX_LINE


def _writings(write: Any) -> Iterator[bytes]:
    """Write a line; nothing where that is refused, as it may be."""
    try:
        yield write()
    except ProtocolError:
        return


def _for_plain(message: Message) -> Message:
    """Return a message as a plain peer has to read it."""
    if isinstance(message, Send):
        message = structs.replace(message, attempt=UNSET, after=UNSET)
    return structs.replace(message, ttl=PLAIN_TTL)


def one_line(data: bytes) -> bytes:
    """Return a line without its end, of which there is just one."""
    assert data.endswith(b"\n"), data[-80:]
    assert data.count(b"\n") == 1, data[:80]
    return data[:-1]


class Framing(_Line):
    """A stream of a peer: `LineBuffer`, against splitting all of it at once."""

    corpus: ClassVar[str] = "peer"
    is_stream: ClassVar[bool] = True

    def take(self, pieces: list[bytes]) -> bool:
        """Read a stream piece by piece; False where a line of it was too long."""
        buffer = LineBuffer()
        lines: list[bytes | TooLong] = []
        for piece in pieces:
            lines += buffer.feed(piece)
            # A line that fits, and the \r that may stand before its end.
            assert len(buffer._rest) <= MAX_LINE + 1
        assert lines == list(_lines_of(b"".join(pieces)))
        return TooLong() not in lines


def _lines_of(data: bytes) -> Iterator[bytes | TooLong]:
    """Say what lines a stream has, with no thought of memory."""
    *lines, rest = data.split(b"\n")
    for raw in lines:
        line = raw.removesuffix(b"\r")
        yield from [line] if len(line) <= MAX_LINE else _too_long(raw)
    if len(rest) > MAX_LINE + rest.endswith(b"\r"):
        yield from _too_long(rest)


def _too_long(raw: bytes) -> Iterator[TooLong]:
    yield TooLong()
    if len(raw) > MAX_DISCARD:
        yield TooLong(endless=True)


class RendezvousRequest:
    """A request to the rendezvous: `answers.answer`, over a registry that is small, so that it fills."""

    corpus: ClassVar[str] = "request"
    is_stream: ClassVar[bool] = False
    lasts: ClassVar[int] = 500

    #: Less than is asked for in the life of one target.
    LIMITS = Limits(records=8, records_per_ip=4, answer_bytes=3000, answer_bytes_per_ip=2000)

    def __init__(self) -> None:
        self._now_s = 0.0
        self._registry = Registry(lambda: self._now_s, self.LIMITS)

    def take(self, pieces: list[bytes]) -> bool:
        """Answer a request of one of a few clients, three seconds after the last one."""
        self._now_s += 3.0
        client = answers.Client(f"192.0.2.{int(self._now_s) % 4}", 40000)
        answer = answers.answer(b"".join(pieces).replace(b"\n", b""), client, self._registry, 2500)
        line = one_line(answer.line)
        assert line.isascii()
        assert len(line) <= self.LIMITS.answer_bytes + 1024
        reply = json.loads(line, parse_constant=_no_constant)
        assert reply["status"] == ("ERROR" if answer.refused else "OK")
        assert len(answer.refused) < 64
        self._check_registry()
        return not answer.refused

    def _check_registry(self) -> None:
        limits, registry = self.LIMITS, self._registry
        assert len(registry) <= limits.records
        assert registry.answer_bytes() <= limits.answer_bytes
        assert len(registry._expiries) <= 2 * limits.records + 101
        for record in registry.discover():
            assert 1 <= record.expires_in_s(self._now_s) <= record.ttl_s <= answers.MAX_TTL_S

    def close(self) -> None:
        """See that all is forgotten once its time is over."""
        self._now_s += answers.MAX_TTL_S + 1.0
        self._registry.expire()
        assert (len(self._registry), len(self._registry._by_ip), len(self._registry._by_namespace)) == (
            0,
            0,
            0,
        )


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


class RendezvousReply:
    """A reply of the rendezvous, as `RendezvousClient` reads it to REGISTER and to DISCOVER."""

    corpus: ClassVar[str] = "reply"
    is_stream: ClassVar[bool] = False
    lasts: ClassVar[int] = 200

    def __init__(self) -> None:
        self._network = MemoryNetwork()
        self._server = _ScriptedFactory()
        self._network.host("10.0.0.99").listenTCP(5000, self._server)
        self._host = self._network.host("10.0.0.1")
        self._client = RendezvousClient(self._host, Address("10.0.0.99", 5000))

    def take(self, pieces: list[bytes]) -> bool:
        """Ask for both; False where either was refused."""
        self._server.pieces = pieces
        registered = self._ask(self._client.register(ALICE, 7070, 60))
        entries = self._ask(self._client.discover())
        if registered is not None:
            self._check_registered(registered)
        for entry in entries or ():
            self._check_entry(entry)
        return registered is not None and entries is not None

    def _ask(self, request: Coroutine[Any, Any, Any]) -> Any:
        """Return what came of a request; None where it was refused with a reason."""
        outcomes: list[Any] = []
        Deferred.fromCoroutine(request).addBoth(outcomes.append)
        self._network.advance(0.02)
        (outcome,) = outcomes
        if not isinstance(outcome, Failure):
            return outcome
        outcome.trap(RendezvousError)
        text = outcome.getErrorMessage()
        assert 0 < len(text) < 400
        visible(text).encode()
        return None

    def _check_registered(self, registered: Registered) -> None:
        assert 0 < registered.ttl_s <= answers.MAX_TTL_S
        assert isinstance(registered.observed_ip, str)

    def _check_entry(self, entry: Any) -> None:
        """Assert that an entry can be dialled, written to others, and shown."""
        assert 1 <= entry.address.port <= answers.MAX_PORT
        with warnings.catch_warnings():
            # Twisted wants a reactor that looks up names; nothing is looked up here.
            warnings.simplefilter("ignore", DeprecationWarning)
            client_endpoint(self._host, entry.address)
        assert steering(str(entry.address)) == []
        assert PeerId.parse(entry.peer_id).encode() == entry.peer_id.encode()
        assert 0 <= entry.age_s < 2e9

    def close(self) -> None:
        """See that no connection and no timer is left."""
        self._network.advance(1)
        assert (self._network.clock.getDelayedCalls(), list(self._network.transports)) == ([], [])


class _ScriptedFactory(ServerFactory):
    """Answers anything with the same pieces, and closes."""

    noisy = False

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def buildProtocol(self, addr: object) -> _Scripted:
        return _Scripted(self)


class _Scripted(TwistedProtocol):
    transport: ITCPTransport

    def __init__(self, server: _ScriptedFactory) -> None:
        self._server = server

    def dataReceived(self, data: bytes) -> None:
        for piece in self._server.pieces:
            self.transport.write(piece)
        self.transport.loseConnection()


class ConsoleLine(_Line):
    """A line that a user types: `commands.parse`, and `visible` for all that is shown of it."""

    corpus: ClassVar[str] = "console"

    def take(self, pieces: list[bytes]) -> bool:
        """Read a line, right behind another."""
        data = b"".join(pieces)[:MAX_INPUT]
        # As the console decodes it, and as a terminal of Latin-1 would, to which all bytes are text.
        text = data.decode() if _is_utf8(data) else data.decode("latin-1")
        self._check_shown(text)
        try:
            command = commands.parse(text, "UnB", ToPeer(ALICE))
        except commands.Mistyped as problem:
            self._check_help(str(problem))
            return False
        if isinstance(command, commands.Say):
            assert command.text.strip()
            self._check_shown(str(command.to))
        return True

    def _check_help(self, text: str) -> None:
        """Assert that a refusal names a command, and so shows how it should have been."""
        assert "/" in text
        assert len(text) < 400
        self._check_shown(text)

    def _check_shown(self, text: str) -> None:
        """Assert that what is shown is one line in which nothing steers the display."""
        shown, name = visible(text), visible_name(text)
        assert (steering(shown), steering(name)) == ([], [])
        assert len(shown.splitlines()) <= 1
        assert len(name.split()) <= 1


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
