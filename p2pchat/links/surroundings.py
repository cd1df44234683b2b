"""What a link needs of the house around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import attrs
from twisted.internet.interfaces import IReactorTime

from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.messages import Message
from p2pchat.protocol.names import PeerId

if TYPE_CHECKING:
    from p2pchat.links.link import Link


class LinkOwner(Protocol):
    """What a link tells, and asks, whoever created it."""

    def admit(self, link: Link, peer_id: PeerId) -> ProtocolError | None:
        """Say why no link with the peer that greeted is wanted, or None."""

    def link_up(self, link: Link) -> None:
        """The handshake is done."""

    def link_down(self, link: Link, why: str) -> None:
        """A link that was up takes no more messages; some may still arrive."""

    def link_gone(self, link: Link, why: str) -> None:
        """The connection has ended, whether the link was ever up or not."""

    def message_received(self, link: Link, message: Message) -> None:
        """A message that is not about the link itself arrived."""

    def line_traced(self, link: Link, line: bytes) -> None:
        """A line arrived while `Surroundings.tracing` is on."""


@attrs.define
class Surroundings:
    """What all links of a node share. The switchboard owns it.

    :param own: who we are.
    :param new_id: makes a msg_id.
    :param timestamp: the time of day as ``YYYY-MM-DDTHH:MM:SSZ``.
    """

    own: PeerId
    owner: LinkOwner
    clock: IReactorTime
    new_id: Callable[[], str]
    timestamp: Callable[[], str]
    tracing: bool = False
    #: Unexpected exceptions while a line was handled; each ended its link.
    broken: int = 0
