"""Real nodes that keep their messages, through all runs of their programs."""

from __future__ import annotations

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.protocol.names import PeerId, ToNamespace
from p2pchat.routing.delivery import State
from p2pchat.routing.outbox import EXPIRY_S
from p2pchat.store.entries import Entry
from p2pchat.store.entries import State as Outcome
from tests.village import NodeTestCase, Villager

BOB = PeerId("bob@UnB")


class KeepingTestCase(NodeTestCase):
    keep = True

    def history(self, villager: Villager) -> list[Entry]:
        """What a peer has kept."""
        return self.successResultOf(villager.node.store.latest(None, 100))

    def waiting(self, villager: Villager) -> list[str]:
        """What of a peer has no outcome yet."""
        return [delivery.payload for delivery in villager.node.kept()]


class OutboxTests(KeepingTestCase):
    def test_comes_later(self) -> None:
        """What is said to somebody who is away arrives when he comes, once, and is confirmed."""
        self.rendezvous()
        alice = self.join("alice")
        for text in ("1", "2", "3"):
            alice.node.send(BOB, text)
        self.pass_time(3600)
        self.assertEqual((self.waiting(alice), alice.failures), (["1", "2", "3"], []))
        bob = self.join("bob")
        self.pass_time(31)
        self.assertEqual((bob.heard, alice.confirmed), (["1", "2", "3"], [BOB] * 3))
        self.assertEqual((self.waiting(alice), alice.node.counters()["messages_kept"]), ([], 0))
        self.assertEqual([entry.state for entry in self.history(alice)], [Outcome.CONFIRMED] * 3)

    def test_sender_killed(self) -> None:
        """What its sender could not deliver before it was killed goes when it is back."""
        self.rendezvous()
        alice = self.join("alice")
        alice.node.send(BOB, "hi")
        self.pass_time(0.01)
        self.kill(alice)
        self.pass_time(600)
        bob = self.join("bob")
        alice = self.join("alice")
        (resumed,) = alice.told(events.MessageResumed)
        self.assertEqual((resumed.dst, resumed.payload, round(resumed.age_s)), (BOB, "hi", 600))
        self.pass_time(31)
        self.assertEqual((bob.heard, alice.confirmed), (["hi"], [BOB]))

    def test_both_killed(self) -> None:
        """Both are killed while the message is on its way, and come back: it is shown once."""
        alice, bob = self.meet("alice", "bob")
        self.say(alice, bob, "hi")
        self.pass_time(0.0015)
        self.kill(alice)
        self.pass_time(5)
        self.assertEqual(bob.heard, ["hi"])
        self.kill(bob)
        again, bob = self.join("alice"), self.join("bob")
        self.pass_time(60)
        self.assertEqual((bob.heard, again.confirmed), ([], [BOB]))
        self.assertEqual([entry.text for entry in self.history(bob)], ["hi"])

    def test_stopped(self) -> None:
        """Who leaves in good order loses nothing either, and hears that it is kept."""
        self.rendezvous()
        alice = self.join("alice")
        alice.node.send(BOB, "hi")
        self.leave(alice)
        (waits,) = alice.told(events.MessageWaits)
        self.assertIn("p2pchat was stopped", waits.why)
        self.assertEqual(alice.told(events.MessageFailed), [])
        bob, alice = self.join("bob"), self.join("alice")
        self.pass_time(31)
        self.assertEqual((bob.heard, alice.confirmed), (["hi"], [BOB]))

    def test_confirmed_before(self) -> None:
        """What was confirmed does not come back."""
        alice, bob = self.meet("alice", "bob")
        self.say(alice, bob, "hi")
        self.pass_time(1)
        self.kill(alice)
        alice = self.join("alice")
        self.assertEqual(alice.told(events.MessageResumed), [])

    def test_too_old(self) -> None:
        """What nobody took for seven days has failed, however often its sender was started meanwhile."""
        alice = self.join("alice", rendezvous=None)
        alice.node.send(BOB, "hi")
        self.kill(alice)
        self.pass_time(EXPIRY_S - 60)
        alice = self.join("alice", rendezvous=None)
        self.pass_time(30)
        self.assertEqual(alice.failures, [])
        self.pass_time(40)
        self.assertEqual(alice.failures, [("hi", "no_route")])
        self.assertEqual([entry.state for entry in self.history(alice)], [Outcome.FAILED])
        self.kill(alice)
        self.assertEqual(self.waiting(self.join("alice", rendezvous=None)), [])

    def test_cancelled(self) -> None:
        """What the user takes back has failed, and does not come back."""
        alice = self.join("alice", rendezvous=None)
        delivery = alice.node.send(BOB, "hi")
        self.assertTrue(alice.node.cancel(delivery.msg_id))
        self.assertFalse(alice.node.cancel(delivery.msg_id))
        self.assertEqual((delivery.state, alice.failures), (State.FAILED, [("hi", "cancelled")]))
        self.kill(alice)
        self.assertEqual(self.waiting(self.join("alice", rendezvous=None)), [])

    def test_through_a_relay(self) -> None:
        """What waits for a peer behind a relay goes when that is heard of."""
        bob = self.join("bob", rendezvous=None)
        at_bob = (Address(bob.ip, 7070),)
        alice = self.join("alice", rendezvous=None, peers=at_bob)
        self.pass_time(1)
        carol = PeerId("carol@UnB")
        alice.node.send(carol, "hi")
        self.pass_time(300)
        self.assertEqual(self.waiting(alice), ["hi"])
        carols = self.join("carol", rendezvous=None, peers=at_bob)
        self.pass_time(1)
        carols.node.publish(ToNamespace("UnB"), "here I am")
        self.pass_time(10)
        self.assertEqual((carols.heard, alice.confirmed), (["hi"], [carol]))

    def test_no_store(self) -> None:
        """A node that was given no place to keep anything in fails what it cannot deliver."""
        alice = self.join("alice", rendezvous=None, keeps=False)
        alice.node.send(BOB, "hi")
        self.pass_time(6)
        self.assertEqual(alice.failures, [("hi", "no_route")])


class HistoryTests(KeepingTestCase):
    def test_both_sides(self) -> None:
        """Both sides keep what was said, each with what it knows of it."""
        alice, bob = self.meet("alice", "bob")
        self.say(alice, bob, "hi")
        alice.node.publish(ToNamespace("UnB"), "all")
        self.pass_time(1)
        ours, cast = self.history(alice)
        self.assertEqual((ours.conversation, ours.text, ours.state), ("@bob@UnB", "hi", Outcome.CONFIRMED))
        self.assertEqual((cast.conversation, cast.text, cast.neighbours), ("#UnB", "all", 1))
        theirs, cast = self.history(bob)
        self.assertEqual((theirs.conversation, theirs.author), ("@alice@UnB", "alice@UnB"))
        self.assertEqual((cast.conversation, cast.state, cast.via), ("#UnB", Outcome.HEARD, "alice@UnB"))
        self.assertEqual(theirs.protection, "none")
