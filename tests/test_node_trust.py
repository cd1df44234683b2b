"""Nodes with keys, and those who would read along or speak for another (docs/threat-model.md)."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.protocol import Protocol, ServerFactory

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.gate import BLOCKED
from p2pchat.links.link import Link
from p2pchat.node import Node
from p2pchat.protocol.names import PeerId, ToAll, ToNamespace
from p2pchat.protocol.protection import Protection
from p2pchat.routing.delivery import State
from p2pchat.settings import Settings
from p2pchat.trust import pins as pins_module
from p2pchat.trust.allowed import Allowed
from p2pchat.trust.cards import fingerprint
from p2pchat.trust.certificates import Certificates
from p2pchat.trust.namespacekey import NamespaceKey
from p2pchat.trust.pins import Pins
from p2pchat.trust.replays import GENERATION_S
from p2pchat.trust.trust import NothingToTrust, Rules
from tests.keys import NOON_MS, identity_of, keys_of, random_bytes_of
from tests.village import NodeTestCase, Stranger, Villager

ALICE, BOB, CAROL = (PeerId(f"{name}@UnB") for name in ("alice", "bob", "carol"))


class TrustTestCase(NodeTestCase):
    def resident(self, name: str, *, at: Villager | None = None, ip: str = "", **keys: Any) -> Villager:
        """Start a peer with keys, which dials another if one is given."""
        own = PeerId(f"{name}@UnB")
        peers = () if at is None else (Address(at.ip, 7070),)
        keys = {"now_ms": lambda: NOON_MS + round(self.network.clock.seconds() * 1000), **keys}
        villager = self.make(
            name,
            ip or f"10.0.1.{len(self.villagers) + 1}",
            keys_of(own, **keys),
            rendezvous=None,
            peers=peers,
        )
        villager.node.startService()
        return villager

    def protections(self, villager: Villager) -> list[Protection]:
        return [event.protection for event in villager.told(events.MessageArrived)]

    def plain(self, villager: Villager, peer_id: PeerId) -> list[dict[str, Any]]:
        """Let somebody come without TLS; return what it is answered."""
        stranger = self.stranger(villager)
        hello = {"type": "HELLO", "peer_id": peer_id, "version": "1.0", "features": ["ack", "relay"]}
        stranger.say(json.dumps(hello).encode() + b"\n")
        self.pass_time(1)
        return answers(stranger)


def answers(stranger: Stranger) -> list[dict[str, Any]]:
    """Return the lines that a stranger got."""
    return [json.loads(line) for line in stranger.got.splitlines()]


class NamesTests(TrustTestCase):
    """A peer with the name of another."""

    def test_another_key(self) -> None:
        """Who comes as bob with another key gets no link, whoever dials, and alice is told in words."""
        alice = self.resident("alice")
        bob = self.resident("bob", at=alice)
        self.pass_time(1)
        self.leave(bob)
        mallory = self.resident("bob", at=alice, seed="mallory")
        self.pass_time(60)
        self.assertEqual((alice.linked, mallory.linked), (set(), set()))
        key, known = (fingerprint(identity_of(BOB, seed).key) for seed in ("mallory", ""))
        self.assertEqual(alice.told(events.KeyRefused), [events.KeyRefused(BOB, key, known)])
        (failed,) = mallory.told(events.AddressFailed)
        self.assertIn("unauthorized bob@UnB is known here with another key", failed.why)
        self.assertGreater(alice.node.counters()["keys_refused"], 1)

    def test_we_dial_another_key(self) -> None:
        """The same where alice dials."""
        bob = self.resident("bob", ip="10.0.9.9")
        alice = self.resident("alice", at=bob)
        self.pass_time(1)
        self.leave(bob)
        mallory = self.resident("bob", ip="10.0.9.9", seed="mallory")
        self.pass_time(120)
        self.assertEqual((alice.linked, mallory.linked), (set(), set()))
        self.assertEqual(len(alice.told(events.KeyRefused)), 1)

    def test_trusted_then(self) -> None:
        """Once the user takes the other key, the link stands; the first key is the other then."""
        alice = self.resident("alice")
        self.leave_after_meeting(self.resident("bob", at=alice))
        mallory = self.resident("bob", at=alice, seed="mallory")
        self.pass_time(10)
        self.assertIn("of bob@UnB is taken from now on", alice.node.gate.take_other_key(BOB))
        self.pass_time(60)
        self.assert_chatting(alice, mallory)
        self.assertFalse(alice.node.gate.is_verified(BOB))
        self.assertRaises(NothingToTrust, alice.node.gate.take_other_key, BOB)

    def leave_after_meeting(self, villager: Villager) -> None:
        self.pass_time(1)
        self.leave(villager)

    def test_no_downgrade(self) -> None:
        """Who was seen with a key is refused without it, and the user told; others may come as ever."""
        alice = self.resident("alice")
        self.leave_after_meeting(self.resident("bob", at=alice))
        refused, welcome = self.plain(alice, BOB), self.plain(alice, CAROL)
        self.assertEqual([answer["type"] for answer in refused], ["ERROR"])
        self.assertEqual(refused[0]["code"], "unauthorized")
        self.assertEqual(welcome[0]["type"], "HELLO_OK")
        self.assertEqual((alice.linked, alice.told(events.KeyMissing)), ({"carol"}, [events.KeyMissing(BOB)]))
        up = alice.told(events.NeighbourUp)[-1]
        self.assertEqual((up.peer_id, up.is_encrypted), (CAROL, False))

    def test_somebody_came_before(self) -> None:
        """Who came without a key under a name has to go when its owner comes with one, and is not heard."""
        alice = self.resident("alice")
        stranger = self.stranger(alice)
        hello = {"type": "HELLO", "peer_id": BOB, "version": "1.0", "features": ["ack"]}
        stranger.say(json.dumps(hello).encode() + b"\n")
        self.pass_time(1)
        bob = self.resident("bob", at=alice)
        while answers(stranger)[-1]["type"] != "BYE":
            self.pass_time(0.01)
        stranger.say(b'{"type":"SEND","msg_id":"m","src":"bob@UnB","dst":"alice@UnB","payload":"forged"}\n')
        self.pass_time(0.1)
        self.assertEqual((alice.heard, stranger.is_closed, alice.linked), ([], False, {"bob"}))
        self.pass_time(5)
        self.assertTrue(stranger.is_closed)
        self.assert_chatting(alice, bob)
        self.assertEqual(self.protections(alice), [Protection.LINK])

    def test_friends(self) -> None:
        """Whom the user writes to is never forgotten to make room for strangers."""
        self.patch(pins_module, "MAX_PINS", 2)
        alice = self.resident("alice")
        bob = self.resident("bob", at=alice)
        self.pass_time(1)
        self.say(alice, bob, "hello")
        for name in ("carol", "dave"):
            self.resident(name, at=alice)
            self.pass_time(1)
        known = [
            peer_id.name
            for peer_id in (BOB, CAROL, PeerId("dave@UnB"))
            if alice.node.gate.keys.fingerprint_of(peer_id)
        ]
        self.assertEqual(known, ["bob", "dave"])

    def test_after_a_restart(self) -> None:
        """Keys are known after a restart, too, and who is blocked."""
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "peers.sqlite"
        alice = self.resident("alice", ip="10.0.9.9", pins=Pins(path))
        bob = self.resident("bob", at=alice)
        carol = self.resident("carol", at=alice)
        self.pass_time(1)
        alice.node.gate.keys.verify(BOB)
        alice.node.gate.block(CAROL)
        for villager in (bob, carol, alice):
            self.leave(villager)
        again = self.resident("alice", ip="10.0.9.9", pins=Pins(path))
        self.resident("bob", at=again, seed="mallory")
        self.resident("carol", at=again)
        self.pass_time(10)
        self.assertEqual((again.linked, len(again.told(events.KeyRefused))), (set(), 1))
        self.assertTrue(again.node.gate.is_verified(BOB))

    def test_cannot_be_kept(self) -> None:
        """Where what is learned cannot be written down the user is told once, and all goes on."""
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "peers.sqlite"
        alice = self.resident("alice", pins=Pins(path))
        bob = self.resident("bob", at=alice)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        self.pass_time(30)
        self.assertEqual(len(alice.told(events.PeersNotKept)), 1)
        self.assert_chatting(alice, bob)
        other.close()


class EchoingPeer(Protocol):
    """A peer of another program, which offers whatever it is offered, and knows no TLS."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        for line in data.split(b"\n")[:-1]:
            try:
                fields = json.loads(line)
            except ValueError:
                fields = {}
            answer = {"type": "ERROR", "code": "bad_format"}
            if fields.get("type") == "HELLO":
                answer = fields | {"type": "HELLO_OK", "peer_id": "echo@UnB"}
            self.transport.write(json.dumps(answer).encode() + b"\n")


class OtherProgramsTests(TrustTestCase):
    """Peers with only some of it, or with none."""

    def test_offers_all_that_it_is_offered(self) -> None:
        """Who offers TLS and goes on without is dialled again without it, and linked as ever, marked."""
        factory = ServerFactory()
        factory.noisy = False
        factory.protocol = EchoingPeer
        self.host("10.0.9.9").listenTCP(7070, factory)
        own = PeerId("alice@UnB")
        at = (Address("10.0.9.9", 7070),)
        alice = self.make("alice", "10.0.1.1", keys_of(own), rendezvous=None, peers=at)
        alice.node.startService()
        self.pass_time(5)
        (failed,) = alice.told(events.AddressFailed)
        self.assertEqual(failed.why, "TLS failed: the other end offers TLS but does not speak it")
        (up,) = alice.told(events.NeighbourUp)
        self.assertEqual((up.peer_id, up.is_encrypted), ("echo@UnB", False))

    def test_tls_without_cards(self) -> None:
        """With one that has TLS and shows no card all goes well on the link, and its key is known."""
        alice = self.resident("alice")
        own = PeerId("bob@UnB")
        keys = keys_of(own)
        assert isinstance(keys.tls, Certificates)
        keys.tls.card = None  # type: ignore[assignment]  # null is the same as missing
        bob = self.make("bob", "10.0.1.2", keys, rendezvous=None, peers=(Address(alice.ip, 7070),))
        bob.node.startService()
        self.pass_time(1)
        self.assert_chatting(alice, bob)
        self.assertEqual(self.protections(alice), [Protection.LINK])
        self.assertFalse(alice.node.gate.keys.pins.get(BOB) is None)


class RulesTests(TrustTestCase):
    """What the user wants of those who come."""

    def test_tls_required(self) -> None:
        """With --require-tls a plain peer is refused, and reads why."""
        alice = self.resident("alice", rules=Rules(require_tls=True))
        bob = self.resident("bob", at=alice)
        (answer,) = self.plain(alice, CAROL)
        self.assertEqual((answer["code"], alice.linked, bob.linked), ("unauthorized", {"bob"}, {"alice"}))
        self.assertIn("TLS", answer["detail"])

    def test_closed_group(self) -> None:
        """With --allow only those who are listed come, and what others say through relays is not taken."""
        alice = self.resident("alice", rules=Rules(allowed=Allowed({BOB: identity_of(BOB).key})))
        bob = self.resident("bob", at=alice)
        carol = self.resident("carol", at=bob)
        self.pass_time(1)
        self.assertEqual(alice.linked, {"bob"})
        self.say(carol, alice, "let me in")
        carol.node.publish(ToAll(), "let me in")
        self.pass_time(10)
        self.assertEqual((alice.heard, carol.failures), ([], [("let me in", "unauthorized")]))
        (failed,) = carol.told(events.MessageFailed)
        self.assertIn("carol@UnB is not one of those who may come here", failed.why)

    def test_blocked(self) -> None:
        """A blocked peer has no link and is not heard through relays, until it is unblocked."""
        alice = self.resident("alice")
        bob = self.resident("bob", at=alice)
        self.resident("carol", at=bob)
        carol = self.villagers[-1]
        self.pass_time(1)
        alice.node.gate.block(BOB)
        self.pass_time(3)
        self.assertEqual((alice.linked, bob.told(events.NeighbourDown)[-1].why), (
            set(), f"the peer said BYE: {BLOCKED}"
        ))  # fmt: skip
        dave = self.resident("dave", at=alice)
        bobs = Address(bob.ip, 7070)
        dave.node.switchboard.add_fixed(bobs)
        self.pass_time(5)
        self.assertEqual(dave.linked, {"alice", "bob"})
        self.say(bob, alice, "hello?")
        self.say(carol, alice, "hello!")
        self.pass_time(10)
        self.assertEqual((alice.heard, bob.failures), (["hello!"], [("hello?", "unauthorized")]))
        self.assertTrue(alice.node.gate.unblock(BOB))
        self.assertFalse(alice.node.gate.unblock(BOB))
        self.say(bob, alice, "thanks")
        self.pass_time(5)
        self.assertEqual(alice.heard, ["hello!", "thanks"])

    def test_without_keys(self) -> None:
        """A node without keys of its own looks at none, and says so to whoever wants it to."""
        node = Node(
            self.host("10.0.7.7"), ALICE, Settings(rendezvous=None), new_id=str, random=float, timestamp=str
        )
        for do in (node.gate.take_other_key, node.gate.block, node.gate.unblock):
            problem = self.assertRaises(NothingToTrust, do, BOB)
            self.assertIn("has no key of its own", str(problem))
        self.assertFalse(node.gate.is_verified(BOB))


class RelayedTests(TrustTestCase):
    """alice and carol, who reach each other only through bob, a stranger."""

    def setUp(self) -> None:
        super().setUp()
        self.bob = self.resident("bob")
        self.alice = self.resident("alice", at=self.bob)
        self.carol = self.resident("carol", at=self.bob)
        self.pass_time(1)
        #: All that bob could read.
        self.seen: list[bytes] = []
        self.bob.node.listen(self._note)
        self.bob.node.watching = True

    def _note(self, event: events.Event) -> None:
        if isinstance(event, events.LineTraced):
            self.seen.append(event.line)

    def of_type(self, kind: str) -> list[bytes]:
        """The lines of one type that bob could read."""
        return [line for line in self.seen if json.loads(line)["type"] == kind]

    def change(self, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        """From now on bob changes what he passes on; None to swallow it."""

        def pass_on(link: Link, line: bytes, source: PeerId) -> bool:
            changed = change(json.loads(line))
            if changed is not None and not link._deaf:
                link.outgoing.pass_on(json.dumps(changed).encode() + b"\n", source)
            return True

        bob_links = [link for near in self.bob.node.neighbours.values() for link in near.links]
        for link in bob_links:
            self.patch(link, "pass_on", lambda line, source, link=link: pass_on(link, line, source))

    def say_secret(self) -> None:
        self.say(self.alice, self.carol, "the secret")

    def test_sealed(self) -> None:
        """The first message is sealed already, and so is the answer; each is confirmed."""
        self.say_secret()
        self.pass_time(1)
        self.say(self.carol, self.alice, "the answer")
        self.pass_time(1)
        self.assertEqual((self.carol.heard, self.alice.heard), (["the secret"], ["the answer"]))
        self.assertEqual(self.protections(self.alice) + self.protections(self.carol), [Protection.SEALED] * 2)
        self.assertEqual((self.alice.confirmed, self.carol.confirmed), ([CAROL], [ALICE]))
        (sent,) = self.alice.told(events.MessageSent)
        self.assertEqual(sent.protection, Protection.SEALED)

    def test_reads(self) -> None:
        """The relay sees names and sizes, and not a word."""
        self.say_secret()
        self.pass_time(1)
        (line,) = self.of_type("SEND")
        fields = json.loads(line)
        self.assertEqual((fields["src"], fields["dst"], fields["payload"]), (ALICE, CAROL, ""))
        self.assertFalse(any(b"secret" in line for line in self.seen))

    def test_alters(self) -> None:
        """What the relay changes is not shown, whatever it changes; the sender hears that."""
        self.say_secret()
        self.pass_time(1)
        key = identity_of(ALICE, "mallory").key.hex()
        other_words = {"payload": "send money", "sealed": None}
        changes: list[dict[str, Any]] = [
            {"sealed": "AAAA"},
            {"src": "bob@UnB"},
            {"src": "dave@UnB"},
            {"msg_id": "another"},
            other_words,
            other_words | {"time_ms": 5, "sig": "AA=="},
            other_words | {"time_ms": 5, "sig": "AA==", "key": key},
        ]
        for change in changes:
            self.carol.events.clear()
            self.alice.events.clear()
            with self.subTest(change):
                self.change_sends(change)
                self.say_secret()
                self.pass_time(45)
                self.assertEqual((self.carol.heard, self.alice.confirmed), ([], []))
                self.assertEqual(len(self.alice.failures), 1)

    def change_sends(self, change: dict[str, Any]) -> None:
        self.change(lambda fields: fields | change if fields["type"] == "SEND" else fields)

    def test_alters_the_first(self) -> None:
        """Where alice is not known yet, other words in her name are marked, and not confirmed to her."""
        self.change_sends({"payload": "send money", "sealed": None})
        self.say_secret()
        self.pass_time(45)
        self.assertEqual(self.protections(self.carol), [Protection.NONE])
        self.assertEqual((self.alice.confirmed, len(self.alice.failures)), ([], 1))

    def test_forges(self) -> None:
        """What the relay says in the name of somebody who is known is not shown, to one or to many."""
        self.say_secret()
        self.pass_time(1)
        self.carol.events.clear()
        (carol,) = [near for near in self.bob.node.neighbours.values() if near.peer_id == CAROL]
        for kind, dst in (("SEND", CAROL), ("PUB", "#UnB"), ("PUB", "*"), ("PUB", CAROL)):
            forged = {"type": kind, "msg_id": f"f{kind}{dst}", "src": ALICE, "dst": dst, "payload": "forged"}
            carol.write(json.dumps(forged | {"ttl": 5}).encode() + b"\n")
        self.pass_time(1)
        self.assertEqual(self.carol.heard, [])
        self.assertEqual(self.carol.node.counters()["forged"], 4)

    def test_drops_and_confirms(self) -> None:
        """A relay that swallows a message cannot confirm it: its sender is told that nobody did."""
        self.say_secret()
        self.pass_time(1)
        self.alice.events.clear()
        self.change(lambda fields: None if fields["type"] == "SEND" else fields)
        delivery = self.alice.node.send(CAROL, "another secret")
        (alice,) = [near for near in self.bob.node.neighbours.values() if near.peer_id == ALICE]
        real_ack = self.of_type("ACK")[0]
        for ack in (
            {"type": "ACK", "msg_id": delivery.msg_id, "from": CAROL, "src": CAROL, "dst": ALICE, "ttl": 8},
            json.loads(real_ack) | {"msg_id": delivery.msg_id},
        ):
            alice.write(json.dumps(ack).encode() + b"\n")
        self.pass_time(30)
        self.assertEqual((self.alice.confirmed, self.alice.node.counters()["forged"]), ([], 2))
        self.assertEqual(self.alice.failures, [("another secret", "not confirmed")])

    def test_replays(self) -> None:
        """What the relay says again is shown once: at once, after an hour, and after a restart."""
        self.say_secret()
        self.pass_time(1)
        (line,) = self.of_type("SEND")

        def replay(number: int) -> None:
            fields = json.loads(line) | {"attempt": number, "ttl": 5}
            self.bob.node.neighbours[CAROL].write(json.dumps(fields).encode() + b"\n")
            self.pass_time(1)

        replay(2)
        for number in range(3, 7):
            self.pass_time(GENERATION_S)
            replay(number)
        self.assertEqual(self.carol.heard, ["the secret"])
        self.assertGreater(self.carol.node.counters()["replays_refused"], 0)

    def test_reorders(self) -> None:
        """What the relay gives in another order is shown as it comes, each once, and confirmed."""
        held: list[dict[str, Any]] = []

        def later(fields: dict[str, Any]) -> dict[str, Any] | None:
            if fields["type"] != "SEND":
                return fields
            held.append(fields)
            return None

        self.say(self.alice, self.carol, "one")
        self.pass_time(1)
        self.change(later)
        self.say(self.alice, self.carol, "two")
        self.say(self.alice, self.carol, "three")
        self.pass_time(1)
        carol = self.bob.node.neighbours[CAROL]
        for fields in reversed(held):
            carol.write(json.dumps(fields).encode() + b"\n")
        self.pass_time(1)
        self.assertEqual(self.carol.heard, ["one", "three", "two"])
        self.assertEqual(len(self.alice.confirmed), 3)

    def test_withholds_the_card(self) -> None:
        """A relay that swallows answers to questions gets nothing to read of those who are known."""
        self.alice.node.publish(ToAll(), "hello all")
        self.pass_time(6)  # carol knows by this that alice has keys
        self.change(lambda fields: None if fields["type"] == "WHO_HAS_HIT" else fields)
        self.say(self.carol, self.alice, "the secret")
        self.pass_time(10)
        self.assertEqual(self.carol.failures, [("the secret", "unauthorized")])
        self.assertFalse(any(b"the secret" in line for line in self.seen))

    def test_invents_a_route(self) -> None:
        """A relay that says it is near to somebody who is known is not believed."""
        self.say_secret()
        self.pass_time(1)
        self.leave(self.carol)
        self.pass_time(1)
        self.alice.events.clear()
        delivery = self.alice.node.send(CAROL, "another secret")
        self.pass_time(0.1)
        asked = json.loads(self.of_type("WHO_HAS")[-1])
        hit = {"type": "WHO_HAS_HIT", "msg_id": asked["msg_id"], "src": CAROL, "dst": CAROL, "via": BOB}
        self.bob.node.neighbours[ALICE].write(json.dumps(hit | {"ttl": 8, "hops": 1}).encode() + b"\n")
        self.pass_time(0.1)
        self.assertEqual((delivery.state, delivery.tries), (State.SEEKING, 1))
        self.assertEqual(self.alice.node.counters()["hits_distrusted"], 1)

    def test_somebody_without_keys(self) -> None:
        """To a peer that has none, and from it, all goes as ever, visibly unsecured."""
        dave = self.join("dave", "10.0.8.8", rendezvous=None, peers=(Address(self.bob.ip, 7070),))
        self.pass_time(1)
        self.say(self.alice, dave, "hi dave")
        self.pass_time(3)
        self.say(dave, self.alice, "hi alice")
        self.pass_time(3)
        self.assertEqual((dave.heard, self.alice.heard), (["hi dave"], ["hi alice"]))
        self.assertEqual((self.alice.confirmed, dave.confirmed), ([dave.own], [ALICE]))
        self.assertEqual(self.protections(self.alice), [Protection.NONE])
        (sent,) = self.alice.told(events.MessageSent)
        self.assertEqual(sent.protection, Protection.SIGNED)


class CastTests(TrustTestCase):
    def test_namespace_key(self) -> None:
        """Members read what is said to the namespace, sealed; an outsider passes it on and reads nothing."""
        key = NamespaceKey.new("UnB", random_bytes_of("UnB"))
        outsider = self.resident("bob")
        alice = self.resident("alice", at=outsider, namespace_key=key)
        carol = self.resident("carol", at=outsider, namespace_key=key)
        seen: list[events.LineTraced] = []
        outsider.node.listen(
            lambda event: seen.append(event) if isinstance(event, events.LineTraced) else None
        )
        outsider.node.watching = True
        self.pass_time(6)
        alice.node.publish(ToNamespace("UnB"), "the secret")
        self.pass_time(1)
        self.assertEqual((carol.heard, outsider.heard), (["the secret"], []))
        self.assertEqual(self.protections(carol), [Protection.SEALED])
        self.assertFalse(any(b"secret" in event.line for event in seen))
        self.assertEqual(outsider.node.counters()["casts_unreadable"], 1)

    def test_signed(self) -> None:
        """Without a key they are signed, and as good as the link where they come straight."""
        alice = self.resident("alice")
        bob = self.resident("bob", at=alice)
        carol = self.resident("carol", at=bob)
        self.pass_time(6)
        alice.node.publish(ToAll(), "to all")
        self.pass_time(1)
        self.assertEqual(
            (self.protections(bob), self.protections(carol)), ([Protection.LINK], [Protection.SIGNED])
        )
