"""What goes wrong, and when it is over."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.simulation.faults import AWAY_S, FIRST_AT_S, JUMP_S, OUTAGE_S, PARTED_S, Faults, poisson
from p2pchat.simulation.plan import Plan
from p2pchat.simulation.residents import Resident
from tests.simulation.towns import Chance, TownTestCase


class PoissonTests(SynchronousTestCase):
    def test_rate(self) -> None:
        """As many moments come a minute as were asked for, by and large, in order, between begin and end."""
        moments = poisson(6.0, 20.0, 6020.0, Random(1))
        self.assertTrue(500 < len(moments) < 700, len(moments))
        self.assertEqual(moments, sorted(moments))
        self.assertTrue(moments[0] > 20.0 and moments[-1] < 6020.0)

    def test_none(self) -> None:
        """Nothing comes at a rate of nothing, or where there is no time for it."""
        self.assertEqual(poisson(0.0, 0.0, 1e9, Random(1)), [])
        self.assertEqual(poisson(6.0, 20.0, 20.0, Random(1)), [])


class FaultsTestCase(TownTestCase):
    """Three residents to whom things happen."""

    def setUp(self) -> None:
        super().setUp()
        self.happened: list[str] = []
        self.ended: list[str] = []
        self.one, self.other, self.third = self.inhabit(3)

    def faults(self, *wanted: object, **rates: Any) -> Faults:
        """Make faults of some plan, which choose what is wanted."""
        return Faults(
            Plan(minutes=10.0, **rates),
            self.internet,
            self.rendezvous,
            self.residents,
            Chance(*wanted),
            self.happened.append,
            self.ended.append,
        )

    @property
    def up(self) -> list[Resident]:
        """Those who are up."""
        return [resident for resident in self.residents if resident.is_up]

    def wire(self) -> Any:
        """Return an end of a connection of the first resident with another one."""
        others = (self.other.ip, self.third.ip)
        return next(
            wire
            for wire in self.internet.transports
            if wire.host.host == self.one.ip and wire.peer.host in others
        )


class PeerFaultTests(FaultsTestCase):
    def test_somebody_ends(self) -> None:
        """A peer leaves, is killed or loses power, and is back after a while; both are told."""
        for how in ("leaves", "is killed", "loses power"):
            self.happened.clear()
            self.ended.clear()
            self.faults(self.other, how)._end_somebody()
            self.assertEqual(self.happened, [f"{self.other.own} {how}"])
            self.assertEqual((self.up, self.ended), ([self.one, self.third], []))
            self.clock.advance(AWAY_S[1])
            self.assertEqual(self.happened[1:], [f"{self.other.own} is back"])
            self.assertEqual((len(self.up), self.ended), (3, ["peer away"]))
            self.clock.advance(60.0)

    def test_leaves_for_good(self) -> None:
        """Some leave and do not come back, not even where they were away already."""
        faults = self.faults(self.other, "is killed")
        faults._end_somebody()
        for resident in (self.other, self.third):
            faults._leave_for_good(resident)
        self.assertEqual(self.happened, [f"{self.other.own} is killed", f"{self.third.own} leaves for good"])
        self.clock.advance(AWAY_S[1])
        faults.end()
        self.assertEqual(self.up, [self.one])

    def test_leaves_in_good_order(self) -> None:
        """Who leaves has told the rendezvous; who is killed or loses power has not."""
        server = self.rendezvous.server
        assert server is not None
        for how, records in (("leaves", 2), ("is killed", 3), ("loses power", 3)):
            self.faults(self.other, how)._end_somebody()
            self.clock.advance(0.9)
            self.assertEqual(len(server.factory.registry), records, how)
            self.clock.advance(90.0)

    def test_nobody_is_up(self) -> None:
        """Where nobody is up, nobody ends and no clock is put."""
        for resident in self.residents:
            resident.kill()
        faults = self.faults()
        faults._end_somebody()
        faults._put_a_clock()
        self.assertEqual((self.happened, self.ended), ([], []))

    def test_back_already(self) -> None:
        """Who is back before its time is not started again."""
        self.faults(self.other, "is killed")._end_somebody()
        self.other.start()
        node = self.other.node
        self.clock.advance(AWAY_S[1])
        self.assertIs(self.other.node, node)
        self.assertEqual(self.ended, [])

    def test_back_too_early(self) -> None:
        """Who is to be back while it is leaving comes once it has left: else it would unregister itself."""
        server = self.rendezvous.server
        assert server is not None
        faults = self.faults(self.other, "leaves")
        faults._end_somebody()
        faults.end()
        self.assertEqual((self.up, self.other.is_leaving), ([self.one, self.third], True))
        self.clock.advance(1.0)
        self.assertEqual((len(self.up), self.other.is_leaving), (3, False))
        self.assertEqual(self.happened[-1], f"{self.other.own} is back")
        self.clock.advance(5.0)
        self.assertEqual(len(server.factory.registry), 3)

    def test_leaves_and_loses_power(self) -> None:
        """Who loses power while it is leaving has left."""
        host, person = self.other.host, self.other.person
        assert host is not None
        assert person is not None
        self.other.leave()
        self.other._lose_power(host, person)
        self.assertFalse(self.other.is_leaving)
        self.clock.advance(5.0)
        self.assertEqual(self.gone, [self.other.own])

    def test_clock(self) -> None:
        """A clock is put forward or back, that of one peer only."""
        faults = self.faults(self.other)
        by_s = []
        for _ in range(40):
            assert self.other.host is not None
            before_s = self.other.host.seconds()
            faults._put_a_clock()
            by_s.append(self.other.host.seconds() - before_s)
        self.assertTrue(JUMP_S[0] <= min(by_s) < 0.0 < max(by_s) <= JUMP_S[1], by_s)
        assert self.one.host is not None
        self.assertEqual(self.one.host.seconds(), self.clock.now_s)
        self.assertEqual(self.happened[0], f"the clock of {self.other.own} is put by {by_s[0]:+.1f} s")
        self.assertEqual(self.ended, ["clock put"] * 40)


class NetworkFaultTests(FaultsTestCase):
    def lose(self, how: str) -> Any:
        """Lose a link in some way."""
        wire = self.wire()
        self.faults(wire, how)._lose_a_link()
        self.assertEqual(self.ended, [f"link {how}"])
        self.assertEqual(len(self.happened), 1)
        self.assertIn(f"{wire.peer.host}:{wire.peer.port} is {how}", self.happened[0])
        return wire

    def test_reset(self) -> None:
        """A connection that is reset is gone at both ends, at once."""
        wire = self.wire()
        ends = [wire, wire.other]
        self.lose("reset")
        self.assertFalse(any(end in self.internet.transports for end in ends))

    def test_cut_in_the_middle(self) -> None:
        """A connection that is cut in the middle of a line ends with the next thing that is sent on it."""
        wire = self.wire()
        ends = [wire, wire.other]
        self.lose("cut in the middle of a line")
        self.assertTrue(all(end in self.internet.transports for end in ends))
        wire.write(b"half a line\n")
        self.clock.advance(1.0)
        self.assertFalse(any(end in self.internet.transports for end in ends))

    def test_silent(self) -> None:
        """Through a silent connection nothing comes, either way, until the end, when it is reset."""
        faults = self.faults(self.wire(), "silent")
        wire = self.wire()
        faults._lose_a_link()
        self.assertTrue(wire.stalled and wire.other.stalled)
        faults.end()
        self.assertNotIn(wire, self.internet.transports)

    def test_silent_orphan(self) -> None:
        """A connection whose other end is gone may go silent, too."""
        wire = self.wire()
        wire.other.vanish()
        self.faults(wire, "silent")._lose_a_link()
        self.assertTrue(wire.stalled)

    def test_no_link(self) -> None:
        """Where there is no connection, none is lost."""
        for resident in self.residents:
            resident.crash()
        self.clock.advance(60.0)
        self.faults()._lose_a_link()
        self.assertEqual((self.happened, self.ended), ([], []))

    def test_parted(self) -> None:
        """The network falls into two parts, not again while it is, and is joined after a while."""
        faults = self.faults()
        faults._part()
        far = self.internet.far_side
        self.assertEqual(len(far), 1)
        self.assertEqual(self.happened, ["the network falls apart: 1 peers on one side, 2 on the other"])
        faults._part()
        self.assertEqual((self.internet.far_side, len(self.happened)), (far, 1))
        self.clock.advance(PARTED_S[1])
        self.assertEqual(self.internet.far_side, frozenset())
        self.assertEqual(
            (self.happened[1:], self.ended), (["the parts of the network are joined"], ["partition"])
        )

    def test_rendezvous(self) -> None:
        """The rendezvous is gone, now and then with all that it knew, and is back after a while."""
        forgot = set()
        for _ in range(10):
            server = self.rendezvous.server
            faults = self.faults()
            faults._random.seed(self.clock.now_s)
            faults._end_rendezvous()
            self.assertFalse(self.rendezvous.is_up)
            faults._end_rendezvous()
            self.clock.advance(OUTAGE_S[1])
            self.assertTrue(self.rendezvous.is_up)
            forgot.add(self.rendezvous.server is not server)
        self.assertEqual(forgot, {True, False})
        self.assertEqual(self.happened.count("the rendezvous is back"), 10)
        self.assertEqual((len(self.happened), self.ended), (20, ["rendezvous away"] * 10))


class PlannedFaultTests(FaultsTestCase):
    def test_start(self) -> None:
        """Each kind of fault comes as often as was asked for, after the beginning and before the calm."""
        counted = {
            "churn": "_end_somebody",
            "loss_of_links": "_lose_a_link",
            "partition": "_part",
            "outage": "_end_rendezvous",
            "clock_jumps": "_put_a_clock",
        }
        for rate, method in counted.items():
            self.settle(self.internet._reach)
            at_s: list[float] = []
            self.patch(Faults, method, lambda _self, at_s=at_s: at_s.append(self.clock.now_s))
            self.faults(**{rate: 10.0}).start()
            self.clock.advance(600.0)
            self.assertTrue(60 < len(at_s) < 120, (rate, len(at_s)))
            self.assertTrue(at_s[0] > FIRST_AT_S and at_s[-1] < 540.0)

    def test_bad_connects(self) -> None:
        """From the start connects fail, as many as were asked for; at the end none does."""
        faults = self.faults(bad_connects=0.25)
        faults.start()
        self.assertEqual(self.internet.bad_connects, 0.25)
        faults.end()
        self.assertEqual(self.internet.bad_connects, 0.0)

    def test_nothing(self) -> None:
        """Where nothing was asked for, nothing goes wrong."""
        self.faults().start()
        self.clock.advance(600.0)
        self.assertEqual((self.happened, self.ended), ([], []))

    def test_end(self) -> None:
        """At the end everything is mended at once, and nothing is mended again later."""
        faults = self.faults(self.other, "is killed")
        faults._end_somebody()
        faults._part()
        faults._end_rendezvous()
        faults.end()
        self.assertEqual(
            (len(self.up), self.internet.far_side, self.rendezvous.is_up), (3, frozenset(), True)
        )
        self.assertEqual(self.ended, ["partition", "rendezvous away", "peer away", "all faults"])
        self.happened.clear()
        self.other.kill()
        self.clock.advance(100.0)
        self.assertEqual((self.happened, len(self.up)), ([], 2))
