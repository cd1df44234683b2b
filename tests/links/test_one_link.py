"""One link per pair of our own kind, and no message lost by that (docs/protocol.md, section 3)."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.links.link import Link
from p2pchat.testing import MemoryNetwork
from tests.links.peers import ALICE, ALICE_IP, BOB, BOB_IP
from tests.stations import Station


class PairTestCase(SynchronousTestCase):
    """Alice and bob, both of our own kind."""

    def setUp(self) -> None:
        self.began: list[Station] = []
        self.begin()
        self.addCleanup(self.end)

    def begin(self, latency_s: float = 0.001) -> None:
        """Begin with a new network."""
        self.network = MemoryNetwork(latency_s)
        self.clock = self.network.clock
        self.alice = Station(self.network.host(ALICE_IP), ALICE)
        self.bob = Station(self.network.host(BOB_IP), BOB)
        self.began = [self.alice, self.bob]
        for station in self.began:
            station.switchboard.startService()

    def end(self) -> None:
        """Stop both; nothing is left on the clock."""
        stopped = [station.switchboard.stopService() for station in self.began]
        self.clock.advance(2.0)
        for each in stopped:
            self.successResultOf(each)
        self.clock.advance(3 * self.network.latency_s)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def dial(self, station: Station) -> None:
        """Let *station* dial the other one, as its roster says."""
        other = self.bob if station is self.alice else self.alice
        station.switchboard.set_roster({other.own: other.address})

    def links(self, station: Station) -> list[Link]:
        """All links of *station* with the other one."""
        return [link for near in station.switchboard.neighbours.values() for link in near.links]

    def pass_time(self, seconds: float, step_s: float = 0.1) -> None:
        """Let time pass, and both routers look at it."""
        for _ in range(round(seconds / step_s)):
            self.clock.advance(step_s)
            for station in self.began:
                station.router.tick()

    def assert_one_link(self, dialled_by: Station | None = None) -> None:
        """Assert that both ends have one link, and the same."""
        (here,), (there,) = self.links(self.alice), self.links(self.bob)
        self.assertEqual(self.alice.switchboard.link_count, 1)
        self.assertEqual(self.bob.switchboard.link_count, 1)
        self.assertNotEqual(here.dialled, there.dialled)
        if dialled_by is not None:
            self.assertEqual(here.dialled, dialled_by is self.alice)


class BothDialTests(PairTestCase):
    def test_smaller_name_wins(self) -> None:
        """Section 3: both dialled at once; the link dialled by the smaller peer_id stays, for good."""
        self.dial(self.bob)
        self.dial(self.alice)
        self.pass_time(120.0)
        self.assert_one_link(dialled_by=self.alice)
        self.assertEqual((self.alice.events, self.bob.events), (["+bob@UnB"], ["+alice@UnB"]))

    def test_one_after_the_other(self) -> None:
        """However the dials interleave, both ends end with the same link, and never without one."""
        latency_s = 0.010
        for first_is_alice, gap in itertools.product((True, False), range(30)):
            self.end()
            self.begin(latency_s)
            order = (self.alice, self.bob) if first_is_alice else (self.bob, self.alice)
            self.dial(order[0])
            self.clock.advance(gap * latency_s / 5)
            self.dial(order[1])
            self.pass_time(10.0)
            self.assert_one_link()
            self.assertEqual((self.alice.events, self.bob.events), (["+bob@UnB"], ["+alice@UnB"]))

    @settings(max_examples=150)
    @given(
        st.booleans(),
        st.integers(0, 40),
        st.sampled_from([0.001, 0.01, 0.2]),
        st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=25),
    )
    def test_no_message_is_lost(
        self, alice_first: bool, gap: int, latency_s: float, talk: list[tuple[bool, int]]
    ) -> None:
        """Section 3: what is sent, by either side at any moment of it, arrives once, at the first try."""
        self.end()
        self.begin(latency_s)
        order = (self.alice, self.bob) if alice_first else (self.bob, self.alice)
        self.dial(order[0])
        self.clock.advance(gap * latency_s / 5)
        self.dial(order[1])
        said: dict[Station, list[str]] = {self.alice: [], self.bob: []}
        for number, (by_alice, wait) in enumerate(talk):
            speaker = self.alice if by_alice else self.bob
            speaker.router.send((self.bob if by_alice else self.alice).own, str(number))
            said[speaker].append(str(number))
            self.clock.advance(wait * latency_s / 4)
        self.pass_time(10.0)
        self.assert_one_link()
        for speaker, hearer in (order, order[::-1]):
            self.assertEqual(sorted(hearer.shown), sorted(said[speaker]))
            self.assertEqual(sorted(speaker.confirmed), sorted(said[speaker]))
            self.assertEqual((speaker.failed, speaker.router.tally.resent), ([], 0))


class SameDirectionTests(PairTestCase):
    def test_two_addresses_of_one_peer(self) -> None:
        """A peer that is dialled at two addresses at once keeps one link, and both ends the same."""
        latency_s = 0.010
        for gap in range(20):
            self.end()
            self.begin(latency_s)
            self.alice.switchboard.add_fixed(self.bob.address)
            self.clock.advance(gap * latency_s / 5)
            self.dial(self.alice)
            self.pass_time(10.0)
            self.assert_one_link(dialled_by=self.alice)
            self.assertEqual((self.alice.events, self.bob.events), (["+bob@UnB"], ["+alice@UnB"]))

    def test_up_in_another_order(self) -> None:
        """Where the two come up in another order over there, still one of them stays."""
        self.alice.switchboard.add_fixed(self.bob.address)
        self.dial(self.alice)
        self.clock.advance(0.0025)  # both HELLOs are under way
        older, _ = (near for near in self.network.transports if near.host.host == BOB_IP)
        older.stalled = True  # its HELLO_OK comes late
        self.clock.advance(0.002)
        older.stalled = False
        older.flush_soon()
        self.clock.advance(0.0011)
        self.assertEqual(len(self.links(self.alice)), 2)
        self.pass_time(10.0)
        self.assert_one_link(dialled_by=self.alice)
        self.assertEqual((self.alice.events, self.bob.events), (["+bob@UnB"], ["+alice@UnB"]))


class DeadLinkTests(PairTestCase):
    """The older link is dead, but nobody knows: the new one wins."""

    def restart(self, station: Station) -> None:
        """Crash *station* without a word, and start it again."""
        ip = station.address.host
        self.network.crash(ip)
        fresh = Station(self.network.host(ip), station.own)
        self.began = [fresh if each is station else each for each in self.began]
        self.alice, self.bob = self.began
        fresh.switchboard.startService()

    def test_restarted_and_dials(self) -> None:
        """A peer that crashed, restarted and dials us is a neighbour at once; the dead link goes."""
        for dialler, crashes in itertools.product(range(2), range(2)):
            self.end()
            self.begin()
            self.dial(self.began[dialler])
            self.pass_time(1.0)
            self.restart(self.began[crashes])
            back, other = self.began[crashes], self.began[1 - crashes]
            self.dial(back)
            self.pass_time(0.1, 0.01)
            back.router.send(other.own, "I am back")
            other.router.send(back.own, "welcome")
            self.pass_time(1.0)
            self.assertEqual((other.shown, back.shown), (["I am back"], ["welcome"]))
            self.pass_time(10.0)
            self.assert_one_link()
            self.assertEqual(other.failed, [])

    def test_cut_in_between(self) -> None:
        """Two links of which the older one stalls: the newer one stays at both ends."""
        self.dial(self.alice)
        self.pass_time(1.0)
        for transport in self.network.transports:
            transport.stalled = True
        self.dial(self.bob)
        self.bob.switchboard.add_fixed(self.alice.address)
        self.pass_time(20.0)
        self.assert_one_link(dialled_by=self.bob)

    def test_dead_without_a_new_one(self) -> None:
        """A peer that crashed is noticed by the keep-alive, and dialled until it is back."""
        self.dial(self.alice)
        self.pass_time(1.0)
        self.network.crash(BOB_IP)
        self.began = [self.alice]
        self.pass_time(130.0, 1.0)
        self.assertEqual(self.alice.events, ["+bob@UnB", "-bob@UnB"])
        self.bob = Station(self.network.host(BOB_IP), BOB)
        self.began.append(self.bob)
        self.bob.switchboard.startService()
        self.pass_time(30.0, 1.0)
        self.assertEqual(self.alice.events, ["+bob@UnB", "-bob@UnB", "+bob@UnB"])
