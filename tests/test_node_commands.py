"""What the user can ask of a node, and what may go wrong around it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import TimeoutError

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.links.dialler import DialFailed
from p2pchat.links.questions import LinkClosed
from p2pchat.node import NotLinked
from p2pchat.protocol.names import PeerId
from p2pchat.routing.discovery import SEEK_S
from tests.village import NodeTestCase, Villager

CAROL = PeerId("carol@UnB")


class CommandTests(NodeTestCase):
    def test_disconnect_and_connect(self) -> None:
        """A peer that was hung up on is left alone until it is called again."""
        alice, bob = self.meet("alice", "bob")
        self.assertTrue(alice.node.disconnect(bob.own))
        self.pass_time(100)
        self.assertEqual((alice.linked, alice.node.disconnect(bob.own)), (set(), False))
        outcome = alice.node.connect(bob.own)
        self.pass_time(0.1)
        self.assertEqual(self.successResultOf(outcome).peer_id, bob.own)
        self.assert_chatting(alice, bob)

    def test_connected_already(self) -> None:
        """A link that stands is the outcome of connecting."""
        alice, bob = self.meet("alice", "bob")
        link = self.successResultOf(alice.node.connect(bob.own))
        self.assertIs(link, alice.node.neighbours[bob.own].link)

    def test_connect_to_nobody(self) -> None:
        """Connecting to somebody whose address nobody knows says so."""
        (alice,) = self.meet("alice")
        failure = self.failureResultOf(alice.node.connect(CAROL), NotLinked)
        self.assertIn("not in the roster", str(failure.value))

    def test_connect_fails(self) -> None:
        """Connecting to somebody who is registered and not there says why it failed."""
        alice, bob = self.meet("alice", "bob")
        self.kill(bob)
        self.pass_time(0.1)
        outcome = alice.node.connect(bob.own)
        self.pass_time(0.1)
        self.assertIn("refused", str(self.failureResultOf(outcome, DialFailed).value))

    def test_connect_where_one_address_is_stale(self) -> None:
        """A peer that is known at two addresses is reached at the one that works."""
        self.rendezvous()
        bob = self.join("bob", "10.0.4.4")
        alice = self.join("alice", peers=(Address(bob.ip, 7070),))
        self.pass_time(5)
        alice.node.disconnect(bob.own)
        self.leave(bob)
        self.join("bob", "10.0.4.5")
        self.pass_time(35)
        outcome = alice.node.connect(bob.own)
        self.pass_time(0.1)
        self.assertEqual(self.successResultOf(outcome).address, Address("10.0.4.5", 7070))

    def test_ping(self) -> None:
        """A ping measures the round trip; without a link, or without an answer, it says so."""
        alice, bob = self.meet("alice", "bob")
        asked = alice.node.ping(bob.own)
        self.pass_time(0.1)
        self.assertAlmostEqual(self.successResultOf(asked), 0.002)
        self.failureResultOf(alice.node.ping(CAROL), NotLinked)
        self.crash(bob)
        asked = alice.node.ping(bob.own)
        self.pass_time(5.1)
        self.failureResultOf(asked, TimeoutError)

    def test_link_ends_before_the_answer(self) -> None:
        """A question over a link that ends before its answer fails."""
        alice, bob = self.meet("alice", "bob")
        asked = alice.node.ping(bob.own), alice.node.ask_metrics(bob.own)
        self.kill(bob)
        self.pass_time(0.1)
        for each in asked:
            self.failureResultOf(each, LinkClosed)

    def test_metrics(self) -> None:
        """A peer tells how it sees the link, if it offers that."""
        alice, bob = self.meet("alice", "bob")
        asked = alice.node.ask_metrics(bob.own)
        self.pass_time(0.1)
        metrics = self.successResultOf(asked)
        self.assertGreater(metrics.recv_count, 0)
        self.failureResultOf(alice.node.ask_metrics(CAROL), NotLinked)
        self.stranger(alice).say(b'{"type":"HELLO","peer_id":"carol@UnB","version":"1.0"}\n')
        self.pass_time(0.1)
        failure = self.failureResultOf(alice.node.ask_metrics(CAROL), NotLinked)
        self.assertIn("does not offer metrics", str(failure.value))

    def test_counters(self) -> None:
        """What is counted can be asked for by name."""
        alice, bob = self.meet("alice", "bob")
        self.assert_chatting(alice, bob)
        counters = alice.node.counters()
        self.assertEqual((counters["sent"], counters["confirmed"], counters["received"]), (1, 1, 1))
        self.assertEqual(alice.node.now_s, self.network.clock.seconds())

    def test_watch(self) -> None:
        """While watching, each line that arrives is told."""
        alice, bob = self.meet("alice", "bob")
        self.say(bob, alice, "unseen")
        self.pass_time(1)
        self.assertEqual((alice.node.watching, alice.told(events.LineTraced)), (False, []))
        alice.node.watching = True
        self.say(bob, alice, "seen")
        self.pass_time(1)
        alice.node.watching = False
        self.say(bob, alice, "unseen")
        self.pass_time(1)
        (traced,) = alice.told(events.LineTraced)
        self.assertEqual((traced.peer_id, json.loads(traced.line)["payload"]), (bob.own, "seen"))


class FaultTests(NodeTestCase):
    def test_listener_fails(self) -> None:
        """A listener that fails is logged and harms nobody: not the chat, not the next listener."""
        self.rendezvous()
        alice = self.make("alice", "10.0.1.1")
        faults = [ZeroDivisionError()] * 5

        def failing(event: events.Event) -> None:
            if faults:
                raise faults.pop()

        alice.node.listen(failing)
        heard: list[events.Event] = []
        alice.node.listen(heard.append)
        alice.node.startService()
        bob = self.join("bob")
        self.pass_time(5)
        self.assert_chatting(alice, bob)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 5)
        self.assertEqual(heard[-len(alice.events) :], alice.events)

    def test_tick_fails(self) -> None:
        """A defect in a tick is logged, and the ticks go on."""
        alice, _ = self.meet("alice", "bob")
        tick = alice.node.router.tick
        faults = [ZeroDivisionError()]

        def failing() -> None:
            if faults:
                raise faults.pop()
            tick()

        self.patch(alice.node.router, "tick", failing)
        alice.node.send(CAROL, "hello?")
        self.pass_time(SEEK_S + 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(alice.failures, [("hello?", "no_route")])

    def test_name_clash(self) -> None:
        """Somebody else under our name is told, once; both go on under it."""
        alice, bob = self.meet("alice", "bob")
        other = self.join("alice", "10.0.8.8")
        self.pass_time(100)
        taken = events.NameTaken(alice.own, Address("10.0.8.8", 7070))
        self.assertEqual(alice.told(events.NameTaken), [taken])
        self.assertEqual(len(other.told(events.NameTaken)), 1)
        self.say(alice, bob, "I am alice")
        self.pass_time(1)
        self.assertIn("I am alice", bob.heard)

    def test_hosting_twice(self) -> None:
        """A node that has the rendezvous does not offer another, nor does one that comes too late."""
        alice, bob = self.join_shared("alice", "bob")
        self.pass_time(1)
        self.assertEqual([alice.node.host_rendezvous(), bob.node.host_rendezvous()], [False, False])
        self.assertEqual((alice.hosts, bob.hosts), (True, False))
        self.assert_chatting(alice, bob)


class HostileTests(NodeTestCase):
    def hellos(self) -> list[bytes]:
        """First lines that no peer should send."""
        hello = {
            "type": "HELLO",
            "peer_id": "eve@UnB",
            "version": "1.0",
            "features": ["ack", "relay"],
            "ttl": 1,
        }
        wrong: list[Any] = [
            {**hello, "peer_id": ""},
            {**hello, "peer_id": "x" * 1000},
            {**hello, "peer_id": 7},
            {**hello, "peer_id": "alice@UnB"},
            {**hello, "version": "99.0"},
            {**hello, "features": 7},
            {**hello, "type": "HELLO_OK"},
            {**hello, "type": "WHATEVER"},
            {"type": "SEND", "msg_id": "1", "src": "bob@UnB", "dst": "alice@UnB", "payload": "forged"},
            [hello],
            7,
        ]
        return [json.dumps(each).encode() + b"\n" for each in wrong]

    def assert_unharmed(self, attack: Callable[[Villager], None]) -> None:
        """Assert that the chat of two others goes on during and after *attack* on one of them."""
        alice, bob = self.meet("alice", "bob")
        attack(alice)
        self.assert_chatting(alice, bob)
        self.pass_time(15)
        self.assert_chatting(alice, bob)
        self.assertEqual((alice.linked, alice.told(events.NeighbourDown)), ({"bob"}, []))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_any_bytes(self) -> None:
        """Strangers that send arbitrary bytes end closed, and nobody else notices."""

        def attack(alice: Villager) -> None:
            for _ in range(60):
                stranger = self.stranger(alice)
                for _ in range(5):
                    stranger.say(self.random.randbytes(self.random.randrange(1, 3000)) + b"\n")
                self.pass_time(2.5)
                self.assertTrue(stranger.is_closed)

        self.assert_unharmed(attack)

    def test_wrong_greetings(self) -> None:
        """Wrong handshakes get an error or a closed connection, and nothing of them is shown."""

        def attack(alice: Villager) -> None:
            for hello in self.hellos():
                stranger = self.stranger(alice)
                stranger.say(hello)
                self.pass_time(2.5)
                self.assertTrue(stranger.is_closed, hello)
            self.assertEqual(alice.heard, [])

        self.assert_unharmed(attack)

    def test_bytes_after_the_greeting(self) -> None:
        """A peer that greets well and then sends garbage, or never reads, hurts itself only."""

        def attack(alice: Villager) -> None:
            eve = self.stranger(alice)
            eve.say(b'{"type":"HELLO","peer_id":"eve@UnB","version":"1.0","features":["relay"]}\n')
            for _ in range(50):
                eve.say(self.random.randbytes(2000) + b"\n")
                eve.say(b'{"type":"SEND","msg_id":"1","src":"bob@UnB","dst":"carol@UnB","payload":""}\n')
                eve.say(b'{"type":"PUB","msg_id":"1","src":"alice@UnB","dst":"*","payload":"forged"}\n')
                self.pass_time(0.1)
            eve.say(b"x" * 2_000_000)
            self.pass_time(3)
            self.assertTrue(eve.is_closed)
            self.assertNotIn("forged", alice.heard)
            self.assertEqual(alice.linked, {"bob"})
            alice.events.clear()

        self.assert_unharmed(attack)

    def test_silence(self) -> None:
        """Strangers that say nothing are closed after 10 s, and keep nobody out."""

        def attack(alice: Villager) -> None:
            self.crowd = [self.stranger(alice) for _ in range(200)]

        self.assert_unharmed(attack)
        self.assertTrue(all(stranger.is_closed for stranger in self.crowd))
