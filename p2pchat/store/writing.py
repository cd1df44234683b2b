"""The statements that write, each function within a transaction of its caller's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import TypeVar

from p2pchat.store.database import Execute
from p2pchat.store.entries import Arrival, Carried, Cast, Outcome, Outgoing, State

#: Days for which it is remembered what was shown: longer than a sender tries (7) and a courier keeps (2).
SHOWN_DAYS = 14

#: Messages for which that is remembered at most, some 100 MB. In a flood of more, the oldest are forgotten
#: early, and a copy of one that comes later yet is shown again.
MAX_SHOWN = 1_000_000

#: Entries of history at most, some gigabytes: a lifetime of typing, and an end to floods.
MAX_MESSAGES = 5_000_000

#: Rows that are forgotten, or indexed, at once: so many take some ms, for which what arrives waits.
CHUNK = 200

#: The last entry whose words are indexed. That takes as long as writing it, so it is done for many at once.
_INDEXED = "coalesce((SELECT max(id) FROM words_docsize), 0)"

_DAY_MS = 24 * 3600 * 1000

_Row = TypeVar("_Row", bound=tuple[object, ...])

#: Rows that one statement writes, the most first. Between two statements other threads of Python have their
#: turn, and the one that writes may wait long for the next; so there should be few.
_ROWS = (64, 16, 4, 1)

_COLUMNS = "at_ms, conversation, author, state, msg_id, text"


def storable(text: str) -> str:
    """Return a text in a form that can be written: half characters, which JSON can write, as escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text


def keep(execute: Execute, messages: list[Outgoing], own: str, has_history: bool) -> list[None]:
    """Write down messages of ours that have no outcome yet."""
    rows = [(each.msg_id, storable(each.dst), storable(each.text), each.at_ms) for each in messages]
    _insert(execute, "outbox (msg_id, dst, text, at_ms)", rows, otherwise="IGNORE")
    if has_history:
        state = State.OPEN.value
        said = [(at_ms, f"@{dst}", own, state, msg_id, text) for msg_id, dst, text, at_ms in rows]
        _insert(execute, f"messages ({_COLUMNS})", said)
    return [None] * len(messages)


def keep_open(execute: Execute, messages: list[Outgoing], others: list[Carried]) -> None:
    """Write down all of them once more, and what is kept for others, in a file that is new."""
    execute("BEGIN IMMEDIATE", ())
    keep(execute, messages, "", has_history=False)
    carry(execute, [(each.msg_id, each) for each in others])
    execute("COMMIT", ())


def carry(execute: Execute, changes: list[tuple[str, Carried | None]]) -> list[None]:
    """Write down what is kept for others, or how it is now, and what is kept no longer; by their msg_ids."""
    last = dict(changes)
    for part in _parts([(storable(msg_id),) for msg_id, carried in last.items() if carried is None]):
        execute(f"DELETE FROM carried WHERE msg_id IN ({', '.join(['?'] * len(part))})", _values(part))
    for each in last.values():
        if each is not None:
            execute(
                "INSERT INTO carried (msg_id, src, dst, sealed, lock, until_ms, ack)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (msg_id) DO UPDATE SET sealed = excluded.sealed, ack = excluded.ack",
                (
                    storable(each.msg_id),
                    storable(each.src),
                    storable(each.dst),
                    storable(each.sealed),
                    storable(each.lock),
                    each.until_ms,
                    storable(each.ack),
                ),
            )
    return [None] * len(changes)


def keep_casts(execute: Execute, lines: list[str], most: int) -> list[None]:
    """Write down what was said to our namespace, and forget all but so many of the last."""
    _insert(execute, "casts (line)", [(storable(line),) for line in lines])
    execute("DELETE FROM casts WHERE seq <= (SELECT max(seq) FROM casts) - ?", (most,))
    return [None] * len(lines)


def settle(execute: Execute, outcomes: list[tuple[str, Outcome]]) -> list[None]:
    """Write down what became of messages of ours, by their msg_ids."""
    rows = [
        (
            msg_id,
            (State.CONFIRMED if outcome.is_confirmed else State.FAILED).value,
            storable(outcome.code),
            storable(outcome.why),
            storable(outcome.via),
            outcome.protection,
            outcome.took_s if outcome.is_confirmed else None,
            outcome.is_proved,
        )
        for msg_id, outcome in outcomes
    ]
    for part in _parts(rows):
        ids = ", ".join(["?"] * len(part))
        execute(f"DELETE FROM outbox WHERE msg_id IN ({ids})", [row[0] for row in part])
        execute(
            "WITH given (msg_id, state, code, why, via, protection, took_s, is_proved)"
            f" AS (VALUES {_marks(part)}) UPDATE messages SET state = given.state, code = given.code,"
            " why = given.why, via = given.via, protection = given.protection, took_s = given.took_s,"
            " is_proved = given.is_proved"
            " FROM given WHERE messages.msg_id = given.msg_id AND messages.state = 'open'",
            _values(part),
        )
    return [None] * len(outcomes)


def said(execute: Execute, casts: list[Cast]) -> list[None]:
    """Write down what we said to many."""
    rows = [
        (
            each.at_ms,
            storable(each.conversation),
            each.author,
            State.SENT.value,
            each.msg_id,
            storable(each.text),
            each.neighbours,
        )
        for each in casts
    ]
    _insert(execute, f"messages ({_COLUMNS}, neighbours)", rows)
    return [None] * len(casts)


def receive(execute: Execute, arrivals: list[Arrival], has_history: bool) -> list[bool]:
    """Write down messages that came in; tell of each whether it is new, and no copy."""
    keys = [(_digest(16, each.author, each.msg_id), _digest(8, each.text)) for each in arrivals]
    known: dict[bytes, dict[bytes, bool]] = {}
    for part in _parts([(message,) for message, _ in keys]):
        ids = ", ".join(["?"] * len(part))
        sql = f"SELECT message, text, by_text FROM shown WHERE message IN ({ids})"
        for message, text, by_text in execute(sql, _values(part)):
            known.setdefault(message, {})[text] = bool(by_text)
    are_new = []
    for arrival, (message, text) in zip(arrivals, keys, strict=True):
        texts = known.setdefault(message, {})
        # Only its source itself can use up a msg_id: a relay may have brought other words under it.
        is_used_up = not arrival.by_text and not all(texts.values())
        are_new.append(not (text in texts or is_used_up))
        texts.setdefault(text, arrival.by_text)
    new = [each for each in zip(arrivals, keys, are_new, strict=True) if each[2]]
    shown = [(*key, arrival.by_text, arrival.at_ms) for arrival, key, _ in new]
    _insert(execute, "shown (message, text, by_text, at_ms)", shown)
    if has_history:
        into = f"messages ({_COLUMNS}, via, hops, protection, is_verified, is_unread)"
        _insert(execute, into, [_heard(arrival) for arrival, *_ in new])
    return are_new


def _heard(arrival: Arrival) -> tuple[object, ...]:
    return (
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
        True,
    )


def index(execute: Execute) -> int:
    """Let the words of some entries be found that cannot yet; return how many."""
    return execute(
        "INSERT INTO words (rowid, text) SELECT number, text FROM messages"
        f" WHERE number > {_INDEXED} ORDER BY number LIMIT {CHUNK}",
        (),
    ).rowcount


def read(execute: Execute, conversation: str | None) -> None:
    """Write down that the user has seen a conversation; None: all."""
    where, values = ("", []) if conversation is None else (" AND conversation = ?", [storable(conversation)])
    execute(f"UPDATE messages SET is_unread = 0 WHERE is_unread{where}", values)


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
        f" WHERE state != 'open' AND number <= {_INDEXED} AND (at_ms < ? OR {crowded}))",
        (now_ms - keep_days * _DAY_MS,),
    )
    return gone.rowcount


def _insert(execute: Execute, into: str, rows: Sequence[tuple[object, ...]], otherwise: str = "FAIL") -> None:
    """Write rows.

    :param otherwise: what becomes of a row that breaks a rule of its table. Not ABORT, which is usual: it
        takes back the rows before it, for which SQLite copies each page that it changes to another file
        first. The caller's transaction does that, too.
    """
    for part in _parts(rows):
        execute(f"INSERT OR {otherwise} INTO {into} VALUES {_marks(part)}", _values(part))


def _parts(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    """Divide rows into parts of few sizes, so that their statements are known to the database."""
    at = 0
    for size in _ROWS:
        while len(rows) - at >= size:
            yield rows[at : at + size]
            at += size


def _marks(rows: Sequence[tuple[object, ...]]) -> str:
    row = f"({', '.join(['?'] * len(rows[0]))})"
    return ", ".join([row] * len(rows))


def _values(rows: Sequence[tuple[object, ...]]) -> list[object]:
    return [value for row in rows for value in row]


def _digest(size: int, *parts: str) -> bytes:
    """Return so many bytes that stand for some texts, whatever length those have."""
    digest = blake2b(digest_size=size)
    for part in parts:
        raw = part.encode(errors="surrogatepass")
        digest.update(b"%d:" % len(raw))
        digest.update(raw)
    return digest.digest()
