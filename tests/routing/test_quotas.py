"""What one neighbour may cost (docs/protocol.md, section 5)."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.routing.quotas import NOTHING, Bucket, Limits, Quota, Rate


def taken(bucket: Bucket, now_s: float, times: int = 100) -> int:
    """Take as often as is said, at one moment; return how often there was a token."""
    return sum(bucket.take(now_s) for _ in range(times))


class BucketTests(SynchronousTestCase):
    def test_burst(self) -> None:
        """After silence, as many go at once as the burst says, and no more."""
        self.assertEqual(taken(Bucket(Rate(2.0, 5.0), 10.0), 10.0), 5)

    def test_earned(self) -> None:
        """After that, as many a second as the rate says; parts of a token add up."""
        bucket = Bucket(Rate(2.0, 5.0), 10.0)
        taken(bucket, 10.0)
        self.assertEqual([taken(bucket, now_s) for now_s in (10.25, 10.5, 11.0, 12.5)], [0, 1, 1, 3])

    def test_never_more_than_the_burst(self) -> None:
        """Silence, however long, earns no more than one burst."""
        bucket = Bucket(Rate(2.0, 5.0), 10.0)
        taken(bucket, 10.0)
        self.assertEqual(taken(bucket, 1e9), 5)

    def test_nothing(self) -> None:
        """A rate of nothing allows nothing, ever."""
        bucket = Bucket(Rate(0.0, 0.0), 0.0)
        self.assertEqual((taken(bucket, 0.0), taken(bucket, 1e9)), (0, 0))

    @given(
        st.floats(0.0, 100.0),
        st.integers(0, 50),
        st.lists(st.tuples(st.floats(0.0, 10.0), st.integers(0, 60)), max_size=20),
    )
    def test_bound(self, per_s: float, burst: int, steps: list[tuple[float, int]]) -> None:
        """In any stretch of time no more is taken than the burst and what that time earns."""
        bucket, now_s, count = Bucket(Rate(per_s, burst), 0.0), 0.0, 0
        for wait_s, times in steps:
            now_s += wait_s
            count += taken(bucket, now_s, times)
            self.assertLessEqual(count, burst + per_s * now_s + 1e-6)


class QuotaTests(SynchronousTestCase):
    def test_each_by_its_own_rate(self) -> None:
        """Section 5: forwarding, flooding and asking have a bucket each; one spent spends no other."""
        names = [field.name for field in attrs.fields(Limits)]
        limits = Limits(*[Rate(0.0, number) for number in range(1, len(names) + 1)])
        quota = Quota.full(limits, 0.0)
        self.assertEqual([field.name for field in attrs.fields(Quota)], names)
        spent = [taken(getattr(quota, name), 0.0) for name in names]
        self.assertEqual(spent, list(range(1, len(names) + 1)))

    def test_default(self) -> None:
        """What people and scripts do passes: a burst is not smaller than what a second earns."""
        for rate in attrs.astuple(Limits(), recurse=False):
            self.assertGreater(rate.per_s, 0.0)
            self.assertGreaterEqual(rate.burst, rate.per_s)

    def test_nothing(self) -> None:
        """Whoever is no neighbour any more may cost nothing."""
        quota = Quota.full(NOTHING, 0.0)
        for name in (field.name for field in attrs.fields(Quota)):
            self.assertEqual(taken(getattr(quota, name), 1e9), 0)
