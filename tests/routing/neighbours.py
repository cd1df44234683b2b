"""What the tests of the router talk with: neighbours that take notes, and a house that does."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.codec import decode
from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.messages import Error, Pub, Send
from p2pchat.protocol.names import PeerId
from p2pchat.protocol.protection import Protection
from p2pchat.routing import neighbourhood as routing
from p2pchat.routing.courier import Load
from p2pchat.routing.delivery import Delivery, State
from p2pchat.routing.router import Router
from p2pchat.routing.routes import Route
from p2pchat.routing.trust import Trust

ALICE = PeerId("alice@UnB")
BOB = PeerId("bob@UnB")
CAROL = PeerId("carol@Giga")
DAVE = PeerId("dave@UnB")
ERIN = PeerId("erin@UnB")


class Neighbour:
    """A peer with a direct link, as the router sees it; `router.Neighbour`."""

    def __init__(self, peer_id: PeerId, plain: bool = False, features: frozenset[str] | None = None) -> None:
        self.peer_id = peer_id
        self.plain = plain
        self.features = (
            frozenset({"ack"} if plain else {"ack", "relay", "who_has"}) if features is None else features
        )
        self.is_encrypted = False
        self.full = False
        #: Sources that should slow down.
        self.crowded_by: set[PeerId] = set()
        self.leaves_in_s = 0.0
        #: For how long nothing was to be read from it, each time that was said.
        self.holds: list[float] = []
        #: Lines that other neighbours brought, with who did.
        self.passed_on: list[tuple[PeerId, bytes]] = []
        #: All lines that were written, and those that were urgent.
        self.lines: list[bytes] = []
        self.urgent: list[bytes] = []

    def write(self, line: bytes, urgent: bool = False) -> bool:
        """Note a line, unless too much waits."""
        if not self.full:
            self.lines.append(line)
            if urgent:
                self.urgent.append(line)
        return not self.full

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """What of one type was written, as JSON."""
        return [fields for fields in self.heard if fields["type"] == kind]

    def pass_on(self, line: bytes, source: PeerId) -> bool:
        """Note a line of another neighbour's, unless too much waits."""
        if not self.full:
            self.lines.append(line)
            self.passed_on.append((source, line))
        return not self.full

    def is_crowded(self, source: PeerId) -> bool:
        """Whether a test says so."""
        return source in self.crowded_by

    def hold(self, seconds: float) -> None:
        """Note it."""
        self.holds.append(seconds)

    @property
    def heard(self) -> list[dict[str, Any]]:
        """What was written, as JSON."""
        return [json.loads(line) for line in self.lines]


class Disk:
    """Goes on at once, or when a test lets it."""

    def __init__(self) -> None:
        self.is_slow = False
        self._waiting: list[Callable[[], None]] = []

    def write(self, then: Callable[[], None]) -> None:
        """Go on, now or later."""
        self._waiting.append(then)
        if not self.is_slow:
            self.catch_up()

    def catch_up(self) -> None:
        """Go on with all that waits."""
        while self._waiting:
            self._waiting.pop(0)()


class House:
    """Takes notes of what a router makes happen; `router.House`."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.told_sought: list[Delivery] = []
        #: What waits, with code and reason of that time.
        self.postponed: list[tuple[Delivery, str, str]] = []
        self.shown: list[Send | Pub] = []
        self.accepted: list[Delivery] = []
        self.began: list[Delivery] = []
        self.settlements: list[Delivery] = []
        self.sought: list[PeerId] = []
        self.warnings: list[tuple[PeerId, str]] = []
        self.complaints: list[Error] = []
        #: Which couriers keep which of our messages, each time that was told.
        self.keepers: list[tuple[Delivery, tuple[PeerId, ...]]] = []
        self.kept_casts: list[Pub] = []

    def arrived(
        self,
        neighbour: routing.Neighbour,
        message: Send | Pub,
        protection: Protection,
        by_text: bool,
        then: Callable[[bool], None],
    ) -> None:
        """Note it."""
        self.shown.append(message)
        self.disk.write(lambda: then(True))

    def after_all(self, then: Callable[[], None]) -> None:
        """Go on."""
        self.disk.write(then)

    def taken(self, delivery: Delivery, then: Callable[[], None]) -> None:
        """Note it."""
        self.accepted.append(delivery)
        self.disk.write(then)

    def seeks(self, delivery: Delivery) -> None:
        """Note it."""
        self.told_sought.append(delivery)

    def waits(self, delivery: Delivery) -> None:
        """Note it."""
        self.postponed.append((delivery, delivery.code, delivery.why))

    def sent(self, delivery: Delivery) -> None:
        """Note it."""
        self.began.append(delivery)

    def settled(self, delivery: Delivery) -> None:
        """Note it."""
        self.settlements.append(delivery)

    def held(self, delivery: Delivery) -> None:
        """Note it."""
        self.keepers.append((delivery, delivery.couriers))

    def keep_cast(self, message: Pub) -> None:
        """Note it."""
        self.kept_casts.append(message)

    def casts(self) -> list[Pub]:
        """Return them."""
        return self.kept_casts

    def seek(self, dst: PeerId) -> None:
        """Note it."""
        self.sought.append(dst)

    def warn(self, peer_id: PeerId, text: str) -> None:
        """Note it."""
        self.warnings.append((peer_id, text))

    def complained(self, neighbour: routing.Neighbour, error: Error) -> None:
        """Note it."""
        self.complaints.append(error)


class Loads:
    """Keeps what a courier keeps; `courier.Custody`."""

    def __init__(self, disk: Disk) -> None:
        self.kept: dict[str, Load] = {}
        self._disk = disk

    def keep(self, load: Load, for_s: float, then: Callable[[], None]) -> None:
        """Note it."""
        self.kept[load.hold.msg_id] = load
        self._disk.write(then)

    def drop(self, msg_id: str) -> None:
        """Note it."""
        del self.kept[msg_id]


class RouterTestCase(SynchronousTestCase):
    """Alice's router."""

    def setUp(self) -> None:
        self.now_s = 1000.0
        self.house = House()
        self.begin()

    def begin(self, trust: Trust | None = None, keeps: bool = False, carries: bool = False) -> None:
        """Begin anew, with somebody who has keys, or with what is kept."""
        numbers = itertools.count(1)
        self.loads = Loads(self.house.disk)
        self.router = Router(
            ALICE,
            self.house,
            lambda: self.now_s,
            lambda: f"a{next(numbers)}",
            trust,
            keeps,
            self.loads if carries else None,
        )

    def advance(self, seconds: float) -> None:
        """Let time pass, a tenth of a second at a time."""
        end_s = self.now_s + seconds
        while self.now_s < end_s - 1e-6:
            self.now_s = min(self.now_s + 0.1, end_s)
            self.router.tick()

    def link(self, peer_id: PeerId = BOB, plain: bool = False, **kw: Any) -> Neighbour:
        """Let a link come up."""
        neighbour = Neighbour(peer_id, plain, **kw)
        self.router.neighbour_up(neighbour)
        return neighbour

    def receive(self, neighbour: Neighbour, kind: str, **fields: Any) -> None:
        """Let a message arrive, as JSON fields; ``from_`` is written ``from``."""
        named = {key.rstrip("_"): value for key, value in fields.items()}
        line = json.dumps({"type": kind, **named}, ensure_ascii=False).encode()
        self.router.received(neighbour, decode(line), line)

    def know(self, dst: PeerId, hop: Neighbour, hops: int = 2) -> Route:
        """Let a way to *dst* through *hop* be known."""
        route = self.router.routes.learn(dst, hop.peer_id, hops, self.now_s)
        assert route is not None
        return route

    def ways(self, dst: PeerId) -> list[PeerId]:
        """The next hops to *dst*, the best first."""
        return [way.hop for way in self.router.routes.ways(dst, self.now_s)]

    def give(self, source: Neighbour, dst: PeerId = DAVE, msg_id: str = "m1", **fields: Any) -> None:
        """Let a neighbour bring a SEND, its own if nothing else is said."""
        fields = {"src": source.peer_id, "payload": "hi", "require_ack": True, "ttl": 8, **fields}
        self.receive(source, "SEND", msg_id=msg_id, dst=dst, **fields)

    def answers(self, neighbour: Neighbour) -> list[tuple[str, str, str]]:
        """What a neighbour was told about messages: type, msg_id, and the code or reason."""
        return [
            (each["type"], each.get("ref") or each.get("msg_id", ""), each.get("code") or each["reason"])
            for each in neighbour.heard
            if each["type"] in ("ERROR", "RELAY_OK", "RELAY_FAIL", "TTL_EXPIRED")
        ]

    def assert_settled(self, delivery: Delivery, state: State, code: str = "", *words: str) -> None:
        """Assert that *delivery* is the only one settled, once, and that its reason has *words*."""
        self.assertEqual(self.house.settlements, [delivery])
        self.assertEqual((delivery.state, delivery.code), (state, code))
        self.assertTrue(delivery.is_over)
        self.assertEqual(len(self.router.pending), 0)
        for word in words:
            self.assertIn(word, delivery.why)

    def refusal_of(self, neighbour: Neighbour, kind: str, **fields: Any) -> ProtocolError:
        """Let a message arrive that must be refused, and return why."""
        with self.assertRaises(ProtocolError) as caught:
            self.receive(neighbour, kind, **fields)
        problem: ProtocolError = caught.exception
        return problem
