"""Who is around, and what all parts of the router share (docs/protocol.md, sections 5, 8 and 9)."""

from __future__ import annotations

import itertools

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.errors import ErrorCode
from p2pchat.protocol.messages import Ack
from p2pchat.routing.neighbourhood import HOLD_S, Neighbourhood, hops_of
from p2pchat.routing.quotas import Limits, Rate
from tests.routing.neighbours import ALICE, BOB, CAROL, DAVE, Neighbour


class NeighbourhoodTests(SynchronousTestCase):
    def setUp(self) -> None:
        numbers = itertools.count(1)
        self.hood = Neighbourhood(ALICE, lambda: 1000.0, lambda: f"a{next(numbers)}")

    def arrive(self, neighbour: Neighbour) -> Neighbour:
        """Let a link come up."""
        self.hood.arrive(neighbour)
        return neighbour

    def test_come_and_gone(self) -> None:
        """A neighbour is reached directly while its link stands; with it go all routes through it."""
        bob = self.arrive(Neighbour(BOB))
        self.hood.learn(DAVE, bob, 2)
        self.assertEqual({route.dst for route in self.hood.routes}, {BOB, DAVE})
        self.hood.leave(bob)
        self.assertEqual((self.hood.neighbours, len(self.hood.routes), list(self.hood.routes)), ({}, 0, []))

    def test_relays(self) -> None:
        """9: plain peers pass nothing on, and nothing goes back where it came from."""
        bob, _plain = self.arrive(Neighbour(BOB)), self.arrive(Neighbour(CAROL, plain=True))
        dave = self.arrive(Neighbour(DAVE))
        self.assertEqual(self.hood.relays(), [bob, dave])
        self.assertEqual(self.hood.relays(but=BOB), [dave])

    def test_what_is_not_learned(self) -> None:
        """Nobody is reached through a plain peer; of neighbours and ourselves there is nothing to learn."""
        bob, carol = self.arrive(Neighbour(BOB)), self.arrive(Neighbour(CAROL, plain=True))
        self.hood.learn(DAVE, carol, 2)
        self.hood.learn(BOB, bob, 4)
        self.hood.learn(ALICE, bob, 2)
        known = {(route.dst, route.hop, route.hops) for route in self.hood.routes}
        self.assertEqual(known, {(BOB, BOB, 1), (CAROL, CAROL, 1)})

    def test_learned_from_who_leaves(self) -> None:
        """What arrives while a link says its farewells teaches no route, since there is none any more."""
        bob = self.arrive(Neighbour(BOB))
        self.hood.leave(bob)
        self.hood.learn(DAVE, bob, 2)
        self.assertEqual(len(self.hood.routes), 0)

    def test_answer(self) -> None:
        """Answers go ahead of what waits, in the form that the neighbour needs (9.1, 9.4)."""
        bob, carol = self.arrive(Neighbour(BOB)), self.arrive(Neighbour(CAROL, plain=True))
        for neighbour in (bob, carol):
            self.assertTrue(self.hood.answer(neighbour, Ack("mé", ALICE, ttl=8)))
            self.assertEqual(neighbour.urgent, neighbour.lines)
        self.assertEqual((bob.heard[0]["ttl"], carol.heard[0]["ttl"]), (8, 1))
        self.assertEqual((bob.lines[0].isascii(), carol.lines[0].isascii()), (False, True))

    def test_refuse(self) -> None:
        """Section 8: a refusal has both forms, the msg_id, and the source, so that it finds its way back."""
        bob = self.arrive(Neighbour(BOB))
        self.hood.refuse(bob, ErrorCode.NO_ROUTE, "no way", "m1", CAROL)
        fields = {
            "type": "ERROR", "status": "ERROR", "error": "no_route", "code": "no_route",
            "ref": "m1", "detail": "no way", "dst": CAROL, "ttl": 8,
        }  # fmt: skip
        self.assertEqual((bob.heard, len(bob.urgent)), ([fields], 1))

    def test_over_quota(self) -> None:
        """Section 5: who makes us do too much hears over_quota, and is read more slowly."""
        bob = self.arrive(Neighbour(BOB))
        self.hood.over_quota(bob, "messages", "m1", CAROL)
        self.assertEqual((bob.heard[0]["code"], bob.heard[0]["dst"]), ("over_quota", CAROL))
        self.assertIn("alice@UnB passes on no more messages from bob@UnB", bob.heard[0]["detail"])
        self.assertEqual((bob.holds, self.hood.tally.over_quota), ([HOLD_S], 1))

    def test_refusals_are_bounded(self) -> None:
        """Refusals beyond the quota are not written, but counted, and it is read more slowly all the same."""
        self.hood.limits = Limits(complaints=Rate(1.0, 2.0))
        bob = self.arrive(Neighbour(BOB))
        for _ in range(5):
            self.hood.over_quota(bob, "messages", "m1", CAROL)
        self.assertEqual((len(bob.lines), len(bob.holds), self.hood.tally.over_quota), (2, 5, 5))

    def test_quota_of_each(self) -> None:
        """What one neighbour spends is not missing at another, and a new link starts with a full quota."""
        self.hood.limits = Limits(forwards=Rate(0.0, 1.0))
        bob, carol = self.arrive(Neighbour(BOB)), self.arrive(Neighbour(CAROL))
        self.assertTrue(self.hood.quota(bob).forwards.take(1000.0))
        self.assertFalse(self.hood.quota(bob).forwards.take(1000.0))
        self.assertTrue(self.hood.quota(carol).forwards.take(1000.0))
        self.hood.leave(bob)
        self.assertFalse(self.hood.quota(bob).complaints.take(1000.0))
        self.arrive(bob)
        self.assertTrue(self.hood.quota(bob).forwards.take(1000.0))

    def test_hops(self) -> None:
        """Section 5: the ttl counts forwards, so it tells how far a message came; nonsense tells nothing."""
        self.assertEqual([hops_of(ttl) for ttl in (8, 7, 1)], [1, 2, 8])
        self.assertEqual([hops_of(ttl) for ttl in (0, 9, -1, 10**30)], [None] * 4)
