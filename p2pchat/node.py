"""The service tree of a peer, and the one public API to it.

::

    Node
      switchboard    listens, dials, keeps the links
      registration   stays registered, keeps the roster; absent without a rendezvous
      rendezvous     our own server, only where no other answered at the shared address
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import attrs
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList, fail
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat import events
from p2pchat.addresses import Address, Reactor
from p2pchat.casts import Casts
from p2pchat.gate import Gate
from p2pchat.language import mark, tr, translated
from p2pchat.links.dialler import Dialler
from p2pchat.links.link import Link
from p2pchat.links.neighbour import Neighbour
from p2pchat.links.switchboard import Switchboard
from p2pchat.loads import Loads
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import COURIER, FEATURES, PAST, Message, Metrics
from p2pchat.protocol.names import Destination, PeerId, ToAll, ToNamespace
from p2pchat.rendezvous.client import Registered
from p2pchat.rendezvous.registration import Registration
from p2pchat.rendezvous.roster import Changes
from p2pchat.rendezvous.server import RendezvousServer
from p2pchat.routing.delivery import Delivery
from p2pchat.routing.router import Router
from p2pchat.settings import SHARED_RENDEZVOUS, Settings
from p2pchat.store.nothing import Nothing
from p2pchat.store.store import Store
from p2pchat.telling import Telling
from p2pchat.ticking import Ticking
from p2pchat.trust.keys import Keys

#: Seconds after the start when casts no longer wait for the first links.
READY_S = 5.0


class NotLinked(Exception):
    """There is no link with the peer; the text says so to the user."""


class Node(MultiService):
    """A peer. ``tap.makeService`` creates it, twistd owns and ends it.

    :param own: who we are.
    :param new_id: makes a msg_id: 128 random bits (section 4).
    :param random: returns a float from 0 to 1, for jitter.
    :param timestamp: the time of day as ``YYYY-MM-DDTHH:MM:SSZ``.
    :param keys: None: nothing is encrypted or signed, and everybody may come under any name.
    :param store: where messages are kept; None: nothing is kept, and what cannot be delivered at once fails.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        own: PeerId,
        settings: Settings,
        *,
        new_id: Callable[[], str],
        random: Callable[[], float],
        timestamp: Callable[[], str],
        keys: Keys | None = None,
        store: Store | None = None,
    ) -> None:
        super().__init__()
        self.own = own
        self.settings = settings
        self._reactor = reactor
        self._new_id = new_id
        self._is_stopping = False
        self._is_listened_to = False
        self._early_troubles: list[str] = []
        self._first_round_over = settings.rendezvous is None
        self._ticking = Ticking(reactor, self._look, lambda: self._is_waiting)
        self.started_at_s = reactor.seconds()
        #: Peers of the roster that came after us. No more than the roster has.
        self.newcomers: set[PeerId] = set()
        self._sizes: list[Callable[[], dict[str, int]]] = []
        self.rendezvous: RendezvousServer | None = None
        self.store = store or Nothing()
        self._telling = Telling(
            own, self.store, self._seek, self._why_not_linked, lambda peer: self.gate.is_verified(peer)
        )
        self._tell = self._telling.tell
        self._loads = Loads(self.store)
        self.gate = Gate(
            keys, self._telling, reactor.seconds, lambda: self.switchboard, lambda: self.store.is_lasting
        )
        self.router = Router(
            own,
            self._telling,
            reactor.seconds,
            new_id,
            self.gate.seals,
            keeps=self.store.is_lasting,
            custody=self._loads if settings.courier else None,
        )
        self.casts = Casts(self.router.publish)
        self.switchboard = Switchboard(
            reactor,
            own,
            self,
            new_id=new_id,
            timestamp=timestamp,
            random=random,
            port=settings.port,
            interface=settings.interface,
            tls=None if keys is None else keys.tls,
            features=self._features(),
        )
        self.switchboard.setServiceParent(self)
        self.gate.begin()
        for address in settings.peers:
            first_dial = self.switchboard.add_fixed(address).outcome()
            first_dial.addErrback(self._address_failed, address)
        self.registration = self._make_registration(random)

    @property
    def advertised_port(self) -> int:
        """The port that others are told to dial."""
        return self.settings.advertise_port or self.switchboard.port

    @property
    def neighbours(self) -> dict[PeerId, Neighbour]:
        """Peers with a direct link."""
        return self.switchboard.neighbours

    @property
    def roster(self) -> dict[PeerId, Address]:
        """Peers that the rendezvous lists, without ourselves."""
        return self.registration.roster.addresses if self.registration else {}

    @property
    def now_s(self) -> float:
        """The present time in seconds, on the clock of everything here."""
        return self._reactor.seconds()

    @property
    def uptime_s(self) -> float:
        """Seconds since the node was made."""
        return self._reactor.seconds() - self.started_at_s

    @property
    def watching(self) -> bool:
        """Whether `events.LineTraced` is told for each line that arrives."""
        return self.switchboard.around.tracing

    @watching.setter
    def watching(self, watching: bool) -> None:
        self.switchboard.around.tracing = watching

    # The service.

    def startService(self) -> None:
        """Listen, dial, register; and take up the messages of the last run that have no outcome yet.

        :raises CannotListenError: the port that was asked for is taken.
        """
        self._resume()
        super().startService()
        for what in self._early_troubles:
            self._tell(events.StoreTold(what))
        self._is_listened_to = True
        self._log.info("{own!a} listens on port {port}", own=self.own, port=self.switchboard.port)
        self._ticking.start()

    def stopService(self) -> Deferred[None]:
        """Say BYE to all and unregister; fires within about 2 s.

        Messages whose outcome is open are kept for the next start, or end as not confirmed.
        """
        self._log.info("{own!a} stops", own=self.own)
        self._is_stopping = True
        self._ticking.stop()
        self.router.give_up(tr("p2pchat was stopped before a confirmation came"))
        self.casts.open()
        if self.rendezvous is not None and self.registration is not None:
            self.registration.forget_server()
        stopped: Deferred[None] = super().stopService()
        return stopped.addBoth(self._close)

    def listen(self, listener: Callable[[events.Event], None]) -> Callable[[], None]:
        """Tell *listener* every event from now on, until what is returned is called."""
        self._telling.listeners.append(listener)
        return lambda: self._telling.listeners.remove(listener)

    def relayed(self) -> set[PeerId]:
        """Return those that can be reached through others."""
        return {route.dst for route in self.router.routes if not route.is_direct}

    def known(self) -> set[PeerId]:
        """Return all that are registered, linked, dialled or reached through others."""
        dialled = {dialler.peer_id for dialler in self.switchboard.diallers if dialler.peer_id}
        return {*self.roster, *self.neighbours, *dialled, *self.relayed()}

    # Commands.

    def send(self, dst: PeerId, payload: str) -> Delivery:
        """Send a text to one peer; what becomes of it is told as an event.

        :raises ProtocolError: it is for ourselves, it is too long, too much waits already, or we stop.
        """
        if self._is_stopping:
            raise _stopping()
        if dst == self.own:
            raise ProtocolError(ErrorCode.BAD_FORMAT, tr("{peer} is yourself").format(peer=dst))
        self.gate.befriend(dst)
        delivery = self.router.send(dst, payload, self.store.now_ms())
        self._ticking.hurry()
        return delivery

    def kept(self) -> list[Delivery]:
        """Return the messages to one peer that have no outcome yet, in the order in which they were said."""
        return list(self.router.pending)

    def cancel(self, msg_id: str) -> bool:
        """Give up a message whose outcome is open; False where there is none."""
        delivery = self.router.pending.get(msg_id)
        if delivery is None:
            return False
        self.router.cancel(delivery)
        return True

    def read(self, conversation: Destination | None = None) -> None:
        """Note that the user has seen what others said in a conversation; None: all of it."""
        self._telling.read(None if conversation is None else str(conversation))

    @property
    def unread(self) -> dict[str, int]:
        """How much came since the start that the user has not seen, by conversation."""
        return self._telling.unread

    def publish(self, to: ToNamespace | ToAll, payload: str) -> Deferred[int]:
        """Send a text to many; fires with the number of neighbours that it went to.

        In the first seconds it waits until those are linked who can be. Fails with `ProtocolError`.
        """
        if self._is_stopping:
            return fail(_stopping())
        return self.casts.say(to, payload).addCallback(self._cast_sent, to, payload)

    def connect(self, peer_id: PeerId) -> Deferred[Link]:
        """Dial a peer now. Fails with `NotLinked` where nobody knows its address, or `DialFailed`."""
        if self._is_stopping:
            return fail(NotLinked(tr("p2pchat is stopping")))
        neighbour = self.neighbours.get(peer_id)
        if neighbour is not None:
            done: Deferred[Link] = Deferred()
            done.callback(neighbour.link)
            return done
        diallers = self._diallers_of(peer_id)
        if not diallers:
            self.switchboard.want(peer_id)
            why = tr("{peer} is not in the roster, so its address is not known").format(peer=peer_id)
            return fail(NotLinked(why + self._how_reached(peer_id)))
        outcomes = DeferredList(
            [dialler.outcome() for dialler in diallers], fireOnOneCallback=True, consumeErrors=True
        )
        self.switchboard.want(peer_id)
        return outcomes.addCallback(_first_success)

    def disconnect(self, peer_id: PeerId) -> bool:
        """Say BYE to a peer and leave it alone until `connect`; False where there was no link."""
        return self.switchboard.hang_up(peer_id, mark("disconnected by the user"))

    def ping(self, peer_id: PeerId) -> Deferred[float]:
        """Measure the round trip in seconds. Fails with `NotLinked`, `LinkClosed` or `TimeoutError`."""
        neighbour = self.neighbours.get(peer_id)
        return fail(self._not_linked(peer_id)) if neighbour is None else neighbour.link.ping()

    def ask_metrics(self, peer_id: PeerId) -> Deferred[Metrics]:
        """Ask how a peer sees our link. Fails with `NotLinked`, `LinkClosed` or `TimeoutError`."""
        neighbour = self.neighbours.get(peer_id)
        if neighbour is None:
            return fail(self._not_linked(peer_id))
        if "metrics" not in neighbour.features:
            return fail(NotLinked(tr("{peer} does not offer metrics").format(peer=peer_id)))
        return neighbour.link.ask_metrics()

    def counters(self) -> dict[str, int]:
        """Everything that is counted, and the sizes of all tables, by name."""
        return {
            **attrs.asdict(self.router.tally),
            **self.router.sizes(),
            **self.switchboard.sizes(),
            **self.gate.sizes(),
            **self.store.sizes(),
            "casts_waiting": len(self.casts),
            "roster": len(self.roster),
            **{name: count for sizes in self._sizes for name, count in sizes().items()},
        }

    def count(self, sizes: Callable[[], dict[str, int]]) -> None:
        """Let `counters` tell also what a surface counts."""
        self._sizes.append(sizes)

    @property
    def is_idle(self) -> bool:
        """Nothing that the user said still waits."""
        queued = any(link.outgoing.ours_waiting for near in self.neighbours.values() for link in near.links)
        return not (len(self.router.pending) or len(self.casts) or queued)

    # What the switchboard tells: `links.switchboard.Board`.

    def admit(self, link: Link) -> ProtocolError | None:
        """Ask those who know who has which key."""
        return self.gate.admit(link)

    def neighbour_up(self, neighbour: Neighbour) -> None:
        """Route over a new neighbour."""
        link = neighbour.link
        self._log.info("link with {peer!a} at {address}", peer=link.peer_id, address=link.address)
        self._tell(
            events.NeighbourUp(link.peer_id, link.address, link.dialled, link.plain, link.is_encrypted)
        )
        self.router.neighbour_up(neighbour)

    def neighbour_down(self, neighbour: Neighbour, why: str) -> None:
        """Route over a neighbour no more."""
        link = neighbour.link
        self._log.info(
            "no more link with {peer!a} at {address}: {why!a}; {bad} bad lines",
            peer=link.peer_id,
            address=link.address,
            why=why,
            bad=link.bad_lines,
        )
        self._tell(events.NeighbourDown(link.peer_id, why))
        self.router.neighbour_down(neighbour, why)
        if self.registration is not None:
            self.registration.hint_lost()

    def link_lost(self, neighbour: Neighbour, why: str) -> None:
        """Let the router decide what becomes of what went over a link that ended."""
        self.router.link_lost(neighbour, why)

    def message_received(self, neighbour: Neighbour, message: Message, line: bytes) -> None:
        """Let the router decide."""
        self.router.received(neighbour, message, line)
        self._ticking.hurry()

    def line_traced(self, peer_id: PeerId, line: bytes) -> None:
        """Tell who watches."""
        self._tell(events.LineTraced(peer_id, line))

    # What the registration tells: `rendezvous.registration.Observer`.

    def rendezvous_found(self, registered: Registered) -> None:
        """Tell that we are registered."""
        assert self.registration is not None, "only a registration tells this"
        self._tell(events.RendezvousFound(self.registration.address, hosted=self.rendezvous is not None))

    def rendezvous_lost(self, why: str) -> None:
        """Tell that the rendezvous fails us."""
        assert self.registration is not None, "only a registration tells this"
        self._first_round_over = True
        self._tell(events.RendezvousLost(self.registration.address, why))

    def roster_changed(self, changes: Changes) -> None:
        """Dial who came."""
        if self._first_round_over:
            self.newcomers.update(changes.came)
        self.newcomers.intersection_update(self.roster)
        self._first_round_over = True
        if changes:
            self.switchboard.set_roster(self.roster)
            for peer_id in (*changes.came, *changes.moved):
                self.router.noticed(peer_id)
            self._tell(events.RosterChanged(changes.came, changes.left, changes.moved))

    def name_taken(self, address: Address) -> None:
        """Tell that somebody has our name."""
        self._tell(events.NameTaken(self.own, address))

    def host_rendezvous(self) -> bool:
        """Become the rendezvous of this machine; False where another peer was quicker."""
        if self.rendezvous is not None:
            return False
        server = RendezvousServer(self._reactor, SHARED_RENDEZVOUS.port, SHARED_RENDEZVOUS.host)
        try:
            server.setServiceParent(self)
        except CannotListenError:
            server.disownServiceParent()
            return False
        self.rendezvous = server
        self._tell(events.RendezvousHosted(SHARED_RENDEZVOUS))
        return True

    # Inside.

    def _features(self) -> tuple[str, ...]:
        """Return what we offer in our greeting."""
        past = () if self.router.past is None else (PAST,)
        courier = () if self.router.courier is None else (COURIER,)
        return (*FEATURES, *past, *courier)

    def _cast_sent(self, took: int, to: ToNamespace | ToAll, payload: str) -> int:
        self._telling.cast_sent(self._new_id(), str(to), payload, took)
        return took

    def _resume(self) -> None:
        """Take up the messages of an earlier run."""
        for kept in self.store.open(str(self.own), self._store_told):
            age_s = max(0.0, (self.store.now_ms() - kept.at_ms) / 1000)
            delivery = self.router.resume(kept.msg_id, PeerId(kept.dst), kept.text, age_s, kept.at_ms)
            self._tell(events.MessageResumed(kept.msg_id, delivery.dst, kept.text, age_s))
        if self.router.courier is not None:
            for load in self._loads.of_earlier_runs():
                self.router.courier.resume(*load)

    def _store_told(self, what: str) -> None:
        """Tell what is wrong with the store; at the start once there are surfaces to show it."""
        if self._is_listened_to:
            self._tell(events.StoreTold(what))
        else:
            self._early_troubles.append(what)

    def _close(self, result: Any) -> Any:
        self.gate.close()
        return self.store.close().addCallback(lambda _: result)

    def _make_registration(self, random: Callable[[], float]) -> Registration | None:
        if self.settings.rendezvous is None:
            return None
        registration = Registration(
            self._reactor,
            self.own,
            self.settings.rendezvous,
            self,
            port=lambda: self.advertised_port,
            random=random,
            ttl_s=self.settings.registration_ttl_s,
            shared=self.settings.shared,
            authority=self.settings.rendezvous_authority,
        )
        registration.setServiceParent(self)
        return registration

    def _diallers_of(self, peer_id: PeerId) -> list[Dialler]:
        """Who dials a peer; of a roster that is too large, not everybody is dialled before."""
        address = self.roster.get(peer_id)
        if address is not None and not self.switchboard.diallers_of(peer_id):
            self.switchboard.dial_listed(peer_id, address)
        return self.switchboard.diallers_of(peer_id)

    def _seek(self, dst: PeerId) -> None:
        """Try to get a link with a peer: dial it, or look whether the rendezvous knows it by now."""
        diallers = self._diallers_of(dst)
        for dialler in diallers:
            dialler.dial()
        if not diallers and self.registration is not None:
            self.registration.look_now()

    def _not_linked(self, peer_id: PeerId) -> NotLinked:
        """Say that something needs a link of our own."""
        how = self._how_reached(peer_id)
        told = tr("no link of our own with {peer}") if how else tr("no link with {peer}")
        return NotLinked(told.format(peer=peer_id) + how)

    def _how_reached(self, peer_id: PeerId) -> str:
        """Say through whom a peer is reached, where there is somebody; else nothing."""
        route = self.router.routes.best(peer_id, self.now_s)
        return "" if route is None else tr("; messages reach it through {relay}").format(relay=route.hop)

    def _why_not_linked(self, peer_id: PeerId) -> str:
        """Say what came of dialling a peer; nothing where it is linked."""
        if peer_id in self.neighbours:
            return ""
        diallers = self.switchboard.diallers_of(peer_id)
        if not diallers:
            return tr("its address is not known")
        if diallers[0].held:
            return tr("it is not dialled: {why}").format(why=translated(diallers[0].held))
        why = translated(diallers[0].last_failure) or tr("no answer yet")
        return tr("dialling {address}: {why}").format(address=diallers[0].address, why=why)

    def _address_failed(self, failure: Failure, address: Address) -> None:
        if not self._is_stopping:
            self._tell(events.AddressFailed(address, failure.getErrorMessage()))

    def _look(self) -> None:
        """Look after what is due."""
        self.router.tick()
        self.gate.tick()
        self.store.tick()
        if not self.casts.is_open and self._may_cast():
            self.casts.open()

    @property
    def _is_waiting(self) -> bool:
        return not self.casts.is_open or self.router.is_waiting

    def _may_cast(self) -> bool:
        """Everybody whom we know of is linked, or was tried, or it took too long."""
        if self.uptime_s >= READY_S:
            return True
        return self._first_round_over and all(
            dialler.peer_id in self.neighbours or dialler.last_failure
            for dialler in self.switchboard.diallers
        )


def _first_success(outcomes: Any) -> Link | Failure:
    """Return the link that came of one of several diallers, or why the last of them failed."""
    return cast("Link | Failure", outcomes[0] if isinstance(outcomes, tuple) else outcomes[-1][1])


def _stopping() -> ProtocolError:
    """Refuse what nobody would look after any more, so that its outcome would never be told."""
    return ProtocolError(ErrorCode.BUSY, tr("p2pchat is stopping"))
