"""Messages of others to one peer: passed on, or refused (docs/protocol.md, 4, 5 and 8)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from msgspec import UNSET, Struct
from msgspec.structs import replace

from p2pchat.protocol.codec import encode, pass_on, pass_on_plain
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import ORIGIN_TTL, RelayFail, RelayOk, Send, TtlExpired
from p2pchat.protocol.names import PeerId
from p2pchat.routing.discovery import Discovery
from p2pchat.routing.neighbourhood import CROWDED_HOLD_S, HOLD_S, Neighbour, Neighbourhood, confirms
from p2pchat.routing.recent import Recent
from p2pchat.routing.routes import Route
from p2pchat.routing.trails import Trail, Trails

#: Seconds that a message may wait here for a way; its source sends it again after 5 s.
PARK_S = 2.0

#: Messages that may wait here for a way. Beyond, their sources hear `no_route` at once.
MAX_PARKED = 256

#: Seconds after which the source of a message has given up that try by itself.
UNDER_WAY_S = 10.0

#: A source sends again after 5 s (section 5). What comes sooner is no sign that the first try was lost.
BLAME_AFTER_S = 2.0

#: Seconds without a confirmation after which a next hop is taken to have lost a message: as long as its
#: source waits, which may try again through somebody else.
LOST_AFTER_S = 5.0

#: Messages that are watched for that. In a flood of more, the next hops of some are not blamed.
MAX_WATCHED = 4096

#: From this copy of a message on it is known that the ways over which it went first did not work, so a relay
#: gives it to two next hops.
SPREAD_FROM = 3

#: The number of the copies that relays make. Where two of them meet one goes on, each relay gives it to two
#: next hops again, and nobody is blamed for one that gets lost.
SPARE = 99


class Parcel(Struct, frozen=True, eq=False):
    """A message of somebody else on its way through this peer.

    :param number: which copy of it this is, counted from 1; plain sources do not say so.
    :param avoid: the next hop of the try before, which was not confirmed; empty where there was none.
    :param until_s: with those that wait for a way, when they have waited long enough.
    """

    source: Neighbour
    message: Send
    line: bytes
    number: int
    avoid: str
    until_s: float


class Relay:
    """Passes on what is for another peer. The router creates and owns it.

    :param trails: where it notes what came from where and went where.
    """

    def __init__(self, hood: Neighbourhood, discovery: Discovery, trails: Trails) -> None:
        self._hood = hood
        self._discovery = discovery
        self._trails = trails
        #: How often a message came and who brought it last, by `_key`.
        self._copies: Recent[tuple[int, PeerId]] = Recent(hood.now())
        self._parked: list[Parcel] = []
        #: Those that wait for their confirmation, the oldest first.
        self._watched: deque[Trail] = deque(maxlen=MAX_WATCHED)

    @property
    def watched(self) -> int:
        """Messages whose confirmation is waited for."""
        return len(self._watched)

    @property
    def parked(self) -> int:
        """Messages that wait for a way."""
        return len(self._parked)

    @property
    def remembered(self) -> int:
        """Messages that are remembered."""
        return len(self._trails) + len(self._copies)

    def tick(self) -> None:
        """Do what is due."""
        now_s = self._hood.now()
        self._trails.rotate(now_s)
        self._copies.rotate(now_s)
        while self._watched and self._watched[0].at_s <= now_s - LOST_AFTER_S:
            self._blame(self._watched.popleft())
        if self._parked:
            overdue = [parcel for parcel in self._parked if parcel.until_s <= now_s]
            self._parked = [parcel for parcel in self._parked if parcel.until_s > now_s]
            for parcel in overdue:
                self._refuse(parcel.source, parcel.message, ErrorCode.NO_ROUTE, self._no_way(parcel.message))

    def found(self, dst: str) -> bool:
        """There is a way to a peer now. False where something still waits: that way leads back."""
        if not any(parcel.message.dst == dst for parcel in self._parked):
            return True
        parked, self._parked = self._parked, []
        now_s = self._hood.now()
        for parcel in parked:
            is_for_it = parcel.message.dst == dst
            if is_for_it and self._hood.routes.best(dst, now_s, but=parcel.source.peer_id) is not None:
                self._pass_on(parcel)
            else:
                self._parked.append(parcel)
        return not any(parcel.message.dst == dst for parcel in self._parked)

    def neighbour_down(self, neighbour: Neighbour) -> None:
        """The last link with a peer has ended: tell the sources of what it may not have passed on.

        A plain peer may have ended it because of the message (9.15): that one must not get it again.
        """
        hood, after = self._hood, neighbour.peer_id
        for trail in self._trails.lost(after, hood.now() - UNDER_WAY_S):
            if neighbour.plain:
                trail.is_suspect = True
                continue
            trail.is_settled = True
            before = hood.neighbours.get(trail.before)
            if before is not None:
                hood.tally.relay_refused += 1
                detail = f"the link of {hood.own} with {after} ended before a confirmation came"
                hood.refuse(before, ErrorCode.NO_ROUTE, detail, trail.msg_id, trail.src)

    # SEND.

    def on_send(self, neighbour: Neighbour, message: Send, line: bytes) -> None:
        """Pass a message on, or tell its source why not."""
        hood = self._hood
        hood.tally.not_for_us += 1
        trail = self._trails.get(message.src, message.msg_id)
        key = _key(message, message.number)
        copies, bringer = self._copies.get(key) or (0, "")
        # Plain peers send again without saying so; from others the same once more is a duplicate.
        if message.src == hood.own or (copies and not neighbour.plain):
            self._on_copy(neighbour, message, bringer)
            return
        if message.ttl <= 0:
            hood.tally.expired += 1
            detail = f"no forwards were left when it came to {hood.own}"
            self._refuse(neighbour, message, ErrorCode.TTL_EXPIRED, detail)
            return
        if trail is not None and trail.is_suspect:
            detail = f"{trail.after} ended its link with {hood.own} under it, so it is not given to it again"
            self._refuse(neighbour, message, ErrorCode.BAD_FORMAT, detail)
            return
        if not hood.quota(neighbour).forwards.take(hood.now()):
            if hood.over_quota(neighbour, "messages", message.msg_id, message.src):
                self._report(neighbour, message, RelayFail, ErrorCode.OVER_QUOTA)
            return
        self._copies.put(key, (copies + 1, neighbour.peer_id))
        avoid = self._avoid(trail)
        number = min(copies + 1, SPARE - 1) if copies else message.number
        self._pass_on(Parcel(neighbour, message, line, number, avoid, hood.now() + PARK_S))

    def _on_copy(self, neighbour: Neighbour, message: Send, bringer: str) -> None:
        """The same once more: a duplicate from where it came before; from elsewhere it goes in a circle."""
        self._hood.tally.duplicates += 1
        if neighbour.peer_id != bringer and message.number < SPARE:
            detail = f"it came back to {self._hood.own}, so there is no way to {message.dst} through it"
            self._refuse(neighbour, message, ErrorCode.NO_ROUTE, detail)

    def _avoid(self, trail: Trail | None) -> str:
        """The source tries again, so the last next hop did not deliver; return that one, if there was one."""
        if trail is None or trail.is_settled:
            return ""
        if self._hood.now() - trail.at_s >= BLAME_AFTER_S:
            self._blame(trail)
        return trail.after

    def _blame(self, trail: Trail) -> None:
        """Hold it against a next hop, once, that it did not deliver."""
        if not (trail.is_settled or trail.is_blamed):
            trail.is_blamed = True
            self._hood.routes.fail(trail.dst, trail.after, self._hood.now())

    def _pass_on(self, parcel: Parcel) -> None:
        """Take the best way that has room; without any, look for one."""
        hood, message, source = self._hood, parcel.message, parcel.source
        now_s = hood.now()
        is_full = False
        try:
            for way in self._ways(parcel, now_s):
                if self._give(parcel, way.hop, now_s):
                    hood.routes.touch(way, now_s)
                    self._spread(parcel, way, now_s)
                    return
                is_full = True
        except ProtocolError as problem:
            self._refuse(source, message, problem.code, f"{hood.own} says: {problem.detail}")
            return
        if not is_full:
            self._park(parcel)
            return
        self._refuse(source, message, ErrorCode.BUSY, f"too much waits at {hood.own} for {message.dst}")
        source.hold(HOLD_S)

    def _ways(self, parcel: Parcel, now_s: float) -> Iterator[Route]:
        """Yield the ways to take, the best first, the one that failed last, never the way back."""
        routes, dst, src, back = (
            self._hood.routes,
            parcel.message.dst,
            parcel.message.src,
            parcel.source.peer_id,
        )
        best = routes.best(dst, now_s, but=back)
        if best is not None and best.hop not in (parcel.avoid, src):
            yield best  # mostly it takes the message, and nobody needs the others
        ways = [way for way in routes.ways(dst, now_s, but=back) if way.hop != src]
        ways.sort(key=lambda way: way.hop == parcel.avoid)
        yield from (way for way in ways if way is not best or way.hop == parcel.avoid)

    def _spread(self, parcel: Parcel, taken: Route, now_s: float) -> None:
        """Give a copy of what did not arrive so far to one more next hop, where not much waits.

        Its source spreads copies over its neighbours, but each of them may know one way only, and that may
        lead to somebody who swallows. Every relay does so once for a message, so that it costs no more than
        one to many.
        """
        hood, source, message = self._hood, parcel.source, parcel.message
        if parcel.number < SPREAD_FROM or taken.is_direct:
            return
        if parcel.number < SPARE:
            parcel, key = replace(parcel, number=SPARE), _key(message, SPARE)
            if self._copies.get(key):
                return
            self._copies.put(key, (1, source.peer_id))
        is_crowded = hood.neighbours[taken.hop].is_crowded(source.peer_id)
        if is_crowded or not hood.quota(source).floods.take(now_s):
            return
        hops = hood.untried(message.dst, (taken.hop, message.src), but=source.peer_id)
        for hop in sorted(hops, key=lambda hop: hop == parcel.avoid):
            if self._give(parcel, hop, now_s):
                return

    def _give(self, parcel: Parcel, hop: PeerId, now_s: float) -> bool:
        """Give a message to a next hop; False where too much waits for that one."""
        hood, message, source = self._hood, parcel.message, parcel.source
        neighbour = hood.neighbours[hop]
        if not neighbour.pass_on(self._line_for(neighbour, parcel), source.peer_id):
            return False
        if neighbour.is_crowded(source.peer_id):
            source.hold(CROWDED_HOLD_S)
        is_spare = parcel.number >= SPARE
        trail = Trail(
            message.src,
            message.msg_id,
            message.dst,
            before=source.peer_id,
            after=hop,
            at_s=now_s,
            is_settled=is_spare or not message.require_ack or not confirms(neighbour, message.dst),
            is_spare=is_spare,
        )
        self._trails.add(trail)
        if not trail.is_settled:
            self._watched.append(trail)
        hood.tally.relayed += 1
        if not is_spare:
            self._report(source, message, RelayOk, "passed on")
        return True

    @staticmethod
    def _line_for(neighbour: Neighbour, parcel: Parcel) -> bytes:
        if neighbour.plain:
            if parcel.message.sealed is not UNSET:
                raise ProtocolError(ErrorCode.UNAUTHORIZED, f"{neighbour.peer_id} cannot open what is sealed")
            return pass_on_plain(parcel.line, parcel.message)
        changed = {} if parcel.number == parcel.message.number else {"attempt": parcel.number}
        return pass_on(parcel.line, ttl=min(parcel.message.ttl, ORIGIN_TTL) - 1, **changed)

    def _park(self, parcel: Parcel) -> None:
        """Keep a message for a moment and ask for a way, where there is somebody to be asked."""
        hood, message, source = self._hood, parcel.message, parcel.source
        can_ask = self._discovery.can_ask(but=source.peer_id)
        if not can_ask or self.parked >= MAX_PARKED or parcel.until_s <= hood.now():
            self._refuse(source, message, ErrorCode.NO_ROUTE, self._no_way(message))
        elif not hood.quota(source).questions.take(hood.now()):
            hood.over_quota(source, "messages to peers that it must look for", message.msg_id, message.src)
        elif self._discovery.ask(PeerId(message.dst)):
            self._parked.append(parcel)
        else:
            self._refuse(source, message, ErrorCode.BUSY, f"{hood.own} looks for too many peers already")

    def _no_way(self, message: Send) -> str:
        return f"{self._hood.own} knows no way to {message.dst}"

    def _refuse(self, neighbour: Neighbour, message: Send, code: ErrorCode, detail: str) -> None:
        """Tell the source, in both ways that it may understand."""
        hood = self._hood
        hood.tally.relay_refused += 1
        kind = TtlExpired if code is ErrorCode.TTL_EXPIRED else RelayFail
        if hood.refuse(neighbour, code, detail, message.msg_id, message.src):
            self._report(neighbour, message, kind, code)

    def _report(
        self, neighbour: Neighbour, message: Send, kind: type[RelayOk | RelayFail | TtlExpired], reason: str
    ) -> None:
        """Report on a SEND to the neighbour whose own it is, if it offers to relay too (9.1)."""
        if neighbour.peer_id == message.src and not neighbour.plain:
            report = kind(message.msg_id, str(self._hood.own), message.src, str(reason), ORIGIN_TTL)
            neighbour.write(encode(report))


def _key(message: Send, number: int) -> tuple[object, ...]:
    """Return what tells a copy of a message from others: not msg_ids alone, since those of some collide.

    Who puts something else in the place of what was said must not make us take the true copy for another.
    """
    return message.src, message.msg_id, number, message.said
