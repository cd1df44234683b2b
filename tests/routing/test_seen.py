"""Bounded duplicate suppression (docs/protocol.md, section 4)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.routing.seen import MAX_AGE_S, Seen


class SeenTests(SynchronousTestCase):
    def test_once(self) -> None:
        """A key is new once."""
        seen = Seen(0.0)
        self.assertTrue(seen.is_new(("bob@UnB", "m1", None)))
        self.assertFalse(seen.is_new(("bob@UnB", "m1", None)))
        self.assertEqual(len(seen), 1)

    def test_by_source(self) -> None:
        """Section 4: the same msg_id of another source is another message; counters collide."""
        seen = Seen(0.0)
        self.assertTrue(seen.is_new(("bob@UnB", "m1", None)))
        self.assertTrue(seen.is_new(("carol@UnB", "m1", None)))

    def test_older_generation_is_remembered(self) -> None:
        """When one generation is full, its keys are still known while the next one fills."""
        seen = Seen(0.0, max_keys=3)
        for number in range(6):
            self.assertTrue(seen.is_new(number))
        self.assertFalse(any(seen.is_new(number) for number in range(6)))

    def test_forgotten_when_two_are_full(self) -> None:
        """The oldest generation is forgotten as a whole, so that no flood can fill the memory."""
        seen = Seen(0.0, max_keys=3)
        for number in range(7):
            seen.is_new(number)
        self.assertTrue(seen.is_new(0))
        self.assertFalse(seen.is_new(3))

    def test_forgotten_with_time(self) -> None:
        """A key is forgotten after one to two times the longest age, never before."""
        seen = Seen(100.0)
        seen.is_new("early")
        seen.rotate(100.0 + MAX_AGE_S - 1)
        seen.rotate(100.0 + MAX_AGE_S)
        self.assertFalse(seen.is_new("early"))
        seen.rotate(100.0 + 2 * MAX_AGE_S - 1)
        self.assertFalse(seen.is_new("early"))
        seen.rotate(100.0 + 2 * MAX_AGE_S)
        self.assertTrue(seen.is_new("early"))

    @given(st.lists(st.integers(0, 30), max_size=200), st.integers(1, 10))
    def test_bounded(self, keys: list[int], max_keys: int) -> None:
        """Never more than two generations are held, and the last one's worth of keys is known."""
        seen = Seen(0.0, max_keys=max_keys)
        for key in keys:
            seen.is_new(key)
            self.assertLessEqual(len(seen), 2 * max_keys)
            self.assertFalse(seen.is_new(key))
