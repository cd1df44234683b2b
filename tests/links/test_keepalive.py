"""The PING/PONG machine, told the time (docs/protocol.md, sections 2 and 3)."""

from __future__ import annotations

import itertools

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.links.keepalive import MAX_OUTSTANDING, KeepAlive


class KeepAliveTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pings: list[str] = []
        self.gave_up = 0
        self._numbers = itertools.count(1)
        self.keepalive = KeepAlive(self.ping, self.give_up, 100.0)

    def ping(self) -> str:
        self.pings.append(f"p{next(self._numbers)}")
        return self.pings[-1]

    def give_up(self) -> None:
        self.gave_up += 1

    def tick_until(self, end_s: int, start_s: int = 100) -> None:
        """Tick once a second."""
        for now_s in range(start_s, end_s + 1):
            self.keepalive.tick(float(now_s))

    def test_every_30_seconds(self) -> None:
        """Section 2: the first PING goes 30 s after the link began, the next one 30 s later."""
        self.tick_until(129)
        self.assertEqual(self.pings, [])
        self.tick_until(130, 130)
        self.assertEqual(self.pings, ["p1"])
        self.tick_until(159, 131)
        self.assertEqual(self.pings, ["p1"])
        self.tick_until(160, 160)
        self.assertEqual(self.pings, ["p1", "p2"])

    def test_rhythm(self) -> None:
        """Section 2: ticks that come a little late do not make the intervals longer."""
        for tick in range(1, 200):
            self.keepalive.tick(100.0 + tick + 0.001 * (tick % 7))
            for msg_id in self.pings:
                self.keepalive.pong(msg_id, 100.0 + tick)
        self.assertEqual((len(self.pings), self.gave_up), (6, 0))

    def test_time_stood_still(self) -> None:
        """A machine that slept for an hour asks once, not 120 times, and gives the peer time to answer."""
        self.tick_until(103)
        self.tick_until(3710, 3700)
        self.assertEqual((len(self.pings), self.gave_up), (1, 0))

    def test_gives_up_after_three(self) -> None:
        """Section 2: three PINGs unanswered in a row end the link, when the fourth would be due."""
        self.tick_until(219)
        self.assertEqual((len(self.pings), self.gave_up), (3, 0))
        self.tick_until(220, 220)
        self.assertEqual((len(self.pings), self.gave_up), (3, 1))

    def test_a_pong_starts_the_count_again(self) -> None:
        """Only three in a row count: any PONG that was asked for starts the count again."""
        self.tick_until(190)
        self.assertEqual(len(self.pings), 3)
        self.assertEqual(self.keepalive.pong("p2", 191.0), 31.0)
        self.tick_until(279, 191)
        self.assertEqual((len(self.pings), self.gave_up), (5, 0))
        self.tick_until(310, 280)
        self.assertEqual(self.gave_up, 1)

    def test_rtt(self) -> None:
        """Section 3: the round trip is measured by msg_id on our own clock."""
        self.assertIsNone(self.keepalive.rtt_s)
        msg_id = self.keepalive.ask(100.0)
        self.assertEqual(self.keepalive.pong(msg_id, 100.25), 0.25)
        self.assertEqual(self.keepalive.rtt_s, 0.25)

    def test_pong_to_nothing(self) -> None:
        """A PONG that nobody asked for, or a second one, measures nothing and counts for nothing."""
        self.tick_until(130)
        self.assertIsNone(self.keepalive.pong("forged", 131.0))
        self.assertEqual(self.keepalive.pong("p1", 131.0), 1.0)
        self.assertIsNone(self.keepalive.pong("p1", 140.0))
        self.assertEqual(self.keepalive.rtt_s, 1.0)

    def test_asking_out_of_turn(self) -> None:
        """A PING of the user's neither delays the regular ones nor counts as unanswered."""
        for now_s in (110.0, 111.0, 112.0, 113.0):
            self.keepalive.ask(now_s)
        self.tick_until(130)
        self.assertEqual((len(self.pings), self.gave_up), (5, 0))
        self.tick_until(219, 131)
        self.assertEqual(self.gave_up, 0)

    def test_bounded(self) -> None:
        """Only so many PINGs are remembered; the oldest is forgotten first."""
        for _ in range(MAX_OUTSTANDING + 1):
            self.keepalive.ask(100.0)
        self.assertIsNone(self.keepalive.pong("p1", 101.0))
        self.assertEqual(self.keepalive.pong("p2", 101.0), 1.0)
