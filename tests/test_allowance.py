"""How often something may happen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.allowance import Allowance


class AllowanceTests(SynchronousTestCase):
    def test_so_many_and_no_more(self) -> None:
        """As many are allowed in a second as were agreed; the others are refused and counted."""
        allowance = Allowance(3)
        self.assertEqual([allowance.take(10.0) for _ in range(5)], [True, True, True, False, False])
        self.assertEqual(allowance.refused, 2)

    def test_next_second(self) -> None:
        """A second after the first one that was allowed, everything is allowed again."""
        allowance = Allowance(1)
        self.assertTrue(allowance.take(10.0))
        self.assertFalse(allowance.take(10.999))
        self.assertTrue(allowance.take(11.0))
        self.assertFalse(allowance.take(11.5))
        self.assertEqual(allowance.refused, 2)

    def test_first_at_zero(self) -> None:
        """A clock that begins at zero makes no difference."""
        allowance = Allowance(1)
        self.assertTrue(allowance.take(0.0))
        self.assertFalse(allowance.take(0.0))

    @given(st.integers(1, 5), st.lists(st.floats(0, 2), max_size=60))
    def test_rate(self, per_second: int, gaps_s: list[float]) -> None:
        """Over any stretch of time, never more than the agreed number per second begun is allowed."""
        allowance = Allowance(per_second)
        now_s, taken = 0.0, 0
        for gap_s in gaps_s:
            now_s += gap_s
            taken += allowance.take(now_s)
        self.assertLessEqual(taken, per_second * (int(now_s) + 1))
        self.assertEqual(taken + allowance.refused, len(gaps_s))
