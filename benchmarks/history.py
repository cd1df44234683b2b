"""Measures what it takes to keep messages: how many a second, and how long a start takes with very many."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import pair
from benchmarks.processes import running
from p2pchat.store import schema
from p2pchat.store.database import MESSAGES_FILE, FileDatabase

#: Messages of a peer that was never alone for years.
MANY = 1_000_000

_SQL = """
INSERT INTO messages (at_ms, conversation, author, state, msg_id, text)
VALUES (?, '@bob@bench', 'bob@bench', 'heard', ?, ?)
"""


def messages_per_s() -> float:
    """Run two ends that keep all messages, each in its own file; return how many are confirmed a second."""
    with tempfile.TemporaryDirectory(prefix="p2pchat-") as folder:
        return pair.directly("ours", f"keeping={folder}").messages_per_s


@contextmanager
def folder_with_messages(count: int) -> Iterator[str]:
    """Make a folder in which a peer has kept so many messages, as long as the ``with`` lasts."""
    with tempfile.TemporaryDirectory(prefix="p2pchat-") as folder:
        place = Path(folder) / "serve"
        place.mkdir()
        db = FileDatabase(place / MESSAGES_FILE).connect()
        schema.prepare(db)
        with db:
            db.execute("BEGIN")
            rows = ((number, f"{number:032x}", f"message {number} of very many") for number in range(count))
            db.executemany(_SQL, rows)
        db.close()
        yield folder


def start_s(folder: str) -> float:
    """Start a peer that keeps its messages in a folder; return the seconds until it is ready."""
    began = time.perf_counter()
    with running("ours", f"keeping={folder}", "serve") as peer:
        peer.read()
        return time.perf_counter() - began
