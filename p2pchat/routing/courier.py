"""What we keep for peers that are away, and hand over when they come (docs/protocol.md, section 12.4).

A courier sends what it keeps just as it sends its own: with another `Sender`, whose messages are sealed
already, and whose confirmations must have a receipt that only their destination can make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import attrs
from msgspec import UNSET, Struct
from msgspec.structs import replace

from p2pchat.protocol.codec import check_size
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import ORIGIN_TTL, Ack, Held, Hold, Pub, Send
from p2pchat.protocol.names import PeerId
from p2pchat.protocol.protection import Protection
from p2pchat.routing.delivery import Delivery, State
from p2pchat.routing.deposits import KEEP_S
from p2pchat.routing.discovery import Discovery
from p2pchat.routing.envelopes import Envelopes
from p2pchat.routing.neighbourhood import Neighbour, Neighbourhood, Tally
from p2pchat.routing.sender import Sender
from p2pchat.routing.trust import Belief, NoTrust, Trust

#: Seconds between two looks for what was kept long enough.
LOOK_S = 10.0


@attrs.frozen
class Room:
    """How much is kept at most."""

    messages: int
    size: int


#: For one sender, for one recipient, and in all; sizes in bytes. All of it is in memory, too.
PER_SENDER = Room(256, 1 << 20)
PER_RECIPIENT = Room(512, 2 << 20)
IN_ALL = Room(4096, 16 << 20)

#: What a message is taken to need beside what is sealed, in bytes.
_OVERHEAD = 512


class Load(Struct, eq=False):
    """A message that is kept for somebody. The courier creates and ends it.

    :param hold: it, as its sender gave it.
    :param ends_at_s: until when, in seconds of the router's clock.
    :param delivery: how it fares; None where it was handed over.
    :param ack: the confirmation, for its sender; None before.
    """

    hold: Hold
    ends_at_s: float
    delivery: Delivery | None = None
    ack: Ack | None = None

    @property
    def size(self) -> int:
        """Bytes that it counts for."""
        return len(self.hold.sealed) + _OVERHEAD


class Custody(Protocol):
    """Writes down what is kept, for the next run, too."""

    def keep(self, load: Load, for_s: float, then: Callable[[], None]) -> None:
        """Write down something that is kept for so many seconds, or how it fared; go on once that is done."""

    def drop(self, msg_id: str) -> None:
        """It is kept no longer."""


class Courier:
    """Keeps messages for others and hands them over. The router creates and owns it.

    :param custody: writes them down.
    :param trust: knows which receipts fit.
    """

    def __init__(self, hood: Neighbourhood, discovery: Discovery, custody: Custody, trust: Trust) -> None:
        self.handed_over = 0
        self.refused = 0
        self.expired = 0
        self._hood = hood
        self._custody = custody
        #: By msg_id: 128 random bits, with those who ask for this.
        self._loads: dict[str, Load] = {}
        #: What is kept of each sender and for each recipient.
        self._shares: dict[tuple[str, str], Room] = {}
        self._look_at_s = hood.now()
        envelopes = _SealedAlready(hood, trust, self._loads)
        receipts = _Receipts(trust, self._loads)
        self.sender = Sender(hood, discovery, self, envelopes, receipts, KEEP_S, Tally())

    @property
    def loads(self) -> list[Load]:
        """What is kept, and was not handed over yet."""
        return [load for load in self._loads.values() if load.ack is None]

    def sizes(self) -> dict[str, int]:
        """Tell how much is kept, and what was counted."""
        loads = self.loads
        return {
            "courier_messages": len(loads),
            "courier_bytes": sum(load.size for load in loads),
            "courier_recipients": len({load.hold.dst for load in loads}),
            "courier_receipts": len(self._loads) - len(loads),
            "courier_handed_over": self.handed_over,
            "courier_refused": self.refused,
            "courier_expired": self.expired,
        }

    # Who gives us something.

    def on_hold(self, neighbour: Neighbour, message: Hold) -> None:
        """Take a message, or give it up.

        :raises ProtocolError: it is not of the neighbour that brought it.
        """
        if message.src != neighbour.peer_id:
            raise ProtocolError(ErrorCode.UNAUTHORIZED, "a HOLD is only for what its sender says itself")
        load = self._loads.get(message.msg_id)
        if load is not None and load.hold.src != message.src:
            self._refuse(neighbour, message, ErrorCode.BUSY)
        elif message.for_s == 0:
            if load is not None:
                self._end(load)
        elif load is None:
            self._take(neighbour, message)
        elif load.ack is not None:
            self._hood.answer(neighbour, load.ack)
        else:
            self._say_held(neighbour, load)

    def _take(self, neighbour: Neighbour, message: Hold) -> None:
        why_not = self._why_not(neighbour, message)
        if why_not is not None:
            self._refuse(neighbour, message, why_not)
            return
        load = Load(message, self._hood.now() + min(float(message.for_s), KEEP_S))
        self._add(load)
        self._custody.keep(load, load.ends_at_s - self._hood.now(), lambda: self._written(load))

    def _why_not(self, neighbour: Neighbour, message: Hold) -> ErrorCode | None:
        if message.dst in (message.src, self._hood.own) or not (message.sealed and message.lock):
            return ErrorCode.BAD_FORMAT
        try:
            check_size(_handed_over(message, str(self._hood.own)))
        except ProtocolError as problem:
            return problem.code
        size = len(message.sealed) + _OVERHEAD
        for who, most in ((("src", message.src), PER_SENDER), (("dst", message.dst), PER_RECIPIENT)):
            if not _fits(self._share(*who), size, most):
                return ErrorCode.OVER_QUOTA
        if not self._hood.quota(neighbour).floods.take(self._hood.now()):
            return ErrorCode.OVER_QUOTA
        return None if _fits(self._share("all", ""), size, IN_ALL) else ErrorCode.BUSY

    def _refuse(self, neighbour: Neighbour, message: Hold, code: ErrorCode) -> None:
        self.refused += 1
        held = Held(message.msg_id, str(self._hood.own), message.src, reason=code.value)
        self._hood.answer(neighbour, held)

    def _written(self, load: Load) -> None:
        """It is sure that a message is not lost here: say so, and try to hand it over."""
        if self._loads.get(load.hold.msg_id) is load:  # else it was given up meanwhile
            self._begin(load)
            neighbour = self._hood.neighbours.get(load.hold.src)
            if neighbour is not None:
                self._say_held(neighbour, load)

    def _say_held(self, neighbour: Neighbour, load: Load) -> None:
        for_s = max(1, int(load.ends_at_s - self._hood.now()))
        self._hood.answer(neighbour, Held(load.hold.msg_id, str(self._hood.own), load.hold.src, for_s=for_s))

    def resume(self, hold: Hold, for_s: float, ack: Ack | None) -> None:
        """Take up what an earlier run kept, for so many seconds yet."""
        load = Load(hold, self._hood.now() + min(for_s, KEEP_S), ack=ack)
        self._add(load)
        if ack is None:
            self._begin(load)

    def _begin(self, load: Load) -> None:
        """Let it go out as soon as its recipient is seen."""
        hold, age_s = load.hold, KEEP_S - (load.ends_at_s - self._hood.now())
        load.delivery = self.sender.settling.resume(hold.msg_id, PeerId(hold.dst), "", age_s)

    # Who gets it.

    def on_ack(self, neighbour: Neighbour, message: Ack) -> None:
        """Look whether a confirmation is about something that is kept here; it is for its sender as well."""
        load = self._loads.get(message.msg_id)
        if load is None or load.delivery is None or message.dst not in (load.hold.src, "", self._hood.own):
            return
        self.sender.on_ack(neighbour, message)
        if load.delivery.state is not State.CONFIRMED:
            return
        self.handed_over += 1
        self._count(load, -1)
        load.hold = replace(load.hold, sealed="")
        self._count(load, 1)
        load.delivery = None
        load.ack = replace(message, dst=load.hold.src, ttl=ORIGIN_TTL)
        self._custody.keep(load, load.ends_at_s - self._hood.now(), lambda: None)

    def on_refusal(self, neighbour: Neighbour, msg_id: str, code: str, detail: str) -> bool:
        """Take a refusal of something that is kept here; False where it is about something else."""
        return self.sender.on_refusal(neighbour, msg_id, code, detail)

    def neighbour_up(self, neighbour: Neighbour) -> None:
        """Tell a sender what became of its messages while it was away, and hand over what is for it."""
        for load in self._loads.values():
            if load.ack is not None and load.hold.src == neighbour.peer_id:
                self._hood.answer(neighbour, load.ack)
        self.sender.settling.neighbour_up(neighbour)

    def tick(self) -> None:
        """Do what is due."""
        self.sender.tick()
        now_s = self._hood.now()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_S
            for load in [load for load in self._loads.values() if load.ends_at_s <= now_s]:
                self.expired += load.ack is None
                self._end(load)

    # What becomes of it: `settling.Outcomes`. Nobody here is told, for it is not ours.

    def taken(self, delivery: Delivery, then: Callable[[], None]) -> None:
        """It was written down before."""

    def seeks(self, delivery: Delivery) -> None:
        """Its recipient is looked for."""

    def waits(self, delivery: Delivery) -> None:
        """It is tried again."""

    def sent(self, delivery: Delivery) -> None:
        """It is on its way."""

    def settled(self, delivery: Delivery) -> None:
        """Its recipient refuses it, or it was kept long enough; or see `on_ack`."""
        load = self._loads.get(delivery.msg_id)
        if load is not None and delivery.state is State.FAILED:
            self.expired += self._hood.now() >= load.ends_at_s
            load.delivery = None
            self._end(load)

    def held(self, delivery: Delivery) -> None:
        """A courier gives nothing to another one."""

    def keep_cast(self, message: Pub) -> None:
        """A courier says nothing to many."""

    def warn(self, peer_id: PeerId, text: str) -> None:
        """There are no warnings."""

    # What is kept.

    def _add(self, load: Load) -> None:
        self._loads[load.hold.msg_id] = load
        self._count(load, 1)

    def _end(self, load: Load) -> None:
        del self._loads[load.hold.msg_id]
        self._count(load, -1)
        if load.delivery is not None:
            self.sender.settling.cancel(load.delivery)
        self._custody.drop(load.hold.msg_id)

    def _share(self, role: str, name: str) -> Room:
        return self._shares.get((role, name), Room(0, 0))

    def _count(self, load: Load, sign: int) -> None:
        for who in (("src", load.hold.src), ("dst", load.hold.dst), ("all", "")):
            share = self._share(*who)
            share = Room(share.messages + sign, share.size + sign * load.size)
            if share.messages:
                self._shares[who] = share
            else:
                del self._shares[who]


def _fits(share: Room, size: int, most: Room) -> bool:
    return share.messages < most.messages and share.size + size <= most.size


def _handed_over(hold: Hold, courier: str) -> Send:
    """Return what is kept as it goes to its recipient."""
    return Send(hold.msg_id, hold.src, hold.dst, "", ttl=ORIGIN_TTL, sealed=hold.sealed, courier=courier)


class _SealedAlready(Envelopes):
    """Writes what others have sealed.

    :param loads: what is kept, by msg_id.
    """

    def __init__(self, hood: Neighbourhood, trust: Trust, loads: dict[str, Load]) -> None:
        super().__init__(hood, trust)
        self._loads = loads

    def bare(self, delivery: Delivery) -> Send:
        """Return a message as its sender has sealed it."""
        return _handed_over(self._loads[delivery.msg_id].hold, self._own)

    def wrap(self, delivery: Delivery) -> Send:
        """Return the same."""
        return self.bare(delivery)

    def write(self, hop: Neighbour, delivery: Delivery, before: Iterator[Delivery]) -> bytes:
        """Return the line of the next copy.

        :raises ProtocolError: the next hop could not open what is sealed.
        """
        if hop.plain:
            raise ProtocolError(ErrorCode.UNAUTHORIZED, f"{hop.peer_id} cannot open what is sealed")
        return super().write(hop, delivery, before)

    def _last(self, delivery: Delivery, before: Iterator[Delivery]) -> Delivery | None:
        """Return the last one of the same sender."""
        src = self._loads[delivery.msg_id].hold.src
        return next((other for other in before if self._loads[other.msg_id].hold.src == src), None)

    def signature(self, delivery: Delivery, ack: Ack) -> str:
        """Nobody here knows it."""
        return ""

    @staticmethod
    def protection(hop: Neighbour, delivery: Delivery) -> Protection:
        """Nobody here can open it."""
        return Protection.SEALED


class _Receipts(NoTrust):
    """Believes a confirmation whose receipt fits.

    :param loads: what is kept, by msg_id.
    """

    def __init__(self, trust: Trust, loads: dict[str, Load]) -> None:
        self._trust = trust
        self._loads = loads

    def believes_ack(self, ack: Ack, dst: str, sig: str) -> Belief:
        """Whether only the recipient can have sent it."""
        fits = ack.receipt is not UNSET and self._trust.fits(ack.receipt, self._loads[ack.msg_id].hold.lock)
        return Belief.PROVED if fits else Belief.FORGED
