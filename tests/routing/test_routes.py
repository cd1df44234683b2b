"""Who can be reached through which neighbour, how well, until when (docs/protocol.md, section 5)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.names import PeerId
from p2pchat.routing import routes as module
from p2pchat.routing.routes import DOUBT_S, EXPIRY_S, FRESH_S, MAX_WAYS, Route, Routes
from tests.routing.neighbours import BOB, CAROL, DAVE, ERIN

HOPS = (BOB, CAROL, ERIN)


class RoutesTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.routes = Routes()
        for hop in HOPS:
            self.routes.link(hop, 0.0)

    def know(self, hop: PeerId, hops: int | None = 2, dst: PeerId = DAVE, now_s: float = 0.0) -> Route:
        """Learn a way, which must be taken."""
        route = self.routes.learn(dst, hop, hops, now_s)
        assert route is not None
        return route

    def order(self, dst: PeerId = DAVE, now_s: float = 0.0, but: str = "") -> list[PeerId]:
        """The next hops, the best first; `best` must agree."""
        ways = self.routes.ways(dst, now_s, but)
        self.assertIs(self.routes.best(dst, now_s, but), ways[0] if ways else None)
        return [way.hop for way in ways]


class LearningTests(RoutesTestCase):
    def test_direct(self) -> None:
        """A link is the direct way to its peer, and lasts as long as the link."""
        self.assertEqual(self.order(BOB), [BOB])
        self.routes.sweep(1e9)
        best = self.routes.best(BOB, 1e9)
        assert best is not None
        self.assertEqual((best.is_direct, best.hops), (True, 1))
        self.routes.unlink(BOB)
        self.assertEqual(self.order(BOB), [])

    def test_several_next_hops(self) -> None:
        """Section 5: several next hops per destination are kept; learning one again keeps what is known."""
        one = self.know(BOB, 3)
        self.know(CAROL, 2)
        self.routes.confirm(DAVE, BOB, 1.0, 0.1)
        self.assertIs(self.know(BOB, 4, now_s=2.0), one)
        self.assertEqual((one.hops, one.confirmed, one.touched_at_s), (4, 1, 2.0))
        self.assertIs(self.know(BOB, None, now_s=3.0), one)
        self.assertEqual((one.hops, set(self.order())), (4, {BOB, CAROL}))

    def test_direct_stays_direct(self) -> None:
        """What others say of a neighbour through itself does not lengthen the direct way."""
        self.know(BOB, 5, dst=BOB)
        best = self.routes.best(BOB, 0.0)
        assert best is not None
        self.assertEqual((best.hops, len(self.routes)), (1, 3))

    def test_not_through_strangers(self) -> None:
        """A next hop without a link is none."""
        self.assertIsNone(self.routes.learn(DAVE, PeerId("zoe@UnB"), 2, 0.0))
        self.assertEqual(self.order(), [])

    def test_ended_link(self) -> None:
        """Section 5: a link that ends removes its routes at once, and no others."""
        self.know(BOB)
        self.know(CAROL)
        self.know(BOB, dst=CAROL)
        self.routes.unlink(BOB)
        self.assertEqual((self.order(), self.order(CAROL), self.order(BOB)), ([CAROL], [CAROL], []))
        self.know(CAROL, dst=BOB)
        self.assertEqual(self.order(BOB), [CAROL])

    def test_direct_link_comes_and_goes(self) -> None:
        """A peer that was known through a relay is reached directly while that link stands."""
        self.know(CAROL, dst=DAVE)
        self.routes.link(DAVE, 1.0)
        self.assertEqual(self.order(), [DAVE, CAROL])
        self.routes.unlink(DAVE)
        self.assertEqual(self.order(), [CAROL])

    def test_expiry(self) -> None:
        """Section 5: a route expires five minutes after it was last learned, used or confirmed."""
        self.assertEqual(EXPIRY_S, 300.0)
        _bob, carol, _erin = [self.know(hop) for hop in HOPS]
        self.routes.touch(carol, 100.0)
        self.routes.confirm(DAVE, ERIN, 200.0, None)
        for now_s, left in ((299.0, 3), (300.0, 2), (399.0, 2), (400.0, 1), (500.0, 0)):
            self.routes.sweep(now_s)
            self.assertEqual(len(self.order()), left, now_s)
        self.assertEqual(len(self.routes), 3)

    def test_failing_does_not_keep(self) -> None:
        """A route that only fails expires as if nobody used it."""
        self.know(BOB)
        self.routes.fail(DAVE, BOB, 299.0)
        self.routes.sweep(300.0)
        self.assertEqual(self.order(), [])

    def test_dropped(self) -> None:
        """A neighbour that says that it has no way is none; a direct link is not given up for words."""
        self.know(BOB)
        for hop in (BOB, BOB, CAROL, PeerId("zoe@UnB")):
            self.routes.drop(DAVE, hop)
        self.routes.drop(BOB, BOB)
        self.assertEqual((self.order(), self.order(BOB)), ([], [BOB]))

    def test_of_what_is_gone(self) -> None:
        """News of a way that is not known any more changes nothing."""
        self.routes.confirm(DAVE, BOB, 1.0, 0.1)
        self.routes.fail(DAVE, BOB, 1.0)
        self.assertEqual((len(self.routes), self.order()), (3, []))


class ChoosingTests(RoutesTestCase):
    def test_direct_first(self) -> None:
        """Section 5: the direct link is preferred, also to a relay that is quick and proven."""
        self.know(CAROL, dst=BOB)
        self.routes.confirm(BOB, CAROL, 0.0, 0.001)
        self.assertEqual(self.order(BOB), [BOB, CAROL])

    def test_unconfirmed_direct_link(self) -> None:
        """A direct link that lost a message comes after a relay, and is tried first again after a while."""
        self.know(CAROL, dst=BOB)
        self.routes.fail(BOB, BOB, 0.0)
        self.assertEqual(self.order(BOB, DOUBT_S), [CAROL, BOB])
        self.assertEqual(self.order(BOB, DOUBT_S + 1.0), [BOB, CAROL])

    def test_after_the_first_loss(self) -> None:
        """A way is left after its first unconfirmed message, however good it was."""
        self.know(BOB, 2)
        self.know(CAROL, 7)
        self.routes.confirm(DAVE, BOB, 0.0, 0.001)
        self.assertEqual(self.order(), [BOB, CAROL])
        self.routes.fail(DAVE, BOB, 1.0)
        self.assertEqual(self.order(), [CAROL, BOB])

    def test_fewest_losses_in_a_row(self) -> None:
        """Where all lose messages the one that lost fewest in a row is next; a confirmation starts anew."""
        for hop, losses in ((BOB, 3), (CAROL, 1), (ERIN, 2)):
            self.know(hop)
            for _ in range(losses):
                self.routes.fail(DAVE, hop, 0.0)
        self.assertEqual(self.order(), [CAROL, ERIN, BOB])
        self.routes.confirm(DAVE, BOB, 1.0, None)
        self.assertEqual(self.order(), [BOB, CAROL, ERIN])

    def test_a_relay_that_swallows(self) -> None:
        """A relay that swallowed what was for one is avoided for others too, until it is confirmed again."""
        self.know(BOB, 2, dst=ERIN)
        self.know(BOB, 2)
        self.know(CAROL, 6)
        self.routes.fail(ERIN, BOB, 0.0)
        self.assertEqual(self.order(), [CAROL, BOB])
        self.routes.confirm(ERIN, BOB, 1.0, None)
        self.assertEqual(self.order(), [BOB, CAROL])

    def test_proven_first(self) -> None:
        """A way over which a message was confirmed comes before a shorter one that only was heard of."""
        self.know(BOB, 2)
        self.know(CAROL, 6)
        self.routes.confirm(DAVE, CAROL, 0.0, 0.5)
        self.assertEqual(self.order(), [CAROL, BOB])

    def test_quickest(self) -> None:
        """Of proven ways the quickest end to end is the best; one that was not measured is the last."""
        for hop, rtt_s in ((BOB, 0.3), (CAROL, None), (ERIN, 0.2)):
            self.know(hop)
            self.routes.confirm(DAVE, hop, 0.0, rtt_s)
        self.assertEqual(self.order(), [ERIN, BOB, CAROL])

    def test_shortest(self) -> None:
        """Of ways that were only heard of the shortest is the best; an unknown length is a middling one."""
        for hop, hops in ((BOB, 4), (CAROL, None), (ERIN, 2)):
            self.know(hop, hops)
        self.assertEqual(self.order(), [ERIN, CAROL, BOB])

    def test_not_back(self) -> None:
        """Where a message came from is no way, also where it is the only one."""
        self.know(BOB, 2)
        self.assertEqual(self.order(but=BOB), [])
        self.know(CAROL, 3)
        self.assertEqual((self.order(but=BOB), self.order(but=CAROL)), ([CAROL], [BOB]))

    def test_question_says_less(self) -> None:
        """The first confirmation replaces what a question and its answer took."""
        route = self.know(BOB)
        route.rtt_s = 0.1
        self.routes.confirm(DAVE, BOB, 0.0, 0.8)
        self.assertEqual(route.rtt_s, 0.8)

    def test_smoothed(self) -> None:
        """One slow message changes the measured time by an eighth of the difference."""
        route = self.know(BOB)
        for rtt_s in (0.8, 1.6, None):
            self.routes.confirm(DAVE, BOB, 0.0, rtt_s)
        self.assertAlmostEqual(route.rtt_s or 0.0, 0.9)
        self.assertEqual(route.confirmed, 3)

    def test_fresh(self) -> None:
        """A route is fresh for a while after a confirmation, and not after a message that had none."""
        route = self.know(BOB)
        self.assertFalse(route.is_fresh(0.0))
        self.routes.confirm(DAVE, BOB, 10.0, None)
        self.assertTrue(route.is_fresh(10.0 + FRESH_S))
        self.assertFalse(route.is_fresh(10.5 + FRESH_S))
        self.routes.fail(DAVE, BOB, 11.0)
        self.assertFalse(route.is_fresh(11.0))

    def test_why_not(self) -> None:
        """The user is told why one way is taken and not another."""
        direct, relayed = self.routes.best(BOB, 0.0), self.know(CAROL, 2, dst=BOB)
        assert direct is not None
        self.assertIn("direct", self.routes.why_not(relayed, direct, 0.0))
        self.routes.fail(BOB, BOB, 0.0)
        self.assertIn("not confirmed", self.routes.why_not(direct, relayed, 0.0))
        near, far, same = self.know(CAROL, 2), self.know(ERIN, 3), self.know(BOB, 3)
        self.assertIn("more hops", self.routes.why_not(far, near, 0.0))
        self.routes.confirm(BOB, BOB, 1.0, None)
        self.assertIn("earlier", self.routes.why_not(same, far, 1.0))


class BoundTests(RoutesTestCase):
    def test_ways_to_one(self) -> None:
        """Beyond so many ways to one peer another is kept only in the place of one that loses messages."""
        hops = [PeerId(f"r{number}@UnB") for number in range(MAX_WAYS + 1)]
        for hop in hops:
            self.routes.link(hop, 0.0)
        for hop in hops[:-1]:
            self.know(hop)
        self.assertIsNone(self.routes.learn(DAVE, hops[-1], 2, 0.0))
        self.routes.fail(DAVE, hops[3], 0.0)
        self.know(hops[-1])
        self.assertEqual((len(self.order()), hops[3] in self.order()), (MAX_WAYS, False))
        self.assertEqual(self.routes.evicted, 1)

    def test_who_has_most_pays(self) -> None:
        """Beyond so many routes the neighbour with the most loses its oldest, not whoever has few."""
        self.patch(module, "MAX_ROUTES", 10)
        self.know(BOB)
        invented = [PeerId(f"x{number}@UnB") for number in range(30)]
        for number, dst in enumerate(invented):
            self.know(CAROL, dst=dst, now_s=float(number))
        self.assertEqual(self.order(), [BOB])
        kept = [dst for dst in invented if self.order(dst)]
        self.assertEqual(kept, invented[-9:])
        self.assertEqual((self.routes.evicted, len(self.routes)), (21, 10 + len(HOPS)))

    STEPS = st.lists(
        st.tuples(
            st.sampled_from(["link", "unlink", "learn", "use", "confirm", "fail", "drop", "sweep"]),
            st.sampled_from([BOB, CAROL, DAVE, ERIN]),
            st.sampled_from([BOB, CAROL, DAVE, ERIN]),
            st.floats(0.0, 200.0),
        ),
        max_size=60,
    )

    @given(STEPS)
    def test_whatever_happens(self, steps: list[tuple[str, PeerId, PeerId, float]]) -> None:
        """Routes go over links that stand, within their bounds; after all links went none is left."""
        self.patch(module, "MAX_ROUTES", 4)
        self.patch(module, "MAX_WAYS", 2)
        self.setUp()
        links, now_s = set(HOPS), 0.0
        for what, dst, hop, wait_s in steps:
            now_s += wait_s
            self.step(what, dst, hop, links, now_s)
            routes = list(self.routes)
            self.assertEqual(len(routes), len(self.routes))
            self.assertEqual({route.hop for route in routes}, links)
            self.assertLessEqual(len(routes), 4 + len(links))
            for peer_id in (BOB, CAROL, DAVE, ERIN):
                self.assertLessEqual(len(self.order(peer_id, now_s)), 3)
        for hop in links:
            self.routes.unlink(hop)
        self.assertEqual((len(self.routes), list(self.routes)), (0, []))

    def step(self, what: str, dst: PeerId, hop: PeerId, links: set[PeerId], now_s: float) -> None:
        """Do one thing, as the router would."""
        if what in ("link", "unlink"):
            if (what == "link") != (hop in links):
                getattr(self.routes, what)(*(hop, now_s) if what == "link" else (hop,))
                links ^= {hop}
        elif what == "learn":
            self.routes.learn(dst, hop, 2, now_s)
        elif what == "confirm":
            self.routes.confirm(dst, hop, now_s, 0.1)
        elif what == "fail":
            self.routes.fail(dst, hop, now_s)
        elif what == "drop":
            self.routes.drop(dst, hop)
        elif what == "sweep":
            self.routes.sweep(now_s)
        else:
            for way in self.routes.ways(dst, now_s)[:1]:
                self.routes.touch(way, now_s)
