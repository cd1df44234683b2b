"""Events and states of a node as lines for people."""

from __future__ import annotations

from collections.abc import Iterable

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.console import marks
from p2pchat.console.amounts import duration, milliseconds, size
from p2pchat.console.visible import visible, visible_name
from p2pchat.language import ntr, tr, translated
from p2pchat.links.dialler import Dialler
from p2pchat.links.link import Link
from p2pchat.links.neighbour import Neighbour
from p2pchat.protocol.errors import MEANINGS, NO_DETAIL
from p2pchat.protocol.messages import Metrics
from p2pchat.protocol.names import PeerId
from p2pchat.routing.routes import EXPIRY_S, Route
from p2pchat.trust.cards import fingerprint
from p2pchat.trust.trust import Trust

#: Names that one line about the roster holds.
_MAX_NAMES = 10


def arrived(event: events.MessageArrived, clock_time: str) -> str:
    """Render a message: when, who, to whom, what; the neighbour that brought it where it is another."""
    mark = marks.arrived(
        event.protection, is_cast=event.is_cast, is_verified=event.is_verified, late_s=event.late_s
    )
    via = "" if event.src == event.via else tr(" (via {relay})").format(relay=visible_name(event.via))
    who = f"{visible_name(event.src)}{f' [{mark}]' if mark else ''}{via}"
    to = marks.to_whom(event.dst, is_cast=event.is_cast)
    told = tr("[{time}] {source} to {destination}: {text}")
    return told.format(time=clock_time, source=who, destination=to, text=visible(event.payload))


def secured(is_encrypted: bool) -> str:
    """Render whether others can read and change what goes over a link."""
    return tr("encrypted") if is_encrypted else tr("unsecured")


def keys(trust: Trust | None, neighbours: list[Neighbour]) -> list[str]:
    """Render our key, and how many others are known."""
    if trust is None:
        return [tr("Keys: none, so all links are unsecured.")]
    encrypted = sum(neighbour.is_encrypted for neighbour in neighbours)
    links = tr("Links: {encrypted} encrypted, {unsecured} unsecured.")
    others = tr("Keys of others: {known} known; {blocked} peers blocked.")
    return [
        tr("Your key: {key}.").format(key=fingerprint(trust.identity.key)),
        f"{links} {others}".format(
            encrypted=encrypted,
            unsecured=len(neighbours) - encrypted,
            known=len(trust.pins),
            blocked=len(trust.blocked),
        ),
    ]


def courier(sizes: dict[str, int]) -> str:
    """Render what we keep for others.

    :param sizes: what `Courier.sizes` tells.
    """
    kept = sizes["courier_messages"]
    told = ntr(
        "As a courier you keep {n} message ({size}) for peers that are away ({peers}); handed over: {done}.",
        "As a courier you keep {n} messages ({size}) for peers that are away ({peers}); handed over: {done}.",
        kept,
    )
    peers, done = sizes["courier_recipients"], sizes["courier_handed_over"]
    return told.format(n=kept, size=size(sizes["courier_bytes"]), peers=peers, done=done)


def notice(event: events.Event) -> str | None:
    """Render an event that is not about a message; None where the user need not know."""
    match event:
        case events.NeighbourUp(peer_id=peer_id, address=address, dialled=dialled, is_encrypted=encrypted):
            told = (
                tr("{peer} is linked (to {address})") if dialled else tr("{peer} is linked (from {address})")
            )
            lacks = "" if encrypted else tr(", unsecured")
            return told.format(peer=visible_name(peer_id), address=address) + lacks
        case events.NeighbourDown(peer_id=peer_id, why=why):
            told = tr("{peer} is no longer linked: {why}")
            return told.format(peer=visible_name(peer_id), why=visible(translated(why)))
        case events.PeerComplained():
            return _complaint(event)
        case events.AddressFailed(address=address, why=why):
            told = tr("no link with {address}: {why}. Trying again until there is one.")
            return told.format(address=address, why=visible(why))
        case events.RosterChanged():
            return _roster(event)
        case events.NameTaken(peer_id=peer_id, address=address):
            return tr(
                "{peer} is also registered at {address}: another peer has your name, or it is an old entry"
            ).format(peer=visible_name(peer_id), address=address)
        case events.KeyRefused():
            return _other_key(event)
        case events.KeyMissing(peer_id=peer_id):
            return tr(
                "somebody came as {peer} without encryption, which {peer} had before, and was refused: it "
                "may use another program now, or somebody pretends to be it. If you know why: /trust {peer}"
            ).format(peer=visible_name(peer_id))
        case events.PeersNotKept(why=why):
            return tr("what is learned of peers is kept until you leave only: {why}").format(why=visible(why))
        case events.StoreTold(what=what):
            return visible(what)
        case events.Warned(peer_id=peer_id, text=text):
            return tr("warning about {peer}: {text}").format(peer=visible_name(peer_id), text=visible(text))
        case events.LineTraced(peer_id=peer_id, line=line):
            return f"<- {visible_name(peer_id)} {visible(line.decode(errors='backslashreplace'))}"
        case _:
            return _rendezvous(event)


def _rendezvous(event: events.Event) -> str | None:
    match event:
        case events.RendezvousFound(address=address, hosted=hosted):
            told = tr("registered at the rendezvous {address}").format(address=address)
            return told + (tr(", which this peer hosts") if hosted else "")
        case events.RendezvousLost(address=address, why=why):
            told = tr(
                "the rendezvous {address} does not work: {why}. Links stay; trying again until it does."
            )
            return told.format(address=address, why=visible(why))
        case events.RendezvousHosted(address=address):
            return tr("no rendezvous answered at {address}, so this peer hosts one").format(address=address)
        case _:
            return None


def _other_key(event: events.KeyRefused) -> str:
    return tr(
        "somebody came as {peer} with another key than {peer} had before, and was refused: {peer} may have "
        "been set up anew without its old key, or somebody pretends to be {peer}. Ask {peer} another way "
        "what /status says there. If it is {key} (before: {known}): /trust {peer}"
    ).format(peer=visible_name(event.peer_id), key=event.key, known=event.known)


def _complaint(event: events.PeerComplained) -> str:
    meaning = visible(event.detail) or translated(MEANINGS.get(event.code, NO_DETAIL))
    code = visible_name(event.code) or tr("error")
    told = tr("{peer} reports an error: {code}: {meaning}")
    return told.format(peer=visible_name(event.peer_id), code=code, meaning=meaning)


def _roster(event: events.RosterChanged) -> str | None:
    parts = [
        what.format(peers=names(changed))
        for changed, what in (
            (event.came, tr("{peers} came")),
            (event.left, tr("{peers} left the rendezvous")),
            (event.moved, tr("{peers} has a new address")),
        )
        if changed
    ]
    return "; ".join(parts) or None


def names(peer_ids: Iterable[PeerId]) -> str:
    """Render some names, and how many more there are."""
    listed = [visible_name(peer_id) for peer_id in peer_ids]
    more = len(listed) - _MAX_NAMES
    shown = ", ".join(listed[:_MAX_NAMES])
    return tr("{names} and {n} more").format(names=shown, n=more) if more > 0 else shown


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Render rows in columns; the first row is the heading."""
    from wcwidth import ljust, wcswidth  # only here, since its tables take long to load

    widths = [max(map(wcswidth, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(ljust(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def how(neighbour: Neighbour, is_verified: bool) -> str:
    """Render how a peer is linked."""
    marks = {
        tr("plain"): neighbour.plain,
        tr("unsecured"): not neighbour.is_encrypted,
        tr("verified"): is_verified,
    }
    return ", ".join([tr("linked directly"), *(mark for mark, holds in marks.items() if holds)])


def not_linked(diallers: list[Dialler], now_s: float) -> str:
    """Render why a peer is not linked, and when it is tried again."""
    if not diallers:
        return tr("not linked; its address is not known")
    dialler = diallers[0]
    if dialler.held:
        return tr("not linked; not dialled: {why}").format(why=visible(translated(dialler.held)))
    told = tr("not linked; dialling now")
    if dialler.next_try_at_s is not None:
        seconds = round(max(0.0, dialler.next_try_at_s - now_s))
        told = tr("not linked; next try in {seconds} s").format(seconds=seconds)
    why = visible(translated(dialler.last_failure))
    return told + (tr("; last try: {why}").format(why=why) if why else "")


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
        tr("yes") if listed else tr("no"),
        state,
        milliseconds(rtt_s),
        stands,
    )


def link_row(link: Link, now_s: float) -> tuple[str, ...]:
    """Render one link as a row of `/routes`."""
    return (
        visible_name(link.peer_id),
        str(link.address),
        tr("dialled") if link.dialled else tr("accepted"),
        milliseconds(link.rtt_s),
        str(link.outgoing.waiting),
        str(link.received),
        str(link.sent),
        age(link, now_s),
        tr("plain") if link.plain else "",
    )


def quality(route: Route) -> str:
    """Render how a route has done."""
    tried = route.confirmed + route.unconfirmed
    told = tr("{n} of {tried} confirmed") if tried else tr("not tried yet")
    return told.format(n=route.confirmed, tried=tried)


def way(route: Route, now_s: float) -> str:
    """Render one way to a peer."""
    parts = [
        tr("directly") if route.is_direct else tr("through {relay}").format(relay=visible_name(route.hop))
    ]
    if not route.is_direct:
        hops = route.hops
        counted = tr("hops not counted") if hops is None else ntr("{n} hop", "{n} hops", hops).format(n=hops)
        parts.append(counted)
    if route.rtt_s is not None:
        parts.append(f"rtt {milliseconds(route.rtt_s)}")
    parts.append(quality(route))
    if route.confirmed_at_s is not None:
        parts.append(tr("last {duration} ago").format(duration=duration(now_s - route.confirmed_at_s)))
    return ", ".join(parts)


def no_way(dials: bool, asks: bool) -> str:
    """Render that no way to a peer is known, and what a message would do about it.

    :param dials: its address is known.
    :param asks: a neighbour is linked that can be asked.
    """
    if asks and dials:
        return tr("none is known; a message would dial it and ask the neighbours for one")
    if asks:
        return tr("none is known; a message would ask the neighbours for one")
    if dials:
        return tr("none is known; a message would dial it; nobody is linked who could be asked for one")
    return tr("none is known, and nobody is linked who could be asked for one")


def route_row(route: Route, now_s: float) -> tuple[str, ...]:
    """Render one route as a row of `/routes`."""
    at_s = route.confirmed_at_s
    return (
        visible_name(route.dst),
        visible_name(route.hop),
        str(route.hops or "-"),
        milliseconds(route.rtt_s),
        quality(route),
        "-" if at_s is None else tr("{duration} ago").format(duration=duration(now_s - at_s)),
        duration(now_s - route.learned_at_s),
        # It may be over already: the routes are swept now and then.
        duration(max(0.0, route.touched_at_s + EXPIRY_S - now_s)),
    )


def seen_by(name: str, metrics: Metrics) -> str:
    """Render how a peer sees our link."""
    told = tr("{peer} sees: rtt {rtt}, {sent} lines sent to us, {received} received from us, last at {last}")
    rtt = tr("not measured") if metrics.rtt_ms is None else f"{metrics.rtt_ms} ms"
    last = visible(metrics.last_seen or tr("never"))
    return told.format(peer=name, rtt=rtt, sent=metrics.sent_count, received=metrics.recv_count, last=last)


def linked(neighbours: int, known: int, relayed: int) -> str:
    """Render how many peers are linked, and how many more can be reached."""
    if not relayed:
        return tr("Linked: {n} of {known} known peers.").format(n=neighbours, known=known)
    told = ntr(
        "Linked: {linked} of {known} known peers; {n} more is reached through others.",
        "Linked: {linked} of {known} known peers; {n} more are reached through others.",
        relayed,
    )
    return told.format(linked=neighbours, known=known, n=relayed)


ROUTE_HEADING = (
    tr("destination"),
    tr("next hop"),
    tr("hops"),
    "rtt",
    tr("quality"),
    tr("last confirmed"),
    tr("age"),
    tr("expires in"),
)

LINK_HEADING = (
    tr("neighbour"),
    tr("address"),
    tr("way"),
    "rtt",
    tr("queue"),
    tr("in"),
    tr("out"),
    tr("age"),
    "",
)

PEER_HEADING = (tr("peer"), tr("address"), tr("registered"), tr("state"), "rtt", tr("age"))
