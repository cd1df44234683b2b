"""What is kept."""

from __future__ import annotations

from msgspec import Struct


class Outgoing(Struct, frozen=True, gc=False):
    """A message of ours to one peer whose outcome is open."""

    msg_id: str
    dst: str
    text: str
    at_ms: int


class Outcome(Struct, frozen=True, gc=False):
    """What became of it."""

    is_confirmed: bool
    code: str = ""
    why: str = ""
    via: str = ""
    protection: str = ""
    took_s: float = 0.0
    tries: int = 0
    is_proved: bool = False


class Arrival(Struct, frozen=True, gc=False):
    """A message that came in."""

    msg_id: str
    author: str
    conversation: str
    text: str
    at_ms: int
    via: str = ""
    hops: int | None = None
    protection: str = ""
    is_plain: bool = False
    is_verified: bool = False
    by_text: bool = False


class Cast(Struct, frozen=True, gc=False):
    """What we said to many."""

    msg_id: str
    author: str
    conversation: str
    text: str
    at_ms: int
    neighbours: int


class Entry(Struct, frozen=True, gc=False):
    """One thing that was said, as history has it."""

    number: int
    at_ms: int
    conversation: str
    author: str
    is_ours: bool
    msg_id: str
    text: str
    outcome: str
    code: str = ""
    why: str = ""
    via: str = ""
    protection: str = ""
    took_s: float | None = None
    is_proved: bool = False
    is_verified: bool = False
    neighbours: int | None = None
    hops: int | None = None
