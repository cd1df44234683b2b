"""Who may come under which name (docs/protocol.md, section 11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs
from msgspec import UNSET

from p2pchat.allowance import Allowance
from p2pchat.language import tr
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.names import PeerId
from p2pchat.trust.allowed import Allowed
from p2pchat.trust.cards import BadCard, Card, fingerprint, read_card
from p2pchat.trust.identity import Identity
from p2pchat.trust.number import safety_number
from p2pchat.trust.pins import Pin, Pins, PinsFull

#: Strangers per second whose keys are remembered because of what they said through relays. Each costs a few
#: signatures, and whoever floods us with new names makes them all himself.
STRANGERS_PER_S = 20

#: Refusals that the user is told of per second: whoever makes up keys makes as many as he likes.
TELLINGS_PER_S = 2

#: Refusals that are remembered for `/trust`; the oldest is forgotten first.
MAX_REFUSED = 1000

#: Seconds between two writes of what was learned.
FLUSH_S = 5.0


class NothingToTrust(Exception):
    """What the user wants to do with a key cannot be done; the text says why."""


class Teller(Protocol):
    """What is told to the user: the node does."""

    def key_refused(self, peer_id: PeerId, key: bytes, pinned: bytes) -> None:
        """Somebody came under a known name with another key."""

    def key_missing(self, peer_id: PeerId) -> None:
        """Somebody came without any key under a name that is known with one."""

    def trouble(self, why: str) -> None:
        """What is known of peers cannot be written down."""


@attrs.frozen
class Rules:
    """What our user wants.

    :param require_tls: no link without encryption, and nothing over relays that is not sealed.
    :param allowed: the members of a closed group; None: everybody may come.
    """

    require_tls: bool = False
    allowed: Allowed | None = None


@attrs.define
class Tally:
    """What is counted here."""

    keys_pinned: int = 0
    keys_refused: int = 0
    keys_missing: int = 0
    cards_refused: int = 0
    plain_refused: int = 0
    peers_not_allowed: int = 0
    strangers_refused: int = 0


class Trust:
    """Pins names to keys at first sight, and refuses other keys. The node creates, owns and closes it.

    :param identity: our own keys.
    :param pins: what is known of others.
    :param now_ms: the time of day in ms since 1970.
    :param clock_s: monotonic seconds.
    """

    def __init__(
        self,
        identity: Identity,
        pins: Pins,
        rules: Rules,
        teller: Teller,
        now_ms: Callable[[], int],
        clock_s: Callable[[], float],
    ) -> None:
        self.identity = identity
        self.pins = pins
        self.tally = Tally()
        self.now_ms = now_ms
        self.clock_s = clock_s
        self._rules = rules
        self._teller = teller
        self._strangers = Allowance(STRANGERS_PER_S)
        self._tellings = Allowance(TELLINGS_PER_S)
        #: By name, the key that was refused last; None where there was none.
        self._refused: dict[PeerId, bytes | None] = {}
        self._trouble_told = ""
        self._flush_at_s = clock_s() + FLUSH_S

    @property
    def requires_encryption(self) -> bool:
        """The user wants nothing to be said or heard that others on the way could read and change."""
        return self._rules.require_tls

    @property
    def blocked(self) -> set[PeerId]:
        """Peers of whom the user wants to hear nothing."""
        return self.pins.blocked

    def sizes(self) -> dict[str, int]:
        """Tell how much is held, and what was counted."""
        return {
            **attrs.asdict(self.tally),
            "keys_known": len(self.pins),
            "keys_forgotten": self.pins.evicted,
            "keys_refused_remembered": len(self._refused),
            "keys_refused_not_told": self._tellings.refused,
            "peers_blocked": len(self.blocked),
        }

    # Who comes.

    def admit(self, peer_id: PeerId, key: bytes | None, card: object) -> ProtocolError | None:
        """Say why somebody may have no link, or None.

        :param key: what it has proved to have, on an encrypted link.
        :param card: what it shows of itself there, not yet read.
        """
        if key is None:
            return self._admit_plain(peer_id)
        if card is None or card is UNSET:
            return self.meet(peer_id, key)
        try:
            shown = read_card(card)
        except BadCard as problem:
            self.tally.cards_refused += 1
            return _refuse(f"your card: {problem}")
        if (shown.peer_id, shown.signing) != (peer_id, key):
            self.tally.cards_refused += 1
            return _refuse("your card is of another peer, or another key than that of the link")
        return self.meet(peer_id, key, shown)

    def _admit_plain(self, peer_id: PeerId) -> ProtocolError | None:
        problem = self.meet(peer_id, None)
        if problem is not None and self.pins.get(peer_id) is not None and peer_id not in self.blocked:
            self.tally.keys_missing += 1
            # Where another key was refused, `/trust` is about that: it must not be made to take none.
            if peer_id not in self._refused and self._may_tell():
                self._remember(peer_id, None)
                self._teller.key_missing(peer_id)
        return problem

    def meet(
        self, peer_id: PeerId, key: bytes | None, card: Card | None = None, signs: bool = False
    ) -> ProtocolError | None:
        """Say why nothing of somebody is taken, or None; then its key is known from now on.

        :param key: what it has proved to have; None where it proved nothing.
        :param card: what it shows of itself, read.
        :param signs: what it said through relays was signed.
        """
        if peer_id in self.blocked:
            return _refuse(f"nothing of {peer_id} is taken here")
        why_not = "" if self._rules.allowed is None else self._rules.allowed.why_not(peer_id, key)
        if why_not:
            self.tally.peers_not_allowed += 1
            return _refuse(why_not)
        pin = self.pins.get(peer_id)
        if key is None:
            return self._meet_plain(peer_id, pin)
        if pin is None:
            return self._pin(peer_id, key, card, signs)
        if pin.key != key:
            return self._refuse_key(peer_id, key, pin)
        self._refused.pop(peer_id, None)
        self._learn(peer_id, pin, card, signs)
        return None

    def _meet_plain(self, peer_id: PeerId, pin: Pin | None) -> ProtocolError | None:
        if pin is not None:
            return _refuse(f"{peer_id} is known here with a key, and this came without")
        if self.requires_encryption:
            self.tally.plain_refused += 1
            return _refuse("nothing is taken here without encryption; it needs TLS")
        return None

    def _pin(self, peer_id: PeerId, key: bytes, card: Card | None, signs: bool) -> ProtocolError | None:
        is_heard_of = signs and card is None
        if is_heard_of and not self._strangers.take(self.clock_s()):
            self.tally.strangers_refused += 1
            return ProtocolError(ErrorCode.BUSY, "too many strangers come at once; try later")
        pin = Pin(key, card, signs or card is not None, first_seen_ms=self.now_ms())
        try:
            self.pins.put(peer_id, pin)
        except PinsFull as problem:
            self.tally.strangers_refused += 1
            return ProtocolError(ErrorCode.BUSY, f"no stranger is taken: {problem}")
        self.tally.keys_pinned += 1
        return None

    def _learn(self, peer_id: PeerId, pin: Pin, card: Card | None, signs: bool) -> None:
        if card is not None and (pin.card is None or card.issue > pin.card.issue):
            pin = attrs.evolve(pin, card=card)
        signs = pin.signs or signs or card is not None
        if pin.signs != signs:
            pin = attrs.evolve(pin, signs=signs)
        if pin is not self.pins.get(peer_id):
            self.pins.put(peer_id, pin)

    def _refuse_key(self, peer_id: PeerId, key: bytes, pin: Pin) -> ProtocolError:
        self.tally.keys_refused += 1
        if self._refused.get(peer_id) != key and self._may_tell():
            self._remember(peer_id, key)
            self._teller.key_refused(peer_id, key, pin.key)
        return _refuse(f"{peer_id} is known here with another key")

    def _may_tell(self) -> bool:
        """Whether the user can read one more; what is not told is not what `/trust` takes."""
        return self._tellings.take(self.clock_s())

    def _remember(self, peer_id: PeerId, key: bytes | None) -> None:
        self._refused.pop(peer_id, None)
        if len(self._refused) >= MAX_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[peer_id] = key

    # What the user says.

    def take_other(self, peer_id: PeerId) -> str:
        """Take a peer as it came when it was refused last; return what was done, for people.

        :raises NothingToTrust: it was not refused.
        """
        pin = self.pins.get(peer_id)
        if peer_id not in self._refused or pin is None:
            told = tr(
                "{peer} was not refused for its key since this peer started, so there is nothing to take"
            )
            raise NothingToTrust(told.format(peer=peer_id))
        key = self._refused.pop(peer_id)
        if key is None:
            self.pins.remove(peer_id)
            told = tr("The key of {peer} is forgotten; it may come without encryption, or with a new key")
            return told.format(peer=peer_id)
        self.pins.put(peer_id, Pin(key, is_friend=True, first_seen_ms=self.now_ms()))
        told = tr("The key {key} of {peer} is taken from now on, and not verified yet")
        return told.format(key=fingerprint(key), peer=peer_id)

    def verify(self, peer_id: PeerId) -> None:
        """Remember that our user has compared safety numbers with a peer.

        :raises NothingToTrust: its key is not known.
        """
        self.pins.put(peer_id, attrs.evolve(self._known(peer_id), is_verified=True, is_friend=True))

    def befriend(self, peer_id: PeerId) -> None:
        """Remember that our user writes to a peer, where its key is known."""
        pin = self.pins.get(peer_id)
        if pin is not None and not pin.is_friend:
            self.pins.put(peer_id, attrs.evolve(pin, is_friend=True))

    def is_verified(self, peer_id: PeerId) -> bool:
        """Whether our user has compared safety numbers with a peer."""
        pin = self.pins.get(peer_id)
        return pin is not None and pin.is_verified

    def fingerprint_of(self, peer_id: PeerId) -> str:
        """Return the short form of the key of a peer; nothing where it is not known."""
        pin = self.pins.get(peer_id)
        return "" if pin is None else fingerprint(pin.key)

    def number_with(self, peer_id: PeerId) -> str:
        """Return the safety number of us and a peer.

        :raises NothingToTrust: its key is not known.
        """
        own = self.identity
        return safety_number((own.own, own.key), (peer_id, self._known(peer_id).key))

    def block(self, peer_id: PeerId) -> None:
        """Take nothing of a peer any more.

        :raises NothingToTrust: too many are blocked.
        """
        try:
            self.pins.block(peer_id)
        except PinsFull as problem:
            raise NothingToTrust(str(problem)) from None

    def unblock(self, peer_id: PeerId) -> bool:
        """Take back `block`; False where the peer was not blocked."""
        was_blocked = peer_id in self.blocked
        self.pins.unblock(peer_id)
        return was_blocked

    def _known(self, peer_id: PeerId) -> Pin:
        pin = self.pins.get(peer_id)
        if pin is None:
            told = tr("The key of {peer} is not known; it is once you are linked, or had a message of it")
            raise NothingToTrust(told.format(peer=peer_id))
        return pin

    # Time.

    @property
    def is_flush_due(self) -> bool:
        """It is time to write down what was learned."""
        return self.clock_s() >= self._flush_at_s

    def flush(self) -> None:
        """Write down what was learned; where that fails, the user is told once."""
        self._flush_at_s = self.clock_s() + FLUSH_S
        self.pins.flush()
        if self.pins.trouble and self.pins.trouble != self._trouble_told:
            self._teller.trouble(self.pins.trouble)
        self._trouble_told = self.pins.trouble

    def close(self) -> None:
        """Write down what was learned, and end."""
        self.pins.close()


def _refuse(detail: str) -> ProtocolError:
    return ProtocolError(ErrorCode.UNAUTHORIZED, detail)
