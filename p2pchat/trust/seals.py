"""Seals and signs what goes over relays, and checks what came over them (docs/protocol.md, section 11)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from typing import TypeVar

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from p2pchat.language import tr
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import Ack, Hold, Pub, Send, WhoHas, WhoHasHit
from p2pchat.protocol.names import Destination, PeerId, ToPeer
from p2pchat.protocol.protection import Protection
from p2pchat.routing.trust import Belief
from p2pchat.trust.base64 import decode, encode
from p2pchat.trust.cards import BadCard, Card, read_card
from p2pchat.trust.namespacekey import NamespaceKey
from p2pchat.trust.replays import Replays
from p2pchat.trust.sealing import BadSeal, Content, seal
from p2pchat.trust.signing import framed, is_signed
from p2pchat.trust.trust import Trust

_M = TypeVar("_M", Send, Pub)

#: Seconds that a peer that showed no card is not asked for it again: its messages would wait each time.
NO_CARD_S = 60.0

#: Peers that are remembered for that; when there are more, all are asked again.
MAX_WITHOUT_CARD = 1000

#: For how long after it was said a message to one peer is no replay: longer than its source tries (7 days)
#: and a courier keeps it (2). Whether it came before is known to those for longer who write that down.
REMEMBERED_MS = 10 * 24 * 3600 * 1000

#: How far the clock of an author may be ahead of ours, in ms: a day, so that clocks set to another time zone
#: do no harm. What is later yet would, by its time, make all that the author says after it a replay.
MAX_AHEAD_MS = 24 * 3600 * 1000


class Seals:
    """What routing asks of keys: `routing.trust.Trust`. The node creates and owns it.

    :param trust: knows our keys, and those of others.
    :param namespace_key: seals casts to our namespace; None where it has none.
    :param random_bytes: so many random bytes.
    :param remembers: whether it is written down which messages to us were shown, for longer than
        `REMEMBERED_MS`.
    """

    def __init__(
        self,
        trust: Trust,
        namespace_key: NamespaceKey | None,
        random_bytes: Callable[[int], bytes],
        remembers: Callable[[], bool] = lambda: False,
    ) -> None:
        #: Messages to many that were sealed with a key that we do not have.
        self.unreadable = 0
        self.replays = 0
        self._trust = trust
        self._identity = trust.identity
        self._namespace_key = namespace_key
        self._random_bytes = random_bytes
        self._remembers = remembers
        latest = trust.pins.latest()
        self._said_at_ms = latest.pop(trust.identity.own, 0)
        self._replays = Replays(latest, trust.clock_s(), self._is_known)
        #: When those without a card may be asked for it again.
        self._without_card: dict[str, float] = {}

    # Messages to one peer.

    def wants_card(self, dst: str) -> bool:
        """Whether there may be a card that is not here yet."""
        pin = self._trust.pins.get(PeerId(dst))
        if pin is not None and pin.card is not None:
            return False
        if pin is not None and pin.signs:
            return True  # it has one, and gets nothing without it
        return self._without_card.get(dst, 0.0) <= self._trust.clock_s()

    def has_no_card(self, dst: str) -> None:
        """Ask for no card of a peer for a while."""
        if len(self._without_card) >= MAX_WITHOUT_CARD:
            self._without_card.clear()
        self._without_card[dst] = self._trust.clock_s() + NO_CARD_S

    def wrap(self, message: Send) -> tuple[Send, str]:
        """Seal a message for its destination, or sign it where that has no card; return the signature, too.

        :raises ProtocolError: `unauthorized`, it should be sealed and cannot be.
        """
        pin = self._trust.pins.get(PeerId(message.dst))
        time_ms = self._now_ms()
        sig = self._sign(message, time_ms)
        if pin is not None and pin.card is not None:
            return replace(message, payload="", sealed=self._seal(pin.card, message, time_ms, sig)), sig
        if pin is not None and pin.signs:
            raise ProtocolError(
                ErrorCode.UNAUTHORIZED,
                tr(
                    "the card of {peer}, with the key to seal it, could not be had, and relays would read it "
                    "else; nothing was sent"
                ).format(peer=message.dst),
            )
        if self._trust.requires_encryption:
            raise ProtocolError(
                ErrorCode.UNAUTHORIZED,
                tr("{peer} showed no card, so that relays could read this; not sent").format(
                    peer=message.dst
                ),
            )
        return replace(message, time_ms=time_ms, key=encode(self._identity.key), sig=sig), sig

    def wrap_for_courier(self, message: Send, said_at_ms: int) -> Hold | None:
        """Seal a message for its destination, as one may have it who keeps it; see `routing.trust.Trust`."""
        pin = self._trust.pins.get(PeerId(message.dst))
        if pin is None or pin.card is None:
            return None
        sig = self._sign(message, said_at_ms)
        lock = encode(sha256(_receipt(sig)).digest())
        sealed = self._seal(pin.card, message, said_at_ms, sig)
        return Hold(message.msg_id, message.src, message.dst, sealed=sealed, lock=lock)

    def courier_sig(self, message: Send, said_at_ms: int) -> str:
        """Return the signature in that: Ed25519 gives the same one each time."""
        return self._sign(message, said_at_ms)

    def fits(self, receipt: str | UnsetType, lock: str) -> bool:
        """Whether a receipt has the hash that it should."""
        try:
            return compare_digest(sha256(decode(receipt)).digest(), decode(lock))
        except ValueError:
            return False

    def expected(self, to: Destination) -> Protection | None:
        """Return how a message to somebody would be protected if it went over relays now.

        :returns: None where that is not known yet: it has a card, which we do not have.
        """
        if not isinstance(to, ToPeer):
            return Protection.SIGNED if self._key_to(str(to)) is None else Protection.SEALED
        pin = self._trust.pins.get(to.peer_id)
        if pin is not None and pin.card is not None:
            return Protection.SEALED
        return None if pin is not None and pin.signs else Protection.SIGNED

    def unwrap(self, message: Send) -> tuple[Send, Protection]:
        """Open a message, and check who wrote it.

        :raises ProtocolError: `unauthorized`, its source did not write it, or said it before; `busy`, too
            many strangers come.
        """
        if message.sealed is not UNSET:
            content = self._open(message, message.sealed)
            opened = _opened(message, content)
            self._check("send/1", opened, content.time_ms, content.key, content.sig)
            return opened, Protection.SEALED
        if self._is_signed("send/1", message):
            return message, Protection.SIGNED
        return message, Protection.NONE

    def sign_ack(self, ack: Ack, message: Send) -> Ack:
        """Sign a confirmation of what its source signed, and nothing else."""
        confirmed = "" if message.sig is UNSET else message.sig
        if message.courier is not UNSET and confirmed:
            ack = replace(ack, receipt=encode(_receipt(confirmed)))
        return replace(
            ack, sig=encode(self._identity.sign("ack/1", ack.from_, ack.dst, ack.msg_id, confirmed))
        )

    def believes_ack(self, ack: Ack, dst: str, sig: str) -> Belief:
        """Whether *dst* signed a confirmation of what we signed, if it signs what it says."""
        pin = self._trust.pins.get(PeerId(dst))
        if pin is None or not pin.signs:
            return Belief.UNPROVED
        if not sig:
            # We signed nothing, so what it confirms is something that others made of our message.
            return Belief.FORGED
        signed = framed("ack/1", dst, str(self._identity.own), ack.msg_id, sig)
        return Belief.PROVED if _holds(pin.key, ack.sig, signed) else Belief.FORGED

    # Messages to many.

    def wrap_cast(self, message: Pub) -> Pub:
        """Sign a message to many; seal it where its namespace has a key."""
        time_ms = self._now_ms()
        sig = self._identity.sign("pub/1", *_said(message, time_ms))
        key = self._key_to(message.dst)
        if key is None:
            return replace(message, time_ms=time_ms, key=encode(self._identity.key), sig=encode(sig))
        content = Content(message.payload, time_ms, encode(self._identity.key), encode(sig))
        box = key.seal(content.to_bytes(), _info("pub/1", message), self._random_bytes)
        return replace(message, payload="", sealed=encode(box))

    def _key_to(self, dst: str) -> NamespaceKey | None:
        """Return what seals a message to many; None where nothing does."""
        return self._namespace_key if dst == f"#{self._identity.own.namespace}" else None

    def unwrap_cast(self, message: Pub, is_proved: bool) -> tuple[Pub | None, Protection]:
        """Open a message to many, and check who wrote it; None where it is sealed with another key.

        :param is_proved: it came straight from its source, over an encrypted link.
        :raises ProtocolError: as with `unwrap`.
        """
        if message.sealed is not UNSET:
            try:
                content = self._open_cast(message, message.sealed)
            except ValueError:  # BadSeal, or no base64
                self.unreadable += 1
                return None, Protection.NONE
            opened = _opened(message, content)
            self._check("pub/1", opened, content.time_ms, content.key, content.sig)
            return opened, Protection.SEALED
        if is_proved:
            return message, Protection.LINK
        if self._is_signed("pub/1", message):
            return message, Protection.SIGNED
        return message, Protection.NONE

    # Questions.

    def ask(self, question: WhoHas) -> WhoHas:
        """Ask for an answer that is signed."""
        return replace(question, signed=True)

    def sign_hit(self, hit: WhoHasHit, question: WhoHas) -> WhoHasHit:
        """Show our card, and sign that it is in answer to this question."""
        sig = self._identity.sign("hit/1", question.src, hit.dst, hit.msg_id)
        return replace(hit, card=self._identity.card.as_fields(), sig=encode(sig))

    def believes_hit(self, hit: WhoHasHit, asker: str) -> bool:
        """Whether who is sought signed the answer, if it signs what it says; with our own, keep the card."""
        if hit.card is UNSET:
            return not self.speaks_for_itself(hit.dst)
        try:
            card = read_card(hit.card)
        except BadCard:
            return False
        signed = framed("hit/1", asker, hit.dst, hit.msg_id)
        if card.peer_id != hit.dst or not _holds(card.signing, hit.sig, signed):
            return False
        if asker == self._identity.own:
            return self._trust.meet(card.peer_id, card.signing, card) is None
        pin = self._trust.pins.get(card.peer_id)
        return pin is None or pin.key == card.signing

    def speaks_for_itself(self, peer_id: str) -> bool:
        """Whether a peer signs what it says, or has shown that it can."""
        pin = self._trust.pins.get(PeerId(peer_id))
        return pin is not None and (pin.signs or pin.card is not None)

    # Inside.

    def sizes(self) -> dict[str, int]:
        """Tell how much is held, and what was counted."""
        return {
            "signed_messages_remembered": len(self._replays),
            "replays_refused": self.replays,
            "casts_unreadable": self.unreadable,
        }

    def tick(self) -> None:
        """Do what is due."""
        self._replays.rotate(self._trust.clock_s())
        if self._trust.is_flush_due:
            self._note_latest()
            self._trust.flush()

    def close(self) -> None:
        """Write down what was learned, and end."""
        self._note_latest()
        self._trust.close()

    def _note_latest(self) -> None:
        """Let it be written down when each author, ourselves included, has said its last message."""
        latest = {author: ms for author, ms in self._replays.latest().items() if self._is_known(author)}
        self._trust.pins.note_latest({**latest, self._identity.own: self._said_at_ms})

    def _is_known(self, author: PeerId) -> bool:
        return self._trust.pins.get(author) is not None

    def _now_ms(self) -> int:
        """Return the present time, but never one that we used before: whoever reads us would see a replay."""
        self._said_at_ms = max(self._trust.now_ms(), self._said_at_ms + 1)
        return self._said_at_ms

    def _sign(self, message: Send, time_ms: int) -> str:
        return encode(self._identity.sign("send/1", *_said(message, time_ms)))

    def _seal(self, card: Card, message: Send, time_ms: int, sig: str) -> str:
        content = Content(message.payload, time_ms, encode(self._identity.key), sig)
        return encode(seal(card, content.to_bytes(), _info("send/1", message)))

    def _open(self, message: Send, sealed: str) -> Content:
        info = _info("send/1", message)
        try:
            return Content.from_bytes(self._identity.open_box(decode(sealed), info))
        except ValueError as problem:
            raise _refuse(message, f"it cannot be opened by {self._identity.own}: {problem}") from None

    def _open_cast(self, message: Pub, sealed: str) -> Content:
        if self._namespace_key is None:
            raise BadSeal("this peer has no key of the namespace")
        return Content.from_bytes(self._namespace_key.open(decode(sealed), _info("pub/1", message)))

    def _is_signed(self, context: str, message: Send | Pub) -> bool:
        """Whether what came in the clear is signed.

        :raises ProtocolError: it is not and should be, or it is and the signature does not hold.
        """
        if message.time_ms is UNSET or message.key is UNSET or message.sig is UNSET:
            problem = self._trust.meet(PeerId(message.src), None)
            if problem is not None:
                raise _refuse(message, problem.detail, problem.code)
            return False
        self._check(context, message, message.time_ms, message.key, message.sig)
        return True

    def _check(self, context: str, message: Send | Pub, time_ms: int, key: str, sig: str) -> None:
        """Look whether the source of a message wrote it, and says it for the first time.

        :raises ProtocolError: it did not, or said it before.
        """
        src = PeerId(message.src)
        try:
            raw_key = decode(key)
        except ValueError as wrong:
            raise _refuse(message, f"its key: {wrong}") from None
        if not _holds(raw_key, sig, framed(context, *_said(message, time_ms))):
            raise _refuse(message, f"its signature does not hold, so {src} did not write it so")
        problem = self._trust.meet(src, raw_key, signs=True)
        if problem is not None:
            raise _refuse(message, problem.detail, problem.code)
        if time_ms > self._trust.now_ms() + MAX_AHEAD_MS:
            raise _refuse(message, "its time is more than a day ahead of the clock here")
        is_replay = self._replays.is_replay(src, message.msg_id, time_ms)
        if is_replay and not self._is_known_whether_shown(message, time_ms):
            self.replays += 1
            raise _refuse(message, f"{src} has said newer things long ago, so it is a replay")

    def _is_known_whether_shown(self, message: Send | Pub, time_ms: int) -> bool:
        """Whether a message is late, and none that we have forgotten; it came before if we have shown it."""
        may_be_late = isinstance(message, Send) or message.past is not UNSET
        return may_be_late and time_ms >= self._trust.now_ms() - REMEMBERED_MS and self._remembers()


def _receipt(sig: str) -> bytes:
    """Return what nobody can make who does not know a signature, and that does not tell it."""
    return sha256(framed("receipt/1", sig)).digest()


def _said(message: Send | Pub, time_ms: int) -> tuple[str | int, ...]:
    """Return what a signature covers."""
    return message.src, message.dst, message.msg_id, time_ms, message.payload


def _info(context: str, message: Send | Pub) -> bytes:
    """Return what a box is bound to: it cannot be opened as another message."""
    return framed(context, message.src, message.dst, message.msg_id)


def _opened(message: _M, content: Content) -> _M:
    return replace(message, payload=content.payload, sealed=UNSET, time_ms=content.time_ms, sig=content.sig)


def _holds(key: bytes, sig: str | UnsetType, signed: bytes) -> bool:
    try:
        raw_sig = decode(sig)
    except ValueError:
        return False
    return is_signed(key, raw_sig, signed)


def _refuse(message: Send | Pub, detail: str, code: ErrorCode = ErrorCode.UNAUTHORIZED) -> ProtocolError:
    return ProtocolError(code, detail, ref=message.msg_id)
