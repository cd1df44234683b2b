"""Our own keys: made, kept, read back, and refused where others could have them."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.names import PeerId
from p2pchat.trust import secretfile
from p2pchat.trust.cards import read_card
from p2pchat.trust.identity import Identity, Secrets
from p2pchat.trust.keeping import IDENTITY_FILE, keys_folder, load_identity, make_folder, read_secrets
from p2pchat.trust.secretfile import KeysUnusable, read_secret, write_secret
from tests.keys import identity_of, nested_deep, random_bytes_of

ALICE = PeerId("alice@UnB")


class FolderTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "secret"

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


class SecretsTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """Keys are read as they were written."""
        secrets = Secrets.new(random_bytes_of("x"))
        self.assertEqual(Secrets.from_bytes(secrets.to_bytes()), secrets)

    def test_not_shown(self) -> None:
        """No key shows in a traceback or a log."""
        self.assertEqual(repr(Secrets.new(random_bytes_of("x"))), "Secrets(issue=1)")

    def test_wrong(self) -> None:
        """What is not such a file is refused in words."""
        good = Secrets.new(random_bytes_of("x")).to_bytes()
        for data, words in (
            (b"", "truncated"),
            (b"{}", "missing required field"),
            (good[:-9], "truncated"),
            (good.replace(b'"v": 1', b'"v": 2'), "version 2"),
            (good.replace(b'"issue": 1', b'"issue": 0'), "the number of its card"),
            (good.replace(b'"issue": 1', b'"issue": 9007199254740992'), "the number of its card"),
            (nested_deep(good), "nested too deep"),
            (good.replace(b'"mlkem": "', b'"mlkem": "AAAA'), "wrong size"),
            (good.replace(b'"mlkem": "', b'"mlkem": "!'), "base64"),
            (b"\xff", ""),
        ):
            self.assertIn(words, str(self.assertRaises(ValueError, Secrets.from_bytes, data)))

    def test_card(self) -> None:
        """The card of an identity is one that others take, and says who it is."""
        identity = identity_of(ALICE)
        card = read_card(identity.card.as_fields())
        self.assertEqual((card.peer_id, card.signing, card.issue), (ALICE, identity.key, 1))


class WriteTests(FolderTestCase):
    def test_written(self) -> None:
        """A file is for our eyes only, and nothing else is left."""
        write_secret(self.path, b"secret")
        self.assertEqual((read_secret(self.path), self.names()), (b"secret", ["secret"]))
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_not_overwritten(self) -> None:
        """One that is there is overwritten only where that is wanted."""
        write_secret(self.path, b"first")
        self.assertRaises(FileExistsError, write_secret, self.path, b"second")
        self.assertEqual((read_secret(self.path), self.names()), (b"first", ["secret"]))
        write_secret(self.path, b"third", replace=True)
        self.assertEqual((read_secret(self.path), self.names()), (b"third", ["secret"]))

    def test_draft_laid_out_by_others(self) -> None:
        """No file that somebody put into the folder before is written to, whoever may read it."""
        trap = self.folder / f".{self.path.name}.{os.getpid()}"
        trap.write_bytes(b"")
        trap.chmod(0o666)
        write_secret(self.path, b"secret")
        self.assertEqual(trap.read_bytes(), b"")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_disk_full(self) -> None:
        """A file that cannot be written as a whole is not written, and the one before stays."""
        write_secret(self.path, b"first")
        with mock.patch.object(os, "fsync", side_effect=OSError(28, "No space left on device")):
            self.assertRaises(OSError, write_secret, self.path, b"second", replace=True)
        self.assertEqual((read_secret(self.path), self.names()), (b"first", ["secret"]))


class ReadTests(FolderTestCase):
    def refused(self) -> str:
        return str(self.assertRaises(KeysUnusable, read_secret, self.path))

    def test_readable_by_others(self) -> None:
        """A file that others may read or change is refused, with what to do."""
        write_secret(self.path, b"secret")
        for mode in (0o640, 0o604, 0o620, 0o602, 0o610):
            self.path.chmod(mode)
            self.assertIn(f"chmod 600 {self.path}", self.refused())
        self.path.chmod(0o400)
        self.assertEqual(read_secret(self.path), b"secret")

    def test_told_for_a_shell(self) -> None:
        """What to do can be pasted into a shell, whatever is in the path."""
        self.path = self.folder / "a b; c"
        write_secret(self.path, b"secret")
        self.path.chmod(0o640)
        self.assertIn(f"chmod 600 '{self.path}'", self.refused())

    def test_of_somebody_else(self) -> None:
        """A file of another user is refused, whoever that is."""
        write_secret(self.path, b"secret")
        with mock.patch.object(os, "getuid", return_value=os.getuid() + 1):
            self.assertIn("belongs to another user", self.refused())

    def test_no_file(self) -> None:
        """What is no file, or far too large, is refused, and nobody waits for a pipe."""
        os.mkfifo(self.path, 0o600)
        self.assertIn("no file of keys", self.refused())
        self.path.unlink()
        self.path.mkdir()
        descriptors = os.listdir("/dev/fd")
        self.assertRaises(IsADirectoryError, read_secret, self.path)
        self.assertEqual(os.listdir("/dev/fd"), descriptors)
        self.path.rmdir()
        write_secret(self.path, b"x" * (secretfile.MAX_BYTES + 1))
        self.assertIn("no file of keys", self.refused())
        self.path.unlink()
        self.assertRaises(FileNotFoundError, read_secret, self.path)


class KeepingTests(FolderTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.place = self.folder / "a" / "b"

    def load(self, seed: str = "x") -> Identity:
        return load_identity(self.place, ALICE, random_bytes_of(seed))

    def refused(self) -> str:
        return str(self.assertRaises(KeysUnusable, self.load))

    def test_first_start(self) -> None:
        """The first start makes a key, in a folder for our eyes only; later ones find it."""
        first, second = self.load("x"), self.load("y")
        self.assertEqual((first.key, first.own), (second.key, ALICE))
        self.assertEqual(stat.S_IMODE(self.place.stat().st_mode), 0o700)

    def test_damaged(self) -> None:
        """A damaged file is refused, never replaced, with what to do."""
        self.load()
        (self.place / IDENTITY_FILE).write_bytes(b"{")
        told = self.refused()
        self.assertIn("damaged", told)
        self.assertIn("p2pchat identity import FILE --replace", told)
        self.assertEqual((self.place / IDENTITY_FILE).read_bytes(), b"{")

    def test_two_starts_at_once(self) -> None:
        """Of two first starts at once one makes the key, and both have it."""
        found: list[Identity] = []

        def while_the_other_starts(size: int) -> bytes:
            if not found:
                found.append(self.load("other"))
            return random_bytes_of("late")(size)

        late = load_identity(self.place, ALICE, while_the_other_starts)
        self.assertEqual(late.key, found[0].key)

    def test_cannot_be_kept(self) -> None:
        """A key that cannot be kept is none, and the user hears why."""
        with mock.patch.object(os, "fsync", side_effect=OSError(28, "No space left on device")):
            self.assertIn("(No space left on device)", self.refused())

    def test_cannot_be_read(self) -> None:
        """A file that cannot be read is told, with the reason."""
        self.place.mkdir(parents=True)
        (self.place / IDENTITY_FILE).symlink_to(IDENTITY_FILE)
        self.assertIn("cannot be read (Too many levels of symbolic links)", self.refused())
        self.assertRaises(FileNotFoundError, read_secrets, self.place / "nothing")

    def test_no_folder(self) -> None:
        """A folder that cannot be made is told, with the reason."""
        (self.folder / "file").write_text("")
        told = self.assertRaises(KeysUnusable, make_folder, self.folder / "file" / "x")
        self.assertIn("Not a directory", str(told))

    def test_where(self) -> None:
        """Keys are in the folder that was given, or in one of each peer's own."""
        self.assertEqual(keys_folder("/x", ALICE), Path("/x"))
        own, other = keys_folder(None, ALICE), keys_folder(None, PeerId("bob@UnB"))
        self.assertEqual((own.parts[-3:], other.name), (("p2pchat", "UnB", "alice"), "bob"))
