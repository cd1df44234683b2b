"""The examples in docs/vectors: our code makes, reads and opens them as they stand there (section 11)."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.names import PeerId
from p2pchat.trust.base64 import decode
from p2pchat.trust.cards import read_card
from p2pchat.trust.identity import Identity, Secrets
from p2pchat.trust.namespacekey import NamespaceKey
from p2pchat.trust.number import safety_number
from p2pchat.trust.sealing import Content
from p2pchat.trust.signing import framed, is_signed
from tools import vectors


def read(name: str) -> Any:
    """Return what stands in a file."""
    return json.loads((vectors.FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def identity_of(example: dict[str, Any]) -> Identity:
    """Return the identity that an example gives the seeds of."""
    names = ("signing_seed", "mlkem_seed", "x25519_private")
    signing, mlkem, x25519 = (bytes.fromhex(example[name]) for name in names)
    return Identity(PeerId(example["card"]["peer_id"]), Secrets(signing, mlkem, x25519))


class VectorTests(SynchronousTestCase):
    def test_cards(self) -> None:
        """The card of each identity is as it stands there, and is read."""
        for example in read("cards").values():
            identity = identity_of(example)
            self.assertEqual(identity.card.as_fields(), example["card"])
            self.assertEqual(read_card(example["card"]), identity.card)

    def test_signatures(self) -> None:
        """What is signed is framed as it stands there, and the signature is the same and holds."""
        alice = identity_of(read("cards")["alice"])
        for example in read("signatures"):
            signed = framed(example["context"], *example["parts"])
            self.assertEqual(signed.hex(), example["framed"])
            self.assertEqual(alice.sign(example["context"], *example["parts"]), decode(example["sig"]))
            self.assertTrue(is_signed(alice.key, decode(example["sig"]), signed))

    def test_boxes(self) -> None:
        """Each box is opened by bob, and has in it what stands there."""
        bob = identity_of(read("cards")["bob"])
        for example in read("boxes"):
            content = bob.open_box(decode(example["sealed"]), bytes.fromhex(example["info"]))
            self.assertEqual(content.decode(), example["content"])
            self.assertEqual(Content.from_bytes(content).to_bytes().decode(), example["content"])

    def test_namespace_key(self) -> None:
        """The box of a namespace is made as it stands there, and opened."""
        example = read("namespace-key")
        key = NamespaceKey.from_bytes(json.dumps(example["file"]).encode())
        info, salt = bytes.fromhex(example["info"]), bytes.fromhex(example["salt"])
        self.assertEqual(key.open(decode(example["sealed"]), info).decode(), example["content"])
        self.assertEqual(
            key.seal(example["content"].encode(), info, lambda _: salt), decode(example["sealed"])
        )

    def test_safety_number(self) -> None:
        """The number is the same from both sides."""
        example = read("safety-number")
        one, other = ((PeerId(each["peer_id"]), decode(each["signing"])) for each in example["peers"])
        self.assertEqual({safety_number(one, other), safety_number(other, one)}, {example["number"]})

    def test_made_by_the_tool(self) -> None:
        """The files are those that the tool writes; only boxes are others each time, and are kept."""
        with tempfile.TemporaryDirectory(prefix="p2pchat-") as name:
            folder = Path(name) / "vectors"
            vectors.write(folder)
            first = (folder / "boxes.json").read_bytes()
            vectors.write(folder)
            self.assertEqual((folder / "boxes.json").read_bytes(), first)
            for path in folder.iterdir():
                kept = (vectors.FOLDER / path.name).read_bytes()
                self.assertEqual(kept == path.read_bytes(), path.name != "boxes.json", path.name)
