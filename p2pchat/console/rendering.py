"""Events and states of a node as lines for people."""

from __future__ import annotations

from collections.abc import Iterable

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.console import marks
from p2pchat.console.amounts import duration, milliseconds
from p2pchat.console.visible import visible, visible_name
from p2pchat.links.dialler import Dialler
from p2pchat.links.link import Link
from p2pchat.links.neighbour import Neighbour
from p2pchat.protocol.errors import MEANINGS
from p2pchat.protocol.messages import Metrics
from p2pchat.protocol.names import PeerId
from p2pchat.routing.routes import EXPIRY_S, Route
from p2pchat.trust.cards import fingerprint
from p2pchat.trust.trust import Trust

#: Names that one line about the roster holds.
_MAX_NAMES = 10


def arrived(event: events.MessageArrived, clock_time: str) -> str:
    """Render a message: when, who, to whom, what; the neighbour that brought it where it is another."""
    mark = marks.arrived(event.protection, is_cast=event.is_cast, is_verified=event.is_verified)
    via = "" if event.src == event.via else f" (via {visible_name(event.via)})"
    who = f"{visible_name(event.src)}{f' [{mark}]' if mark else ''}{via}"
    to = marks.to_whom(event.dst, is_cast=event.is_cast)
    return f"[{clock_time}] {who} to {to}: {visible(event.payload)}"


def secured(is_encrypted: bool) -> str:
    """Render whether others can read and change what goes over a link."""
    return "encrypted" if is_encrypted else "unsecured"


def keys(trust: Trust | None, neighbours: list[Neighbour]) -> list[str]:
    """Render our key, and how many others are known."""
    if trust is None:
        return ["Keys: none, so all links are unsecured."]
    encrypted = sum(neighbour.is_encrypted for neighbour in neighbours)
    return [
        f"Your key: {fingerprint(trust.identity.key)}.",
        f"Links: {encrypted} encrypted, {len(neighbours) - encrypted} unsecured. "
        f"Keys of others: {len(trust.pins)} known; {len(trust.blocked)} peers blocked.",
    ]


def notice(event: events.Event) -> str | None:
    """Render an event that is not about a message; None where the user need not know."""
    match event:
        case events.NeighbourUp(peer_id=peer_id, address=address, dialled=dialled, is_encrypted=encrypted):
            way = "to" if dialled else "from"
            return f"{visible_name(peer_id)} is linked ({way} {address}){'' if encrypted else ', unsecured'}"
        case events.NeighbourDown(peer_id=peer_id, why=why):
            return f"{visible_name(peer_id)} is no longer linked: {visible(why)}"
        case events.PeerComplained():
            return _complaint(event)
        case events.AddressFailed(address=address, why=why):
            return f"no link with {address}: {visible(why)}. Trying again until there is one."
        case events.RosterChanged():
            return _roster(event)
        case events.NameTaken(peer_id=peer_id, address=address):
            name = visible_name(peer_id)
            return (
                f"{name} is also registered at {address}: another peer has your name, or it is an old entry"
            )
        case events.KeyRefused():
            return _other_key(event)
        case events.KeyMissing(peer_id=peer_id):
            name = visible_name(peer_id)
            return (
                f"somebody came as {name} without encryption, which {name} had before, and was refused: it "
                f"may use another program now, or somebody pretends to be it. If you know why: /trust {name}"
            )
        case events.PeersNotKept(why=why):
            return f"what is learned of peers is kept until you leave only: {visible(why)}"
        case events.Warned(peer_id=peer_id, text=text):
            return f"warning about {visible_name(peer_id)}: {visible(text)}"
        case events.LineTraced(peer_id=peer_id, line=line):
            return f"<- {visible_name(peer_id)} {visible(line.decode(errors='backslashreplace'))}"
        case _:
            return _rendezvous(event)


def _rendezvous(event: events.Event) -> str | None:
    match event:
        case events.RendezvousFound(address=address, hosted=hosted):
            return f"registered at the rendezvous {address}" + (", which this peer hosts" if hosted else "")
        case events.RendezvousLost(address=address, why=why):
            trouble = f"the rendezvous {address} does not work: {visible(why)}"
            return f"{trouble}. Links stay; trying again until it does."
        case events.RendezvousHosted(address=address):
            return f"no rendezvous answered at {address}, so this peer hosts one"
        case _:
            return None


def _other_key(event: events.KeyRefused) -> str:
    name = visible_name(event.peer_id)
    return (
        f"somebody came as {name} with another key than {name} had before, and was refused: {name} may have "
        f"been set up anew without its old key, or somebody pretends to be {name}. Ask {name} another way "
        f"what /status says there. If it is {event.key} (before: {event.known}): /trust {name}"
    )


def _complaint(event: events.PeerComplained) -> str:
    meaning = visible(event.detail) or MEANINGS.get(event.code, "no detail given")
    return f"{visible_name(event.peer_id)} reports an error: {visible_name(event.code) or 'error'}: {meaning}"


def _roster(event: events.RosterChanged) -> str | None:
    parts = [
        f"{names(changed)} {what}"
        for changed, what in (
            (event.came, "came"),
            (event.left, "left the rendezvous"),
            (event.moved, "has a new address"),
        )
        if changed
    ]
    return "; ".join(parts) or None


def names(peer_ids: Iterable[PeerId]) -> str:
    """Render some names, and how many more there are."""
    listed = [visible_name(peer_id) for peer_id in peer_ids]
    more = f" and {len(listed) - _MAX_NAMES} more" if len(listed) > _MAX_NAMES else ""
    return ", ".join(listed[:_MAX_NAMES]) + more


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Render rows in columns; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def how(neighbour: Neighbour, is_verified: bool) -> str:
    """Render how a peer is linked."""
    marks = ["plain" * neighbour.plain, "unsecured" * (not neighbour.is_encrypted), "verified" * is_verified]
    return ", ".join(["linked directly", *filter(None, marks)])


def not_linked(diallers: list[Dialler], now_s: float) -> str:
    """Render why a peer is not linked, and when it is tried again."""
    if not diallers:
        return "not linked; its address is not known"
    dialler = diallers[0]
    if dialler.held:
        return f"not linked; not dialled: {visible(dialler.held)}"
    next_s = dialler.next_try_at_s
    when = "dialling now" if next_s is None else f"next try in {max(0.0, next_s - now_s):.0f} s"
    why = f"; last try: {visible(dialler.last_failure)}" if dialler.last_failure else ""
    return f"not linked; {when}{why}"


def age(link: Link, now_s: float) -> str:
    """Render how long a link has stood."""
    return duration(0.0 if link.up_since_s is None else now_s - link.up_since_s)


def peer_row(
    peer_id: PeerId,
    listed: Address | None,
    neighbour: Neighbour | None,
    route: Route | None,
    state: str,
    now_s: float,
) -> tuple[str, ...]:
    """Render one peer as a row of `/peers`.

    :param listed: where the rendezvous says that it is.
    :param route: the way to it, of which round trip and age are shown where it is not linked.
    """
    address, rtt_s, stands = listed, None, "-"
    if neighbour is not None:
        address, rtt_s, stands = neighbour.link.address, neighbour.rtt_s, age(neighbour.link, now_s)
    elif route is not None:
        rtt_s, stands = route.rtt_s, duration(now_s - route.learned_at_s)
    return (
        visible_name(peer_id),
        str(address or "-"),
        "yes" if listed else "no",
        state,
        milliseconds(rtt_s),
        stands,
    )


def link_row(link: Link, now_s: float) -> tuple[str, ...]:
    """Render one link as a row of `/routes`."""
    return (
        visible_name(link.peer_id),
        str(link.address),
        "dialled" if link.dialled else "accepted",
        milliseconds(link.rtt_s),
        str(link.outgoing.waiting),
        str(link.received),
        str(link.sent),
        age(link, now_s),
        "plain" if link.plain else "",
    )


def quality(route: Route) -> str:
    """Render how a route has done."""
    tried = route.confirmed + route.unconfirmed
    return f"{route.confirmed} of {tried} confirmed" if tried else "not tried yet"


def way(route: Route, now_s: float) -> str:
    """Render one way to a peer."""
    hops = "hops not counted" if route.hops is None else f"{route.hops} hop{'' if route.hops == 1 else 's'}"
    how = "directly" if route.is_direct else f"through {visible_name(route.hop)}, {hops}"
    rtt = f", rtt {milliseconds(route.rtt_s)}" if route.rtt_s is not None else ""
    last = f", last {duration(now_s - route.confirmed_at_s)} ago" if route.confirmed_at_s is not None else ""
    return f"{how}{rtt}, {quality(route)}{last}"


def no_way(dials: bool, asks: bool) -> str:
    """Render that no way to a peer is known, and what a message would do about it.

    :param dials: its address is known.
    :param asks: a neighbour is linked that can be asked.
    """
    if asks:
        return f"none is known; a message would {'dial it and ' if dials else ''}ask the neighbours for one"
    if dials:
        return "none is known; a message would dial it; nobody is linked who could be asked for one"
    return "none is known, and nobody is linked who could be asked for one"


def route_row(route: Route, now_s: float) -> tuple[str, ...]:
    """Render one route as a row of `/routes`."""
    at_s = route.confirmed_at_s
    return (
        visible_name(route.dst),
        visible_name(route.hop),
        str(route.hops or "-"),
        milliseconds(route.rtt_s),
        quality(route),
        "-" if at_s is None else f"{duration(now_s - at_s)} ago",
        duration(now_s - route.learned_at_s),
        # It may be over already: the routes are swept now and then.
        duration(max(0.0, route.touched_at_s + EXPIRY_S - now_s)),
    )


def seen_by(name: str, metrics: Metrics) -> str:
    """Render how a peer sees our link."""
    rtt = "not measured" if metrics.rtt_ms is None else f"{metrics.rtt_ms} ms"
    last = visible(metrics.last_seen or "never")
    counts = f"{metrics.sent_count} lines sent to us, {metrics.recv_count} received from us"
    return f"{name} sees: rtt {rtt}, {counts}, last at {last}"


def linked(neighbours: int, known: int, relayed: int) -> str:
    """Render how many peers are linked, and how many more can be reached."""
    more = f"; {relayed} more {'is' if relayed == 1 else 'are'} reached through others" if relayed else ""
    return f"Linked: {neighbours} of {known} known peers{more}."


ROUTE_HEADING = ("destination", "next hop", "hops", "rtt", "quality", "last confirmed", "age", "expires in")

LINK_HEADING = ("neighbour", "address", "way", "rtt", "queue", "in", "out", "age", "")

PEER_HEADING = ("peer", "address", "registered", "state", "rtt", "age")
