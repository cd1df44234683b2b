"""What a link needs of the house around it."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IReactorTime

from p2pchat.links.batch import Batch
from p2pchat.protocol.names import PeerId


@attrs.define
class Surroundings:
    """What all links of a node share. The switchboard owns it.

    :param own: who we are.
    :param new_id: makes a msg_id.
    :param timestamp: the time of day as ``YYYY-MM-DDTHH:MM:SSZ``.
    """

    own: PeerId
    clock: IReactorTime
    new_id: Callable[[], str]
    timestamp: Callable[[], str]
    tracing: bool = False
    #: Unexpected exceptions while a line was handled; each ended its link.
    broken: int = 0
    batch: Batch = attrs.Factory(Batch)
