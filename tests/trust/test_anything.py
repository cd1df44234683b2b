"""Whatever somebody makes of a message: it is refused, or it is what its source said (section 11)."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.codec import decode
from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.messages import Ack, Message, Pub, Send, WhoHasHit
from p2pchat.protocol.protection import Protection
from p2pchat.routing.trust import Belief
from tests.trust.test_seals import ALICE, BOB, CAST, HELLO, HIT, QUESTION, Person

#: Anything that JSON can say, and pieces of what is right.
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.text(max_size=20)
    | st.sampled_from((str(ALICE), str(BOB), "", "AAAA", "hi"))
    | st.binary(max_size=70).map(lambda data: msgspec.json.encode(data).decode()[1:-1]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
FIELDS = st.sampled_from(
    ("src", "dst", "from", "msg_id", "payload", "sealed", "time_ms", "key", "sig", "card", "signed")
)


class AnythingTests(SynchronousTestCase):
    """Bob knows alice's key; whatever is changed, nothing but her words come through as hers."""

    def setUp(self) -> None:
        alice, self.bob = Person(ALICE), Person(BOB)
        self.bob.knows(alice)
        signed = alice.wrap(HELLO)
        alice.knows(self.bob)
        sealed, self.sig = alice.seals.wrap(HELLO)
        cast = alice.seals.wrap_cast(CAST)
        self.asker = Person(ALICE)
        self.asker.knows(self.bob)
        hit = self.bob.seals.sign_hit(HIT, QUESTION)
        ack = self.bob.seals.sign_ack(Ack("m1", BOB, BOB, ALICE, 8), replace(HELLO, sig=self.sig))
        self.messages: list[Message] = [signed, sealed, cast, hit, ack]

    @given(st.integers(0, 4), st.dictionaries(FIELDS, VALUES, max_size=3))
    def test_changed(self, number: int, changed: dict[str, Any]) -> None:
        """Each kind of message, with any fields changed to anything."""
        fields = msgspec.to_builtins(self.messages[number], enc_hook=str) | changed
        with contextlib.suppress(ProtocolError):  # trial takes a name `suppress` for its own
            self.check(decode(json.dumps(fields).encode()))

    def check(self, message: Message) -> None:
        """Take a message; if it is taken for alice's or bob's, it is what they said."""
        if isinstance(message, Send) and message.dst == BOB:
            opened, protection = self.bob.seals.unwrap(message)
            if opened.src == ALICE:
                self.assertEqual((opened.msg_id, opened.payload), (HELLO.msg_id, HELLO.payload))
                self.assertNotEqual(protection, Protection.NONE)
        elif isinstance(message, Pub):
            cast, _ = self.bob.seals.unwrap_cast(message, False)
            if cast is not None and cast.src == ALICE:
                self.assertEqual((cast.msg_id, cast.payload, cast.dst), ("c1", CAST.payload, CAST.dst))
        elif isinstance(message, WhoHasHit) and self.asker.seals.believes_hit(message, ALICE):
            self.assertTrue(message.dst != BOB or message.msg_id == HIT.msg_id)
        elif isinstance(message, Ack):
            belief = self.asker.seals.believes_ack(message, BOB, self.sig)
            self.assertEqual(
                belief is Belief.PROVED, message.msg_id == "m1" and message.sig == self.sig_of_ack
            )

    @property
    def sig_of_ack(self) -> object:
        ack = self.messages[4]
        assert isinstance(ack, Ack)
        assert ack.sig is not UNSET
        # What is signed are from and dst as the asker knows them, so that those of the message do not matter.
        return ack.sig
