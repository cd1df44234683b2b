"""Who may come under which name (docs/protocol.md, section 11)."""

from __future__ import annotations

from msgspec import UNSET
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.names import PeerId
from p2pchat.trust import pins as pins_module
from p2pchat.trust import trust as trust_module
from p2pchat.trust.allowed import Allowed
from p2pchat.trust.cards import Card, fingerprint
from p2pchat.trust.identity import Identity, Secrets
from p2pchat.trust.number import safety_number
from p2pchat.trust.pins import Pins
from p2pchat.trust.trust import STRANGERS_PER_S, TELLINGS_PER_S, NothingToTrust, Rules, Trust
from tests.keys import NOON_MS, identity_of, random_bytes_of

ALICE, BOB, CAROL = (PeerId(f"{name}@UnB") for name in ("alice", "bob", "carol"))


class Notes:
    """Notes what is told to the user: `trust.Teller`."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def key_refused(self, peer_id: PeerId, key: bytes, pinned: bytes) -> None:
        self.told.append(("refused", peer_id, key, pinned))

    def key_missing(self, peer_id: PeerId) -> None:
        self.told.append(("missing", peer_id))

    def trouble(self, why: str) -> None:
        self.told.append(("trouble", why))


class TrustTestCase(SynchronousTestCase):
    """Alice's trust, and bob, and mallory who calls himself bob."""

    def setUp(self) -> None:
        self.now_s = 100.0
        self.notes = Notes()
        self.pins = Pins()
        self.bob, self.mallory = identity_of(BOB), identity_of(BOB, "mallory")
        self.trust = self.make()

    def make(self, rules: Rules | None = None) -> Trust:
        identity = identity_of(ALICE)
        return Trust(identity, self.pins, rules or Rules(), self.notes, lambda: NOON_MS, lambda: self.now_s)

    def comes(self, identity: Identity) -> ProtocolError | None:
        """Let somebody come over TLS, with its card."""
        return self.trust.admit(identity.own, identity.key, identity.card.as_fields())

    def comes_plainly(self, peer_id: PeerId) -> ProtocolError | None:
        return self.trust.admit(peer_id, None, UNSET)

    def assert_refused(
        self, problem: ProtocolError | None, words: str, code: ErrorCode = ErrorCode.UNAUTHORIZED
    ) -> None:
        assert problem is not None, "it was let in"
        self.assertEqual(problem.code, code)
        self.assertIn(words, problem.detail)


class PinnedTests(TrustTestCase):
    def test_first_sight(self) -> None:
        """Whoever comes first under a name is known by its key from then on, and comes again."""
        for _ in range(2):
            self.assertIsNone(self.comes(self.bob))
        pin = self.pins.get(BOB)
        assert pin is not None
        self.assertEqual((pin.key, pin.card, pin.signs), (self.bob.key, self.bob.card, True))
        self.assertEqual((pin.is_verified, pin.is_friend, pin.first_seen_ms), (False, False, NOON_MS))
        self.assertEqual((self.trust.tally.keys_pinned, self.notes.told), (1, []))

    def test_another_key(self) -> None:
        """Another key under a known name is refused, whatever card it shows, and told once for each key."""
        self.comes(self.bob)
        for _ in range(3):
            self.assert_refused(self.comes(self.mallory), "bob@UnB is known here with another key")
        self.assertEqual(self.notes.told, [("refused", BOB, self.mallory.key, self.bob.key)])
        third = identity_of(BOB, "third")
        self.comes(third)
        self.assertEqual(self.notes.told[1:], [("refused", BOB, third.key, self.bob.key)])
        self.assertIsNone(self.comes(self.bob))
        self.now_s += 1.0
        self.comes(third)  # bob was there in between, so it is news again
        self.assertEqual((len(self.notes.told), self.trust.tally.keys_refused), (3, 5))

    def test_no_downgrade(self) -> None:
        """Who was seen with a key is never taken without it again, and that is told once."""
        self.assertIsNone(self.comes_plainly(BOB))
        self.comes(self.bob)
        for _ in range(3):
            self.assert_refused(self.comes_plainly(BOB), "known here with a key, and this came without")
        self.assertEqual((self.notes.told, self.trust.tally.keys_missing), ([("missing", BOB)], 3))

    def test_without_card(self) -> None:
        """A peer with TLS and without a card is known by its key; a card may come later."""
        for card in (None, UNSET):
            self.assertIsNone(self.trust.admit(BOB, self.bob.key, card))
        pin = self.pins.get(BOB)
        assert pin is not None
        self.assertEqual((pin.card, pin.signs), (None, False))
        self.comes(self.bob)
        pin = self.pins.get(BOB)
        assert pin is not None
        self.assertEqual((pin.card, pin.signs), (self.bob.card, True))

    def test_wrong_cards(self) -> None:
        """A card that is none, or of another peer or key than the link, is refused, and nothing is pinned."""
        other, fields = identity_of(CAROL).card.as_fields(), self.bob.card.as_fields()
        for card, words in (
            ({}, "your card: a card of version 1"),
            (fields | {"issue": 2}, "your card: its signature does not hold"),
            (other, "your card is of another peer"),
            (self.mallory.card.as_fields(), "your card is of another peer, or another key"),
        ):
            self.assert_refused(self.trust.admit(BOB, self.bob.key, card), words)
        self.assertEqual((self.pins.get(BOB), self.trust.tally.cards_refused), (None, 4))

    def test_later_card(self) -> None:
        """Of several cards with one key the latest counts, in whatever order they come."""
        secrets = Secrets.new(random_bytes_of(f"{BOB} "))
        newer = Identity(BOB, Secrets(secrets.signing, b"m" * 64, b"x" * 32, issue=2))
        self.assertEqual(newer.key, self.bob.key)

        def card() -> Card | None:
            pin = self.pins.get(BOB)
            return None if pin is None else pin.card

        self.comes(self.bob)
        self.comes(newer)
        self.assertEqual(card(), newer.card)
        self.comes(self.bob)
        self.assertEqual(card(), newer.card)

    def test_heard_of(self) -> None:
        """Strangers that are only heard of through relays are taken so many a second, others always."""
        for number in range(STRANGERS_PER_S):
            self.assertIsNone(self.trust.meet(PeerId(f"s{number}@UnB"), bytes([number]) * 32, signs=True))
        late = self.trust.meet(CAROL, b"c" * 32, signs=True)
        self.assert_refused(late, "too many strangers", ErrorCode.BUSY)
        self.assertIsNone(self.comes(self.bob))
        self.assertIsNone(self.trust.meet(BOB, self.bob.key, signs=True))
        self.now_s += 1.0
        self.assertIsNone(self.trust.meet(CAROL, b"c" * 32, signs=True))
        self.assertEqual(self.trust.tally.strangers_refused, 1)

    def test_no_room(self) -> None:
        """Where all that are known are friends, a stranger is told to come later."""
        self.patch(pins_module, "MAX_PINS", 1)
        self.comes(self.bob)
        self.trust.befriend(BOB)
        self.trust.befriend(BOB)
        self.trust.befriend(CAROL)  # of whom nothing is known
        self.assert_refused(self.comes(identity_of(CAROL)), "no stranger is taken", ErrorCode.BUSY)
        self.assertIsNone(self.comes(self.bob))


class RulesTests(TrustTestCase):
    def test_tls_required(self) -> None:
        """Where TLS is required a plain link is refused, and an encrypted one is not."""
        self.trust = self.make(Rules(require_tls=True))
        self.assert_refused(self.comes_plainly(BOB), "it needs TLS")
        self.assertIsNone(self.comes(self.bob))
        self.assertEqual(self.trust.tally.plain_refused, 1)

    def test_closed_group(self) -> None:
        """In a closed group nobody comes who is not listed, or does not prove its key."""
        self.trust = self.make(Rules(allowed=Allowed({BOB: self.bob.key})))
        self.assert_refused(self.comes(identity_of(CAROL)), "not one of those who may come here")
        self.assert_refused(self.comes(self.mallory), "with another key only")
        self.assert_refused(self.comes_plainly(BOB), "only who proves its key")
        self.assertIsNone(self.comes(self.bob))
        self.assertEqual((self.trust.tally.peers_not_allowed, len(self.pins)), (3, 1))

    def test_blocked(self) -> None:
        """Nothing of a blocked peer is taken, whatever it shows; the user is not told each time."""
        self.comes(self.bob)
        self.trust.block(BOB)
        for problem in (self.comes(self.bob), self.comes_plainly(BOB), self.comes(self.mallory)):
            self.assert_refused(problem, "nothing of bob@UnB is taken here")
        self.assertEqual((self.notes.told, self.trust.blocked), ([], {BOB}))
        self.assertEqual((self.trust.unblock(BOB), self.trust.unblock(BOB)), (True, False))
        self.assertIsNone(self.comes(self.bob))

    def test_too_many_blocked(self) -> None:
        """Where too many are blocked the user hears so."""
        self.patch(pins_module, "MAX_BLOCKED", 0)
        self.assertIn("0 peers are blocked", str(self.assertRaises(NothingToTrust, self.trust.block, BOB)))


class UserTests(TrustTestCase):
    def test_take_other_key(self) -> None:
        """The user may take the other key; then the first one is the other."""
        self.comes(self.bob)
        self.trust.verify(BOB)
        self.comes(self.mallory)
        key = fingerprint(self.mallory.key)
        self.assertIn(f"The key {key} of bob@UnB is taken", self.trust.take_other(BOB))
        self.assertIsNone(self.comes(self.mallory))
        self.assertFalse(self.trust.is_verified(BOB))
        self.assert_refused(self.comes(self.bob), "another key")

    def test_take_none(self) -> None:
        """The user may take a peer that came without a key; whatever it comes with next counts."""
        self.comes(self.bob)
        self.comes_plainly(BOB)
        self.assertIn("The key of bob@UnB is forgotten", self.trust.take_other(BOB))
        self.assertIsNone(self.comes_plainly(BOB))
        self.assertIsNone(self.comes(self.mallory))

    def test_no_downgrade_by_trust(self) -> None:
        """Whoever comes without a key meanwhile cannot make the user take none where another was told."""
        self.comes(self.bob)
        self.comes(self.mallory)
        self.comes_plainly(BOB)
        self.assertEqual([told[0] for told in self.notes.told], ["refused"])
        self.trust.take_other(BOB)
        self.assert_refused(self.comes_plainly(BOB), "known here with a key")

    def test_a_flood_of_keys(self) -> None:
        """The user is told so much a second; what is not told is not taken."""
        self.comes(self.bob)
        for number in range(TELLINGS_PER_S + 2):
            self.comes(identity_of(BOB, f"key {number}"))
        self.assertEqual(len(self.notes.told), TELLINGS_PER_S)
        self.assertEqual(self.trust.sizes()["keys_refused_not_told"], 2)
        taken = fingerprint(identity_of(BOB, f"key {TELLINGS_PER_S - 1}").key)
        self.assertIn(taken, self.trust.take_other(BOB))

    def test_nothing_to_take(self) -> None:
        """Who was not refused, or came with its own key since, cannot be taken."""
        self.assertRaises(NothingToTrust, self.trust.take_other, BOB)
        self.comes(self.bob)
        self.assertRaises(NothingToTrust, self.trust.take_other, BOB)
        self.comes(self.mallory)
        self.comes(self.bob)
        told = self.assertRaises(NothingToTrust, self.trust.take_other, BOB)
        self.assertIn("bob@UnB was not refused for its key", str(told))

    def test_taken_once(self) -> None:
        """What was taken cannot be taken again."""
        self.comes(self.bob)
        self.comes(self.mallory)
        self.trust.take_other(BOB)
        self.assertRaises(NothingToTrust, self.trust.take_other, BOB)

    def test_forgotten_refusals(self) -> None:
        """So many refusals are remembered, the latest."""
        self.patch(trust_module, "MAX_REFUSED", 2)
        for name in ("a@UnB", "b@UnB", "c@UnB"):
            self.now_s += 1.0
            for seed in ("", "other"):
                self.comes(identity_of(PeerId(name), seed))
        self.assertEqual(self.trust.sizes()["keys_refused_remembered"], 2)
        self.assertRaises(NothingToTrust, self.trust.take_other, PeerId("a@UnB"))
        self.trust.take_other(PeerId("c@UnB"))

    def test_verify(self) -> None:
        """The safety number is that of the two names and keys; a verified peer is a friend."""
        self.assertRaises(NothingToTrust, self.trust.number_with, BOB)
        self.assertRaises(NothingToTrust, self.trust.verify, BOB)
        self.assertEqual((self.trust.is_verified(BOB), self.trust.fingerprint_of(BOB)), (False, ""))
        self.comes(self.bob)
        number = safety_number((ALICE, identity_of(ALICE).key), (BOB, self.bob.key))
        self.assertEqual(self.trust.number_with(BOB), number)
        self.trust.verify(BOB)
        pin = self.pins.get(BOB)
        assert pin is not None
        self.assertTrue(pin.is_friend)
        self.assertEqual(
            (self.trust.is_verified(BOB), self.trust.fingerprint_of(BOB)), (True, fingerprint(self.bob.key))
        )
        self.assertEqual(self.trust.sizes()["keys_known"], 1)


class FlushTests(TrustTestCase):
    def test_trouble(self) -> None:
        """What cannot be written down is told once, until it could be and cannot be again."""
        self.assertFalse(self.trust.is_flush_due)
        self.now_s += 5.0
        for trouble in ("disk full", "disk full", "", "disk full"):
            self.assertTrue(self.trust.is_flush_due)
            self.pins.trouble = trouble
            self.trust.flush()
            self.now_s += 5.0
        self.assertEqual(self.notes.told, [("trouble", "disk full")] * 2)
        self.trust.close()
