"""Messages to many, in networks of any shape: everybody is told once (docs/protocol.md, section 5)."""

from __future__ import annotations

import random

from p2pchat.protocol.messages import ORIGIN_TTL
from p2pchat.protocol.names import ToNamespace
from tests.scenarios.stories import ScenarioTestCase
from tests.village import Villager

#: Links that a message can come over at most: each forward but the first takes one of its ttl.
REACH = ORIGIN_TTL + 1


def line(length: int) -> list[str]:
    """Peers in a row."""
    return ["-".join(f"p{number}" for number in range(length))]


def ring(length: int) -> list[str]:
    """Peers in a circle."""
    return [line(length)[0] + "-p0"]


def grid(size: int) -> list[str]:
    """Peers in rows and columns."""
    rows = ["-".join(f"p{x}{y}" for x in range(size)) for y in range(size)]
    return rows + ["-".join(f"p{x}{y}" for y in range(size)) for x in range(size)]


def mesh(size: int) -> list[str]:
    """Everybody linked with everybody."""
    return [f"p{one}-p{other}" for one in range(size) for other in range(one)]


def anyhow(size: int, seed: int) -> list[str]:
    """A tree of links, and half as many more, by chance."""
    chance = random.Random(seed)
    links = {(number, chance.randrange(number)) for number in range(1, size)}
    while len(links) < size * 3 // 2:
        one, other = chance.sample(range(size), 2)
        links.add((max(one, other), min(one, other)))
    return [f"p{one}-p{other}" for one, other in sorted(links)]


class EverybodyOnceTests(ScenarioTestCase):
    def assert_everybody_once(self, *chains: str) -> list[Villager]:
        """Let everybody say something to all, at the same moment; everybody else is shown it once."""
        villagers = self.build(*chains)
        for villager in villagers:
            self.cast(villager, f"{villager.own.name} to all")
        self.pass_time(1)
        for villager in villagers:
            others = [f"{other.own.name} to all" for other in villagers if other is not villager]
            self.assertEqual(sorted(villager.heard), sorted(others), villager.own)
        return villagers

    def test_line(self) -> None:
        """In a line, as far as the ttl reaches, which is nine links."""
        self.assert_everybody_once(*line(REACH + 1))

    def test_line_too_long(self) -> None:
        """Those beyond are not reached, and nobody complains: the answers would be a flood too."""
        first, *others = self.build(*line(REACH + 3))
        self.cast(first, "hello?")
        self.pass_time(1)
        self.assertEqual([villager.heard for villager in others], [["hello?"]] * REACH + [[]] * 2)
        self.assertEqual([event for event in first.events if "Complained" in type(event).__name__], [])

    def test_ring(self) -> None:
        """In rings, where two copies meet at the far side."""
        for length in (3, 8, 2 * REACH, 2 * REACH + 1):
            self.assert_everybody_once(*ring(length))
            self.end_story()

    def test_grid(self) -> None:
        """In a grid, where copies come by many ways."""
        self.assert_everybody_once(*grid(4))

    def test_full_mesh(self) -> None:
        """Where everybody is linked with everybody nobody passes a copy on to whom it came from."""
        villagers = self.assert_everybody_once(*mesh(8))
        # Of each message seven get a copy of their own, and each passes it on to the other six at most.
        self.assertEqual([villager.node.router.tally.flooded for villager in villagers], [7 * 6] * 8)

    def test_any_shape(self) -> None:
        """In networks that came about by chance."""
        for seed in range(8):
            self.assert_everybody_once(*anyhow(14, seed))
            self.end_story()


class NamespaceTests(ScenarioTestCase):
    def test_others_pass_it_on(self) -> None:
        """What is for a namespace goes through peers of others, which do not show it."""
        alice, bob, carol = self.build("alice@UnB-bob@Giga-carol@UnB")
        self.successResultOf(alice.node.publish(ToNamespace("UnB"), "UnB!"))
        self.pass_time(1)
        self.assertEqual((bob.heard, carol.heard), ([], ["UnB!"]))


class SlowWayTests(ScenarioTestCase):
    def test_spent_ttl(self) -> None:
        """A copy that came early by a long way, its ttl spent, does not starve those behind."""
        long_way = "-".join(f"w{number}" for number in range(ORIGIN_TTL - 1))
        alice, *_ = self.build(f"alice-{long_way}-bob-carol-dave-erin", "alice-short-bob")
        peers = {villager.own.name: villager for villager in self.villagers}
        # The short way takes longer: its segments are held back for a while.
        self.network.cut(peers["short"].ip, alice.ip)
        self.cast(alice, "hello")
        self.pass_time(0.1)
        self.assertEqual([peers[name].heard for name in ("bob", "carol", "erin")], [["hello"], ["hello"], []])
        self.network.heal()
        self.pass_time(0.1)
        for name in ("bob", "carol", "dave", "erin"):
            self.assertEqual(peers[name].heard, ["hello"], name)
