"""What goes back where a message came from: ACKs, ERRORs, relay reports (docs/protocol.md, 5 and 8)."""

from __future__ import annotations

from msgspec.structs import replace

from p2pchat.protocol.codec import complete, pass_on, pass_on_plain
from p2pchat.protocol.errors import MEANINGS, NO_WAY
from p2pchat.protocol.messages import ORIGIN_TTL, Ack, Error, RelayFail, RelayOk, TtlExpired
from p2pchat.routing.neighbourhood import HOLD_S, Neighbour, Neighbourhood
from p2pchat.routing.trails import Trail, Trails

#: What a relay reports on a SEND that it was given.
Report = RelayOk | RelayFail | TtlExpired


class Returns:
    """Passes back what is said about the messages of others. The router creates and owns it.

    :param trails: where those came from; the relay keeps them.
    """

    def __init__(self, hood: Neighbourhood, trails: Trails) -> None:
        self._hood = hood
        self._trails = trails

    def on_ack(self, neighbour: Neighbour, message: Ack, line: bytes) -> None:
        """Pass a confirmation back the way that the message came."""
        src = self._told_to(neighbour, message.dst, message.msg_id)
        trail = self._trails.over(neighbour.peer_id, src, message.msg_id)
        # The destination may take us for the source. What a relay passes on to us is about something of ours,
        # with the msg_id of somebody else's.
        is_ours = message.dst == self._hood.own and trail is not None and neighbour.peer_id != trail.dst
        if is_ours or not src:
            self._hood.tally.no_way_back += 1
            return
        subject = message.from_ or message.src or neighbour.peer_id
        if trail is not None:
            if neighbour.plain and neighbour.peer_id == trail.dst:
                subject = trail.dst  # plain peers may call themselves anything
            elif subject != trail.dst:
                self._hood.tally.forged += 1
                return
            self._confirm(neighbour, trail)
        if (message.from_, message.dst) != (subject, src):
            # Without a dst it was written for one link: its ttl says nothing about those behind.
            ttl = message.ttl if src == message.dst else ORIGIN_TTL
            message = replace(message, from_=subject, src=subject, dst=src, ttl=ttl)
            line = complete(line, message)
        self._back(neighbour, message, line, trail)

    def _told_to(self, neighbour: Neighbour, dst: str, msg_id: str) -> str:
        """Return for whom an answer is; it may name nobody, or the relay that its sender sees (9.10)."""
        return dst if dst not in ("", self._hood.own) else self._trails.source_of(neighbour.peer_id, msg_id)

    def _confirm(self, neighbour: Neighbour, trail: Trail) -> None:
        if neighbour.peer_id == trail.after:
            now_s = self._hood.now()
            rtt_s = None if trail.is_settled else now_s - trail.at_s
            trail.is_settled = True
            if trail.is_spare:
                self._hood.routes.learn(trail.dst, trail.after, None, now_s)
            self._hood.routes.confirm(trail.dst, trail.after, now_s, rtt_s)

    def on_error(self, neighbour: Neighbour, message: Error, line: bytes) -> bool:
        """Pass an ERROR back the way that the message came; False where nobody here knows of it."""
        src = self._told_to(neighbour, message.dst, message.ref)
        if not src:
            return False
        whole = _whole(neighbour, message, src)
        if whole is not message:
            message, line = whole, complete(line, whole)
        trail = self._trails.over(neighbour.peer_id, src, message.ref)
        if trail is not None and trail.after == neighbour.peer_id and message.reason in NO_WAY:
            self._hood.routes.drop(trail.dst, trail.after)
        if trail is None or not trail.is_spare:  # the copy that was asked for goes its own way
            self._back(neighbour, message, line, trail)
        return True

    def on_report(self, neighbour: Neighbour, message: Report, line: bytes) -> None:
        """Pass a report of a relay back the way that the message came."""
        self._back(neighbour, message, line, self._trails.get(message.dst, message.msg_id))

    def _back(
        self, neighbour: Neighbour, message: Ack | Error | Report, line: bytes, trail: Trail | None
    ) -> None:
        """Pass something back: where the message came from, else by route."""
        hood = self._hood
        if not hood.quota(neighbour).answers.take(hood.now()):
            hood.tally.over_quota += 1  # nobody is told, since nobody waits for an answer to an answer
            neighbour.hold(HOLD_S)
            return
        before = None if trail is None else hood.neighbours.get(trail.before)
        if before is None and message.dst:
            way = hood.routes.best(message.dst, hood.now(), but=neighbour.peer_id)
            before = None if way is None else hood.neighbours[way.hop]
        # The ttl of a plain peer is 1 by its rules, and says nothing about the way back.
        ttl = ORIGIN_TTL if neighbour.plain else min(message.ttl, ORIGIN_TTL)
        is_unwanted = before is not None and before.plain and isinstance(message, Report)  # 9.1
        if before is None or before is neighbour or ttl <= 0 or is_unwanted:
            hood.tally.no_way_back += 1
            return
        line = pass_on_plain(line, message) if before.plain else pass_on(line, ttl=ttl - 1)
        hood.tally.relayed_back += before.pass_on(line, neighbour.peer_id)


def _whole(neighbour: Neighbour, message: Error, src: str) -> Error:
    """Give an ERROR of a neighbour both forms of section 8 and a dst, unless it has them."""
    reason = message.reason
    if reason and not (message.error and message.code):
        message = replace(message, error=reason, code=reason)
    if src == message.dst:
        return message
    # Whoever reads it gets it from a relay, and must know whose words these are.
    detail = f"{neighbour.peer_id} says: {message.detail or MEANINGS.get(reason, reason)}"
    return replace(message, dst=src, detail=detail[: Error.MAX_DETAIL])
