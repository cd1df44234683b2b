"""What is remembered of other peers: their keys, who was verified, who is blocked."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import attrs
import msgspec

from p2pchat.language import tr
from p2pchat.protocol.names import PeerId
from p2pchat.trust.cards import Card, read_card
from p2pchat.trust.jsontext import read_json
from p2pchat.trust.secretfile import KeysUnusable

#: Peers whose keys are kept, about 20 MB of memory. Beyond, those that our user never wrote to are forgotten,
#: the oldest first: whoever comes under ever new names must not make us forget the key of a friend.
MAX_PINS = 10_000

#: Peers that may be blocked; the user types each of them.
MAX_BLOCKED = 1000

#: The version of the tables, in ``PRAGMA user_version``.
_VERSION = 1

_TABLES = f"""
CREATE TABLE pins (
    peer_id TEXT PRIMARY KEY, key BLOB NOT NULL, card TEXT, signs INTEGER NOT NULL,
    is_verified INTEGER NOT NULL, is_friend INTEGER NOT NULL, first_seen_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE blocked (peer_id TEXT PRIMARY KEY) STRICT;
CREATE TABLE latest (peer_id TEXT PRIMARY KEY, time_ms INTEGER NOT NULL) STRICT;
PRAGMA user_version = {_VERSION};
"""


class PinsFull(Exception):
    """No more can be remembered."""


@attrs.frozen
class Pin:
    """A name and the key that it was first seen with.

    :param key: its public signing key.
    :param card: its last card; None where it never showed one.
    :param signs: it signs all that it says to be passed on, so that what is not signed is not its.
    :param is_verified: our user has compared safety numbers.
    :param is_friend: our user has written to it.
    :param first_seen_ms: in ms since 1970.
    """

    key: bytes
    card: Card | None = None
    signs: bool = False
    is_verified: bool = False
    is_friend: bool = False
    first_seen_ms: int = 0


class Pins:
    """The memory of all peers. Whoever makes the node creates it; `Trust` owns and closes it.

    It is read from memory, and written down by `flush` now and then, so that nobody waits for the disk.

    :param path: the file; None to keep nothing.
    :raises KeysUnusable: the file cannot be read.
    """

    def __init__(self, path: Path | None = None) -> None:
        #: Why the last `flush` failed, in words; empty where it did not.
        self.trouble = ""
        #: Pins that were forgotten to make room.
        self.evicted = 0
        self.blocked: set[PeerId] = set()
        self._path = path
        self._pins: dict[PeerId, Pin] = {}
        #: Those that may be forgotten, oldest first.
        self._strangers: dict[PeerId, None] = {}
        self._latest: dict[PeerId, int] = {}
        self._changed: set[PeerId] = set()
        self._changed_latest: dict[PeerId, int] = {}
        self._is_blocked_changed = False
        #: Opened by the first write, since a daemon is forked after it was made and before it runs, and the
        #: locks of a file are not handed down.
        self._db: sqlite3.Connection | None = None
        if path is not None:
            self._load(path)

    def __len__(self) -> int:
        return len(self._pins)

    def get(self, peer_id: PeerId) -> Pin | None:
        """Return what is known of a peer."""
        return self._pins.get(peer_id)

    def put(self, peer_id: PeerId, pin: Pin) -> None:
        """Remember a peer, or something new of it.

        :raises PinsFull: it is a new one, and all others are friends.
        """
        if peer_id not in self._pins and len(self._pins) >= MAX_PINS:
            self._evict()
        self._pins[peer_id] = pin
        if pin.is_friend:
            self._strangers.pop(peer_id, None)
        else:
            self._strangers.setdefault(peer_id)
        self._changed.add(peer_id)

    def remove(self, peer_id: PeerId) -> None:
        """Forget a peer."""
        self._pins.pop(peer_id, None)
        self._strangers.pop(peer_id, None)
        self._latest.pop(peer_id, None)
        self._changed.add(peer_id)

    def block(self, peer_id: PeerId) -> None:
        """Remember that a peer is blocked.

        :raises PinsFull: too many are.
        """
        if len(self.blocked) >= MAX_BLOCKED:
            raise PinsFull(tr("{n} peers are blocked already").format(n=MAX_BLOCKED))
        self.blocked.add(peer_id)
        self._is_blocked_changed = True

    def unblock(self, peer_id: PeerId) -> None:
        """Forget that a peer is blocked."""
        self.blocked.discard(peer_id)
        self._is_blocked_changed = True

    def latest(self) -> dict[PeerId, int]:
        """Return when each author said its last message, as far as it was noted, in ms since 1970."""
        return dict(self._latest)

    def note_latest(self, times_ms: dict[PeerId, int]) -> None:
        """Remember when authors said their last messages, for the next start."""
        changed = {author: ms for author, ms in times_ms.items() if self._latest.get(author) != ms}
        self._latest.update(changed)
        self._changed_latest.update(changed)

    def flush(self) -> None:
        """Write down what changed; where that fails, `trouble` says why, and the next one tries again."""
        if self._path is None or not (self._changed or self._changed_latest or self._is_blocked_changed):
            return
        try:
            if self._db is None:
                self._db = _open(self._path)
            with self._db:
                self._write(self._db)
        except (OSError, sqlite3.Error) as problem:
            self.trouble = tr("{file} cannot be written ({why})").format(file=self._path, why=problem)
            return
        self.trouble = ""
        self._changed.clear()
        self._changed_latest.clear()
        self._is_blocked_changed = False

    def close(self) -> None:
        """Write down what changed, and close the file."""
        self.flush()
        if self._db is not None:
            self._db.close()
            self._db = None

    def _evict(self) -> None:
        if not self._strangers:
            raise PinsFull(f"the keys of {MAX_PINS} peers are remembered already")
        self.remove(next(iter(self._strangers)))
        self.evicted += 1

    def _write(self, db: sqlite3.Connection) -> None:
        for peer_id in self._changed:
            pin = self._pins.get(peer_id)
            if pin is None:
                db.execute("DELETE FROM pins WHERE peer_id = ?", (str(peer_id),))
                db.execute("DELETE FROM latest WHERE peer_id = ?", (str(peer_id),))
            else:
                db.execute("INSERT OR REPLACE INTO pins VALUES (?, ?, ?, ?, ?, ?, ?)", _row(peer_id, pin))
        db.executemany(
            "INSERT OR REPLACE INTO latest VALUES (?, ?)",
            ((str(author), time_ms) for author, time_ms in self._changed_latest.items()),
        )
        if self._is_blocked_changed:
            db.execute("DELETE FROM blocked")
            db.executemany("INSERT INTO blocked VALUES (?)", ((str(peer_id),) for peer_id in self.blocked))

    def _load(self, path: Path) -> None:
        try:
            db = _open(path)
        except (OSError, sqlite3.Error) as problem:
            raise _unusable(path, problem) from None
        try:
            for name, *columns in db.execute("SELECT * FROM pins ORDER BY first_seen_ms"):
                peer_id, pin = PeerId(name), _pin(*columns)
                self._pins[peer_id] = pin
                if not pin.is_friend:
                    self._strangers[peer_id] = None
            self.blocked = {PeerId(name) for (name,) in db.execute("SELECT peer_id FROM blocked")}
            self._latest = {PeerId(name): time_ms for name, time_ms in db.execute("SELECT * FROM latest")}
        except (sqlite3.Error, ValueError) as problem:
            raise _unusable(path, problem) from None
        finally:
            db.close()


def _row(peer_id: PeerId, pin: Pin) -> tuple[object, ...]:
    card = None if pin.card is None else msgspec.json.encode(pin.card.as_fields()).decode()
    return str(peer_id), pin.key, card, pin.signs, pin.is_verified, pin.is_friend, pin.first_seen_ms


def _pin(key: bytes, card: str | None, signs: int, verified: int, friend: int, first_seen_ms: int) -> Pin:
    read = None if card is None else read_card(read_json(card, dict))
    return Pin(key, read, bool(signs), bool(verified), bool(friend), first_seen_ms)


def _open(path: Path) -> sqlite3.Connection:
    """Open the file, which is made where there is none.

    :raises OSError: it cannot be made.
    :raises sqlite3.Error: it is damaged, or of another version, or somebody has it open.
    """
    # Made by us, since SQLite would let others read it.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path, timeout=0)
    try:
        # Nobody waits for the disk; what a loss of power takes is what was learned in the last seconds.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            db.executescript(_TABLES)
        elif version != _VERSION:
            raise sqlite3.DatabaseError(
                tr("it is of version {version}, which this p2pchat does not know").format(version=version)
            )
    except sqlite3.Error:
        db.close()
        raise
    return db


def _unusable(path: Path, problem: Exception) -> KeysUnusable:
    told = tr(
        "The file {file} with the keys of others cannot be used ({problem}). If it is damaged, put back a "
        "copy; without one, remove it: all keys are then taken as they come, as at the first start"
    )
    return KeysUnusable(told.format(file=path, problem=problem))
