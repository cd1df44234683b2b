"""What neighbours tell of what was said before we came, and what we tell those who come."""

from __future__ import annotations

from typing import Any

from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import Pub
from p2pchat.protocol.names import PeerId, ToAll, ToNamespace
from p2pchat.protocol.protection import Protection
from p2pchat.routing import past as module
from p2pchat.routing.past import ASKED, MOST, PAUSE_S, WAIT_S
from p2pchat.routing.trust import NoTrust
from tests.routing.neighbours import ALICE, BOB, CAROL, DAVE, ERIN, Neighbour, RouterTestCase

OFFERS = frozenset({"ack", "relay", "who_has", "past"})


class Signatures(NoTrust):
    """Knows which signatures hold."""

    def unwrap_cast(self, message: Pub, is_proved: bool) -> tuple[Pub | None, Protection]:
        """Look at the signature."""
        if message.sig == "forged":
            raise ProtocolError(ErrorCode.UNAUTHORIZED, "its signature does not hold")
        return (None if message.sealed else message), Protection.SIGNED


class PastTestCase(RouterTestCase):
    """Alice comes, and others are there."""

    def setUp(self) -> None:
        super().setUp()
        self.begin(Signatures(), keeps=True)

    def one(self, name: str = BOB, **more: Any) -> Neighbour:
        """Let somebody be linked who was there before."""
        return self.link(PeerId(name), **({"features": OFFERS} | more))

    def asked(self, neighbour: Neighbour) -> list[str]:
        """The questions that a neighbour was asked."""
        return [each["msg_id"] for each in neighbour.of_type("LATEST")]

    def tell(self, neighbour: Neighbour, text: str, at: int = 0, **fields: Any) -> None:
        """Let a neighbour tell what carol's friend dave said at a time."""
        question = [*self.asked(neighbour), ""][0]
        given = {"src": DAVE, "dst": "#UnB", "payload": text, "ttl": 1, "past": question}
        signed = {"time_ms": 1000 + at, "key": "k", "sig": "s"}
        self.receive(neighbour, "PUB", msg_id=f"m {text}", **given | signed | fields)

    @property
    def texts(self) -> list[str]:
        """What was shown."""
        return [message.payload for message in self.house.shown]


class AskingTests(PastTestCase):
    def test_asked(self) -> None:
        """The first three who offer it and are of our namespace are asked, for our namespace."""
        others = [self.one(features=frozenset({"relay"})), self.one(CAROL), self.one("old@UnB", plain=True)]
        neighbours = [self.one(f"{number}@UnB") for number in range(ASKED + 1)]
        self.assertEqual([len(self.asked(each)) for each in neighbours], [1] * ASKED + [0])
        self.assertEqual([self.asked(each) for each in others], [[]] * 3)
        (question,) = neighbours[0].of_type("LATEST")
        self.assertEqual((question["src"], question["dst"]), (ALICE, "#UnB"))

    def test_nothing_kept(self) -> None:
        """Who keeps nothing asks nobody, answers nobody, and takes nothing."""
        self.begin(Signatures())
        bob = self.one()
        self.receive(bob, "LATEST", msg_id="q", src=BOB, dst="#UnB")
        self.tell(bob, "before")
        self.advance(WAIT_S)
        self.assertEqual((bob.lines, self.texts), ([], []))

    def test_in_order(self) -> None:
        """What several tell is shown once, in the order in which it was said, a moment later."""
        bob, erin = self.one(BOB), self.one(ERIN)
        for neighbour, text, at in (
            (bob, "2", 2),
            (bob, "4", 4),
            (erin, "1", 1),
            (erin, "2", 2),
            (erin, "3", 3),
        ):
            self.tell(neighbour, text, at)
        self.assertEqual(self.texts, [])
        self.assertEqual(self.router.sizes()["casts_past_waiting"], 5)
        self.advance(WAIT_S)
        self.assertEqual(self.texts, ["1", "2", "3", "4"])
        self.tell(erin, "5", 0)
        self.assertEqual(self.texts[-1], "5")

    def test_told_on(self) -> None:
        """What was shown is kept for others, as it came; nothing of it goes on by itself."""
        bob, erin = self.one(BOB), self.one(ERIN)
        self.tell(bob, "before")
        self.advance(WAIT_S)
        self.assertEqual([each.payload for each in self.house.kept_casts], ["before"])
        self.assertEqual(erin.of_type("PUB"), [])

    def test_not_asked(self) -> None:
        """What nobody asked for is not shown: it may be old, and swallowed by whoever tells it."""
        bob, erin = self.one(BOB), self.one(ERIN, features=frozenset({"relay"}))
        self.tell(erin, "old")
        self.tell(erin, "old too", past=self.asked(bob)[0])
        self.tell(bob, "of another", past="other")
        self.tell(bob, "elsewhere", dst="#Giga")
        self.advance(WAIT_S)
        self.assertEqual((self.texts, self.router.sizes()["casts_past_refused"]), ([], 4))

    def test_plain(self) -> None:
        """A plain peer may mean something else by the name."""
        erin = self.one(ERIN, plain=True, features=frozenset())
        self.tell(erin, "hello", src=ERIN, past="tense")
        self.assertEqual(self.texts, ["hello"])

    def test_unsigned(self) -> None:
        """What nobody signed is not shown, nor what is not for our eyes, nor what we said ourselves."""
        bob = self.one()
        self.receive(
            bob, "PUB", msg_id="m", src=DAVE, dst="#UnB", payload="hi", ttl=1, past=self.asked(bob)[0]
        )
        self.tell(bob, "sealed", sealed="box")
        self.tell(bob, "mine", src=ALICE)
        self.tell(bob, "forged", sig="forged")
        self.advance(WAIT_S)
        self.assertEqual((self.texts, self.router.tally.forged), ([], 1))
        self.assertEqual(bob.of_type("ERROR"), [])

    def test_too_many(self) -> None:
        """Of one neighbour fifty are taken."""
        bob = self.one()
        for number in range(MOST + 1):
            self.tell(bob, str(number), number)
        self.advance(WAIT_S)
        self.assertEqual((len(self.texts), self.router.sizes()["casts_past_refused"]), (MOST, 1))

    def test_no_way(self) -> None:
        """That somebody said something once says nothing of where that one is now."""
        self.tell(self.one(), "before")
        self.assertEqual(self.ways(DAVE), [])

    def test_left_by_all(self) -> None:
        """Who had no link any more asks again; who had another one does not."""
        bob, erin = self.one(BOB), self.one(ERIN)
        self.router.neighbour_down(bob, "gone")
        bob = self.one(BOB)
        self.assertEqual(self.asked(bob), [])
        for neighbour in (bob, erin):
            self.router.neighbour_down(neighbour, "gone")
        self.assertEqual(len(self.asked(self.one(BOB))), 1)

    def test_no_room(self) -> None:
        """Who cannot be asked now is not counted."""
        bob = Neighbour(BOB, features=OFFERS)
        bob.full = True
        self.router.neighbour_up(bob)
        others = [self.one(f"{number}@UnB") for number in range(ASKED)]
        self.assertEqual([len(self.asked(each)) for each in others], [1] * ASKED)


class AnsweringTests(PastTestCase):
    def setUp(self) -> None:
        super().setUp()
        for number in range(3):
            text = str(number)
            self.house.kept_casts.append(
                Pub(text, DAVE, text, "#UnB", ttl=7, time_ms=number, key="k", sig="s")
            )

    def ask(self, neighbour: Neighbour, msg_id: str = "q", dst: str = "#UnB") -> list[dict[str, Any]]:
        """Let a neighbour ask; return what it is told."""
        neighbour.lines.clear()
        self.receive(neighbour, "LATEST", msg_id=msg_id, src=neighbour.peer_id, dst=dst)
        return neighbour.of_type("PUB")

    def test_told(self) -> None:
        """Who asks is told all that is kept, as it came."""
        told = self.ask(self.one())
        self.assertEqual([each["payload"] for each in told], ["0", "1", "2"])
        for each in told:
            self.assertEqual((each["past"], each["ttl"], each["sig"], each["src"]), ("q", 1, "s", DAVE))

    def test_not_told(self) -> None:
        """Nobody is told of another namespace than ours, nor who is of another."""
        self.assertEqual(self.ask(self.one(), dst="#Giga"), [])
        self.assertEqual(self.ask(self.one(CAROL)), [])

    def test_often(self) -> None:
        """Who asks again is told again after a minute, whatever it does meanwhile."""
        bob = self.one()
        self.ask(bob)
        self.router.neighbour_down(bob, "gone")
        bob = self.one()
        self.assertEqual(self.ask(bob), [])
        self.now_s += PAUSE_S
        self.assertEqual(len(self.ask(bob)), 3)

    def test_many(self) -> None:
        """When very many ask, some are not told."""
        self.patch(module, "MAX_ASKERS", 1)
        self.assertEqual([len(self.ask(self.one(f"{number}@UnB"))) for number in range(2)], [3, 0])

    def test_no_room(self) -> None:
        """Where there is no room for more it ends."""
        bob = self.one()
        bob.full = True
        self.assertEqual(self.ask(bob), [])


class KeepingTests(PastTestCase):
    def test_heard(self) -> None:
        """What is shown is handed to whoever keeps it, once."""
        bob, erin = self.one(BOB), self.one(ERIN)
        for neighbour in (bob, erin):
            self.receive(neighbour, "PUB", msg_id="m", src=DAVE, dst="#UnB", payload="hi", ttl=7, sig="s")
        self.assertEqual([each.payload for each in self.house.kept_casts], ["hi"])

    def test_said(self) -> None:
        """So is what we say, if anybody was there to hear it."""
        self.router.publish(ToNamespace("UnB"), "alone")
        self.one()
        self.router.publish(ToNamespace("UnB"), "to the namespace")
        self.router.publish(ToAll(), "to all")
        self.assertEqual([each.payload for each in self.house.kept_casts], ["to the namespace", "to all"])
