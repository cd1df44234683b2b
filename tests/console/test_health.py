"""Whether all is well, and if not why and what to do."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.addresses import Address
from p2pchat.console import health
from p2pchat.console.health import CLOCK_S, STARTING_S, troubles, verdict
from p2pchat.links.keepalive import PING_INTERVAL_S
from p2pchat.links.vitals import time_of
from p2pchat.rendezvous.server import RendezvousServer
from tests.console.users import ConsoleTestCase, User
from tests.village import RENDEZVOUS


class HealthTests(ConsoleTestCase):
    def test_well(self) -> None:
        """Who is linked with all it knows has no trouble; nor has who is alone."""
        alice, _ = self.meet("alice", "bob")
        self.pass_time(STARTING_S)
        self.assertEqual(verdict(alice.node), ["All is well."])
        self.assertEqual(alice.types("/status")[-1], "All is well.")
        alone = self.user("carol")
        self.pass_time(STARTING_S)
        self.assertEqual(verdict(alone.node), ["All is well, but nobody else is known yet."])

    def test_just_started(self) -> None:
        """Before the rendezvous has answered, nobody can say that all is well."""
        alice = self.user("alice", **self.listed_at())
        self.assertEqual(verdict(alice.node), ["Just started: not registered at the rendezvous yet."])

    def test_no_rendezvous(self) -> None:
        """Without its rendezvous it goes on; what that means, and what to do, is told at once."""
        alice = self.user("alice", **self.listed_at())
        self.pass_time(1)
        [told] = verdict(alice.node)
        self.assertIn(f"Trouble: the rendezvous {RENDEZVOUS} does not work: connection refused", told)
        self.assertIn("--peer HOST:PORT", told)

    def lists(self, server: RendezvousServer, *names: str) -> None:
        """Let the rendezvous list peers that cannot be dialled."""
        for number, name in enumerate(names, 1):
            server.factory.registry.register(
                ip=f"10.9.9.{number}", namespace="UnB", name=name, port=7070, ttl_s=7200, observed_port=9
            )

    def test_nobody_linked(self) -> None:
        """Where those who are known cannot be linked, why is told of one; not before there was time to."""
        server = self.rendezvous()
        alice = self.user("alice", **self.listed_at())
        self.lists(server, "bob", "carol")
        self.pass_time(STARTING_S - 1)
        self.assertEqual(troubles(alice.node), [])
        self.pass_time(1)
        [told] = troubles(alice.node)
        self.assertIn("none of 2 known peers is linked", told)
        self.assertIn("bob@UnB: not linked; next try in", told)

    def test_no_relay(self) -> None:
        """Where somebody is not linked and no neighbour relays, who cannot be reached is told."""
        server = self.rendezvous()
        alice = self.user("alice", **self.listed_at())
        self.plain_peer(alice, "dan@UnB")
        self.lists(server, "bob")
        self.pass_time(STARTING_S + 1)
        [told] = troubles(alice.node)
        self.assertIn("bob@UnB cannot be reached: not linked, and no neighbour relays", told)
        self.user("erin", **self.listed_at())
        self.pass_time(STARTING_S)
        self.assertEqual(troubles(alice.node), [])

    def test_left_alone(self) -> None:
        """Whom the user has left alone is no trouble."""
        alice, _ = self.meet("alice", "bob")
        alice.types("/disconnect bob")
        self.pass_time(STARTING_S)
        self.assertEqual(verdict(alice.node), ["All is well."])


class PortTests(ConsoleTestCase):
    """Whether others can dial us."""

    def setUp(self) -> None:
        super().setUp()
        self.is_ours = True
        self.patch(health, "is_of_this_machine", lambda host: self.is_ours)
        self.rendezvous()

    def hidden(self) -> User:
        """Start alice, whom nobody can dial."""
        self.network.hide("10.0.1.1")
        alice = self.user("alice", **self.listed_at())
        self.pass_time(STARTING_S)
        return alice

    def comes(self, name: str) -> None:
        """Somebody else comes, and is seen by all."""
        self.user(name, **self.listed_at())
        self.pass_time(STARTING_S)

    def test_behind_a_router(self) -> None:
        """Where the rendezvous sees another address than ours, one peer that did not reach us is enough."""
        self.is_ours = False
        alice = self.hidden()
        self.assertEqual(troubles(alice.node), [])
        self.comes("bob")
        [told] = troubles(alice.node)
        self.assertIn("port 7070 of this machine seems not to be reached from outside: bob@UnB came", told)
        self.assertIn("your router", told)
        self.assertIn("--advertise-port", told)

    def test_behind_a_firewall(self) -> None:
        """Else it takes two: one may just not have had the time."""
        alice = self.hidden()
        self.comes("bob")
        self.assertEqual(troubles(alice.node), [])
        self.comes("carol")
        [told] = troubles(alice.node)
        self.assertIn("bob@UnB, carol@UnB came after you", told)
        self.assertIn("a firewall", told)

    def test_reached(self) -> None:
        """Who was dialled from another machine once can be; who dialled those that were there before, too."""
        self.is_ours = False
        alice = self.user("alice", **self.listed_at())
        self.pass_time(STARTING_S)
        self.comes("bob")
        self.assertEqual((troubles(alice.node), alice.node.switchboard.visitors), ([], 1))
        self.network.hide("10.0.1.3")
        carol = self.user("carol", **self.listed_at())
        self.pass_time(STARTING_S)
        self.assertEqual((troubles(carol.node), carol.node.switchboard.visitors), ([], 0))

    def test_on_one_machine(self) -> None:
        """What comes from this machine proves nothing, and what is dialled on it neither."""
        alice = self.hidden()
        for address, is_visit in (("127.0.0.1", 0), ("::1", 0), ("10.0.1.9", 1)):
            before = alice.node.switchboard.visitors
            link = alice.node.switchboard._accepted(Address(address, 9))
            assert link is not None
            alice.node.switchboard._links.pop(link)
            self.assertEqual(alice.node.switchboard.visitors - before, is_visit)

    def test_large_roster(self) -> None:
        """Where there are more peers than anybody dials, nobody had to dial us."""
        self.is_ours = False
        alice = self.hidden()
        self.comes("bob")
        alice.node.switchboard.max_dialled = 0
        self.assertEqual(troubles(alice.node), [])

    def test_gone(self) -> None:
        """Who left the rendezvous again is no newcomer any more."""
        self.is_ours = False
        alice = self.hidden()
        self.comes("bob")
        self.assertEqual(alice.node.newcomers, {"bob@UnB"})
        self.leave(self.villagers[1])
        self.pass_time(STARTING_S)
        self.assertEqual((alice.node.newcomers, troubles(alice.node)), (set(), []))


class ClockTests(ConsoleTestCase):
    """Whether our clock is that of the others."""

    def meet_at(self, *seconds: float | None) -> User:
        """Let alice meet peers whose clocks are so far ahead; None: it tells something else."""
        noon = datetime(2026, 1, 2, 12)
        users = self.meet("alice", *(f"peer{number}" for number in range(len(seconds))))
        for user, ahead_s in zip(users, (0.0, *seconds), strict=True):
            text = "noon" if ahead_s is None else f"{noon + timedelta(seconds=ahead_s):%Y-%m-%dT%H:%M:%SZ}"
            user.node.switchboard.around.timestamp = lambda text=text: text  # type: ignore[misc]
        self.pass_time(PING_INTERVAL_S + 1)
        return users[0]

    def test_right(self) -> None:
        """A difference that nobody sees is none; nor is what is no time."""
        for seconds in ((), (CLOCK_S, -CLOCK_S, 1), (None, None, None)):
            self.assertEqual(troubles(self.meet_at(*seconds).node), [])
            self.tearDown()
            self.setUp()

    def test_wrong(self) -> None:
        """Where most others agree, ours is wrong: by how much, and what to do."""
        [told] = troubles(self.meet_at(3600, 3605, 3590, None).node)
        self.assertIn("your clock is 1 h 0 min behind those of most neighbours.", told)
        self.assertIn("timedatectl set-ntp true", told)

    def test_wrong_the_other_way(self) -> None:
        """The same where it is ahead."""
        [told] = troubles(self.meet_at(-125, -130, -135).node)
        self.assertIn("your clock is 2 min 10 s ahead of those of most neighbours.", told)

    def test_liar(self) -> None:
        """Who lies among several changes nothing, nor do half of them."""
        for seconds in ((0, 0, 10**8), (0, 1, 10**6, 10**6), (-(10**6), 0, 10**6)):
            self.assertEqual(troubles(self.meet_at(*seconds).node), [])
            self.tearDown()
            self.setUp()

    def test_who_is_wrong(self) -> None:
        """With one or two others nobody knows who is wrong, so both are named."""
        [told] = troubles(self.meet_at(300).node)
        self.assertIn("the clock of peer0@UnB is 5 min 0 s ahead of yours; one of them is wrong.", told)
        self.tearDown()
        self.setUp()
        [told] = troubles(self.meet_at(-300, -200).node)
        self.assertIn("the clock of peer0@UnB, peer1@UnB is 3 min 20 s behind yours", told)


class TimestampTests(SynchronousTestCase):
    @given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", fullmatch=True))
    def test_anything(self, text: str) -> None:
        """Whatever a peer calls a time, it is one or none."""
        read = time_of(text)
        self.assertTrue(read is None or f"{read:%m-%dT%H:%M:%SZ}" == text[5:])
