"""Disks of simulated machines, and what becomes of what was being written when the power fails."""

from __future__ import annotations

from p2pchat import events
from p2pchat.simulation.disk import Disk
from p2pchat.simulation.faults import AWAY_S, LONG_AWAY_S, STATEMENTS
from p2pchat.simulation.residents import Resident
from tests.simulation.test_faults import FaultsTestCase


class DiskTestCase(FaultsTestCase):
    """Three residents, the first two of whom keep their messages from their next run on."""

    def setUp(self) -> None:
        super().setUp()
        for resident in (self.one, self.other):
            resident.disk = Disk()
            self.again(resident)

    def again(self, resident: Resident) -> None:
        """Let somebody's program run anew, and find the others."""
        if resident.is_up:
            resident.leave()
            self.clock.advance(3.0)
        resident.start()
        self.clock.advance(40.0)

    def heard(self, resident: Resident) -> list[str]:
        """What somebody was shown, through all runs."""
        return [event.payload for event in self.events_of(resident, events.MessageArrived)]

    def disk(self, resident: Resident) -> Disk:
        """The disk of somebody."""
        assert resident.disk is not None
        return resident.disk


class DiskTests(DiskTestCase):
    def test_kept(self) -> None:
        """What was said and shown is on the disks of both, and what waits is until it does no more."""
        delivery = self.node(self.one).send(self.other.own, "m1 hi")
        self.clock.advance(0.01)
        self.clock.advance(1.0)
        self.assertTrue(self.disk(self.other).has_message(self.one.own, "m1 hi"))
        self.assertFalse(self.disk(self.other).has_message(self.third.own, "m1 hi"))
        self.assertFalse(self.disk(self.one).waits(delivery.msg_id))
        self.other.leave()
        self.clock.advance(3.0)
        delivery = self.node(self.one).send(self.other.own, "m2 hi")
        self.clock.advance(1.0)
        self.assertTrue(self.disk(self.one).waits(delivery.msg_id))

    def test_power_fails_at_every_statement(self) -> None:
        """Whenever the power fails at either end, a message is shown once and confirmed in the end."""
        number = 0
        for statements in range(1, 9):
            for who in (self.one, self.other):
                number += 1
                self.disk(who).cut_after(statements)
                self.node(self.one).send(self.other.own, f"m{number} hi")
                self.clock.advance(2.0)
                self.disk(who).cut_after(0)
                if not who.is_up:
                    self.again(who)
                    is_lost = who is self.one and not self.disk(who).has_message(
                        self.one.own, f"m{number} hi"
                    )
                    if is_lost:
                        continue  # it was never shown as sent
                self.clock.advance(60.0)
                self.assertEqual(self.heard(self.other).count(f"m{number} hi"), 1, (statements, who.own))
        self.assertEqual(self.outcomes(self.one).count("confirmed"), len(self.outcomes(self.one)))

    def test_never_before_it_is_written(self) -> None:
        """Nothing is told as sent, and nothing shown, before it is on the disk."""
        self.node(self.one).send(self.other.own, "m1 hi")
        self.assertEqual(self.events_of(self.one, events.MessageSent), [])
        self.clock.advance(0.0004)
        self.assertEqual(self.events_of(self.one, events.MessageSent), [])
        self.clock.advance(1.0)
        self.assertEqual(len(self.events_of(self.one, events.MessageSent)), 1)


class FaultTests(DiskTestCase):
    def test_power_cut(self) -> None:
        """A machine loses power when it next writes, and is back after a while; both are told."""
        self.faults(self.one)._cut_power()
        self.assertEqual((self.happened, len(self.up)), ([], 3))
        for number in range(STATEMENTS[1]):
            if self.one.is_up:
                self.node(self.one).send(self.other.own, f"m{number} hi")
                self.clock.advance(1.0)
        self.assertEqual(self.happened, [f"{self.one.own} loses power while it writes"])
        self.clock.advance(AWAY_S[1])
        self.assertEqual((self.happened[1:], len(self.up)), ([f"{self.one.own} is back"], 3))

    def test_power_cut_while_leaving(self) -> None:
        """A machine may lose power while its peer leaves in good order, too; nothing of it goes on."""
        self.disk(self.one).cut_after(1)
        self.node(self.one).send(self.other.own, "m1 hi")
        self.one.leave()
        self.clock.advance(5.0)
        self.assertEqual(self.gone.count(self.one.own), 2)  # this run, and the one before it had a disk
        ends = [end for end in self.internet.transports if self.one.ip in (end.host.host, end.peer.host)]
        self.assertEqual(ends, [])

    def test_nobody_writes(self) -> None:
        """Where nobody keeps anything, there is nothing to be cut."""
        for resident in (self.one, self.other):
            resident.disk = None
        self.faults()._cut_power()
        self.assertEqual(self.happened, [])

    def test_away_for_long(self) -> None:
        """A peer goes away, in good order, and comes back after hours at most."""
        self.faults(self.other)._send_somebody_away()
        self.assertEqual(self.happened, [f"{self.other.own} goes away for long"])
        self.assertFalse(self.other.is_up)
        self.clock.advance(LONG_AWAY_S[0] - 1.0)
        self.assertFalse(self.other.is_up)
        self.clock.advance(LONG_AWAY_S[1])
        self.assertEqual((self.happened[1:], self.ended), ([f"{self.other.own} is back"], ["peer away"]))

    def test_over(self) -> None:
        """When the faults are over, no power fails any more."""
        faults = self.faults(self.one)
        faults._cut_power()
        faults.end()
        for number in range(STATEMENTS[1]):
            self.node(self.one).send(self.other.own, f"m{number} hi")
            self.clock.advance(1.0)
        self.assertEqual(len(self.up), 3)
