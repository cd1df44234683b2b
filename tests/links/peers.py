"""What the tests of links talk with: a raw peer that says what it is told, and owners that take notes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from p2pchat.addresses import Address
from p2pchat.links.link import Link
from p2pchat.links.neighbour import Neighbour
from p2pchat.links.surroundings import Surroundings
from p2pchat.links.switchboard import Switchboard
from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.messages import Message
from p2pchat.protocol.names import PeerId
from p2pchat.simulation.encrypted import TlsTransport
from p2pchat.testing import MemoryNetwork, MemoryTransport

ALICE = PeerId("alice@UnB")
BOB = PeerId("bob@UnB")
CAROL = PeerId("carol@UnB")

ALICE_IP, BOB_IP, CAROL_IP = "10.0.0.1", "10.0.0.2", "10.0.0.3"

BOBS, CAROLS = Address(BOB_IP, 7070), Address(CAROL_IP, 7070)

#: What peers of our own kind list, and what a plain peer may list.
OUR_FEATURES = ["ack", "relay", "who_has", "metrics"]
PLAIN_FEATURES = ["ack"]

#: The time of day, as far as the tests know.
TIMESTAMP = "2026-01-02T03:04:05Z"

#: A line from the raw peer, as JSON fields.
Fields = dict[str, Any]


def hello_ok(peer_id: str, features: list[str]) -> Callable[[Fields], list[Fields]]:
    """Return what answers a HELLO in the name of *peer_id*."""
    answer = {"type": "HELLO_OK", "peer_id": peer_id, "version": "1.0", "features": features, "ttl": 1}
    return lambda _: [answer]


def ack(message: Fields) -> list[Fields]:
    """Confirm a SEND."""
    return [{"type": "ACK", "msg_id": message["msg_id"], "from": message["dst"], "ttl": 1}]


def pong(message: Fields) -> list[Fields]:
    """Answer a PING."""
    return [{"type": "PONG", "msg_id": message["msg_id"], "timestamp": None}]


def bye_ok(message: Fields) -> list[Fields]:
    """Answer a BYE."""
    return [{"type": "BYE_OK", "msg_id": message["msg_id"]}]


@implementer(IHalfCloseableProtocol)
class RawPeer(Protocol):
    """The other end of a link: says what it is told, notes what it hears.

    :param answers: type of a line -> what it is answered at once.
    """

    def __init__(self, answers: dict[str, Callable[[Fields], list[Fields]]] | None = None) -> None:
        self.answers = answers or {}
        self.heard: list[Fields] = []
        #: All that arrived, in the pieces in which it did.
        self.segments: list[bytes] = []
        self.half_closed = False
        self.lost: str | None = None
        self._rest = b""

    @property
    def wire(self) -> MemoryTransport:
        """This end of the connection."""
        assert isinstance(self.transport, MemoryTransport)
        return self.transport

    @property
    def ended(self) -> bool:
        """The link has closed the connection, in whatever way."""
        return self.half_closed or self.lost is not None

    @property
    def types(self) -> list[str]:
        """The types of the lines that were heard."""
        return [fields["type"] for fields in self.heard]

    def of(self, kind: str) -> list[Fields]:
        """Return the lines of one type that were heard."""
        return [fields for fields in self.heard if fields["type"] == kind]

    def say(self, kind: str, **fields: Any) -> None:
        """Send one line."""
        self.wire.write(line(kind, **fields))

    def dataReceived(self, data: bytes) -> None:
        """Note lines, and answer them."""
        self.segments.append(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for each in lines:
            fields = json.loads(each)
            self.heard.append(fields)
            for answer in self.answers.get(fields["type"], lambda _: [])(fields):
                self.say(answer["type"], **{key: answer[key] for key in answer if key != "type"})

    def readConnectionLost(self) -> None:
        """The link has closed its half."""
        self.half_closed = True

    def writeConnectionLost(self) -> None:
        """Our half is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self.lost = type(reason.value).__name__


def line(kind: str, **fields: Any) -> bytes:
    """Write one line as others do; ``from_`` is written ``from``."""
    named = {key.rstrip("_"): value for key, value in fields.items()}
    return json.dumps({"type": kind, **named}).encode() + b"\n"


class Owner:
    """Owns one link and takes notes; `link.LinkOwner`."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.messages: list[Message] = []
        self.traced: list[bytes] = []
        self.refusal: ProtocolError | None = None
        #: Method -> what to do inside it, to make it fail for instance.
        self.instead: dict[str, Callable[[Link], None]] = {}

    def _note(self, link: Link, method: str, event: str) -> None:
        self.events.append(event)
        if method in self.instead:
            self.instead[method](link)

    def admit(self, link: Link, peer_id: PeerId) -> ProtocolError | None:
        """Let in whom the test wants."""
        return self.refusal

    def link_up(self, link: Link) -> None:
        """Note it."""
        self._note(link, "link_up", "up")

    def link_down(self, link: Link, why: str) -> None:
        """Note it."""
        self._note(link, "link_down", f"down: {why}")

    def link_gone(self, link: Link, why: str) -> None:
        """Note it."""
        self._note(link, "link_gone", f"gone: {why}")

    def message_received(self, link: Link, message: Message, line: bytes) -> None:
        """Note it."""
        self.messages.append(message)
        if "message_received" in self.instead:
            self.instead["message_received"](link)

    def line_traced(self, link: Link, line: bytes) -> None:
        """Note it."""
        self.traced.append(line)


class LinkTestCase(SynchronousTestCase):
    """One link of alice's, and bob as a raw peer at its other end."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(keeps_writes=True)
        self.clock = self.network.clock
        self.owner = Owner()
        numbers = itertools.count(1)
        self.around = Surroundings(ALICE, self.clock, lambda: f"id-{next(numbers)}", lambda: TIMESTAMP)
        self.addCleanup(self.assert_clean)

    def assert_clean(self) -> None:
        """Cut what still stands; then nothing is left on the clock."""
        for transport in list(self.network.transports):
            transport.abortConnection()
        self.clock.advance(0.01)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def connect(self, dialled: bool = True, expected: PeerId | None = None) -> None:
        """Make a link and let what it says first arrive."""
        here, there = IPv4Address("TCP", ALICE_IP, 7070), IPv4Address("TCP", BOB_IP, 7070)
        self.near = TlsTransport(self.network, here, there)
        self.near.is_client = dialled
        far = MemoryTransport(self.network, there, here)
        self.link = Link(self.owner, self.around, dialled, Address(BOB_IP, 7070), expected)
        self.raw = RawPeer()
        self.near.join(far, self.link)
        far.join(self.near, self.raw)
        self.raw.makeConnection(far)
        self.link.makeConnection(self.near)
        self.soon()

    def come_up(self, features: list[str], dialled: bool = True) -> None:
        """Make a link and do the handshake; then forget what was said in it."""
        self.connect(dialled)
        self.raw.say("HELLO_OK" if dialled else "HELLO", peer_id=BOB, version="1.0", features=features)
        self.soon()
        self.assertEqual(self.owner.events, ["up"])
        self.raw.heard.clear()
        self.raw.segments.clear()
        self.near.writes.clear()

    def soon(self) -> None:
        """Let what was just said be heard and answered, where nothing is spaced out."""
        self.clock.advance(0.01)

    def hear(self, kind: str, **fields: Any) -> list[Fields]:
        """Let the raw peer say one line, and return what it hears within a second."""
        self.raw.heard.clear()
        self.raw.say(kind, **fields)
        self.clock.advance(1.0)
        return self.raw.heard


class Board:
    """Takes notes of what a switchboard tells; `switchboard.Board`."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.messages: list[tuple[PeerId, Message]] = []
        self.traced: list[tuple[PeerId, bytes]] = []
        #: Whose newest link ended while others stand.
        self.lost: list[PeerId] = []
        self.on_message: Callable[[Neighbour, Message], None] = lambda _neighbour, _message: None

    def admit(self, link: Link) -> ProtocolError | None:
        """Let in everybody."""
        return None

    def neighbour_up(self, neighbour: Neighbour) -> None:
        """Note it."""
        self.events.append(f"+{neighbour.peer_id}")

    def neighbour_down(self, neighbour: Neighbour, why: str) -> None:
        """Note it."""
        self.events.append(f"-{neighbour.peer_id}")

    def link_lost(self, neighbour: Neighbour, why: str) -> None:
        """Note it."""
        self.lost.append(neighbour.peer_id)

    def message_received(self, neighbour: Neighbour, message: Message, line: bytes) -> None:
        """Note it."""
        self.messages.append((neighbour.peer_id, message))
        self.on_message(neighbour, message)

    def line_traced(self, peer_id: PeerId, line: bytes) -> None:
        """Note it."""
        self.traced.append((peer_id, line))


class SwitchboardTestCase(SynchronousTestCase):
    """Switchboards and raw peers on one network; all boards are stopped at the end."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(keeps_writes=True)
        self.clock = self.network.clock
        self.switchboards: list[Switchboard] = []
        self.chance = 1.0
        self.addCleanup(self.assert_clean)

    def assert_clean(self) -> None:
        """Every board stops within 2 s, and leaves nothing on the clock."""
        stopped = [each.stopService() for each in self.switchboards if each.running]
        self.clock.advance(2.0)
        for each in stopped:
            self.successResultOf(each)
        for transport in list(self.network.transports):
            transport.abortConnection()  # those of raw peers that did not close
        self.clock.advance(self.network.latency_s)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def serve(
        self, answers: dict[str, Callable[[Fields], list[Fields]]] | None = None, ip: str = BOB_IP
    ) -> list[RawPeer]:
        """Let raw peers listen at *ip*; return those that were connected to, which grow."""
        raws: list[RawPeer] = []

        class Factory(ServerFactory):
            noisy = False

            def buildProtocol(self, addr: object) -> RawPeer:
                raws.append(RawPeer(answers))
                return raws[-1]

        self.network.host(ip).listenTCP(7070, Factory())
        return raws

    def dial(
        self,
        peer_id: str | None = BOB,
        features: list[str] | None = None,
        ip: str = BOB_IP,
        to: str = ALICE_IP,
    ) -> RawPeer:
        """Let a raw peer dial *to*, and say HELLO where it has a name."""
        raw = RawPeer({"PING": pong, "BYE": bye_ok})
        factory = ClientFactory()
        factory.noisy = False
        self.patch(factory, "buildProtocol", lambda _: raw)
        self.network.host(ip).connectTCP(to, 7070, factory)
        self.clock.advance(0.005)
        if peer_id is not None:
            raw.say("HELLO", peer_id=peer_id, version="1.0", features=features or PLAIN_FEATURES)
            self.clock.advance(0.005)
        return raw

    def start(self, own: PeerId = ALICE, ip: str = ALICE_IP, port: int = 7070) -> tuple[Switchboard, Board]:
        """Start a switchboard that listens at *ip*."""
        board = Board()
        numbers = itertools.count(1)
        switchboard = Switchboard(
            self.network.host(ip),
            own,
            board,
            new_id=lambda: f"{own}-{next(numbers)}",
            timestamp=lambda: TIMESTAMP,
            random=lambda: self.chance,
            port=port,
        )
        self.switchboards.append(switchboard)
        switchboard.startService()
        return switchboard, board


class AliceTestCase(SwitchboardTestCase):
    """Alice's switchboard, and others as raw peers."""

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.board = self.start()

    def plain_bob(self) -> list[RawPeer]:
        """Let bob listen as a plain peer."""
        return self.serve({"HELLO": hello_ok(BOB, PLAIN_FEATURES), "PING": pong, "BYE": bye_ok})

    def own_kind_bob(self) -> list[RawPeer]:
        """Let bob listen as one of our own kind."""
        return self.serve({"HELLO": hello_ok(BOB, OUR_FEATURES), "PING": pong, "BYE": bye_ok})

    def dial_times_s(self, raws: list[RawPeer], seconds: float) -> list[float]:
        """Let *seconds* pass; return when connections came, to a tenth."""
        times_s: list[float] = []
        for _ in range(round(seconds * 10)):
            known = len(raws)
            self.clock.advance(0.1)
            times_s += [self.clock.seconds()] * (len(raws) - known)
        return times_s
