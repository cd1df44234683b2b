"""Bounded memory of what passed by lately (docs/protocol.md, section 5)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.routing.recent import KEEP_S, Recent


class RecentTests(SynchronousTestCase):
    def test_remembered(self) -> None:
        """What was put last is got; another key has nothing."""
        recent: Recent[str] = Recent(0.0)
        recent.put(("bob@UnB", "m1"), "old")
        recent.put(("bob@UnB", "m1"), "new")
        self.assertEqual(recent.get(("bob@UnB", "m1")), "new")
        self.assertIsNone(recent.get(("bob@UnB", "m2")))
        self.assertIsNone(recent.get(("carol@UnB", "m1")))
        self.assertEqual(len(recent), 1)

    def test_sixty_seconds(self) -> None:
        """Section 5: the way that a message came is remembered for 60 s at least, 120 s at most."""
        self.assertEqual(KEEP_S, 60.0)
        recent: Recent[int] = Recent(100.0)
        recent.rotate(159.0)
        recent.put("late", 1)
        recent.rotate(160.0)
        recent.rotate(219.0)
        self.assertEqual(recent.get("late"), 1)
        recent.rotate(220.0)
        self.assertEqual((recent.get("late"), len(recent)), (None, 0))

    def test_replaced_in_an_older_generation(self) -> None:
        """What is put again counts from then on, though the older value is still held."""
        recent: Recent[str] = Recent(0.0)
        recent.put("key", "old")
        recent.rotate(60.0)
        recent.put("key", "new")
        self.assertEqual(recent.get("key"), "new")
        self.assertEqual(list(recent.values()), ["old", "new"])
        recent.rotate(120.0)
        self.assertEqual((recent.get("key"), list(recent.values())), ("new", ["new"]))

    def test_forgotten_when_two_are_full(self) -> None:
        """When too many come, the older half is forgotten, not the younger."""
        recent: Recent[int] = Recent(0.0, max_keys=3)
        for number in range(7):
            recent.put(number, number)
        self.assertEqual([recent.get(number) for number in range(7)], [None] * 3 + [3, 4, 5, 6])

    @given(st.lists(st.integers(0, 30), max_size=200), st.integers(1, 10))
    def test_bounded(self, keys: list[int], max_keys: int) -> None:
        """Never more than two generations are held, and the last one's worth of keys is known."""
        recent: Recent[int] = Recent(0.0, max_keys=max_keys)
        for number, key in enumerate(keys):
            recent.put(key, number)
            self.assertEqual(recent.get(key), number)
            self.assertLessEqual(len(recent), 2 * max_keys)
        last = {key: number for number, key in enumerate(keys)}
        young = list(dict.fromkeys(reversed(keys)))[:max_keys]
        self.assertEqual([recent.get(key) for key in young], [last[key] for key in young])
