"""Where messages of others came from and went, so that what is said about them finds back (section 5)."""

from __future__ import annotations

from msgspec import Struct

from p2pchat.protocol.names import PeerId
from p2pchat.routing.recent import Recent

#: Sources that are told apart where a neighbour was given the same msg_id by several.
MAX_SOURCES = 4


class Trail(Struct, gc=False):
    """Where a message came from and where it went.

    :param before: the neighbour that brought it.
    :param after: the neighbour that it was passed on to.
    :param is_settled: it was confirmed, or nobody asked for that, or the same was given to *after* once more.
    :param is_blamed: that it was not confirmed is held against *after*.
    :param is_spare: it is of a copy that a relay made.
    :param is_suspect: the link of a plain peer ended under it (9.15).
    """

    src: str
    msg_id: str
    dst: str
    before: PeerId
    after: PeerId
    at_s: float
    is_settled: bool
    is_suspect: bool = False
    is_blamed: bool = False
    is_spare: bool = False


class Trails:
    """The trails of the last one to two minutes. The router creates and owns it; the relay writes it.

    :param now_s: the present time, in seconds of the clock that `rotate` is told.
    """

    def __init__(self, now_s: float) -> None:
        #: By (src, msg_id).
        self._trails: Recent[Trail] = Recent(now_s)
        #: What a neighbour was given, by (neighbour, msg_id): an ACK or an ERROR may name nobody, and copies
        #: of a message go over several. One of each source where msg_ids collide, the oldest first.
        self._given: Recent[tuple[Trail, ...]] = Recent(now_s)

    def __len__(self) -> int:
        return len(self._trails) + len(self._given)

    def get(self, src: str, msg_id: str) -> Trail | None:
        """Return the trail of a message, of its last copy if there were several, or None."""
        return self._trails.get((src, msg_id))

    def over(self, neighbour: PeerId, src: str, msg_id: str) -> Trail | None:
        """Return the trail of the copy that a neighbour was given, else of the last copy, or None."""
        given = self._given.get((neighbour, msg_id)) or ()
        return next((trail for trail in given if trail.src == src), None) or self.get(src, msg_id)

    def source_of(self, neighbour: PeerId, msg_id: str) -> str:
        """Return who sent what a neighbour was given, or nothing; of several who waits longest."""
        given = self._given.get((neighbour, msg_id))
        if given is None:
            return ""
        return next((trail for trail in given if not trail.is_settled), given[-1]).src

    def add(self, trail: Trail) -> None:
        """Remember where a message went."""
        if not trail.is_spare:
            self._trails.put((trail.src, trail.msg_id), trail)
        key = (trail.after, trail.msg_id)
        others = []
        for other in self._given.get(key) or ():
            if other.src == trail.src:
                other.is_settled = True  # one confirmation is enough for both
            else:
                others.append(other)
        self._given.put(key, (*others, trail)[-MAX_SOURCES:])

    def lost(self, after: PeerId, since_s: float) -> list[Trail]:
        """Return those that went to a neighbour last, not before *since_s*, and are not settled."""
        return [
            trail
            for trail in self._trails.values()
            if trail.after == after
            and not trail.is_settled
            and trail.at_s > since_s
            and self.get(trail.src, trail.msg_id) is trail  # else it went another way since
        ]

    def rotate(self, now_s: float) -> None:
        """Forget what is too old; to be called now and then."""
        self._trails.rotate(now_s)
        self._given.rotate(now_s)
