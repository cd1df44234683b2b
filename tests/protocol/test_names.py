"""Names of peers and destinations (docs/protocol.md, section 1)."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.codec import encode_plain
from p2pchat.protocol.messages import Hello, HelloOk
from p2pchat.protocol.names import (
    MAX_NAME,
    BadName,
    PeerId,
    ToAll,
    ToNamespace,
    ToPeer,
    check_own,
    parse_destination,
    parse_peer,
)

NAMES = st.text(min_size=1, max_size=MAX_NAME)
NAMESPACES = NAMES.filter(lambda text: "@" not in text)


class PeerIdTests(SynchronousTestCase):
    """`PeerId`, as others write it."""

    def test_parts(self) -> None:
        """A peer_id has a name and a namespace, divided by the at sign."""
        peer_id = PeerId.parse("alice@UnB")
        self.assertEqual((peer_id.name, peer_id.namespace), ("alice", "UnB"))

    def test_equals_the_wire(self) -> None:
        """A peer_id is the same key as the plain string on the wire."""
        links: dict[str, int] = {PeerId.of("alice", "UnB"): 1}
        self.assertEqual(links["alice@UnB"], 1)

    def test_last_at_sign_divides(self) -> None:
        """A strange name may hold an at sign; the last one divides."""
        peer_id = PeerId.parse("a@b@UnB")
        self.assertEqual((peer_id.name, peer_id.namespace), ("a@b", "UnB"))

    def test_no_at_sign(self) -> None:
        """A peer_id without a namespace is refused, and the text says how it is written."""
        problem = self.assertRaises(BadName, PeerId.parse, "alice")
        self.assertIn("name@namespace", str(problem))

    def test_empty_parts(self) -> None:
        """Neither the name nor the namespace may be empty."""
        for text, what in (("@UnB", "name"), ("alice@", "namespace"), ("@", "name"), ("a@b@", "namespace")):
            problem = self.assertRaises(BadName, PeerId.parse, text)
            self.assertIn(f"a {what} has 1 to 64 characters, this one has 0", str(problem))

    def test_longest(self) -> None:
        """64 characters are accepted in both parts, 65 in neither; characters count, not bytes."""
        longest = "é" * 64
        self.assertEqual(PeerId.of(longest, longest), f"{longest}@{longest}")
        self.assertRaises(BadName, PeerId.of, longest + "x", "UnB")
        self.assertRaises(BadName, PeerId.of, "alice", longest + "x")

    def test_strange_names_of_others(self) -> None:
        """What the rendezvous accepts is accepted from others, whatever the characters."""
        for name in ("#a", "*", "a b", "a\nb", "\x1b[31m", "../x", "\u202e", "😀"):
            self.assertEqual(PeerId.parse(f"{name}@UnB").name, name)

    @given(NAMES, NAMESPACES)
    def test_round_trip(self, name: str, namespace: str) -> None:
        """Parsing what `of` printed gives the same parts back."""
        peer_id = PeerId.parse(PeerId.of(name, namespace))
        self.assertEqual((peer_id.name, peer_id.namespace), (name, namespace))

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Any text is a peer_id of two usable parts or a BadName."""
        try:
            peer_id = PeerId.parse(text)
        except BadName:
            return
        self.assertEqual(peer_id, text)
        self.assertTrue(1 <= len(peer_id.name) <= MAX_NAME)
        self.assertTrue(1 <= len(peer_id.namespace) <= MAX_NAME)


class OwnNameTests(SynchronousTestCase):
    """`check_own`, stricter than what is accepted from others."""

    def test_good_names(self) -> None:
        """Letters of any script, digits, dots and dashes inside are fine, and come back unchanged."""
        for text in ("alice", "Zoë", "名前", "a-b_c.d", "0", "x" * 64, "é" * 64, "😀"):
            self.assertEqual(check_own("name", text), text)

    def test_forbidden_characters(self) -> None:
        """Characters that commands, screens or file names trip over are refused and shown escaped."""
        bad = "@#*/\\ \t\n\r\x00\x1b\x7f\x85\xa0\u2028\u3000\u200b\u202e\ufeff\ud800\ue000"
        for char in bad:
            problem = self.assertRaises(BadName, check_own, "name", f"a{char}b")
            self.assertIn(f"found {char!a}", str(problem))
            self.assertTrue(str(problem).isascii())

    def test_leading_dot(self) -> None:
        """A leading dot would hide the file, or name another folder."""
        for text in (".", "..", ".alice"):
            self.assertRaises(BadName, check_own, "name", text)

    def test_length(self) -> None:
        """Empty and longer than 64 characters are refused, by the name of what it is."""
        for text, size in (("", "0"), ("x" * 65, "65")):
            problem = self.assertRaises(BadName, check_own, "namespace", text)
            self.assertEqual(str(problem), f"a namespace has 1 to 64 characters, this one has {size}")

    def test_no_room_in_a_hello(self) -> None:
        """A name of many characters that take twelve bytes each in ASCII is refused (9.2)."""
        self.assertEqual(check_own("name", "😀" * 32), "😀" * 32)
        problem = self.assertRaises(BadName, check_own, "name", "😀" * 32 + "x")
        self.assertIn("at most 384 bytes when escaped, this one has 385", str(problem))

    @given(st.text(min_size=1, max_size=64), st.text(min_size=1, max_size=64))
    def test_hello_stays_short(self, name: str, namespace: str) -> None:
        """With any names that we allow ourselves HELLO and HELLO_OK stay under 1024 bytes (9.2)."""
        try:
            peer_id = PeerId.of(check_own("name", name), check_own("namespace", namespace))
        except BadName:
            return
        features = ("ack", "relay", "who_has", "metrics")
        for hello in (Hello(peer_id, features=features), HelloOk(peer_id, features=features)):
            self.assertLess(len(encode_plain(hello)), 1024)

    def test_longest_hello(self) -> None:
        """The longest names that we allow ourselves leave a HELLO_OK under 1024 bytes (9.2)."""
        for longest in ("é" * 64, "😀" * 32):
            peer_id = PeerId.of(check_own("name", longest), check_own("namespace", longest))
            hello = HelloOk(peer_id, features=("ack", "relay", "who_has", "metrics"))
            line = encode_plain(hello)
            self.assertEqual(json.loads(line)["peer_id"], peer_id)
            self.assertLess(len(line), 1024)


class DestinationTests(SynchronousTestCase):
    """Destinations, as a user types them."""

    def test_one_peer(self) -> None:
        """``@name@namespace`` is one peer, ``@name`` one of our own namespace."""
        self.assertEqual(parse_destination("@bob@Giga", "UnB"), ToPeer(PeerId("bob@Giga")))
        self.assertEqual(parse_destination("@bob", "UnB"), ToPeer(PeerId("bob@UnB")))

    def test_namespace(self) -> None:
        """``#namespace`` is everybody of a namespace."""
        self.assertEqual(parse_destination("#Giga", "UnB"), ToNamespace("Giga"))

    def test_namespace_length(self) -> None:
        """A namespace has 1 to 64 characters."""
        for namespace in ("x", "é" * 64):
            self.assertEqual(parse_destination(f"#{namespace}", "UnB"), ToNamespace(namespace))

    def test_everybody(self) -> None:
        """``*`` is everybody."""
        self.assertEqual(parse_destination("*", "UnB"), ToAll())

    def test_printed(self) -> None:
        """A destination prints as it is typed."""
        for text in ("@bob@Giga", "#Giga", "*"):
            self.assertEqual(str(parse_destination(text, "UnB")), text)

    def test_wrong(self) -> None:
        """Anything else is refused, and so are parts that are empty or too long."""
        wrong = ("", "bob", "bob@UnB", "**", "@", "#", "@@UnB", "@bob@", "@" + "x" * 65, "#" + "x" * 65)
        for text in wrong:
            self.assertRaises(BadName, parse_destination, text, "UnB")

    def test_wrong_says_what_is_right(self) -> None:
        """A destination without a sign in front is answered with the three that there are."""
        problem = self.assertRaises(BadName, parse_destination, "bob", "UnB")
        self.assertEqual(str(problem), "a destination is @peer, #namespace or *")

    def test_peer_with_and_without_sign(self) -> None:
        """Where only a peer can be meant the sign in front may be left out."""
        for text in ("bob", "@bob", "bob@UnB", "@bob@UnB"):
            self.assertEqual(parse_peer(text, "UnB"), "bob@UnB")

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Any text is a destination or a BadName."""
        try:
            destination = parse_destination(text, "UnB")
        except BadName:
            return
        self.assertEqual(parse_destination(str(destination), "UnB"), destination)
