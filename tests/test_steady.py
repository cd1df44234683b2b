"""Time that nobody puts."""

from __future__ import annotations

from twisted.internet import base, selectreactor
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.steady import steady


class SteadyTests(SynchronousTestCase):
    def test_the_time_of_day_is_put_back(self) -> None:
        """What is due is called though the time of day was put back by an hour since it was planned."""
        reactor = steady(selectreactor.SelectReactor())
        called: list[str] = []
        reactor.callLater(0.0, called.append, "due")
        self.patch(base.ReactorBase, "seconds", staticmethod(lambda: -3600.0))
        reactor.runUntilCurrent()
        self.assertEqual(called, ["due"])
