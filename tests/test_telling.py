"""What a node tells of the messages that come."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.protocol.messages import Pub, Send
from p2pchat.protocol.names import PeerId
from p2pchat.protocol.protection import Protection
from p2pchat.routing.delivery import Delivery
from p2pchat.store.entries import Outgoing
from p2pchat.store.nothing import Nothing
from p2pchat.telling import Telling
from tests.routing.neighbours import Neighbour

ALICE = PeerId("alice@UnB")
BOB = PeerId("bob@UnB")


class Clockwork(Nothing):
    """A store on a machine where some time passes between any two looks at the clock."""

    def __init__(self) -> None:
        self.kept: list[Outgoing] = []
        self._now_ms = 1000

    def now_ms(self) -> int:
        """Return a later time than before."""
        self._now_ms += 1
        return self._now_ms

    def keep(self, message: Outgoing, then: Callable[[], None]) -> None:
        """Note it."""
        self.kept.append(message)


class TellingTests(SynchronousTestCase):
    def test_said_at(self) -> None:
        """The next run knows when a message was said as this one does: its signature for couriers has it."""
        store = Clockwork()
        telling = Telling(ALICE, store, lambda _: None, lambda _: "", lambda _: False)
        delivery = Delivery("m1", BOB, "hi", 0.0, 0.0, said_at_ms=store.now_ms())
        telling.taken(delivery, lambda: None)
        self.assertEqual([kept.at_ms for kept in store.kept], [delivery.said_at_ms])

    def conversation(self, message: Send | Pub) -> str:
        """Let a message of bob's come; return the conversation that alice is told of, and has unread."""
        telling = Telling(ALICE, Nothing(), lambda _: None, lambda _: "", lambda _: False)
        told: list[events.Event] = []
        telling.listeners.append(told.append)
        telling.arrived(Neighbour(BOB), message, Protection.NONE, False, lambda _: None)
        (event,) = told
        assert isinstance(event, events.MessageArrived)
        self.assertEqual(telling.unread, {event.conversation: 1})
        return event.conversation

    def test_conversation(self) -> None:
        """9.12: the destination of a cast has many forms, and a conversation one."""
        self.assertEqual(self.conversation(Send(msg_id="m1", src=BOB, dst=ALICE, payload="hi")), "@bob@UnB")
        for dst, conversation in (
            ("*", "*"), ("", "*"), ("#UnB", "#UnB"), ("UnB", "#UnB"), (ALICE, "@bob@UnB"),
        ):  # fmt: skip
            cast = Pub(msg_id="m1", src=BOB, dst=dst, payload="hi")
            self.assertEqual(self.conversation(cast), conversation, dst)
