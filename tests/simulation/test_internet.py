"""What lies between simulated peers."""

from __future__ import annotations

from random import Random

from twisted.internet.error import ConnectionRefusedError, TimeoutError
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.simulation.internet import FAR_S, JITTER, NEAR_S, SLOW_BYTES_PER_S, Internet
from p2pchat.simulation.topology import Reach

ALICE, BOB, CAROL, RENDEZVOUS = "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.9.9.9"


class InternetTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.settle(Reach(pairs=frozenset({(0, 1)}), hidden=frozenset({2})))

    def settle(self, reach: Reach) -> None:
        """Let three peers and a rendezvous live there; the second is slow."""
        self.internet = Internet(Random(3), reach)
        for number, ip in enumerate((ALICE, BOB, CAROL)):
            self.internet.settle(ip, number, slow=ip == BOB)
        self.internet.settle(RENDEZVOUS, None)

    def test_distance(self) -> None:
        """It takes as long there as back, between the time to the next house and that across the world."""
        there_s, back_s = self.internet.delay_s(ALICE, BOB), self.internet.delay_s(BOB, ALICE)
        self.assertEqual(there_s, back_s)
        self.assertEqual(self.internet.delay_s(ALICE, ALICE), NEAR_S)
        self.assertTrue(NEAR_S < there_s <= NEAR_S + FAR_S)
        self.assertNotEqual(there_s, self.internet.delay_s(ALICE, CAROL))

    def test_jitter(self) -> None:
        """It takes a little longer each time, never the same."""
        more_s = [self.internet.jitter_s() for _ in range(100)]
        self.assertEqual(len(set(more_s)), 100)
        self.assertTrue(all(0.0 <= seconds <= FAR_S * JITTER for seconds in more_s))

    def test_slow(self) -> None:
        """A slow peer is slow to send and to receive; the others are not."""
        self.assertEqual(self.internet.bytes_per_s(ALICE, BOB), SLOW_BYTES_PER_S)
        self.assertEqual(self.internet.bytes_per_s(BOB, RENDEZVOUS), SLOW_BYTES_PER_S)
        self.assertIsNone(self.internet.bytes_per_s(ALICE, CAROL))

    def test_who_can_dial_whom(self) -> None:
        """A connect times out where the shape of the network has none; the rendezvous is there for all."""
        for source, ip in (
            (ALICE, BOB),
            (BOB, ALICE),
            (CAROL, RENDEZVOUS),
            (RENDEZVOUS, CAROL),
            (CAROL, CAROL),
        ):
            self.assertIsNone(self.internet.obstacle(source, ip), (source, ip))
        for source, ip in ((ALICE, CAROL), (CAROL, BOB)):
            self.assertIsInstance(self.internet.obstacle(source, ip), TimeoutError, (source, ip))

    def test_bad_connects(self) -> None:
        """As many connects as were asked for come to nothing: half are refused, half never answered."""
        self.internet.bad_connects = 0.5
        found = [type(self.internet.obstacle(ALICE, BOB)) for _ in range(1000)]
        refused, late, good = (
            found.count(kind) for kind in (ConnectionRefusedError, TimeoutError, type(None))
        )
        self.assertEqual(refused + late + good, 1000)
        for count, about in ((good, 500), (refused, 250), (late, 250)):
            self.assertTrue(about * 0.8 < count < about * 1.2, found)

    def test_all_connects_bad(self) -> None:
        """No connect gets through where all are bad."""
        self.internet.bad_connects = 1.0
        self.assertNotIn(None, [self.internet.obstacle(ALICE, BOB) for _ in range(100)])

    def test_parted(self) -> None:
        """Nothing gets through from one part to the other, both ways; within each, everything does."""
        self.settle(Reach())
        self.internet.part(frozenset({ALICE, CAROL}))
        for one, other, is_cut in ((ALICE, CAROL, False), (ALICE, BOB, True), (BOB, ALICE, True)):
            self.assertEqual(self.internet.is_cut(one, other), is_cut)
            self.assertEqual(isinstance(self.internet.obstacle(one, other), TimeoutError), is_cut)
        self.assertFalse(self.internet.is_cut(BOB, RENDEZVOUS))
        self.assertTrue(self.internet.is_cut(ALICE, RENDEZVOUS))
        self.internet.part(frozenset())
        self.assertFalse(self.internet.is_cut(ALICE, BOB))
        self.assertIsNone(self.internet.obstacle(ALICE, BOB))

    def test_down(self) -> None:
        """A connect to a machine without power times out."""
        self.internet.crash(BOB)
        self.assertIsInstance(self.internet.obstacle(ALICE, BOB), TimeoutError)
