"""Boxes for one peer and for a namespace, and safety numbers (docs/protocol.md, section 11)."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.names import PeerId
from p2pchat.trust.namespacekey import NamespaceKey, load_namespace_key
from p2pchat.trust.number import safety_number
from p2pchat.trust.sealing import BadSeal, Content, seal
from p2pchat.trust.secretfile import KeysUnusable, write_secret
from tests.keys import identity_of, nested_deep, random_bytes_of

ALICE, BOB = PeerId("alice@UnB"), PeerId("bob@UnB")


class BoxTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bob = identity_of(BOB)
        self.box = seal(self.bob.card, b"the secret", b"info")

    def refused(self, box: bytes, info: bytes = b"info") -> str:
        return str(self.assertRaises(BadSeal, self.bob.open_box, box, info))

    def test_opened(self) -> None:
        """Who it is sealed for opens it; it shows nothing, and is another each time."""
        self.assertEqual(self.bob.open_box(self.box, b"info"), b"the secret")
        self.assertNotIn(b"secret", self.box)
        self.assertNotEqual(seal(self.bob.card, b"the secret", b"info"), self.box)

    def test_not_for_others(self) -> None:
        """Nobody else opens it, nor somebody of the same name with another key."""
        for other in (identity_of(ALICE), identity_of(BOB, "mallory")):
            self.assertRaises(BadSeal, other.open_box, self.box, b"info")

    def test_changed(self) -> None:
        """Not one bit of it may be changed, nor what it is bound to."""
        for position in range(1, len(self.box), 41):
            box = bytearray(self.box)
            box[position] ^= 1
            self.assertIn("changed on the way", self.refused(bytes(box)))
        self.assertIn("changed on the way", self.refused(self.box, b"other"))
        self.assertIn("changed on the way", self.refused(self.box + b"x"))
        for size in (1, 2, 1121, len(self.box) - 1):
            self.assertIn("changed on the way", self.refused(self.box[:size]))

    def test_another_version(self) -> None:
        """A way of sealing that is not known is not guessed at."""
        for box in (b"", b"\x02" + self.box[1:], b"\x00"):
            self.assertEqual(self.refused(box), "it is sealed in a way that is not known here")

    def test_content(self) -> None:
        """What is in a box is read as it was written, whatever else is in it."""
        content = Content("hé", 7, "key", "sig")
        self.assertEqual(Content.from_bytes(content.to_bytes()), content)
        more = json.dumps({**json.loads(content.to_bytes()), "more": 1}).encode()
        self.assertEqual(Content.from_bytes(more), content)

    @given(
        st.binary() | st.builds(lambda text: json.dumps(text).encode(), st.dictionaries(st.text(), st.text()))
    )
    def test_no_content(self, data: bytes) -> None:
        """What is no message is refused, whoever sealed it."""
        self.assertRaises(BadSeal, Content.from_bytes, data)

    def test_nested_too_deep(self) -> None:
        """What is nested too deep to be read is no message, though a field that nobody knows holds it."""
        self.assertRaises(BadSeal, Content.from_bytes, nested_deep(Content("hi", 7, "key", "sig").to_bytes()))

    def test_no_time(self) -> None:
        """A time that is no number of milliseconds is refused."""
        for time_ms in (-1, 2**53, 10**30):
            self.assertRaises(BadSeal, Content.from_bytes, Content("", time_ms, "", "").to_bytes())


class NamespaceKeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "key"
        self.random = random_bytes_of("salts")
        self.key = NamespaceKey.new("UnB", random_bytes_of("x"))
        self.box = self.key.seal(b"the secret", b"info", self.random)

    def test_opened(self) -> None:
        """Who has the key opens it; two boxes with the same in them are not the same."""
        self.assertEqual(self.key.open(self.box, b"info"), b"the secret")
        self.assertNotEqual(self.key.seal(b"the secret", b"info", self.random), self.box)

    def test_refused(self) -> None:
        """Who has another key, or that of another namespace, does not; nor when anything was changed."""
        same_key = json.loads(self.key.to_bytes()) | {"namespace": "Giga"}
        others = (
            NamespaceKey.new("UnB", random_bytes_of("y")),
            NamespaceKey.from_bytes(json.dumps(same_key).encode()),
        )
        for other in others:
            self.assertRaises(BadSeal, other.open, self.box, b"info")
        for position in range(len(self.box)):
            box = bytearray(self.box)
            box[position] ^= 1
            self.assertRaises(BadSeal, self.key.open, bytes(box), b"info")
        self.assertRaises(BadSeal, self.key.open, self.box, b"other")
        for size in (0, 1, 20, 33, len(self.box) - 1):
            self.assertRaises(BadSeal, self.key.open, self.box[:size], b"info")

    def test_not_shown(self) -> None:
        """No key shows in a traceback or a log."""
        self.assertEqual(repr(self.key), "NamespaceKey(namespace='UnB')")

    def test_file(self) -> None:
        """A key is read from its file."""
        write_secret(self.path, self.key.to_bytes())
        self.assertEqual(load_namespace_key(self.path, "UnB"), self.key)

    def refused(self, data: bytes) -> str:
        write_secret(self.path, data, replace=True)
        return str(self.assertRaises(KeysUnusable, load_namespace_key, self.path, "UnB"))

    def test_wrong_file(self) -> None:
        """What is no such file is refused in words, with what to do."""
        self.assertIn("cannot be read (No such file", str(
            self.assertRaises(KeysUnusable, load_namespace_key, self.path, "UnB")
        ))  # fmt: skip
        good = self.key.to_bytes()
        for data, words in (
            (b"{", "p2pchat namespace-key new makes one"),
            (nested_deep(good), "nested too deep"),
            (good.replace(b'"v": 1', b'"v": 9'), "version 9"),
            (good.replace(b'"key": "', b'"key": "AAAA'), "35 bytes, expected 32"),
            (NamespaceKey.new("Giga", self.random).to_bytes(), "is of the namespace 'Giga', yours is 'UnB'"),
        ):
            self.assertIn(words, self.refused(data))
        self.path.chmod(0o644)
        self.assertIn("chmod 600", str(self.assertRaises(KeysUnusable, load_namespace_key, self.path, "UnB")))


class NumberTests(SynchronousTestCase):
    def test_same_on_both_sides(self) -> None:
        """Two peers get the same number, in twelve groups of five digits."""
        alice, bob = (ALICE, identity_of(ALICE).key), (BOB, identity_of(BOB).key)
        number = safety_number(alice, bob)
        self.assertEqual(safety_number(bob, alice), number)
        self.assertRegex(number, "^([0-9]{5} ){11}[0-9]{5}$")

    def test_another(self) -> None:
        """Another name or another key gives another number: somebody between them cannot have the same."""
        alice, bob = (ALICE, identity_of(ALICE).key), (BOB, identity_of(BOB).key)
        mallory = identity_of(BOB, "mallory").key
        others = {
            safety_number(alice, (BOB, mallory)),
            safety_number((ALICE, mallory), bob),
            safety_number((PeerId("alice@Giga"), alice[1]), bob),
            safety_number(alice, bob),
        }
        self.assertEqual(len(others), 4)
