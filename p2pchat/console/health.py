"""Whether all is well with a node, and if not why and what to do, in words."""

from __future__ import annotations

from p2pchat.console import rendering
from p2pchat.console.visible import visible, visible_name
from p2pchat.language import tr
from p2pchat.links.greeting import RELAY
from p2pchat.node import Node
from p2pchat.protocol.names import PeerId

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
        found.append(_links(node) or _relays(node))
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


def _wanted(node: Node) -> list[PeerId]:
    """Return those who are known and not linked, without those who are left alone for a reason."""
    far = sorted(node.known() - node.neighbours.keys())
    return [
        peer_id
        for peer_id in far
        if not any(dialler.held for dialler in node.switchboard.diallers_of(peer_id))
    ]
