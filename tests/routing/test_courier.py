"""What a courier keeps for others, how much of it, and how it hands it over."""

from __future__ import annotations

import json
from typing import Any

from msgspec import UnsetType

from p2pchat.protocol.codec import decode
from p2pchat.protocol.messages import Ack, Hold
from p2pchat.routing import courier as module
from p2pchat.routing.courier import Courier, Room
from p2pchat.routing.deposits import KEEP_S
from p2pchat.routing.trust import NoTrust
from tests.routing.neighbours import ALICE, BOB, CAROL, DAVE, Neighbour, RouterTestCase

OFFERS = frozenset({"ack", "relay", "who_has", "courier"})


class Locks(NoTrust):
    """Believes a receipt that is called as the lock is."""

    def fits(self, receipt: str | UnsetType, lock: str) -> bool:
        """Compare them."""
        return receipt == f"for {lock}"


class CourierTestCase(RouterTestCase):
    """Alice is a courier; bob gives her messages for carol."""

    def setUp(self) -> None:
        super().setUp()
        self.begin(Locks(), keeps=True, carries=True)
        self.bob = self.link(BOB, features=OFFERS)

    @property
    def courier(self) -> Courier:
        assert self.router.courier is not None
        return self.router.courier

    def hold(self, msg_id: str, source: Neighbour | None = None, **fields: Any) -> None:
        """Let a neighbour ask for a message to be kept."""
        source = source or self.bob
        given = {"src": source.peer_id, "dst": CAROL, "sealed": f"box {msg_id}", "lock": msg_id}
        self.receive(source, "HOLD", msg_id=msg_id, **given | {"for_s": 1000} | fields)

    def answer(self, neighbour: Neighbour | None = None) -> tuple[int, str]:
        """The last answer to that: for how long, and why not."""
        last = (neighbour or self.bob).of_type("HELD")[-1]
        return last["for_s"], last["reason"]

    def ack(self, neighbour: Neighbour, msg_id: str, receipt: str | None = None) -> None:
        """Let a neighbour bring carol's confirmation."""
        fields = {"from_": CAROL, "src": CAROL, "dst": BOB, "ttl": 8}
        self.receive(neighbour, "ACK", msg_id=msg_id, receipt=receipt or f"for {msg_id}", **fields)


class TakingTests(CourierTestCase):
    def test_taken(self) -> None:
        """What is kept is written down before its sender hears so."""
        self.house.disk.is_slow = True
        self.hold("m1")
        self.assertEqual(self.bob.of_type("HELD"), [])
        self.assertEqual(list(self.loads.kept), ["m1"])
        self.house.disk.catch_up()
        self.assertEqual(self.answer(), (1000, ""))

    def test_twice(self) -> None:
        """Who asks once more hears for how long it is kept yet; it is not kept longer."""
        self.hold("m1")
        self.advance(100)
        self.hold("m1")
        self.assertEqual(self.answer(), (900, ""))
        self.assertEqual(self.courier.sizes()["courier_messages"], 1)

    def test_came_again_meanwhile(self) -> None:
        """A sender that has another link by then hears it over that."""
        self.house.disk.is_slow = True
        self.hold("m1")
        self.router.neighbour_down(self.bob, "gone")
        old, self.bob = self.bob, self.link(BOB, features=OFFERS)
        self.house.disk.catch_up()
        self.assertEqual((old.of_type("HELD"), self.answer()), ([], (1000, "")))

    def test_two_days(self) -> None:
        """Nobody has it kept for longer than 48 hours."""
        self.hold("m1", for_s=10**9)
        self.assertEqual(self.answer(), (int(KEEP_S), ""))

    def test_gone_meanwhile(self) -> None:
        """A sender that left, or took it back, before it was written down hears nothing."""
        self.house.disk.is_slow = True
        self.hold("m1")
        self.hold("m2")
        self.hold("m2", for_s=0)
        self.router.neighbour_down(self.bob, "gone")
        self.house.disk.catch_up()
        self.assertEqual(self.bob.of_type("HELD"), [])
        self.assertEqual(self.courier.sizes()["courier_messages"], 1)

    def test_taken_back(self) -> None:
        """Its sender may take it back, nobody else."""
        dave = self.link(DAVE, features=OFFERS)
        self.hold("m1")
        self.hold("m1", dave, for_s=0)
        self.assertEqual(self.answer(dave), (0, "busy"))
        self.assertEqual(list(self.loads.kept), ["m1"])
        self.hold("m1", for_s=0)
        self.hold("unknown", for_s=0)
        self.assertEqual((self.loads.kept, self.courier.sizes()["courier_messages"]), ({}, 0))

    def test_of_another(self) -> None:
        """Nobody gives away what another has said."""
        refused = self.refusal_of(self.bob, "HOLD", msg_id="m1", src=DAVE, dst=CAROL, sealed="x", for_s=9)
        self.assertEqual(refused.code, "unauthorized")

    def test_of_no_use(self) -> None:
        """What could not be handed over is refused: without a box or a lock, to oneself or to the courier."""
        for wrong in ({"sealed": ""}, {"lock": ""}, {"dst": BOB}, {"dst": ALICE}):
            self.hold("m1", **wrong)
            self.assertEqual(self.answer(), (0, "bad_format"), wrong)
        self.hold("m1", sealed="x" * 32_650)
        self.assertEqual(self.answer(), (0, "line_too_long"))
        self.assertEqual((self.loads.kept, self.courier.sizes()["courier_refused"]), ({}, 5))

    def test_not_offered(self) -> None:
        """A peer that is no courier says so."""
        self.begin(keeps=True)
        bob = self.link(BOB)
        refused = self.refusal_of(bob, "HOLD", msg_id="m1", src=BOB, dst=CAROL, for_s=9)
        self.assertEqual(refused.code, "bad_format")
        self.receive(bob, "HELD", msg_id="m1", for_s=9)


class RoomTests(CourierTestCase):
    def setUp(self) -> None:
        super().setUp()
        for name in ("PER_SENDER", "PER_RECIPIENT", "IN_ALL"):
            self.patch(module, name, Room(100, 10**6))

    def test_of_a_sender(self) -> None:
        """Of one sender so many are kept, whoever they are for; others have their own share."""
        self.patch(module, "PER_SENDER", Room(2, 10**6))
        for number in range(3):
            self.hold(f"m{number}", dst=f"{number}@UnB")
        self.assertEqual(self.answer(), (0, "over_quota"))
        dave = self.link(DAVE, features=OFFERS)
        self.hold("d", dave)
        self.assertEqual(self.answer(dave), (1000, ""))
        self.hold("m0", for_s=0)
        self.hold("m2")
        self.assertEqual(self.answer(), (1000, ""))

    def test_for_a_recipient(self) -> None:
        """The same for one recipient, whoever writes to it."""
        self.patch(module, "PER_RECIPIENT", Room(1, 10**6))
        dave = self.link(DAVE, features=OFFERS)
        self.hold("m1")
        self.hold("d1", dave)
        self.assertEqual(self.answer(dave), (0, "over_quota"))
        self.hold("d2", dave, dst="erin@UnB")
        self.assertEqual(self.answer(dave), (1000, ""))

    def test_in_all(self) -> None:
        """And in all, by number and by size."""
        dave = self.link(DAVE, features=OFFERS)
        for most in (Room(1, 10**6), Room(100, 1500)):
            self.patch(module, "IN_ALL", most)
            self.hold("m1", sealed="x" * 500)
            self.hold("d1", dave, dst="erin@UnB", sealed="x" * 500)
            self.assertEqual(self.answer(dave), (0, "busy"), most)
            self.hold("m1", for_s=0)

    def test_at_once(self) -> None:
        """Who asks too often is refused, since each costs a write to the disk."""
        for number in range(1001):
            self.hold(f"m{number}")
            self.hold(f"m{number}", for_s=0)
        self.assertEqual(self.answer(), (0, "over_quota"))

    def test_shares_end(self) -> None:
        """Of those of whom nothing is kept nothing is remembered."""
        for number in range(5):
            self.hold(f"m{number}")
        for number in range(5):
            self.hold(f"m{number}", for_s=0)
        self.assertEqual(self.courier._shares, {})


class HandingOverTests(CourierTestCase):
    def test_when_it_comes(self) -> None:
        """What is kept goes as soon as its recipient is linked, in order, as its sender sealed it."""
        for number in range(3):
            self.hold(f"m{number}")
        self.advance(600)
        carol = self.link(CAROL)
        sent = carol.of_type("SEND")
        self.assertEqual(
            [(each["msg_id"], each["sealed"]) for each in sent], [(f"m{n}", f"box m{n}") for n in range(3)]
        )
        for each in sent:
            self.assertEqual(
                (each["src"], each["dst"], each["courier"], each["payload"]), (BOB, CAROL, ALICE, "")
            )

    def test_through_a_relay(self) -> None:
        """It goes over a relay, too, once its recipient is heard of there."""
        for number in range(2):
            self.hold(f"m{number}")
        dave = self.link(DAVE)
        self.advance(10)
        dave.lines.clear()
        self.receive(dave, "PUB", msg_id="p", src=CAROL, dst="*", payload="here I am", ttl=7)
        self.advance(1)
        self.assertEqual([each["msg_id"] for each in dave.of_type("SEND")], ["m0", "m1"])
        self.ack(dave, "m0")
        self.ack(dave, "m1")
        self.assertEqual(self.courier.sizes()["courier_handed_over"], 2)

    def test_receipt(self) -> None:
        """Only the receipt ends it; then the confirmation is kept for its sender, and not the box."""
        self.hold("m1")
        dave = self.link(DAVE)
        self.know(CAROL, dave)
        self.router.noticed(CAROL)
        self.advance(1)
        self.ack(dave, "m1", "wrong")
        self.assertEqual(self.courier.sizes()["courier_handed_over"], 0)
        self.router.neighbour_down(self.bob, "gone")
        self.ack(dave, "m1")
        sizes = self.courier.sizes()
        self.assertEqual((sizes["courier_messages"], sizes["courier_receipts"]), (0, 1))
        self.assertEqual(self.loads.kept["m1"].hold.sealed, "")
        self.bob = self.link(BOB, features=OFFERS)
        (ack,) = self.bob.of_type("ACK")
        self.assertEqual((ack["from"], ack["dst"], ack["receipt"]), (CAROL, BOB, "for m1"))
        self.hold("m1")
        self.assertEqual(len(self.bob.of_type("ACK")), 2)
        self.hold("m1", for_s=0)
        self.assertEqual((self.loads.kept, self.courier._shares), ({}, {}))

    def test_receipt_goes_on(self) -> None:
        """A confirmation goes to its sender at once where that can be reached."""
        self.hold("m1")
        carol = self.link(CAROL)
        self.ack(carol, "m1")
        self.assertEqual([each["msg_id"] for each in self.bob.of_type("ACK")], ["m1"])

    def test_sender_is_away(self) -> None:
        """A relay does not take the sender to be where the courier is."""
        self.give(self.bob, DAVE, "m1", src=CAROL, courier=BOB)
        self.assertEqual(self.ways(CAROL), [])

    def test_plain(self) -> None:
        """A recipient that came back as a plain peer cannot open it, and gets nothing."""
        self.hold("m1")
        carol = self.link(CAROL, plain=True)
        self.advance(60)
        self.assertEqual(carol.of_type("SEND"), [])
        self.assertEqual(list(self.loads.kept), ["m1"])

    def test_refused(self) -> None:
        """What its recipient refuses is kept no longer; its sender is not told by those who are not asked."""
        self.hold("m1")
        carol = self.link(CAROL)
        self.receive(carol, "ERROR", code="unauthorized", ref="m1", detail="no", dst=BOB)
        self.assertEqual(self.loads.kept, {})
        self.assertEqual(self.bob.of_type("ERROR"), [])

    def test_too_late(self) -> None:
        """After the time that was asked for it is kept no longer."""
        self.hold("m1", for_s=60)
        self.hold("m2")
        self.advance(75)
        self.assertEqual(list(self.loads.kept), ["m2"])
        self.assertEqual(self.courier.sizes()["courier_expired"], 1)

    def test_receipts_end(self) -> None:
        """Nor is a receipt, if its sender does not come."""
        self.hold("m1", for_s=60)
        carol = self.link(CAROL)
        self.ack(carol, "m1")
        self.advance(75)
        sizes = self.courier.sizes()
        self.assertEqual((self.loads.kept, sizes["courier_receipts"], sizes["courier_expired"]), ({}, 0, 0))

    def test_resumed(self) -> None:
        """What an earlier run kept goes on; what became too old meanwhile does not."""
        ack = decode(json.dumps({"type": "ACK", "msg_id": "m2", "from": CAROL, "dst": DAVE}).encode())
        assert isinstance(ack, Ack)
        for msg_id, for_s, its_ack in (("m1", 100.0, None), ("m2", 100.0, ack), ("m3", -5.0, None)):
            self.loads.kept[msg_id] = None  # type: ignore[assignment]
            hold = Hold(msg_id, DAVE, CAROL, sealed="x", lock=msg_id)
            self.courier.resume(hold, for_s, its_ack)
        self.advance(15)
        self.assertEqual(list(self.loads.kept), ["m1", "m2"])
        carol, dave = self.link(CAROL), self.link(DAVE)
        self.assertEqual([each["msg_id"] for each in carol.of_type("SEND")], ["m1"])
        self.assertEqual([each["msg_id"] for each in dave.of_type("ACK")], ["m2"])

    def test_not_counted(self) -> None:
        """What a courier sends for others is not counted as ours."""
        self.hold("m1")
        carol = self.link(CAROL)
        self.ack(carol, "m1")
        tally = self.router.tally
        self.assertEqual((tally.sent, tally.confirmed, tally.postponed), (0, 0, 0))
