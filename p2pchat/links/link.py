"""One TCP connection with one peer at its other end (docs/protocol.md, sections 2, 3 and 9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

from msgspec import UNSET
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IConsumer,
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.addresses import Address
from p2pchat.language import mark
from p2pchat.links import life
from p2pchat.links.complaints import Complaints, as_early
from p2pchat.links.greeting import Greeting, read_hello, read_hello_ok
from p2pchat.links.intake import Intake
from p2pchat.links.lost import is_no_tls, why_lost
from p2pchat.links.outgoing import PLAIN_FIRST_S, PLAIN_SPACING_S, SOCKET_BYTES, Outgoing
from p2pchat.links.surroundings import Surroundings
from p2pchat.links.unsent import bound_unsent
from p2pchat.links.vitals import Vitals
from p2pchat.protocol.codec import decode, encode, encode_plain
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.framing import MAX_LINE, TooLong
from p2pchat.protocol.messages import (
    TLS,
    Bye,
    ByeOk,
    Error,
    Hello,
    HelloOk,
    HelloReject,
    Message,
    Metrics,
    MetricsReq,
    Ping,
    Pong,
)
from p2pchat.protocol.names import PeerId

#: Seconds that lines to a plain peer, spaced as they are, may keep our BYE waiting: half of the time
#: that it has with its answer.
BYE_WITHIN_S = life.CLOSING_S / 2


class _Socket(ITCPTransport, IConsumer, IPushProducer):
    """What a TCP transport of Twisted is."""

    #: Bytes that it holds before it says stop.
    bufferSize: int


class LinkOwner(Protocol):
    """What a link tells, and asks, whoever created it."""

    def admit(self, link: Link, peer_id: PeerId) -> ProtocolError | None:
        """Say why no link with the peer that greeted is wanted, or None."""

    def link_up(self, link: Link) -> None:
        """The handshake is done."""

    def link_down(self, link: Link, why: str) -> None:
        """A link that was up takes no more messages; some may still arrive."""

    def link_gone(self, link: Link, why: str) -> None:
        """The connection has ended, whether the link was ever up or not."""

    def message_received(self, link: Link, message: Message, line: bytes) -> None:
        """A message that is not about the link itself arrived, as *line*."""

    def line_traced(self, link: Link, line: bytes) -> None:
        """A line arrived while `Surroundings.tracing` is on."""


@implementer(IHalfCloseableProtocol)
class Link(TwistedProtocol):
    """One connection to one peer. The switchboard creates it, and forgets it at ``link_gone``.

    :param dialled: we connected, so we speak first.
    :param expected: who the rendezvous says is at the other end; None where nobody said.
    :param address: the other end of the connection.
    :param may_encrypt: TLS is offered, where we have it.
    """

    _log = Logger()

    def __init__(
        self,
        owner: LinkOwner,
        around: Surroundings,
        dialled: bool,
        address: Address,
        expected: PeerId | None = None,
        may_encrypt: bool = True,
    ) -> None:
        self.dialled = dialled
        self.address = address
        self.expected = expected
        #: Who is at the other end; of meaning once the link is up.
        self.peer_id = PeerId()
        #: The peer is not known to be of our own kind: section 9 applies.
        self.plain = True
        self.features: frozenset[str] = frozenset()
        #: Nobody on the way can read or alter what goes over it.
        self.is_encrypted = False
        #: What the other end has proved to be, and says of itself, where it is encrypted.
        self.key: bytes | None = None
        self.card: object = None
        #: It offered TLS, and went on without.
        self.lacks_tls = False
        self.received = 0
        self.bad_lines = 0
        self.up_since_s: float | None = None
        self.why_down = ""
        #: The peer ended the link by itself.
        self.said_bye = False
        #: We reached ourselves, or somebody of our own name: of no use to dial again.
        self.is_ourselves = False
        self._around = around
        self._tls = around.tls if may_encrypt else None
        self._clock = around.clock
        self._owner = owner
        self._deaf = False
        self._is_up = False
        self._deadline: IDelayedCall | None = None
        self._vitals = Vitals(self, around)
        self._complaints = Complaints(around.clock)
        self._life = life.new_life(self, life.calling if dialled else life.answering)

    # What the switchboard and the node do with a link.

    def write(self, line: bytes, urgent: bool = False) -> bool:
        """Send one encoded line; False where too much waits already, or the link has ended."""
        return not self._deaf and self.outgoing.write(line, urgent)

    def pass_on(self, line: bytes, source: PeerId) -> bool:
        """Send one encoded line that the neighbour *source* brought; False as with `write`."""
        return not self._deaf and self.outgoing.pass_on(line, source)

    def is_crowded(self, source: PeerId) -> bool:
        """Whether so much of what *source* brought waits that it should slow down."""
        return self.outgoing.is_crowded(source)

    def hold(self, seconds: float) -> None:
        """Read nothing for a while, so that the peer feels that it sends too much."""
        if not self._deaf:
            self.intake.hold(seconds)

    def send(self, message: Message) -> None:
        """Send a message about the link itself, ahead of what waits."""
        self.outgoing.write(self._encoded(message), urgent=True)

    def leave(self, reason: str) -> None:
        """Say BYE and close within 2 s; close at once where the handshake is not done."""
        self._life.leave(reason)

    def abort(self) -> None:
        """Close now, without BYE: the other end is known to be gone."""
        self._socket.abortConnection()

    def tick(self) -> None:
        """Let the keep-alive do what is due."""
        if self._is_up:
            self._vitals.tick()

    def ping(self) -> Deferred[float]:
        """Ask now; fires with the round trip in seconds.

        Fails with `TimeoutError` after 5 s, or with `LinkClosed`.
        """
        return self._vitals.ask_ping()

    def ask_metrics(self) -> Deferred[Metrics]:
        """Ask how the peer sees this link; it must list the feature ``metrics``.

        Fails with `TimeoutError` after 5 s, or with `LinkClosed`.
        """
        return self._vitals.ask_metrics()

    @property
    def sent(self) -> int:
        """Lines that went out, or will."""
        return self.outgoing.taken

    @property
    def ahead_s(self) -> float | None:
        """By how many seconds the clock of the peer is ahead of ours; None: it did not tell."""
        return self._vitals.ahead_s

    @property
    def rtt_s(self) -> float | None:
        """The last measured round trip in seconds."""
        return self._vitals.rtt_s

    @property
    def _socket(self) -> _Socket:
        """The transport, as what it is; Twisted declares it as optional."""
        return cast(_Socket, self.transport)

    # What the transport tells us.

    def connectionMade(self) -> None:
        """Speak first, if we dialled."""
        self._socket.setTcpNoDelay(True)
        self._socket.bufferSize = SOCKET_BYTES
        bound_unsent(self._socket)
        self.outgoing = Outgoing(self._socket, self._clock, self._around.batch)
        self.intake = Intake(self._socket, self._clock, self._take_lines)
        self._socket.registerProducer(self.outgoing, True)
        self.set_deadline(life.HANDSHAKE_S)
        if self.dialled:
            self.send_hello()

    def dataReceived(self, data: bytes) -> None:
        """Take bytes."""
        self.intake.feed(data)

    def readConnectionLost(self) -> None:
        """The peer will send no more."""
        self._life.hang_up(mark("the peer closed the connection"))

    def writeConnectionLost(self) -> None:
        """Our half is closed, as we asked."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self.intake.end()
        self.lacks_tls = is_no_tls(reason)
        self._life.lost(why_lost(reason))

    # A line arrived.

    def _take_lines(self, lines: list[bytes | TooLong]) -> int:
        """Take some lines, and let all that comes of them leave in one write a link; return how many."""
        taken = 0
        self._around.batch.begin()
        try:
            for line in lines:
                if self.intake.is_held:
                    break
                taken += 1
                if self._deaf:
                    continue
                if isinstance(line, TooLong):
                    self._too_long(line)
                elif line:
                    self._take(line)
        finally:
            # All links share it: whatever goes wrong here must not hold back what others write.
            self._around.batch.end()
        return taken

    def _take(self, line: bytes) -> None:
        self.received += 1
        try:
            if self._around.tracing:
                self._owner.line_traced(self, line)
            message = decode(line)
            control = _CONTROL.get(type(message))
            if not self._is_up and self.up_since_s is None:
                self._take_greeting(message)
            elif control is not None:
                control(self, message)
            else:
                self._owner.message_received(self, message, line)
        except ProtocolError as problem:
            self._complain(problem)
        except Exception:
            self._break()

    def _take_greeting(self, message: Message) -> None:
        """Take the first line, which can only be the other half of the handshake."""
        own = self._around.own
        greeting = read_hello_ok(message, own, self.expected) if self.dialled else read_hello(message, own)
        if isinstance(greeting, Greeting):
            self._greeted(greeting)
        else:
            self._life.hang_up(greeting)

    def _greeted(self, greeting: Greeting) -> None:
        tls = self._tls
        if tls is not None and not self.is_encrypted and TLS in greeting.features:
            # What is said before does not count: somebody on the way may have changed it.
            self._encrypt()
            return
        if tls is not None and self.is_encrypted:
            self.key, self.card = tls.key_of(self._socket), greeting.card
        self.peer_id = greeting.peer_id
        self.plain = greeting.plain
        self.features = greeting.features
        self.is_ourselves = greeting.is_ourselves
        if greeting.remark:
            self._log.info("{address}: {remark}", address=self.address, remark=greeting.remark)
        self._accept()

    def _encrypt(self) -> None:
        if self.intake.is_behind:
            # Whoever is on the way could have put it there, and it would be taken for a part of TLS.
            raise ProtocolError(ErrorCode.UNAUTHORIZED, "nothing may follow the greeting but TLS")
        self._life.encrypt()

    def _accept(self) -> None:
        """Come up, unless the peer is one that we do not want."""
        if self.is_ourselves:
            if not self.dialled:
                # The answer tells the dialler whom it reached, so that it stops dialling.
                self.send_hello_ok()
            self._life.hang_up(mark("it has our own name: it is ourselves, or two peers use one name"))
            return
        refusal = self._owner.admit(self, self.peer_id)
        if refusal is not None:
            self._life.refuse(refusal)
        elif self.dialled:
            self._life.hello_ok()
        else:
            self._life.hello()

    def _too_long(self, line: TooLong) -> None:
        detail = f"a line has at most {MAX_LINE} bytes"
        problem = ProtocolError(ErrorCode.LINE_TOO_LONG, detail, limit=MAX_LINE)
        if line.endless:
            self._life.refuse(problem)
        else:
            self._complain(problem)

    def _complain(self, problem: ProtocolError) -> None:
        """Answer a bad line. Before the handshake it ends the link, later only the line is lost."""
        self.bad_lines += 1
        if self.up_since_s is not None:
            self._complaints.about(problem, self)
        elif problem.kind == "ERROR":
            self._life.hang_up(mark("the peer sent an ERROR instead of the handshake"))
        else:
            self._life.refuse(as_early(problem))

    def _break(self) -> None:
        """Our own fault: say so, and end this link only."""
        self._around.broken += 1
        self._log.failure("unexpected error in a message of {peer!a}", peer=self.peer_id)
        self._life.refuse(ProtocolError(ErrorCode.INTERNAL_ERROR, "your message met a defect here"))

    # Messages about the link itself.

    def _bye(self, message: Bye) -> None:
        self.said_bye = True
        self._life.bye(message)

    def _bye_ok(self, _message: ByeOk) -> None:
        self._life.bye_ok()

    def _ignore(self, _message: Message) -> None:
        """A greeting on a link that is up: some clients greet twice."""

    def _encoded(self, message: Message) -> bytes:
        return encode_plain(message) if self.plain else encode(message)

    # What the life of the link makes us do: `life.Effects`.

    def come_up(self) -> None:
        """Tell the owner that messages may flow."""
        self._is_up = True
        self.up_since_s = self._clock.seconds()
        if self.plain:
            self.outgoing.space_out(PLAIN_SPACING_S if self.dialled else PLAIN_FIRST_S)
        self._owner.link_up(self)

    def start_tls(self) -> None:
        """Let all that follows be encrypted."""
        assert self._tls is not None, "only who has TLS offers it"
        # What was said in the clear is not to be held back until it would be encrypted too.
        self.outgoing.uncork()
        self._tls.start(self._socket)
        self.is_encrypted = True

    def confirm_tls(self) -> None:
        """Answer the HELLO that offers TLS."""
        self.send(HelloOk(self._around.own, features=(*self._around.features, TLS)))

    def send_hello(self) -> None:
        """Greet: offer TLS where we have it, and inside of it show our card."""
        offer = self._tls is not None and not self.is_encrypted
        features = (*self._around.features, TLS) if offer else self._around.features
        self.send(Hello(self._around.own, features=features, card=self._shown_card))

    def send_hello_ok(self) -> None:
        """Answer the HELLO."""
        self.send(HelloOk(self._around.own, features=self._around.features, card=self._shown_card))

    @property
    def _shown_card(self) -> object:
        """Our card, where nobody else can see it."""
        return self._tls.card if self._tls is not None and self.is_encrypted else UNSET

    def send_error(self, problem: ProtocolError) -> None:
        """Tell the peer what was wrong."""
        self.send(Error.about(problem, dst=self.peer_id))

    def send_bye(self, reason: str) -> None:
        """Say BYE, behind everything that waits."""
        bye = Bye(self._around.new_id(), src=self._around.own, dst=self.peer_id, reason=reason)
        self.outgoing.write_last(self._encoded(bye), BYE_WITHIN_S)

    def send_bye_ok(self, message: Bye) -> None:
        """Answer a BYE with its own msg_id."""
        self.send(ByeOk(message.msg_id, src=self._around.own, dst=self.peer_id))

    def set_deadline(self, seconds: float) -> None:
        """Bound the time in the next state."""
        self.clear_deadline()
        self._deadline = self._clock.callLater(seconds, self._out_of_time)

    def clear_deadline(self) -> None:
        """The next state may last."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def go_down(self, why: str) -> None:
        """Take no more messages; tell the owner, if it ever was told that we were up."""
        self.why_down = self.why_down or why
        if self._is_up:
            self._is_up = False
            try:
                self._owner.link_down(self, self.why_down)
            except Exception:
                # The owner's fault must not keep the connection from being closed.
                self._around.broken += 1
                self._log.failure("unexpected error when a link with {peer!a} went", peer=self.peer_id)

    def stop_reading_lines(self) -> None:
        """Throw away what still arrives."""
        self._deaf = True

    def half_close(self) -> None:
        """Close our half behind what waits. TLS has no halves; it waits by itself until all was read."""
        self.outgoing.when_empty(self._lose if self.is_encrypted else self._lose_write)

    def close(self) -> None:
        """Close behind what waits."""
        self.outgoing.when_empty(self._lose)

    def end(self, why: str) -> None:
        """Free what is held."""
        self.clear_deadline()
        self.outgoing.close()
        self._vitals.end(why)
        self._owner.link_gone(self, self.why_down)

    def _lose(self) -> None:
        # A producer that was told to stop would hold the close back until the deadline.
        self._socket.unregisterProducer()
        self._socket.loseConnection()

    def _lose_write(self) -> None:
        self._socket.unregisterProducer()
        self._socket.loseWriteConnection()

    def _out_of_time(self) -> None:
        self._deadline = None
        self._life.deadline()


_CONTROL: dict[type[Any], Callable[[Link, Any], None]] = {
    Ping: lambda link, message: link._vitals.on_ping(message),
    Pong: lambda link, message: link._vitals.on_pong(message),
    Bye: Link._bye,
    ByeOk: Link._bye_ok,
    MetricsReq: lambda link, message: link._vitals.on_metrics_req(message),
    Metrics: lambda link, message: link._vitals.on_metrics(message),
    Hello: Link._ignore,
    HelloOk: Link._ignore,
    HelloReject: Link._ignore,
}
