"""Accepts connections (docs/protocol.md, section 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import ServerFactory

from p2pchat.addresses import Address, Reactor, listen_tcp, of_transport
from p2pchat.links.link import Link

#: Where peers listen unless told otherwise (section 6 of the specification has examples with it).
DEFAULT_PORT = 7070

#: Connections whose HELLO has not come; beyond, the one that has waited longest is closed, so
#: that those who connect and say nothing cannot keep others out.
MAX_STRANGERS = 128


class Listener:
    """The port of a node. The switchboard creates, starts and stops it.

    :param port: where to listen; None: 7070, or a free one where that is taken; 0: a free one.
    :param interface: the address to listen on; empty for all of IPv4.
    :param new_link: makes the link of a connection that comes in from an address, or None to refuse it.
    """

    def __init__(
        self, reactor: Reactor, port: int | None, interface: str, new_link: Callable[[Address], Link | None]
    ) -> None:
        self._reactor = reactor
        self._wanted_port = port
        self._interface = interface
        self._new_link = new_link
        self._listening: IListeningPort | None = None
        #: Links whose handshake is not done, oldest first.
        self._strangers: dict[Link, None] = {}

    @property
    def port(self) -> int:
        """The TCP port that we listen on; 0 while we do not."""
        return 0 if self._listening is None else of_transport(self._listening.getHost()).port

    @property
    def strangers(self) -> int:
        """Connections whose HELLO has not come."""
        return len(self._strangers)

    def start(self) -> None:
        """Listen.

        :raises CannotListenError: the port that was asked for is taken.
        """
        factory = LinkFactory(self._accepted)
        port = DEFAULT_PORT if self._wanted_port is None else self._wanted_port
        try:
            self._listening = listen_tcp(self._reactor, port, factory, interface=self._interface)
        except CannotListenError:
            if self._wanted_port is not None:
                raise
            self._listening = listen_tcp(self._reactor, 0, factory, interface=self._interface)

    def stop(self) -> Deferred[None]:
        """Listen no more; fires when the port is free."""
        listening, self._listening = self._listening, None
        stopped: Deferred[None] | None = None if listening is None else listening.stopListening()
        return succeed(None) if stopped is None else stopped.addErrback(lambda _: None)

    def known(self, link: Link) -> None:
        """A link is no stranger any more: it is up, or gone."""
        self._strangers.pop(link, None)

    def _accepted(self, address: IAddress) -> Link | None:
        link = self._new_link(of_transport(address))
        if link is None:
            return None
        self._strangers[link] = None
        if len(self._strangers) > MAX_STRANGERS:
            oldest = next(iter(self._strangers))
            # At once: many may be accepted before the first of those that are cut is gone.
            del self._strangers[oldest]
            oldest.abort()
        return link


class LinkFactory(ServerFactory):
    """Makes the protocol of one connection, accepted or dialled."""

    noisy = False

    def __init__(self, make: Callable[[IAddress], Link | None]) -> None:
        self._make = make

    def buildProtocol(self, addr: IAddress | None) -> Link | None:
        """Make a link, or None to close the connection."""
        return self._make(cast(IAddress, addr))
