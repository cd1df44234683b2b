"""Messages on their way to one peer: tries, waits, outcome (docs/protocol.md, section 5).

Plain classes and a sweep, not a machine and a timer for each: this is the path of every message,
and a timer alone costs more than reading the message does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum

import attrs
from msgspec import Struct

from p2pchat.protocol.messages import Send
from p2pchat.protocol.names import PeerId
from p2pchat.protocol.protection import Protection

#: Seconds that each try waits for its ACK; their number is the number of tries.
ACK_WAITS_S = (5.0, 7.5, 10.0)

#: Tries that may be refused on the way and made again at once over another way, beyond those: liars must
#: not keep a message going round for ever.
MAX_REROUTED = 3

#: Seconds after which no relay remembers a copy any more, so that copies may be numbered from 1 again.
FORGOTTEN_S = 180.0

#: Messages that may wait for their outcome at once. What is beyond is refused as `busy`.
MAX_PENDING = 10_000


class State(Enum):
    """Where a message is.

    New ones are being written down, or stand behind others to the same peer. Waiting ones could not be
    delivered, and are tried again later.
    """

    NEW = "new"
    WAITING = "waiting"
    SEEKING = "seeking"
    SENT = "sent"
    CONFIRMED = "confirmed"
    FAILED = "failed"


class Delivery(Struct, eq=False, gc=False):
    """One message to one peer, from the user's word to its outcome. The sender creates it.

    :param number: which message of ours it is: those to one peer go in this order.
    :param began_at_s: when the user said it, in seconds of the router's clock.
    :param deadline_s: when something is due: half of the wait for the ACK, its end, the end of a search.
    :param tries: how often it was sent.
    :param copies: how often it was given to a link: later tries go over several ways at once.
    :param rerouted: tries that were refused on the way and made again over another.
    :param is_late: half of the time that the last try waits for its ACK is over.
    :param via: the next hop of the last try.
    :param beside: the other next hops of the last try.
    :param hops: the next hops of all tries, in order.
    :param refusals: tries that were refused.
    :param refused: which try that was last, counted from 1; 0 where none was.
    :param refusal: the code that it was refused with.
    :param sent_at_s: when the last try was sent, or will have left, behind what waits before it.
    :param took_s: with `State.CONFIRMED`, seconds from the user's word to the confirmation.
    :param code: with `State.FAILED`, the name of the failure.
    :param why: with `State.FAILED`, what happened, for people.
    :param wrapped: the message as relays may have it, once that was made.
    :param sig: our signature on it, which its confirmation must cover; empty where there is none.
    :param card_by_s: when the card of its destination is waited for no longer; 0 where it never was.
    :param protection: who else can read or change the last try.
    :param is_proved: with `State.CONFIRMED`, nobody but the destination can have said so.
    :param rounds: how often it was given up for a while.
    :param was_sent: a link took it; None: an earlier run had it, which may have sent it.
    :param is_kept: it is written down.
    :param is_told_sought: the user was told that a way to its destination is looked for.
    :param is_told_waiting: the user was told that it waits.
    :param said_at_ms: when the user said it, in ms since 1970; 0 where nothing is kept.
    :param couriers: the neighbours that keep a copy of it, as far as they say.
    :param trouble: what a peer said about it on the way, for the case that it fails.
    """

    msg_id: str
    dst: PeerId
    payload: str
    began_at_s: float
    deadline_s: float
    number: int = 0
    state: State = State.NEW
    tries: int = 0
    copies: int = 0
    rerouted: int = 0
    is_late: bool = False
    via: PeerId = PeerId()
    beside: tuple[PeerId, ...] = ()
    hops: tuple[PeerId, ...] = ()
    refusals: int = 0
    refused: int = 0
    refusal: str = ""
    sent_at_s: float = 0.0
    took_s: float = 0.0
    code: str = ""
    why: str = ""
    trouble: str = ""
    wrapped: Send | None = None
    sig: str = ""
    card_by_s: float = 0.0
    protection: Protection = Protection.NONE
    is_proved: bool = False
    rounds: int = 0
    was_sent: bool | None = False
    is_kept: bool = False
    is_told_sought: bool = False
    is_told_waiting: bool = False
    said_at_ms: int = 0
    couriers: tuple[PeerId, ...] = ()

    def begin_again(self, now_s: float) -> None:
        """Forget how the tries of the last round went: the next ones are counted anew.

        It is sealed anew too, since what is old is taken for a replay.
        """
        self.rounds += 1
        if now_s - self.sent_at_s >= FORGOTTEN_S:
            self.copies = 0
        self.tries = self.rerouted = self.refusals = self.refused = 0
        self.hops = self.beside = ()
        self.refusal = self.trouble = self.sig = ""
        self.card_by_s = 0.0
        self.wrapped = None

    @property
    def counted(self) -> int:
        """Tries, without those that are known to have ended on the way."""
        return self.tries - min(self.rerouted, MAX_REROUTED)

    @property
    def is_last(self) -> bool:
        """It is not tried again."""
        return self.counted >= len(ACK_WAITS_S)

    @property
    def is_over(self) -> bool:
        """It is confirmed or failed."""
        return self.state is State.CONFIRMED or self.state is State.FAILED


@attrs.define
class Deliveries:
    """Those whose outcome is open, by msg_id. `Settling` creates, owns and ends it.

    Those that rest, for nobody knows how long, are apart, so that nobody looks at them several times a
    second.
    """

    _open: dict[str, Delivery] = attrs.Factory(dict)
    _resting: dict[str, Delivery] = attrs.Factory(dict)

    def __len__(self) -> int:
        """Return how many are under way."""
        return len(self._open)

    def __iter__(self) -> Iterator[Delivery]:
        """Yield all, those that rest too, in the order in which the user said them."""
        return iter(sorted([*self._open.values(), *self._resting.values()], key=_number))

    @property
    def resting(self) -> int:
        """How many rest."""
        return len(self._resting)

    @property
    def full(self) -> bool:
        """No more can be taken."""
        return len(self._open) + len(self._resting) >= MAX_PENDING

    def add(self, delivery: Delivery) -> None:
        """Await the outcome of *delivery*."""
        self._resting.pop(delivery.msg_id, None)
        self._open[delivery.msg_id] = delivery

    def rest(self, delivery: Delivery) -> None:
        """Await it, while nothing is done about it."""
        self._open.pop(delivery.msg_id, None)
        self._resting[delivery.msg_id] = delivery

    def get(self, msg_id: str) -> Delivery | None:
        """Find the one that an answer is about."""
        return self._open.get(msg_id) or self._resting.get(msg_id)

    def close(self, delivery: Delivery) -> None:
        """Its outcome is known."""
        self._open.pop(delivery.msg_id, None)
        self._resting.pop(delivery.msg_id, None)

    def to(self, dst: str, state: State) -> list[Delivery]:
        """Those under way to one peer that are in *state*, oldest first."""
        found = [
            delivery for delivery in self._open.values() if delivery.dst == dst and delivery.state is state
        ]
        return sorted(found, key=_number)

    def through(self, hop: str) -> list[Delivery]:
        """Those that were sent to one neighbour last, and not answered, oldest first."""
        found = [
            delivery
            for delivery in self._open.values()
            if delivery.via == hop and delivery.state is State.SENT
        ]
        return sorted(found, key=_number)

    def sweep(self, now_s: float, overdue: Callable[[Delivery], None]) -> None:
        """Call *overdue* with each whose deadline has passed."""
        for delivery in [found for found in self._open.values() if found.deadline_s <= now_s]:
            if delivery.msg_id in self._open:  # an outcome that is told may bring about another
                overdue(delivery)


def _number(delivery: Delivery) -> int:
    return delivery.number
