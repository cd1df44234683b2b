"""Messages of ours that wait for their destination: in order, until it is seen again (docs/protocol.md, 12).

A message that could not be delivered is not lost: it rests here, and goes out when its destination is heard
of, or after a while that grows. Those to one peer go in the order in which they were said.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from heapq import merge

from msgspec import Struct

from p2pchat.protocol.names import PeerId
from p2pchat.routing.delivery import Delivery, State

#: Seconds after which a message that nobody confirmed is given up: seven days.
EXPIRY_S = 7 * 24 * 3600.0

#: Seconds until a peer of which nothing is heard is tried again: the first wait doubles up to the longest.
#: Whoever comes back is mostly heard of before.
FIRST_WAIT_S = 15.0
LONGEST_WAIT_S = 600.0

#: Seconds after the start until what an earlier run has kept is tried: the first links are made meanwhile.
RESUME_S = 2.0

#: Peers that are sought at once when there is a new neighbour, which may know a way to them. Each costs a
#: question that goes all around.
SOUGHT_AT_ONCE = 16

#: Seconds between two rounds of tries, whatever is heard of a peer: each sign of life of one whom nothing
#: reaches would begin another.
PAUSE_S = 5.0

#: Messages to one peer that are under way at once: enough to keep a link busy, and few enough to leave room
#: in its queue for what goes to others.
WINDOW = 256

#: Seconds between two looks for what is due or expired.
LOOK_S = 1.0


class Shelf(Struct, eq=False):
    """What waits for one peer, and what is on its way to it. The outbox creates, owns and ends it.

    :param waiting: oldest first.
    :param flying: by msg_id, in the order in which they were said.
    :param next_at_s: when it is tried again, in seconds of the router's clock; 0 while there is no trouble.
    :param tried_at_s: when the last round began.
    :param rounds: rounds in a row that came to nothing.
    :param is_releasing: what may go is just being let go.
    """

    waiting: list[Delivery]
    flying: dict[str, Delivery]
    next_at_s: float = 0.0
    tried_at_s: float = 0.0
    rounds: int = 0
    is_releasing: bool = False


class Outbox:
    """Holds what waits, and says what may go. `Settling` creates and owns it.

    :param now: monotonic seconds.
    :param keep_s: seconds after which a message that nobody confirmed is given up.
    :param go: lets a message go.
    :param has_way: whether a way to the destination of a message is known.
    :param stands_behind: told of a message that waits because an older one to its peer does, and of that.
    :param expired: told of a message that waited too long.
    """

    def __init__(
        self,
        now: Callable[[], float],
        keep_s: float,
        go: Callable[[Delivery], None],
        has_way: Callable[[Delivery], bool],
        stands_behind: Callable[[Delivery, Delivery], None],
        expired: Callable[[Delivery], None],
    ) -> None:
        self._now = now
        self._keep_s = keep_s
        self._go = go
        self._has_way = has_way
        self._stands_behind = stands_behind
        self._expired = expired
        self._shelves: dict[str, Shelf] = {}
        self._look_at_s = 0.0

    def __len__(self) -> int:
        """Return for how many peers something waits or is on its way."""
        return len(self._shelves)

    def add(self, delivery: Delivery) -> None:
        """Take a message of the user's, which goes at once unless older ones to its destination wait.

        Who has just typed something wants it to be tried, however long the next round is away.
        """
        shelf = self._shelves.get(delivery.dst)
        if shelf is None:
            shelf = self._shelves[delivery.dst] = Shelf([], {})
        insort(shelf.waiting, delivery, key=_number)
        if self._may_begin(shelf):
            self._release(shelf)
        if shelf.next_at_s:
            self.tell_behind(delivery.dst)

    def resume(self, delivery: Delivery) -> None:
        """Take a message of an earlier run, which goes when its destination is seen, or soon."""
        shelf = self._shelves.setdefault(delivery.dst, Shelf([], {}, next_at_s=self._now() + RESUME_S))
        insort(shelf.waiting, delivery, key=_number)

    def put_back(self, delivery: Delivery) -> None:
        """Let a message wait that could not be delivered now."""
        shelf = self._shelves[delivery.dst]
        del shelf.flying[delivery.msg_id]
        insort(shelf.waiting, delivery, key=_number)
        if not self.is_behind(delivery):
            wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(shelf.rounds, 32))
            shelf.rounds += 1
            shelf.next_at_s = self._now() + wait_s
        elif not (shelf.flying or shelf.next_at_s):
            self._release(shelf)  # a round has begun in which there was no room beside this one

    def tell_behind(self, dst: PeerId) -> None:
        """Tell of those that wait, since just now, only because others to the same peer do."""
        shelf = self._shelves.get(dst)
        if shelf is not None and shelf.next_at_s and shelf.waiting:
            oldest = shelf.waiting[0]
            for delivery in [other for other in shelf.waiting if other.state is State.NEW]:
                self._stands_behind(delivery, oldest)

    def is_behind(self, delivery: Delivery) -> bool:
        """Whether an older message to the same peer has no outcome yet."""
        shelf = self._shelves.get(delivery.dst)
        if shelf is None:
            return False
        return any(
            other.number < delivery.number for other in (*shelf.waiting[:1], *list(shelf.flying.values())[:1])
        )

    def open_to(self, dst: str) -> list[Delivery]:
        """Return all messages to a peer that have no outcome, in the order in which they were said."""
        shelf = self._shelves.get(dst)
        return [] if shelf is None else sorted((*shelf.flying.values(), *shelf.waiting), key=_number)

    def before(self, delivery: Delivery) -> Iterator[Delivery]:
        """Yield those to the same peer without an outcome that were said before, the last one first."""
        shelf = self._shelves.get(delivery.dst)
        if shelf is not None:
            waiting = shelf.waiting[: bisect_left(shelf.waiting, delivery.number, key=_number)]
            flying = (other for other in reversed(shelf.flying.values()) if other.number < delivery.number)
            # Mostly no older one waits, and to merge costs more than all else here.
            yield from merge(flying, reversed(waiting), key=_number, reverse=True) if waiting else flying

    def must_wait(self, delivery: Delivery) -> bool:
        """Whether a message that is sent again would overtake an older one to the same peer.

        Behind one that goes again, too, it may go over the link with that peer itself.
        """
        oldest = self._shelves[delivery.dst].waiting[:1]
        is_behind_waiting = bool(oldest) and oldest[0].number < delivery.number
        return is_behind_waiting or (delivery.via != delivery.dst and self.is_behind(delivery))

    def settled(self, delivery: Delivery) -> None:
        """The outcome of a message is known: the next one may go."""
        shelf = self._shelves.get(delivery.dst)
        if shelf is None:
            return
        if shelf.flying.pop(delivery.msg_id, None) is None and delivery in shelf.waiting:
            shelf.waiting.remove(delivery)
        if delivery.state is State.CONFIRMED:
            shelf.rounds = 0
            shelf.next_at_s = 0.0
        if not (shelf.waiting or shelf.flying):
            del self._shelves[delivery.dst]
        elif shelf.waiting and not shelf.next_at_s:
            self._release(shelf)

    def noticed(self, peer_id: str, *, is_new: bool = False) -> None:
        """A peer was heard of: what waits for it may go.

        :param is_new: there is a way to it that was not there before, so that it need not wait.
        """
        shelf = self._shelves.get(peer_id)
        if shelf is None:
            return
        if is_new:
            shelf.rounds = 0
        if is_new or self._may_begin(shelf):
            self._release(shelf)

    def neighbour_came(self) -> None:
        """Somebody is linked who may know a way to those for whom something waits."""
        asleep = [shelf for shelf in self._shelves.values() if shelf.next_at_s and self._may_begin(shelf)]
        asleep.sort(key=lambda shelf: shelf.tried_at_s)
        for shelf in asleep[:SOUGHT_AT_ONCE]:
            self._release(shelf)

    def tick(self) -> None:
        """Try again where it is time, and give up what is too old."""
        now_s = self._now()
        if now_s < self._look_at_s:
            return
        self._look_at_s = now_s + LOOK_S
        for shelf in list(self._shelves.values()):
            while shelf.waiting and now_s - shelf.waiting[0].began_at_s >= self._keep_s:
                self._expired(shelf.waiting[0])  # which settles it
            if 0.0 < shelf.next_at_s <= now_s:
                self._release(shelf)

    def _may_begin(self, shelf: Shelf) -> bool:
        return not shelf.next_at_s or self._now() >= shelf.tried_at_s + PAUSE_S

    def _release(self, shelf: Shelf) -> None:
        """Let go what may go."""
        if shelf.is_releasing:
            return  # what went had its outcome at once
        shelf.is_releasing = True
        try:
            self._let_go(shelf)
        finally:
            shelf.is_releasing = False

    def _let_go(self, shelf: Shelf) -> None:
        now_s = self._now()
        if shelf.next_at_s:
            # A round: where it comes to nothing, the next one is later.
            shelf.next_at_s = 0.0
            shelf.tried_at_s = now_s
        while shelf.waiting and not shelf.next_at_s and self._has_room(shelf):
            delivery = shelf.waiting.pop(0)
            if delivery.state is State.WAITING:
                delivery.begin_again(now_s)
            self._fly(shelf, delivery)
            self._go(delivery)
            if delivery.state is State.WAITING:
                break  # there was no room for it

    @staticmethod
    def _fly(shelf: Shelf, delivery: Delivery) -> None:
        last = next(reversed(shelf.flying.values()), None)
        shelf.flying[delivery.msg_id] = delivery
        if last is not None and last.number > delivery.number:  # it waited, and goes again
            shelf.flying = dict(sorted(shelf.flying.items(), key=lambda item: item[1].number))

    def _has_room(self, shelf: Shelf) -> bool:
        """Whether another message may go, and none overtake the one before."""
        if not shelf.flying:
            return True
        if len(shelf.flying) >= WINDOW:
            return False
        first = next(iter(shelf.flying.values()))
        if first.state is State.SEEKING or not self._has_way(first):
            return False
        # On the link with the peer itself nothing is overtaken. A relay may lose one and not the next, which
        # waits there then (`order.py`); so there should not be many.
        return first.via == first.dst or not (first.is_late or first.tries > 1)


def _number(delivery: Delivery) -> int:
    return delivery.number
