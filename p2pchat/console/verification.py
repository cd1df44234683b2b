"""Commands about the keys of peers, and what two people compare to know that nobody is between them."""

from __future__ import annotations

import io
from functools import singledispatch

import segno

from p2pchat.console import commands
from p2pchat.console.visible import visible, visible_name
from p2pchat.language import tr
from p2pchat.node import Node
from p2pchat.protocol.names import PeerId


@singledispatch
def carry_out(command: commands.AboutKeys, node: Node) -> list[str]:
    """Carry out a command about a key; return what to show.

    :raises NothingToTrust: it cannot be done; the text says why.
    """
    raise TypeError(f"no such command: {command!r}")


@carry_out.register
def _(command: commands.Verify, node: Node) -> list[str]:
    name = visible_name(command.peer_id)
    if command.is_same:
        node.gate.keys.verify(command.peer_id)
        return [tr("{peer} is verified: its key is the one that you compared.").format(peer=name)]
    return _number(name, node.gate.keys.number_with(command.peer_id), node.gate.is_verified(command.peer_id))


@carry_out.register
def _(command: commands.Trust, node: Node) -> list[str]:
    name = visible_name(command.peer_id)
    done = visible(node.gate.take_other_key(command.peer_id))
    told = tr("{done}. Dialling it. /verify {peer} shows whether it really is {peer}.")
    return [told.format(done=done, peer=name)]


@carry_out.register
def _(command: commands.Block, node: Node) -> list[str]:
    name = visible_name(command.peer_id)
    node.gate.block(command.peer_id)
    told = tr(
        "{peer} is blocked: no link with it, and nothing that it says is shown. /unblock {peer} ends that."
    )
    return [told.format(peer=name)]


@carry_out.register
def _(command: commands.Unblock, node: Node) -> list[str]:
    name = visible_name(command.peer_id)
    was_blocked = node.gate.unblock(command.peer_id)
    told = tr("{peer} is not blocked any more.") if was_blocked else tr("{peer} was not blocked.")
    return [told.format(peer=name)]


def _number(name: str, number: str, is_verified: bool) -> list[str]:
    """Render a safety number, as digits and as a QR code of the same digits."""
    groups = number.split(" ")
    half = len(groups) // 2
    state = (
        tr("{peer} is verified already.") if is_verified else tr("If they are the same: /verify {peer} yes")
    )
    return [
        tr("Safety number of you and {peer}:").format(peer=name),
        f"    {' '.join(groups[:half])}",
        f"    {' '.join(groups[half:])}",
        *_qr_code(number.replace(" ", "")),
        tr(
            "{peer} sees the same with /verify and your name. Compare them where nobody can pretend to be"
        ).format(peer=name),
        tr("the other: face to face, or by telephone. {state}").format(state=state.format(peer=name)),
    ]


def _qr_code(digits: str) -> list[str]:
    """Render a QR code, two rows of it in a line of text."""
    out = io.StringIO()
    segno.make(digits, error="L", micro=False).terminal(out, border=2, compact=True)
    return out.getvalue().rstrip("\n").split("\n")


def key_of(node: Node, peer_id: PeerId) -> str:
    """Render what is known of the key of a peer."""
    if node.gate.trust is None:
        return tr("this peer looks at no keys")
    if peer_id in node.gate.trust.blocked:
        return tr("blocked by you")
    known = node.gate.trust.fingerprint_of(peer_id)
    if not known:
        return tr("not known")
    told = tr("{key}, verified") if node.gate.is_verified(peer_id) else tr("{key}, not verified")
    return told.format(key=known)
