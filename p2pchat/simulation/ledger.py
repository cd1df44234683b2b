"""What was said, who was shown it, and what its sender was told: what no node knows alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from p2pchat import events
from p2pchat.protocol.names import PeerId, ToAll, ToNamespace
from p2pchat.protocol.protection import Protection

#: The outcome of a message whose sender was gone before it could be told.
UNKNOWN = "unknown"

#: The outcome of a message of which nobody was told anything.
LOST = "lost"

#: The outcome of a message that is kept until its destination is seen.
KEPT = "kept"

#: The outcome of a message that arrived.
CONFIRMED = "confirmed"

#: The outcome of a message that somebody confirmed who need not be its destination.
UNPROVED = "confirmed without proof"

#: To whom something is said.
To = PeerId | ToNamespace | ToAll


@attrs.define(eq=False)
class Person:
    """One run of a peer's program: a user at a screen. A peer that comes back is another one.

    :param keeps: what was shown and said is known to the next run.
    """

    own: PeerId
    keeps: bool = False

    @property
    def reader(self) -> Person | PeerId:
        """Who must not be shown anything twice."""
        return self.own if self.keeps else self


@attrs.define(eq=False)
class Said:
    """One text of one person.

    :param outcome: what its sender was told; empty while it is open, and always of a text to many.
    :param shown_to: who was shown it: a person, or the peer where that keeps what it was shown.
    :param is_promised: its sender was told that it is on its way, or kept.
    :param msg_id: under which it was sent; empty before.
    :param told_by: the run that told its outcome.
    :param couriers: who keeps a copy, as far as its sender was told.
    :param number: grows with each text.
    """

    sender: Person
    to: To
    text: str
    said_at_s: float
    outcome: str = ""
    shown_to: set[Person | PeerId] = attrs.Factory(set)
    is_promised: bool = False
    msg_id: str = ""
    told_by: Person | None = None
    couriers: tuple[PeerId, ...] = ()
    number: int = 0

    @property
    def is_cast(self) -> bool:
        """It is to many."""
        return not isinstance(self.to, PeerId)

    def concerns(self, person: Person) -> bool:
        """Whether somebody is among those to whom it was said."""
        if isinstance(self.to, ToAll):
            return True
        if isinstance(self.to, ToNamespace):
            return person.own.namespace == self.to.namespace
        return person.own == self.to


class Ledger:
    """Everything that honest people said. The simulation creates and owns it.

    :param now: the true time in seconds.
    :param violated: told what must never happen: which rule, and what happened.
    :param is_kept: whether its destination has written a text down; None where that keeps nothing.
    """

    def __init__(
        self,
        now: Callable[[], float],
        violated: Callable[[str, str], None],
        is_kept: Callable[[Said], bool | None] = lambda _said: None,
    ) -> None:
        #: Names that a liar uses too: nobody can tell who was reached.
        self.impersonated: set[str] = set()
        #: Names of those who keep to the rules.
        self.honest: set[str] = set()
        #: Somebody confirms what others said: what is no proof may be wrong.
        self.can_be_forged = False
        #: Nobody on the way changes the order in which texts arrive.
        self.is_in_order = False
        #: The last text that was shown, by source and destination.
        self._last_shown: dict[tuple[str, str], int] = {}
        self.shown_twice = 0
        #: Texts that were shown and that nobody honest said.
        self.forged = 0
        self.delivery_s: list[float] = []
        self.cast_delivery_s: list[float] = []
        self.hops: list[int] = []
        self._now = now
        self._violated = violated
        self._is_kept = is_kept
        self._by_key: dict[str, Said] = {}
        self._by_msg_id: dict[str, Said] = {}
        #: Outcomes that were told while the message was still being sent, and by whom.
        self._early: dict[str, tuple[Person, str]] = {}

    def __iter__(self) -> Iterator[Said]:
        return iter(self._by_key.values())

    def next_key(self) -> str:
        """Return what a text must begin with, so that it is known again."""
        return f"m{len(self._by_key) + 1}"

    def say(self, sender: Person, to: To, text: str) -> Said:
        """Note that somebody says something."""
        said = Said(sender, to, text, self._now(), number=len(self._by_key) + 1)
        self._by_key[_key(text)] = said
        return said

    def sent(self, said: Said, msg_id: str) -> None:
        """A text went out under a msg_id."""
        self._by_msg_id[msg_id] = said
        said.msg_id = msg_id
        if msg_id in self._early:
            self._settled(*self._early.pop(msg_id), msg_id)

    def told(self, person: Person, event: events.Event) -> None:
        """Take what a person's program tells."""
        match event:
            case events.MessageArrived():
                self._shown(person, event)
            case events.MessageConfirmed(msg_id=msg_id, is_proved=is_proved):
                self._settled(person, CONFIRMED if is_proved or not self.can_be_forged else UNPROVED, msg_id)
            case events.MessageFailed(msg_id=msg_id, code=code, why=why):
                if not (code and why):
                    self._violated("every failure is named", f"{person.own}: {event}")
                self._settled(person, code or "without a name", msg_id)
            case (
                events.MessageSought(msg_id=msg_id)
                | events.MessageSent(msg_id=msg_id)
                | events.MessageWaits(msg_id=msg_id)
                | events.MessageResumed(msg_id=msg_id)
            ):
                self._promised(msg_id)
            case events.MessageHeld():
                self._kept(event)

    def _kept(self, event: events.MessageHeld) -> None:
        said = self._by_msg_id.get(event.msg_id)
        if said is not None:
            said.couriers = tuple(dict.fromkeys((*said.couriers, *event.couriers)))

    def gone(self, person: Person) -> None:
        """A person's program has ended; what it did not know yet, it will never tell.

        The next one tells what was kept, and that was promised.
        """
        for said in self._by_key.values():
            is_kept = person.keeps and said.is_promised
            if said.sender is person and not (said.outcome or is_kept):
                said.outcome = UNKNOWN

    def open(self) -> list[Said]:
        """Return the messages to one peer that have no outcome as far as their senders know."""
        return [said for said in self._by_key.values() if not (said.is_cast or said.outcome)]

    def give_up(self) -> list[Said]:
        """Return the messages that have no outcome; they are lost now."""
        lost = self.open()
        for said in lost:
            said.outcome = LOST
        return lost

    def _shown(self, person: Person, event: events.MessageArrived) -> None:
        said = self._by_key.get(_key(event.payload))
        if said is None or said.text != event.payload:
            self.forged += 1
            self._check_unsaid(person, event)
            return
        if event.src != said.sender.own:
            self._violated("shown as from who said it", f"{_key(said.text)} as from {event.src}")
        if not said.concerns(person):
            self._violated("shown only to whom it is for", f"{_key(said.text)} for {said.to} to {person.own}")
        if person.reader in said.shown_to:
            self.shown_twice += 1
            self._violated("shown once", f"{_key(said.text)} for {said.to} to {person.own} again")
            return
        said.shown_to.add(person.reader)
        if self.is_in_order and person.keeps and said.sender.keeps and not said.is_cast:
            self._check_order(person, said)
        if not (said.is_cast and event.late_s is not None):  # else it was said before somebody came
            times = self.cast_delivery_s if said.is_cast else self.delivery_s
            times.append(self._now() - said.said_at_s)
        if event.hops is not None and not said.is_cast:
            self.hops.append(event.hops)

    def _check_order(self, person: Person, said: Said) -> None:
        """What is kept until it arrives, by somebody who remembers what did, arrives in order."""
        between = (said.sender.own, person.own)
        if said.number < self._last_shown.get(between, 0):
            what = f"{_key(said.text)} of {said.sender.own} for {said.to} after a later one"
            self._violated("shown in the order in which it was said", what)
        self._last_shown[between] = max(said.number, self._last_shown.get(between, 0))

    def _check_unsaid(self, person: Person, event: events.MessageArrived) -> None:
        """What honest people did not say may be shown as theirs only where it is marked as unsecured."""
        is_marked = event.protection is Protection.NONE
        if event.src in self.honest - self.impersonated and not is_marked:
            self._violated("shown as from who said it", f"{event.payload[:20]!a} as from {event.src}")

    def _promised(self, msg_id: str) -> None:
        said = self._by_msg_id.get(msg_id)
        if said is not None:
            said.is_promised = True
            if said.outcome == UNKNOWN:
                said.outcome = ""  # it was written down after all

    def _settled(self, person: Person, outcome: str, msg_id: str) -> None:
        said = self._by_msg_id.get(msg_id)
        if said is None:
            self._early[msg_id] = person, outcome
            return
        key = _key(said.text)
        # What was told and not written down when the power failed is told again by the next run.
        if said.outcome not in ("", UNKNOWN) and (said.told_by is person or not person.keeps):
            self._violated("told one outcome", f"{key} for {said.to}: {said.outcome}, then {outcome}")
            return
        said.outcome, said.told_by = CONFIRMED if outcome == UNPROVED else outcome, person
        if outcome == CONFIRMED and said.to not in self.impersonated:
            self._check_confirmed(said, key)

    def _check_confirmed(self, said: Said, key: str) -> None:
        is_kept = self._is_kept(said)
        if is_kept is False:
            self._violated("confirmed means kept there", f"{key} for {said.to} is not on its disk")
        elif is_kept is None and not said.shown_to:
            self._violated("confirmed means shown", f"{key} for {said.to} was not shown to anybody")


def _key(text: str) -> str:
    return text.partition(" ")[0]
