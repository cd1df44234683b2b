"""``p2pchat identity`` and ``p2pchat namespace-key``: keys, seen, moved and made."""

from __future__ import annotations

import io
import json
import stat
import tempfile
from pathlib import Path

import platformdirs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.command import WRONG, main
from p2pchat.options import EnvironmentOptions
from p2pchat.protocol.names import PeerId
from p2pchat.trust.cards import fingerprint, read_card
from p2pchat.trust.identity import Identity
from p2pchat.trust.keeping import IDENTITY_FILE, keys_folder, load_identity
from p2pchat.trust.namespacekey import load_namespace_key
from tests.keys import random_bytes_of

ALICE = PeerId("alice@lobby")


class KeysCommandTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.patch(platformdirs, "user_data_path", (self.folder / "share").joinpath)
        self.patch(EnvironmentOptions, "environment", {})
        self.file = self.folder / "copy"

    def run_command(self, *words: str) -> tuple[int, str, str]:
        """Run a command; return its status and what it printed, where it should and where errors go."""
        out, err = io.StringIO(), io.StringIO()
        return main(words, out, err), out.getvalue(), err.getvalue()

    def done(self, *words: str) -> str:
        """Run a command that can be done; return what it printed."""
        status, out, err = self.run_command(*words)
        self.assertEqual((status, err), (0, ""))
        return out

    def refused(self, *words: str) -> str:
        """Run a command that cannot be done; return what the user is told."""
        status, out, err = self.run_command(*words)
        self.assertEqual((status, out), (WRONG, ""))
        return err

    def make(self, seed: str = "x", own: PeerId = ALICE) -> Identity:
        """Let a peer have an identity, as after its first start."""
        return load_identity(keys_folder(None, own), own, random_bytes_of(seed))


class ShowTests(KeysCommandTestCase):
    def test_show(self) -> None:
        """It shows the peer, its key and fingerprint, and where they are kept."""
        identity = self.make()
        shown = self.done("identity", "show", "--name", "alice")
        for text in ("alice@lobby", identity.key.hex(), fingerprint(identity.key), IDENTITY_FILE):
            self.assertIn(text, shown)

    def test_card(self) -> None:
        """It shows the card as others get it."""
        identity = self.make()
        shown = self.done("identity", "show", "--name", "alice", "--card")
        self.assertEqual(read_card(json.loads(shown)), identity.card)

    def test_none(self) -> None:
        """A peer that never was started has no key, and gets none by being looked at."""
        self.assertIn("alice@lobby has no key yet", self.refused("identity", "show", "--name", "alice"))
        self.assertFalse((self.folder / "share").exists())

    def test_folder(self) -> None:
        """It looks in the folder that the peer was given, and in that of its namespace."""
        place = self.folder / "data"
        identity = load_identity(place, PeerId("bob@UnB"), random_bytes_of("b"))
        words = ("identity", "show", "--name", "bob", "--namespace", "UnB", "--data-dir", str(place))
        self.assertIn(identity.key.hex(), self.done(*words))

    def test_environment(self) -> None:
        """It is of the peer that the environment names, like the peer that starts there."""
        place = self.folder / "data"
        identity = load_identity(place, PeerId("bob@UnB"), random_bytes_of("b"))
        given = {"NAME": "bob", "NAMESPACE": "UnB", "DATA_DIR": str(place)}
        self.patch(
            EnvironmentOptions, "environment", {f"P2PCHAT_{name}": value for name, value in given.items()}
        )
        shown = self.done("identity", "show")
        self.assertIn("bob@UnB", shown)
        self.assertIn(identity.key.hex(), shown)
        self.assertIn("namespace UnB is in", self.done("namespace-key", "new", str(self.file)))

    def test_wrong(self) -> None:
        """What is wrong in the command is told."""
        for words, told in (
            (("identity",), "expected a command: identity show, export or import"),
            (("identity", "show"), "--name (or P2PCHAT_NAME) is required"),
            (("identity", "show", "--name", "a@b"), "--name (or P2PCHAT_NAME): a name has no @"),
            (
                ("identity", "show", "--name", "a", "--namespace", ""),
                "--namespace (or P2PCHAT_NAMESPACE): a namespace has 1",
            ),
            (("identity", "show", "alice"), "expected nothing more, got 1 words"),
            (("identity", "export", "--name", "a"), "expected one file, got 0 words"),
            (("identity", "import", "a", "b", "--name", "a"), "expected one file, got 2 words"),
            (("identity", "import", "", "--name", "a"), "expected a file, got ''"),
            (
                ("identity", "show", "--name", "a", "--data-dir", "\0"),
                "--data-dir (or P2PCHAT_DATA_DIR): expected a folder",
            ),
            (("namespace-key",), "expected a command: namespace-key new"),
            (("namespace-key", "new"), "expected one file, got 0 words"),
            (
                ("namespace-key", "new", "x", "--namespace", "a b"),
                "--namespace (or P2PCHAT_NAMESPACE): a namespace has no @",
            ),
        ):
            self.assertIn(told, self.refused(*words))


class MoveTests(KeysCommandTestCase):
    def test_to_another_machine(self) -> None:
        """What was exported is imported elsewhere, and is the same peer."""
        identity = self.make()
        told = self.done("identity", "export", str(self.file), "--name", "alice")
        self.assertIn("Whoever has that file can be alice@lobby", told)
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        elsewhere = str(self.folder / "elsewhere")
        words = ("identity", "import", str(self.file), "--name", "alice", "--data-dir", elsewhere)
        self.assertIn(fingerprint(identity.key), self.done(*words))
        again = load_identity(Path(elsewhere), ALICE, random_bytes_of("y"))
        self.assertEqual(again.card, identity.card)
        self.done(*words)  # once more is no harm

    def test_nothing_is_lost(self) -> None:
        """Neither a file nor an identity is overwritten unless that was asked for."""
        identity = self.make()
        self.done("identity", "export", str(self.file), "--name", "alice")
        self.assertIn(
            "There is a file", self.refused("identity", "export", str(self.file), "--name", "alice")
        )
        other = self.make("other", PeerId("bob@lobby"))
        words = ("identity", "import", str(self.file), "--name", "bob")
        self.assertIn("bob@lobby has another identity already", self.refused(*words))
        self.assertIn(other.key.hex(), self.done("identity", "show", "--name", "bob"))
        (keys_folder(None, PeerId("bob@lobby")) / IDENTITY_FILE).write_bytes(b"{")
        self.assertIn("is damaged", self.refused(*words))
        self.done(*words, "--replace")
        self.assertIn(identity.key.hex(), self.done("identity", "show", "--name", "bob"))

    def test_files_that_cannot_be_used(self) -> None:
        """A file that is missing, damaged, readable by others, or cannot be written is told."""
        words = ("identity", "import", str(self.file), "--name", "alice")
        self.assertIn(f"There is no file {self.file}", self.refused(*words))
        self.file.write_text("{}")
        self.assertIn("chmod 600", self.refused(*words))
        self.file.chmod(0o600)
        self.assertIn("is damaged", self.refused(*words))
        self.make()
        nowhere = str(self.folder / "no" / "where")
        told = self.refused("identity", "export", nowhere, "--name", "alice")
        self.assertIn(f"{nowhere} cannot be written (No such file or directory)", told)


class NamespaceKeyTests(KeysCommandTestCase):
    def test_new(self) -> None:
        """It makes a key that members can start with, once."""
        told = self.done("namespace-key", "new", str(self.file), "--namespace", "UnB")
        self.assertIn("A key for the namespace UnB", told)
        self.assertEqual(load_namespace_key(self.file, "UnB").namespace, "UnB")
        self.assertIn("There is a file", self.refused("namespace-key", "new", str(self.file)))
