"""The statements that write, each function within a transaction of its caller's."""

from __future__ import annotations

from hashlib import blake2b

from p2pchat.store.database import Execute
from p2pchat.store.entries import Arrival, Cast, Outcome, Outgoing, State

#: Days for which it is remembered what was shown: longer than a sender tries (7) and a courier keeps (2).
SHOWN_DAYS = 14

#: Messages for which that is remembered at most, some 100 MB. In a flood of more, the oldest are forgotten
#: early, and a copy of one that comes later yet is shown again.
MAX_SHOWN = 1_000_000

#: Entries of history at most, some gigabytes: a lifetime of typing, and an end to floods.
MAX_MESSAGES = 5_000_000

#: Rows that are forgotten at once: so many take some ms, for which what arrives waits.
CHUNK = 500

_DAY_MS = 24 * 3600 * 1000

_COLUMNS = "at_ms, conversation, author, state, msg_id, text"


def storable(text: str) -> str:
    """Return a text in a form that can be written: half characters, which JSON can write, as escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text


def keep(execute: Execute, message: Outgoing, own: str, has_history: bool) -> None:
    """Write down a message of ours that has no outcome yet, unless it is there already."""
    values = (message.msg_id, storable(message.dst), storable(message.text), message.at_ms)
    written = execute("INSERT OR IGNORE INTO outbox (msg_id, dst, text, at_ms) VALUES (?, ?, ?, ?)", values)
    if has_history and written.rowcount:
        execute(
            f"INSERT INTO messages ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
            (message.at_ms, f"@{values[1]}", own, State.OPEN.value, message.msg_id, values[2]),
        )


def keep_open(execute: Execute, messages: list[Outgoing]) -> None:
    """Write down all of them once more, in a file that is new."""
    execute("BEGIN IMMEDIATE", ())
    for message in messages:
        keep(execute, message, "", has_history=False)
    execute("COMMIT", ())


def settle(execute: Execute, msg_id: str, outcome: Outcome) -> None:
    """Write down what became of a message of ours."""
    execute("DELETE FROM outbox WHERE msg_id = ?", (msg_id,))
    execute(
        "UPDATE messages SET state = ?, code = ?, why = ?, via = ?, protection = ?, took_s = ?, is_proved = ?"
        " WHERE msg_id = ? AND state = 'open'",
        (
            (State.CONFIRMED if outcome.is_confirmed else State.FAILED).value,
            storable(outcome.code),
            storable(outcome.why),
            storable(outcome.via),
            outcome.protection,
            outcome.took_s if outcome.is_confirmed else None,
            outcome.is_proved,
            msg_id,
        ),
    )


def said(execute: Execute, cast: Cast) -> None:
    """Write down what we said to many."""
    execute(
        f"INSERT INTO messages ({_COLUMNS}, neighbours) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            cast.at_ms,
            storable(cast.conversation),
            cast.author,
            State.SENT.value,
            cast.msg_id,
            storable(cast.text),
            cast.neighbours,
        ),
    )


def receive(execute: Execute, arrival: Arrival, has_history: bool) -> bool:
    """Write down a message that came in; False where it is a copy."""
    message, text = _digest(16, arrival.author, arrival.msg_id), _digest(8, arrival.text)
    if not arrival.by_text:
        # Only its source itself can use up a msg_id: a relay may have brought other words under it.
        sql = "SELECT 1 FROM shown WHERE message = ? AND NOT by_text LIMIT 1"
        if execute(sql, (message,)).fetchone() is not None:
            return False
    written = execute(
        "INSERT OR IGNORE INTO shown (message, text, by_text, at_ms) VALUES (?, ?, ?, ?)",
        (message, text, arrival.by_text, arrival.at_ms),
    )
    if not written.rowcount:
        return False
    if has_history:
        execute(
            f"INSERT INTO messages ({_COLUMNS}, via, hops, protection, is_verified, is_unread)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
            (
                arrival.at_ms,
                storable(arrival.conversation),
                storable(arrival.author),
                State.HEARD.value,
                storable(arrival.msg_id),
                storable(arrival.text),
                storable(arrival.via),
                arrival.hops,
                arrival.protection,
                arrival.is_verified,
            ),
        )
    return True


def read_all(execute: Execute) -> None:
    """Write down that the user has seen all."""
    execute("UPDATE messages SET is_unread = 0 WHERE is_unread", ())


def forget_shown(execute: Execute, now_ms: int, max_rows: int = MAX_SHOWN) -> tuple[int, int]:
    """Forget some of what was shown long ago; return how many, and how many of them too early."""
    oldest = f"SELECT seq, at_ms FROM shown ORDER BY seq LIMIT {CHUNK}"
    limit_ms = now_ms - SHOWN_DAYS * _DAY_MS
    crowded = f"seq <= (SELECT max(seq) FROM shown) - {max_rows}"
    early = execute(f"SELECT count(*) FROM ({oldest}) WHERE at_ms >= ? AND {crowded}", (limit_ms,)).fetchone()
    gone = execute(
        f"DELETE FROM shown WHERE seq IN (SELECT seq FROM ({oldest}) WHERE at_ms < ? OR {crowded})",
        (limit_ms,),
    )
    return gone.rowcount, early[0]


def forget_history(execute: Execute, now_ms: int, keep_days: int, max_rows: int = MAX_MESSAGES) -> int:
    """Forget some of the oldest entries that are older than so many days, or too many; return how many."""
    oldest = f"SELECT number, at_ms, state FROM messages ORDER BY number LIMIT {CHUNK}"
    crowded = f"number <= (SELECT max(number) FROM messages) - {max_rows}"
    gone = execute(
        f"DELETE FROM messages WHERE number IN (SELECT number FROM ({oldest})"
        f" WHERE state != 'open' AND (at_ms < ? OR {crowded}))",
        (now_ms - keep_days * _DAY_MS,),
    )
    return gone.rowcount


def _digest(size: int, *parts: str) -> bytes:
    """Return so many bytes that stand for some texts, whatever length those have."""
    digest = blake2b(digest_size=size)
    for part in parts:
        raw = part.encode(errors="surrogatepass")
        digest.update(b"%d:" % len(raw))
        digest.update(raw)
    return digest.digest()
