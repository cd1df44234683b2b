"""The minimum scenarios of the specification, one by one."""

from __future__ import annotations

import itertools

from p2pchat.addresses import Address
from p2pchat.protocol.names import PeerId, ToAll, ToNamespace
from tests.scenarios.stories import Conversation, ScenarioTestCase


class LaterEditionTests(ScenarioTestCase):
    """The three of the specification."""

    def test_direct(self) -> None:
        """Two peers that can dial each other find each other, talk directly, and confirm."""
        alice, bob = self.meet("alice", "bob")
        talks = [self.talk(alice, bob, 5), self.talk(bob, alice, 5)]
        self.settle()
        for talk in talks:
            self.assert_all_confirmed(talk)
            self.assertEqual({delivery.via for delivery in talk.deliveries}, {talk.to})

    def test_moderate_nat(self) -> None:
        """Two peers that nobody can dial talk through a third that both can dial."""
        self.rendezvous()
        for ip in ("10.8.0.1", "10.8.0.2"):
            self.network.hide(ip)
        alice, bob, carol = (
            self.join(name, f"10.8.0.{n}") for n, name in enumerate(("alice", "bob", "carol"), 1)
        )
        self.pass_time(5)
        self.assertEqual((alice.linked, bob.linked), ({"carol"}, {"carol"}))
        talks = [self.talk(alice, bob, 5), self.talk(bob, alice, 5)]
        self.settle()
        for talk in talks:
            self.assert_all_confirmed(talk)
            self.assertEqual({delivery.via for delivery in talk.deliveries}, {carol.own})

    def test_stress(self) -> None:
        """Ten peers all talk to each other at once, a hundred messages each; all are confirmed."""
        villagers = self.meet(*"abcdefghij")
        talks = [Conversation(*pair) for pair in itertools.permutations(villagers, 2)]
        for talk in talks * 11:
            talk.say()
        self.settle()
        for talk in talks:
            self.assert_all_confirmed(talk)


class EarlierEditionTests(ScenarioTestCase):
    """The seven of its earlier edition."""

    def test_direct(self) -> None:
        """Without a rendezvous: an address is enough."""
        alice, bob = self.build("alice-bob")
        talk = self.talk(alice, bob, 3)
        self.settle()
        self.assert_all_confirmed(talk)

    def test_relay(self) -> None:
        """Two peers without a link talk through the relays between them, there and back."""
        alice, r1, r2, bob = self.build("alice-r1-r2-bob")
        talks = [self.talk(alice, bob, 3), self.talk(bob, alice, 3)]
        self.settle()
        for talk in talks:
            self.assert_all_confirmed(talk)
        self.assertEqual([relay.heard for relay in (r1, r2)], [[], []])

    def test_cast_and_broadcast(self) -> None:
        """What is for a namespace is shown there, what is for all everywhere, once each."""
        alice, bob, carol, dave = self.build("alice@UnB-bob@Giga-carol@UnB-dave@Giga-alice@UnB")
        self.successResultOf(alice.node.publish(ToNamespace("UnB"), "UnB!"))
        self.successResultOf(alice.node.publish(ToNamespace("Giga"), "Giga!"))
        self.successResultOf(alice.node.publish(ToAll(), "all!"))
        self.pass_time(1)
        self.assertEqual([villager.heard for villager in (alice, carol)], [[], ["UnB!", "all!"]])
        self.assertEqual([villager.heard for villager in (bob, dave)], [["Giga!", "all!"]] * 2)

    def test_discovery(self) -> None:
        """A peer that nobody told of is found by asking, and the way to it is remembered."""
        alice, r1, _, bob = self.build("alice-r1-r2-bob")
        self.assertEqual(alice.node.router.routes.ways(bob.own, 0.0), [])
        talk = self.talk(alice, bob)
        self.settle()
        self.assert_all_confirmed(talk)
        (way,) = alice.node.router.routes.ways(bob.own, 0.0)
        self.assertEqual((way.hop, way.hops, way.confirmed), (r1.own, 3, 1))
        self.assertLess(talk.deliveries[0].took_s, 0.1)
        asked = alice.node.router.tally.questions_asked
        self.talk(alice, bob, 5)
        self.settle()
        self.assertEqual(alice.node.router.tally.questions_asked, asked)

    def test_errors(self) -> None:
        """Who cannot be reached, and who does not answer, is told by name."""
        alice, relay, bob = self.build("alice-relay-bob")
        self.talk(alice, PeerId("nobody@UnB"))
        self.settle()
        self.swallow(relay)
        self.talk(alice, bob)
        self.settle()
        self.assertEqual([code for _, code in alice.failures], ["no_route", "not confirmed"])

    def test_churn(self) -> None:
        """Relays come and go under a conversation; there always is one, so all is confirmed."""
        alice, bob = self.build("alice-first-bob")[::2]
        talk = Conversation(alice, bob)
        for number in range(10):
            last = self.villagers[-1]
            at = (Address(alice.ip, 7070), Address(bob.ip, 7070))
            self.join(f"relay{number}", f"10.8.1.{number}", rendezvous=None, peers=at)
            self.pass_time(1)
            talk.say()
            if last not in (alice, bob):
                self.random.choice([self.kill, self.crash])(last)
            talk.say()
            self.pass_time(8)
        self.settle()
        self.assert_all_confirmed(talk, most_tries=2)

    def test_stress(self) -> None:
        """A ring of ten, where most have no link: all talk to all at once, through each other."""
        villagers = self.build("a-b-c-d-e-f-g-h-i-j-a")
        talks = [Conversation(*pair) for pair in itertools.permutations(villagers, 2)]
        for talk in talks * 5:
            talk.say()
        self.settle()
        for talk in talks:
            self.assert_all_confirmed(talk, most_tries=2)
        self.assert_nothing_broke()
