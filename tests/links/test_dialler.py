"""Dialling one address until a link stands (docs/protocol.md, section 9.15)."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectingCancelledError,
    ConnectionRefusedError,
)

from p2pchat.addresses import Address
from p2pchat.backoff import Backoff
from p2pchat.links.dialler import FIRST_WAIT_S, LONGEST_WAIT_S, POLITE_WAIT_S, DialFailed, Dialler
from p2pchat.links.link import Link
from tests.links.peers import ALICE, BOB, CAROL, OUR_FEATURES, LinkTestCase

BOBS = Address("192.0.2.2", 7070)


class DiallerTestCase(LinkTestCase):
    """A dialler whose connects succeed and fail when the test says so."""

    def setUp(self) -> None:
        super().setUp()
        self.chance = 1.0
        self.attempts: list[Deferred[Link]] = []
        backoff = Backoff(FIRST_WAIT_S, LONGEST_WAIT_S, lambda: self.chance)
        self.dialler = Dialler(BOBS, BOB, self.begin_connect, self.clock, backoff)
        self.addCleanup(self.dialler.stop, "the test is over")

    def begin_connect(self, dialler: Dialler) -> Deferred[Link]:
        """Note an attempt."""
        self.assertIs(dialler, self.dialler)
        connecting: Deferred[Link] = Deferred(lambda d: d.errback(ConnectingCancelledError(None)))
        self.attempts.append(connecting)
        return connecting

    def refuse(self) -> None:
        """Let the last attempt fail."""
        self.attempts[-1].errback(ConnectionRefusedError())

    def succeed(self, peer_id: str = BOB) -> Link:
        """Let the last attempt succeed, and the handshake behind it."""
        self.owner.events.clear()
        self.connect()
        self.attempts[-1].callback(self.link)
        self.raw.say("HELLO_OK", peer_id=peer_id, features=OUR_FEATURES)
        self.soon()
        return self.link

    def wait_s(self) -> float:
        """How long it is until the next dial."""
        next_s = self.dialler.next_try_at_s
        assert next_s is not None
        return next_s - self.clock.seconds()


class DialTests(DiallerTestCase):
    def test_one_at_a_time(self) -> None:
        """While a dial is under way, or its link is there, there is no other."""
        self.dialler.dial()
        self.dialler.dial()
        self.dialler.retry_later()
        self.assertEqual((len(self.attempts), self.dialler.next_try_at_s), (1, None))
        self.succeed()
        self.dialler.dial()
        self.dialler.retry_later()
        self.assertEqual((len(self.attempts), self.dialler.next_try_at_s), (1, None))

    def test_refused(self) -> None:
        """9.15: a refused connection is tried again after growing waits, and why is known."""
        waits_s = []
        self.dialler.dial()
        for _ in range(10):
            self.refuse()
            waits_s.append(round(self.wait_s(), 3))
            self.clock.advance(self.wait_s())
        self.assertEqual(waits_s, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
        self.assertIn("refused", self.dialler.last_failure)

    def test_never_under_a_second(self) -> None:
        """9.15: with any jitter, a wait is from 1 s to 5 min."""
        self.chance = 0.0
        self.dialler.dial()
        self.refuse()
        self.assertAlmostEqual(self.wait_s(), 1.0)

    def test_dial_now(self) -> None:
        """A dial that is asked for does not wait for the one that is planned, and replaces it."""
        self.dialler.dial()
        self.refuse()
        self.dialler.retry_later()
        self.dialler.dial()
        self.assertEqual((len(self.attempts), self.dialler.next_try_at_s), (2, None))

    def test_linked_otherwise(self) -> None:
        """A link that the peer dialled makes ours unnecessary."""
        self.dialler.dial()
        self.refuse()
        waiting = self.dialler.outcome()
        self.connect()
        self.dialler.linked(self.link)
        self.assertIs(self.successResultOf(waiting), self.link)
        self.assertEqual((self.dialler.next_try_at_s, self.dialler.last_failure), (None, ""))

    def test_polite(self) -> None:
        """A peer that said BYE is not dialled in a hurry."""
        self.dialler.retry_later(polite=True)
        self.assertEqual(self.wait_s(), POLITE_WAIT_S)

    def test_success_takes_a_minute(self) -> None:
        """9.15: only a link that stood for 60 s begins the waits anew."""
        waits_s = []
        for lasted_s in (59.9, 0.0, 60.0, 1.0):
            self.dialler.dial()
            self.dialler.link_gone(self.succeed(), lasted_s)
            self.dialler.retry_later()
            waits_s.append(round(self.wait_s()))
        self.assertEqual(waits_s, [2, 4, 2, 4])

    def test_ourselves(self) -> None:
        """Section 3: where we found ourselves is never dialled again."""
        self.dialler.dial()
        link = self.succeed(ALICE)
        self.dialler.link_gone(link, 0.0)
        self.dialler.retry_later()
        self.dialler.dial()
        self.assertEqual((len(self.attempts), self.dialler.next_try_at_s), (1, None))
        self.assertIn("our own name", self.dialler.held)


class OutcomeTests(DiallerTestCase):
    def test_success(self) -> None:
        """Whoever waits for a link gets the one that comes, once it is up."""
        waiting = [self.dialler.outcome(), self.dialler.outcome()]
        self.dialler.dial()
        link = self.succeed()
        self.assertNoResult(waiting[0])
        self.dialler.linked(link)
        self.assertEqual([self.successResultOf(each) for each in waiting], [link, link])

    def test_failures(self) -> None:
        """Whoever waits hears of the first failure: no connection, or a link that did not come up."""
        waiting = self.dialler.outcome()
        self.dialler.dial()
        self.refuse()
        self.assertIn("refused", self.failureResultOf(waiting, DialFailed).getErrorMessage())
        waiting = self.dialler.outcome()
        self.dialler.dial()
        self.connect()
        self.attempts[-1].callback(self.link)
        self.raw.say("ERROR", code="busy")
        self.soon()
        self.dialler.link_gone(self.link, 0.0)
        self.assertIn("busy", self.failureResultOf(waiting, DialFailed).getErrorMessage())

    def test_somebody_else(self) -> None:
        """9.11: where somebody else is found, whoever waits hears who, as long as that link stands."""
        waiting = [self.dialler.outcome()]
        self.dialler.dial()
        link = self.succeed(CAROL)
        self.dialler.found(CAROL)
        waiting.append(self.dialler.outcome())
        for each in waiting:
            self.assertIn("carol@UnB", self.failureResultOf(each, DialFailed).getErrorMessage())
        self.dialler.link_gone(link, 1.0)
        later = self.dialler.outcome()
        self.assertNoResult(later)
        self.dialler.linked(link)
        self.successResultOf(later)


class StopTests(DiallerTestCase):
    def test_planned(self) -> None:
        """A dial that is planned is not made any more."""
        self.dialler.dial()
        self.refuse()
        self.dialler.stop("enough")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.dialler.dial()
        self.dialler.retry_later()
        self.assertEqual((len(self.attempts), self.dialler.held), (1, "enough"))

    def test_under_way(self) -> None:
        """A dial that is under way is given up; whoever waits hears why it was."""
        self.dialler.dial()
        waiting = self.dialler.outcome()
        self.dialler.stop("enough")
        self.assertEqual(self.failureResultOf(waiting, DialFailed).getErrorMessage(), "enough")
        self.assertEqual((self.dialler.last_failure, self.clock.getDelayedCalls()), ("enough", []))

    def test_resumed(self) -> None:
        """It can be taken up again."""
        self.dialler.dial()
        self.dialler.stop("enough")
        self.dialler.resume()
        self.assertEqual((len(self.attempts), self.dialler.held), (2, ""))

    def test_link_is_left_alone(self) -> None:
        """A link that stands stays."""
        self.dialler.dial()
        self.succeed()
        self.dialler.stop("enough")
        self.clock.advance(10.0)
        self.assertEqual(self.owner.events, ["up"])
