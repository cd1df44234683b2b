"""Who is around, and what all parts of the router share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

import attrs

from p2pchat.protocol.codec import encode, encode_plain
from p2pchat.protocol.errors import ErrorCode
from p2pchat.protocol.framing import MAX_LINE
from p2pchat.protocol.messages import ORIGIN_TTL, Error, Message
from p2pchat.protocol.names import PeerId
from p2pchat.routing.quotas import NOTHING, Limits, Quota
from p2pchat.routing.routes import Routes

#: Seconds that nothing is read from a neighbour that filled a queue or a quota: long enough that a flood
#: costs next to nothing, short enough that nobody else who sends through it notices.
HOLD_S = 0.05

#: The same for one that has filled half of its share of a queue: what it sends goes on, at a hundred lines a
#: second, so that it feels the slow link behind us before anything must be refused.
CROWDED_HOLD_S = 0.01


class Neighbour(Protocol):
    """A peer with a direct link."""

    peer_id: PeerId

    @property
    def plain(self) -> bool:
        """Not known to be of our own kind: section 9 applies."""

    @property
    def is_encrypted(self) -> bool:
        """Nobody on the way can read or alter what goes over its links."""

    @property
    def features(self) -> frozenset[str]:
        """What it offered in its greeting."""

    @property
    def leaves_in_s(self) -> float:
        """Seconds until what was written last has left, as far as that is known."""

    def write(self, line: bytes, urgent: bool = False) -> bool:
        """Send one encoded line of ours; False where too much waits for this peer already."""

    def pass_on(self, line: bytes, source: PeerId) -> bool:
        """Send one encoded line that the neighbour *source* brought; False where too much waits."""

    def is_crowded(self, source: PeerId) -> bool:
        """Whether so much of what *source* brought waits for it that *source* should slow down."""

    def hold(self, seconds: float) -> None:
        """Read nothing from it for a while, so that it feels that it sends too much."""


@attrs.define
class Tally:
    """What the router counts."""

    sent: int = 0
    resent: int = 0
    rerouted: int = 0
    confirmed: int = 0
    failed: int = 0
    postponed: int = 0
    cast: int = 0
    received: int = 0
    duplicates: int = 0
    not_for_us: int = 0
    forged: int = 0
    confirmations_refused: int = 0
    errors_received: int = 0
    relayed: int = 0
    relayed_back: int = 0
    flooded: int = 0
    relay_refused: int = 0
    no_way_back: int = 0
    over_quota: int = 0
    expired: int = 0
    questions_asked: int = 0
    questions_answered: int = 0
    questions_passed_on: int = 0
    hits_unasked: int = 0
    hits_distrusted: int = 0


class Neighbourhood:
    """The neighbours, the routes over them, and what they may cost. The router creates and owns it.

    :param own: who we are.
    :param now: monotonic seconds.
    :param new_id: makes a msg_id.
    """

    def __init__(self, own: PeerId, now: Callable[[], float], new_id: Callable[[], str]) -> None:
        self.own = own
        self.now = now
        self.new_id = new_id
        #: What a neighbour may cost; may be changed before neighbours come.
        self.limits = Limits()
        self.tally = Tally()
        self.routes = Routes()
        self.neighbours: dict[str, Neighbour] = {}
        self._quotas: dict[PeerId, Quota] = {}

    def arrive(self, neighbour: Neighbour) -> None:
        """A link with a peer stands."""
        self.neighbours[neighbour.peer_id] = neighbour
        self._quotas[neighbour.peer_id] = Quota.full(self.limits, self.now())
        self.routes.link(neighbour.peer_id, self.now())

    def leave(self, neighbour: Neighbour) -> None:
        """The last link with a peer has ended."""
        del self.neighbours[neighbour.peer_id], self._quotas[neighbour.peer_id]
        self.routes.unlink(neighbour.peer_id)

    def relays(self, but: str = "") -> list[Neighbour]:
        """Return the neighbours that pass on what they are given."""
        return [near for near in self.neighbours.values() if not near.plain and near.peer_id != but]

    def trusted(self, but: str = "") -> list[Neighbour]:
        """Return those of them that are no suspects; all, where nobody else is left."""
        now_s = self.now()
        relays = self.relays(but)
        return [near for near in relays if not self.routes.is_suspect(near.peer_id, now_s)] or relays

    def untried(self, dst: str, tried: Collection[str], but: str = "") -> list[PeerId]:
        """Return next hops that a message was not given to yet, those that lost nothing first.

        Among them are neighbours of which no way is known, and that lose nothing: they can look for one.
        Questions spread, and answers come back, over the quickest neighbours only; those may be the liars.
        """
        routes, now_s = self.routes, self.now()
        ways = [way for way in routes.ways(dst, now_s, but) if way.hop not in tried]
        doubtful = [way.hop for way in ways if way.losses(now_s) > 0 or routes.is_doubted(way.hop)]
        good = [way.hop for way in ways if way.hop not in doubtful]
        others = [near.peer_id for near in self.relays(but) if not routes.is_doubted(near.peer_id)]
        helpers = [hop for hop in others if hop not in tried and hop not in good]
        return good + helpers + doubtful

    def learn(self, src: str, neighbour: Neighbour, hops: int | None) -> None:
        """A message of *src* came through a neighbour, so that *src* can be reached there."""
        if src != neighbour.peer_id and src != self.own and not neighbour.plain:
            self.routes.learn(src, neighbour.peer_id, hops, self.now())

    def quota(self, neighbour: Neighbour) -> Quota:
        """Return what a neighbour may still cost; nothing where its link is ending."""
        quota = self._quotas.get(neighbour.peer_id)
        return Quota.full(NOTHING, self.now()) if quota is None else quota

    def answer(self, neighbour: Neighbour, message: Message) -> bool:
        """Send a neighbour something that it caused, ahead of what waits."""
        return neighbour.write(encode_plain(message) if neighbour.plain else encode(message), urgent=True)

    def refuse(self, neighbour: Neighbour, code: ErrorCode, detail: str, ref: str, dst: str) -> bool:
        """Tell a neighbour that a message which it brought goes no further, and why.

        :param ref: the msg_id.
        :param dst: who has sent the message.
        :return: whether it was told; False where it was told too much already.
        """
        is_allowed = self.quota(neighbour).complaints.take(self.now())
        limit = MAX_LINE if code is ErrorCode.LINE_TOO_LONG else None
        error = Error.make(code, detail, ref=ref, dst=dst, limit=limit)
        return is_allowed and self.answer(neighbour, error)

    def over_quota(self, neighbour: Neighbour, what: str, ref: str, dst: str) -> bool:
        """Tell a neighbour that it made us do too much, and let it feel that; whether it was told."""
        self.tally.over_quota += 1
        neighbour.hold(HOLD_S)
        detail = f"{self.own} passes on no more {what} from {neighbour.peer_id} for now"
        return self.refuse(neighbour, ErrorCode.OVER_QUOTA, detail, ref, dst)


def confirms(hop: Neighbour, dst: str) -> bool:
    """Whether it says something when *dst*, behind *hop* or *hop* itself, does not confirm a message.

    Some plain peers never confirm anything.
    """
    return hop.peer_id != dst or not hop.plain or "ack" in hop.features


def hops_of(ttl: int) -> int | None:
    """Return how many links a message has come over, as its ttl tells.

    With 0 it tells nothing: those of plain peers begin with 1.
    """
    return ORIGIN_TTL + 1 - ttl if 0 < ttl <= ORIGIN_TTL else None
