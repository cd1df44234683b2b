"""The tables, and how those of earlier versions become them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from p2pchat.language import tr

#: What makes each version of the file out of the one before; the first makes it out of nothing. Those that
#: were released stay as they are.
MIGRATIONS = (
    """
    CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY, msg_id TEXT NOT NULL UNIQUE, dst TEXT NOT NULL, text TEXT NOT NULL,
        at_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE shown (
        seq INTEGER PRIMARY KEY, message BLOB NOT NULL, text BLOB NOT NULL, by_text INTEGER NOT NULL,
        at_ms INTEGER NOT NULL, UNIQUE (message, text)
    ) STRICT;
    CREATE TABLE messages (
        number INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, conversation TEXT NOT NULL,
        author TEXT NOT NULL, state TEXT NOT NULL, msg_id TEXT NOT NULL, text TEXT NOT NULL,
        code TEXT NOT NULL DEFAULT '', why TEXT NOT NULL DEFAULT '', via TEXT NOT NULL DEFAULT '',
        protection TEXT NOT NULL DEFAULT '', took_s REAL, is_proved INTEGER NOT NULL DEFAULT 0,
        is_verified INTEGER NOT NULL DEFAULT 0, neighbours INTEGER, hops INTEGER,
        is_unread INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX messages_of_conversation ON messages (conversation, number);
    CREATE INDEX messages_open ON messages (msg_id) WHERE state = 'open';
    CREATE INDEX messages_unread ON messages (conversation) WHERE is_unread;
    CREATE VIRTUAL TABLE words USING fts5 (
        text, content = 'messages', content_rowid = 'number', tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE TRIGGER messages_go AFTER DELETE ON messages BEGIN
        INSERT INTO words (words, rowid, text) VALUES ('delete', old.number, old.text);
    END;
    """,
    """
    CREATE TABLE carried (
        seq INTEGER PRIMARY KEY, msg_id TEXT NOT NULL UNIQUE, src TEXT NOT NULL, dst TEXT NOT NULL,
        sealed TEXT NOT NULL, lock TEXT NOT NULL, until_ms INTEGER NOT NULL, ack TEXT NOT NULL
    ) STRICT;
    CREATE TABLE casts (seq INTEGER PRIMARY KEY, line TEXT NOT NULL) STRICT;
    """,
)


class TooNew(Exception):
    """The file was written by a later p2pchat; the text says so."""


def prepare(db: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Give a database the tables of the present version.

    Each step is a transaction of its own: whatever happens, the file is of one version.

    :raises TooNew: it has those of a later one.
    :raises sqlite3.Error: it is damaged, or cannot be written.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise TooNew(
            tr("it is of version {version}, and this p2pchat knows {known}").format(
                version=version, known=len(migrations)
            )
        )
    for number, script in enumerate(migrations[version:], start=version + 1):
        # Before its statements, executescript commits what is open; so the transaction is in the script.
        try:
            db.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")
        except BaseException:
            if db.in_transaction:
                db.rollback()
            raise
