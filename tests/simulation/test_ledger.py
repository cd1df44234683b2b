"""What was said, who was shown it, and what its sender was told."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.protocol.names import PeerId, ToAll, ToNamespace
from p2pchat.protocol.protection import Protection
from p2pchat.simulation.ledger import CONFIRMED, LOST, UNKNOWN, Ledger, Person, Said, To

ALICE, BOB, CAROL = PeerId("alice@UnB"), PeerId("bob@UnB"), PeerId("carol@Giga")


def arrived(text: str, dst: str = BOB, is_cast: bool = False, hops: int | None = 1) -> events.MessageArrived:
    """What a program tells when a text arrives."""
    return events.MessageArrived(ALICE, dst, text, is_cast, ALICE, False, hops, "")


def confirmed(msg_id: str, is_proved: bool = True) -> events.MessageConfirmed:
    """What a program tells when a text was confirmed."""
    return events.MessageConfirmed(msg_id, BOB, 0.1, 1, BOB, is_proved)


def failed(msg_id: str, code: str = "no_route", why: str = "nobody knows it") -> events.MessageFailed:
    """What a program tells when a text failed."""
    return events.MessageFailed(msg_id, BOB, "hello", code, why)


class LedgerTestCase(SynchronousTestCase):
    """Three people, and a clock that the test sets."""

    def setUp(self) -> None:
        self.now_s = 10.0
        self.violations: list[tuple[str, str]] = []
        self.ledger = Ledger(lambda: self.now_s, lambda rule, what: self.violations.append((rule, what)))
        self.alice, self.bob, self.carol = Person(ALICE), Person(BOB), Person(CAROL)

    def say(self, to: To = BOB, words: str = "hello") -> Said:
        """Let alice say something, which is sent as msg_id ``id-1``, ``id-2`` and so on."""
        key = self.ledger.next_key()
        said = self.ledger.say(self.alice, to, f"{key} {words}")
        self.ledger.sent(said, f"id-{key[1:]}")
        return said

    @property
    def broken(self) -> list[str]:
        """The rules that broke."""
        return [rule for rule, _ in self.violations]


class SaidTests(LedgerTestCase):
    """Who said what: no text is shown as from somebody who did not say it."""

    def shown(self, src: PeerId, text: str, protection: Protection = Protection.LINK) -> list[str]:
        """Let bob be shown a text; return the rules that broke by that."""
        self.violations.clear()
        self.ledger.told(
            self.bob, events.MessageArrived(src, BOB, text, False, CAROL, False, 1, "", protection)
        )
        return self.broken

    def test_another_source(self) -> None:
        """Words of alice's as from carol are a violation, however they are marked."""
        for protection in Protection:
            self.assertEqual(self.shown(CAROL, self.say().text, protection), ["shown as from who said it"])
        self.assertEqual(self.shown(ALICE, self.say().text), [])

    def test_not_said(self) -> None:
        """What nobody said, as from somebody honest, is one unless it is marked as unsecured."""
        self.ledger.honest.update({ALICE, CAROL})
        self.ledger.impersonated.add(CAROL)
        for src, protection, broken in (
            (ALICE, Protection.NONE, []),
            (ALICE, Protection.SIGNED, ["shown as from who said it"]),
            (ALICE, Protection.SEALED, ["shown as from who said it"]),
            (ALICE, Protection.LINK, ["shown as from who said it"]),
            (CAROL, Protection.LINK, []),
            (PeerId("liar@UnB"), Protection.LINK, []),
        ):
            self.assertEqual(self.shown(src, "buy now", protection), broken)
        self.assertEqual(self.ledger.forged, 6)

    def test_confirmed_without_proof(self) -> None:
        """Where somebody forges confirmations, one that is no proof may be wrong; a proved one may not."""
        self.ledger.can_be_forged = True
        said = self.say()
        self.ledger.told(self.alice, confirmed("id-1", is_proved=False))
        self.assertEqual((said.outcome, self.broken), (CONFIRMED, []))
        self.say()
        self.ledger.told(self.alice, confirmed("id-2"))
        self.assertEqual(self.broken, ["confirmed means shown"])


class ShownTests(LedgerTestCase):
    def test_shown(self) -> None:
        """A text that is shown to whom it is for, once, is all right, and measured."""
        said = self.say()
        self.now_s = 10.25
        self.ledger.told(self.bob, arrived(said.text, hops=2))
        self.assertEqual((said.shown_to, self.violations), ({self.bob}, []))
        self.assertEqual((self.ledger.delivery_s, self.ledger.hops), ([0.25], [2]))
        self.assertEqual((self.ledger.cast_delivery_s, self.ledger.shown_twice), ([], 0))

    def test_cast(self) -> None:
        """A text to many is shown to many, and measured apart; its hops are not those of a message."""
        said = self.say(ToAll())
        for person in (self.bob, self.carol):
            self.ledger.told(person, arrived(said.text, "*", is_cast=True))
        self.assertEqual((said.shown_to, self.violations), ({self.bob, self.carol}, []))
        self.assertEqual((self.ledger.delivery_s, self.ledger.hops), ([], []))
        self.assertEqual(self.ledger.cast_delivery_s, [0.0, 0.0])

    def test_hops_unknown(self) -> None:
        """Where nobody knows how many hops it took, none are counted."""
        self.ledger.told(self.bob, arrived(self.say().text, hops=None))
        self.assertEqual((self.ledger.hops, self.violations), ([], []))

    def test_shown_twice(self) -> None:
        """A text that is shown to the same person again breaks a rule, each time, and is not measured."""
        said = self.say()
        for _ in range(3):
            self.ledger.told(self.bob, arrived(said.text))
        self.assertEqual(self.broken, ["shown once"] * 2)
        self.assertEqual(self.violations[0][1], "m1 for bob@UnB to bob@UnB again")
        self.assertEqual((self.ledger.shown_twice, len(self.ledger.delivery_s)), (2, 1))

    def test_shown_to_its_next_program(self) -> None:
        """A peer whose program was started again remembers nothing: it is shown a text again."""
        said = self.say()
        for person in (self.bob, Person(BOB)):
            self.ledger.told(person, arrived(said.text))
        self.assertEqual(self.violations, [])

    def test_shown_to_somebody_else(self) -> None:
        """A text that is shown to whom it is not for breaks a rule."""
        for to in (BOB, ToNamespace("UnB")):
            self.violations.clear()
            said = self.say(to)
            self.ledger.told(self.carol, arrived(said.text))
            self.assertEqual(self.broken, ["shown only to whom it is for"])
            self.assertIn("carol@Giga", self.violations[0][1])

    def test_concerns(self) -> None:
        """A text concerns one peer, a namespace, or all; only the first is not to many."""
        for to, concerned, is_cast in (
            (BOB, {BOB}, False),
            (ToNamespace("UnB"), {ALICE, BOB}, True),
            (ToAll(), {ALICE, BOB, CAROL}, True),
        ):
            said = self.say(to)
            people = (self.alice, self.bob, self.carol)
            self.assertEqual({person.own for person in people if said.concerns(person)}, concerned)
            self.assertEqual(said.is_cast, is_cast)

    def test_forged(self) -> None:
        """A text that nobody said, or that differs from what was said, is counted, and breaks no rule."""
        said = self.say()
        for text in ("buy now", "m9 hello", said.text + "!", ""):
            self.ledger.told(self.bob, arrived(text))
        self.assertEqual((self.ledger.forged, self.violations, said.shown_to), (4, [], set()))


class OutcomeTests(LedgerTestCase):
    def test_confirmed(self) -> None:
        """A text that was shown and then confirmed is all right."""
        said = self.say()
        self.ledger.told(self.bob, arrived(said.text))
        self.ledger.told(self.alice, confirmed("id-1"))
        self.assertEqual((said.outcome, self.violations), (CONFIRMED, []))

    def test_confirmed_and_not_shown(self) -> None:
        """A text that is confirmed and was not shown breaks a rule, unless a liar has that name too."""
        self.say()
        self.ledger.told(self.alice, confirmed("id-1"))
        self.assertEqual(self.broken, ["confirmed means shown"])
        self.ledger.impersonated.add(BOB)
        self.say()
        self.ledger.told(self.alice, confirmed("id-2"))
        self.assertEqual(len(self.violations), 1)

    def test_failed(self) -> None:
        """A failure with a code and a reason is all right; its outcome is the code."""
        said = self.say()
        self.ledger.told(self.alice, failed("id-1"))
        self.assertEqual((said.outcome, self.violations), ("no_route", []))

    def test_failed_without_a_name(self) -> None:
        """A failure without a code, or without a reason, breaks a rule; it is an outcome all the same."""
        for number, (code, why) in enumerate((("", "why"), ("busy", ""), ("", "")), 1):
            said = self.say()
            self.ledger.told(self.alice, failed(f"id-{number}", code, why))
            self.assertEqual(said.outcome, code or "without a name")
        self.assertEqual(self.broken, ["every failure is named"] * 3)

    def test_two_outcomes(self) -> None:
        """A sender that is told two outcomes breaks a rule; the first one counts."""
        said = self.say()
        self.ledger.told(self.alice, failed("id-1"))
        self.ledger.told(self.alice, confirmed("id-1"))
        self.assertEqual(self.violations, [("told one outcome", "m1 for bob@UnB: no_route, then confirmed")])
        self.assertEqual(said.outcome, "no_route")

    def test_early(self) -> None:
        """An outcome that is told while the text is still being sent counts once it is sent."""
        said = self.ledger.say(self.alice, BOB, "m1 hello")
        self.ledger.told(self.alice, failed("id-1"))
        self.assertEqual(said.outcome, "")
        self.ledger.sent(said, "id-1")
        self.assertEqual((said.outcome, self.violations), ("no_route", []))

    def test_gone(self) -> None:
        """What a program did not know when it ended, nobody will be told; what it knew, counts."""
        told, untold = self.say(), self.say()
        others = self.ledger.say(self.bob, ALICE, f"{self.ledger.next_key()} hi")
        self.ledger.told(self.alice, failed("id-1"))
        self.ledger.gone(self.alice)
        self.assertEqual((told.outcome, untold.outcome, others.outcome), ("no_route", UNKNOWN, ""))

    def test_lost(self) -> None:
        """Lost are the messages to one peer that have no outcome."""
        early = self.say()
        self.say(ToAll())
        settled = self.say()
        self.ledger.told(self.alice, failed("id-3"))
        self.assertEqual(self.ledger.give_up(), [early])
        self.assertEqual((early.outcome, settled.outcome), (LOST, "no_route"))

    def test_other_events(self) -> None:
        """What else a program tells is of no matter."""
        self.say()
        self.ledger.told(self.alice, events.NeighbourDown(BOB, "it left"))
        self.assertEqual((self.violations, len(self.ledger.give_up())), ([], 1))

    def test_keys(self) -> None:
        """Each text has a key of its own, and all are listed in the order in which they were said."""
        texts = [self.say().text for _ in range(3)]
        self.assertEqual(texts, ["m1 hello", "m2 hello", "m3 hello"])
        self.assertEqual([said.text for said in self.ledger], texts)
