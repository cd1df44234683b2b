"""What a line that is being typed could go on with."""

from __future__ import annotations

from collections.abc import Collection

import attrs

from p2pchat.console import commands
from p2pchat.protocol.names import PeerId

#: Commands whose first word behind them is a peer.
_ABOUT_PEERS = (
    "connect",
    "disconnect",
    "who",
    "verify",
    "trust",
    "block",
    "unblock",
    "ping",
    "metrics",
    "cancel",
    "history",
)


@attrs.frozen
class Known:
    """Whom a user may name.

    :param own: who we are.
    :param peers: the others.
    """

    own: PeerId
    peers: Collection[PeerId]

    def names(self) -> list[str]:
        """Return the peers as they are written here; those of another namespace with it.

        Others may have names that nobody can type; those are left out.
        """
        return [
            peer_id.name if peer_id.namespace == self.own.namespace else str(peer_id)
            for peer_id in sorted(self.peers)
            if peer_id.isprintable() and " " not in peer_id
        ]

    def namespaces(self) -> list[str]:
        """Return the namespaces, our own first, and what stands for all of them."""
        typed = (peer_id for peer_id in self.peers if peer_id.isprintable() and " " not in peer_id)
        others = {peer_id.namespace for peer_id in typed} - {self.own.namespace}
        return [f"#{namespace}" for namespace in (self.own.namespace, *sorted(others))] + ["*"]


def complete(line: str, known: Known) -> list[str]:
    """Return the words that the last word of a line could be, as far as it is typed.

    Within a text those are peers, where the word begins with ``@``.
    """
    *before, word = line.split(" ")
    before = [one for one in before if one]
    return [candidate for candidate in _candidates(before, word, known) if candidate.startswith(word)]


def _candidates(before: list[str], word: str, known: Known) -> list[str]:
    if not before and word.startswith("/"):
        return [f"/{name}" for name in commands.NAMES]
    match before:
        case ["/msg"]:
            return [f"@{name}" for name in known.names()] + known.namespaces()
        case ["/peers"]:
            return known.namespaces()
        case ["/log"]:
            return [*commands.LOG_LEVELS]
        case ["/help"]:
            return [*commands.NAMES]
        case ["/verify", _]:
            return ["yes"]
        case [command] if command.startswith("/"):
            return known.names() if command[1:] in _ABOUT_PEERS else []
        case [command, *_] if command.startswith("/") and command != "/msg":
            return []
    return [f"@{name}" for name in known.names()] if word.startswith("@") else []
