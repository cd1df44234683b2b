"""Every failure has a name that the user sees, with the peer, the hop, and what was tried (issue 3, 5)."""

from __future__ import annotations

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.links import outgoing
from p2pchat.protocol.messages import ORIGIN_TTL
from p2pchat.protocol.names import PeerId
from p2pchat.routing.quotas import Limits, Rate
from tests.scenarios.stories import ScenarioTestCase
from tests.village import Villager

NOBODY = PeerId("nobody@UnB")


class FailureTests(ScenarioTestCase):
    def assert_told(self, villager: Villager, code: str, *words: str) -> None:
        """Assert that a user was told of one failure or several of that name, with some words in each."""
        told = villager.told(events.MessageFailed)
        self.assertEqual({event.code for event in told}, {code})
        for event in told:
            for word in words:
                self.assertIn(word, event.why)

    def test_no_route(self) -> None:
        """Nobody knows the peer: who was asked is told, and that its address is not known."""
        alice, *_ = self.build("alice-relay-bob")
        self.talk(alice, NOBODY)
        self.settle()
        self.assert_told(alice, "no_route", "asked relay@UnB", "address is not known")

    def test_no_route_without_anybody(self) -> None:
        """The same where there is nobody to ask."""
        alice = self.join("alice", rendezvous=None)
        self.talk(alice, NOBODY)
        self.settle()
        self.assert_told(alice, "no_route", "no neighbour is linked that could be asked")

    def test_no_route_behind_a_relay(self) -> None:
        """The only way broke somewhere: which relay has no way any more is told."""
        alice, _, _, bob = self.build("alice-r1-r2-bob")
        self.talk(alice, bob, 2, every_s=0.1)
        self.kill(bob)
        self.talk(alice, bob)
        self.settle()
        self.assert_told(alice, "no_route", "r2@UnB knows no way to bob@UnB")

    def test_no_route_listed(self) -> None:
        """Somebody is registered and cannot be reached: how dialling ended is told."""
        self.rendezvous()
        alice = self.join("alice")
        self.network.hide("10.7.0.1")
        bob = self.join("bob", "10.7.0.1")
        self.network.cut(alice.ip, bob.ip)
        self.pass_time(40)
        self.talk(alice, bob)
        self.settle()
        self.assert_told(alice, "no_route", "dialling 10.7.0.1:7070: no answer")
        self.network.heal()

    def test_nine_links(self) -> None:
        """A message has eight forwards, so that it comes over nine links; a confirmation comes back."""
        alice, *_, bob = self.row(ORIGIN_TTL)
        talk = self.talk(alice, bob)
        self.settle()
        self.assert_all_confirmed(talk)

    def row(self, relays: int) -> list[Villager]:
        """Link alice and bob through so many relays in a row."""
        return self.build("-".join(["alice", *(f"r{number}" for number in range(1, relays + 1)), "bob"]))

    def test_ttl_expired(self) -> None:
        """One link more is one too many: the relay where it ended is told, as soon as it is known."""
        alice, *_, bob = self.row(ORIGIN_TTL + 1)
        # Questions do not get as far as messages do with the last link, so bob has to be heard of.
        self.talk(bob, alice)
        self.settle()
        bob.events.clear()
        talk = self.talk(alice, bob)
        self.settle()
        self.assert_told(alice, "ttl_expired", f"r{ORIGIN_TTL + 1}@UnB", "r1@UnB")
        self.assertLess(talk.deliveries[0].deadline_s - talk.deliveries[0].began_at_s, 5.0)

    def test_far_away(self) -> None:
        """Where even questions do not reach the peer, there is no route."""
        alice, *_, bob = self.row(ORIGIN_TTL + 4)
        self.talk(alice, bob)
        self.settle()
        self.assert_told(alice, "no_route", "asked r1@UnB")

    def test_busy(self) -> None:
        """A destination that takes no more: the relay whose queue is full is told, and for whom."""
        alice, relay = self.build("alice-relay")
        peter = self.plain("peter", relay)
        self.patch(outgoing, "SPACED_SOURCE_LINES", 0)
        self.talk(alice, peter.own)
        self.settle()
        self.assert_told(alice, "busy", "3 times", "too much waits at relay@UnB for peter@UnB")

    def test_over_quota(self) -> None:
        """More than a relay passes on for one neighbour: which relay it is is told."""
        relay, bob = self.build("relay-bob")
        relay.node.router.hood.limits = Limits(forwards=Rate(0.05, 3.0))
        alice = self.join("alice", rendezvous=None, peers=(Address(relay.ip, 7070),))
        self.pass_time(1)
        talk = self.talk(alice, bob, 6)
        self.settle()
        self.assertEqual(sorted(bob.heard), sorted(talk.said[:3]))
        self.assert_told(alice, "over_quota", "relay@UnB")

    def test_over_quota_with_another_way(self) -> None:
        """The same where there is another way: nobody need be told."""
        alice, north, bob, _ = self.build("alice-north-bob", "alice-south-bob")
        self.patch(north.node.router.hood.quota(alice.node.neighbours[north.own]), "forwards", None)
        talk = self.talk(alice, bob, 6)
        self.settle()
        self.assert_all_confirmed(talk, most_tries=2)

    def test_not_confirmed(self) -> None:
        """Silence: how often it was tried, through whom, and how far it came is told."""
        alice, relay, bob = self.build("alice-relay-bob")
        self.swallow(relay, lies=True)
        self.talk(alice, bob)
        self.settle()
        self.assert_told(alice, "not confirmed", "3 times", "through relay@UnB", "relay@UnB passed it on")

    def test_not_confirmed_since_the_link_ended(self) -> None:
        """A link that ends under a message: with whom, why, and that nobody else was found is told."""
        alice, relay, bob = self.build("alice-relay-bob")
        self.talk(alice, bob, 1, every_s=1.0)
        talk = self.talk(alice, bob)
        self.kill(relay)
        self.settle()
        self.assert_accounted_for(talk)
        self.assert_told(alice, "not confirmed", "the link with relay@UnB ended", "no other way was found")
