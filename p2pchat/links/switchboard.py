"""Accepts, dials, reconnects, and keeps one link per peer (docs/protocol.md, sections 3 and 9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from p2pchat.addresses import Address, Reactor, client_endpoint, is_loopback
from p2pchat.backoff import Backoff
from p2pchat.language import mark, tr
from p2pchat.links.dialler import FIRST_WAIT_S, LONGEST_WAIT_S, Dialler
from p2pchat.links.link import Link
from p2pchat.links.listener import LinkFactory, Listener
from p2pchat.links.neighbour import Neighbour
from p2pchat.links.surroundings import LinkTls, Surroundings
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import FEATURES, Message
from p2pchat.protocol.names import PeerId

#: Links that are up at once: half of the 1024 files that a process usually may open.
MAX_LINKS = 512

#: Addresses that we dial by ourselves; a larger roster is dialled in part.
MAX_DIALLERS = 400

#: How often the keep-alives are looked after, in seconds.
TICK_S = 1.0


class Board(Protocol):
    """What the switchboard tells whoever created it: the node."""

    def admit(self, link: Link) -> ProtocolError | None:
        """Say why no link with the peer that greeted is wanted, or None."""

    def neighbour_up(self, neighbour: Neighbour) -> None:
        """The first link with a peer stands."""

    def neighbour_down(self, neighbour: Neighbour, why: str) -> None:
        """The last link with a peer has ended."""

    def link_lost(self, neighbour: Neighbour, why: str) -> None:
        """The link that was sent on has ended, but the peer has others."""

    def message_received(self, neighbour: Neighbour, message: Message, line: bytes) -> None:
        """A neighbour sent something that is not about the link itself, as *line*."""

    def line_traced(self, peer_id: PeerId, line: bytes) -> None:
        """A line arrived while tracing is on."""


class Switchboard(Service):
    """All links of a node. The node creates, starts and stops it.

    :param port: where to listen; None: 7070, or a free one where that is taken; 0: a free one.
    :param interface: the address to listen on; empty for all of IPv4.
    :param tls: encrypts links with those who can; None: all are plain TCP.
    :param features: what we offer, without TLS.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        own: PeerId,
        board: Board,
        *,
        new_id: Callable[[], str],
        timestamp: Callable[[], str],
        random: Callable[[], float],
        port: int | None = None,
        interface: str = "",
        tls: LinkTls | None = None,
        features: tuple[str, ...] = FEATURES,
    ) -> None:
        self.neighbours: dict[PeerId, Neighbour] = {}
        #: Connections that were refused or closed before they were links.
        self.turned_away = 0
        #: Connections that came in from other machines.
        self.visitors = 0
        #: Entries of the roster that are not dialled, for want of room.
        self.not_dialled = 0
        #: Addresses of the roster that we dial by ourselves; may be changed before the start.
        self.max_dialled = MAX_DIALLERS
        self.around = Surroundings(own, reactor, new_id, timestamp, tls, features)
        self._reactor = reactor
        self._board = board
        self._random = random
        self._listener = Listener(reactor, port, interface, self._accepted)
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = reactor
        self._links: dict[Link, None] = {}
        self._fixed: dict[Address, Dialler] = {}
        self._listed: dict[PeerId, Dialler] = {}
        #: Peers that the user hung up on, and why; as many as the user types.
        self._unwanted: dict[PeerId, str] = {}
        self._all_gone: Deferred[None] | None = None

    @property
    def port(self) -> int:
        """The TCP port that we listen on; 0 while we do not."""
        return self._listener.port

    @property
    def link_count(self) -> int:
        """Connections, up or not."""
        return len(self._links)

    @property
    def diallers(self) -> list[Dialler]:
        """All addresses that we dial."""
        return [*self._fixed.values(), *self._listed.values()]

    def sizes(self) -> dict[str, int]:
        """Tell how much is held, and what was turned away, by name."""
        links = [link for neighbour in self.neighbours.values() for link in neighbour.links]
        return {
            "neighbours": len(self.neighbours),
            "connections": self.link_count,
            "connections_without_hello": self._listener.strangers,
            "connections_from_other_machines": self.visitors,
            "connections_turned_away": self.turned_away,
            "bad_lines_of_neighbours": sum(link.bad_lines for link in links),
            "lines_refused_queue_full": sum(link.outgoing.refused for link in links),
            "lines_waiting": sum(link.outgoing.waiting for link in links),
            "lines_not_taken_yet": sum(link.intake.waiting for link in links),
            "addresses_dialled": len(self.diallers),
            "roster_not_dialled": self.not_dialled,
            "unexpected_errors": self.around.broken,
        }

    # The service.

    def startService(self) -> None:
        """Listen, and begin to dial.

        :raises CannotListenError: the port that was asked for is taken.
        """
        self._listener.start()
        super().startService()
        self._ticking.start(TICK_S, now=False)
        for dialler in self.diallers:
            dialler.dial()

    def stopService(self) -> Deferred[None]:
        """Say BYE on every link; fires when all have ended, 2 s from now at the latest."""
        super().stopService()
        if self._ticking.running:
            self._ticking.stop()
        for dialler in self.diallers:
            dialler.stop(tr("we are leaving"))
        for link in list(self._links):
            link.leave(mark("leaving"))
        self._all_gone = Deferred()
        waiting = [self._all_gone, self._listener.stop()]
        self._check_all_gone()
        return DeferredList(waiting).addCallback(lambda _: None)

    # Dialling.

    def add_fixed(self, address: Address) -> Dialler:
        """Dial *address* from now on, whoever is there."""
        dialler = self._fixed.get(address)
        if dialler is None:
            dialler = self._fixed[address] = self._new_dialler(address, None)
            if self.running:
                dialler.dial()
        return dialler

    def set_roster(self, addresses: Mapping[PeerId, Address]) -> None:
        """Dial everyone in the roster, and no longer whoever left it."""
        for peer_id, dialler in list(self._listed.items()):
            if addresses.get(peer_id) != dialler.address:
                del self._listed[peer_id]
                dialler.stop(tr("it left the roster"))
        fresh = [peer_id for peer_id in addresses if peer_id not in self._listed]
        room = max(0, self.max_dialled - len(self._listed))
        self.not_dialled = len(fresh[room:])
        if room and self.not_dialled:
            # Else all would dial the same ones, and leave the others alone.
            fresh.sort(key=lambda _: self._random())
        for peer_id in fresh[:room]:
            self._listed[peer_id] = self._new_dialler(addresses[peer_id], peer_id)
            if peer_id in self._unwanted:
                self._listed[peer_id].stop(self._unwanted[peer_id])
            elif self.running and peer_id not in self.neighbours:
                self._listed[peer_id].dial()

    def dial_listed(self, peer_id: PeerId, address: Address) -> None:
        """Dial somebody of the roster for whom there was no room, in the place of one who is not linked."""
        for other, dialler in self._listed.items():
            if other not in self.neighbours and dialler.link is None:
                del self._listed[other]
                dialler.stop(tr("another peer was wanted more"))
                self._listed[peer_id] = self._new_dialler(address, peer_id)
                self._listed[peer_id].dial()
                return

    def diallers_of(self, peer_id: PeerId) -> list[Dialler]:
        """Those that dial a peer, as far as it is known who is where."""
        return [dialler for dialler in self.diallers if dialler.peer_id == peer_id]

    def hang_up(self, peer_id: PeerId, why: str) -> bool:
        """Say BYE to a peer and want no link with it until `want`; False where no link stands."""
        self._unwanted[peer_id] = why
        neighbour = self.neighbours.get(peer_id)
        for dialler in self.diallers_of(peer_id):
            dialler.stop(why)
            if dialler.link is not None and dialler.link.up_since_s is None:
                dialler.link.leave(why)
        for link in list(neighbour.links) if neighbour else []:
            link.leave(why)
        return neighbour is not None

    def want(self, peer_id: PeerId) -> None:
        """Take back `hang_up`, and dial now."""
        self._unwanted.pop(peer_id, None)
        for dialler in self.diallers_of(peer_id):
            dialler.resume()

    # What links tell: `LinkOwner`.

    def admit(self, link: Link, peer_id: PeerId) -> ProtocolError | None:
        """Say why no link with the peer that greeted is wanted, or None."""
        if peer_id in self._unwanted:
            return ProtocolError(ErrorCode.UNAUTHORIZED, self._unwanted[peer_id])
        if sum(len(neighbour.links) for neighbour in self.neighbours.values()) >= MAX_LINKS:
            return ProtocolError(ErrorCode.BUSY, f"{MAX_LINKS} links stand already; try later")
        return self._board.admit(link)

    def link_up(self, link: Link) -> None:
        """Take a link into use."""
        self._listener.known(link)
        for dialler in self.diallers:
            if dialler.link is link and self._is_fixed(dialler):
                dialler.peer_id = link.peer_id
            elif dialler.link is link and dialler.peer_id != link.peer_id:
                dialler.found(link.peer_id)
            if dialler.peer_id == link.peer_id:
                dialler.linked(link)
        neighbour = self.neighbours.get(link.peer_id)
        if neighbour is None:
            self.neighbours[link.peer_id] = neighbour = Neighbour(link.peer_id, [link])
            self._board.neighbour_up(neighbour)
            return
        older = list(neighbour.links)
        neighbour.links.append(link)
        for other in older:
            if link.is_encrypted and not other.is_encrypted:
                # So that this may be anybody.
                other.leave(mark("the peer proved its key over another link"))
            elif not (other.plain or link.plain):
                self._settle(other, link)

    def link_down(self, link: Link, why: str) -> None:
        """Use a link no more."""
        neighbour = self.neighbours[link.peer_id]
        if neighbour.links != [link]:
            if neighbour.link is link:
                self._board.link_lost(neighbour, why)
            neighbour.links.remove(link)
            return
        del self.neighbours[link.peer_id]
        self._board.neighbour_down(neighbour, why)
        if self.running:
            for dialler in self.diallers_of(link.peer_id):
                dialler.retry_later(polite=link.said_bye and not link.plain)

    def link_gone(self, link: Link, why: str) -> None:
        """Forget a link."""
        self._listener.known(link)
        del self._links[link]
        if link.up_since_s is None:
            self.turned_away += 1
            self._log.info(
                "no link with {address} ({way}): {why!a}",
                address=link.address,
                way="dialled" if link.dialled else "accepted",
                why=why,
            )
        for dialler in self.diallers:
            if dialler.link is link:
                self._dialled_link_gone(dialler, link)
        self._check_all_gone()

    def message_received(self, link: Link, message: Message, line: bytes) -> None:
        """Pass a message on to the node."""
        neighbour = self.neighbours.get(link.peer_id)
        # A link that says its farewells may still bring messages, and carry what answers them. It may have
        # to go because the peer has come with a key, and this was somebody else.
        if neighbour is None or neighbour.is_encrypted != link.is_encrypted:
            neighbour = Neighbour(link.peer_id, [link])
        self._board.message_received(neighbour, message, line)

    def line_traced(self, link: Link, line: bytes) -> None:
        """Pass a traced line on to the node."""
        # Who it is, is not known before the handshake.
        self._board.line_traced(link.peer_id or PeerId(str(link.address)), line)

    # Inside.

    def _accepted(self, address: Address) -> Link | None:
        self.visitors += not is_loopback(address)
        return self._new_link(dialled=False, address=address) if self.running else None

    def _new_link(
        self, dialled: bool, address: Address, expected: PeerId | None = None, may_encrypt: bool = True
    ) -> Link:
        link = Link(self, self.around, dialled, address, expected, may_encrypt)
        self._links[link] = None
        return link

    def _new_dialler(self, address: Address, peer_id: PeerId | None) -> Dialler:
        backoff = Backoff(FIRST_WAIT_S, LONGEST_WAIT_S, self._random)
        return Dialler(address, peer_id, self._connect, self._reactor, backoff)

    def _is_fixed(self, dialler: Dialler) -> bool:
        return self._fixed.get(dialler.address) is dialler

    def _connect(self, dialler: Dialler) -> Deferred[Link]:
        # Only the rendezvous can say who should be there; who was there last time may have moved.
        expected = None if self._is_fixed(dialler) else dialler.peer_id
        factory = LinkFactory(lambda _: self._new_link(True, dialler.address, expected, dialler.may_encrypt))
        # What an endpoint connects is typed as any protocol; this factory makes links.
        return cast("Deferred[Link]", client_endpoint(self._reactor, dialler.address).connect(factory))

    def _dialled_link_gone(self, dialler: Dialler, link: Link) -> None:
        lasted_s = 0.0 if link.up_since_s is None else self._reactor.seconds() - link.up_since_s
        dialler.link_gone(link, lasted_s)
        if self.running and dialler.peer_id not in self.neighbours:
            dialler.retry_later(polite=link.said_bye and not link.plain)

    def _settle(self, older: Link, newer: Link) -> None:
        """Two links with one peer of our own kind stand: both sides keep the same one (section 3)."""
        if older.dialled and newer.dialled:
            # They may have come up in another order over there: only the acceptor ends one, lest both
            # sides end both. The dialler looks whether there still is somebody to do so.
            older.ping().addErrback(lambda _failure: older.abort())
            return
        we_are_smaller = self.around.own < older.peer_id
        keep, drop = newer, older
        if older.dialled != newer.dialled and older.dialled == we_are_smaller:
            keep, drop = older, newer
        # Its PONG proves that the link to keep is alive, and up at the other end too; only then
        # may the other go, else what the peer sends in between would find no link at all.
        keep.ping().addCallbacks(
            lambda _rtt: drop.leave(mark("one link per pair is enough")),
            lambda _failure: keep.abort(),
        )

    def _tick(self) -> None:
        for link in list(self._links):
            try:
                link.tick()
            except Exception:
                # A LoopingCall stops for good at the first exception.
                self._log.failure("keep-alive of {address}", address=link.address)

    def _check_all_gone(self) -> None:
        if self._all_gone is not None and not self._links:
            all_gone, self._all_gone = self._all_gone, None
            all_gone.callback(None)
