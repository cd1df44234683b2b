"""What a node tells of the messages that come."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.protocol.messages import Pub, Send
from p2pchat.protocol.names import PeerId
from p2pchat.protocol.protection import Protection
from p2pchat.store.nothing import Nothing
from p2pchat.telling import Telling
from tests.routing.neighbours import Neighbour

ALICE = PeerId("alice@UnB")
BOB = PeerId("bob@UnB")


class TellingTests(SynchronousTestCase):
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
