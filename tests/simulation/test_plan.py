"""What is to be simulated, and the command that simulates it again."""

from __future__ import annotations

import shlex

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.simulate_command import SimulateOptions
from p2pchat.simulation.liars import LIARS
from p2pchat.simulation.plan import CALM_S, MIXED, SILENT_S, Plan
from p2pchat.simulation.topology import Topology

_shares = st.floats(0, 1)
_rates = st.floats(0, 10_000)

#: Everything that can be asked for.
plans = st.builds(
    Plan,
    peers=st.integers(1, 5000),
    seed=st.integers(0, 999_999_999),
    minutes=st.floats(2, 100_000),
    topology=st.one_of(
        st.sampled_from(["random", "line", "ring", "star", "full"]).map(Topology),
        _shares.map(lambda share: Topology("nat", share)),
    ),
    messages=_rates,
    casts=_rates,
    churn=_rates,
    loss_of_links=_rates,
    partition=_rates,
    outage=_rates,
    clock_jumps=_rates,
    bad_connects=_shares,
    slow=_shares,
    keyless=_shares,
    liars=st.lists(st.tuples(st.sampled_from([*LIARS, "any"]), st.floats(0, 0.2)), max_size=4).map(tuple),
)


def read(command: str) -> Plan:
    """Return what a command line simulates."""
    program, name, *words = shlex.split(command)
    assert (program, name) == ("p2pchat", "simulate")
    options = SimulateOptions()
    options.parseOptions(words)
    return options.plan


class PlanTests(SynchronousTestCase):
    def test_times(self) -> None:
        """The faults end a minute before the end; nobody talks when no outcome could come any more."""
        plan = Plan(minutes=3.0)
        self.assertEqual(plan.seconds, 180.0)
        self.assertEqual((plan.calm_at_s, plan.silent_at_s), (180.0 - CALM_S, 180.0 - SILENT_S))

    def test_command(self) -> None:
        """The command has the size and what differs from the defaults, and nothing else."""
        self.assertEqual(Plan().command, "p2pchat simulate --peers 20 --seed 1 --minutes 10")
        plan = Plan(
            peers=5,
            seed=7,
            minutes=2.5,
            topology=Topology("nat", 0.5),
            casts=0.0,
            clock_jumps=1.5,
            liars=(("flooder", 0.1), ("any", 0.25)),
        )
        self.assertEqual(
            plan.command,
            "p2pchat simulate --peers 5 --seed 7 --minutes 2.5 --topology nat:0.5 --casts 0"
            " --clock-jumps 1.5 --liars flooder:0.1,any:0.25",
        )

    def test_faults(self) -> None:
        """What makes a network differ from one without faults does not name its size."""
        self.assertEqual(Plan(peers=5, seed=3, minutes=4).faults, "")
        self.assertEqual(Plan(peers=5, churn=2.0).faults, "--churn 2")

    def test_mixed(self) -> None:
        """With every kind of fault at once there is some of each; size and shape stay as they are."""
        ordinary, talk = {"peers", "seed", "minutes", "topology"}, {"messages", "casts"}
        for field in attrs.fields(Plan):
            if field.name not in talk:
                is_default = getattr(MIXED, field.name) == field.default
                self.assertEqual(is_default, field.name in ordinary, field.name)

    def test_read_again(self) -> None:
        """The command of a plan means that plan."""
        for plan in (Plan(), MIXED, Plan(topology=Topology("nat", 0.3)), Plan(liars=(("flooder", 0.5),))):
            self.assertEqual(read(plan.command), plan)

    @given(plans)
    def test_every_plan_read_again(self, plan: Plan) -> None:
        """The command of any plan at all means exactly that plan, however odd its numbers are."""
        self.assertEqual(read(plan.command), plan)
