"""An hour of coming and going: tables stay as large as the present network needs (issue 3, 6)."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from p2pchat import ticking
from p2pchat.protocol.names import ToAll
from tests.scenarios.stories import Conversation, ScenarioTestCase
from tests.village import RENDEZVOUS, Villager

#: Those who stay; each cannot be dialled by the next, so that relays are needed.
STAYERS = ("alice", "bob", "carol", "dave")

#: Those who come and go.
GUESTS = ("erin", "frank", "grace", "heidi")

#: Seconds between two events.
STEP_S = 4.0

#: Seconds after which all that was remembered of a time is forgotten: what was shown, two generations of ten
#: minutes; routes, five minutes; half-open links, two minutes.
FORGOTTEN_S = 1300.0


class ChurnTests(ScenarioTestCase):
    def setUp(self) -> None:
        super().setUp()
        # Four times less ticks, so that an hour takes seconds; deadlines are exact to that.
        self.patch(ticking, "TICK_S", 1.0)
        self.talks: list[Conversation] = []
        #: All who ever lived here.
        self.everybody: list[Villager] = []
        self.ips = (f"10.2.{number // 200}.{number % 200 + 1}" for number in itertools.count())

    def come(self) -> None:
        """Somebody who is not there comes, at an address that nobody had."""
        there = {villager.own.name for villager in self.villagers}
        absent = [name for name in GUESTS if name not in there]
        if absent:
            ip = next(self.ips)
            if self.random.random() < 0.5:
                self.network.hide(ip)
            for villager in self.villagers:
                if self.random.random() < 0.3:
                    self.network.cut(ip, villager.ip)
            self.everybody.append(self.join(self.random.choice(absent), ip, registration_ttl_s=60))

    def go(self) -> None:
        """Somebody goes, in one of three ways."""
        guests = [villager for villager in self.villagers if villager.own.name in GUESTS]
        if guests:
            guest = self.random.choice(guests)
            if self.random.random() < 0.3:
                self.villagers.remove(guest)
                self.leave(guest)
            else:
                self.random.choice([self.kill, self.crash])(guest)

    def talk_to_somebody(self) -> None:
        """Somebody says something to somebody, and to all."""
        speaker, listener = self.random.sample(self.villagers, 2)
        talk = Conversation(speaker, listener)
        talk.say()
        self.talks.append(talk)
        speaker.node.publish(ToAll(), f"{talk.said[0]} and all")

    def live(self, seconds: float) -> None:
        """Let an event happen every few seconds."""
        actions: list[Callable[[], None]] = [self.come, self.come, self.go, *[self.talk_to_somebody] * 4]
        for _ in range(int(seconds / STEP_S)):
            self.random.choice(actions)()
            self.pass_time(STEP_S)

    def sizes(self) -> dict[str, int]:
        """Add up the tables of those who stay."""
        found: dict[str, int] = {}
        for villager in self.villagers[: len(STAYERS)]:
            board, counters = villager.node.switchboard, villager.node.counters()
            found["diallers"] = found.get("diallers", 0) + len(board.diallers)
            found["links"] = found.get("links", 0) + board.link_count
            for name in (*villager.node.router.sizes(), "neighbours", "roster", "lines_waiting"):
                found[name] = found.get(name, 0) + counters[name]
        found["records"] = len(self.servers[0].factory.registry)
        found["transports"] = len(self.network.transports)
        found["delayed calls"] = len(self.network.clock.getDelayedCalls())
        return found

    def start(self) -> dict[str, int]:
        """Let those come who stay; return how large their tables are while nothing happens."""
        self.rendezvous(RENDEZVOUS)
        for number, name in enumerate(STAYERS):
            self.join(name, f"10.9.0.{number}", registration_ttl_s=60)
        self.network.cut("10.9.0.0", "10.9.0.1")
        self.network.cut("10.9.0.2", "10.9.0.3")
        self.pass_time(60)
        self.everybody += self.villagers
        return self.sizes()

    def assert_flat(self, samples: list[dict[str, int]]) -> None:
        """Assert that nothing is larger in the second half than in the first, but for chance.

        What grew all the time would hold 2.5 times as much.
        """
        half = len(samples) // 2
        for name in samples[0]:
            early, late = (sum(sample[name] for sample in some) for some in (samples[:half], samples[half:]))
            self.assertLessEqual(late, 1.6 * early + 10, f"{name}: {[sample[name] for sample in samples]}")

    def assert_told(self) -> None:
        """Assert that nobody heard anything twice, and each message has an outcome with a name."""
        for villager in self.everybody:
            self.assertEqual(len(villager.heard), len(set(villager.heard)), villager.own)
        confirmed = 0
        for talk in self.talks:
            if talk.speaker in self.villagers:
                (delivery,) = talk.deliveries
                self.assertTrue(delivery.is_over)
                self.assertEqual(bool(delivery.code), bool(delivery.why))
                confirmed += not delivery.code
        self.assertGreater(confirmed, 200)

    def test_an_hour(self) -> None:
        """Tables are flat over an hour of churn, and behind it as small as they were before."""
        before = self.start()
        samples = []
        for _ in range(6):
            self.live(600)
            samples.append(self.sizes())
        self.assert_flat(samples)
        self.assert_nothing_broke()
        for villager in self.villagers[len(STAYERS) :]:
            self.kill(villager)
        self.pass_time(FORGOTTEN_S)
        self.assertEqual(self.sizes(), before)
        self.assert_told()
