"""One neighbour sends far too much through a relay that others use too (issue 3, "Limits").

Everything is measured on the simulated clock, where work costs no time: what is seen is waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean

from p2pchat.protocol.names import PeerId
from p2pchat.testing import MemoryNetwork
from tests.links.peers import OUR_FEATURES, line
from tests.scenarios.stories import Conversation, PlainPeer, ScenarioTestCase
from tests.village import Villager

BOB = PeerId("bob@UnB")

#: Seconds that a segment is under way to somebody's home, and bytes a second that get there.
HOME_LATENCY_S = 0.02
HOME_BYTES_PER_S = 100_000

#: Seconds between two lines to a plain peer.
SLOT_S = 0.05

#: Makes the number-th line of a flood.
Flood = Callable[[int], bytes]


def sends(number: int) -> bytes:
    """Messages to bob."""
    return line("SEND", msg_id=f"f{number}", src="mallory@UnB", dst=BOB, payload="x" * 200, ttl=8)


def forged(number: int) -> bytes:
    """The same, in the name of somebody else."""
    return line("SEND", msg_id=f"f{number}", src="alice@UnB", dst=BOB, payload="x" * 200, ttl=8)


def casts(number: int) -> bytes:
    """Messages to all."""
    return line("PUB", msg_id=f"f{number}", src="mallory@UnB", dst="*", payload="x" * 200, ttl=8)


def questions(number: int) -> bytes:
    """Questions for somebody who does not exist."""
    return line("WHO_HAS", msg_id=f"f{number}", src="mallory@UnB", dst=f"nobody{number}@UnB", ttl=8)


class FloodTestCase(ScenarioTestCase):
    """alice talks to bob through a relay; mallory, another neighbour of the relay, floods."""

    mallory: PlainPeer
    relay: Villager

    def start(self, plain: bool = False) -> Villager:
        """Start them all; return alice."""
        chains = ["relay-alice"] if plain else ["relay-alice", "relay-bob"]
        self.relay, alice, *_ = self.build(*chains)
        if plain:
            self.plain("bob", self.relay)
        self.mallory = self.plain("mallory", self.relay, OUR_FEATURES)
        self.mallory.answers["SEND"] = lambda _: []
        self.talk(alice, BOB)
        self.pass_time(1)
        return alice

    def talk_during(
        self, alice: Villager, flood: Flood | None, lines_per_s: int = 1000, burst: int = 1
    ) -> Conversation:
        """Let alice say something now and then for five seconds, with or without a flood."""
        talk = Conversation(alice, BOB)
        for step in range(50):
            if flood is not None:
                first = step * lines_per_s // 10
                self.mallory.wire.write(b"".join(map(flood, range(first, first + lines_per_s // 10))))
            if step % (3 * burst) == 0:
                for _ in range(burst):
                    talk.say()
            self.pass_time(0.1)
        self.settle()
        self.assertEqual([(each.code, each.tries) for each in talk.deliveries], [("", 1)] * len(talk.said))
        return talk

    def delivery_times_s(
        self, flood: Flood, plain: bool = False, lines_per_s: int = 1000, burst: int = 1
    ) -> tuple[float, float]:
        """Return the mean delivery time without and with a flood."""
        means_s = []
        for each in (None, flood):
            talk = self.talk_during(self.start(plain), each, lines_per_s, burst)
            means_s.append(mean(delivery.took_s for delivery in talk.deliveries))
            self.mallory.wire.abortConnection()
            self.end_story()
        return means_s[0], means_s[1]


class OtherPeersTests(FloodTestCase):
    def assert_at_most_doubled(self, flood: Flood, lines_per_s: int = 1000) -> None:
        """Assert that a flood makes delivery times twice as long at most."""
        quiet_s, flooded_s = self.delivery_times_s(flood, lines_per_s=lines_per_s)
        self.assertLessEqual(flooded_s, 2 * quiet_s, flood.__name__)

    def test_fast_link(self) -> None:
        """Where the destination takes everything at once, others hardly wait for what is on its way."""
        for flood in (sends, forged, casts, questions):
            self.assert_at_most_doubled(flood, lines_per_s=1500)

    def test_slow_link(self) -> None:
        """Where the link to the destination carries less than the flood, others hardly wait for it."""
        self.network = MemoryNetwork(HOME_LATENCY_S)
        self.network.throttle("10.1.0.1", "10.1.0.3", HOME_BYTES_PER_S)
        for flood in (sends, forged, casts, questions):
            self.assert_at_most_doubled(flood)

    def test_plain_destination(self) -> None:
        """To a plain peer a line may leave every 50 ms: who says something now and then waits for one."""
        quiet_s, flooded_s = self.delivery_times_s(sends, plain=True)
        self.assertLessEqual(flooded_s, quiet_s + SLOT_S)

    def test_plain_destination_in_bursts(self) -> None:
        """Who says several things at once gets every second line, and may have to wait for the first."""
        quiet_s, flooded_s = self.delivery_times_s(sends, plain=True, burst=8)
        self.assertLessEqual(flooded_s, 2 * quiet_s + SLOT_S)

    def test_own_messages_first(self) -> None:
        """What the relay says itself goes ahead of what it passes on."""
        self.start(plain=True)
        self.mallory.wire.write(b"".join(map(sends, range(2000))))
        self.pass_time(0.5)
        talk = self.talk(self.relay, BOB, 5)
        self.settle()
        self.assertEqual(talk.most_tries, 1)
        self.assertLess(max(delivery.took_s for delivery in talk.deliveries), 6 * SLOT_S)


class FlooderTests(FloodTestCase):
    def codes_told(self) -> set[str]:
        """What mallory was refused with."""
        return {fields["code"] for fields in self.mallory.of("ERROR")}

    def test_over_quota(self) -> None:
        """Who floods is told so, by name, whoever it says to be; nobody else is."""
        for flood, lines_per_s in ((sends, 4000), (forged, 4000), (casts, 500), (questions, 200)):
            alice = self.start()
            self.talk_during(alice, flood, lines_per_s)
            self.assertIn("over_quota", self.codes_told(), flood.__name__)
            self.assertGreater(self.relay.node.router.tally.over_quota, 0)
            self.assertEqual([event for event in alice.events if "Complained" in type(event).__name__], [])
            self.mallory.wire.abortConnection()
            self.end_story()

    def test_busy(self) -> None:
        """Who fills its share of the queue to a destination that cannot take it is told busy."""
        self.talk_during(self.start(plain=True), sends)
        self.assertEqual(self.codes_told(), {"busy"})

    def test_is_read_more_slowly(self) -> None:
        """Its own socket feels it: most of what it wrote has not been read yet."""
        self.start()
        for first in range(0, 20_000, 100):
            self.mallory.wire.write(b"".join(map(sends, range(first, first + 100))))
            self.pass_time(0.01)
        link = self.relay.node.neighbours[self.mallory.own].link
        self.assertLess(link.received, 10_000)

    def test_links_live(self) -> None:
        """A flood of two minutes over a slow link ends no link: PING and PONG go ahead of it."""
        self.network.throttle("10.1.0.1", "10.1.0.3", 5000)
        alice = self.start()
        for first in range(0, 6000, 50):
            self.mallory.wire.write(b"".join(map(sends, range(first, first + 50))))
            self.pass_time(1)
        self.assertEqual(self.relay.linked, {"alice", "bob", "mallory"})
        self.assertEqual(alice.linked, {"relay"})

    def test_nothing_is_left(self) -> None:
        """What a flood filled is empty again a few minutes later."""
        self.talk_during(self.start(), sends, lines_per_s=3000)
        self.assertGreater(self.relay.node.router.sizes()["messages_remembered"], 1000)
        self.mallory.wire.abortConnection()
        self.pass_time(310)
        sizes = self.relay.node.router.sizes()
        # What was shown is remembered for longer; the links with alice and bob are routes.
        self.assertEqual({name: size for name, size in sizes.items() if size}, {"routes": 2})
