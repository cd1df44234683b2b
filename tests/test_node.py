"""Real nodes on a network in memory: they meet, talk, and do what they are told."""

from __future__ import annotations

from twisted.internet.error import CannotListenError

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.casts import MAX_WAITING
from p2pchat.links import switchboard
from p2pchat.node import READY_S
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.names import PeerId, ToAll, ToNamespace
from p2pchat.routing.discovery import SEEK_S
from p2pchat.settings import Settings
from tests.village import RENDEZVOUS, NodeTestCase

EVERYBODY = ToAll()
CAROL = PeerId("carol@UnB")


class MeetingTests(NodeTestCase):
    def test_through_a_rendezvous(self) -> None:
        """Two peers that know a rendezvous find each other within 5 s and chat with confirmation."""
        self.rendezvous()
        alice, bob = self.join("alice"), self.join("bob")
        self.pass_time(5)
        self.assert_linked(alice, bob)
        self.assert_chatting(alice, bob)

    def test_by_address(self) -> None:
        """Two peers meet without a rendezvous where one is told the address of the other."""
        alice = self.join("alice", rendezvous=None)
        bob = self.join("bob", rendezvous=None, peers=(Address(alice.ip, 7070),))
        self.pass_time(1)
        self.assert_linked(alice, bob)
        self.assert_chatting(alice, bob)
        self.assertEqual((alice.node.roster, alice.node.registration), ({}, None))

    def test_address_without_anybody(self) -> None:
        """Of an address where nobody is, the user is told once, with the reason; a stop is no reason."""
        bob = self.join("bob", "10.0.2.2", rendezvous=None)
        addresses = (Address(bob.ip, 7070), Address("10.0.2.3", 7070))
        alice = self.join("alice", rendezvous=None, peers=addresses)
        self.pass_time(30)
        (failed,) = alice.told(events.AddressFailed)
        self.assertEqual(failed.address, addresses[1])
        self.assertIn("refused", failed.why)
        carol = self.join("carol", rendezvous=None, peers=(Address(bob.ip, 7070),))
        self.leave(carol)
        self.assertEqual(carol.told(events.AddressFailed), [])

    def test_peer_that_comes_later(self) -> None:
        """An address without anybody is dialled until somebody is there."""
        bob = self.join("bob", rendezvous=None, peers=(Address("10.0.5.5", 7070),))
        self.pass_time(20)
        alice = self.join("alice", "10.0.5.5", rendezvous=None)
        self.pass_time(30)
        self.assert_linked(alice, bob)

    def test_one_link_per_pair(self) -> None:
        """Section 3: peers that all dial each other at once end with one link per pair."""
        villagers = self.meet("alice", "bob", "carol", "dave")
        self.pass_time(5)
        self.assertEqual([villager.node.switchboard.link_count for villager in villagers], [3] * 4)

    def test_one_machine(self) -> None:
        """Peers on one machine take free ports and find each other at a rendezvous of their own."""
        villagers = self.join_shared("alice", "bob", "carol")
        self.pass_time(5)
        self.assert_chatting(*villagers)
        self.assertEqual(len({villager.node.advertised_port for villager in villagers}), 3)

    def test_port_taken(self) -> None:
        """A port that was asked for and is taken is told at the start."""
        self.join("alice", "10.0.1.1", rendezvous=None)
        bob = self.make("bob", "10.0.1.1", rendezvous=None, port=7070)
        self.assertRaises(CannotListenError, bob.node.startService)

    def test_advertised_port(self) -> None:
        """What is registered is the port of the port forwarding, where there is one."""
        server = self.rendezvous()
        alice = self.join("alice", advertise_port=9999)
        self.pass_time(1)
        self.assertEqual([record.port for record in server.factory.registry.discover()], [9999])
        self.assertEqual((alice.node.advertised_port, alice.node.switchboard.port), (9999, 7070))

    def test_what_is_told(self) -> None:
        """Who came, which link stands and who dialled it is told to the listeners."""
        (alice,) = self.meet("alice")
        bob = self.join("bob")
        self.pass_time(1)
        self.assertEqual(alice.told(events.RendezvousFound), [events.RendezvousFound(RENDEZVOUS, False)])
        self.assertEqual(bob.told(events.RosterChanged), [events.RosterChanged((alice.own,), (), ())])
        address = Address(alice.ip, 7070)
        self.assertEqual(bob.told(events.NeighbourUp), [events.NeighbourUp(alice.own, address, True, False)])
        self.assertEqual((alice.node.uptime_s, bob.node.uptime_s), (6, 1))

    def test_defaults(self) -> None:
        """Unless told otherwise a node shares a rendezvous with its machine."""
        self.assertEqual((str(Settings().rendezvous), Settings().shared), ("127.0.0.1:5000", True))


class MessageTests(NodeTestCase):
    def test_confirmed(self) -> None:
        """A message is told as taken, as sent, as arrived, and as confirmed with its time, in turn."""
        alice, bob = self.meet("alice", "bob")
        delivery = alice.node.send(bob.own, "hi")
        self.pass_time(1)
        self.assertEqual(
            alice.told(events.MessageSent), [events.MessageSent(delivery.msg_id, bob.own, bob.own)]
        )
        self.assertEqual(
            alice.told(events.MessageTaken), [events.MessageTaken(delivery.msg_id, bob.own, "hi")]
        )
        self.assertEqual(
            [type(event) for event in alice.events[-3:]],
            [events.MessageTaken, events.MessageSent, events.MessageConfirmed],
        )
        (confirmed,) = alice.told(events.MessageConfirmed)
        self.assertEqual((confirmed.dst, confirmed.tries), (bob.own, 1))
        self.assertAlmostEqual(confirmed.took_s, 0.002)
        arrived = events.MessageArrived(alice.own, bob.own, "hi", False, alice.own, False, 1, "@alice@UnB")
        self.assertEqual(bob.told(events.MessageArrived), [arrived])

    def test_cast(self) -> None:
        """A message to many is told with how many took it, even if nobody; a refused one is not."""
        alice, bob = self.meet("alice", "bob")
        alice.node.publish(ToAll(), "hi")
        self.network.cut(alice.ip, bob.ip)
        alice.node.disconnect(bob.own)
        alice.node.publish(ToNamespace("UnB"), "ho")
        self.failureResultOf(alice.node.publish(ToAll(), "x" * 40_000), ProtocolError)
        told = [events.CastSent("*", "hi", 1), events.CastSent("#UnB", "ho", 0)]
        self.assertEqual((alice.told(events.CastSent), bob.told(events.CastSent)), (told, []))

    def test_before_the_link(self) -> None:
        """A message to a peer that is not linked yet waits for the link."""
        self.rendezvous()
        alice = self.join("alice")
        bob = self.join("bob")
        self.say(alice, bob, "early")
        self.assertEqual((alice.node.is_idle, alice.told(events.MessageSent)), (False, []))
        self.pass_time(1)
        self.assertEqual((alice.node.is_idle, alice.confirmed, bob.heard), (True, [bob.own], ["early"]))

    def test_peer_that_just_registered(self) -> None:
        """A message to a peer that is not in our roster makes us look once more."""
        self.rendezvous()
        alice = self.join("alice", "10.0.1.1")
        self.network.cut("10.0.1.1", "10.0.1.2")
        self.pass_time(1)
        bob = self.join("bob", "10.0.1.2")
        self.pass_time(9)
        self.network.heal()
        self.say(alice, bob, "hi")
        self.pass_time(1)
        self.assertEqual(alice.confirmed, [bob.own])

    def test_nobody_of_that_name(self) -> None:
        """Section 5: a message to somebody unknown fails with no_route after 5 s, by name."""
        (alice,) = self.meet("alice")
        alice.node.send(CAROL, "hello?")
        self.pass_time(SEEK_S - 0.1)
        self.assertEqual(alice.failures, [])
        self.pass_time(0.3)
        self.assertEqual(alice.failures, [("hello?", "no_route")])
        self.assertEqual(alice.told(events.MessageFailed)[0].dst, CAROL)

    def test_roster_too_large_to_dial_everybody(self) -> None:
        """Section 5: who is listed is dialled for a message, even if there was no room before."""
        self.patch(switchboard, "MAX_DIALLERS", 1)
        self.rendezvous()
        gone = self.join("bob")
        self.pass_time(1)
        carol = self.join("carol")
        self.pass_time(1)
        self.kill(gone)
        alice = self.join("alice")
        self.pass_time(1)
        self.assertEqual((list(alice.node.neighbours), alice.node.switchboard.not_dialled), ([], 1))
        alice.node.send(CAROL, "hello?")
        self.pass_time(1)
        self.assertEqual((alice.confirmed, carol.heard), ([CAROL], ["hello?"]))
        self.assertEqual(len(alice.node.switchboard.diallers), 1)

    def test_no_route_without_a_rendezvous(self) -> None:
        """The same where there is no rendezvous to look at."""
        alice = self.join("alice", rendezvous=None)
        alice.node.send(CAROL, "hello?")
        self.pass_time(SEEK_S + 0.2)
        self.assertEqual(alice.failures, [("hello?", "no_route")])

    def test_refused_at_once(self) -> None:
        """What can never be sent is refused at once, and nothing of it is told or kept."""
        alice, bob = self.meet("alice", "bob")
        for dst, text, code in (
            (alice.own, "me", ErrorCode.BAD_FORMAT),
            (bob.own, "x" * 40_000, ErrorCode.LINE_TOO_LONG),
        ):
            refused = self.assertRaises(ProtocolError, alice.node.send, dst, text)
            self.assertEqual(refused.code, code)
        self.assertTrue(alice.node.is_idle)

    def test_plain_peer_that_may_not_take_it(self) -> None:
        """Section 9.5: the user is warned of a line that a plain peer may not take."""
        (alice,) = self.meet("alice")
        plain = self.stranger(alice)
        plain.say(b'{"type":"HELLO","peer_id":"carol@UnB","version":"1.0","features":["ack"],"ttl":1}\n')
        self.pass_time(1)
        alice.node.send(CAROL, "x" * 5000)
        self.assertIn("may not take", alice.told(events.Warned)[0].text)
        self.pass_time(30)
        (failed,) = alice.told(events.MessageFailed)
        self.assertEqual((failed.code, plain.got.count(b'"SEND"')), ("not confirmed", 3))

    def test_complaint(self) -> None:
        """An ERROR that is about none of our messages is told."""
        (alice,) = self.meet("alice")
        plain = self.stranger(alice)
        plain.say(b'{"type":"HELLO","peer_id":"carol@UnB","version":"1.0"}\n')
        plain.say(b'{"type":"ERROR","code":"over_quota","ref":"m1","detail":"slow down"}\n')
        self.pass_time(1)
        complaint = events.PeerComplained(CAROL, "over_quota", "slow down", "m1")
        self.assertEqual(alice.told(events.PeerComplained), [complaint])


class CastTests(NodeTestCase):
    def test_namespace(self) -> None:
        """PUB #ns is shown to the peers of that namespace, also to those of another it is not."""
        alice, bob, carol = self.meet("alice", "bob", "carol@Giga")
        self.assertEqual(self.successResultOf(alice.node.publish(ToNamespace("UnB"), "UnB!")), 2)
        self.assertEqual(self.successResultOf(alice.node.publish(ToNamespace("Giga"), "Giga!")), 2)
        self.pass_time(1)
        self.assertEqual((bob.heard, carol.heard, alice.heard), (["UnB!"], ["Giga!"], []))
        (arrived,) = carol.told(events.MessageArrived)
        self.assertEqual((arrived.dst, arrived.is_cast), ("#Giga", True))

    def test_all(self) -> None:
        """PUB * is shown to all."""
        alice, bob, carol = self.meet("alice", "bob", "carol@Giga")
        self.assertEqual(self.successResultOf(alice.node.publish(EVERYBODY, "all!")), 2)
        self.pass_time(1)
        self.assertEqual((bob.heard, carol.heard), (["all!"], ["all!"]))

    def test_before_the_first_link(self) -> None:
        """What is said to many right after the start waits until those are linked who can be."""
        self.meet("bob", "carol")
        alice = self.join("alice")
        sent = alice.node.publish(EVERYBODY, "one"), alice.node.publish(ToNamespace("UnB"), "two")
        self.assertEqual([alice.node.is_idle, alice.node.casts.is_open], [False, False])
        self.pass_time(1)
        self.assertEqual([self.successResultOf(each) for each in sent], [2, 2])
        self.assertEqual([villager.heard for villager in self.villagers[:2]], [["one", "two"]] * 2)

    def test_waits_no_longer_than_needed(self) -> None:
        """Who knows of nobody to wait for does not wait."""
        for settings in ({"rendezvous": None}, {"rendezvous": Address("10.0.0.50", 5000)}):
            alice = self.join("alice", **settings)
            sent = alice.node.publish(EVERYBODY, "anybody?")
            self.pass_time(0.3)
            self.assertEqual(self.successResultOf(sent), 0)

    def test_waits_for_an_address(self) -> None:
        """Where an address was given, its peer is waited for; one that refuses is not."""
        bob = self.join("bob", "10.0.2.2", rendezvous=None)
        addresses = (Address(bob.ip, 7070), Address("10.0.2.3", 7070))
        alice = self.join("alice", rendezvous=None, peers=addresses)
        sent = alice.node.publish(EVERYBODY, "hi")
        self.pass_time(0.3)
        self.assertEqual((self.successResultOf(sent), bob.heard), (1, ["hi"]))

    def test_waits_5_s_at_most(self) -> None:
        """Who cannot be reached keeps nobody waiting for longer than 5 s."""
        self.network.cut("10.0.2.1", "10.0.2.2")
        alice = self.join("alice", "10.0.2.1", rendezvous=None, peers=(Address("10.0.2.2", 7070),))
        sent = alice.node.publish(EVERYBODY, "hi")
        self.pass_time(READY_S - 0.2)
        self.assertNoResult(sent)
        self.pass_time(0.4)
        self.assertEqual(self.successResultOf(sent), 0)

    def test_too_many_waiting(self) -> None:
        """What is said to many before the start is bounded."""
        alice = self.make("alice", "10.0.2.1")
        waiting = [alice.node.publish(EVERYBODY, "hi") for _ in range(MAX_WAITING)]
        refused = self.failureResultOf(alice.node.publish(EVERYBODY, "hi"), ProtocolError)
        self.assertEqual(refused.value.code, ErrorCode.BUSY)
        alice.node.startService()
        self.pass_time(6)
        self.assertEqual({self.successResultOf(each) for each in waiting}, {0})

    def test_too_long(self) -> None:
        """What is too long fails, whether it waited or not."""
        alice = self.join("alice", rendezvous=None)
        early = alice.node.publish(EVERYBODY, "x" * 40_000)
        self.pass_time(0.3)
        for refused in (early, alice.node.publish(EVERYBODY, "x" * 40_000)):
            self.assertEqual(self.failureResultOf(refused, ProtocolError).value.code, ErrorCode.LINE_TOO_LONG)
