"""Our own messages, from the user's word to their outcome (docs/protocol.md, sections 4, 5, 8 and 9)."""

from __future__ import annotations

from msgspec import UNSET

from p2pchat.language import ntr, tr, translated
from p2pchat.protocol.codec import check_size
from p2pchat.protocol.errors import MEANINGS, NO_DETAIL, NO_WAY, TRANSIENT, ErrorCode, ProtocolError
from p2pchat.protocol.framing import MAX_LINE
from p2pchat.protocol.messages import Ack
from p2pchat.protocol.names import PeerId, ToAll, ToNamespace
from p2pchat.routing.delivery import ACK_WAITS_S, Delivery, State
from p2pchat.routing.deposits import Deposits
from p2pchat.routing.discovery import MAX_QUESTIONS, SEEK_S, Discovery
from p2pchat.routing.envelopes import Envelopes
from p2pchat.routing.neighbourhood import Neighbour, Neighbourhood, Tally, confirms
from p2pchat.routing.routes import Route
from p2pchat.routing.settling import NOT_CONFIRMED, Outcomes, Settling
from p2pchat.routing.trust import Belief, Trust

#: Lines longer than this may be more than a plain peer takes, in bytes (9.5).
PLAIN_LINE = 4096

#: A link to a plain peer that falls so many seconds after a message may have fallen because of it,
#: and the message is not sent there again (9.15).
SUSPECT_S = 5.0

#: Seconds that a message to a peer behind relays waits for the card of that peer. After a question and its
#: answer over all hops that there can be, those that show none have none.
CARD_S = 2.0


class Sender:
    """Sends, waits for the confirmation, sends again over another way. The router creates and owns it.

    :param keep_s: for so many seconds what cannot be delivered waits until it can; 0: it has failed.
    :param tally: where it is counted.
    :param deposits: lets others keep copies of what waits; None: nobody does.
    """

    def __init__(
        self,
        hood: Neighbourhood,
        discovery: Discovery,
        outcomes: Outcomes,
        envelopes: Envelopes,
        trust: Trust,
        keep_s: float,
        tally: Tally,
        deposits: Deposits | None = None,
    ) -> None:
        self.settling = Settling(hood, outcomes, keep_s, self._go, tally, deposits)
        self.pending = self.settling.pending
        self._hood = hood
        self._discovery = discovery
        self._outcomes = outcomes
        self._envelopes = envelopes
        self._trust = trust
        self._tally = tally

    def send(self, dst: PeerId, payload: str, said_at_ms: int = 0) -> Delivery:
        """Send a text to one peer. What becomes of it is told by `Outcomes.settled`.

        :param said_at_ms: the time of day, in ms since 1970; 0 where nothing is kept, nor by a courier.
        :raises ProtocolError: it is too long, holds half a character, or too much waits already.
        """
        if self.pending.full:
            detail = tr("{n} messages wait for their outcome already")
            waiting = len(self.pending) + self.pending.resting
            raise ProtocolError(ErrorCode.BUSY, detail.format(n=waiting))
        now_s = self._hood.now()
        delivery = self.settling.new(self._hood.new_id(), dst, payload, now_s)
        delivery.said_at_ms = said_at_ms
        # Escapes make 12 bytes of a character at most, so that most texts need no measuring.
        if len(payload) * 12 > MAX_LINE // 2 or not payload.isascii():
            check_size(self._envelopes.bare(delivery))
        self.pending.add(delivery)
        self._outcomes.taken(delivery, lambda: self.settling.kept(delivery))
        return delivery

    def publish(self, to: ToNamespace | ToAll, payload: str) -> int:
        """Send a text to all neighbours whom it concerns; return how many links took it.

        :raises ProtocolError: it is too long, or holds half a character.
        """
        message, lines = self._envelopes.write_cast(to, payload)
        self._tally.cast += 1
        took = 0
        for neighbour, line in lines:
            if line is None:
                text = tr("it cannot open what is sealed, so it did not get it")
                self._outcomes.warn(neighbour.peer_id, text)
                continue
            self._warn_if_long(neighbour, line)
            took += neighbour.write(line)
        if took:
            self._outcomes.keep_cast(message)
        return took

    # What happens around us.

    def found(self, dst: str) -> bool:
        """There is a way to a peer: what waited for it can go. False where another way is still wanted."""
        for delivery in self.pending.to(dst, State.SEEKING):
            self._go(delivery)
        self.settling.noticed(dst)
        sent = self.pending.to(dst, State.SENT)
        wait_for_card = self.pending.to(dst, State.SEEKING)
        return not wait_for_card and all(self._has_untried(delivery) for delivery in sent if delivery.is_late)

    def neighbour_down(self, neighbour: Neighbour, why: str) -> None:
        """The last link with a peer has ended: what went over it goes again, over what else there is."""
        for delivery in self.pending.through(neighbour.peer_id):
            if not self._fail_suspect(neighbour, delivery, why):
                trouble = tr("the link with {peer} ended: {why}")
                delivery.trouble = trouble.format(peer=neighbour.peer_id, why=why)
                self._again(delivery)

    def link_lost(self, neighbour: Neighbour, why: str) -> None:
        """The link that was sent on has ended, but the neighbour has others."""
        for delivery in self.pending.through(neighbour.peer_id):
            self._fail_suspect(neighbour, delivery, why)

    def tick(self) -> None:
        """Do what is due."""
        self.pending.sweep(self._hood.now(), self._overdue)
        self.settling.tick()

    # Answers.

    def on_ack(self, neighbour: Neighbour, message: Ack) -> bool:
        """Take a confirmation; False where it is about none of our messages.

        It may come over any neighbour: the way back is not always the way there. What it confirms is
        known to those only that the message passed.
        """
        delivery = self.pending.get(message.msg_id)
        if delivery is None:
            return False
        if delivery.dst not in (neighbour.peer_id, message.from_ or message.src):
            return True  # only the destination can know that it has the message
        belief = Belief.PROVED
        if neighbour.peer_id != delivery.dst or not neighbour.is_encrypted:
            belief = self._trust.believes_ack(
                message, delivery.dst, self._envelopes.signature(delivery, message)
            )
        if belief is Belief.FORGED:
            self._tally.forged += 1
            return True  # and it goes on being tried: whoever said so may have swallowed it
        delivery.is_proved = belief is Belief.PROVED
        now_s = self._hood.now()
        is_from_courier = message.receipt is not UNSET
        hop = neighbour.peer_id if neighbour.peer_id in delivery.hops or is_from_courier else delivery.via
        # Which of several tries was confirmed, nobody can tell.
        is_first = delivery.tries == 1 and not delivery.rounds
        rtt_s = max(0.0, now_s - delivery.sent_at_s) if is_first else None
        if not is_from_courier:  # which says nothing about the ways from here
            self._hood.routes.confirm(delivery.dst, hop, now_s, rtt_s)
        delivery.via = hop
        delivery.state = State.CONFIRMED
        delivery.code = delivery.why = ""
        delivery.took_s = now_s - delivery.began_at_s
        self._tally.confirmed += 1
        self.settling.settle(delivery)
        return True

    def on_refusal(self, neighbour: Neighbour, msg_id: str, code: str, detail: str, relay: str = "") -> bool:
        """Take a refusal; False where it is about none of our messages.

        :param code: one of section 8, or whatever the other side made up.
        :param relay: who refused it, where that is known; else it is taken for the neighbour.
        """
        delivery = self.pending.get(msg_id)
        if delivery is None or neighbour.peer_id not in delivery.hops:
            return False
        if delivery.state is not State.SENT or neighbour.peer_id != delivery.via:
            if neighbour.peer_id in delivery.beside and code in NO_WAY:
                self._hood.routes.drop(delivery.dst, neighbour.peer_id)  # so it lost nothing
            return True  # that way was given up already, or others have copies
        if (delivery.refused, delivery.refusal) == (delivery.tries, code):
            return True  # relays say it in two ways; the ERROR comes first and says more
        said = detail or translated(MEANINGS.get(code, NO_DETAIL))
        if neighbour.peer_id == delivery.dst:
            delivery.trouble = tr("the peer says {code}: {meaning}").format(code=code, meaning=said)
        else:
            trouble = tr("the relay {relay} says {code}: {meaning}")
            delivery.trouble = trouble.format(relay=relay or neighbour.peer_id, code=code, meaning=said)
        self._count_refusal(delivery, code)
        if neighbour.peer_id != delivery.dst:
            self._refused_by_relay(neighbour, delivery, code)
        elif code not in TRANSIENT:
            self.settling.fail(delivery, code, delivery.trouble)
        return True

    def on_passed_on(self, neighbour: Neighbour, msg_id: str) -> None:
        """Take a relay's word that it passed a message on."""
        delivery = self.pending.get(msg_id)
        if delivery is not None and neighbour.peer_id == delivery.via:
            delivery.trouble = tr("{peer} passed it on").format(peer=neighbour.peer_id)

    # Deliveries.

    def _go(self, delivery: Delivery, but: str = "") -> None:
        """Send a message over the best way that has room; without any way, look for one."""
        best = self._hood.routes.best(delivery.dst, self._hood.now(), but)
        if best is None:
            self._seek(delivery, SEEK_S)
        elif not best.is_direct and self._waits_for_card(delivery):
            self._seek(delivery, delivery.card_by_s - self._hood.now())
        # Where there is a link of our own, it is tried again if the message may not go over relays.
        elif delivery.dst in self._hood.neighbours or self._is_wrapped(delivery):
            self._try(delivery, best, but)

    def _waits_for_card(self, delivery: Delivery) -> bool:
        """Whether a message that relays would see is worth a moment, so that it can be sealed."""
        if not self._trust.wants_card(delivery.dst):
            return False
        now_s = self._hood.now()
        delivery.card_by_s = delivery.card_by_s or now_s + CARD_S
        if now_s < delivery.card_by_s:
            return True
        self._trust.has_no_card(delivery.dst)
        return False

    def _is_wrapped(self, delivery: Delivery) -> bool:
        """Whether a message may go over relays; if not, that is its outcome."""
        try:
            self._envelopes.wrap(delivery)
        except ProtocolError as problem:
            if problem.code is ErrorCode.UNAUTHORIZED:
                self.settling.postpone(
                    delivery, problem.code, problem.detail
                )  # a card may come, or a link of our own
            else:
                self.settling.fail(delivery, problem.code, problem.detail)
            return False
        return True

    def _has_way(self, delivery: Delivery) -> bool:
        return self._hood.routes.best(delivery.dst, self._hood.now()) is not None

    def _try(self, delivery: Delivery, best: Route, but: str) -> None:
        hood, now_s = self._hood, self._hood.now()
        delivery.tries += 1
        delivery.copies += 1
        way = best if delivery.tries == 1 and self._write(best.hop, delivery) else self._give(delivery, but)
        if way is None:
            # What was sent before may still have arrived.
            code = ErrorCode.BUSY if delivery.tries == 1 else NOT_CONFIRMED
            self.settling.postpone(
                delivery, code, tr("too much waits for {peer} already").format(peer=best.hop)
            )
            return
        hood.routes.touch(way, now_s)
        delivery.via = way.hop
        delivery.protection = self._envelopes.protection(hood.neighbours[way.hop], delivery)
        delivery.hops += (way.hop,)
        delivery.beside = self._spread(delivery, but) if delivery.counted > 1 else ()
        delivery.state = State.SENT
        delivery.was_sent = True
        self.pending.add(delivery)
        delivery.sent_at_s = now_s + hood.neighbours[way.hop].leaves_in_s
        delivery.is_late = False
        delivery.deadline_s = delivery.sent_at_s + ACK_WAITS_S[delivery.counted - 1] / 2
        if delivery.tries == 1:
            self._tally.sent += 1
            if not delivery.rounds:
                self._outcomes.sent(delivery)
        else:
            self._tally.resent += 1

    def _spread(self, delivery: Delivery, but: str) -> tuple[PeerId, ...]:
        """Let copies of a later try go over ways that were not tried yet; return their next hops.

        Who lies behind the next hops is not known here, and few tries are left. The last one goes also to as
        many of those that had the message: one of them may be the only honest one, and now it spreads it.
        """
        hood, now_s = self._hood, self._hood.now()
        untried = hood.untried(delivery.dst, delivery.hops, but)
        hops = self._copy(delivery, untried, delivery.counted - 1)
        if delivery.is_last:
            had = {hop for hop in delivery.hops if hop != delivery.via}
            again = [way.hop for way in hood.routes.ways(delivery.dst, now_s, but) if way.hop in had]
            hops += self._copy(delivery, again, delivery.counted)
        delivery.hops += tuple(hops)
        return tuple(hops)

    def _copy(self, delivery: Delivery, hops: list[PeerId], most: int) -> list[PeerId]:
        """Give copies to the first next hops that have room; return those."""
        taken: list[PeerId] = []
        for hop in hops:
            if len(taken) >= most:
                break
            delivery.copies += 1
            if self._write(hop, delivery):
                taken.append(hop)
                # What nobody told of becomes a way when it is used.
                self._hood.routes.learn(delivery.dst, hop, None, self._hood.now())
        return taken

    def _give(self, delivery: Delivery, but: str) -> Route | None:
        """Write a message to the first next hop that has room; those that it went to before come last."""
        ways = self._hood.routes.ways(delivery.dst, self._hood.now(), but)
        ways.sort(key=lambda way: delivery.hops.count(way.hop))
        return next((way for way in ways if self._write(way.hop, delivery)), None)

    def _has_untried(self, delivery: Delivery) -> bool:
        ways = self._hood.routes.ways(delivery.dst, self._hood.now())
        return any(way.hop not in delivery.hops for way in ways)

    def _write(self, hop: PeerId, delivery: Delivery) -> bool:
        neighbour = self._hood.neighbours[hop]
        try:
            line = self._envelopes.write(neighbour, delivery, self.settling.before(delivery))
        except ProtocolError:
            return False  # what went to the peer itself may be too much for relays, once it is sealed
        took = neighbour.write(line)
        if took and delivery.tries == 1:
            self._warn_if_long(neighbour, line)
        return took

    def _warn_if_long(self, neighbour: Neighbour, line: bytes) -> None:
        if neighbour.plain and len(line) > PLAIN_LINE:
            text = tr("it may not take a line of {n} bytes; up to {safe} is safe")
            self._outcomes.warn(neighbour.peer_id, text.format(n=len(line), safe=PLAIN_LINE))

    def _seek(self, delivery: Delivery, wait_s: float) -> None:
        """Dial and ask at the same time; whichever answers first carries the message (section 5)."""
        delivery.state = State.SEEKING
        self.pending.add(delivery)
        delivery.deadline_s = self._hood.now() + wait_s
        if not self._discovery.ask(delivery.dst):
            why = tr("{n} other peers are looked for already").format(n=MAX_QUESTIONS)
            self.settling.postpone(delivery, ErrorCode.BUSY, why)
        elif not (delivery.tries or delivery.rounds):
            self.settling.tell_sought(delivery)

    def _again(self, delivery: Delivery, but: str = "") -> None:
        """Send a message once more, unless it was sent too often."""
        if delivery.is_last:
            self._fail_unconfirmed(delivery)
        elif self.settling.must_wait(delivery):
            # Whatever the older one waits for, this one would overtake it.
            self.settling.rest(delivery, NOT_CONFIRMED, self._why_unconfirmed(delivery), quietly=True)
        else:
            self._go(delivery, but)

    def _overdue(self, delivery: Delivery) -> None:
        if delivery.state is State.SEEKING and delivery.card_by_s and self._has_way(delivery):
            self._go(delivery)  # it waited for a card
        elif delivery.state is State.SEEKING:
            self._fail_unrouted(delivery)
        elif not delivery.is_late:
            self._late(delivery)
        else:
            if self._confirms(delivery):
                for hop in (delivery.via, *delivery.beside):
                    self._hood.routes.fail(delivery.dst, hop, self._hood.now())
            self._again(delivery)

    def _late(self, delivery: Delivery) -> None:
        """Half of the wait is over. Where no other way is known, look for one for the next try."""
        delivery.is_late = True
        delivery.deadline_s = delivery.sent_at_s + ACK_WAITS_S[delivery.counted - 1]
        if self._confirms(delivery) and not delivery.is_last and not self._has_untried(delivery):
            self._discovery.ask(delivery.dst)

    def _confirms(self, delivery: Delivery) -> bool:
        neighbour = self._hood.neighbours.get(delivery.via)
        return neighbour is None or confirms(neighbour, delivery.dst)

    def _refused_by_relay(self, neighbour: Neighbour, delivery: Delivery, code: str) -> None:
        """Take another way where there is one; wait and try again where that may help."""
        hood, now_s = self._hood, self._hood.now()
        if code in NO_WAY:
            hood.routes.drop(delivery.dst, neighbour.peer_id)
        elif code not in TRANSIENT:
            hood.routes.fail(delivery.dst, neighbour.peer_id, now_s)
        # A way that was tried before is none: two busy relays would send it to and fro.
        if code in NO_WAY or self._has_untried(delivery):
            self._tally.rerouted += 1
            delivery.rerouted += 1
            self._again(delivery, but=neighbour.peer_id)
        elif code not in TRANSIENT and not delivery.beside:
            self.settling.postpone(delivery, code, delivery.trouble)

    @staticmethod
    def _count_refusal(delivery: Delivery, code: str) -> None:
        delivery.refusals += delivery.refused != delivery.tries
        delivery.refused, delivery.refusal = delivery.tries, code

    # Failures.

    def _fail_unconfirmed(self, delivery: Delivery) -> None:
        # Where each try was refused, it is known that none arrived.
        code = delivery.refusal if delivery.refusals == delivery.tries else NOT_CONFIRMED
        neighbour = self._hood.neighbours.get(delivery.dst)
        if neighbour is not None and neighbour.plain and code == NOT_CONFIRMED:
            # It was there three times, and is shown each time it comes again.
            self.settling.fail(delivery, code, self._why_unconfirmed(delivery))
        else:
            self.settling.postpone(delivery, code, self._why_unconfirmed(delivery))

    def _why_unconfirmed(self, delivery: Delivery) -> str:
        waited_s = self._hood.now() - delivery.began_at_s
        told = ntr(
            "sent once in {seconds:.0f} s{over}, and no confirmation came",
            "sent {n} times in {seconds:.0f} s{over}, and no confirmation came",
            delivery.tries,
        )
        text = told.format(n=delivery.tries, seconds=waited_s, over=_over(delivery))
        neighbour = self._hood.neighbours.get(delivery.dst)
        if neighbour is not None and "ack" not in neighbour.features:
            text += tr("; this peer does not offer confirmations, so it may have arrived")
        return f"{text}; {delivery.trouble}" if delivery.trouble else text

    def _fail_suspect(self, neighbour: Neighbour, delivery: Delivery, why: str) -> bool:
        """Give up a message that may be why a plain peer ended the link; whether it was one (9.15)."""
        is_suspect = neighbour.plain and 0.0 <= self._hood.now() - delivery.sent_at_s <= SUSPECT_S
        if is_suspect:
            text = tr("the link ended right after it was sent, so it is not sent again ({why})")
            self.settling.fail(delivery, NOT_CONFIRMED, text.format(why=why))
        return is_suspect

    def _fail_unrouted(self, delivery: Delivery) -> None:
        tried = self._discovery.tried(delivery.dst)
        if delivery.refusals == delivery.tries:
            before = f"{delivery.trouble}; " if delivery.tries else ""
            why = tr("no link with it within {seconds:.0f} s").format(seconds=SEEK_S)
            self.settling.postpone(delivery, ErrorCode.NO_ROUTE, f"{before}{why}; {tried}")
        else:
            why = tr("no other way was found within {seconds:.0f} s").format(seconds=SEEK_S)
            self.settling.postpone(
                delivery, NOT_CONFIRMED, f"{self._why_unconfirmed(delivery)}; {why}; {tried}"
            )


def _over(delivery: Delivery) -> str:
    """Say which next hops were tried, where that was not the destination itself."""
    hops = list(dict.fromkeys(delivery.hops))
    if hops == [delivery.dst]:
        return ""
    return tr(" through {relays}").format(relays=tr(" and ").join(hops))
