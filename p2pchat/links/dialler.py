"""Dials one address until a link stands (docs/protocol.md, section 9.15).

Not Twisted's ``ClientService``: for that one a connection that was made is a success, while here
only a link that stands for a while is, since some peers accept, answer, and close at once.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from p2pchat.addresses import Address, why_not_connected
from p2pchat.backoff import Backoff
from p2pchat.language import tr
from p2pchat.links.link import Link
from p2pchat.protocol.names import PeerId

#: The first and the longest wait between two dials, in seconds; jitter takes up to half of it, so
#: that they are from 1 s to 5 min (9.15).
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 300.0

#: A peer of our own kind that said BYE dials us when it is back; only in case it cannot do we.
POLITE_WAIT_S = 30.0

#: A link that stood so many seconds was a success; a shorter one counts as one more failure.
SUCCESS_S = 60.0


class DialFailed(Exception):
    """No link came of dialling; the text says why."""


@attrs.define(eq=False)
class Dialler:
    """Keeps trying one address. The switchboard creates, owns and stops it.

    :param connect: connects and returns the link, its handshake not yet done.
    :param peer_id: who should be there; None until somebody answered, if nobody said.
    """

    address: Address
    peer_id: PeerId | None
    _connect: Callable[[Dialler], Deferred[Link]]
    _clock: IReactorTime
    _backoff: Backoff
    #: Never dial again: it is ourselves, or the user hung up.
    held: str = ""
    last_failure: str = ""
    #: TLS is offered; not to whom it is of no use: what broke a link is not sent again (9.15).
    may_encrypt: bool = True
    #: The link that came of the last dial, up or not.
    link: Link | None = None
    #: Our link stands, but with somebody else: who that is, in words.
    _found: str | None = None
    #: It is ourselves: never of any use again (section 3).
    _is_ourselves: bool = False
    #: The user wants the peer back while the link that was hung up is still ending.
    _dial_again: bool = False
    _attempt: Deferred[Link] | None = None
    _wakeup: IDelayedCall | None = None
    _waiters: list[Deferred[Link]] = attrs.Factory(list)

    @property
    def next_try_at_s(self) -> float | None:
        """When the next dial is due, on the clock; None where none is planned."""
        return None if self._wakeup is None else self._wakeup.getTime()

    def dial(self) -> None:
        """Dial now, unless it is under way, or pointless."""
        if self.held or self._attempt is not None or self.link is not None:
            return
        self._cancel_wakeup()
        self._attempt = self._connect(self)
        self._attempt.addCallbacks(self._connected, self._failed)

    def outcome(self) -> Deferred[Link]:
        """Fires with the link that the next success brings; fails with `DialFailed` at a failure."""
        if self._found is not None:
            return fail(DialFailed(self._found))
        waiter: Deferred[Link] = Deferred()
        self._waiters.append(waiter)
        return waiter

    def linked(self, link: Link) -> None:
        """A link with our peer stands, whoever dialled it."""
        self.last_failure = ""
        self._cancel_wakeup()
        for waiter in self._take_waiters():
            waiter.callback(link)

    def found(self, peer_id: PeerId) -> None:
        """The link that our last dial brought stands, with somebody else than we look for."""
        self._found = tr("{peer} is there instead").format(peer=peer_id)
        self._fail(self._found)

    def link_gone(self, link: Link, lasted_s: float) -> None:
        """The link that our last dial brought has ended."""
        self.link = self._found = None
        self.may_encrypt = self.may_encrypt and not link.lacks_tls
        if lasted_s >= SUCCESS_S:
            self._backoff.succeeded()
        if link.is_ourselves:
            self._is_ourselves = True
            self.held = link.why_down
        if self._dial_again:
            self._dial_again = False
            self.dial()
        else:
            self._fail(link.why_down)

    def retry_later(self, polite: bool = False) -> None:
        """Dial again after a growing wait.

        :param polite: the peer said BYE, so it is not worth a hurry.
        """
        if self.held or self._wakeup is not None or self._attempt is not None or self.link is not None:
            return
        wait_s = self._backoff.next_wait_s()
        if polite:
            # With jitter too, else all neighbours of a peer that left come at the same moment.
            wait_s = max(wait_s, POLITE_WAIT_S * (0.5 + self._backoff.random() / 2))
        self._wakeup = self._clock.callLater(wait_s, self._woken)

    def resume(self) -> None:
        """Forget that the user hung up, and dial now, or as soon as the link that ends has ended."""
        if self._is_ourselves:
            self._fail(self.held)
            return
        self.held = ""
        self._dial_again = self.link is not None and self.link.why_down != ""
        self.dial()

    def stop(self, why: str) -> None:
        """Dial no more. A link that stands is left alone."""
        self.held = why
        self._cancel_wakeup()
        self._fail(why)
        if self._attempt is not None:
            self._attempt.cancel()

    def _connected(self, link: Link) -> None:
        self._attempt = None
        self.link = link

    def _failed(self, failure: Failure) -> None:
        self._attempt = None
        if not self.held:
            self._fail(why_not_connected(failure.value))
            self.retry_later()

    def _fail(self, why: str) -> None:
        self.last_failure = why
        for waiter in self._take_waiters():
            waiter.errback(DialFailed(why))

    def _take_waiters(self) -> list[Deferred[Link]]:
        waiters, self._waiters = self._waiters, []
        return waiters

    def _woken(self) -> None:
        self._wakeup = None
        self.dial()

    def _cancel_wakeup(self) -> None:
        if self._wakeup is not None:
            self._wakeup.cancel()
            self._wakeup = None
