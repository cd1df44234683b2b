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
from p2pchat.protocol.names import PeerId
from p2pchat.rendezvous.budget import Budget
from p2pchat.rendezvous.client import (
    Banned,
    Entry,
    NobodyThere,
    Registered,
    RendezvousClient,
    RendezvousError,
)
from p2pchat.rendezvous.roster import Changes, Roster

#: Seconds from one look at the roster to the next, with a tenth of jitter (section 6).
REFRESH_S = 30.0

#: The same where the rendezvous may live in one of the peers and go away with it: another one must
#: take its place, and everybody be registered there, within 15 s.
SHARED_REFRESH_S = 14.0

#: Seconds from a hint that the rendezvous may be gone to the look: whoever leaves needs up to 2 s.
HINT_S = 2.5

#: Seconds between two hints that are followed, so that churn does not cost us the budget.
HINT_SPACING_S = 20.0

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
        self._client = RendezvousClient(reactor, address)
        self._budget = Budget()
        self._backoff = Backoff(FIRST_WAIT_S, LONGEST_WAIT_S, random)
        self._registered_at_s = 0.0
        #: Whether the user was last told that we are registered; None before either was said.
        self._is_announced: bool | None = None
        self._was_listed = False
        self._name_taken_by: Address | None = None
        self._hinted_at_s = float("-inf")
        self._timer: IDelayedCall | None = None
        self._round: Deferred[None] | None = None

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
        if self._round is not None:
            self._round.cancel()
        if self.registered is None:
            return succeed(None)
        farewell = Deferred.fromCoroutine(self._client.unregister(self._own, self._port()))
        farewell.addTimeout(FAREWELL_S, self._reactor)
        return farewell.addErrback(self._farewell_failed)

    def hint_lost(self) -> None:
        """The rendezvous may have gone with a peer that left: look soon."""
        now_s = self._reactor.seconds()
        if not self.shared or self._timer is None or now_s - self._hinted_at_s < HINT_SPACING_S:
            return
        self._hinted_at_s = now_s
        if self._timer.getTime() > now_s + HINT_S:
            self._timer.reset(HINT_S)

    def look_now(self) -> None:
        """Somebody is sought who is not in the roster: look now, if that is not one request too many."""
        if self._timer is not None and not self._budget.wait_s(self._reactor.seconds()):
            self._timer.reset(0)

    def forget_server(self) -> None:
        """The server is going away with us: there is nothing to take back."""
        self.registered = None

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
        listed = self._are_we_listed(entries)
        forgotten = self._was_listed and not listed
        self._was_listed = listed
        self._observer.roster_changed(self.roster.update(entries, complete=not forgotten))
        if forgotten:
            # It is a new server, or was started again. Others will come back to it like us.
            self._log.info("{address} has forgotten us; registering again", address=self.address)
            self._budget.renew()
            await self._register()
            self._was_listed = True

    def _must_register(self) -> bool:
        if self.registered is None:
            return True
        age_s = self._reactor.seconds() - self._registered_at_s
        # Half of the time is well before the end; what is left must also last until the next round.
        return age_s >= self.registered.ttl_s / 2 or age_s + 1.5 * self._refresh_s >= self.registered.ttl_s

    async def _register(self) -> None:
        self.registered = await self._ask(lambda: self._client.register(self._own, self._port(), self._ttl_s))
        self._registered_at_s = self._reactor.seconds()

    async def _ask(self, request: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Make a request as soon as the budget allows it."""
        wait_s = self._budget.wait_s(self._reactor.seconds())
        if wait_s:
            await deferLater(self._reactor, wait_s)
        self._budget.spend(self._reactor.seconds())
        return await request()

    def _are_we_listed(self, entries: list[Entry]) -> bool:
        ours = [entry.address for entry in entries if entry.peer_id == self._own]
        for address in ours:
            if not self._is_our_address(address) and address != self._name_taken_by:
                self._name_taken_by = address
                self._observer.name_taken(address)
        return any(self._is_our_address(address) for address in ours)

    def _is_our_address(self, address: Address) -> bool:
        observed_ip = self.registered.observed_ip if self.registered else ""
        return address.port == self._port() and observed_ip in ("", address.host)

    @property
    def _refresh_s(self) -> float:
        return SHARED_REFRESH_S if self.shared else REFRESH_S

    def _round_done(self, _: None) -> None:
        self._round = None
        self._backoff.succeeded()
        self.trouble = ""
        if not self._is_announced and self.registered is not None:
            self._is_announced = True
            self._log.info("registered at {address}", address=self.address)
            self._observer.rendezvous_found(self.registered)
        self._next_round_in(self._refresh_s * (0.9 + self._random() / 10))

    def _round_failed(self, failure: Failure) -> None:
        self._round = None
        if not self.running:
            return
        problem = failure.value
        if not isinstance(problem, RendezvousError):
            # Our own fault; the rounds go on, since without them nobody finds us.
            self._log.failure("unexpected error in a round with {address}", failure, address=self.address)
            problem = RendezvousError("something failed inside p2pchat; the log has more")
        if isinstance(problem, NobodyThere):
            self._budget.renew()  # whoever answers there next has counted nothing yet
            self.registered = None
            if self.shared and self._observer.host_rendezvous():
                self._next_round_in(0)
                return
        self._tell_lost(str(problem))
        wait_s = self._backoff.next_wait_s()
        # In a shared rendezvous a reset is rather the end of the peer that it lived in.
        self._next_round_in(BAN_S if isinstance(problem, Banned) and not self.shared else wait_s)

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
