"""Relays that accept messages and never deliver them (issue 3, "Choosing" and "It is done when")."""

from __future__ import annotations

from tests.scenarios.stories import Conversation, ScenarioTestCase
from tests.village import Villager


class SwallowingTests(ScenarioTestCase):
    def tell(self, *chains: str, swallows: str, lies: bool, times: int = 10) -> Conversation:
        """Let alice talk to bob while one relay swallows everything."""
        peers = {villager.own.name: villager for villager in self.build(*chains)}
        self.swallow(peers[swallows], lies=lies)
        talk = self.talk(peers["alice"], peers["bob"], times, every_s=1.0)
        self.settle()
        return talk

    def assert_avoided(self, talk: Conversation) -> None:
        """Assert that all was confirmed, and what was said behind the first resend with the first try."""
        self.assert_all_confirmed(talk, most_tries=2)
        self.assertEqual([delivery.tries for delivery in talk.deliveries[6:]], [1] * 4)

    def test_one_of_two_parallel_relays(self) -> None:
        """Whichever of two relays swallows, and whether it lies about it, all is confirmed."""
        for swallows in ("north", "south"):
            for lies in (False, True):
                self.assert_avoided(
                    self.tell("alice-north-bob", "alice-south-bob", swallows=swallows, lies=lies)
                )
                self.end_story()

    def test_one_of_two_parallel_rows(self) -> None:
        """The same where it is one of several relays on one of two ways."""
        for swallows in ("n1", "n2", "n3", "s1", "s2", "s3"):
            for lies in (False, True):
                talk = self.tell("alice-n1-n2-n3-bob", "alice-s1-s2-s3-bob", swallows=swallows, lies=lies)
                self.assert_avoided(talk)
                self.end_story()

    def test_behind_the_only_relay(self) -> None:
        """The same where alice has one next hop only, and the choice is the relay's."""
        for swallows in ("north", "south"):
            talk = self.tell("alice-relay-north-bob", "relay-south-bob", swallows=swallows, lies=True)
            self.assert_avoided(talk)
            self.end_story()

    def test_both(self) -> None:
        """Where all ways swallow, each message is named as not confirmed, with what was tried."""
        alice, north, bob, south = self.build("alice-north-bob", "alice-south-bob")
        self.swallow(north)
        self.swallow(south, lies=True)
        talk = self.talk(alice, bob, 10, every_s=1.0)
        self.settle()
        self.assert_accounted_for(talk)
        self.assertEqual({delivery.code for delivery in talk.deliveries}, {"not confirmed"})
        for delivery in talk.deliveries:
            self.assertIn("3 times", delivery.why)
            self.assertIn("north@UnB", delivery.why)
            self.assertIn("south@UnB", delivery.why)

    def test_begins_in_mid_conversation(self) -> None:
        """A relay that was good for months and begins to swallow is left, for all that it was used for."""
        alice, north, bob, south, carol = self.build("alice-north-bob-south-alice", "north-carol-south")
        talks = [Conversation(alice, bob), Conversation(alice, carol)]
        for moment in range(30):
            if moment == 10:
                self.swallow(north)
            for talk in talks:
                talk.say()
            self.pass_time(0.5)
        self.settle()
        for talk in talks:
            self.assert_all_confirmed(talk, most_tries=2)
            self.assertEqual([delivery.via for delivery in talk.deliveries[-5:]], [south.own] * 5)

    def test_confirmations(self) -> None:
        """A relay that swallows confirmations only is avoided too; nothing is shown twice by that."""
        alice, north, bob, _ = self.build("alice-north-bob", "alice-south-bob")
        self.patch(north.node.router.returns, "on_ack", lambda *_: None)
        talk = self.talk(alice, bob, 10, every_s=1.0)
        self.settle()
        self.assert_avoided(talk)
        self.assertGreater(bob.node.router.tally.duplicates, 0)

    def talk_late(self, alice: Villager, bob: Villager, wait_s: float) -> Conversation:
        """Let both be silent for a while, and talk again."""
        self.pass_time(wait_s)
        talk = self.talk(alice, bob, 3, every_s=1.0)
        self.settle()
        return talk

    def test_remembered(self) -> None:
        """Who swallowed is not tried first again later, not even where its route was forgotten."""
        alice, north, bob, _ = self.build("alice-north-bob", "alice-south-bob")
        self.swallow(north)
        self.assert_all_confirmed(self.talk_late(alice, bob, 0.0), most_tries=2)
        for wait_s in (20.0, 100.0, 400.0):
            self.assert_all_confirmed(self.talk_late(alice, bob, wait_s))
