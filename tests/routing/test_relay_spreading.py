"""A relay gives what did not arrive so far to two next hops (docs/protocol.md, section 5)."""

from __future__ import annotations

from p2pchat.routing.quotas import Limits, Rate
from p2pchat.routing.relay import LOST_AFTER_S, SPARE
from tests.routing.neighbours import BOB, CAROL, DAVE, ERIN, Neighbour
from tests.routing.test_relay_back import ZOE, BackTestCase


class SpreadingTestCase(BackTestCase):
    """Alice between bob, whose messages they are, and carol and erin, who know ways to dave."""

    def setUp(self) -> None:
        super().setUp()
        self.erin = self.link(ERIN)
        self.know(DAVE, self.erin, 5)

    def numbers(self, *neighbours: Neighbour) -> list[list[int]]:
        """Which copies each was given."""
        return [[each.get("attempt", 1) for each in near.of_type("SEND")] for near in neighbours]


class SpreadTests(SpreadingTestCase):
    def test_from_the_third_copy_on(self) -> None:
        """The first two copies go over one next hop each, the third over one more: nothing helped so far."""
        self.give(self.bob)
        self.assertEqual(self.numbers(self.carol, self.erin), [[1], []])
        self.give(self.bob, attempt=2, msg_id="m2")
        self.assertEqual(self.numbers(self.carol, self.erin), [[1, 2], []])
        self.give(self.bob, attempt=3, msg_id="m3", ttl=6, color="red")
        self.assertEqual(self.numbers(self.carol, self.erin), [[1, 2, 3], [SPARE]])
        spare = self.erin.of_type("SEND")[0]
        self.assertEqual((spare["ttl"], spare["color"], spare["payload"]), (5, "red", "hi"))
        self.assertEqual(self.erin.passed_on[0][0], BOB)

    def test_a_spare_one(self) -> None:
        """A copy that a relay made is spread by each that it comes to."""
        self.give(self.bob, src=ZOE, attempt=SPARE)
        self.assertEqual(self.numbers(self.carol, self.erin), [[SPARE], [SPARE]])

    def test_once(self) -> None:
        """A relay spreads a message once, whichever copy was the first, and says nothing about others."""
        for first, second, spare in ((3, 4, 1), (3, SPARE, 1), (SPARE, SPARE, 2), (SPARE, 3, 2)):
            self.setUp()
            zoe = self.link(ZOE)
            self.give(self.bob, src=BOB, attempt=first)
            self.give(zoe, src=BOB, attempt=second)
            copies = [
                number for each in self.numbers(self.carol, self.erin, zoe, self.bob) for number in each
            ]
            self.assertEqual(copies.count(SPARE), spare, (first, second))
            self.assertEqual([each for each in self.answers(zoe) if each[0] == "ERROR"], [])

    def test_in_a_circle(self) -> None:
        """That it comes back says nothing: it goes everywhere. So it is dropped."""
        self.give(self.bob, src=ZOE, attempt=SPARE)
        self.give(self.carol, src=ZOE, attempt=SPARE)
        self.assertEqual(self.carol.of_type("ERROR"), [])
        self.assertEqual(self.numbers(self.bob, self.carol, self.erin), [[], [SPARE], [SPARE]])
        self.assertEqual(self.router.tally.duplicates, 1)

    def test_helper(self) -> None:
        """One of which no way is known gets one too. None is learned by that, since anybody may cause it."""
        self.router.routes.drop(DAVE, ERIN)
        self.give(self.bob, attempt=3)
        self.assertEqual(self.numbers(self.carol, self.erin), [[3], [SPARE]])
        self.assertEqual(self.ways(DAVE), [CAROL])

    def test_not_back(self) -> None:
        """It goes neither where it came from, nor to its own source."""
        zoe = self.link(ZOE)
        self.router.routes.drop(DAVE, ERIN)
        self.router.neighbour_down(self.erin, "left")
        self.give(self.bob, src=ZOE, attempt=3)
        self.assertEqual(self.numbers(self.bob, zoe, self.carol), [[], [], [3]])

    def test_where_it_was_before(self) -> None:
        """The next hop of the copy before comes last; but there may be nobody else, and it spreads too."""
        self.give(self.bob, attempt=2)
        self.give(self.bob, attempt=3)
        self.assertEqual(self.numbers(self.carol, self.erin), [[2, SPARE], [3]])
        zoe = self.link(ZOE)
        self.give(self.bob, attempt=2, msg_id="m2")
        self.give(self.bob, attempt=3, msg_id="m2")
        self.assertEqual(self.numbers(self.carol, self.erin, zoe), [[2, SPARE, 2], [3, 3], [SPARE]])


class NoSpreadTests(SpreadingTestCase):
    def test_direct_link(self) -> None:
        """What goes to its destination itself is not spread."""
        dave = self.link(DAVE)
        self.give(self.bob, attempt=3)
        self.assertEqual(self.numbers(dave, self.carol, self.erin), [[3], [], []])

    def test_crowded(self) -> None:
        """Where much waits, what is late may only be slow: copies would make it worse."""
        self.carol.crowded_by.add(BOB)
        self.give(self.bob, attempt=3)
        self.assertEqual(self.numbers(self.carol, self.erin), [[3], []])

    def test_no_room(self) -> None:
        """A next hop without room is passed over."""
        self.erin.full = True
        frank = self.link(ZOE)
        self.give(self.bob, attempt=3)
        self.assertEqual(self.numbers(self.carol, self.erin, frank), [[3], [], [SPARE]])

    def test_quota(self) -> None:
        """It costs the neighbour as much as a message to many; beyond that nothing is spread, or said."""
        self.router.hood.limits = Limits(floods=Rate(0.0, 1.0))
        zoe = self.link(ZOE)
        for number in range(3):
            self.give(zoe, attempt=SPARE, msg_id=f"m{number}")
        self.assertEqual([len(each) for each in self.numbers(self.carol, self.erin)], [3, 1])
        self.assertEqual((zoe.of_type("ERROR"), zoe.holds), ([], []))

    def test_plain_source(self) -> None:
        """A plain peer that sends the same for ever does not bring a message to where the spare ones are."""
        plain = self.link(ZOE, plain=True)
        for _ in range(SPARE + 3):
            self.give(plain)
        near = self.carol, self.erin, self.bob
        numbers = [number for each in self.numbers(*near) for number in each]
        self.assertEqual((numbers.count(SPARE), max(set(numbers) - {SPARE})), (1, SPARE - 1))


class OutcomeTests(SpreadingTestCase):
    def spread(self) -> None:
        """Let a copy go over both."""
        self.give(self.bob, attempt=3)

    def test_confirmed(self) -> None:
        """A spare copy that is confirmed is a way that works, also where none was known."""
        self.router.routes.drop(DAVE, ERIN)
        self.spread()
        self.ack(self.erin)
        self.assertEqual(len(self.bob.of_type("ACK")), 1)
        self.assertEqual(self.ways(DAVE), [ERIN, CAROL])

    def test_confirmed_to_whom_it_came_from(self) -> None:
        """Each copy is confirmed over the way that it came, whatever other copies took."""
        zoe = self.link(ZOE)
        self.give(zoe, src=BOB, attempt=SPARE)
        self.give(self.bob, attempt=4)
        self.ack(self.erin)
        self.assertEqual([len(near.of_type("ACK")) for near in (zoe, self.bob)], [1, 0])

    def test_lost(self) -> None:
        """Nobody is blamed for one that is lost: it was a guess. The other copy counts as always."""
        self.spread()
        self.assertEqual(self.router.relay.watched, 1)
        self.advance(LOST_AFTER_S + 0.2)
        doubted = [self.router.routes.is_doubted(hop) for hop in (CAROL, ERIN)]
        self.assertEqual(doubted, [True, False])

    def test_refused(self) -> None:
        """That one has no way is learned, and not passed back: the other copy is still on its way."""
        self.spread()
        self.error(self.erin, "no_route")
        self.assertEqual((self.bob.of_type("ERROR"), self.ways(DAVE)), ([], [CAROL]))
        self.error(self.carol, "no_route")
        self.assertEqual(len(self.bob.of_type("ERROR")), 1)

    def test_link_ended(self) -> None:
        """Nor is the source told when the link ends under it."""
        self.spread()
        self.router.neighbour_down(self.erin, "reset")
        self.assertEqual(self.bob.of_type("ERROR"), [])
        self.router.neighbour_down(self.carol, "reset")
        self.assertEqual(len(self.bob.of_type("ERROR")), 1)

    def test_reported_once(self) -> None:
        """The source hears once that its copy was passed on."""
        self.spread()
        self.assertEqual(len(self.bob.of_type("RELAY_OK")), 1)
