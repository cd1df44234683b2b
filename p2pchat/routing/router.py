"""What to do with a message that arrived, or that the user wants to send (docs/protocol.md, 4, 5, 8).

::

    Router           shows what is for us, confirms it, and hands the rest to
      Sender         our own messages: over which way, when again
      Settling       what becomes of them; with the Outbox of those that wait
      Deposits       copies of those, with couriers
      Courier        what we keep for others that are away
      Envelopes      the form in which they leave: bare, signed, sealed
      Relay          messages of others to one peer: passed on, refused
      Returns        what goes back: ACKs, ERRORs, relay reports
      Order          messages to us that came too early
      Flood          messages of others to many
      Past           what was said to our namespace before
      Discovery      WHO_HAS, asked and answered
      Neighbourhood  what they share: neighbours, routes, quotas, counters
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from msgspec import UNSET

from p2pchat.allowance import Allowance
from p2pchat.protocol.errors import MEANINGS, ErrorCode, ProtocolError
from p2pchat.protocol.messages import (
    Ack,
    Error,
    Held,
    Hold,
    Latest,
    Message,
    Pub,
    RelayFail,
    RelayOk,
    Send,
    TtlExpired,
    WhoHas,
    WhoHasHit,
)
from p2pchat.protocol.names import PeerId, ToAll, ToNamespace
from p2pchat.protocol.protection import Protection
from p2pchat.routing.courier import Courier, Custody
from p2pchat.routing.delivery import Deliveries, Delivery
from p2pchat.routing.deposits import Deposits
from p2pchat.routing.discovery import Discovery
from p2pchat.routing.envelopes import Envelopes, is_straight
from p2pchat.routing.flood import Flood
from p2pchat.routing.neighbourhood import HOLD_S, Neighbour, Neighbourhood, Tally, hops_of
from p2pchat.routing.order import Order
from p2pchat.routing.outbox import EXPIRY_S
from p2pchat.routing.past import Found, Past
from p2pchat.routing.relay import Relay
from p2pchat.routing.returns import Returns
from p2pchat.routing.routes import Routes
from p2pchat.routing.seen import Seen
from p2pchat.routing.sender import Sender
from p2pchat.routing.settling import Outcomes
from p2pchat.routing.trails import Trails
from p2pchat.routing.trust import NoTrust, Trust

#: Complaints of peers that the user is shown per second; the others are counted.
COMPLAINTS_PER_S = 5

#: Seconds between two looks for routes that expired.
SWEEP_S = 5.0


class House(Outcomes, Protocol):
    """What the router makes happen: the node."""

    def arrived(
        self,
        neighbour: Neighbour,
        message: Send | Pub,
        protection: Protection,
        by_text: bool,
        then: Callable[[bool], None],
    ) -> None:
        """Take a message that this run has not seen: write it down, show it if it is new, and go on.

        :param by_text: its source may use a msg_id for several texts.
        :param then: to be called once it is written down, and told whether it was new. In the order of the
            calls.
        """

    def after_all(self, then: Callable[[], None]) -> None:
        """Call *then* once all that arrived before is written down."""

    def casts(self) -> list[Pub]:
        """Return the last messages to our namespace that were kept, as they came, oldest first."""

    def seek(self, dst: PeerId) -> None:
        """Try to get a link with *dst*, if it is known where it is."""

    def complained(self, neighbour: Neighbour, error: Error) -> None:
        """A peer sent an ERROR that is about none of our messages."""


class Router:
    """Decides. The node creates and owns it, and tells it the time.

    :param own: who we are.
    :param now: monotonic seconds.
    :param new_id: makes a msg_id.
    :param trust: seals, signs and checks; None: nobody does.
    :param keeps: messages of ours that cannot be delivered wait until they can, and newcomers are told what
        was said last.
    :param custody: with that, others keep copies of them, and we keep those of others there; None: neither.
    """

    def __init__(
        self,
        own: PeerId,
        house: House,
        now: Callable[[], float],
        new_id: Callable[[], str],
        trust: Trust | None = None,
        keeps: bool = False,
        custody: Custody | None = None,
    ) -> None:
        self.complaints = Allowance(COMPLAINTS_PER_S)
        self.hood = Neighbourhood(own, now, new_id)
        self._trust = trust or NoTrust()
        self.discovery = Discovery(self.hood, self._trust, house.seek, self._found, self._heard)
        trails = Trails(now())
        self.relay = Relay(self.hood, self.discovery, trails)
        self.returns = Returns(self.hood, trails)
        self.flood = Flood(self.hood)
        self.envelopes = Envelopes(self.hood, self._trust)
        self.courier: Courier | None = None
        self.deposits: Deposits | None = None
        if keeps and custody is not None:
            self.courier = Courier(self.hood, self.discovery, custody, self._trust)
            self.deposits = Deposits(self.hood, self.envelopes, self._trust, self._open_to, house.held)
        self.past = Past(self.hood, self._trust, house.casts, self._show_past) if keeps else None
        keep_s = EXPIRY_S if keeps else 0.0
        self.sender = Sender(
            self.hood,
            self.discovery,
            house,
            self.envelopes,
            self._trust,
            keep_s,
            self.hood.tally,
            self.deposits,
        )
        #: Who sends from here: us, and who keeps messages of others.
        self._senders = [self.sender] if self.courier is None else [self.sender, self.courier.sender]
        self._own = own
        self._house = house
        self._now = now
        self._seen = Seen(now())
        self._order = Order(now, self._show_once)
        self._sweep_at_s = now()
        self._actions: dict[type[Message], Callable[[Neighbour, Any, bytes], None]] = {
            Send: self._on_send,
            Ack: self._on_ack,
            Pub: self._on_pub,
            WhoHas: self._on_who_has,
            WhoHasHit: self.discovery.on_hit,
            RelayOk: self._on_report,
            RelayFail: self._on_report,
            TtlExpired: self._on_report,
            Hold: self._on_hold,
            Held: self._on_held,
            Latest: self._on_latest,
            Error: self._on_error,
        }

    @property
    def tally(self) -> Tally:
        """What was counted."""
        return self.hood.tally

    @property
    def pending(self) -> Deliveries:
        """Our messages whose outcome is open."""
        return self.sender.pending

    @property
    def routes(self) -> Routes:
        """The ways that are known."""
        return self.hood.routes

    @property
    def is_waiting(self) -> bool:
        """Whether something may be due within a second."""
        is_handing_over = self.courier is not None and len(self.courier.sender.pending)
        return bool(len(self.pending) or len(self.discovery) or self.relay.parked or is_handing_over)

    def sizes(self) -> dict[str, int]:
        """Tell how much is held in each table, and what had no room."""
        return {
            "pending": len(self.pending),
            "messages_kept": self.pending.resting,
            "routes": len(self.routes),
            "routes_evicted": self.routes.evicted,
            "questions_open": len(self.discovery),
            "questions_not_asked": self.discovery.refused,
            "questions_remembered": self.discovery.remembered,
            "messages_parked": self.relay.parked,
            "messages_watched": self.relay.watched,
            "messages_remembered": self.relay.remembered,
            "casts_remembered": self.flood.remembered,
            "messages_seen": len(self._seen) + self._order.remembered,
            "messages_early": len(self._order),
            "messages_early_dropped": self._order.dropped,
            "complaints_not_shown": self.complaints.refused,
            "casts_past_waiting": 0 if self.past is None else len(self.past),
            "casts_past_refused": 0 if self.past is None else self.past.refused,
            "messages_with_couriers": 0 if self.deposits is None else len(self.deposits),
            **({} if self.courier is None else self.courier.sizes()),
        }

    def _open_to(self, dst: str) -> list[Delivery]:
        return self.sender.settling.open_to(dst)

    # The user wants to send.

    def send(self, dst: PeerId, payload: str, said_at_ms: int = 0) -> Delivery:
        """Send a text to one peer. What becomes of it is told by `House.settled`.

        :param said_at_ms: the time of day, in ms since 1970; 0 where nothing is kept, nor by a courier.
        :raises ProtocolError: it is too long, holds half a character, or too much waits already.
        """
        return self.sender.send(dst, payload, said_at_ms)

    def publish(self, to: ToNamespace | ToAll, payload: str) -> int:
        """Send a text to all neighbours whom it concerns; return how many links took it.

        :raises ProtocolError: it is too long, or holds half a character.
        """
        return self.sender.publish(to, payload)

    def give_up(self, why: str) -> None:
        """End everything that is open: the node stops."""
        self.sender.settling.give_up(why)
        if self.courier is not None:
            self.courier.sender.settling.give_up(why)

    def resume(self, msg_id: str, dst: PeerId, payload: str, age_s: float, said_at_ms: int = 0) -> Delivery:
        """Take a message of an earlier run; see `Settling.resume`."""
        return self.sender.settling.resume(msg_id, dst, payload, age_s, said_at_ms)

    def cancel(self, delivery: Delivery) -> None:
        """Give up a message, as the user wants it."""
        self.sender.settling.cancel(delivery)

    # What happens around us.

    def neighbour_up(self, neighbour: Neighbour) -> None:
        """A link with a peer stands: what waited for it can go."""
        self.hood.arrive(neighbour)
        self.discovery.noticed(neighbour.peer_id)
        self.discovery.neighbour_up(neighbour)
        self.sender.settling.neighbour_up(neighbour)
        if self.courier is not None:
            self.courier.neighbour_up(neighbour)
        if self.past is not None:
            self.past.neighbour_up(neighbour)

    def noticed(self, peer_id: PeerId) -> None:
        """It is known anew where a peer is: what is kept for it is tried."""
        for sender in self._senders:
            sender.settling.noticed(peer_id, is_new=True)

    def neighbour_down(self, neighbour: Neighbour, why: str) -> None:
        """The last link with a peer has ended: what it did not confirm goes again over another way."""
        self.hood.leave(neighbour)
        for sender in self._senders:
            sender.neighbour_down(neighbour, why)
        if self.deposits is not None:
            self.deposits.neighbour_down(neighbour)
        if self.past is not None:
            self.past.neighbour_down()
        self.relay.neighbour_down(neighbour)

    def link_lost(self, neighbour: Neighbour, why: str) -> None:
        """The link that was sent on has ended, but the neighbour has others."""
        for sender in self._senders:
            sender.link_lost(neighbour, why)

    def received(self, neighbour: Neighbour, message: Message, line: bytes) -> None:
        """Take a message that is not about the link itself.

        :param line: what *message* was read from; what is passed on is made of it.
        :raises ProtocolError: it is not what section 4 allows.
        """
        try:
            self._actions[type(message)](neighbour, message, line)
        except ProtocolError as problem:
            # Where a line is split to be passed on, nobody looks at what it says.
            problem.kind = problem.kind or str(message.__struct_config__.tag)
            problem.ref = problem.ref or getattr(message, "msg_id", "") or getattr(message, "ref", "")
            raise

    def tick(self) -> None:
        """Do what is due; to be called several times a second."""
        now_s = self._now()
        self._seen.rotate(now_s)
        self._order.tick()
        self.sender.tick()
        if self.courier is not None:
            self.courier.tick()
        if self.deposits is not None:
            self.deposits.tick()
        if self.past is not None:
            self.past.tick()
        self.relay.tick()
        self.flood.tick()
        self.discovery.tick()
        if now_s - self._sweep_at_s >= SWEEP_S:
            self._sweep_at_s = now_s
            self.routes.sweep(now_s)

    def _found(self, dst: str) -> bool:
        """There is a way to a peer; whether that served all who wait for one."""
        served = [sender.found(dst) for sender in self._senders]
        return all((*served, self.relay.found(dst)))

    def _heard(self, dst: str) -> None:
        """There is a way to a peer that others look for; maybe something here waits for it."""
        for sender in self._senders:
            sender.settling.noticed(dst)

    # Messages that arrived.

    def _on_send(self, neighbour: Neighbour, message: Send, line: bytes) -> None:
        if message.src == neighbour.peer_id:
            self._heard(message.src)
        elif message.courier is UNSET:  # else its source is away
            self._learn(neighbour, message.src, message.ttl)
        if message.dst != self._own:
            self.relay.on_send(neighbour, message, line)
            return
        self._refuse_forged(message)
        protection = Protection.LINK
        if message.sealed is not UNSET or not is_straight(neighbour, message):
            message, protection = self._unwrap(neighbour, message)
        self._order.take(neighbour, message, protection)

    def _on_pub(self, neighbour: Neighbour, message: Pub, line: bytes) -> None:
        if message.src == self._own and not neighbour.plain:
            self.tally.duplicates += 1  # our own words come back
            return
        if message.past is not UNSET and not neighbour.plain:
            self._on_past(neighbour, message)
            return
        self._refuse_forged(message)
        if message.src != neighbour.peer_id:
            self._learn(neighbour, message.src, message.ttl)
        if not self._concerns_us(message.dst):
            self.tally.not_for_us += 1
            self.flood.on_pub(neighbour, message, line)
            return
        if self.flood.is_passed_on(message):
            self.tally.duplicates += 1  # it was looked at when it came first, which takes long
            return
        try:
            opened, protection = self._trust.unwrap_cast(message, is_straight(neighbour, message))
        except ProtocolError as problem:
            # Whoever brought it may know nothing of it, and nobody waits for an answer: it ends here.
            self._count_forged(neighbour, problem)
            return
        if opened is None:
            self.tally.not_for_us += 1
        else:
            self._show_once(neighbour, opened, protection, message)
        self.flood.on_pub(neighbour, message, line)

    def _on_past(self, neighbour: Neighbour, message: Pub) -> None:
        if self.past is not None:
            try:
                self.past.on_pub(neighbour, message)
            except ProtocolError as problem:
                self._count_forged(neighbour, problem)

    def _show_past(self, found: Found) -> None:
        self._show_once(found.neighbour, found.opened, found.protection, found.wire)

    def _on_latest(self, neighbour: Neighbour, message: Latest, line: bytes) -> None:
        if self.past is not None:
            self.past.on_latest(neighbour, message)

    def _unwrap(self, neighbour: Neighbour, message: Send) -> tuple[Send, Protection]:
        """Read what came over relays; a neighbour that brings much that is forged is read slower."""
        try:
            return self._trust.unwrap(message)
        except ProtocolError as problem:
            self._count_forged(neighbour, problem)
            raise

    def _count_forged(self, neighbour: Neighbour, problem: ProtocolError) -> None:
        self.tally.forged += problem.code is ErrorCode.UNAUTHORIZED
        if not self.hood.quota(neighbour).forgeries.take(self._now()):
            neighbour.hold(HOLD_S)

    def _on_ack(self, neighbour: Neighbour, message: Ack, line: bytes) -> None:
        if self.courier is not None:
            self.courier.on_ack(neighbour, message)
        is_ours = message.dst in ("", self._own) and self.sender.on_ack(neighbour, message)
        if self.deposits is not None and message.dst == self._own and message.receipt is not UNSET:
            if self.pending.get(message.msg_id) is None:
                self.deposits.on_receipt(neighbour, message)
        elif not is_ours:
            self.returns.on_ack(neighbour, message, line)

    def _on_hold(self, neighbour: Neighbour, message: Hold, line: bytes) -> None:
        if self.courier is None:
            raise ProtocolError(ErrorCode.BAD_FORMAT, f"{self._own} keeps no messages for others")
        self.courier.on_hold(neighbour, message)

    def _on_held(self, neighbour: Neighbour, message: Held, line: bytes) -> None:
        if self.deposits is not None:
            self.deposits.on_held(neighbour, message)

    def _on_who_has(self, neighbour: Neighbour, message: WhoHas, line: bytes) -> None:
        self.discovery.on_who_has(neighbour, message, line)
        self._notice(message.src)

    def _on_report(
        self, neighbour: Neighbour, message: RelayOk | RelayFail | TtlExpired, line: bytes
    ) -> None:
        if message.dst not in ("", self._own):
            self.returns.on_report(neighbour, message, line)
        elif isinstance(message, RelayOk):
            self.sender.on_passed_on(neighbour, message.msg_id)
        else:
            code = ErrorCode.TTL_EXPIRED if isinstance(message, TtlExpired) else _code_in(message.reason)
            detail = "" if message.reason == code else message.reason
            self.sender.on_refusal(neighbour, message.msg_id, code, detail, message.src)

    def _on_error(self, neighbour: Neighbour, message: Error, line: bytes) -> None:
        self.tally.errors_received += 1
        code = message.reason or "error"
        if self.courier is not None and self.courier.on_refusal(neighbour, message.ref, code, message.detail):
            return
        if message.dst in ("", self._own) and (
            self.sender.on_refusal(neighbour, message.ref, code, message.detail)
            or self.discovery.refusal(neighbour, message)
        ):
            return
        if not self.returns.on_error(neighbour, message, line) and self.complaints.take(self._now()):
            self._house.complained(neighbour, message)

    def _learn(self, neighbour: Neighbour, src: str, ttl: int) -> None:
        self.hood.learn(src, neighbour, hops_of(ttl))
        self._notice(src)

    def _notice(self, src: str) -> None:
        """A peer was heard of, and maybe there is a way to it now."""
        self.discovery.noticed(src)
        self._heard(src)

    def _concerns_us(self, dst: str) -> bool:
        """Whether a PUB is shown: clients write its dst in many ways (9.12)."""
        return dst in ("", "*", self._own) or dst.removeprefix("#") == self._own.namespace

    def _refuse_forged(self, message: Send | Pub) -> None:
        if message.src == self._own:
            self.tally.forged += 1
            detail = f"{self._own} is this peer itself and did not say that"
            raise ProtocolError(ErrorCode.UNAUTHORIZED, detail, ref=message.msg_id)

    def _show_once(
        self, neighbour: Neighbour, message: Send | Pub, protection: Protection, wire: Pub | None = None
    ) -> None:
        """Show a message that was not shown yet, and confirm it once it is sure that it is not lost here.

        :param wire: one to many as it came, so that others can be told of it.
        """
        # Some plain clients count seconds for a msg_id, so theirs is not enough (9.13). Whether a source
        # behind a relay is one of them is not known here.
        by_text = neighbour.plain or neighbour.peer_id != message.src

        def written(is_new: bool) -> None:
            if is_new:
                self.tally.received += 1
                if wire is not None:
                    self._house.keep_cast(wire)
            else:
                self.tally.duplicates += 1  # an earlier run has shown it
            self._confirm(neighbour, message)

        if self._is_new(message, by_text):
            self._house.arrived(neighbour, message, protection, by_text, written)
        else:
            # The first copy is perhaps being written down.
            self._house.after_all(lambda: written(False))

    def _confirm(self, neighbour: Neighbour, message: Send | Pub) -> None:
        if isinstance(message, Send) and message.require_ack:
            self.tally.confirmations_refused += not self.envelopes.confirm(neighbour, message)

    def _is_new(self, message: Send | Pub, by_text: bool) -> bool:
        """Whether a message was not seen by this run."""
        is_new = self._seen.is_new((message.src, message.msg_id, message.payload))
        if by_text:
            return is_new
        # Only its source itself can use up a msg_id: a relay may have brought other words under it.
        return self._seen.is_new((message.src, message.msg_id)) and is_new


def _code_in(reason: str) -> str:
    """Return the code that a RELAY_FAIL gives as its reason; others may give a text for people."""
    return reason if reason in MEANINGS else ErrorCode.NO_ROUTE
