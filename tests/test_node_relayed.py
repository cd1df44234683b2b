"""Nodes that reach each other through a third: what they tell of it, and what they count."""

from __future__ import annotations

import json
from typing import Any

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.node import NotLinked
from p2pchat.protocol.names import PeerId
from p2pchat.routing.discovery import SEEK_S
from tests.village import NodeTestCase, Stranger, Villager

DAVE = PeerId("dave@UnB")

#: What each table of a node holds, as `counters` names it.
SIZES = {
    "pending",
    "routes",
    "questions_open",
    "questions_remembered",
    "messages_parked",
    "messages_remembered",
    "casts_remembered",
    "casts_waiting",
    "messages_seen",
    "neighbours",
    "connections",
    "addresses_dialled",
    "lines_waiting",
    "lines_not_taken_yet",
    "roster",
}


class RelayedTestCase(NodeTestCase):
    def chain(self) -> tuple[Villager, Villager, Villager]:
        """Start alice, bob and carol; the two others know bob's address, and nobody knows theirs."""
        bob = self.join("bob", rendezvous=None)
        at_bob = (Address(bob.ip, 7070),)
        alice, carol = (self.join(name, rendezvous=None, peers=at_bob) for name in ("alice", "carol"))
        self.pass_time(1)
        self.assertEqual((alice.linked, carol.linked), ({"bob"}, {"bob"}))
        return alice, bob, carol

    def plain(self, villager: Villager, peer_id: PeerId = DAVE) -> Stranger:
        """Link a plain peer that confirms."""
        stranger = self.stranger(villager)
        self.tell(stranger, type="HELLO", peer_id=peer_id, version="1.0", features=["ack"])
        return stranger

    def tell(self, stranger: Stranger, **fields: Any) -> None:
        """Send one message as a stranger."""
        stranger.say(json.dumps(fields).encode() + b"\n")
        self.pass_time(0.5)

    def last_send(self, stranger: Stranger) -> Any:
        """Return the last SEND that a stranger got."""
        return json.loads([line for line in stranger.got.splitlines() if b'"SEND"' in line][-1])


class EventTests(RelayedTestCase):
    def test_confirmed(self) -> None:
        """A message that goes through a relay tells so when it is sent and when it is confirmed."""
        alice, bob, carol = self.chain()
        delivery = alice.node.send(carol.own, "hi")
        self.pass_time(1)
        self.assertEqual(
            alice.told(events.MessageSent), [events.MessageSent(delivery.msg_id, carol.own, bob.own)]
        )
        (confirmed,) = alice.told(events.MessageConfirmed)
        self.assertEqual((confirmed.via, confirmed.tries), (bob.own, 1))
        arrived = events.MessageArrived(alice.own, carol.own, "hi", False, bob.own, False, 2, "@alice@UnB")
        self.assertEqual(carol.told(events.MessageArrived), [arrived])
        self.assertEqual(bob.heard, [])

    def test_nobody_has_it(self) -> None:
        """`no_route` names who was asked, and says what came of dialling."""
        alice, _, _ = self.chain()
        alice.node.send(DAVE, "hi")
        self.pass_time(SEEK_S + 0.2)
        (failed,) = alice.told(events.MessageFailed)
        self.assertEqual((failed.dst, failed.code), (DAVE, "no_route"))
        self.assertIn("asked bob@UnB for a way, and none was found", failed.why)
        self.assertTrue(failed.why.endswith("; its address is not known"), failed.why)

    def test_dialled_in_vain(self) -> None:
        """The same where its address is known: why nobody answers there, or why it is not dialled."""
        self.rendezvous()
        alice, bob, _ = self.meet("alice", "bob", "carol")
        self.kill(bob)
        self.pass_time(1)
        alice.node.send(bob.own, "one")
        self.pass_time(SEEK_S + 0.2)
        alice.node.disconnect(bob.own)
        alice.node.send(bob.own, "two")
        self.pass_time(SEEK_S + 0.2)
        one, two = alice.told(events.MessageFailed)
        self.assertIn("asked carol@UnB for a way", one.why)
        self.assertRegex(one.why, rf"; dialling {bob.ip}:7070: connection refused$")
        self.assertTrue(two.why.endswith("; it is not dialled: disconnected by the user"), two.why)

    def test_linked_and_refuses(self) -> None:
        """A peer that is linked and says `no_route` itself: nothing is said of dialling it."""
        (alice,) = self.meet("alice")
        dave = self.plain(alice)
        alice.node.send(DAVE, "hi")
        self.pass_time(0.5)
        msg_id = self.last_send(dave)["msg_id"]
        self.tell(dave, type="ERROR", code="no_route", ref=msg_id, detail="not here")
        (failed,) = alice.told(events.MessageFailed)
        self.assertEqual((failed.code, failed.why), ("no_route", "the peer says no_route: not here"))


class AskedTests(RelayedTestCase):
    def test_questions_to_a_peer_behind_a_relay(self) -> None:
        """PING, METRICS and dialling need a link of our own; that messages get there is told too."""
        alice, _, carol = self.chain()
        self.say(alice, carol, "hi")
        self.pass_time(1)
        why = "no link of our own with carol@UnB; messages reach it through bob@UnB"
        for asked in (alice.node.ping(carol.own), alice.node.ask_metrics(carol.own)):
            self.assertEqual(str(self.failureResultOf(asked, NotLinked).value), why)
        failure = self.failureResultOf(alice.node.connect(carol.own), NotLinked)
        self.assertIn("its address is not known; messages reach it through bob@UnB", str(failure.value))

    def test_counters(self) -> None:
        """The size of every table can be asked for."""
        alice, bob, carol = self.chain()
        self.say(alice, carol, "hi")
        self.pass_time(1)
        for villager in (alice, bob, carol):
            counters = villager.node.counters()
            self.assertEqual(SIZES - counters.keys(), set())
            self.assertTrue(all(isinstance(count, int) and count >= 0 for count in counters.values()))
        counters = bob.node.counters()
        self.assertEqual((counters["relayed"], counters["relayed_back"]), (1, 1))
        self.assertGreater(counters["messages_remembered"], 0)
        counters = alice.node.counters()
        self.assertEqual((counters["routes"], counters["addresses_dialled"]), (2, 1))

    def test_lines_not_taken_yet(self) -> None:
        """What waits behind a hold is counted."""
        alice, bob, _ = self.chain()
        alice.node.neighbours[bob.own].hold(1.0)
        alice.node.neighbours[bob.own].link.dataReceived(b'{"type":"PING","msg_id":"p"}\n' * 3)
        self.assertEqual(alice.node.counters()["lines_not_taken_yet"], 3)
        self.pass_time(1.1)
        self.assertEqual(alice.node.counters()["lines_not_taken_yet"], 0)

    def test_idle_relay(self) -> None:
        """What waits for others is nothing that the user said: who has said all is idle."""
        (bob,) = self.meet("bob")
        dave = self.plain(bob)
        bob.node.neighbours[DAVE].pass_on(b"{}\n", PeerId("alice@UnB"))
        bob.node.neighbours[DAVE].pass_on(b"{}\n", PeerId("alice@UnB"))
        self.assertEqual((bob.node.counters()["lines_waiting"], bob.node.is_idle), (1, True))
        bob.node.neighbours[DAVE].write(b"{}\n")
        self.assertFalse(bob.node.is_idle)
        self.pass_time(1)
        self.assertEqual((bob.node.is_idle, dave.got.count(b"{}\n")), (True, 3))
