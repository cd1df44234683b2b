"""Who says what to whom."""

from __future__ import annotations

from collections import Counter
from random import Random

from p2pchat import events
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.names import PeerId, ToAll
from p2pchat.simulation.ledger import Ledger, Person, Said
from p2pchat.simulation.plan import SILENT_S, Plan
from p2pchat.simulation.talk import FIRST_AT_S, WORDS, Talk
from tests.simulation.towns import TownTestCase


class TalkTests(TownTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.violations: list[str] = []
        self.inhabit(3)
        self.ledger = Ledger(lambda: self.clock.now_s, lambda rule, _what: self.violations.append(rule))
        self.around.told = self.ledger.told
        self.around.gone = self.ledger.gone

    def talk(self, plan: Plan = Plan(), seed: int = 1) -> Talk:  # noqa: B008
        """Let the residents talk."""
        return Talk(plan, self.clock, self.ledger, self.residents, Random(seed))

    @property
    def said(self) -> list[Said]:
        """What was said."""
        return list(self.ledger)

    def test_when(self) -> None:
        """As much is said as was asked for, when peers have found each other and as long as there is time."""
        plan = Plan(minutes=5.0, messages=60.0, casts=30.0)
        self.settle(self.internet._reach)
        for _ in range(3):
            self.resident()
        self.rendezvous.start()
        self.around.told, self.around.gone = self.ledger.told, self.ledger.gone
        for resident in self.residents:
            resident.start()
        self.talk(plan).start()
        self.clock.advance(plan.seconds)
        at_s = [said.said_at_s for said in self.said]
        self.assertTrue(min(at_s) > FIRST_AT_S and max(at_s) < plan.seconds - SILENT_S)
        casts = [said for said in self.said if said.is_cast]
        self.assertTrue(80 < len(casts) < 150, len(casts))
        self.assertTrue(130 < len(self.said) - len(casts) < 250, len(self.said))
        self.assertEqual({said.outcome for said in self.said if not said.is_cast}, {"confirmed"})
        self.assertTrue(all(said.shown_to for said in casts if isinstance(said.to, ToAll)))
        self.assertEqual(self.violations, [])

    def test_nothing(self) -> None:
        """Where nothing was asked for, nothing is said."""
        self.talk(Plan(messages=0.0, casts=0.0)).start()
        self.clock.advance(600.0)
        self.assertEqual(self.said, [])

    def test_what(self) -> None:
        """All kinds of texts are said, to one and to many, all different, and are shown as they were said."""
        talk = self.talk()
        for _ in range(60):
            talk._to_one()
            talk._to_many()
        self.clock.advance(5.0)
        texts = [said.text for said in self.said]
        self.assertEqual(len(set(texts)), len(texts))
        self.assertEqual({text.partition(" ")[2] for text in texts}, set(WORDS))
        destinations = {str(said.to) for said in self.said if said.is_cast}
        self.assertEqual(destinations, {"*", "#UnB", "#Giga", "#Física"})
        self.assertEqual((self.violations, self.ledger.forged), ([], 0))

    def test_circle(self) -> None:
        """Most is said among friends, and something to everybody by everybody, but by nobody to itself."""
        talk = self.talk()
        pairs = Counter((one.number, other.number) for one, other in (talk._pair() for _ in range(500)))
        self.assertEqual(len(pairs), 9)
        for _ in range(50):
            talk._to_one()
        self.assertTrue(all(said.sender.own != said.to for said in self.said))

    def test_large_circle(self) -> None:
        """In a large network most messages are among fifty, and not all of them."""
        self.settle(self.internet._reach)
        for _ in range(80):
            self.resident()
        talk = self.talk()
        inside = [max(one.number, other.number) < 50 for one, other in (talk._pair() for _ in range(500))]
        self.assertTrue(0.7 < sum(inside) / 500 < 0.9, sum(inside))

    def test_away(self) -> None:
        """Who is away says nothing; to who is away, something can be said, and fails."""
        for resident in self.residents[1:]:
            resident.kill()
        self.clock.advance(1.0)
        talk = self.talk()
        for _ in range(30):
            talk._to_one()
            talk._to_many()
        self.assertEqual({said.sender.own for said in self.said}, {self.residents[0].own})
        self.clock.advance(60.0)
        outcomes = {said.outcome for said in self.said if not said.is_cast}
        self.assertEqual(outcomes, {"no_route"})

    def test_nobody_there(self) -> None:
        """Where nobody is up, nothing is said."""
        for resident in self.residents:
            resident.kill()
        talk = self.talk()
        for _ in range(30):
            talk._to_one()
            talk._to_many()
        self.assertEqual(self.said, [])

    def test_refused(self) -> None:
        """What is not even sent has that as its outcome, with the name of the refusal."""

        def refuse(*_given: object) -> None:
            raise ProtocolError(ErrorCode.BUSY, "too much waits")

        for resident in self.residents:
            self.patch(self.node(resident).router.sender, "send", refuse)
            self.patch(self.node(resident).router.sender, "publish", refuse)
            self.patch(self.node(resident).casts, "_publish", refuse)
        talk = self.talk()
        while len({said.is_cast for said in self.said}) < 2:
            talk._to_one()
            talk._to_many()
        outcomes = {said.is_cast: said.outcome for said in self.said}
        self.assertEqual(outcomes, {False: "refused: busy", True: "refused: busy"})

    def test_told_while_sending(self) -> None:
        """An outcome that comes while a message is being sent is that message's."""
        sender, listener = self.residents[0], self.residents[1]
        send = self.node(sender).router.sender.send

        def send_and_fail(dst: PeerId, payload: str, said_at_ms: int) -> object:
            delivery = send(dst, payload, said_at_ms)
            failed = events.MessageFailed(delivery.msg_id, dst, payload, "busy", "at once")
            assert isinstance(sender.person, Person)
            self.ledger.told(sender.person, failed)
            return delivery

        self.patch(self.node(sender).router.sender, "send", send_and_fail)
        talk = self.talk()
        self.patch(Talk, "_pair", lambda _talk: (sender, listener))
        talk._to_one()
        self.assertEqual([said.outcome for said in self.said], ["busy"])
