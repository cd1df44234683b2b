"""Whether something signed is new, or was said before (docs/protocol.md, section 11)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.names import PeerId
from p2pchat.trust import replays as replays_module
from p2pchat.trust.replays import GENERATION_S, Replays

BOB, CAROL = PeerId("bob@UnB"), PeerId("carol@UnB")


class ReplaysTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.known = {BOB, CAROL}
        self.replays = Replays({}, 0.0, self.known.__contains__)
        self.now_s = 0.0

    def turns(self, number: int) -> None:
        """Let generations pass."""
        for _ in range(number):
            self.now_s += GENERATION_S
            self.replays.rotate(self.now_s)

    def test_new_and_copies(self) -> None:
        """What is new is none, whatever the order of times, nor is a copy of something of late."""
        for msg_id, time_ms in (("a", 100), ("b", 50), ("a", 100), ("c", 100), ("b", 50)):
            self.assertFalse(self.replays.is_replay(BOB, msg_id, time_ms))
        self.assertEqual(len(self.replays), 3)

    def test_replayed(self) -> None:
        """What was said before what is forgotten is a replay, for ever; what is newer is not."""
        self.replays.is_replay(BOB, "a", 100)
        self.turns(1)
        self.assertFalse(self.replays.is_replay(BOB, "a", 100))
        self.replays.rotate(self.now_s + 1)
        self.turns(1)
        self.assertTrue(self.replays.is_replay(BOB, "a", 100))
        self.assertFalse(self.replays.is_replay(BOB, "new", 101))
        self.assertFalse(self.replays.is_replay(CAROL, "a", 100))
        self.turns(5)
        for time_ms in (1, 100, 101):
            self.assertTrue(self.replays.is_replay(BOB, "x", time_ms))
        self.assertFalse(self.replays.is_replay(BOB, "x", 102))

    def test_after_a_restart(self) -> None:
        """What was said before our start is a replay, too: then nothing of it is remembered."""
        self.replays.is_replay(BOB, "a", 100)
        self.turns(1)
        self.replays.is_replay(CAROL, "b", 70)
        again = Replays(self.replays.latest(), 0.0, self.known.__contains__)
        self.assertEqual(again.latest(), {})
        self.assertTrue(again.is_replay(BOB, "a", 100))
        self.assertTrue(again.is_replay(CAROL, "c", 70))
        self.assertFalse(again.is_replay(BOB, "b", 101))

    def test_a_flood(self) -> None:
        """A flood shortens the memory, and makes no replay possible by that."""
        self.patch(replays_module, "MAX_MESSAGES", 3)
        for number in range(10):
            self.assertFalse(self.replays.is_replay(BOB, f"m{number}", number))
        self.assertEqual(len(self.replays), 4)
        answers = [self.replays.is_replay(BOB, f"m{number}", number) for number in range(10)]
        self.assertEqual(answers, [True] * 6 + [False] * 4)

    def test_forgotten_authors(self) -> None:
        """Of whom we do not know the key any more, nothing is kept."""
        self.replays.is_replay(BOB, "a", 100)
        self.known.clear()
        self.turns(2)
        self.assertFalse(self.replays.is_replay(BOB, "a", 100))
