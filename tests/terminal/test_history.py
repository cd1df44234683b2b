"""What the user typed, kept from one run to the next."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.terminal import history as history_module
from p2pchat.terminal.history import HISTORY, Typed


class TypedTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / HISTORY
        self.troubles: list[str] = []

    def typed(self) -> list[str]:
        """Return what the next run knows, the newest first."""
        return [*Typed(self.folder, self.troubles.append).load_history_strings()]

    def test_kept(self) -> None:
        """What was typed is there in the next run, several lines too; nobody else may read it."""
        self.assertEqual(self.typed(), [])
        history = Typed(self.folder, self.troubles.append)
        for text in ("/peers", "olá 你好", "two\nlines", "half \udcff"):
            history.store_string(text)
        self.assertEqual(self.typed(), ["half ?", "two\nlines", "olá 你好", "/peers"])
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_bounded(self) -> None:
        """A file that became too long is cut to the newest lines."""
        self.patch(history_module, "MAX_BYTES", 10_000)
        self.patch(history_module, "KEPT", 20)
        for number in range(200):
            Typed(self.folder, self.troubles.append).store_string(f"line {number} {'x' * 60}")
        self.assertGreater(self.path.stat().st_size, 10_000)
        self.typed()
        self.assertEqual(
            [line.split()[1] for line in self.typed()], [str(number) for number in range(199, 179, -1)]
        )
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_long_lines(self) -> None:
        """Of very long lines fewer are kept."""
        self.patch(history_module, "MAX_BYTES", 10_000)
        for number in range(10):
            Typed(self.folder, self.troubles.append).store_string(f"line {number} {'x' * 2000}")
        self.typed()
        self.assertEqual([line.split()[1] for line in self.typed()], ["9", "8"])

    def test_trouble(self) -> None:
        """A disk that is full, or a file that cannot be read, is told, and costs nothing else."""
        history = Typed(self.folder, self.troubles.append)
        self.path.mkdir()
        history.store_string("x")
        self.assertEqual([*history.load_history_strings()], [])
        self.assertEqual(self.troubles, ["Is a directory"] * 2)
