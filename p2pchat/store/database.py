"""Where the tables are: in a file, or in memory."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

#: What a file with messages is called.
MESSAGES_FILE = "messages.sqlite"

#: Seconds that a statement waits for another program that has the file, such as one that copies it.
_BUSY_S = 1.0

#: Executes a statement.
Execute = Callable[[str, Sequence[Any]], sqlite3.Cursor]


class PowerCut(Exception):
    """The power failed just now, in a simulation: nothing more is done, and nothing is told."""


class Database(Protocol):
    """A place for tables. `SqliteStore` opens connections to it, and closes them."""

    @property
    def name(self) -> str:
        """What it is called, for people."""

    def connect(self) -> sqlite3.Connection:
        """Open a connection.

        :raises OSError: the place cannot be used.
        :raises sqlite3.Error: neither can what is there.
        """

    def disconnect(self, db: sqlite3.Connection) -> None:
        """Close a connection."""

    def executor(self, db: sqlite3.Connection) -> Execute:
        """Return what executes the statements that write."""

    def set_aside(self, when: str) -> str:
        """Move what is there out of the way, and keep it; return where it is then.

        :param when: the time, for its name.
        :raises OSError: it cannot be moved.
        """


class FileDatabase:
    """A file, for our eyes only."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """The path."""
        return str(self._path)

    def connect(self) -> sqlite3.Connection:
        """Open the file, which is made where there is none."""
        # Made by us, since SQLite would let others read it.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        # One thread at a time uses it, but not the one that opened it.
        db = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            # What was written is there after a power cut, too: others were told that we have it.
            db.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error:
            db.close()
            raise
        return db

    def disconnect(self, db: sqlite3.Connection) -> None:
        """Close it."""
        db.close()

    def executor(self, db: sqlite3.Connection) -> Execute:
        """Nothing is in between."""
        return db.execute

    def set_aside(self, when: str) -> str:
        """Give the file, and those that SQLite keeps beside it, another name that nobody has."""
        number = 1
        while True:
            suffix = f".damaged-{when}" + (f"-{number}" if number > 1 else "")
            aside = self._path.with_name(self._path.name + suffix)
            if not aside.exists():
                break
            number += 1
        self._path.rename(aside)
        for beside in ("-wal", "-shm"):
            file = self._path.with_name(self._path.name + beside)
            if file.exists():
                file.rename(f"{aside}{beside}")
        return str(aside)


class MemoryDatabase:
    """A database in memory that outlives the programs that use it, one after the other. For simulations.

    :ivar before_statement: called before each statement that writes; may raise `PowerCut`.
    """

    name = "memory"

    def __init__(self) -> None:
        self.before_statement: Callable[[], None] = lambda: None
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)

    def connect(self) -> sqlite3.Connection:
        """Return the one connection. What a program before had not committed is gone."""
        if self._db.in_transaction:
            self._db.rollback()
        return self._db

    def disconnect(self, db: sqlite3.Connection) -> None:
        """Keep it, since it is all that there is."""

    def executor(self, db: sqlite3.Connection) -> Execute:
        """Let the power fail in between."""

        def execute(sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
            self.before_statement()
            return db.execute(sql, values)

        return execute

    def set_aside(self, when: str) -> str:
        """Begin with another one."""
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        return self.name
