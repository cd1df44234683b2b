"""Events as the control socket tells them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from p2pchat.protocol.names import PeerId

ALICE = PeerId("alice@UnB")

#: Midnight of a day, in ms since 1970.
MIDNIGHT_MS = 1_767_225_600_000


def utc(time_ms: int) -> datetime:
    """Return a time, for users who live by UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def event(
    kind: str, *, minute: int = 0, text: str | None = None, cursor: str = "run-1", **data: Any
) -> dict[str, Any]:
    """Return an event of so many minutes after midnight."""
    time_ms = MIDNIGHT_MS + minute * 60_000
    return {"cursor": cursor, "time_ms": time_ms, "kind": kind, "data": data, "text": text}


def heard(payload: str, **changed: Any) -> dict[str, Any]:
    """Return that bob says something to alice."""
    data: dict[str, Any] = {
        "src": "bob@UnB", "dst": "alice@UnB", "payload": payload, "is_cast": False, "via": "bob@UnB",
        "plain": False, "hops": 1, "conversation": "@bob@UnB", "protection": "link", "is_verified": False,
    }  # fmt: skip
    own = {name: changed.pop(name) for name in ("minute", "cursor") if name in changed}
    return event("message_arrived", **own, **(data | changed))


def taken(payload: str, msg_id: str = "m1", dst: str = "bob@UnB", **more: Any) -> dict[str, Any]:
    """Return that alice says something to bob."""
    return event("message_taken", msg_id=msg_id, dst=dst, payload=payload, **more)


def sent(via: str = "bob@UnB", protection: str = "link", **more: Any) -> dict[str, Any]:
    """Return that it is on its way."""
    return event("message_sent", msg_id="m1", dst="bob@UnB", via=via, protection=protection, **more)


def confirmed(msg_id: str = "m1", **changed: Any) -> dict[str, Any]:
    """Return that bob has it."""
    data: dict[str, Any] = {
        "dst": "bob@UnB",
        "took_s": 0.0123,
        "tries": 1,
        "via": "bob@UnB",
        "is_proved": True,
    }
    return event("message_confirmed", msg_id=msg_id, **(data | changed))


def failed(code: str, why: str, msg_id: str = "m1") -> dict[str, Any]:
    """Return that it did not reach him."""
    return event("message_failed", msg_id=msg_id, dst="bob@UnB", payload="hi", code=code, why=why)
