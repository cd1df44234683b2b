"""Who can dial whom."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.simulation.topology import DEFAULT_NAT, BadTopology, Reach, Topology


def lay_out(text: str, peers: int = 6, seed: int = 1) -> Reach:
    """Lay out a network of some shape."""
    return Topology.parse(text).lay_out(peers, Random(seed))


def part_of_first(reach: Reach, peers: int) -> set[int]:
    """Return whom the first peer can reach over others that can dial each other."""
    found, border = {0}, [0]
    while border:
        here = border.pop()
        fresh = {other for other in range(peers) if other not in found and reach.may_dial(here, other)}
        found |= fresh
        border.extend(fresh)
    return found


class TopologyTests(SynchronousTestCase):
    def test_parse(self) -> None:
        """Each shape is read as it is written, and written as it is read."""
        for text in ("random", "line", "ring", "star", "full", "nat:0.3", "nat:0", "nat:1"):
            self.assertEqual(str(Topology.parse(text)), text)
        self.assertEqual(Topology.parse("nat:0.25"), Topology("nat", 0.25))
        self.assertEqual(Topology.parse("nat"), Topology("nat", DEFAULT_NAT))

    def test_bad(self) -> None:
        """What is no shape is refused with what would be right."""
        for text in ("", "Ring", "ring:0.3", "mesh", "nat 0.3"):
            problem = self.assertRaises(BadTopology, Topology.parse, text)
            self.assertEqual(
                str(problem), f"expected one of random, line, ring, star, full or nat:0.3, got {text!a}"
            )
        for share in ("x", "1.1", "-0.1", "nan", "inf", "é"):
            problem = self.assertRaises(BadTopology, Topology.parse, f"nat:{share}")
            self.assertEqual(str(problem), f"expected a share from 0 to 1 behind nat:, got {share!a}")

    def test_sparse(self) -> None:
        """In some shapes most peers cannot dial each other."""
        sparse = [
            text for text in ("random", "line", "ring", "star", "full", "nat") if Topology(text).is_sparse
        ]
        self.assertEqual(sparse, ["random", "line", "ring", "star"])


class ReachTests(SynchronousTestCase):
    def test_pairs(self) -> None:
        """In a line, a ring and a star exactly those can dial each other who are next to each other."""
        line = {(0, 1), (1, 2), (2, 3)}
        for text, pairs in (
            ("line", line),
            ("ring", line | {(0, 3)}),
            ("star", {(0, 1), (0, 2), (0, 3)}),
        ):
            self.assertEqual(lay_out(text, peers=4), Reach(pairs=frozenset(pairs)))

    def test_may_dial(self) -> None:
        """Who can dial somebody can be dialled by that one; others cannot."""
        reach = lay_out("line", peers=3)
        self.assertTrue(reach.may_dial(0, 1))
        self.assertTrue(reach.may_dial(1, 0))
        self.assertFalse(reach.may_dial(0, 2))
        self.assertFalse(reach.may_dial(2, 0))

    def test_full(self) -> None:
        """In a full network everybody can dial everybody, and nobody is told whom."""
        reach = lay_out("full")
        self.assertTrue(all(reach.may_dial(one, other) for one in range(6) for other in range(6)))
        self.assertEqual(reach.told(5), [])

    def test_nat(self) -> None:
        """Behind a NAT peers can dial and cannot be dialled: as many as the share says, and never all."""
        for share, hidden in (("0", 0), ("0.3", 3), ("1", 9)):
            reach = lay_out(f"nat:{share}", peers=10)
            self.assertEqual(len(reach.hidden), hidden)
            for number in range(10):
                self.assertEqual(reach.may_dial(0, number), number not in reach.hidden)
        self.assertEqual(lay_out("nat:1", peers=1), Reach())

    def test_told(self) -> None:
        """Each peer is told to dial those before it that it can dial, so that each pair is dialled once."""
        for text in ("line", "ring", "star", "random"):
            reach = lay_out(text)
            told = [(one, number) for number in range(6) for one in reach.told(number)]
            self.assertEqual(sorted(told), sorted(reach.pairs or ()))
        self.assertEqual(lay_out("ring").told(5), [0, 4])

    def test_parts(self) -> None:
        """When some are gone the others may be in several networks, whatever they do."""
        for text, numbers, parts in (
            ("full", (1, 3, 5), 1),
            ("line", (0, 1, 2), 1),
            ("line", (0, 1, 3, 5), 3),
            ("ring", (0, 1, 3, 5), 2),
            ("star", (0, 4, 5), 1),
            ("star", (1, 4, 5), 3),
            ("line", (), 0),
        ):
            self.assertEqual(lay_out(text).parts(numbers), parts, (text, numbers))
        reach = lay_out("nat:0.5", peers=4)
        self.assertEqual(reach.parts(reach.hidden), 2)
        self.assertEqual(reach.parts(range(4)), 1)

    @given(st.integers(1, 60), st.integers(0, 1000))
    def test_random_is_one_network(self, peers: int, seed: int) -> None:
        """A random network is one, nobody dials itself, and each has not many more links than the others."""
        reach = lay_out("random", peers, seed)
        assert reach.pairs is not None
        self.assertEqual(part_of_first(reach, peers), set(range(peers)))
        self.assertTrue(all(0 <= one < other < peers for one, other in reach.pairs))
        self.assertLessEqual(len(reach.pairs), 3 * peers)

    def test_random_from_chance(self) -> None:
        """The same chance makes the same network, another one another."""
        self.assertEqual(lay_out("random", 20, 1), lay_out("random", 20, 1))
        self.assertNotEqual(lay_out("random", 20, 1), lay_out("random", 20, 2))
        self.assertNotEqual(lay_out("nat", 20, 1), lay_out("nat", 20, 2))

    def test_alone(self) -> None:
        """A single peer can be laid out in every shape."""
        for text in ("random", "line", "star", "full", "nat"):
            self.assertEqual(lay_out(text, peers=1).told(0), [])
