"""What is kept, as the node and the surfaces see it.

Times of day are in ms since 1970. Conversations are written ``@name@namespace``, ``#namespace`` or ``*``.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Outgoing(Struct, frozen=True, gc=False):
    """A message of ours to one peer that has no outcome yet."""

    msg_id: str
    dst: str
    text: str
    at_ms: int


class Outcome(Struct, frozen=True, gc=False):
    """What became of a message of ours to one peer.

    :param code: where it failed, the name of the failure; *why* says it for people.
    :param via: the neighbour that got the last try.
    :param protection: how well it was protected then, as in `protocol.protection`.
    :param took_s: where it was confirmed, seconds from the user's word.
    :param is_proved: nobody but the destination can have confirmed it.
    """

    is_confirmed: bool
    code: str = ""
    why: str = ""
    via: str = ""
    protection: str = ""
    took_s: float = 0.0
    is_proved: bool = False


class Arrival(Struct, frozen=True, gc=False):
    """A message that came in.

    :param hops: links that it came over; None where it does not tell.
    :param by_text: its source may use a msg_id for several texts, or a relay may have changed them, so that a
        copy is one with the same text; else it is any that the author itself brought under that msg_id, too.
    """

    msg_id: str
    author: str
    conversation: str
    text: str
    at_ms: int
    via: str = ""
    hops: int | None = None
    protection: str = ""
    is_verified: bool = False
    by_text: bool = False


class Cast(Struct, frozen=True, gc=False):
    """What we said to many.

    :param neighbours: how many took it.
    """

    msg_id: str
    author: str
    conversation: str
    text: str
    at_ms: int
    neighbours: int


class Carried(Struct, frozen=True, gc=False):
    """A message of somebody else that we keep for its destination.

    :param sealed: it, for the eyes of its destination; empty once that has it.
    :param lock: what the receipt of the destination must fit.
    :param until_ms: until when.
    :param ack: the line with the confirmation, for its source; empty while there is none.
    """

    msg_id: str
    src: str
    dst: str
    sealed: str
    lock: str
    until_ms: int
    ack: str = ""


class State(StrEnum):
    """What became of an entry, as history has it."""

    #: Somebody else said it.
    HEARD = "heard"
    #: We said it to many, which nobody confirms.
    SENT = "sent"
    OPEN = "open"
    CONFIRMED = "confirmed"
    FAILED = "failed"


class Entry(Struct, frozen=True, gc=False):
    """One thing that was said, as history has it.

    :param number: grows with each entry.
    :param state: one of `State`. The other fields are those of `Arrival`, `Outcome` and `Cast`.
    """

    number: int
    at_ms: int
    conversation: str
    author: str
    state: str
    msg_id: str
    text: str
    code: str
    why: str
    via: str
    protection: str
    took_s: float | None
    is_proved: bool
    is_verified: bool
    neighbours: int | None
    hops: int | None

    @property
    def is_ours(self) -> bool:
        """We said it."""
        return self.state != State.HEARD
