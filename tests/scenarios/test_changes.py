"""A network that changes: peers return elsewhere, partitions heal (issue 3, "A network that changes")."""

from __future__ import annotations

from p2pchat.addresses import Address
from tests.scenarios.stories import Conversation, ScenarioTestCase
from tests.village import Villager


class ReturningTests(ScenarioTestCase):
    def test_at_another_address_behind_a_relay(self) -> None:
        """Who crashed and returns elsewhere under the same name gets what was said meanwhile, once."""
        alice, relay, bob = self.build("alice-relay-bob")
        self.assert_all_confirmed(self.talk(alice, bob, 2, every_s=0.1))
        self.crash(bob)
        talk = self.talk(alice, bob.own, 3, every_s=1.0)
        again = self.return_(bob, "10.4.0.1")
        talk.say()
        self.settle()
        self.assert_all_confirmed(talk, again, most_tries=2)
        self.assertEqual(relay.linked, {"alice", "bob"})

    def test_behind_another_relay(self) -> None:
        """Who moves from one relay to another is found there, and the old way is forgotten."""
        alice, north, _south, bob = self.build("alice-north", "alice-south", "north-bob")
        self.talk(alice, bob)
        self.kill(bob)
        again = self.join("bob", "10.4.0.1", rendezvous=None, peers=(Address("10.1.0.3", 7070),))
        self.pass_time(1)
        talk = self.talk(alice, again, 3, every_s=0.1)
        self.settle()
        self.assert_all_confirmed(talk, most_tries=2)
        self.assertEqual(north.linked, {"alice"})
        self.assertEqual({way.hop.name for way in alice.node.router.routes.ways(bob.own, 0.0)}, {"south"})

    def test_relay_that_crashed(self) -> None:
        """A relay that was away for a moment takes part again once its neighbours have noticed."""
        for place in (1, 2, 3):
            alice, *relays, bob = self.build("alice-r1-r2-r3-bob")
            self.talk(alice, bob, 2, every_s=0.5)
            self.crash(relays[place - 1])
            self.pass_time(10)
            self.return_(relays[place - 1])
            # Half of its links stand again; for the others there still is one, half-open.
            talk = self.talk(alice, bob, 5, every_s=1.0)
            self.settle()
            self.assert_accounted_for(talk)
            self.pass_time(120)
            again = self.talk(alice, bob, 2, every_s=0.5)
            self.assert_all_confirmed(again)
            self.end_story()

    def test_the_speaker(self) -> None:
        """A speaker that restarts counts from the beginning again, and is heard all the same."""
        alice, _, bob = self.build("alice-relay-bob")
        for moment in range(3):
            talk = self.talk(alice, bob, 2)
            self.settle()
            self.assert_all_confirmed(talk)
            self.kill(alice)
            alice = self.return_(alice, f"10.4.0.{moment + 1}")
            self.introduce(alice, self.villagers[0])
            self.pass_time(1)

    def test_roster(self) -> None:
        """With a rendezvous the roster follows, and with it the links and the routes."""
        self.rendezvous()
        alice, bob, carol = (self.join(name, registration_ttl_s=60) for name in ("alice", "bob", "carol"))
        self.pass_time(5)
        self.network.cut(alice.ip, bob.ip)
        self.kill(bob)
        self.network.cut(alice.ip, "10.4.0.1")
        again = self.join("bob", "10.4.0.1", registration_ttl_s=60)
        talk = self.talk(alice, again, 3, every_s=1.0)
        self.settle()
        # alice's old link with bob is half-open, since nothing gets through to say that it ended.
        self.assert_all_confirmed(talk, most_tries=2)
        self.pass_time(150)
        self.assertEqual(carol.node.roster[bob.own], Address("10.4.0.1", 7070))
        self.assertEqual(alice.node.switchboard.link_count, 1)
        self.network.heal()


class PartitionTests(ScenarioTestCase):
    def halves(self) -> tuple[list[Villager], list[Villager]]:
        """Two pairs of peers, linked with a bridge of two, through which all goes."""
        self.rendezvous()
        self.network.cut("10.5.0.1", "10.5.0.4")
        peers = [self.join(name, f"10.5.0.{n}") for n, name in enumerate(("alice", "b", "c", "dave"), 1)]
        self.pass_time(5)
        return peers[:2], peers[2:]

    def part(self, here: list[Villager], there: list[Villager]) -> None:
        """Let nothing through between two groups."""
        for one in here:
            for other in there:
                self.network.cut(one.ip, other.ip)

    def test_short(self) -> None:
        """What was said during a short partition is confirmed behind it, without anybody doing anything."""
        here, there = self.halves()
        talks = [Conversation(here[0], there[1]), Conversation(there[1], here[0])]
        self.part(here, there)
        for talk in talks:
            talk.say()
        self.pass_time(8)
        self.network.heal()
        self.settle()
        for talk in talks:
            self.assert_all_confirmed(talk, most_tries=3)

    def test_long(self) -> None:
        """A partition that outlasts the keep-alive ends links and routes; healed, all is as it was."""
        here, there = self.halves()
        before = [villager.node.router.sizes()["routes"] for villager in self.villagers]
        self.part(here, there)
        talk = self.talk(here[0], there[1])
        self.pass_time(150)
        self.assertEqual([villager.linked for villager in here], [{"b"}, {"alice"}])
        talk.say()
        self.settle()
        self.assert_accounted_for(talk)
        self.assertEqual([delivery.code for delivery in talk.failed], ["not confirmed", "no_route"])
        self.network.heal()
        self.network.cut("10.5.0.1", "10.5.0.4")
        self.pass_time(330)
        self.assertEqual([len(villager.linked) for villager in self.villagers], [2, 3, 3, 2])
        self.assertEqual([villager.node.router.sizes()["routes"] for villager in self.villagers], before)
        again = self.talk(here[0], there[1], 3, every_s=0.1)
        self.settle()
        self.assert_all_confirmed(again)
        self.network.heal()

    def test_one_pair(self) -> None:
        """Two who cannot reach each other talk through a third; once they can, directly."""
        self.rendezvous()
        alice, bob, carol = (
            self.join(name, f"10.5.0.{n}") for n, name in enumerate(("alice", "bob", "carol"))
        )
        self.network.cut(alice.ip, bob.ip)
        self.pass_time(5)
        first = self.talk(alice, bob)
        self.settle()
        self.network.mend(alice.ip, bob.ip)
        self.pass_time(330)
        second = self.talk(alice, bob)
        self.settle()
        self.assertEqual([talk.deliveries[0].via for talk in (first, second)], [carol.own, bob.own])

    def test_frozen_relay(self) -> None:
        """What a relay held back and brings much later is not shown again."""
        alice, north, bob, _ = self.build("alice-north-bob", "alice-south-bob")
        self.talk(alice, bob)
        self.network.cut(north.ip, bob.ip)
        talk = self.talk(alice, bob, 8, every_s=1.0)
        self.network.heal()
        self.settle()
        self.assert_all_confirmed(talk, most_tries=2)
        self.assertGreater(bob.node.router.tally.duplicates, 0)

    def test_slow_reader(self) -> None:
        """Who reads nothing for a while gets all tries of a message at once, and shows it once."""
        for silent_s in (3, 20, 60):
            alice, relay, bob = self.build("alice-relay-bob")
            (wire,) = [
                each
                for each in self.network.transports
                if (each.host.host, each.peer.host) == (relay.ip, bob.ip)
            ]
            wire.stalled = True
            talk = self.talk(alice, bob, 20, every_s=silent_s / 20)
            wire.stalled = False
            wire.flush_soon()
            self.settle()
            self.assert_accounted_for(talk)
            self.assertEqual(len(talk.failed) == 0, silent_s <= 20)
            self.assertEqual((sorted(set(bob.heard)), relay.linked), (sorted(talk.said), {"alice", "bob"}))
            self.end_story()

    def test_isolated(self) -> None:
        """Who is cut off from everybody for a minute loses nothing that is said behind it."""
        alice, _, bob, _ = self.build("alice-north-bob", "alice-south-bob")
        self.isolate(alice)
        self.pass_time(60)
        self.network.heal()
        talk = self.talk(alice, bob, 3, every_s=0.1)
        self.settle()
        self.assert_all_confirmed(talk)
