"""Closed groups: the file that lists who may come."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.names import PeerId
from p2pchat.trust import allowed as allowed_module
from p2pchat.trust.allowed import Allowed, read_allowed
from p2pchat.trust.secretfile import KeysUnusable

ALICE, BOB, CAROL = (PeerId(f"{name}@UnB") for name in ("alice", "bob", "carol"))
KEY, OTHER = b"k" * 32, b"o" * 32


class AllowedTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "friends"

    def read(self, text: str | bytes) -> Allowed:
        self.path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_allowed(self.path)

    def refused(self, text: str | bytes) -> str:
        return str(self.assertRaises(KeysUnusable, self.read, text))

    def test_read(self) -> None:
        """A peer a line, with its key or not; comments and empty lines."""
        allowed = self.read(f"# friends\n\n  alice@UnB   {KEY.hex()} # the first\n#x\nbob@UnB\n")
        self.assertEqual(allowed, Allowed({ALICE: KEY, BOB: None}))

    def test_why_not(self) -> None:
        """Who is listed may come with its key; with the first that it has where none is listed."""
        allowed = Allowed({ALICE: KEY, BOB: None})
        for peer_id, key in ((ALICE, KEY), (BOB, KEY), (BOB, OTHER)):
            self.assertEqual(allowed.why_not(peer_id, key), "")
        self.assertEqual(allowed.why_not(CAROL, KEY), "carol@UnB is not one of those who may come here")
        self.assertEqual(allowed.why_not(ALICE, OTHER), "alice@UnB may come here with another key only")
        for peer_id in (ALICE, BOB):
            self.assertIn("only who proves its key", allowed.why_not(peer_id, None))

    def test_wrong_lines(self) -> None:
        """A line that is wrong is told with its number and what was expected."""
        for line, words in (
            ("alice", "a peer_id"),
            ("alice@UnB nothex", "hexadecimal"),
            ("alice@UnB abcd", "a key has 64 hexadecimal digits"),
            (f"alice@UnB {KEY.hex()} more", "more than two words"),
        ):
            told = self.refused(f"bob@UnB\n{line}\n")
            self.assertIn(f"{self.path}, line 2: ", told)
            self.assertIn("Expected name@namespace", told)
            self.assertIn(words, told)

    def test_wrong_files(self) -> None:
        """A file that is missing, empty, too large or no text is refused in words."""
        told = str(self.assertRaises(KeysUnusable, read_allowed, self.path))
        self.assertIn("cannot be read (No such file or directory)", told)
        self.assertIn("names nobody", self.refused("# nobody\n"))
        self.assertIn("no text in UTF-8", self.refused(b"\xff"))
        self.patch(allowed_module, "MAX_BYTES", 20)
        self.assertIn("larger than 20 bytes", self.refused("alice@UnB\n" * 3))
