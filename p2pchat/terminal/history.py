"""What the user typed, kept from one run to the next."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from prompt_toolkit.history import FileHistory

#: What the file is called in the state folder of the peer.
HISTORY = "typed"

#: How many lines are kept at least, and from which size of the file on, in bytes, the older ones are dropped.
KEPT = 1000
MAX_BYTES = 1024 * 1024


class Typed(FileHistory):
    """A history in a file that nobody else may read, and that does not grow without bound.

    :param folder: the state folder of the peer.
    :param trouble: takes why something typed cannot be kept, or what was kept not be read.
    """

    def __init__(self, folder: Path, trouble: Callable[[str], None]) -> None:
        self._path = folder / HISTORY
        self._trouble = trouble
        super().__init__(str(self._path))

    def load_history_strings(self) -> Iterable[str]:
        """Return what was typed, the newest first."""
        try:
            typed = [*super().load_history_strings()]
            if self._path.exists() and self._path.stat().st_size > MAX_BYTES:
                self._path.unlink()
                self._keep(typed)
        except OSError as problem:
            self._trouble(str(problem.strerror))
            return []
        return typed

    def store_string(self, string: str) -> None:
        """Add what was typed."""
        try:
            self._store(string)
        except OSError as problem:
            self._trouble(str(problem.strerror))

    def _keep(self, typed: list[str]) -> None:
        """Write the newest anew."""
        kept, room = [], MAX_BYTES // 2
        for line in typed[:KEPT]:
            room -= len(line.encode(errors="replace"))
            if room < 0:
                break
            kept.append(line)
        for line in reversed(kept):
            self._store(line)

    def _store(self, line: str) -> None:
        if not self._path.exists():
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600))
        # What a terminal sends that is no text arrives as halves of characters.
        super().store_string(line.encode(errors="replace").decode())
