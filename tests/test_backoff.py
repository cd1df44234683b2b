"""Growing, jittered waits (docs/protocol.md, sections 6 and 9.15)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.backoff import Backoff


class BackoffTests(SynchronousTestCase):
    def test_grows_to_the_longest(self) -> None:
        """Each failure doubles the wait, up to the longest."""
        backoff = Backoff(1.0, 10.0, lambda: 1.0)
        self.assertEqual([backoff.next_wait_s() for _ in range(6)], [1.0, 2.0, 4.0, 8.0, 10.0, 10.0])
        self.assertEqual(backoff.failures, 6)

    def test_jitter(self) -> None:
        """A wait lies in the upper half of its range, so that peers do not come back together."""
        for random, expected in ((0.0, 5.0), (0.5, 7.5), (1.0, 10.0)):
            backoff = Backoff(10.0, 100.0, lambda random=random: random)  # type: ignore[misc]
            self.assertEqual(backoff.next_wait_s(), expected)

    def test_success(self) -> None:
        """After a success the waits begin again from the first."""
        backoff = Backoff(1.0, 60.0, lambda: 1.0)
        for _ in range(5):
            backoff.next_wait_s()
        backoff.succeeded()
        self.assertEqual((backoff.failures, backoff.next_wait_s()), (0, 1.0))

    def test_years_of_failures(self) -> None:
        """However many failures there were, the wait is still a number, and the longest one."""
        backoff = Backoff(1.0, 300.0, lambda: 1.0, failures=10_000_000)
        self.assertEqual(backoff.next_wait_s(), 300.0)

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
    def test_bounds(self, randoms: list[float]) -> None:
        """Whatever chance does, no wait is under half of the first nor over the longest."""
        source = iter(randoms)
        backoff = Backoff(2.0, 300.0, lambda: next(source))
        for _ in randoms:
            self.assertTrue(1.0 <= backoff.next_wait_s() <= 300.0)
