"""Messages of others to many: passed on to all, once (docs/protocol.md, sections 4, 5 and 9)."""

from __future__ import annotations

from typing import Any

from p2pchat.protocol.names import PeerId
from p2pchat.routing.quotas import Limits, Rate
from tests.routing.neighbours import ALICE, BOB, CAROL, DAVE, ERIN, Neighbour, RouterTestCase

ZOE = PeerId("zoe@UnB")


class FloodTestCase(RouterTestCase):
    """Bob says something; carol and dave are of our own kind."""

    def setUp(self) -> None:
        super().setUp()
        self.bob, self.carol, self.dave = self.link(), self.link(CAROL), self.link(DAVE)

    def say(self, neighbour: Neighbour, **fields: Any) -> None:
        """Let a message to many arrive, bob's if nothing else is said."""
        fields = {"msg_id": "p1", "src": BOB, "dst": "*", "payload": "hi", "ttl": 8, **fields}
        self.receive(neighbour, "PUB", **fields)

    def ttls(self, neighbour: Neighbour) -> list[int]:
        """The ttl of each copy that a neighbour got."""
        return [each["ttl"] for each in neighbour.of_type("PUB")]


class PassingOnTests(FloodTestCase):
    def test_to_all_others(self) -> None:
        """Section 5: to every neighbour but where it came from, one ttl less, unknown fields and all."""
        self.say(self.bob, payload="olá", color={"x": [1.50]})
        message = {"type": "PUB", "msg_id": "p1", "src": BOB, "dst": "*", "payload": "olá", "ttl": 7}
        for neighbour in (self.carol, self.dave):
            self.assertEqual(neighbour.heard, [{**message, "color": {"x": [1.5]}}])
            self.assertEqual(neighbour.passed_on[0][0], BOB)
        self.assertEqual((self.bob.lines, len(self.house.shown), self.router.tally.flooded), ([], 1, 2))

    def test_not_to_its_source(self) -> None:
        """Whoever said it does not get it back the long way round."""
        self.say(self.carol, ttl=5)
        self.assertEqual((self.bob.lines, self.carol.lines, self.ttls(self.dave)), ([], [], [4]))

    def test_of_another_namespace(self) -> None:
        """Section 5: a node outside of the namespace passes it on, and does not show it."""
        self.say(self.bob, dst="#Giga")
        self.assertEqual((self.house.shown, self.ttls(self.dave)), ([], [7]))

    def test_ttl(self) -> None:
        """Section 5: more than 8 count as 8, a missing one as 1; none left, it ends here, and is shown."""
        for number, ttl in enumerate((1, 8, 9, 10**30, None, 0, -4)):
            self.say(self.bob, msg_id=f"p{number}", ttl=ttl)
        self.assertEqual(self.ttls(self.dave), [0, 7, 7, 7, 0])
        self.assertEqual((len(self.house.shown), self.router.tally.expired), (7, 2))

    def test_ttl_expired(self) -> None:
        """Section 5: its source hears it where it said it, but not each node at the rim of a flood does."""
        self.say(self.bob, ttl=0)
        self.say(self.bob, src=ZOE, ttl=0)
        self.assertEqual(self.answers(self.bob), [("ERROR", "p1", "ttl_expired")])

    def test_teaches_the_way_back(self) -> None:
        """Section 5: whose message came through a neighbour can be reached there."""
        self.say(self.carol, src=ZOE, ttl=6)
        (route,) = [each for each in self.router.routes if each.dst == ZOE]
        self.assertEqual((route.hop, route.hops), (CAROL, 3))

    def test_to_us_by_name(self) -> None:
        """9.12: a copy that somebody sent to us by our name is shown, and goes no further."""
        self.say(self.bob, dst=ALICE)
        self.assertEqual((len(self.house.shown), self.dave.lines), (1, []))

    def test_full(self) -> None:
        """A neighbour for whom too much waits misses it; the others do not."""
        self.carol.full = True
        self.say(self.bob)
        self.assertEqual((self.ttls(self.dave), self.router.tally.flooded), ([7], 1))


class OnceTests(FloodTestCase):
    def test_once(self) -> None:
        """Section 5: each node passes a (src, msg_id) on once, and counts further copies."""
        for neighbour, ttl in ((self.bob, 8), (self.bob, 8), (self.carol, 6), (self.dave, 8)):
            self.say(neighbour, ttl=ttl)
        self.assertEqual((self.ttls(self.carol), self.ttls(self.dave)), ([7], [7]))
        self.assertEqual((len(self.house.shown), self.router.tally.duplicates), (1, 3))

    def test_larger_ttl(self) -> None:
        """Section 5: a copy with more forwards left is passed on again, and not shown again."""
        for neighbour, ttl in ((self.carol, 2), (self.carol, 1), (self.dave, 6), (self.bob, 6)):
            self.say(neighbour, src=ZOE, ttl=ttl)
        self.assertEqual(
            (self.ttls(self.bob), self.ttls(self.dave), self.ttls(self.carol)), ([1, 5], [1], [5])
        )
        self.assertEqual(len(self.house.shown), 1)

    def test_spent_copy_first(self) -> None:
        """Section 5: a copy that came with a spent ttl starves nobody behind us."""
        self.say(self.carol, src=ZOE, ttl=0)
        self.say(self.bob, src=ZOE, ttl=3)
        self.assertEqual(self.ttls(self.dave), [2])

    def test_ids_collide(self) -> None:
        """9.13: other sources, and other words of one that counts seconds, are other messages."""
        for fields in ({}, {"payload": "other"}, {"src": ZOE}):
            self.say(self.bob, **fields)
        self.assertEqual(len(self.ttls(self.dave)), 3)

    def test_our_own(self) -> None:
        """Our own words that come back are not spread again."""
        self.say(self.bob, src=ALICE)
        self.assertEqual((self.dave.lines, self.house.shown), ([], []))

    def test_remembered(self) -> None:
        """What was passed on is known for a minute at least, and forgotten after two."""
        for wait_s, copies in ((0.0, 1), (59.0, 1), (121.0, 2)):
            self.advance(wait_s)
            self.say(self.bob)
            self.assertEqual(len(self.ttls(self.dave)), copies)
        self.advance(121.0)
        self.assertEqual(self.router.flood.remembered, 0)


class PlainTests(FloodTestCase):
    """Erin of UnB and hugo of Giga are plain."""

    def setUp(self) -> None:
        super().setUp()
        self.erin = self.link(ERIN, plain=True)
        self.hugo = self.link(PeerId("hugo@Giga"), plain=True)

    def test_to_plain_peers(self) -> None:
        """9.1, 9.4: plain peers get ttl 1, ASCII, and all fields that they need."""
        self.say(self.bob, payload="olá", color="é", dst=None)
        message = {"type": "PUB", "msg_id": "p1", "src": BOB, "dst": "", "payload": "olá", "ttl": 1}
        for plain in (self.erin, self.hugo):
            self.assertEqual(plain.heard, [{**message, "color": "é", "require_ack": False}])
            self.assertTrue(plain.lines[0].isascii())

    def test_whom_it_concerns(self) -> None:
        """A plain peer passes nothing on, so it gets only what is for all, its namespace or itself."""
        for number, dst in enumerate(("*", "#UnB", "UnB", ERIN, "#Giga", "Giga", "hugo@Giga")):
            self.say(self.bob, msg_id=f"p{number}", dst=dst)
        self.assertEqual([each["dst"] for each in self.erin.heard], ["*", "#UnB", "UnB", ERIN])
        self.assertEqual([each["dst"] for each in self.hugo.heard], ["*", "#Giga", "Giga", "hugo@Giga"])

    def test_once(self) -> None:
        """A copy with more forwards left is of no use to who passes nothing on."""
        self.say(self.carol, ttl=2)
        self.say(self.dave, ttl=6)
        self.assertEqual(len(self.erin.lines), 1)

    def test_of_a_plain_peer(self) -> None:
        """A plain peer's words are spread like those of others, with the one forward that it gives them."""
        self.say(self.erin, src=ERIN, ttl=1)
        self.assertEqual((self.ttls(self.dave), self.ttls(self.hugo), self.erin.lines), ([0], [1], []))

    def test_too_long_for_them(self) -> None:
        """What has no room in the form of plain peers still goes to all others; its source hears it."""
        late = self.link(ZOE)
        for source in (BOB, PeerId("far@UnB")):
            self.say(self.bob, payload="é" * 10000, src=source, ttl=5)
        self.assertEqual((self.ttls(self.carol), self.ttls(late)), ([4, 4], [4, 4]))
        self.assertEqual((self.erin.lines, self.hugo.lines), ([], []))
        self.assertEqual(self.answers(self.bob), [("ERROR", "p1", "line_too_long")])


class QuotaTests(FloodTestCase):
    def test_over_quota(self) -> None:
        """Section 5: the flood costs the flooder, whoever it says that it is; others are served."""
        self.router.hood.limits = Limits(floods=Rate(0.0, 2.0))
        flooder, other = self.link(ERIN), self.link(ZOE)
        for number in range(4):
            self.say(flooder, msg_id=f"p{number}", src=PeerId(f"x{number}@UnB"))
        self.say(other, msg_id="p9", src=ZOE)
        self.assertEqual(len(self.ttls(self.dave)), 3)
        errors = flooder.of_type("ERROR")
        self.assertEqual([(each["code"], each["ref"], each["dst"]) for each in errors],
                         [("over_quota", "p2", "x2@UnB"), ("over_quota", "p3", "x3@UnB")])  # fmt: skip
        self.assertEqual((len(flooder.holds), other.holds), (2, []))

    def test_other_copy(self) -> None:
        """What one neighbour could not make us spread goes on when it comes from another."""
        self.router.hood.limits = Limits(floods=Rate(0.0, 1.0))
        flooder, other = self.link(ERIN), self.link(ZOE)
        self.say(flooder, msg_id="p1")
        self.say(flooder, msg_id="p2")
        self.say(other, msg_id="p2")
        self.assertEqual([each["msg_id"] for each in self.dave.of_type("PUB")], ["p1", "p2"])

    def test_copies_cost_nothing(self) -> None:
        """Copies of what was spread already spend no quota: each neighbour brings one."""
        self.router.hood.limits = Limits(floods=Rate(0.0, 2.0))
        source = self.link(ERIN)
        for msg_id in ("p1", "p1", "p1", "p2"):
            self.say(source, msg_id=msg_id)
        self.assertEqual((len(self.ttls(self.dave)), source.lines), (2, []))
