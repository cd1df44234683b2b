"""A hundred small networks with every kind of fault at once, each of another shape and with another liar."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.simulation.liars import LIARS
from p2pchat.simulation.plan import MIXED, Plan
from p2pchat.simulation.report import report_on
from p2pchat.simulation.simulation import Simulation
from p2pchat.simulation.topology import Topology
from tests.simulation.towns import unmeasured

#: The shapes, in turn; each kind of liar has its turn in all of them.
TOPOLOGIES = tuple(Topology.parse(text) for text in ("random", "full", "nat:0.3", "line", "ring", "star"))

#: Of each network one peer in seven lies.
PEERS = 7
LIARS_SHARE = 0.15

#: A minute and a half of faults, then the calm.
MINUTES = 2.5


def plan_of(seed: int) -> Plan:
    """Return what is simulated with a seed."""
    turn, place = divmod(seed, len(TOPOLOGIES))
    topology, liar = TOPOLOGIES[place], list(LIARS)[turn % len(LIARS)]
    liars = ((liar, LIARS_SHARE),)
    return attrs.evolve(
        MIXED,
        seed=seed,
        peers=PEERS,
        minutes=MINUTES,
        topology=topology,
        liars=liars,
        messages=60.0,
        casts=6.0,
        # Where the centre of a star has left nothing is said.
        leavers=0.0 if topology.kind == "star" else MIXED.leavers,
    )


class SeedTests(SynchronousTestCase):
    """Ten seeds a test, so that several processes share them."""

    def hold(self, first: int) -> None:
        """Assert that no invariant breaks with ten seeds; name the commands that replay those that do."""
        broken = []
        for seed in range(first, first + 10):
            simulation = Simulation(plan_of(seed))
            with unmeasured():
                simulation.run()
            report = report_on(simulation)
            self.assertGreater(report.confirmed, 0, report.command)
            if not report.is_good:
                broken.append(report.as_text().partition("BROKEN")[2])
        self.assertEqual(broken, [], "\n".join(broken))

    def test_the_networks_differ(self) -> None:
        """The hundred are different networks: all shapes, each with all kinds of liars."""
        plans = [plan_of(seed) for seed in range(1, 101)]
        self.assertEqual({plan.seed for plan in plans}, set(range(1, 101)))
        pairs = {(plan.topology, plan.liars[0][0]) for plan in plans}
        self.assertEqual(len(pairs), len(TOPOLOGIES) * len(LIARS))

    def test_seeds_1_to_10(self) -> None:
        """Everything holds with these."""
        self.hold(1)

    def test_seeds_11_to_20(self) -> None:
        """Everything holds with these."""
        self.hold(11)

    def test_seeds_21_to_30(self) -> None:
        """Everything holds with these."""
        self.hold(21)

    def test_seeds_31_to_40(self) -> None:
        """Everything holds with these."""
        self.hold(31)

    def test_seeds_41_to_50(self) -> None:
        """Everything holds with these."""
        self.hold(41)

    def test_seeds_51_to_60(self) -> None:
        """Everything holds with these."""
        self.hold(51)

    def test_seeds_61_to_70(self) -> None:
        """Everything holds with these."""
        self.hold(61)

    def test_seeds_71_to_80(self) -> None:
        """Everything holds with these."""
        self.hold(71)

    def test_seeds_81_to_90(self) -> None:
        """Everything holds with these."""
        self.hold(81)

    def test_seeds_91_to_100(self) -> None:
        """Everything holds with these."""
        self.hold(91)
