"""What a link needs of the house around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import attrs
from twisted.internet.interfaces import IReactorTime, ITransport

from p2pchat.links.batch import Batch
from p2pchat.protocol.messages import FEATURES
from p2pchat.protocol.names import PeerId


class LinkTls(Protocol):
    """TLS on links, with certificates that prove who has which key. `p2pchat.trust.certificates` has it."""

    @property
    def card(self) -> dict[str, Any]:
        """What we show of ourselves inside of it."""

    def start(self, transport: ITransport) -> None:
        """Let all that follows on a transport be encrypted."""

    def key_of(self, transport: ITransport) -> bytes:
        """Return the key that the other end has proved to have; only once something came through."""


@attrs.define
class Surroundings:
    """What all links of a node share. The switchboard owns it.

    :param own: who we are.
    :param new_id: makes a msg_id.
    :param timestamp: the time of day as ``YYYY-MM-DDTHH:MM:SSZ``.
    :param tls: encrypts links with those who can; None: all links are plain TCP.
    :param features: what we offer, without TLS.
    """

    own: PeerId
    clock: IReactorTime
    new_id: Callable[[], str]
    timestamp: Callable[[], str]
    tls: LinkTls | None = None
    features: tuple[str, ...] = FEATURES
    tracing: bool = False
    #: Unexpected exceptions while a line was handled; each ended its link.
    broken: int = 0
    batch: Batch = attrs.Factory(Batch)
