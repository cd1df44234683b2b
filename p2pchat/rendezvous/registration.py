"""Stays registered and keeps the roster fresh (docs/protocol.md, sections 6 and 9.17 to 9.20)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat.addresses import Address, Reactor
from p2pchat.backoff import Backoff
from p2pchat.language import tr
from p2pchat.protocol.names import PeerId
from p2pchat.rendezvous.client import (
    Banned,
    Blocked,
    NobodyThere,
    Registered,
    RendezvousClient,
    RendezvousError,
)
from p2pchat.rendezvous.listing import Entry
from p2pchat.rendezvous.pace import Pace
from p2pchat.rendezvous.roster import Changes, Roster

#: Seconds from a hint that the rendezvous may be gone to the knock: a peer that leaves closes its port first.
HINT_S = 0.2

#: Seconds from a knock that found nobody to the next round, and half of that as jitter. All who lost the
#: same peer have knocked by then: they know that the next server is a new one, whoever of them hosts it.
TAKE_OVER_S = 1.0

#: Seconds from REGISTER to the answer to DISCOVER in which no server loses its memory. One that does not list
#: us by then lists us never.
PROMPT_S = 2.0

#: Back-off of requests that fail, in seconds (section 6).
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0

#: Seconds that a server which bans is left alone (9.19).
BAN_S = 61.0

#: Seconds that taking the registration back may take at the end.
FAREWELL_S = 2.0


_T = TypeVar("_T")


class Observer(Protocol):
    """What the registration tells whoever created it: the node."""

    def rendezvous_found(self, registered: Registered) -> None:
        """We are registered, for the first time or again."""

    def rendezvous_lost(self, why: str) -> None:
        """The rendezvous does not do what it should; we go on trying."""

    def roster_changed(self, changes: Changes) -> None:
        """The roster was refreshed; *changes* may be empty."""

    def name_taken(self, address: Address) -> None:
        """Somebody else is registered under our name."""

    def host_rendezvous(self) -> bool:
        """Nobody answers at the shared address: become the rendezvous, if possible."""


class Registration(Service):
    """Registers, renews, discovers, and unregisters at the end. The node creates, starts and stops it.

    :param port: what to register, asked for at each REGISTER.
    :param ttl_s: for how long, in seconds, 1 to 86400.
    :param shared: the rendezvous lives in one of the peers of this machine.
    :param authority: who may sign for the server, where it speaks TLS, in PEM; None: whom the system knows.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        own: PeerId,
        address: Address,
        observer: Observer,
        *,
        port: Callable[[], int],
        random: Callable[[], float],
        ttl_s: int = 7200,
        shared: bool = False,
        authority: bytes | None = None,
    ) -> None:
        self.roster = Roster(own)
        self.address = address
        self.shared = shared
        #: What is wrong with the rendezvous; empty while nothing is.
        self.trouble = ""
        self.registered: Registered | None = None
        self._reactor = reactor
        self._own = own
        self._observer = observer
        self._port = port
        self._random = random
        self._ttl_s = ttl_s
        self._client = RendezvousClient(reactor, address, authority)
        self._pace = Pace(reactor.seconds, random, shared)
        self._backoff = Backoff(FIRST_WAIT_S, LONGEST_WAIT_S, random)
        self._registered_at_s = 0.0
        #: Whether the user was last told that we are registered; None before either was said.
        self._is_announced: bool | None = None
        #: A REGISTER went out; whether it arrived or not, it is to be taken back.
        self._may_be_registered = False
        self._was_listed = False
        #: The server answered a DISCOVER right after we registered; else it may have lost us in between.
        self._has_answered = False
        self._namesakes: set[Address] = set()
        self._timer: IDelayedCall | None = None
        self._round: Deferred[None] | None = None
        self._knocking: Deferred[None] | None = None

    # The service.

    def startService(self) -> None:
        """Begin with the first round at once."""
        super().startService()
        self._begin_round()

    def stopService(self) -> Deferred[None]:
        """Stop, and take the registration back within 2 s."""
        super().stopService()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for under_way in (self._round, self._knocking):
            if under_way is not None:
                under_way.cancel()
        if not self._may_be_registered:
            return succeed(None)
        farewell = Deferred.fromCoroutine(self._client.unregister(self._own, self._port()))
        farewell.addTimeout(FAREWELL_S, self._reactor)
        return farewell.addErrback(self._farewell_failed)

    def hint_lost(self) -> None:
        """The rendezvous may have gone with a peer that left: find out soon."""
        if self.shared and self.running:
            self._knock_soon()

    def look_now(self) -> None:
        """Somebody is sought who is not in the roster: look now, if that is not one request too many."""
        if self._timer is not None and not self.trouble and self._pace.has_request_to_spare():
            self._timer.reset(0)

    def forget_server(self) -> None:
        """The server is going away with us: there is nothing to take back."""
        self.registered = None
        self._may_be_registered = False

    # One round after the other.

    def _begin_round(self) -> None:
        self._timer = None
        self._round = Deferred.fromCoroutine(self._go_round())
        self._round.addCallbacks(self._round_done, self._round_failed)

    async def _go_round(self) -> None:
        """Register where it is due, then look who is there."""
        if self._must_register():
            await self._register()
        entries = await self._ask(self._client.discover)
        if not self._has_answered and self._reactor.seconds() - self._registered_at_s <= PROMPT_S:
            self._has_answered = True
        forgotten = self._are_we_forgotten(entries)
        is_complete = not forgotten and self._pace.are_others_back
        self._observer.roster_changed(self.roster.update(entries, is_complete))
        if forgotten and self.running:
            # It is a new server, or was started again. Others will come back to it like us.
            self._log.info("{address} has forgotten us; registering again", address=self.address)
            if self.shared and not self._has_run_out():
                self._pace.budget.renew()
            self.registered = None
            was_answered = self._has_answered
            await self._register()
            self._was_listed = self._has_answered = was_answered

    def _must_register(self) -> bool:
        if self.registered is None or not self._has_answered:
            return True
        age_s = self._reactor.seconds() - self._registered_at_s
        # Half of the time is well before the end; what is left must also last until the next round.
        return (
            age_s >= self.registered.ttl_s / 2 or age_s + 1.5 * self._pace.refresh_s >= self.registered.ttl_s
        )

    async def _register(self) -> None:
        registered = await self._ask(self._send_register)
        if self.registered is None:
            # It is back. What fails now is not one more of the same.
            self._backoff.succeeded()
        if self._has_run_out() and self.roster.addresses:
            self._pace.others_come_back()
        self.registered = registered
        self._registered_at_s = self._reactor.seconds()
        self._has_answered = False

    def _has_run_out(self) -> bool:
        """Whether there is no registration any more that a server could know."""
        age_s = self._reactor.seconds() - self._registered_at_s
        return self.registered is None or age_s >= self.registered.ttl_s

    async def _send_register(self) -> Registered:
        self._may_be_registered = True
        return await self._client.register(self._own, self._port(), self._ttl_s)

    async def _ask(self, request: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Make a request as soon as the budget allows it."""
        wait_s = self._pace.budget.wait_s(self._reactor.seconds())
        if wait_s:
            await deferLater(self._reactor, wait_s)
        self._pace.budget.spend(self._reactor.seconds())
        return await request()

    def _knock_soon(self) -> None:
        if self._knocking is None:
            self._knocking = Deferred.fromCoroutine(self._knock())
            self._knocking.addBoth(self._knocked)

    async def _knock(self) -> None:
        """See whether the rendezvous is there. That is no request, so no budget forbids it."""
        await deferLater(self._reactor, HINT_S)
        try:
            await self._client.knock()
        except NobodyThere:
            self._pace.budget.renew()
            self.forget_server()
            self._round_in_at_most(TAKE_OVER_S * (1 + self._random() / 2))
        except RendezvousError:
            return
        else:
            if not self.trouble and self._pace.has_request_to_spare():
                self._round_in_at_most(0)

    def _round_in_at_most(self, wait_s: float) -> None:
        if self._timer is not None and self._timer.getTime() > self._reactor.seconds() + wait_s:
            self._timer.reset(wait_s)

    def _knocked(self, outcome: Failure | None) -> None:
        self._knocking = None
        if outcome is not None and self.running:
            self._log.failure("unexpected error in a knock at {address}", outcome, address=self.address)

    def _are_we_forgotten(self, entries: list[Entry]) -> bool:
        """Whether we were in the roster and are no more; tell who else has our name."""
        ours = {entry.address for entry in entries if entry.peer_id == self._own}
        others = {address for address in ours if not self._is_our_address(address)}
        for address in sorted(others - self._namesakes):
            self._observer.name_taken(address)
        self._namesakes = others
        # A rendezvous keeps one record of a name and IP address: a namesake there has our place, and
        # taking it back would only begin a quarrel.
        observed_ip = self.registered.observed_ip if self.registered else ""
        is_listed = ours != others
        if not is_listed and any(address.host == observed_ip for address in others):
            return False
        was_listed, self._was_listed = self._was_listed, is_listed
        self._has_answered = self._has_answered or is_listed
        return not is_listed and (was_listed or not self._has_answered)

    def _is_our_address(self, address: Address) -> bool:
        observed_ip = self.registered.observed_ip if self.registered else ""
        return address.port == self._port() and observed_ip in ("", address.host)

    def _round_done(self, _: None) -> None:
        self._round = None
        if not self.running:
            return
        self._backoff.succeeded()
        self.trouble = ""
        if not self._is_announced and self.registered is not None:
            self._is_announced = True
            self._log.info("registered at {address}", address=self.address)
            self._observer.rendezvous_found(self.registered)
        self._next_round_in(self._pace.next_look_s())

    def _round_failed(self, failure: Failure) -> None:
        self._round = None
        if not self.running:
            return
        problem = failure.value
        if not isinstance(problem, RendezvousError):
            # Our own fault; the rounds go on, since without them nobody finds us.
            self._log.failure("unexpected error in a round with {address}", failure, address=self.address)
            problem = RendezvousError(tr("something failed inside p2pchat; the log has more"))
        if isinstance(problem, NobodyThere):
            self._pace.budget.renew()  # whoever answers there next has counted nothing yet
            self.forget_server()
            if self.shared and self._observer.host_rendezvous():
                self._next_round_in(0)
                return
        self._tell_lost(str(problem))
        # In a shared rendezvous a reset is rather the end of the peer that it lived in.
        is_ban = isinstance(problem, Blocked if self.shared else Banned)
        wait_s = self._backoff.next_wait_s()
        self._next_round_in(BAN_S if is_ban else wait_s)
        if is_ban:
            # Or it ended while it answered; then nobody is there now.
            self._knock_soon()

    def _tell_lost(self, why: str) -> None:
        self.trouble = why
        if self._is_announced is not False:
            self._is_announced = False
            self._log.warn("rendezvous {address}: {why!a}", address=self.address, why=why)
            self._observer.rendezvous_lost(why)

    def _next_round_in(self, wait_s: float) -> None:
        if self.running:
            self._timer = self._reactor.callLater(wait_s, self._begin_round)

    def _farewell_failed(self, failure: Failure) -> None:
        self._log.info("not unregistered: {why!a}", why=failure.getErrorMessage())
