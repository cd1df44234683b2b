"""Under six requests a minute, and close enough together (docs/protocol.md, section 9.19)."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.rendezvous.budget import LONGEST_GAP_S, MAX_REQUESTS, WINDOW_S, Budget


class BudgetTests(SynchronousTestCase):
    def spent(self, *times_s: float) -> Budget:
        budget = Budget()
        for time_s in times_s:
            budget.spend(time_s)
        return budget

    def test_five_at_once(self) -> None:
        """Section 9.19: five requests are free, the sixth waits until the first is a minute old."""
        self.assertEqual(self.spent().wait_s(0), 0)
        self.assertEqual(self.spent(0, 0, 0, 0).wait_s(0), 0)
        self.assertEqual(self.spent(0, 1, 2, 3, 4).wait_s(10), 50)
        self.assertEqual(self.spent(0, 1, 2, 3, 4).wait_s(60), 0)

    def test_only_the_last_five_count(self) -> None:
        """What is older than the last five is forgotten, so the budget does not grow."""
        self.assertEqual(self.spent(*range(100)).wait_s(100), 95 + WINDOW_S - 100)

    def test_another_server(self) -> None:
        """Another server at the address has counted nothing yet."""
        budget = self.spent(0, 0, 0, 0, 0)
        budget.renew()
        self.assertEqual((budget.wait_s(0), budget.even_wait_s(0), budget.can_spare(0)), (0, 0, True))

    def test_even(self) -> None:
        """What is left of a minute is spread evenly over it."""
        for times_s, now_s, wait_s in (
            ((), 0, 0.0),
            ((0,), 0, 12.0),
            ((0, 0), 0, 15.0),
            ((0, 0), 44, 4.0),
            ((0, 0, 0, 0, 0), 0, 60.0),
            ((0, 0, 0, 0, 0), 70, 0.0),
        ):
            self.assertEqual(self.spent(*times_s).even_wait_s(now_s), wait_s, (times_s, now_s))

    def test_spare(self) -> None:
        """A request out of turn must leave the others no more than 15 s apart."""
        for times_s, now_s, can in (
            ((), 0, True),
            ((0,), 0, True),
            ((0, 0), 14.9, False),
            ((0, 0), 15, True),
            ((0, 15, 30, 45, 60), 61, True),
            ((0, 15, 30, 45, 60, 61), 62, False),
        ):
            self.assertIs(self.spent(*times_s).can_spare(now_s), can, (times_s, now_s))

    def test_spare_and_even_together(self) -> None:
        """Requests out of turn that can be spared never make those in turn wait longer than 15 s."""
        chance = random.Random(11)
        budget, now_s, due_s, times_s = Budget(), 0.0, 0.0, list[float]()
        while now_s < 3600:
            wish_s = now_s + chance.random() * 10
            if wish_s < due_s and not budget.can_spare(wish_s):
                now_s = wish_s
                continue
            now_s = min(wish_s, due_s)
            self.assertAlmostEqual(budget.wait_s(now_s), 0)
            budget.spend(now_s)
            times_s.append(now_s)
            due_s = now_s + budget.even_wait_s(now_s)
            self.assertLessEqual(due_s - now_s, LONGEST_GAP_S + 1e-6)
        for first_s, sixth_s in zip(times_s, times_s[MAX_REQUESTS:], strict=False):
            self.assertGreaterEqual(sixth_s - first_s, WINDOW_S - 1e-6)
