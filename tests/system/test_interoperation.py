"""With a peer that others wrote, over real sockets (docs/protocol.md, section 9)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.system.machine import Process, SystemTests

_PLAIN_PEER = Path(__file__).with_name("plain_peer.py")


class PlainPeerTests(SystemTests):
    """Both ways to get a link, everything that may be said, and the end."""

    def plain_peer(self, way: str, port: int) -> Process:
        """Start the other peer."""
        return self.machine.run(sys.executable, str(_PLAIN_PEER), way, str(port))

    def talk(self, alice: Process, old: Process) -> None:
        """Let both say everything to each other."""
        alice.until("old@lobby is linked")
        alice.say("/msg @old né \U0001f600", "/msg @old two", "/msg #lobby three", "/msg * four", "/ping old")
        for payload in ("né \U0001f600 old@lobby", "two old@lobby", "three #lobby", r"four \*"):
            old.until(f"^got (SEND|PUB) {payload}")
        alice.until("PONG from old@lobby")
        hello = {"type": "SEND", "msg_id": "1", "src": "old@lobby", "dst": "alice@lobby", "payload": "hello"}
        twice = json.dumps({**hello, "require_ack": None, "timestamp": 1.5})
        cast = {"type": "PUB", "msg_id": "1", "src": "old@lobby", "dst": "lobby", "payload": "to all"}
        old.say(twice, twice, json.dumps(cast))
        alice.until(r"old@lobby \[unsecured\] to @alice@lobby: hello$")
        alice.until(r"old@lobby \[unsecured\] to #lobby: to all$")
        old.until("got ACK")
        old.until("got ACK")
        self.assertEqual(sum("confirmed in" in line for line in alice.output), 2)
        self.assertEqual(sum(line.endswith(": hello") for line in alice.output), 1)

    def part(self, alice: Process, old: Process) -> None:
        """End it; the other must have had nothing to complain of."""
        alice.say("/quit")
        self.assertEqual(alice.ended(), 0)
        old.until("got BYE")
        old.until("^end$")
        self.assertNotIn("VIOLATION", str(old))

    def test_it_dials(self) -> None:
        """A plain peer that dials us."""
        alice = self.machine.peer("alice", "--rendezvous", "none", "--port", "7071")
        alice.until("Type /help")
        old = self.plain_peer("dial", 7071)
        self.talk(alice, old)
        self.part(alice, old)

    def test_we_dial(self) -> None:
        """A plain peer that is dialled because the rendezvous lists it."""
        server = self.machine.twistd("-n", "p2pchat-rendezvous", "--port", "5001")
        server.until("5001")
        old = self.plain_peer("serve", 7072)
        old.until("ready")
        register = {"type": "REGISTER", "namespace": "lobby", "name": "old", "port": 7072}
        self.machine.ask(5001, json.dumps(register).encode() + b"\n")
        alice = self.machine.peer("alice", "--rendezvous", "127.0.0.1:5001")
        self.talk(alice, old)
        self.part(alice, old)
