"""Messages to many, passed on to all neighbours (docs/protocol.md, sections 4, 5 and 9)."""

from __future__ import annotations

from msgspec import UNSET

from p2pchat.protocol.codec import pass_on, pass_on_plain
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import ORIGIN_TTL, Pub
from p2pchat.protocol.names import PeerId
from p2pchat.routing.neighbourhood import Neighbour, Neighbourhood
from p2pchat.routing.recent import Recent


class Flood:
    """Passes on what is for many. The router creates and owns it."""

    def __init__(self, hood: Neighbourhood) -> None:
        self._hood = hood
        #: Largest ttl of a copy that was passed on, by what tells it from others.
        self._passed_on: Recent[int] = Recent(hood.now())

    @property
    def remembered(self) -> int:
        """Messages that are remembered."""
        return len(self._passed_on)

    def tick(self) -> None:
        """Forget what is old."""
        self._passed_on.rotate(self._hood.now())

    def is_passed_on(self, message: Pub) -> bool:
        """Whether the same was passed on before, and need not be once more."""
        before = self._passed_on.get(_key(message))
        return before is not None and min(message.ttl, ORIGIN_TTL) <= before

    def on_pub(self, neighbour: Neighbour, message: Pub, line: bytes) -> None:
        """Pass a message to many on to all neighbours but where it came from."""
        hood = self._hood
        if message.dst == hood.own:
            return  # some send a copy to each peer by its own name (9.12)
        ttl, key = min(message.ttl, ORIGIN_TTL), _key(message)
        before = self._passed_on.get(key)
        if before is not None and ttl <= before:
            return
        if ttl <= 0:
            hood.tally.expired += 1
            detail = f"no forwards were left when it came to {hood.own}"
            self._refuse(neighbour, message, ErrorCode.TTL_EXPIRED, detail)
        elif not hood.quota(neighbour).floods.take(hood.now()):
            hood.over_quota(neighbour, "messages to many", message.msg_id, message.src)
        else:
            self._passed_on.put(key, ttl)
            self._flood(neighbour, message, line, ttl - 1, is_first=before is None)

    def _refuse(self, neighbour: Neighbour, message: Pub, code: ErrorCode, detail: str) -> None:
        """Answer only where it was said: if every node that a flood comes to did, that were a flood too."""
        if neighbour.peer_id == message.src:
            self._hood.refuse(neighbour, code, detail, message.msg_id, message.src)

    def _flood(self, neighbour: Neighbour, message: Pub, line: bytes, ttl: int, is_first: bool) -> None:
        ours = pass_on(line, ttl=ttl)
        plain: list[Neighbour] = []
        for other in list(self._hood.neighbours.values()):
            if other is neighbour or other.peer_id == message.src:
                continue
            if not other.plain:
                self._hood.tally.flooded += other.pass_on(ours, neighbour.peer_id)
            elif is_first and message.sealed is UNSET and _concerns(other.peer_id, message.dst):
                # It passes nothing on, so it needs no second copy, nor what is for others; it opens no seals.
                plain.append(other)
        if plain:
            self._flood_plain(neighbour, message, line, plain)

    def _flood_plain(self, neighbour: Neighbour, message: Pub, line: bytes, others: list[Neighbour]) -> None:
        try:
            theirs = pass_on_plain(line, message)
        except ProtocolError as problem:
            detail = f"{self._hood.own} has {len(others)} plain peers for it, but {problem.detail}"
            self._refuse(neighbour, message, problem.code, detail)
            return
        for other in others:
            self._hood.tally.flooded += other.pass_on(theirs, neighbour.peer_id)


def _key(message: Pub) -> tuple[object, ...]:
    return message.src, message.msg_id, message.said


def _concerns(peer_id: PeerId, dst: str) -> bool:
    return dst in ("", "*", peer_id) or dst.removeprefix("#") == peer_id.namespace
