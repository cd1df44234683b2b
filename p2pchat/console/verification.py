"""Commands about the keys of peers, and what two people compare to know that nobody is between them."""

from __future__ import annotations

import io
from functools import singledispatch

import segno

from p2pchat.console import commands
from p2pchat.console.visible import visible, visible_name
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
        return [f"{name} is verified: its key is the one that you compared."]
    return _number(name, node.gate.keys.number_with(command.peer_id), node.gate.is_verified(command.peer_id))


@carry_out.register
def _(command: commands.Trust, node: Node) -> list[str]:
    name = visible_name(command.peer_id)
    done = visible(node.gate.take_other_key(command.peer_id))
    return [f"{done}. Dialling it. /verify {name} shows whether it really is {name}."]


@carry_out.register
def _(command: commands.Block, node: Node) -> list[str]:
    name = visible_name(command.peer_id)
    node.gate.block(command.peer_id)
    return [
        f"{name} is blocked: no link with it, and nothing that it says is shown. /unblock {name} ends that."
    ]


@carry_out.register
def _(command: commands.Unblock, node: Node) -> list[str]:
    name = visible_name(command.peer_id)
    return [
        f"{name} is not blocked any more."
        if node.gate.unblock(command.peer_id)
        else f"{name} was not blocked."
    ]


def _number(name: str, number: str, is_verified: bool) -> list[str]:
    """Render a safety number, as digits and as a QR code of the same digits."""
    groups = number.split(" ")
    half = len(groups) // 2
    state = f"{name} is verified already." if is_verified else f"If they are the same: /verify {name} yes"
    return [
        f"Safety number of you and {name}:",
        f"    {' '.join(groups[:half])}",
        f"    {' '.join(groups[half:])}",
        *_qr_code(number.replace(" ", "")),
        f"{name} sees the same with /verify and your name. Compare them where nobody can pretend to be",
        f"the other: face to face, or by telephone. {state}",
    ]


def _qr_code(digits: str) -> list[str]:
    """Render a QR code, two rows of it in a line of text."""
    out = io.StringIO()
    segno.make(digits, error="L", micro=False).terminal(out, border=2, compact=True)
    return out.getvalue().rstrip("\n").split("\n")


def key_of(node: Node, peer_id: PeerId) -> str:
    """Render what is known of the key of a peer."""
    if node.gate.trust is None:
        return "this peer looks at no keys"
    if peer_id in node.gate.trust.blocked:
        return "blocked by you"
    known = node.gate.trust.fingerprint_of(peer_id)
    if not known:
        return "not known"
    return f"{known}, {'verified' if node.gate.is_verified(peer_id) else 'not verified'}"
