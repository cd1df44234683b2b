"""Whether all is well, and if not why and what to do."""

from __future__ import annotations

from p2pchat.console.health import STARTING_S, troubles, verdict
from p2pchat.rendezvous.server import RendezvousServer
from tests.console.users import ConsoleTestCase
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
