"""Users whose peers are behind relays."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from p2pchat.addresses import Address
from tests.console.users import ConsoleTestCase, User
from tests.village import Stranger

Fields = dict[str, Any]


class RelayedTestCase(ConsoleTestCase):
    have_keys = False

    def setUp(self) -> None:
        super().setUp()
        self.relays: dict[str, Stranger] = {}
        self.numbers = 0

    def chain(self) -> tuple[User, User, User]:
        """Start alice, bob and carol; the two others know bob's address, and nobody knows theirs."""
        bob = self.user("bob")
        at_bob = (Address(bob.villager.ip, 7070),)
        alice, carol = self.user("alice", peers=at_bob), self.user("carol", peers=at_bob)
        self.pass_time(1)
        for user in (alice, bob, carol):
            user.screen.clear()
        return alice, bob, carol

    def relay(self, user: User, peer_id: str) -> Stranger:
        """Link a relay that does what the test says."""
        self.relays[peer_id] = self.plain_peer(user, peer_id, "ack", "relay", "who_has")
        user.screen.clear()
        return self.relays[peer_id]

    def brings(self, relay: str, src: str) -> None:
        """Let a relay bring a message, so that it is known as a way to its source."""
        self.numbers += 1
        message = {"type": "PUB", "msg_id": f"x{self.numbers}", "src": src, "dst": "#other", "payload": ""}
        self.tell(self.relays[relay], **message, ttl=7)

    def heard(self, relay: str, kind: str) -> list[Fields]:
        """Return the lines of one kind that a relay got, once."""
        stranger = self.relays[relay]
        lines = stranger.got.splitlines(keepends=True)
        mine = [line for line in lines if json.loads(line)["type"] == kind]
        stranger.got = b"".join(line for line in lines if line not in mine)
        return [json.loads(line) for line in mine]

    def answer(self, relay: str, answer: Callable[[Fields], Fields], seconds: float) -> None:
        """Let time pass while a relay answers each SEND, and each PING."""
        for _ in range(round(seconds * 2)):
            self.pass_time(0.5)
            for ping in self.heard(relay, "PING"):
                self.tell(self.relays[relay], type="PONG", msg_id=ping["msg_id"])
            for message in self.heard(relay, "SEND"):
                self.tell(self.relays[relay], **answer(message))


def refuse(code: str) -> Callable[[Fields], Fields]:
    """Return what refuses a SEND."""
    return lambda send: {"type": "ERROR", "code": code, "ref": send["msg_id"], "dst": send["src"]}
