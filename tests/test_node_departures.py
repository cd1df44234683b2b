"""Real nodes on a network in memory: they leave, die, crash, return, and stop."""

from __future__ import annotations

from twisted.internet.error import CannotListenError

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.node import NotLinked
from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.names import PeerId, ToAll
from p2pchat.routing.delivery import ACK_WAITS_S
from tests.village import NodeTestCase

EVERYBODY = ToAll()
CAROL = PeerId("carol@UnB")


class DepartureTests(NodeTestCase):
    def test_leaves(self) -> None:
        """Who leaves says BYE and unregisters: its link goes at once, its place in the roster soon."""
        alice, bob, carol = self.meet("alice", "bob", "carol")
        self.leave(carol)
        self.assertEqual((alice.linked, bob.linked), ({"bob"}, {"alice"}))
        self.assertIn("BYE", alice.told(events.NeighbourDown)[0].why)
        self.pass_time(30)
        self.assertEqual((alice.listed, bob.listed), ({"bob"}, {"alice"}))
        self.assertEqual(alice.told(events.RosterChanged)[-1].left, (carol.own,))

    def test_process_dies(self) -> None:
        """A process that dies takes its links along at once; its place in the roster ends with its ttl."""
        alice, bob = self.meet("alice", "bob", registration_ttl_s=60)
        self.kill(bob)
        self.pass_time(0.1)
        self.assertEqual((alice.linked, alice.listed), (set(), {"bob"}))
        self.pass_time(95)
        self.assertEqual(alice.listed, set())
        self.assertEqual(alice.node.switchboard.diallers, [])

    def test_machine_dies(self) -> None:
        """A machine that dies without a word is noticed by the keep-alive: three PINGs of 30 s."""
        alice, bob = self.meet("alice", "bob", registration_ttl_s=60)
        self.crash(bob)
        self.pass_time(80)
        self.assertEqual(alice.linked, {"bob"})
        self.pass_time(50)
        self.assertEqual(alice.linked, set())
        self.assertIn("PING", alice.told(events.NeighbourDown)[0].why)

    def test_returns_at_another_address(self) -> None:
        """A peer that crashed and returns elsewhere is the same peer; what waited for it is confirmed."""
        alice, bob = self.meet("alice", "bob")
        self.crash(bob)
        self.say(alice, bob, "are you there?")
        self.pass_time(8)
        self.assertEqual(alice.confirmed, [])
        again = self.join("bob", "10.0.7.7")
        self.pass_time(sum(ACK_WAITS_S))
        self.assertEqual((again.heard, alice.confirmed, alice.failures), (["are you there?"], [bob.own], []))
        self.assertGreater(alice.told(events.MessageConfirmed)[0].tries, 1)
        self.pass_time(30)
        self.assertEqual(alice.node.roster, {bob.own: Address("10.0.7.7", 7070)})
        self.assertEqual(alice.told(events.RosterChanged)[-1].moved, (bob.own,))
        self.assert_chatting(alice, again)
        self.assertEqual(alice.node.switchboard.link_count, 1)

    def test_process_restarts(self) -> None:
        """A message on its way to a process that dies is confirmed by the one that is started next."""
        alice, bob = self.meet("alice", "bob")
        self.say(alice, bob, "hi")
        self.kill(bob)
        self.pass_time(2)
        again = self.join("bob", bob.ip)
        self.pass_time(3)
        self.assertEqual((again.heard, alice.confirmed), (["hi"], [bob.own]))

    def test_never_returns(self) -> None:
        """A message to a peer that crashed for good ends as not confirmed, with the reason."""
        alice, bob = self.meet("alice", "bob")
        self.crash(bob)
        self.say(alice, bob, "hi")
        self.pass_time(sum(ACK_WAITS_S) + 1)
        self.assertEqual(alice.failures, [("hi", "not confirmed")])
        self.assertIn("3 times", alice.told(events.MessageFailed)[0].why)

    def test_rendezvous_goes(self) -> None:
        """Section 6: a rendezvous that goes is told once, and the chat goes on."""
        alice, bob = self.meet("alice", "bob")
        self.end_rendezvous(self.servers[0])
        self.pass_time(200)
        self.assert_chatting(alice, bob)
        self.pass_time(200)
        self.assertEqual(alice.told(events.RendezvousLost), [])
        self.rendezvous()
        self.pass_time(70)
        self.assertEqual(len(alice.told(events.RendezvousFound)), 1)
        self.assertEqual([changes.left for changes in alice.told(events.RosterChanged)], [])


class StopTests(NodeTestCase):
    def test_every_message_ends(self) -> None:
        """A message that is open at the stop is told as not confirmed; a cast that waits is sent."""
        alice, bob = self.meet("alice", "bob")
        self.network.cut(alice.ip, bob.ip)
        self.say(alice, bob, "on its way")
        alice.node.send(CAROL, "nobody")
        self.leave(alice)
        self.assertEqual(alice.failures, [("on its way", "not confirmed"), ("nobody", "not confirmed")])
        self.assertTrue(alice.node.is_idle)
        self.network.heal()

    def test_casts_that_wait(self) -> None:
        """A cast that waits for the first link at the stop goes to whoever is linked by then."""
        alice = self.join("alice")
        sent = alice.node.publish(EVERYBODY, "hi")
        alice.node.stopService()
        self.assertEqual(self.successResultOf(sent), 0)

    def test_nothing_new_while_stopping(self) -> None:
        """Once we stop nothing more is taken, since nobody would tell what became of it."""
        alice, bob = self.meet("alice", "bob")
        alice.node.stopService()
        self.assertRaises(ProtocolError, alice.node.send, bob.own, "late")
        self.failureResultOf(alice.node.publish(EVERYBODY, "late"), ProtocolError)
        self.failureResultOf(alice.node.connect(bob.own), NotLinked)
        self.pass_time(3)
        self.assertEqual((alice.linked, alice.node.is_idle), (set(), True))

    def test_listener_that_tries_again(self) -> None:
        """A listener that sends again whatever fails does not keep a node from stopping."""
        alice, bob = self.meet("alice", "bob")

        def again(event: events.Event) -> None:
            if isinstance(event, events.MessageFailed):
                alice.node.send(event.dst, event.payload)

        alice.node.listen(again)
        self.network.cut(alice.ip, bob.ip)
        self.say(alice, bob, "hi")
        self.leave(alice)
        self.assertEqual(len(self.flushLoggedErrors(ProtocolError)), 1)
        self.assertTrue(alice.node.is_idle)
        self.network.heal()

    def test_at_any_moment(self) -> None:
        """A stop at any moment of the start leaves no timer, no connection and no registration."""
        server = self.rendezvous()
        self.join("bob")
        self.pass_time(5)
        for milliseconds in range(25):
            alice = self.join("alice", "10.0.3.3")
            self.pass_time(milliseconds / 1000)
            self.leave(alice)
            self.assertEqual({record.name for record in server.factory.registry.discover()}, {"bob"})
            self.assertEqual([found for found in self.network.transports if found.host.host == alice.ip], [])

    def test_without_a_start(self) -> None:
        """A node that could not listen, or was never started, can be stopped."""
        self.join("alice", "10.0.1.1", rendezvous=None)
        bob = self.make("bob", "10.0.1.1", port=7070)
        self.assertRaises(CannotListenError, bob.node.startService)
        for node in (bob.node, self.make("carol", "10.0.1.2").node):
            stopped = node.stopService()
            self.pass_time(0.1)
            self.successResultOf(stopped)


class ChurnTests(NodeTestCase):
    def live(self, seconds: int) -> None:
        """Let peers come, talk, leave, die and crash in any order."""
        for _ in range(seconds // 2):
            action = self.random.choice([self.come, self.come, self.go, self.talk, self.talk])
            action()
            self.pass_time(2)

    def come(self) -> None:
        taken = {villager.own.name for villager in self.villagers}
        free = [name for name in "abcdefghij" if name not in taken]
        if free and len(self.villagers) < 7:
            name = self.random.choice(free)
            self.join(name, f"10.0.2.{self.random.randrange(250)}", registration_ttl_s=60)

    def go(self) -> None:
        if len(self.villagers) > 2:
            how = self.random.choice([self.leave, self.kill, self.crash])
            villager = self.random.choice(self.villagers[2:])
            if how == self.leave:
                self.villagers.remove(villager)
            alone = [each for each in self.villagers if each.ip == villager.ip] == [villager]
            (how if alone or how != self.crash else self.kill)(villager)

    def talk(self) -> None:
        speaker, listener = self.random.choice(self.villagers), self.random.choice(self.villagers)
        speaker.node.publish(EVERYBODY, "all")
        if speaker is not listener:
            self.say(speaker, listener, "one")

    def test_tables_shrink_again(self) -> None:
        """After ten minutes of coming and going every table is as small as the village is."""
        alice, bob = self.meet("alice", "bob", registration_ttl_s=60)
        self.live(600)
        for villager in self.villagers[2:]:
            self.leave(villager)
        del self.villagers[2:]
        self.pass_time(240)
        for villager in (alice, bob):
            board = villager.node.switchboard
            sizes = [len(villager.node.neighbours), len(board.diallers), board.link_count]
            sizes += [len(villager.node.roster), len(villager.node.router.pending)]
            self.assertEqual(sizes, [1, 1, 1, 1, 0])
            self.assertEqual((board.sizes()["connections_without_hello"], board.not_dialled), (0, 0))
            sent = len(villager.told(events.MessageConfirmed)) + len(villager.told(events.MessageFailed))
            self.assertGreater(sent, 10)
        self.assertEqual(len(self.servers[0].factory.registry), 2)
        # Each node: its tick, that of its links, its next look; and the loop of the server.
        self.assertLessEqual(len(self.network.clock.getDelayedCalls()), 2 * 3 + 1)
        self.assert_chatting(alice, bob)
