"""Writes docs/vectors: examples of all formats of section 11, for tests of other programs and ours.

Run as ``python -m tools.vectors``. Boxes are another each time, so that those that are there are kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from p2pchat.protocol.names import PeerId
from p2pchat.trust.base64 import encode
from p2pchat.trust.identity import Identity, Secrets
from p2pchat.trust.namespacekey import NamespaceKey
from p2pchat.trust.number import safety_number
from p2pchat.trust.sealing import Content, seal
from p2pchat.trust.signing import framed

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "vectors"

ALICE, BOB = PeerId("alice@UnB"), PeerId("joão@Física")
TIME_MS = 1_767_323_045_000


def secrets_of(number: int) -> Secrets:
    """Return seeds that are easily told apart."""
    return Secrets(bytes([number]) * 32, bytes([number + 1]) * 64, bytes([number + 2]) * 32)


def _identity(own: PeerId, number: int) -> tuple[Identity, dict[str, Any]]:
    secrets = secrets_of(number)
    identity = Identity(own, secrets)
    seeds = {
        "signing_seed": secrets.signing.hex(),
        "mlkem_seed": secrets.mlkem.hex(),
        "x25519_private": secrets.x25519.hex(),
    }
    return identity, seeds | {"card": identity.card.as_fields()}


def cards() -> dict[str, Any]:
    """Cards, and the seeds of all their keys."""
    return {"alice": _identity(ALICE, 1)[1], "bob": _identity(BOB, 11)[1]}


def signatures() -> list[dict[str, Any]]:
    """What is signed in each kind of message, and alice's signature on it."""
    alice, _ = _identity(ALICE, 1)
    said = str(ALICE), str(BOB), "m1", TIME_MS, "olá 名"
    sig = encode(alice.sign("send/1", *said))
    examples: list[tuple[str, tuple[str | int, ...]]] = [
        ("send/1", said),
        ("pub/1", (str(ALICE), "#UnB", "m2", TIME_MS + 1, "")),
        ("ack/1", (str(ALICE), str(BOB), "m3", sig)),
        ("hit/1", (str(BOB), str(ALICE), "q1")),
    ]
    return [
        {
            "context": context,
            "parts": list(parts),
            "framed": framed(context, *parts).hex(),
            "sig": encode(alice.sign(context, *parts)),
        }
        for context, parts in examples
    ]


def boxes() -> list[dict[str, Any]]:
    """Boxes for bob, with what is in them and what they are bound to."""
    alice, _ = _identity(ALICE, 1)
    bob, _ = _identity(BOB, 11)
    examples = []
    for msg_id, payload in (("m1", "olá 名"), ("m2", "")):
        sig = encode(alice.sign("send/1", str(ALICE), str(BOB), msg_id, TIME_MS, payload))
        content = Content(payload, TIME_MS, encode(alice.key), sig).to_bytes()
        info = framed("send/1", str(ALICE), str(BOB), msg_id)
        box = seal(bob.card, content, info)
        examples.append({"info": info.hex(), "content": content.decode(), "sealed": encode(box)})
    return examples


def namespace() -> dict[str, Any]:
    """A key of a namespace, and a box that is sealed with it."""
    key = NamespaceKey("UnB", bytes(range(32)))
    info, salt = framed("pub/1", str(ALICE), "#UnB", "c1"), bytes([7]) * 32
    box = key.seal(b"to all members", info, lambda _: salt)
    return {
        "file": json.loads(key.to_bytes()),
        "salt": salt.hex(),
        "info": info.hex(),
        "content": "to all members",
        "sealed": encode(box),
    }


def number() -> dict[str, Any]:
    """The safety number of two peers."""
    (alice, _), (bob, _) = _identity(ALICE, 1), _identity(BOB, 11)
    one, other = (ALICE, alice.key), (BOB, bob.key)
    return {
        "peers": [{"peer_id": str(peer_id), "signing": encode(key)} for peer_id, key in (one, other)],
        "number": safety_number(one, other),
    }


def write(folder: Path = FOLDER) -> None:
    """Write all files, but boxes that are there."""
    folder.mkdir(exist_ok=True)
    made = {
        "cards": cards(),
        "signatures": signatures(),
        "namespace-key": namespace(),
        "safety-number": number(),
    }
    if not (folder / "boxes.json").exists():
        made["boxes"] = boxes()
    for name, vectors in made.items():
        text = json.dumps(vectors, indent=2, ensure_ascii=False)
        (folder / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
