"""What is sealed, signed and checked, message by message (docs/protocol.md, section 11)."""

from __future__ import annotations

import json
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import Ack, Hold, Pub, Send, WhoHas, WhoHasHit
from p2pchat.protocol.names import PeerId, ToAll, ToNamespace, ToPeer
from p2pchat.protocol.protection import Protection
from p2pchat.routing.trust import Belief
from p2pchat.trust import seals as seals_module
from p2pchat.trust.base64 import decode, encode
from p2pchat.trust.namespacekey import NamespaceKey
from p2pchat.trust.pins import Pins
from p2pchat.trust.replays import GENERATION_S
from p2pchat.trust.sealing import Content, seal
from p2pchat.trust.seals import MAX_AHEAD_MS, NO_CARD_S, REMEMBERED_MS, Seals
from p2pchat.trust.signing import framed
from p2pchat.trust.trust import STRANGERS_PER_S, Rules, Trust
from tests.keys import NOON_MS, identity_of, nested_deep, random_bytes_of
from tests.trust.test_trust import Notes

ALICE, BOB, CAROL = (PeerId(f"{name}@UnB") for name in ("alice", "bob", "carol"))
HELLO = Send("m1", ALICE, BOB, "the secret", ttl=8)
CAST = Pub("c1", ALICE, "to all", dst="#UnB", ttl=8)
QUESTION = WhoHas("q1", ALICE, BOB, 8)
HIT = WhoHasHit("q1", BOB, BOB, BOB, 8, 0)


class Person:
    """A peer with keys, as far as messages go."""

    def __init__(
        self,
        own: PeerId,
        seed: str = "",
        pins: Pins | None = None,
        namespace_key: NamespaceKey | None = None,
        rules: Rules | None = None,
        remembers: bool = False,
    ) -> None:
        self.own = own
        self.now_s = 0.0
        self.now_ms = NOON_MS
        self.identity = identity_of(own, seed)
        self.notes = Notes()
        self.pins = Pins() if pins is None else pins
        self.trust = Trust(
            self.identity,
            self.pins,
            rules or Rules(),
            self.notes,
            lambda: self.now_ms,
            lambda: self.now_s,
        )
        self.seals = Seals(self.trust, namespace_key, random_bytes_of(f"{own} salts"), lambda: remembers)

    def knows(self, other: Person, has_card: bool = True) -> None:
        """Pin the key of another."""
        card = other.identity.card if has_card else None
        assert self.trust.meet(other.own, other.identity.key, card) is None

    def wrap(self, message: Send) -> Send:
        """Return a message as relays may have it."""
        return self.seals.wrap(message)[0]

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds
        self.now_ms += round(seconds * 1000)
        self.seals.tick()


class SealsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.alice, self.bob, self.mallory = Person(ALICE), Person(BOB), Person(ALICE, "mallory")

    def assert_refused(self, message: Send, words: str, code: ErrorCode = ErrorCode.UNAUTHORIZED) -> None:
        """Assert that bob refuses a message."""
        problem = self.assertRaises(ProtocolError, self.bob.seals.unwrap, message)
        self.assertEqual((problem.code, problem.ref), (code, message.msg_id))
        self.assertIn(words, problem.detail)

    def assert_cast_refused(self, message: Pub, words: str) -> None:
        problem = self.assertRaises(ProtocolError, self.bob.seals.unwrap_cast, message, False)
        self.assertIn(words, problem.detail)


class CourierTests(SealsTestCase):
    """Copies with couriers, receipts, and what is late without being a replay."""

    def setUp(self) -> None:
        super().setUp()
        self.alice.knows(self.bob)
        self.bob = Person(BOB, remembers=True)

    def copy(self, said_at_ms: int = NOON_MS) -> tuple[Send, Hold]:
        """Return a message as a courier has it, and as it hands it over."""
        hold = self.alice.seals.wrap_for_courier(HELLO, said_at_ms)
        assert hold is not None
        return replace(HELLO, payload="", sealed=hold.sealed, courier="carol@UnB"), hold

    def test_opened(self) -> None:
        """Bob opens it, and has the time at which it was said."""
        handed_over, hold = self.copy()
        self.assertEqual((hold.msg_id, hold.src, hold.dst, hold.for_s), (HELLO.msg_id, ALICE, BOB, 0))
        opened, protection = self.bob.seals.unwrap(handed_over)
        self.assertEqual(
            (opened.payload, opened.time_ms, protection), (HELLO.payload, NOON_MS, Protection.SEALED)
        )

    def test_receipt(self) -> None:
        """Who opened it has the receipt; it fits each copy of this message, and no other."""
        handed_over, hold = self.copy()
        opened, _ = self.bob.seals.unwrap(handed_over)
        ack = self.bob.seals.sign_ack(Ack(HELLO.msg_id, BOB, BOB, ALICE), opened)
        other = self.alice.seals.wrap_for_courier(replace(HELLO, payload="other"), NOON_MS)
        assert other is not None
        self.assertTrue(self.alice.seals.fits(ack.receipt, hold.lock))
        self.assertTrue(self.alice.seals.fits(ack.receipt, self.copy()[1].lock))
        for receipt, lock in (
            (ack.receipt, other.lock),
            (ack.receipt, "no base64"),
            ("AQ==", hold.lock),
            (hold.lock, hold.lock),
            (UNSET, hold.lock),
        ):
            self.assertFalse(self.alice.seals.fits(receipt, lock), (receipt, lock))

    def test_receipt_tells_nothing(self) -> None:
        """The receipt is not the signature, by which a guess at the text could be checked."""
        opened, _ = self.bob.seals.unwrap(self.copy()[0])
        ack = self.bob.seals.sign_ack(Ack(HELLO.msg_id, BOB, BOB, ALICE), opened)
        self.assertNotIn(str(opened.sig), (ack.receipt, ack.sig))

    def test_no_courier(self) -> None:
        """Where no courier had it there is no receipt."""
        opened, _ = self.bob.seals.unwrap(self.alice.wrap(HELLO))
        self.assertIs(self.bob.seals.sign_ack(Ack(HELLO.msg_id, BOB, BOB, ALICE), opened).receipt, UNSET)

    def test_believed(self) -> None:
        """Alice believes a confirmation of the copy, also in another run."""
        opened, _ = self.bob.seals.unwrap(self.copy()[0])
        ack = self.bob.seals.sign_ack(Ack(HELLO.msg_id, BOB, BOB, ALICE), opened)
        again = Person(ALICE, pins=self.alice.pins)
        self.assertIs(
            again.seals.believes_ack(ack, BOB, again.seals.courier_sig(HELLO, NOON_MS)), Belief.PROVED
        )
        self.assertIs(again.seals.believes_ack(ack, BOB, again.seals.courier_sig(HELLO, 0)), Belief.FORGED)

    def test_seal_taken_off(self) -> None:
        """A relay that takes off the seal of what a courier hands over has nothing confirmed by that."""
        bare = replace(HELLO, payload="", courier="carol@UnB")
        opened, _ = self.bob.seals.unwrap(bare)
        ack = self.bob.seals.sign_ack(Ack(HELLO.msg_id, BOB, BOB, ALICE), opened)
        self.alice.trust.meet(BOB, self.bob.identity.key, signs=True)
        self.assertIs(self.alice.seals.believes_ack(ack, BOB, ""), Belief.FORGED)

    def test_without_card(self) -> None:
        """For whom no card is known nothing can be sealed."""
        self.assertIsNone(self.alice.seals.wrap_for_courier(replace(HELLO, dst="carol@UnB"), NOON_MS))

    def late(self) -> Send:
        """Return what was said before much that bob has heard since."""
        handed_over, _ = self.copy()
        self.bob.seals.unwrap(self.alice.wrap(replace(HELLO, msg_id="m0")))
        for person in (self.alice, self.bob):
            for _ in range(3):
                person.passes(GENERATION_S)
        self.bob.seals.unwrap(self.alice.wrap(replace(HELLO, msg_id="m2")))
        return handed_over

    def test_late(self) -> None:
        """Who remembers on disk what was shown takes it, however late it is: for ten days."""
        late = self.late()
        self.assertEqual(self.bob.seals.unwrap(late)[0].payload, HELLO.payload)
        self.bob.passes(REMEMBERED_MS / 1000)
        self.assert_refused(late, "replay")

    def test_late_without_disk(self) -> None:
        """Who does not takes it for a replay."""
        self.bob = Person(BOB)
        self.assert_refused(self.late(), "replay")

    def test_cast(self) -> None:
        """So does everybody with what is said to many, which no courier keeps."""
        cast = self.alice.seals.wrap_cast(Pub("p1", ALICE, "hi", "#UnB"))
        self.late()
        problem = self.assertRaises(ProtocolError, self.bob.seals.unwrap_cast, cast, False)
        self.assertIn("replay", problem.detail)


class SealedTests(SealsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.alice.knows(self.bob)

    def sealed(self, by: Person | None = None, **changed: Any) -> Send:
        """Return a message to bob with something else in its box, sealed as it should be."""
        person = by or self.alice
        given = {"payload": "hi", "time_ms": NOON_MS, "key": encode(person.identity.key), **changed}
        said = HELLO.src, HELLO.dst, HELLO.msg_id, given["time_ms"], given["payload"]
        given.setdefault("sig", encode(person.identity.sign("send/1", *said)))
        box = seal(self.bob.identity.card, Content(**given).to_bytes(), framed("send/1", ALICE, BOB, "m1"))
        return replace(HELLO, payload="", sealed=encode(box))

    def test_sealed(self) -> None:
        """To whom the card is known of, it is sealed: relays see names and a size, and bob all of it."""
        wrapped = self.alice.wrap(HELLO)
        assert isinstance(wrapped.sealed, str)
        self.assertEqual(replace(wrapped, sealed=UNSET), replace(HELLO, payload=""))
        self.assertNotIn(b"secret", decode(wrapped.sealed))
        opened, protection = self.bob.seals.unwrap(wrapped)
        self.assertEqual((replace(opened, sig=UNSET, time_ms=UNSET), protection), (HELLO, Protection.SEALED))
        self.assertEqual(self.bob.seals.unwrap(self.sealed())[0].payload, "hi")

    def test_copies(self) -> None:
        """A copy is taken again, since its confirmation may have got lost; another number changes nothing."""
        wrapped = self.alice.wrap(HELLO)
        for attempt in (UNSET, 2, 99):
            self.bob.seals.unwrap(replace(wrapped, attempt=attempt, ttl=3, require_ack=False))

    def test_first_sight(self) -> None:
        """A stranger is known by its key from its first message on; then another key is refused, and told."""
        self.bob.seals.unwrap(self.alice.wrap(HELLO))
        self.assertTrue(self.bob.seals.speaks_for_itself(ALICE))
        self.mallory.knows(self.bob)
        self.assert_refused(self.mallory.wrap(HELLO), "known here with another key")
        told = ("refused", ALICE, self.mallory.identity.key, self.alice.identity.key)
        self.assertEqual(self.bob.notes.told, [told])

    def test_outside_changed(self) -> None:
        """A box is bound to its message: it cannot be given another source, destination or msg_id."""
        wrapped = self.alice.wrap(HELLO)
        for changed in ({"src": CAROL}, {"dst": CAROL}, {"msg_id": "m2"}):
            self.assert_refused(replace(wrapped, **changed), "it cannot be opened by bob@UnB")

    def test_box_changed(self) -> None:
        """A box that was changed, is for somebody else, or is none, cannot be opened."""
        wrapped = self.alice.wrap(HELLO)
        assert isinstance(wrapped.sealed, str)
        box = bytearray(decode(wrapped.sealed))
        box[-1] ^= 1
        for sealed in (encode(bytes(box)), wrapped.sealed[:-4], "", "no base64", encode(b"\x02" + box[1:])):
            self.assert_refused(replace(wrapped, sealed=sealed), "it cannot be opened by bob@UnB")
        old_bob = Person(BOB, "before")
        for_old = Person(ALICE)
        for_old.knows(old_bob)
        self.assert_refused(for_old.wrap(HELLO), "not sealed for the key of this peer")

    def test_inside_nested_too_deep(self) -> None:
        """Anybody can seal what no reader of JSON takes; that is refused, and whoever relayed it stays."""
        content = nested_deep(Content("hi", NOON_MS, "key", "sig").to_bytes())
        box = seal(self.bob.identity.card, content, framed("send/1", ALICE, BOB, "m1"))
        self.assert_refused(replace(HELLO, payload="", sealed=encode(box)), "nested too deep")

    def test_inside_forged(self) -> None:
        """Anybody can seal for bob, and nobody can sign for alice: each part is covered by the signature."""
        self.bob.knows(self.alice)
        good = encode(self.alice.identity.sign("send/1", ALICE, BOB, "m1", NOON_MS, "hi"))
        forgeries: dict[str, dict[str, Any]] = {
            "payload": {"payload": "ho", "sig": good},
            "time": {"time_ms": NOON_MS + 1, "sig": good},
            "key": {"key": encode(self.mallory.identity.key), "sig": good},
            "none": {"sig": ""},
            "no base64": {"sig": "?"},
            "context": {"sig": encode(self.alice.identity.sign("pub/1", ALICE, BOB, "m1", NOON_MS, "hi"))},
            "src": {"sig": encode(self.alice.identity.sign("send/1", CAROL, BOB, "m1", NOON_MS, "hi"))},
            "dst": {"sig": encode(self.alice.identity.sign("send/1", ALICE, CAROL, "m1", NOON_MS, "hi"))},
            "msg_id": {"sig": encode(self.alice.identity.sign("send/1", ALICE, BOB, "m2", NOON_MS, "hi"))},
        }
        for name, changed in forgeries.items():
            with self.subTest(name):
                self.assert_refused(self.sealed(**changed), "its signature does not hold")
        self.assert_refused(self.sealed(key="?"), "its key: expected base64")
        self.assert_refused(self.sealed(by=self.mallory), "known here with another key")

    def test_passed_off(self) -> None:
        """Who gets a message cannot pass it on to a third as its source's word to that one."""
        self.alice.knows(Person(CAROL))
        to_carol = self.alice.wrap(replace(HELLO, dst=CAROL))
        opened, _ = Person(CAROL).seals.unwrap(to_carol)
        self.assertEqual(opened.payload, "the secret")
        signed = self.alice.identity.sign("send/1", ALICE, CAROL, "m1", NOON_MS + 1, "the secret")
        forged = self.sealed(payload="the secret", time_ms=NOON_MS + 1, sig=encode(signed))
        self.assert_refused(forged, "its signature does not hold")

    def test_time(self) -> None:
        """A time far ahead would make all that comes after it a replay, so it is refused."""
        self.bob.seals.unwrap(self.sealed(time_ms=NOON_MS + MAX_AHEAD_MS))
        self.assert_refused(self.sealed(time_ms=NOON_MS + MAX_AHEAD_MS + 1), "more than a day ahead")

    def test_own_time_never_runs_back(self) -> None:
        """Whatever our clock does, what we say later has a later time, also after a restart."""
        times: list[int] = []

        def say(person: Person) -> None:
            wrapped = person.wrap(replace(HELLO, msg_id=f"m{len(times)}"))
            box = self.bob.identity.open_box(
                decode(wrapped.sealed), framed("send/1", ALICE, BOB, wrapped.msg_id)
            )
            times.append(Content.from_bytes(box).time_ms)

        for moved_ms in (0, 0, -3_600_000, 5):
            self.alice.now_ms += moved_ms
            say(self.alice)
        self.alice.seals.close()
        again = Person(ALICE, pins=self.alice.pins)
        again.now_ms = NOON_MS - 7_200_000
        say(again)
        self.assertEqual(times, [NOON_MS + number for number in range(5)])

    def test_replayed(self) -> None:
        """Said again after what is remembered, or after our restart, it is a replay, and counted."""
        wrapped = self.alice.wrap(HELLO)
        self.bob.seals.unwrap(wrapped)
        self.bob.seals.close()
        again = Person(BOB, pins=self.bob.pins)
        problem = self.assertRaises(ProtocolError, again.seals.unwrap, wrapped)
        self.assertIn("so it is a replay", problem.detail)
        self.assertEqual(again.seals.sizes()["replays_refused"], 1)
        for _ in range(2):
            self.bob.passes(GENERATION_S)
        self.assert_refused(wrapped, "so it is a replay")
        newer = self.alice.wrap(replace(HELLO, msg_id="m2"))
        self.assertEqual(self.bob.seals.unwrap(newer)[1], Protection.SEALED)

    def test_written_down(self) -> None:
        """When authors said their last messages is written down now and then, of those that are known."""
        self.bob.seals.unwrap(self.sealed())
        self.bob.passes(4.0)
        self.assertEqual(self.bob.pins.latest(), {})
        self.bob.passes(1.0)
        self.assertEqual(self.bob.pins.latest(), {ALICE: NOON_MS, BOB: 0})
        self.bob.pins.remove(ALICE)
        self.bob.passes(5.0)
        self.assertNotIn(ALICE, self.bob.pins.latest())

    def test_blocked_and_closed(self) -> None:
        """What a blocked peer, or one outside of a closed group, says through relays is not taken either."""
        self.bob.trust.block(ALICE)
        self.assert_refused(self.sealed(), "nothing of alice@UnB is taken here")

    def test_too_many_strangers(self) -> None:
        """Strangers beyond so many a second are told to come later, and forged ones cost them nothing."""
        for number in range(STRANGERS_PER_S):
            self.bob.trust.meet(PeerId(f"s{number}@UnB"), bytes([number]) * 32, signs=True)
        self.assert_refused(self.sealed(), "too many strangers", ErrorCode.BUSY)


class SignedTests(SealsTestCase):
    def test_signed(self) -> None:
        """To whom no card is known of, it is signed: relays can read it, and not change it."""
        wrapped = self.alice.wrap(HELLO)
        self.assertEqual((wrapped.payload, wrapped.sealed, wrapped.time_ms), ("the secret", UNSET, NOON_MS))
        self.assertEqual(self.bob.seals.unwrap(wrapped), (wrapped, Protection.SIGNED))

    def test_each_field_is_signed(self) -> None:
        """Whatever is changed on the way, bob does not take it for alice's."""
        wrapped = self.alice.wrap(HELLO)
        for changed in (
            {"src": CAROL},
            {"msg_id": "m2"},
            {"payload": "the secre"},
            {"time_ms": NOON_MS + 1},
            {"key": encode(self.mallory.identity.key)},
            {"sig": encode(bytes(64))},
        ):
            self.assert_refused(replace(wrapped, **changed), "its signature does not hold")

    def test_signature_taken_off(self) -> None:
        """Once alice is known to sign, what is not signed is not hers, also where a part of it is missing."""
        wrapped = self.alice.wrap(HELLO)
        self.assertEqual(self.bob.seals.unwrap(HELLO), (HELLO, Protection.NONE))
        self.bob.seals.unwrap(wrapped)
        for message in (HELLO, *(replace(wrapped, **{name: UNSET}) for name in ("sig", "key", "time_ms"))):
            self.assert_refused(message, "alice@UnB is known here with a key, and this came without")
        self.assertEqual(self.bob.notes.told, [])

    def test_never_in_the_clear(self) -> None:
        """Who has signed anything has a card; without it nothing is said to it through relays."""
        self.alice.trust.meet(BOB, self.bob.identity.key, signs=True)
        problem = self.assertRaises(ProtocolError, self.alice.wrap, HELLO)
        self.assertEqual(problem.code, ErrorCode.UNAUTHORIZED)
        self.assertIn("the card of bob@UnB", problem.detail)
        self.assertIn("nothing was sent", problem.detail)

    def test_encryption_required(self) -> None:
        """Who wants encryption says nothing over relays to peers without cards, and hears only the signed."""
        alice = Person(ALICE, rules=Rules(require_tls=True))
        problem = self.assertRaises(ProtocolError, alice.wrap, HELLO)
        self.assertEqual(problem.code, ErrorCode.UNAUTHORIZED)
        self.assertIn("bob@UnB showed no card", problem.detail)
        alice.knows(self.bob)
        self.assertIsNot(alice.wrap(HELLO).sealed, UNSET)
        from_carol = replace(HELLO, src=CAROL, dst=ALICE)
        self.assertRaises(ProtocolError, alice.seals.unwrap, from_carol)
        signed = Person(CAROL).wrap(from_carol)
        self.assertEqual(alice.seals.unwrap(signed)[1], Protection.SIGNED)

    def test_waiting_for_a_card(self) -> None:
        """A card that is not here is worth a wait, once a minute."""
        self.assertTrue(self.alice.seals.wants_card(BOB))
        self.alice.seals.has_no_card(BOB)
        self.assertFalse(self.alice.seals.wants_card(BOB))
        self.assertTrue(self.alice.seals.wants_card(CAROL))
        self.alice.passes(NO_CARD_S)
        self.assertTrue(self.alice.seals.wants_card(BOB))
        self.alice.knows(self.bob)
        self.assertFalse(self.alice.seals.wants_card(BOB))

    def test_card_of_one_that_has_one(self) -> None:
        """The card of a peer that signs is worth each wait: without it that peer gets nothing."""
        self.alice.knows(self.bob, has_card=False)
        self.alice.seals.unwrap(self.bob.wrap(replace(HELLO, src=BOB, dst=ALICE)))
        self.alice.seals.has_no_card(BOB)
        self.assertTrue(self.alice.seals.wants_card(BOB))

    def test_many_without_cards(self) -> None:
        """So many without a card are remembered, then all are asked again."""
        self.patch(seals_module, "MAX_WITHOUT_CARD", 2)
        for peer_id in (BOB, CAROL, ALICE):
            self.alice.seals.has_no_card(peer_id)
        self.assertEqual(
            [self.alice.seals.wants_card(one) for one in (BOB, CAROL, ALICE)], [True, True, False]
        )


class ExpectedTests(SealsTestCase):
    def test_peers(self) -> None:
        """What goes over relays is sealed to whom we have the card of; else signed, unless there is one."""
        to_bob = ToPeer(BOB)
        self.assertEqual(self.alice.seals.expected(to_bob), Protection.SIGNED)
        self.alice.knows(self.bob, has_card=False)
        self.assertEqual(self.alice.seals.expected(to_bob), Protection.SIGNED)
        self.alice.seals.unwrap(self.bob.wrap(replace(HELLO, src=BOB, dst=ALICE)))
        self.assertEqual(self.alice.seals.expected(to_bob), None)
        self.alice.knows(self.bob)
        self.assertEqual(self.alice.seals.expected(to_bob), Protection.SEALED)

    def test_many(self) -> None:
        """To many it is signed; sealed only where the namespace has a key, and only to that one."""
        key = NamespaceKey.new("UnB", random_bytes_of("UnB"))
        member = Person(ALICE, namespace_key=key)
        for person, to, protection in (
            (self.alice, ToNamespace("UnB"), Protection.SIGNED),
            (self.alice, ToAll(), Protection.SIGNED),
            (member, ToNamespace("UnB"), Protection.SEALED),
            (member, ToNamespace("other"), Protection.SIGNED),
            (member, ToAll(), Protection.SIGNED),
        ):
            self.assertEqual(person.seals.expected(to), protection)


class AckTests(SealsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.alice.knows(self.bob)
        wrapped, self.sig = self.alice.seals.wrap(HELLO)
        self.opened, _ = self.bob.seals.unwrap(wrapped)
        self.plain = Ack("m1", BOB, src=BOB, dst=ALICE, ttl=8)
        self.ack = self.bob.seals.sign_ack(self.plain, self.opened)

    def believes(self, ack: Ack) -> Belief:
        return self.alice.seals.believes_ack(ack, BOB, self.sig)

    def test_believed(self) -> None:
        """A confirmation that its destination signed is believed, of what was sealed and what was signed."""
        self.assertEqual(self.believes(self.ack), Belief.PROVED)
        stranger = Person(CAROL)
        wrapped, sig = stranger.seals.wrap(replace(HELLO, src=CAROL))
        ack = self.bob.seals.sign_ack(replace(self.plain, dst=CAROL), self.bob.seals.unwrap(wrapped)[0])
        stranger.knows(self.bob)
        self.assertEqual(stranger.seals.believes_ack(ack, BOB, sig), Belief.PROVED)

    def test_forged(self) -> None:
        """Nobody else can confirm, nor confirm another message, or to another source."""
        mallory, sign = Person(BOB, "mallory"), self.bob.seals.sign_ack
        for ack in (
            self.plain,
            replace(self.ack, sig="?"),
            replace(self.ack, msg_id="m2"),
            mallory.seals.sign_ack(self.plain, self.opened),
            sign(replace(self.plain, dst=CAROL), self.opened),
            sign(replace(self.plain, from_=CAROL), self.opened),
        ):
            self.assertEqual(self.believes(ack), Belief.FORGED)

    def test_of_something_else(self) -> None:
        """Who got something else under the msg_id, or what had its signature taken off, confirms nothing."""
        other, _ = Person(ALICE).seals.wrap(replace(HELLO, payload="something else"))
        for message in (HELLO, other):
            ack = self.bob.seals.sign_ack(self.plain, message)
            self.assertEqual(self.believes(ack), Belief.FORGED)

    def test_of_those_who_do_not_sign(self) -> None:
        """Of a peer of which nothing is known, or that showed no card, a confirmation is as it was."""
        self.assertEqual(self.alice.seals.believes_ack(self.plain, CAROL, self.sig), Belief.UNPROVED)
        self.alice.knows(Person(CAROL), has_card=False)
        self.assertEqual(self.alice.seals.believes_ack(self.plain, CAROL, self.sig), Belief.UNPROVED)


class CastTests(SealsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.key = NamespaceKey.new("UnB", random_bytes_of("UnB"))

    def test_signed(self) -> None:
        """A message to many is signed, and its key known from then on."""
        wrapped = self.alice.seals.wrap_cast(CAST)
        self.assertEqual(self.bob.seals.unwrap_cast(wrapped, False), (wrapped, Protection.SIGNED))
        self.assertEqual(self.bob.seals.unwrap_cast(wrapped, True), (wrapped, Protection.LINK))
        self.assertTrue(self.bob.seals.speaks_for_itself(ALICE))

    def test_forged(self) -> None:
        """Whatever is changed on the way, bob does not take it for alice's."""
        wrapped = self.alice.seals.wrap_cast(CAST)
        for changed in ({"src": CAROL}, {"dst": "*"}, {"msg_id": "c2"}, {"payload": ""}, {"time_ms": 1}):
            self.assert_cast_refused(replace(wrapped, **changed), "its signature does not hold")
        self.bob.knows(self.alice)
        self.assert_cast_refused(CAST, "is known here with a key, and this came without")
        self.assert_cast_refused(self.mallory.seals.wrap_cast(CAST), "known here with another key")
        as_send = self.alice.identity.sign("send/1", ALICE, "#UnB", "c1", NOON_MS, "to all")
        self.assert_cast_refused(replace(wrapped, sig=encode(as_send)), "its signature does not hold")

    def test_of_a_plain_peer(self) -> None:
        """A peer of which nothing is known may speak as ever, unsecured."""
        self.assertEqual(self.bob.seals.unwrap_cast(CAST, False), (CAST, Protection.NONE))

    def test_replayed(self) -> None:
        """What was said to many is not said again later."""
        wrapped = self.alice.seals.wrap_cast(CAST)
        self.bob.seals.unwrap_cast(wrapped, False)
        for _ in range(2):
            self.bob.passes(GENERATION_S)
        self.assert_cast_refused(wrapped, "so it is a replay")

    def test_sealed(self) -> None:
        """With a key of the namespace only its members read what is said to all of it."""
        alice, bob = Person(ALICE, namespace_key=self.key), Person(BOB, namespace_key=self.key)
        wrapped = alice.seals.wrap_cast(CAST)
        assert isinstance(wrapped.sealed, str)
        self.assertEqual(replace(wrapped, sealed=UNSET), replace(CAST, payload=""))
        for is_proved in (False, True):
            opened, protection = bob.seals.unwrap_cast(wrapped, is_proved)
            assert opened is not None
            self.assertEqual(
                (replace(opened, sig=UNSET, time_ms=UNSET), protection), (CAST, Protection.SEALED)
            )
        other = NamespaceKey.new("UnB", random_bytes_of("other"))
        for outsider in (Person(BOB), Person(BOB, namespace_key=other)):
            self.assertEqual(outsider.seals.unwrap_cast(wrapped, False), (None, Protection.NONE))
            self.assertEqual(outsider.seals.sizes()["casts_unreadable"], 1)
        for changed in ({"src": CAROL}, {"msg_id": "c2"}, {"sealed": "?"}, {"sealed": ""}):
            with self.subTest(changed):
                self.assertEqual(bob.seals.unwrap_cast(replace(wrapped, **changed), False)[0], None)

    def test_sealed_and_nested_too_deep(self) -> None:
        """What a member seals and nobody can read is passed on only, like what has another key."""
        bob = Person(BOB, namespace_key=self.key)
        content = nested_deep(Content("hi", NOON_MS, "key", "sig").to_bytes())
        box = self.key.seal(content, framed("pub/1", ALICE, "#UnB", "c1"), random_bytes_of("salt"))
        cast = replace(CAST, payload="", sealed=encode(box))
        self.assertEqual(bob.seals.unwrap_cast(cast, True), (None, Protection.NONE))

    def test_sealed_by_another_member(self) -> None:
        """A member cannot speak for another."""
        bob = Person(BOB, namespace_key=self.key)
        bob.knows(self.alice)
        mallory = Person(ALICE, "mallory", namespace_key=self.key)
        self.assertRaises(ProtocolError, bob.seals.unwrap_cast, mallory.seals.wrap_cast(CAST), True)

    def test_to_all(self) -> None:
        """What is said to everybody is for everybody: it is signed only, whatever key there is."""
        wrapped = Person(ALICE, namespace_key=self.key).seals.wrap_cast(replace(CAST, dst="*"))
        self.assertEqual((wrapped.payload, wrapped.sealed), ("to all", UNSET))


class HitTests(SealsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.hit = self.bob.seals.sign_hit(HIT, QUESTION)

    def test_asked(self) -> None:
        """A question asks who is sought to answer itself."""
        self.assertEqual(self.alice.seals.ask(QUESTION), replace(QUESTION, signed=True))

    def test_believed(self) -> None:
        """An answer of who is sought is believed, and its card kept, so that all that follows is sealed."""
        self.assertTrue(self.alice.seals.believes_hit(self.hit, ALICE))
        self.assertIsNotNone(self.alice.wrap(HELLO).sealed)
        changed_on_the_way = replace(self.hit, via=CAROL, hops=3, ttl=2)
        self.assertTrue(self.alice.seals.believes_hit(changed_on_the_way, ALICE))

    def test_relay(self) -> None:
        """A relay looks at an answer to another's question, and keeps nothing of it."""
        carol = Person(CAROL)
        self.assertTrue(carol.seals.believes_hit(self.hit, ALICE))
        self.assertEqual(len(carol.pins), 0)
        carol.knows(self.bob)
        self.assertTrue(carol.seals.believes_hit(self.hit, ALICE))
        mallory = Person(BOB, "mallory").seals.sign_hit(HIT, QUESTION)
        self.assertFalse(carol.seals.believes_hit(mallory, ALICE))

    def test_invented(self) -> None:
        """Nobody else can answer, nor use the answer to another question, or to another's."""
        mallory, carol = Person(BOB, "mallory"), Person(CAROL)
        forged = mallory.seals.sign_hit(HIT, QUESTION)
        for hit in (
            replace(self.hit, sig=UNSET),
            replace(self.hit, sig="?"),
            replace(self.hit, msg_id="q2"),
            replace(self.hit, dst=CAROL),
            replace(self.hit, card={}),
            replace(self.hit, card=forged.card),
            replace(self.hit, sig=forged.sig),
            self.bob.seals.sign_hit(HIT, replace(QUESTION, src=CAROL)),
            carol.seals.sign_hit(HIT, QUESTION),
        ):
            self.assertFalse(self.alice.seals.believes_hit(hit, ALICE))
        self.assertEqual(len(self.alice.pins), 0)

    def test_another_key(self) -> None:
        """An answer with another key than is known is not believed, and told."""
        self.alice.knows(self.bob)
        forged = Person(BOB, "mallory").seals.sign_hit(HIT, QUESTION)
        self.assertFalse(self.alice.seals.believes_hit(forged, ALICE))
        self.assertEqual(self.alice.notes.told[0][:2], ("refused", BOB))

    def test_unsigned(self) -> None:
        """Of those who sign, an answer that is not signed is invented; of others it is as it was."""
        self.assertTrue(self.alice.seals.believes_hit(HIT, ALICE))
        self.alice.knows(self.bob, has_card=False)
        self.assertTrue(self.alice.seals.believes_hit(HIT, ALICE))
        self.alice.knows(self.bob)
        self.assertFalse(self.alice.seals.believes_hit(HIT, ALICE))

    def test_card_in_json(self) -> None:
        """A card comes as it was sent, through JSON."""
        hit = replace(self.hit, card=json.loads(json.dumps(self.hit.card)))
        self.assertTrue(self.alice.seals.believes_hit(hit, ALICE))
