"""Who says what to whom."""

from __future__ import annotations

from random import Random

import attrs
from twisted.python.failure import Failure

from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.names import ToAll, ToNamespace
from p2pchat.simulation.clock import HeapClock
from p2pchat.simulation.faults import poisson
from p2pchat.simulation.ledger import Ledger, Said
from p2pchat.simulation.plan import Plan
from p2pchat.simulation.residents import NAMESPACES, Resident

#: When the first peers have come and found each other, in seconds.
FIRST_AT_S = 25.0

#: Most of what is said is said in a circle of so many peers, each to so many of them; the rest is between
#: anybody and anybody.
CIRCLE = 50
FRIENDS = 3
IN_CIRCLE = 0.7

#: What people write, behind what a text is known by. The long one does not fit into a segment.
WORDS = ("", "hello", "Olá, João! Tudo bem?", "日本語 🐧🎉", 'a\tb \\ "c" \x1b[31m \u202e', "la" * 3000)


@attrs.define(eq=False)
class Talk:
    """Lets peers talk. The simulation creates and starts it.

    :param residents: the honest ones.
    """

    _plan: Plan
    _clock: HeapClock
    _ledger: Ledger
    _residents: list[Resident]
    _random: Random

    def start(self) -> None:
        """Plan everything that will be said."""
        plan = self._plan
        for per_minute, say in ((plan.messages, self._to_one), (plan.casts, self._to_many)):
            for at_s in poisson(per_minute, FIRST_AT_S, plan.silent_at_s, self._random):
                self._clock.call_at(at_s, say)

    def _anybody(self) -> Resident | None:
        """Return somebody who is up."""
        up = [resident for resident in self._residents if resident.is_up]
        return self._random.choice(up) if up else None

    def _text(self) -> str:
        return f"{self._ledger.next_key()} {self._random.choice(WORDS)}"

    def _pair(self) -> tuple[Resident, Resident]:
        """Return who speaks to whom; either may be away just now."""
        circle = self._residents[:CIRCLE]
        if self._random.random() >= IN_CIRCLE:
            return self._random.choice(self._residents), self._random.choice(self._residents)
        number = self._random.randrange(len(circle))
        return circle[number], circle[(number + self._random.randint(1, FRIENDS)) % len(circle)]

    def _to_one(self) -> None:
        speaker, listener = self._pair()
        if speaker is listener or speaker.node is None or speaker.person is None:
            return
        said = self._ledger.say(speaker.person, listener.own, self._text())
        try:
            delivery = speaker.node.send(listener.own, said.text)
        except ProtocolError as problem:
            said.outcome = f"refused: {problem.code}"
        else:
            self._ledger.sent(said, delivery.msg_id)

    def _to_many(self) -> None:
        speaker = self._anybody()
        if speaker is None or speaker.node is None or speaker.person is None:
            return
        to = ToAll() if self._random.random() < 0.5 else ToNamespace(self._random.choice(NAMESPACES))
        said = self._ledger.say(speaker.person, to, self._text())
        speaker.node.publish(to, said.text).addErrback(self._refused, said)

    @staticmethod
    def _refused(failure: Failure, said: Said) -> None:
        problem = failure.value
        assert isinstance(problem, ProtocolError), "nothing else is told"
        said.outcome = f"refused: {problem.code}"
