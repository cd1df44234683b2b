"""What a line that is being typed could go on with."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.console import commands, completion
from p2pchat.console.completion import Known, complete
from p2pchat.protocol.names import PeerId

KNOWN = Known(
    PeerId("alice@UnB"),
    [PeerId(f"{name}") for name in ("bob@UnB", "bert@UnB", "zoé@USP", "a b@UnB", "x\x1b@UnB", "c@a b")],
)


class CompletionTests(SynchronousTestCase):
    def test_words(self) -> None:
        """Commands, peers, namespaces and levels, each where it belongs; elsewhere nothing."""
        for line, words in (
            ("/pe", ["/peers"]),
            ("/b", ["/block"]),
            ("/msg @b", ["@bert", "@bob"]),
            ("/msg ", ["@bert", "@bob", "@zoé@USP", "#UnB", "#USP", "*"]),
            ("/msg #", ["#UnB", "#USP"]),
            ("/msg  @z", ["@zoé@USP"]),
            ("/msg @bob hi", []),
            ("/msg @bob hi @be", ["@bert"]),
            ("hi @be", ["@bert"]),
            ("hi be", []),
            ("@z", ["@zoé@USP"]),
            ("/peers #US", ["#USP"]),
            ("/who b", ["bert", "bob"]),
            ("/who bob b", []),
            ("/verify bob ", ["yes"]),
            ("/log d", ["debug"]),
            ("/help ms", ["msg"]),
            ("/status x", []),
            ("/nonsense b", []),
            ("/quit", ["/quit"]),
        ):
            self.assertEqual(complete(line, KNOWN), words, line)
        self.assertEqual(complete("/", KNOWN), [f"/{name}" for name in commands.NAMES])
        self.assertEqual(complete("", KNOWN), [])

    def test_what_is_completed_can_be_typed(self) -> None:
        """What completes a command is taken by it, also of peers with names that nobody can type."""
        for name in completion._ABOUT_PEERS:
            self.assertIn(name, commands.NAMES)
            for candidate in complete(f"/{name} ", KNOWN):
                self.assertIsNotNone(commands.parse(f"/{name} {candidate}", "UnB", None))
        for candidate in complete("/msg ", KNOWN):
            self.assertIsNotNone(commands.parse(f"/msg {candidate} hi", "UnB", None))

    @given(st.text() | st.text().map(lambda text: f"/msg {text}"))
    def test_anything(self, line: str) -> None:
        """Whatever stands there, what completes it begins with its last word."""
        word = line.split(" ")[-1]
        for candidate in complete(line, KNOWN):
            self.assertTrue(candidate.startswith(word))
