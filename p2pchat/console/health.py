"""Whether all is well with a node, and if not why and what to do, in words."""

from __future__ import annotations

from statistics import median_high, median_low

from p2pchat.addresses import is_loopback, is_of_this_machine
from p2pchat.console import rendering
from p2pchat.console.amounts import duration
from p2pchat.console.visible import visible, visible_name
from p2pchat.language import tr
from p2pchat.links.greeting import RELAY
from p2pchat.node import Node
from p2pchat.protocol.names import PeerId

#: Seconds by which clocks may differ: more than any that is set by the network, less than people overlook.
CLOCK_S = 120.0

#: Seconds after the start when what is not there yet is no trouble.
STARTING_S = 30.0


def verdict(node: Node) -> list[str]:
    """Return what the user should know, a line each."""
    found = troubles(node)
    if found:
        return [tr("Trouble: {trouble}").format(trouble=trouble) for trouble in found]
    if node.registration is not None and not node.registration.registered:
        return [tr("Just started: not registered at the rendezvous yet.")]
    if not node.known():
        return [tr("All is well, but nobody else is known yet.")]
    return [tr("All is well.")]


def troubles(node: Node) -> list[str]:
    """Return what is wrong, and what to do about it, the cause before what comes of it; empty: nothing."""
    found = [_rendezvous(node)]
    if node.uptime_s >= STARTING_S:
        found += [_links(node) or _relays(node), _port(node), _clock(node)]
    return [trouble for trouble in found if trouble]


def _rendezvous(node: Node) -> str:
    registration = node.registration
    if registration is None or not registration.trouble:
        return ""
    return tr(
        "the rendezvous {address} does not work: {why}. Links stay, but new peers are not found. It is asked "
        "again until it works; see whether your network does, and whether --rendezvous is right. "
        "--peer HOST:PORT links without it."
    ).format(address=registration.address, why=visible(registration.trouble))


def _links(node: Node) -> str:
    """Return what to say where nobody is linked who could be."""
    wanted = _wanted(node)
    if node.neighbours or not wanted:
        return ""
    first = wanted[0]
    why = rendering.not_linked(node.switchboard.diallers_of(first), node.now_s)
    return tr(
        "none of {n} known peers is linked, so nothing reaches anybody. {peer}: {why}. If your network "
        "works, a firewall or router may be in between, here or there: a link needs one side that can be "
        "dialled."
    ).format(n=len(wanted), peer=visible_name(first), why=why)


def _relays(node: Node) -> str:
    """Return what to say where nobody can pass anything on to those who are not linked."""
    relayed = node.relayed()
    far = [peer_id for peer_id in _wanted(node) if peer_id not in relayed]
    if not far or any(RELAY in near.features for near in node.neighbours.values()):
        return ""
    return tr(
        "{peers} cannot be reached: not linked, and no neighbour relays. A peer in between helps that both "
        "of you can dial and that runs p2pchat."
    ).format(peers=rendering.names(far))


def _port(node: Node) -> str:
    """Return what to say where it seems that nobody can dial us.

    Who comes to the rendezvous after us reads our address there, and dials it at once, while we learn of it
    only when we look again. So where we had to dial such a peer, it did not reach us. That may happen to one,
    if we looked just then; not where a router stands before us, whose address is what the rendezvous sees.
    """
    # Of a roster that is too large nobody dials all.
    if node.switchboard.visitors or len(node.roster) > node.switchboard.max_dialled:
        return ""
    unreached = [
        peer_id
        for peer_id, near in sorted(node.neighbours.items())
        if peer_id in node.newcomers
        and near.link.dialled
        and not near.plain
        and not is_loopback(near.link.address)
    ]
    registered = node.registration.registered if node.registration is not None else None
    observed = registered.observed_ip if registered else ""
    is_behind = bool(observed) and not is_of_this_machine(observed)
    if len(unreached) < (1 if is_behind else 2):
        return ""
    why = tr("your router") if is_behind else tr("a firewall")
    return tr(
        "port {port} of this machine seems not to be reached from outside: {peers} came after you and did "
        "not dial you, and nobody else ever did. Perhaps {obstacle} is in the way: let it pass TCP port "
        "{port} on to this machine; where it is another port outside, name that with --advertise-port. Links "
        "that you dial work, and others are reached through them."
    ).format(port=node.switchboard.port, peers=rendering.names(unreached), obstacle=why)


def _clock(node: Node) -> str:
    """Return what to say where our clock is not that of our neighbours.

    Several must agree, more than half of them, so that one that lies changes nothing.
    """
    known = {peer_id: near.ahead_s for peer_id, near in node.neighbours.items() if near.ahead_s is not None}
    if not known:
        return ""
    offsets = sorted(known.values())
    # Of two in the middle that which is nearer to us.
    ahead_s = min(median_low(offsets), median_high(offsets), key=abs)
    if abs(ahead_s) <= CLOCK_S:
        return ""
    amount = duration(abs(ahead_s))
    if len(known) < 3:
        told = (
            tr("the clock of {peers} is {amount} ahead of yours; one of them is wrong.")
            if ahead_s > 0
            else tr("the clock of {peers} is {amount} behind yours; one of them is wrong.")
        ).format(peers=rendering.names(sorted(known)), amount=amount)
    else:
        told = (
            tr("your clock is {amount} behind those of most neighbours.")
            if ahead_s > 0
            else tr("your clock is {amount} ahead of those of most neighbours.")
        ).format(amount=amount)
    advice = tr(
        "Times are shown wrong, and where it is more than a day messages are refused. Set it: timedatectl "
        "set-ntp true"
    )
    return f"{told} {advice}"


def _wanted(node: Node) -> list[PeerId]:
    """Return those who are known and not linked, without those who are left alone for a reason."""
    far = sorted(node.known() - node.neighbours.keys())
    return [
        peer_id
        for peer_id in far
        if not any(dialler.held for dialler in node.switchboard.diallers_of(peer_id))
    ]
