"""Who can be reached through which neighbour, how well, until when (docs/protocol.md, section 5)."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from p2pchat.language import tr
from p2pchat.protocol.names import PeerId

#: Seconds after which a route that nobody used or learned again is forgotten (section 5).
EXPIRY_S = 300.0

#: Seconds after which a confirmed route counts as fresh: others may be told of it.
FRESH_S = 60.0

#: Seconds after which a direct link that did not confirm a message is tried again before the relays.
DOUBT_S = 60.0

#: Routes in all: a network of 4000 peers with four ways to each, in about 6 MiB.
MAX_ROUTES = 16384

#: Next hops that are kept for one destination. More help nobody: tries are fewer.
MAX_WAYS = 8

#: Messages in a row that a neighbour lost, whoever they were for, are held against each way through it like
#: those that were lost on that way, but no more than so many: one that works must be able to win back trust.
#: One that lost as many is a suspect: it is not asked, and its answers are not passed on.
MAX_DOUBT = 3

#: Seconds for which that is held against a neighbour; then it is given another chance.
SUSPECT_S = 300.0

#: Why a way is not taken while there is a better one: what each place of `Routes._rank` means.
REASONS = (
    tr("more messages in a row were not confirmed over it"),
    tr("the direct link is preferred"),
    tr("the last message that its next hop was given was not confirmed"),
    tr("no message was confirmed over it yet"),
    tr("it is slower"),
    tr("it has more hops"),
)

#: What is assumed where nobody counted the links to a destination.
UNKNOWN_HOPS = 3


class Route(Struct, eq=False, gc=False):
    """A way to one peer through one neighbour. `Routes` creates, owns and ends it.

    :param hops: links from here to *dst*; 1 is the direct link, None where nobody counted them.
    :param touched_at_s: when it was last learned, used or confirmed, in seconds of the router's clock.
    :param rtt_s: from sending to the last end-to-end confirmation, or from question to answer.
    :param confirmed: messages that *dst* confirmed over it.
    :param unconfirmed: messages that went over it and were not confirmed in time.
    :param streak: those since the last that was confirmed.
    """

    dst: PeerId
    hop: PeerId
    hops: int | None
    learned_at_s: float
    touched_at_s: float
    rtt_s: float | None = None
    confirmed_at_s: float | None = None
    failed_at_s: float = 0.0
    confirmed: int = 0
    unconfirmed: int = 0
    streak: int = 0

    @property
    def is_direct(self) -> bool:
        """The destination is the neighbour itself."""
        return self.hop == self.dst

    def losses(self, now_s: float) -> int:
        """Messages in a row that were lost, while that is held against it."""
        return 0 if self.is_direct and now_s - self.failed_at_s > DOUBT_S else self.streak

    def is_fresh(self, now_s: float) -> bool:
        """It was used with success lately."""
        return not self.streak and self.confirmed_at_s is not None and now_s - self.confirmed_at_s <= FRESH_S


class Routes:
    """All ways that are known. The neighbourhood creates, owns and ends it."""

    def __init__(self) -> None:
        #: Routes that had to make room for others.
        self.evicted = 0
        self._to: dict[str, dict[PeerId, Route]] = {}
        #: The same routes by next hop, those that were touched last at the end; the direct ones are not here.
        self._through: dict[PeerId, dict[str, Route]] = {}
        #: Messages in a row that went to a neighbour and were not confirmed, whoever they were for.
        self._doubts: dict[PeerId, int] = {}
        #: When a neighbour lost one last.
        self._lost_at_s: dict[PeerId, float] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count + len(self._through)

    def __iter__(self) -> Iterator[Route]:
        for ways in self._to.values():
            yield from ways.values()

    # Links.

    def link(self, hop: PeerId, now_s: float) -> None:
        """A link with a neighbour stands: it is the direct way to it."""
        self._through[hop] = {}
        self._doubts[hop] = 0
        self._lost_at_s[hop] = now_s
        self._to.setdefault(hop, {})[hop] = Route(hop, hop, 1, now_s, now_s)

    def unlink(self, hop: PeerId) -> None:
        """The link is gone, and all that went over it."""
        for route in list(self._through[hop].values()):
            self._remove(route)
        del self._through[hop], self._doubts[hop], self._lost_at_s[hop]
        ways = self._to[hop]
        del ways[hop]
        if not ways:
            del self._to[hop]

    # What is learned.

    def learn(self, dst: str, hop: PeerId, hops: int | None, now_s: float) -> Route | None:
        """Somebody said, or showed, that *dst* can be reached through the neighbour *hop*.

        :param hops: links from here to *dst*; None where nobody counted them.
        :return: the route, or None where there is no use for it.
        """
        ways = self._to.get(dst)
        route = None if ways is None else ways.get(hop)
        if route is None:
            return self._add(dst, hop, hops, now_s)
        if not route.is_direct:
            route.hops = route.hops if hops is None else hops
            self.touch(route, now_s)
        return route

    def confirm(self, dst: str, hop: PeerId, now_s: float, rtt_s: float | None) -> None:
        """A message went over a way and was confirmed by its destination."""
        ways = self._to.get(dst)
        route = None if ways is None else ways.get(hop)
        if route is None:
            return
        if rtt_s is not None:
            # As TCP does it: one message that waited somewhere says little. What a question took says less.
            known_s = None if route.confirmed_at_s is None else route.rtt_s
            route.rtt_s = rtt_s if known_s is None else known_s + (rtt_s - known_s) / 8
        route.confirmed += 1
        route.streak = 0
        route.confirmed_at_s = now_s
        self._doubts[hop] = 0
        self.touch(route, now_s)

    def fail(self, dst: str, hop: PeerId, now_s: float) -> None:
        """A message went over a way and was not confirmed in time."""
        route = self._to.get(dst, {}).get(hop)
        if route is not None:
            route.unconfirmed += 1
            route.streak += 1
            route.failed_at_s = now_s
            self._doubts[hop] += 1
            self._lost_at_s[hop] = now_s

    def touch(self, route: Route, now_s: float) -> None:
        """A way was learned, is used, or was confirmed: it expires later."""
        if now_s - route.touched_at_s < 1.0:
            return  # exact enough, and most messages cost nothing
        route.touched_at_s = now_s
        if not route.is_direct:
            through = self._through[route.hop]
            through[route.dst] = through.pop(route.dst)

    def drop(self, dst: str, hop: PeerId) -> None:
        """The neighbour said itself that it has no way there."""
        route = self._through.get(hop, {}).get(dst)
        if route is not None:
            self._remove(route)

    # What is asked.

    def is_doubted(self, hop: PeerId) -> bool:
        """Whether the last message that a neighbour was given was not confirmed."""
        return self._doubts.get(hop, 0) > 0

    def is_suspect(self, hop: PeerId, now_s: float) -> bool:
        """Whether a neighbour lost so many messages in a row that what it says is of no use."""
        return self._held_against(hop, now_s) >= MAX_DOUBT

    def best(self, dst: str, now_s: float, but: str = "") -> Route | None:
        """Return the way to take, or None where none is known.

        :param but: a neighbour that is no way: the message came from there.
        """
        ways = self._to.get(dst)
        if ways is None:
            return None
        if len(ways) == 1:
            (only,) = ways.values()
            return None if only.hop == but else only
        found = self.ways(dst, now_s, but)
        return found[0] if found else None

    def ways(self, dst: str, now_s: float, but: str = "") -> list[Route]:
        """Return all ways, the best first.

        A way that lost messages is worse than one that did not. Then the direct link is the best; then a
        neighbour that loses nothing, a way that is known to work, the quickest, the shortest.
        """
        ways = self._to.get(dst, {}).values()
        return sorted((way for way in ways if way.hop != but), key=lambda way: self._rank(way, now_s))

    def why_not(self, worse: Route, better: Route, now_s: float) -> str:
        """Say why one way is not taken and another is, for people."""
        pairs = zip(self._rank(worse, now_s), self._rank(better, now_s), REASONS, strict=True)
        earlier = tr("the other was known earlier")
        return next((reason for one, other, reason in pairs if one != other), earlier)

    def _rank(self, way: Route, now_s: float) -> tuple[float, ...]:
        is_proven = way.confirmed_at_s is not None
        return (
            way.losses(now_s) + (0 if way.is_direct else self._held_against(way.hop, now_s)),
            not way.is_direct,
            self._doubts[way.hop] > 0,
            not is_proven,
            way.rtt_s if is_proven and way.rtt_s is not None else float("inf"),
            way.hops or UNKNOWN_HOPS,
        )

    def _held_against(self, hop: PeerId, now_s: float) -> int:
        doubts = self._doubts.get(hop, 0)
        return min(doubts, MAX_DOUBT) if doubts and now_s - self._lost_at_s[hop] < SUSPECT_S else 0

    def sweep(self, now_s: float) -> None:
        """Forget what expired; to be called now and then."""
        for through in self._through.values():
            while through:
                oldest = next(iter(through.values()))
                if now_s - oldest.touched_at_s < EXPIRY_S:
                    break
                self._remove(oldest)

    # Inside.

    def _add(self, dst: str, hop: PeerId, hops: int | None, now_s: float) -> Route | None:
        through = self._through.get(hop)
        if through is None:
            return None
        ways = self._to.get(dst, {})
        if len(ways) >= MAX_WAYS:
            worst = self.ways(dst, now_s)[-1]
            if worst.is_direct or worst.streak == 0:
                return None
            self._evict(worst)
        if self._count >= MAX_ROUTES:
            # Whoever has most pays, so that nobody can push out the routes of others.
            fullest = max(self._through.values(), key=len)
            self._evict(next(iter(fullest.values())))
        route = Route(PeerId(dst), hop, hops, now_s, now_s)
        self._to.setdefault(dst, {})[hop] = through[dst] = route
        self._count += 1
        return route

    def _evict(self, route: Route) -> None:
        self.evicted += 1
        self._remove(route)

    def _remove(self, route: Route) -> None:
        del self._through[route.hop][route.dst]
        ways = self._to[route.dst]
        del ways[route.hop]
        if not ways:
            del self._to[route.dst]
        self._count -= 1
