"""A network in a box: who lives there, what is looked at, and that it goes on whatever fails."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import attrs
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.node import Node
from p2pchat.simulation.liars import LIARS, Impostor
from p2pchat.simulation.plan import MIXED, Plan
from p2pchat.simulation.simulation import DIALLED, DIALLED_SPARSE, LOOKED_AT, MESH, Simulation
from p2pchat.simulation.topology import Topology
from tests.simulation.towns import SMALL, simulate


def plan(**given: Any) -> Plan:
    """Return a small plan that differs in something."""
    return attrs.evolve(SMALL, **given)


class RunTests(SynchronousTestCase):
    def test_without_faults(self) -> None:
        """In a network without faults and liars every message is confirmed, and nobody dies."""
        simulation, report = simulate(plan(topology=Topology()))
        self.assertTrue(report.is_good, report.as_text())
        self.assertGreater(report.sent, 20)
        self.assertEqual((report.confirmed, report.unknown, report.lost), (report.sent, 0, 0))
        self.assertEqual(report.peaks["neighbours"].largest, 3)
        self.assertEqual(list(report.one_network_s), ["all faults"])
        self.assertFalse(any(resident.is_up for resident in simulation.residents))
        self.assertFalse(simulation.rendezvous.is_up)

    def test_every_shape(self) -> None:
        """In each shape messages reach everybody, over others where nobody can dial."""
        for text in ("line", "ring", "star", "full", "nat:0.5", "random"):
            _, report = simulate(plan(peers=6, topology=Topology.parse(text)))
            self.assertTrue(report.is_good, report.as_text())
            self.assertGreater(report.confirmed, 0.95 * report.sent, text)
            assert report.hops.largest is not None
            self.assertEqual(report.hops.largest > 1, text != "full", text)

    def test_with_everything(self) -> None:
        """With every kind of fault there are failures of which the senders are told, and all recovers."""
        _, report = simulate(attrs.evolve(MIXED, peers=8, minutes=4.0, churn=6.0, partition=1.0, keepers=0.5))
        self.assertTrue(report.is_good, report.as_text())
        self.assertGreater(report.failed, 0)
        self.assertEqual(report.failed, sum(report.failed_by_reason.values()))
        self.assertEqual(report.sent, report.confirmed + report.failed + report.unknown + report.kept)
        self.assertTrue({"all faults", "peer away"} <= set(report.one_network_s))

    def test_alone(self) -> None:
        """A network of one peer is one."""
        _, report = simulate(plan(peers=1))
        self.assertTrue(report.is_good, report.as_text())
        self.assertEqual((report.sent, report.lines_by_type.get("SEND")), (0, None))

    def test_progress(self) -> None:
        """Whoever waits is told the time, each second, until the end."""
        told: list[float] = []
        Simulation(plan(messages=0.0)).run(told.append)
        self.assertEqual(told, [float(second) for second in range(1, 121)])

    def test_interrupted(self) -> None:
        """A simulation that is interrupted does not listen to the log any more."""

        def interrupt(_now_s: float) -> None:
            raise KeyboardInterrupt

        before = list(globalLogPublisher._observers)
        self.assertRaises(KeyboardInterrupt, Simulation(SMALL).run, interrupt)
        self.assertEqual(globalLogPublisher._observers, before)

    def test_goes_on(self) -> None:
        """Time goes on behind a call that raises, and all that is due with it; it is found."""
        simulation = Simulation(SMALL)
        called: list[float] = []

        def fail() -> None:
            called.append(simulation.clock.now_s)
            raise RuntimeError("planted")

        for at_s in (0.5, 0.5, 0.75):
            simulation.clock.call_at(at_s, fail)
        simulation._advance(1.0)
        self.assertEqual((called, simulation.clock.now_s), ([0.5, 0.5, 0.75], 1.0))
        self.assertEqual([found.rule for found in simulation.violations], ["no unhandled exception"] * 3)
        self.assertEqual([found.at_s for found in simulation.violations], [0.5, 0.5, 0.75])
        self.assertIn("planted", simulation.violations[0].what)

    def test_raises_at_the_very_end(self) -> None:
        """A call that raises at the end of a stretch of time does not keep what is due then from coming."""
        simulation = Simulation(SMALL)
        called: list[str] = []
        simulation.clock.call_at(1.0, lambda: [][0])
        simulation.clock.call_at(1.0, lambda: called.append("due"))
        simulation._advance(1.0)
        simulation._advance(1.0)
        self.assertEqual(called, ["due"])


class PopulationTests(SynchronousTestCase):
    def test_small(self) -> None:
        """In a small network everybody dials whomever it can, without being told."""
        simulation = Simulation(plan(peers=MESH, topology=Topology("ring")))
        self.assertEqual({resident.peers for resident in simulation.residents}, {()})
        self.assertIsNone(simulation.residents[0].around.max_dialled)

    def test_large(self) -> None:
        """In a large network each dials only some, and is told whom where not everybody can be dialled."""
        for kind, dialled, told in (("ring", DIALLED_SPARSE, 2), ("full", DIALLED, 0), ("nat", DIALLED, 0)):
            simulation = Simulation(plan(peers=MESH + 1, topology=Topology(kind)))
            self.assertEqual(simulation.residents[0].around.max_dialled, dialled)
            self.assertEqual(max(len(resident.peers) for resident in simulation.residents), told)

    def test_liars(self) -> None:
        """As many are liars as was asked for, each of its own kind; the rest are honest."""
        shares = tuple((kind, 0.08) for kind in LIARS)
        simulation = Simulation(plan(peers=25, liars=shares))
        parts = [resident.part for resident in simulation.residents if not resident.is_honest]
        self.assertEqual(sorted(parts), sorted([*LIARS] * 2))
        self.assertEqual([resident.part for resident in simulation.honest], [""] * (25 - 2 * len(LIARS)))

    def test_impostor(self) -> None:
        """An impostor has the name of somebody else, of whom it is not known any more who was reached."""
        simulation = Simulation(plan(peers=6, liars=(("impostor", 0.2),)))
        (impostor,) = [resident for resident in simulation.residents if resident.part == "impostor"]
        others = [resident for resident in simulation.residents if resident.own == impostor.own]
        self.assertEqual(len(others), 2)
        self.assertEqual(simulation.ledger.impersonated, {impostor.own})
        simulation.rendezvous.start()
        impostor.start()
        self.assertIsInstance(impostor.node, Impostor)

    def test_slow(self) -> None:
        """As many are slow as was asked for."""
        simulation = Simulation(plan(peers=20, slow=0.25))
        rates = [simulation.internet.bytes_per_s(found.ip, found.ip) for found in simulation.residents]
        self.assertEqual(sum(rate is not None for rate in rates), 5)

    def test_what_does_not_change(self) -> None:
        """What is said, and who lives there, is the same whatever goes wrong around it."""

        def texts(given: Plan) -> list[tuple[float, str]]:
            simulation = Simulation(given)
            simulation.run()
            return [(said.said_at_s, said.text[:2]) for said in simulation.ledger if said.is_cast][:5]

        self.assertEqual(
            texts(plan(casts=30.0, messages=0.0)), texts(plan(casts=30.0, messages=0.0, slow=0.5))
        )


class LookTests(SynchronousTestCase):
    def test_each_has_its_turn(self) -> None:
        """Of a large network some peers are looked at each time, and all of them in turn; liars are not."""
        simulation = Simulation(plan(peers=25, liars=(("flooder", 0.04),), messages=0.0, casts=0.0))
        looked_at: list[str] = []

        def counters(node: Node) -> dict[str, int]:
            looked_at.append(node.own)
            return {}

        self.patch(Node, "counters", counters)
        for resident in simulation.residents:
            resident.start()
        turns = math.ceil(24 / LOOKED_AT)
        for _ in range(turns):
            simulation._look_at_tables()
        self.assertEqual(len(looked_at), turns * LOOKED_AT)
        self.assertEqual(set(looked_at), {resident.own for resident in simulation.honest})

    def test_nobody_to_look_at(self) -> None:
        """Where nobody is up, not even the rendezvous, there is nothing to look at."""
        simulation = Simulation(SMALL)
        simulation._look_at_tables()
        self.assertEqual((simulation.peaks.found, simulation.violations), ({}, []))

    def test_nobody_to_end(self) -> None:
        """Where nobody is up at the end, nobody is ended, and nothing is wrong."""
        simulation = Simulation(SMALL)
        simulation._end()
        self.assertEqual((simulation.violations, simulation.internet.ports), ([], {}))

    def test_recovery_is_measured(self) -> None:
        """How long a fault's network took to become one again is measured from its end, by kind."""
        simulation = Simulation(SMALL)
        simulation.rendezvous.start()
        for resident in simulation.residents:
            resident.start()
        simulation._fault_ended("peer away")
        simulation._look()
        self.assertEqual(simulation.recovered_s, {})
        simulation.clock.advance(3.0)
        simulation._fault_ended("clock put")
        simulation.clock.advance(37.0)
        simulation._look()
        simulation._look()
        self.assertEqual(simulation.recovered_s, {"peer away": [40.0], "clock put": [37.0]})


class TracedTests(SynchronousTestCase):
    def test_trace(self) -> None:
        """Everything is in the trace: what passes, what happens, what is told, and what is broken."""
        file = io.BytesIO()
        simulation = Simulation(plan(churn=10.0), file)
        simulation.run()
        simulation.violated("shown once", "m1 again")
        head, *moments = [json.loads(line) for line in file.getvalue().splitlines()]
        self.assertEqual(head["command"], simulation.plan.command)
        lines = [moment for moment in moments if "line" in moment]
        names = {*(resident.own for resident in simulation.residents), "rendezvous"}
        self.assertEqual({moment["from"] for moment in lines}, names)
        self.assertEqual({moment["to"] for moment in lines}, names)
        self.assertEqual(len(lines), simulation.wiretap.lines)
        happened = [moment["happened"] for moment in moments if "happened" in moment]
        self.assertEqual(happened[-2:], ["the faults are over", "VIOLATION: shown once: m1 again"])
        self.assertTrue(any("MessageConfirmed" in moment.get("told", "") for moment in moments))
        times = [moment["t"] for moment in moments]
        self.assertEqual(times, sorted(times))
