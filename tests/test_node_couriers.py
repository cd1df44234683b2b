"""Real nodes that keep messages for peers that are away, and hand them over (docs/protocol.md, 12.4)."""

from __future__ import annotations

import json
from typing import Any

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.protocol.names import PeerId
from p2pchat.protocol.protection import Protection
from p2pchat.routing.deposits import KEEP_S
from p2pchat.trust.namespacekey import NamespaceKey
from p2pchat.trust.pins import Pins
from tests.keys import keys_of
from tests.village import MORNING_MS, NodeTestCase, Villager

ALICE, BOB, CAROL, DAVE = (PeerId(f"{name}@UnB") for name in ("alice", "bob", "carol", "dave"))


class CourierTestCase(NodeTestCase):
    """Peers with keys and disks, which remember whom they met. All know all from an earlier meeting."""

    keep = True

    def setUp(self) -> None:
        super().setUp()
        self.pins: dict[str, Pins] = {}
        self.namespace_key: NamespaceKey | None = None
        self.rendezvous()

    def resident(self, name: str, ip: str = "", **settings: Any) -> Villager:
        """Start a peer, or start it again."""
        own = PeerId(f"{name}@UnB")
        pins = self.pins.setdefault(name, Pins())
        keys = keys_of(own, pins=pins, now_ms=self.now_ms, namespace_key=self.namespace_key)
        villager = self.make(name, ip or f"10.0.1.{ord(name[0])}", keys, **settings)
        villager.node.startService()
        return villager

    def now_ms(self) -> int:
        """The time of day, the same for all."""
        return MORNING_MS + round(self.network.clock.seconds() * 1000)

    def gather(self, *names: str, **settings: Any) -> list[Villager]:
        """Let peers meet."""
        residents = [self.resident(name, **settings) for name in names]
        self.pass_time(40)
        self.assert_linked(*residents)
        return residents

    def write_to_bob(self, *texts: str) -> tuple[Villager, Villager]:
        """Let alice write to bob, who has just left; return her and carol, who keeps it."""
        alice, bob, carol = self.gather("alice", "bob", "carol")
        self.leave(bob)
        for text in texts or ("hi",):
            alice.node.send(BOB, text)
        self.pass_time(20)
        return alice, carol

    def kept_by(self, villager: Villager) -> int:
        """How many messages a peer keeps for others."""
        return villager.node.counters()["courier_messages"]


class HandingOverTests(CourierTestCase):
    def test_sender_away(self) -> None:
        """Alice writes to bob, who is away, and leaves; bob comes and reads it once; alice hears of that."""
        alice, carol = self.write_to_bob("see you at noon")
        self.assertEqual([event.couriers for event in alice.told(events.MessageHeld)], [(CAROL,)])
        self.assertEqual(self.kept_by(carol), 1)
        self.leave(alice)
        self.pass_time(3600)
        bob = self.resident("bob")
        self.pass_time(60)
        (arrived,) = bob.told(events.MessageArrived)
        self.assertEqual((arrived.src, arrived.payload, arrived.via), (ALICE, "see you at noon", CAROL))
        self.assertEqual(arrived.protection, Protection.SEALED)
        self.assertEqual(round(arrived.late_s or 0.0, -2), 3600)
        self.assertEqual(self.kept_by(carol), 0)
        self.leave(bob)
        alice = self.resident("alice")
        self.pass_time(60)
        (confirmed,) = alice.told(events.MessageConfirmed)
        self.assertEqual((confirmed.dst, confirmed.via, confirmed.is_proved), (BOB, CAROL, True))
        self.assertEqual(alice.node.kept(), [])
        self.assertEqual(carol.node.counters()["courier_receipts"], 0)

    def test_all_at_once(self) -> None:
        """Three couriers and the sender deliver at once: it is shown once, and all know that it arrived."""
        alice, bob, *couriers = self.gather("alice", "bob", "carol", "dave", "erin")
        self.leave(bob)
        for number in range(20):
            alice.node.send(BOB, str(number))
        self.pass_time(40)
        self.assertEqual([self.kept_by(each) for each in couriers], [20] * 3)
        bob = self.resident("bob")
        self.pass_time(60)
        self.assertEqual(bob.heard, [str(number) for number in range(20)])
        self.assertEqual(alice.confirmed, [BOB] * 20)
        self.assertEqual([self.kept_by(each) for each in couriers], [0] * 3)
        self.assertEqual([each.node.counters()["courier_receipts"] for each in couriers], [0] * 3)

    def test_courier_killed(self) -> None:
        """What a courier keeps is there after it was killed, and what it knows of it, too."""
        alice, carol = self.write_to_bob()
        self.kill(alice)
        self.kill(carol)
        self.pass_time(600)
        carol = self.resident("carol")
        self.assertEqual(self.kept_by(carol), 1)
        bob = self.resident("bob")
        self.pass_time(60)
        self.assertEqual(bob.heard, ["hi"])
        self.kill(carol)
        self.kill(bob)
        carol, alice = self.resident("carol"), self.resident("alice")
        self.pass_time(60)
        self.assertEqual((alice.confirmed, carol.node.counters()["courier_receipts"]), ([BOB], 0))

    def test_damaged(self) -> None:
        """What cannot be read any more of what a courier kept is dropped, and all else goes on."""
        alice, carol = self.write_to_bob("1", "2", "3")
        self.kill(alice)
        self.leave(carol)
        db = self.disks[CAROL].connect()
        db.execute("UPDATE carried SET ack = 'no JSON' WHERE seq = 1")
        db.execute('UPDATE carried SET ack = \'{"type":"BYE"}\' WHERE seq = 2')
        carol = self.resident("carol")
        self.assertEqual(self.kept_by(carol), 1)
        bob = self.resident("bob")
        self.pass_time(60)
        self.assertEqual(bob.heard, ["3"])

    def test_recipient_killed(self) -> None:
        """Bob is killed right after he has read it, and comes back: it is not shown again."""
        alice, carol = self.write_to_bob()
        self.leave(alice)
        bob = self.resident("bob")
        really = carol.node.router.courier.on_ack  # type: ignore[union-attr]
        self.patch(carol.node.router.courier, "on_ack", lambda *_given: None)
        self.pass_time(3)
        self.assertEqual((bob.heard, self.kept_by(carol)), (["hi"], 1))
        self.kill(bob)
        self.patch(carol.node.router.courier, "on_ack", really)
        self.pass_time(1200)
        bob = self.resident("bob")
        self.pass_time(700)
        self.assertEqual((bob.heard, self.kept_by(carol)), ([], 0))

    def test_days_later(self) -> None:
        """It is no replay, however much alice has said to bob meanwhile over relays."""
        alice, carol = self.write_to_bob()
        self.leave(alice)
        self.leave(carol)
        self.pass_time(KEEP_S - 7200)
        carol, bob = self.resident("carol"), self.resident("bob")
        self.pass_time(60)
        (arrived,) = bob.told(events.MessageArrived)
        self.assertEqual(round(arrived.late_s or 0.0, -2), KEEP_S - 7200)
        self.assertEqual((bob.heard, self.kept_by(carol)), (["hi"], 0))

    def test_too_late(self) -> None:
        """After 48 hours a courier keeps it no longer; its sender does."""
        alice, carol = self.write_to_bob()
        self.leave(alice)
        self.leave(carol)
        self.pass_time(KEEP_S)
        carol = self.resident("carol")
        self.pass_time(5)
        counters = carol.node.counters()
        self.assertEqual((counters["courier_messages"], counters["courier_expired"]), (0, 1))
        bob, alice = self.resident("bob"), self.resident("alice")
        self.pass_time(60)
        self.assertEqual((bob.heard, alice.confirmed), (["hi"], [BOB]))

    def test_behind_a_relay(self) -> None:
        """A courier hands over through whoever reaches the recipient."""
        alice, carol = self.write_to_bob()
        self.leave(alice)
        dave = self.resident("dave", rendezvous=None, peers=(Address(carol.ip, 7070),))
        bob = self.resident("bob", "10.0.7.7", rendezvous=None, peers=(Address(dave.ip, 7070),))
        self.pass_time(700)
        self.assertEqual((bob.linked, bob.heard, self.kept_by(carol)), ({"dave"}, ["hi"], 0))


class KeepingBackTests(CourierTestCase):
    def test_off(self) -> None:
        """Who does not want to be a courier is asked nothing, and offers nothing."""
        alice, bob, carol = self.gather("alice", "bob", "carol", courier=False)
        self.leave(bob)
        alice.node.send(BOB, "hi")
        self.pass_time(60)
        self.assertEqual(alice.told(events.MessageHeld), [])
        self.assertNotIn("courier", carol.node.neighbours[ALICE].features)

    def test_only_sealed(self) -> None:
        """For a peer that showed no card nothing is given to anybody."""
        alice, _carol = self.gather("alice", "carol")
        alice.node.send(BOB, "hi")
        self.pass_time(60)
        self.assertEqual(alice.told(events.MessageHeld), [])

    def test_cannot_read(self) -> None:
        """Nothing of the text is in what a courier gets, nor in what it writes down."""
        alice, bob, carol = self.gather("alice", "bob", "carol")
        self.leave(bob)
        lines: list[bytes] = []
        received = carol.node.router.received

        def note(neighbour: Any, message: Any, line: bytes) -> None:
            lines.append(line)
            received(neighbour, message, line)

        self.patch(carol.node.router, "received", note)
        alice.node.send(BOB, "SECRET")
        self.pass_time(20)
        (hold,) = [line for line in lines if b"HOLD" in line]
        (load,) = self.disks[CAROL].connect().execute("SELECT * FROM carried").fetchall()
        self.assertNotIn("SECRET", f"{hold!r} {load}")

    def test_cancelled(self) -> None:
        """What is taken back is taken back from couriers; from those that are away it cannot be."""
        alice, carol = self.write_to_bob("1", "2")
        deliveries = alice.node.kept()
        self.assertEqual(self.kept_by(carol), 2)
        alice.node.cancel(deliveries[0].msg_id)
        self.pass_time(1)
        self.assertEqual(self.kept_by(carol), 1)
        self.leave(carol)
        alice.node.cancel(deliveries[1].msg_id)
        self.assertIn("carol@UnB cannot be told and may hand over a copy", deliveries[1].why)

    def test_lying_courier(self) -> None:
        """A courier that says that it has handed over something is not believed."""
        alice, carol = self.write_to_bob()
        (delivery,) = alice.node.kept()
        ack = {"type": "ACK", "msg_id": delivery.msg_id, "from": BOB, "src": BOB, "dst": ALICE, "ttl": 8}
        for forged in (ack, ack | {"receipt": "AQ=="}, ack | {"receipt": "AQ==", "sig": "AQ=="}):
            carol.node.neighbours[ALICE].write(json.dumps(forged).encode() + b"\n")
        self.pass_time(1)
        self.assertEqual((alice.confirmed, len(alice.node.kept())), ([], 1))
        self.assertEqual(alice.node.counters()["forged"], 3)

    def test_lying_relay(self) -> None:
        """Nor is a relay that says so to a courier: only the recipient can make the receipt."""
        alice, carol = self.write_to_bob()
        (delivery,) = alice.node.kept()
        self.leave(alice)
        dave = self.resident("dave")
        self.pass_time(40)
        ack = {"type": "ACK", "msg_id": delivery.msg_id, "from": BOB, "src": BOB, "dst": ALICE, "ttl": 8}
        dave.node.neighbours[CAROL].write(json.dumps(ack | {"receipt": "AQ=="}).encode() + b"\n")
        self.pass_time(1)
        self.assertEqual(self.kept_by(carol), 1)
