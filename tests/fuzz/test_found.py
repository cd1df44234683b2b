"""What this room has found, each with the smallest input that shows it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol import codec
from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.names import BadName, PeerId
from tests.programs import ProgramTestCase


class OptionTests(ProgramTestCase):
    def test_words_that_are_not_text(self) -> None:
        """A word with bytes that are not UTF-8 is refused with a text that twistd can print."""
        self.assertEqual(
            self.refused("-n", "p2pchat", "--\udceeame", "alice"), "option --\\udceeame not recognized"
        )
        blocked = self.folder / "file"
        blocked.touch()
        told = self.refused("-n", "p2pchat", "--name", "alice", "--data-dir", f"{blocked}/\udcee")
        self.assertIn("file/\\udcee cannot be made", told)

    def test_control_characters(self) -> None:
        """A word with control characters is refused with a text in which they are only named."""
        self.assertIn("--na\\x1b[2Jme", self.refused("-n", "p2pchat-rendezvous", "--na\x1b[2Jme"))

    def test_no_folder(self) -> None:
        """What can be no path is refused as a folder, by both programs."""
        for text in ("a\0b", "\ud800"):
            for words in (["p2pchat", "--name", "alice"], ["p2pchat-rendezvous"]):
                told = self.refused("-n", *words, "--data-dir", text)
                self.assertIn(f"expected a folder, got {text!a}", told)


class NameTests(SynchronousTestCase):
    def test_namespace_with_an_at(self) -> None:
        """A namespace with an @ is refused where no HELLO could say the peer_id that it makes."""
        for name, namespace in (
            ("bob", "@"),
            ("bob", "a@"),
            ("n" * 64, "a@b"),
            ("bob", "@" + "n" * 63 + "@"),
        ):
            self.assertRaises(BadName, PeerId.of, name, namespace)
            self.assertRaises(BadName, PeerId.parse, f"{name}@{namespace}")
        self.assertEqual(PeerId.of("bob", "a@b"), PeerId.parse("bob@a@b"))


class DepthTests(SynchronousTestCase):
    def test_text_without_end(self) -> None:
        """What opens a text and never ends it is read over at once, not again from each quote in it.

        A line of 32 kB took four seconds, in which a node did nothing else.
        """
        for text in (b'"\\' * 16000, b'"' + b'\\"' * 16000, b'"' + b"[" * 32000):
            self.assertIn(codec._STRING.sub(b"", text), (b"", b"\\"))
            self.assertRaises(ProtocolError, codec.decode, b"[" * 65 + text)

    def test_texts(self) -> None:
        """Texts that end are read over as before, and what stands between them is kept."""
        for line, kept in (
            (b'{"a":"[","b":[]}', b"{:,:[]}"),
            (b'["\\"[",{"\\\\":1}]', b"[,{:1}]"),
            (b'[""]"', b"[]"),
            (b"\\[", b"\\["),
        ):
            self.assertEqual(codec._STRING.sub(b"", line), kept)
