"""Questions about a link that wait for their answer."""

from __future__ import annotations

from twisted.internet.defer import TimeoutError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.links.questions import ANSWER_S, LinkClosed, Questions


class QuestionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.questions = Questions(self.clock)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def test_answer(self) -> None:
        """An answer goes to whoever asked, once."""
        one, other = self.questions.ask("m1"), self.questions.ask("m2")
        self.questions.answer("m1", 0.5)
        self.questions.answer("m1", 0.7)
        self.assertEqual(self.successResultOf(one), 0.5)
        self.assertNoResult(other)
        self.questions.answer("m2", 0.6)
        self.assertEqual(self.successResultOf(other), 0.6)

    def test_answer_to_nothing(self) -> None:
        """An answer to nothing is nothing."""
        self.questions.answer("m1", 0.5)

    def test_no_answer(self) -> None:
        """Without an answer the question fails after 5 s; an answer after that is nothing."""
        question = self.questions.ask("m1")
        self.clock.advance(ANSWER_S - 0.1)
        self.assertNoResult(question)
        self.clock.advance(0.1)
        self.failureResultOf(question, TimeoutError)
        self.questions.answer("m1", 0.5)

    def test_link_closed(self) -> None:
        """When the link ends all that is open fails, and says why."""
        asked = [self.questions.ask("m1"), self.questions.ask("m2")]
        self.questions.fail("the peer said BYE")
        for question in asked:
            failure = self.failureResultOf(question, LinkClosed)
            self.assertEqual(failure.getErrorMessage(), "the peer said BYE")

    def test_asked_too_late(self) -> None:
        """What is asked after the link ended fails at once."""
        self.questions.fail("the peer said BYE")
        failure = self.failureResultOf(self.questions.ask("m1"), LinkClosed)
        self.assertEqual(failure.getErrorMessage(), "the peer said BYE")

    def test_cancelled(self) -> None:
        """Whoever asked may lose interest."""
        question = self.questions.ask("m1")
        question.addErrback(lambda _: None)
        question.cancel()
        self.questions.answer("m1", 0.5)
        self.assertIsNone(self.successResultOf(question))
