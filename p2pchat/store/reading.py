"""The statements that read history."""

from __future__ import annotations

import sqlite3
from typing import Any

from p2pchat.store.entries import Carried, Entry, Outgoing
from p2pchat.store.writing import storable

_COLUMNS = ", ".join(f"messages.{name}" for name in Entry.__struct_fields__)


def outbox(db: sqlite3.Connection) -> list[Outgoing]:
    """Return our messages without an outcome, oldest first."""
    return [Outgoing(*row) for row in db.execute("SELECT msg_id, dst, text, at_ms FROM outbox ORDER BY seq")]


def carried(db: sqlite3.Connection) -> list[Carried]:
    """Return what is kept of others, oldest first."""
    sql = "SELECT msg_id, src, dst, sealed, lock, until_ms, ack FROM carried ORDER BY seq"
    return [Carried(*row) for row in db.execute(sql)]


def casts(db: sqlite3.Connection) -> list[str]:
    """Return the lines that were said to our namespace and are kept for others, oldest first."""
    return [line for (line,) in db.execute("SELECT line FROM casts ORDER BY seq")]


def latest(db: sqlite3.Connection, conversation: str | None, n: int) -> list[Entry]:
    """Return the last entries, of one conversation or of all, oldest first."""
    where, values = ("", []) if conversation is None else ("WHERE conversation = ?", [storable(conversation)])
    sql = f"SELECT {_COLUMNS} FROM messages {where} ORDER BY number DESC LIMIT ?"
    return [_entry(row) for row in db.execute(sql, [*values, n])][::-1]


def search(db: sqlite3.Connection, words: str, n: int) -> list[Entry]:
    """Return the last entries that have all the words, oldest first."""
    query = _query(words)
    if not query:
        return []
    sql = (
        f"SELECT {_COLUMNS} FROM words JOIN messages ON messages.number = words.rowid"
        " WHERE words MATCH ? ORDER BY words.rowid DESC LIMIT ?"
    )
    return [_entry(row) for row in db.execute(sql, (query, n))][::-1]


def page(db: sqlite3.Connection, after: int, n: int) -> list[Entry]:
    """Return the first entries with numbers above one."""
    sql = f"SELECT {_COLUMNS} FROM messages WHERE number > ? ORDER BY number LIMIT ?"
    return [_entry(row) for row in db.execute(sql, (after, n))]


def unread(db: sqlite3.Connection) -> dict[str, int]:
    """Return how many entries the user has not seen, by conversation."""
    return dict(
        db.execute("SELECT conversation, count(*) FROM messages WHERE is_unread GROUP BY conversation")
    )


def _entry(row: tuple[object, ...]) -> Entry:
    entry: dict[str, Any] = dict(zip(Entry.__struct_fields__, row, strict=True))
    entry["is_proved"], entry["is_verified"] = bool(entry["is_proved"]), bool(entry["is_verified"])
    return Entry(**entry)


def _query(words: str) -> str:
    """Return what FTS5 reads as these words and nothing else, whatever they hold."""
    terms = []
    for word in storable(words).replace("\0", " ").split():
        text = word.rstrip("*").replace('"', " ")
        if any(char.isalnum() for char in text):
            terms.append(f'"{text}"' + ("*" if word.endswith("*") else ""))
    return " ".join(terms)
