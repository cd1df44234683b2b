"""Networks in which a defect was found, each by the seed that showed it. What was mended stays mended."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.simulation.plan import MIXED, Plan
from p2pchat.simulation.report import report_on
from p2pchat.simulation.simulation import Simulation
from tests.simulation.towns import unmeasured


class FoundTests(SynchronousTestCase):
    """Twenty peers with every kind of fault at once."""

    def hold(self, seed: int, minutes: float = 2.5) -> None:
        """Assert that no invariant breaks, and name the command that replays it if one does."""
        # As it was when they were found: without disks, which change when everything happens.
        plan = attrs.evolve(MIXED, peers=20, minutes=minutes, seed=seed, keepers=0.0)
        simulation = Simulation(attrs.evolve(plan, power_cuts=0.0, absences=0.0))
        with unmeasured():
            simulation.run()
        report = report_on(simulation)
        self.assertGreater(report.confirmed, 0, report.command)
        self.assertTrue(report.is_good, "\n".join(report.verdict()))

    def test_registration_lost_before_a_late_answer(self) -> None:
        """A rendezvous that lost us between REGISTER and a late answer to DISCOVER was not told again."""
        self.hold(3117)

    def test_back_off_not_reset(self) -> None:
        """A REGISTER that succeeded did not reset the back-off: the next failure cost a long wait."""
        self.hold(3224)

    def test_looks_out_of_turn(self) -> None:
        """Looks at the rendezvous out of turn starved those in turn."""
        self.hold(2020)

    def test_reset_of_a_server_that_ended(self) -> None:
        """A reset by a rendezvous that ended was taken for a ban, and the peer stayed away from it."""
        self.hold(1046)

    def test_confirmation_of_somebody_else(self) -> None:
        """A relay took an ACK of somebody else for one of the destination: confirmed, not shown."""
        self.hold(6, minutes=4.0)

    def test_confirmation_under_a_msg_id_of_somebody_else(self) -> None:
        """The ACK of a message of our own was passed back to another source of the same msg_id."""
        self.hold(5863, minutes=2.25)

    def keep(self, seed: int) -> None:
        """Assert that with disks, and without liars, no invariant breaks and nothing waits in the end."""
        simulation = Simulation(attrs.evolve(MIXED, peers=20, minutes=2.25, seed=seed, liars=()))
        with unmeasured():
            simulation.run()
        report = report_on(simulation)
        self.assertGreater(report.confirmed, 0, report.command)
        self.assertTrue(report.is_good, "\n".join(report.verdict()))

    def test_card_behind_a_nearer_answer(self) -> None:
        """A card was not passed back where somebody without any had answered before, so nothing was sent."""
        self.keep(1)

    def test_no_proof_asked_for(self) -> None:
        """Who cannot ask for proof got no answer about somebody who gives it, so nothing was sent."""
        self.keep(113)

    def test_swallowed_by_all_that_were_asked(self) -> None:
        """Copies went over five next hops, and each of these passed its one on to somebody who swallows."""
        plan = Plan(peers=40, minutes=3, messages=30, liars=(("black-hole", 0.2),), seed=3)
        simulation = Simulation(plan)
        with unmeasured():
            simulation.run()
        report = report_on(simulation)
        self.assertEqual((report.sent, report.confirmed, report.violations), (53, 53, []))
