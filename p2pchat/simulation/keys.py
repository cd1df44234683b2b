"""Keys of simulated peers, and TLS without its work: on a simulated wire nobody reads along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import attrs
from twisted.internet.interfaces import ITransport

from p2pchat.protocol.names import PeerId
from p2pchat.simulation.encrypted import TlsTransport
from p2pchat.trust.identity import Identity, Secrets
from p2pchat.trust.keys import Keys
from p2pchat.trust.pins import Pins
from p2pchat.trust.trust import Rules

#: The time of day at the beginning, in ms since 1970.
MORNING_MS = 1_767_258_000_000


class SimulatedTls:
    """TLS of one peer: `links.surroundings.LinkTls`. Each end tells the other its key, and that is all."""

    def __init__(self, identity: Identity) -> None:
        self.card: dict[str, Any] = identity.card.as_fields()
        self._key = identity.key

    def start(self, transport: ITransport) -> None:
        """Show our key; the acceptor begins, so that the dialler finds its key there."""
        end = cast(TlsTransport, transport)
        other = cast("TlsTransport | None", end.other)
        end.shown_key = self._key
        if other is not None and other.shown_key is not None:
            end.seen_key, other.seen_key = other.shown_key, self._key

    def key_of(self, transport: ITransport) -> bytes:
        """Return the key that the other end has shown."""
        return cast(TlsTransport, transport).seen_key


@attrs.define
class Locker:
    """What a simulated peer keeps through all runs of its program: its keys, and what it knows of others.

    :param random_bytes: so many; the same in every run with the same seed.
    """

    identity: Identity
    _random_bytes: Callable[[int], bytes]
    _pins: Pins = attrs.Factory(Pins)

    @classmethod
    def new(cls, own: PeerId, random_bytes: Callable[[int], bytes]) -> Locker:
        """Make the keys of a peer."""
        return cls(Identity(own, Secrets.new(random_bytes)), random_bytes)

    def open(self, seconds: Callable[[], float]) -> Keys:
        """Return what one run of its program is given.

        :param seconds: the clock of its machine.
        """
        return Keys(
            self.identity,
            self._pins,
            SimulatedTls(self.identity),
            now_ms=lambda: MORNING_MS + round(seconds() * 1000),
            random_bytes=self._random_bytes,
            rules=Rules(),
        )
