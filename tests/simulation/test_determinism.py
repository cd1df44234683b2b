"""The same options and seed do the same, byte for byte, in every process."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.simulation.liars import LIARS
from p2pchat.simulation.plan import MIXED, Plan
from p2pchat.simulation.report import report_on
from p2pchat.simulation.simulation import Simulation
from p2pchat.simulation.topology import Topology
from tests.simulation.towns import unmeasured

#: Where the package stands that is tested.
HERE = Path(__file__).parents[2]

#: Everything that can go wrong, with a liar of each kind.
EVERYTHING = attrs.evolve(
    MIXED, peers=14, minutes=2.5, churn=10.0, liars=tuple((kind, 0.07) for kind in LIARS), casts=20.0
)


def traced(plan: Plan) -> tuple[str, bytes]:
    """Let something happen; return what is told of it, and the trace."""
    file = io.BytesIO()
    simulation = Simulation(plan, file)
    with unmeasured():
        simulation.run()
    return report_on(simulation).as_json(), file.getvalue()


class DeterminismTests(SynchronousTestCase):
    def test_same(self) -> None:
        """In one process the same is told and traced again, whatever ran before; with another seed, not."""
        first = traced(EVERYTHING)
        other = traced(attrs.evolve(EVERYTHING, seed=2))
        self.assertTrue(first == traced(EVERYTHING), "the second run differs from the first")
        self.assertNotEqual(first[0].replace("--seed 1 ", ""), other[0].replace("--seed 2 ", ""))
        self.assertNotEqual(first[1].splitlines()[1:], other[1].splitlines()[1:])

    def test_traced_or_not(self) -> None:
        """Whether it is traced changes nothing of what happens."""
        plan = attrs.evolve(EVERYTHING, minutes=2.0, peers=8)
        simulation = Simulation(plan)
        with unmeasured():
            simulation.run()
        self.assertEqual(report_on(simulation).as_json(), traced(plan)[0])

    def test_in_another_process(self) -> None:
        """Processes that order their sets and names in other ways print and trace the same, byte for byte."""
        found = [self.in_process(hash_seed) for hash_seed in ("1", "77")]
        self.assertTrue(found[0] == found[1], "two processes differ")
        text, trace = found[0]
        self.assertTrue(text.startswith(b"p2pchat simulate --peers 12 --seed 1 "), text)
        here = attrs.evolve(MIXED, peers=12, minutes=2.5, topology=Topology("nat", 0.3))
        self.assertTrue(trace == traced(here)[1], "this process differs")

    def in_process(self, hash_seed: str) -> tuple[bytes, bytes]:
        """Simulate in a fresh interpreter; return what it prints, and the trace."""
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        file = Path(folder.name) / "trace"
        options = ["--mixed", "--peers", "12", "--minutes", "2.5", "--topology", "nat:0.3"]
        words = [sys.executable, "-m", "p2pchat", "simulate", *options, "--trace", str(file)]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(words, cwd=HERE, env=environment, capture_output=True, timeout=120, check=True)
        self.assertEqual(done.stderr, b"")
        return done.stdout, file.read_bytes()
