"""A whole node with a user, to which strangers say anything."""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.internet.interfaces import ITCPTransport
from twisted.logger import ILogObserver, LogLevel, globalLogPublisher
from zope.interface import implementer

from p2pchat.addresses import Address
from p2pchat.links.listener import MAX_STRANGERS
from p2pchat.links.outgoing import MAX_LINES
from p2pchat.links.switchboard import MAX_LINKS
from p2pchat.protocol.messages import COURIER, FEATURES, PAST
from p2pchat.routing import courier, discovery, recent, relay, routes, seen
from tests.console.users import ConsoleTestCase, steering
from tests.fuzz.borrowed import borrow, give_back
from tests.links.peers import line
from tests.village import Stranger

#: The most that each table may hold; what is not here only counts events.
BOUNDS = {
    "pending": 0,
    "casts_waiting": 0,
    "roster": 0,
    "addresses_dialled": 0,
    "unexpected_errors": 0,
    "routes": routes.MAX_ROUTES + MAX_LINKS,
    "questions_open": discovery.MAX_QUESTIONS,
    "questions_remembered": 2 * recent.MAX_KEYS,
    "messages_parked": relay.MAX_PARKED,
    "messages_remembered": 2 * recent.MAX_KEYS,
    "casts_remembered": 2 * recent.MAX_KEYS,
    "courier_messages": courier.IN_ALL.messages,
    "courier_bytes": courier.IN_ALL.size,
    "courier_receipts": courier.IN_ALL.messages,
    "messages_seen": 2 * seen.MAX_KEYS,
    "neighbours": MAX_LINKS,
    "connections": MAX_LINKS,
    "connections_without_hello": MAX_STRANGERS,
    "lines_waiting": 2 * MAX_LINES,
}

#: How strangers greet: not at all, as a plain peer, as our own kind; by names that the corpus speaks of.
GREETINGS: tuple[bytes, ...] = (
    b"",
    line("HELLO", peer_id="peter@UnB", version="1.0", features=["ack"]),
    *(
        line("HELLO", peer_id=f"{name}@UnB", version="1.0", features=(*FEATURES, PAST, COURIER))
        for name in ("bob", "mallory", "alice")
    ),
)

#: Strangers that are there at once, so that there is somebody to pass something on to.
PRESENT = 3

#: What the user looks at meanwhile.
LOOKS = ("/routes", "/peers *", "/status", "/metrics", "/who mallory", "/who bob")


@implementer(ILogObserver)
class Failures:
    """Notes what is logged as an error."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, event: dict[str, Any]) -> None:
        if event["log_level"] >= LogLevel.error:
            self.seen.append(str(event.get("log_failure", event)))


class WholeNode:
    """A real node in memory with a neighbour that behaves, and a user who watches all that arrives.

    It has the name of the relay of the corpus, so that it is asked to pass on what was recorded.
    """

    corpus: ClassVar[str] = "peer"
    is_stream: ClassVar[bool] = True
    lasts: ClassVar[int] = 100

    def __init__(self) -> None:
        self._count = 0
        self._failures = Failures()
        globalLogPublisher.addObserver(self._failures)
        self._begin()

    def take(self, pieces: list[bytes]) -> bool:
        """Let a stranger say it all; False where it heard an ERROR, or was left."""
        stranger = self._greet()
        for piece in pieces:
            stranger.say(piece)
        self._case.pass_time(0.03)
        self._check()
        if len(self._case.strangers) > PRESENT:
            self._leave(self._case.strangers[0])
        return not stranger.is_closed and b'"type":"ERROR"' not in stranger.got

    def close(self) -> None:
        """Stop all; no connection and no timer may be left."""
        globalLogPublisher.removeObserver(self._failures)
        give_back(self._case)
        assert self._failures.seen == []

    def _begin(self) -> None:
        self._case = borrow(ConsoleTestCase)
        self._user = self._case.user("relay", port=7070, keeps=True)
        self._user.types("/watch")
        self._near = self._case.join("erin", rendezvous=None, peers=(Address(self._user.villager.ip, 7070),))
        self._case.pass_time(1)

    def _greet(self) -> Stranger:
        stranger = self._case.stranger(self._user.villager, f"10.6.6.{self._count % 9}")
        greeting = GREETINGS[self._count % len(GREETINGS)]
        self._count += 1
        if greeting:
            stranger.say(greeting)
            self._case.pass_time(0.01)
        return stranger

    def _leave(self, stranger: Stranger) -> None:
        """Hang up in a different way each time, and let now and then all be over that waits."""
        assert stranger.transport is not None
        wire = ITCPTransport(stranger.transport)
        (wire.abortConnection if self._count % 2 else wire.loseConnection)()
        self._case.strangers.remove(stranger)
        self._case.pass_time(8.0 if self._count % 20 == 0 else 0.02)

    def _check(self) -> None:
        """Assert that nothing broke, nothing grew or steered the display, and the neighbour is served."""
        counters = self._user.node.counters()
        for name, most in BOUNDS.items():
            assert counters[name] <= most, f"{name}: {counters[name]}"
        assert self._near.node.counters()["unexpected_errors"] == 0
        assert self._failures.seen == []
        self._check_screen()
        link = self._user.node.neighbours.get(self._near.own)
        # A stranger that took the neighbour's name may have taken its place too.
        if link is None or len(link.links) == 1:
            self._case.successResultOf(self._ping())

    def _ping(self) -> Any:
        pinged = self._near.node.ping(self._user.own)
        self._case.pass_time(0.02)
        return pinged

    def _check_screen(self) -> None:
        self._user.types(LOOKS[self._count % len(LOOKS)])
        for shown in self._user.screen:
            assert steering(shown) == [], shown[:200]
            assert len(shown.splitlines()) <= 1, shown[:200]
            assert "Something failed" not in shown
        self._user.screen.clear()
