"""Cards: who somebody is, and the keys to check and to seal with (docs/protocol.md, section 11)."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.names import PeerId
from p2pchat.trust.base64 import decode, encode
from p2pchat.trust.cards import (
    MAX_ISSUE,
    MLKEM_BYTES,
    BadCard,
    fingerprint,
    read_card,
    signed_by_card,
)
from p2pchat.trust.signing import WEAK_KEYS
from tests.keys import identity_of

ALICE, BOB = PeerId("alice@UnB"), PeerId("bob@UnB")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class CardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.identity = identity_of(ALICE)
        self.fields = self.identity.card.as_fields()

    def signed(self, **changed: Any) -> dict[str, Any]:
        """Return a card of alice's with other fields, and her signature on them."""
        fields = self.fields | changed
        key, sealing = decode(fields["signing"]), decode(fields["sealing"])
        signed = signed_by_card(PeerId(fields["peer_id"]), key, sealing, fields["issue"])
        return fields | {"sig": encode(self.identity.signing_key.sign(signed))}

    def refused(self, fields: object) -> str:
        return str(self.assertRaises(BadCard, read_card, fields))

    def test_round_trip(self) -> None:
        """A card is read as it was written, through JSON; what else stands in it is ignored."""
        fields = json.loads(json.dumps(self.fields | {"more": [1]}))
        self.assertEqual(read_card(fields), self.identity.card)
        self.assertEqual(set(self.fields), {"v", "peer_id", "signing", "sealing", "issue", "sig"})
        self.assertEqual(read_card(self.signed(issue=MAX_ISSUE)).issue, MAX_ISSUE)

    def test_each_field_is_signed(self) -> None:
        """Another name, key or number than its owner signed is refused."""
        other = identity_of(BOB).card.as_fields()
        for name, value in (
            ("peer_id", "bob@UnB"),
            ("signing", other["signing"]),
            ("sealing", other["sealing"]),
            ("issue", 2),
            ("sig", other["sig"]),
        ):
            self.assertEqual(self.refused(self.fields | {name: value}), "its signature does not hold")

    def test_each_field_is_checked(self) -> None:
        """What is missing or of another kind is told by its name."""
        for name in ("peer_id", "signing", "sealing", "issue", "sig"):
            self.assertIn(name, self.refused({key: self.fields[key] for key in self.fields if key != name}))
            wrong: list[object] = [None, True, 0, -1, 1.0, "", "nobody", [], {}, "A" * 100]
            for value in wrong:
                self.assertIn(name, self.refused(self.fields | {name: value}))
        self.assertIn("issue", self.refused(self.fields | {"issue": MAX_ISSUE + 1}))
        for value in (None, 2, "1", [1], True, 1.0):
            self.assertIn("version 1", self.refused(self.fields | {"v": value}))

    def test_no_object(self) -> None:
        """What is no object is no card."""
        wrong: list[object] = [None, [], "card", 5]
        for value in wrong:
            self.assertEqual(self.refused(value), "a card is a JSON object")

    def test_weak_signing_key(self) -> None:
        """A key that anybody can sign with is refused, whatever the signature."""
        for key in WEAK_KEYS:
            fields = self.fields | {"signing": encode(key), "sig": encode(bytes([1]) + bytes(63))}
            self.assertEqual(self.refused(fields), "its signing key is one that anybody can sign with")

    def test_useless_sealing_key(self) -> None:
        """A key with which nothing can be sealed, or for everybody, is refused, though it is signed."""
        sealing = self.identity.card.sealing
        for useless in (sealing[:MLKEM_BYTES] + bytes(32), b"\xff" * MLKEM_BYTES + sealing[MLKEM_BYTES:]):
            fields = self.signed(sealing=encode(useless))
            self.assertEqual(self.refused(fields), "sealing: nothing can be sealed with this key")

    @given(JSON)
    def test_anything(self, value: object) -> None:
        """Whatever somebody sends for a card is refused in words, or read."""
        self.refused(value)

    def test_fingerprint(self) -> None:
        """A fingerprint is eight groups of four digits, another one for another key."""
        self.assertEqual(fingerprint(bytes(32)), "6668 7aad f862 bd77 6c8f c18b 8e9f 8e20")
        self.assertNotEqual(fingerprint(bytes(32)), fingerprint(b"1" * 32))
