"""What peers say, as the user is shown it; nothing in it steers the display."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given

from tests.console.users import HARMLESS, ConsoleTestCase, nasty_json_text, steering


class ArrivingTests(ConsoleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.alice = self.user("alice")
        self.peer = self.plain_peer(self.alice)
        self.numbers = itertools.count()
        self.alice.screen.clear()

    def sends(self, **fields: Any) -> list[str]:
        """Let the plain peer send a message; return what alice is shown."""
        before = len(self.alice.screen)
        given = {"type": "PUB", "msg_id": f"m{next(self.numbers)}", "src": "carol@UnB", "payload": "hi"}
        self.tell(self.peer, **given | fields)
        return self.alice.screen[before:]

    def test_destinations(self) -> None:
        """Section 9.12: every way to write the destination of a PUB is shown as what it means."""
        for dst, shown in (
            ({"dst": "*"}, "*"),
            ({"dst": "#UnB"}, "#UnB"),
            ({"dst": "UnB"}, "#UnB"),
            ({"dst": "alice@UnB"}, "@alice@UnB"),
            ({"dest": "#UnB"}, "#UnB"),
            ({"dst": None}, "*"),
            ({}, "*"),
        ):
            self.assertEqual(self.sends(**dst), [f"[12:34:56] carol@UnB [unsecured] to {shown}: hi"])

    def test_not_for_us(self) -> None:
        """What is for another namespace is not shown."""
        self.assertEqual(self.sends(dst="#Giga"), [])

    def test_one_to_one(self) -> None:
        """A message to us alone shows our name; sent twice it is shown once."""
        for shown in (["[12:34:56] carol@UnB [unsecured] to @alice@UnB: hi"], []):
            self.assertEqual(self.sends(type="SEND", msg_id="same", dst="alice@UnB"), shown)

    def test_another_source(self) -> None:
        """A message that claims to be from somebody else shows who brought it."""
        (shown,) = self.sends(src="bob@UnB", dst="*")
        self.assertEqual(shown, "[12:34:56] bob@UnB [unsecured] (via carol@UnB) to *: hi")

    def test_harmless(self) -> None:
        """Accents, any script and emoji arrive as they were sent."""
        for text in HARMLESS:
            self.assertEqual(self.sends(payload=text), [f"[12:34:56] carol@UnB [unsecured] to *: {text}"])

    @given(nasty_json_text.filter(bool), nasty_json_text)
    def test_anything(self, src: str, payload: str) -> None:
        """Whatever text comes over the wire, it is one line in which nothing steers."""
        (shown,) = self.sends(src=src, payload=payload)
        self.assert_harmless(shown)

    @given(nasty_json_text, nasty_json_text, nasty_json_text)
    def test_any_complaint(self, code: str, detail: str, ref: str) -> None:
        """Whatever a peer complains about, likewise."""
        self.pass_time(1)
        (shown,) = self.sends(type="ERROR", code=code, detail=detail, ref=ref)
        self.assert_harmless(shown)
        self.assertTrue(shown.startswith("* carol@UnB reports an error: "))

    @given(nasty_json_text)
    def test_watched(self, payload: str) -> None:
        """A traced line is one line too, before that which it means."""
        self.alice.node.watching = True
        traced, shown = self.sends(payload=payload, extra=payload)
        self.assert_harmless(traced)
        self.assertTrue(traced.startswith('<- carol@UnB {"type": "PUB"'))
        self.assert_harmless(shown)

    def assert_harmless(self, line: str) -> None:
        self.assertEqual((steering(line), len(line.splitlines())), ([], 1))


class StrangeNameTests(ConsoleTestCase):
    def test_everywhere(self) -> None:
        """A strange name, version and features are harmless wherever they are shown."""
        self.rendezvous()
        alice = self.user("alice", **self.listed_at())
        name = "e\u202eve\n* bob@UnB is linked\x1b[2J@U nB"
        peer = self.stranger(alice.villager)
        features = ["metrics", "\x07\n", "\u2066"]
        self.tell(peer, type="HELLO", peer_id=name, version="1.0\n", features=features, ttl=1)
        self.pass_time(1)
        alice.types("/watch", "/peers *", "/routes", "/status")
        self.tell(peer, type="SEND", msg_id="m", src=name, dst="alice@UnB", payload="hi\r\nthere")
        self.tell(peer, type="BYE", msg_id="b", src=name, dst="alice@UnB", reason="bye\x1b[2J\n* forged")
        self.pass_time(3)
        for line in alice.screen:
            self.assertEqual((steering(line), len(line.splitlines())), ([], 1), line)
            self.assertNotIn("e\u202eve", line)
        shown = "e<U+202E>ve␊*<U+0020>bob@UnB<U+0020>is<U+0020>linked␛[2J@U<U+0020>nB"
        self.assertTrue(any(line.startswith(shown + "  10.6.6.6") for line in alice.screen))
        self.assertTrue(any(line.startswith(f"* {shown} is no longer linked: ") for line in alice.screen))
