"""What becomes of our own messages: they are kept, wait, are settled (docs/protocol.md, 5 and 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from p2pchat.language import tr
from p2pchat.protocol.messages import Pub
from p2pchat.protocol.names import PeerId
from p2pchat.routing.delivery import Deliveries, Delivery, State
from p2pchat.routing.deposits import Deposits
from p2pchat.routing.neighbourhood import Neighbour, Neighbourhood, Tally
from p2pchat.routing.outbox import Outbox

#: The name of the failure where nobody said anything.
NOT_CONFIRMED = "not confirmed"

#: The name of what becomes of a message that the user took back.
CANCELLED = "cancelled"

#: Seconds of a day.
_DAY_S = 24 * 3600.0


class Outcomes(Protocol):
    """What the sender tells: the node."""

    def taken(self, delivery: Delivery, then: Callable[[], None]) -> None:
        """A message was accepted: write it down, and *then* it may go. In the order of the calls."""

    def seeks(self, delivery: Delivery) -> None:
        """There is no way to the destination of a message yet, and one is looked for."""

    def waits(self, delivery: Delivery) -> None:
        """A message could not be delivered yet, and is kept until its destination is seen."""

    def sent(self, delivery: Delivery) -> None:
        """A message was given to a link for the first time."""

    def settled(self, delivery: Delivery) -> None:
        """The outcome of a message is known."""

    def held(self, delivery: Delivery) -> None:
        """One more courier keeps a copy of a message that waits."""

    def keep_cast(self, message: Pub) -> None:
        """Keep a message to many, as it went out or came in, for those who come later."""

    def warn(self, peer_id: PeerId, text: str) -> None:
        """Tell the user something about a message to a peer."""


class Settling:
    """Knows our messages without an outcome, and brings their outcomes about. The sender creates and owns it.

    :param outcomes: told of them.
    :param keep_s: for so many seconds what cannot be delivered waits until it can; 0: it has failed.
    :param go: sends a message.
    :param tally: where they are counted.
    :param deposits: lets others keep copies of what waits; None: nobody does.
    """

    def __init__(
        self,
        hood: Neighbourhood,
        outcomes: Outcomes,
        keep_s: float,
        go: Callable[[Delivery], None],
        tally: Tally,
        deposits: Deposits | None,
    ) -> None:
        self.pending = Deliveries()
        self._hood = hood
        self._keep_s = keep_s
        self._tally = tally
        self._deposits = deposits
        self._outcomes = outcomes
        self._go = go
        self._count = 0
        #: Why nothing is sent any more; empty while all is.
        self._stopped = ""
        self._outbox: Outbox | None = None
        if keep_s:
            self._outbox = Outbox(hood.now, keep_s, go, self._has_way, self._stands_behind, self.expire)

    # A message comes.

    def new(self, msg_id: str, dst: PeerId, payload: str, began_at_s: float) -> Delivery:
        """Make a message that the user said at a time, in seconds of the router's clock."""
        self._count += 1
        # Nothing is due before it goes.
        return Delivery(msg_id, dst, payload, began_at_s, float("inf"), self._count)

    def kept(self, delivery: Delivery) -> None:
        """A message is written down, so that it may go."""
        delivery.is_kept = True
        if delivery.is_over:
            return  # it was cancelled meanwhile
        if self._outbox is not None and self._stopped:
            self.rest(delivery, NOT_CONFIRMED, self._stopped)
        elif self._outbox is None:
            self._go(delivery)
        else:
            self._outbox.add(delivery)
            if delivery.state is State.NEW and not self._has_way(delivery):
                self.tell_sought(delivery)  # though for an older one

    def resume(self, msg_id: str, dst: PeerId, payload: str, age_s: float, said_at_ms: int = 0) -> Delivery:
        """Take a message of an earlier run; it goes when its destination is seen.

        :param age_s: seconds since the user said it.
        :param said_at_ms: the time of day then; without it no courier gets it.
        """
        assert self._outbox is not None, "only what keeps has kept"
        delivery = self.new(msg_id, dst, payload, self._hood.now() - age_s)
        delivery.state = State.WAITING
        delivery.code, delivery.why = NOT_CONFIRMED, tr("p2pchat was stopped before a confirmation came")
        delivery.is_kept = delivery.is_told_waiting = True
        delivery.was_sent = None
        delivery.said_at_ms = said_at_ms
        self.pending.rest(delivery)
        self._outbox.resume(delivery)
        self._give_to_couriers(delivery)
        return delivery

    def cancel(self, delivery: Delivery) -> None:
        """Give up a message, as the user wants it."""
        if delivery.was_sent is None:
            sent = tr("it may have been sent, and have arrived, before p2pchat was started again")
        elif delivery.was_sent:
            sent = tr("it was sent before, so it may have arrived")
        else:
            sent = tr("it was never sent")
        away = [courier for courier in delivery.couriers if courier not in self._hood.neighbours]
        if away:
            told = tr("{sent}; {couriers} cannot be told and may hand over a copy")
            sent = told.format(sent=sent, couriers=tr(" and ").join(away))
        self.fail(delivery, CANCELLED, sent)

    def give_up(self, why: str) -> None:
        """End everything that is open: the node stops. What is kept is tried again at the next start."""
        self._stopped = why
        for delivery in self.pending:
            if self._outbox is None:
                self.fail(delivery, NOT_CONFIRMED, why)
            elif delivery.state is not State.WAITING and delivery.is_kept:
                self.rest(delivery, NOT_CONFIRMED, why)

    # What happens around us.

    def noticed(self, peer_id: str, *, is_new: bool = False) -> None:
        """A peer was heard of: what is kept for it is tried.

        :param is_new: it came just now.
        """
        if self._outbox is not None:
            self._outbox.noticed(peer_id, is_new=is_new)

    def neighbour_up(self, neighbour: Neighbour) -> None:
        """A link with a peer stands: it is there, and may know the way to others."""
        if self._outbox is not None:
            self._outbox.noticed(neighbour.peer_id, is_new=True)
            if not neighbour.plain:
                self._outbox.neighbour_came()

    def tick(self) -> None:
        """Do what is due."""
        if self._outbox is not None:
            self._outbox.tick()

    def must_wait(self, delivery: Delivery) -> bool:
        """Whether a message that is sent again would overtake an older one to the same peer."""
        return self._outbox is not None and self._outbox.must_wait(delivery)

    def open_to(self, dst: str) -> list[Delivery]:
        """Return all kept messages to a peer that have no outcome, in the order in which they were said."""
        return [] if self._outbox is None else self._outbox.open_to(dst)

    def before(self, delivery: Delivery) -> Iterator[Delivery]:
        """Yield those to the same peer without an outcome that were said before, the last one first."""
        return iter(()) if self._outbox is None else self._outbox.before(delivery)

    # Outcomes.

    def tell_sought(self, delivery: Delivery) -> None:
        """Tell, the first time, that a way to the destination of a message is looked for."""
        if not delivery.is_told_sought:
            delivery.is_told_sought = True
            self._outcomes.seeks(delivery)

    def postpone(self, delivery: Delivery, code: str, why: str) -> None:
        """Let a message wait that cannot be delivered now; where nothing is kept, it has failed."""
        if self._outbox is None:
            self.fail(delivery, code, why)
        elif self._hood.now() - delivery.began_at_s >= self._keep_s:
            delivery.code, delivery.why = str(code), why
            self.expire(delivery)
        else:
            self.rest(delivery, code, why)

    def rest(self, delivery: Delivery, code: str, why: str, *, quietly: bool = False) -> None:
        """Let a message wait that was under way.

        :param quietly: it is about to go again, and nobody need know.
        """
        assert self._outbox is not None, "only what keeps lets wait"
        is_new = delivery.state is State.NEW
        self._wait(delivery, code, why, quietly=quietly)
        if not (is_new or delivery.is_over):  # who is told may take it back
            self._outbox.put_back(delivery)
            self._outbox.tell_behind(delivery.dst)

    def _wait(self, delivery: Delivery, code: str, why: str, *, quietly: bool = False) -> None:
        delivery.state = State.WAITING
        delivery.code, delivery.why = str(code), why
        self.pending.rest(delivery)
        if not (quietly or delivery.is_told_waiting):
            delivery.is_told_waiting = True
            self._tally.postponed += 1
            self._give_to_couriers(delivery)
            self._outcomes.waits(delivery)

    def _give_to_couriers(self, delivery: Delivery) -> None:
        if self._deposits is not None:
            self._deposits.waits(delivery)

    def _stands_behind(self, delivery: Delivery, older: Delivery) -> None:
        # What stands in the way of the older one stands in the way of both.
        code = older.code or NOT_CONFIRMED
        self._wait(delivery, code, tr("an older message to {peer} waits").format(peer=delivery.dst))

    def expire(self, delivery: Delivery) -> None:
        """End a message that has waited for too long."""
        why = tr("it waited for {days:.0f} days; the last time: {why}")
        self.fail(delivery, delivery.code, why.format(days=self._keep_s / _DAY_S, why=delivery.why))

    def fail(self, delivery: Delivery, code: str, why: str) -> None:
        """End a message that did not reach its destination, as far as is known."""
        delivery.state = State.FAILED
        delivery.code = str(code)
        delivery.why = why
        self._tally.failed += 1
        self.settle(delivery)

    def settle(self, delivery: Delivery) -> None:
        """Tell the outcome of a message."""
        self.pending.close(delivery)
        self._outcomes.settled(delivery)
        if self._deposits is not None:
            self._deposits.settled(delivery)
        if self._outbox is not None:
            self._outbox.settled(delivery)

    # Inside.

    def _has_way(self, delivery: Delivery) -> bool:
        is_linked = delivery.dst in self._hood.neighbours
        return is_linked or self._hood.routes.best(delivery.dst, self._hood.now()) is not None
