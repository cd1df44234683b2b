"""The clock of the network in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.testing import HeapClock


class ClockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = HeapClock()
        self.called: list[tuple[str, float]] = []

    def note(self, name: str) -> None:
        self.called.append((name, self.clock.seconds()))

    def test_in_order(self) -> None:
        """Calls come in the order of their times, those of one time in the order of their making."""
        for name, delay_s in (("late", 2.0), ("early", 1.0), ("late too", 2.0)):
            self.clock.callLater(delay_s, self.note, name)
        self.clock.advance(0.5)
        self.assertEqual((self.called, self.clock.seconds()), ([], 0.5))
        self.clock.advance(3.0)
        self.assertEqual(self.called, [("early", 1.0), ("late", 2.0), ("late too", 2.0)])
        self.assertEqual((self.clock.seconds(), self.clock.getDelayedCalls()), (3.5, []))

    def test_calls_from_calls(self) -> None:
        """What a call plans is called in the same stretch of time where it is due in it."""
        self.clock.callLater(1.0, self.clock.callLater, 1.0, self.note, "second")
        self.clock.advance(2.0)
        self.assertEqual(self.called, [("second", 2.0)])

    def test_cancel(self) -> None:
        """A call that was cancelled is not called, and not listed."""
        call = self.clock.callLater(1.0, self.note, "never")
        self.assertEqual(self.clock.getDelayedCalls(), [call])
        call.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(2.0)
        self.assertEqual(self.called, [])

    def test_moved(self) -> None:
        """A call can be moved, to later and to earlier; it is called and listed once."""
        one = self.clock.callLater(5.0, self.note, "one")
        other = self.clock.callLater(1.0, self.note, "other")
        one.reset(2.0)
        other.delay(3.0)
        self.assertEqual(len(self.clock.getDelayedCalls()), 2)
        self.clock.advance(10.0)
        self.assertEqual(self.called, [("one", 2.0), ("other", 4.0)])

    def test_moved_beyond(self) -> None:
        """A call that was moved beyond the stretch of time is called in a later one."""
        self.clock.callLater(1.0, self.note, "one").delay(5.0)
        self.clock.advance(3.0)
        self.assertEqual(self.called, [])
        self.clock.advance(3.0)
        self.assertEqual(self.called, [("one", 6.0)])

    @given(st.lists(st.floats(0, 10), max_size=20), st.lists(st.floats(0, 3), max_size=10))
    def test_every_call_at_its_time(self, delays_s: list[float], steps_s: list[float]) -> None:
        """However time is cut into stretches, each call comes once, at its own time."""
        clock = HeapClock()
        called: list[tuple[float, float]] = []
        for delay_s in delays_s:
            clock.callLater(delay_s, lambda due_s=delay_s: called.append((due_s, clock.seconds())))
        for step_s in [*steps_s, 11.0]:
            clock.advance(step_s)
        self.assertEqual([due_s for due_s, _ in called], sorted(delays_s))
        self.assertEqual([due_s for due_s, _ in called], [at_s for _, at_s in called])
