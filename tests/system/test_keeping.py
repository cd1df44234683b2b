"""Real processes that are killed: nothing is lost, and nothing is read twice."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from tests.system.machine import P2PCHAT, Process, SystemTests

#: Where the relay listens.
RELAY_PORT = 7301

#: Seconds until a message arrives whose destination comes last: what is not heard of is sought now and then.
LATE_S = 60.0


class KeepingTests(SystemTests):
    """alice and bob know the relay, and nobody knows their addresses."""

    def start(self, name: str) -> Process:
        """Start one of the three."""
        if name == "relay":
            return self.machine.peer(name, "--rendezvous", "none", "--port", str(RELAY_PORT))
        at_relay = ("--peer", f"127.0.0.1:{RELAY_PORT}")
        return self.machine.peer(name, "--rendezvous", "none", "--port", "0", *at_relay)

    def kill(self, *processes: Process) -> None:
        """End them as by ``kill -9``."""
        for process in processes:
            process.kill()
            process.ended()

    def history(self, name: str) -> list[dict[str, object]]:
        """What a peer has kept, whether or not it runs."""
        export = self.machine.run(*P2PCHAT, "export", name, "--json")
        self.assertEqual(export.ended(), 0)
        return [json.loads(line) for line in export.output]

    def test_killed_in_the_middle(self) -> None:
        """alice writes to bob, who is away; she and the relay are killed; in any order, he reads it once."""
        relay, alice = self.start("relay"), self.start("alice")
        alice.until("relay@lobby is linked")
        readers: list[Process] = []
        orders = (("alice", "relay", "bob"), ("relay", "bob", "alice"), ("bob", "alice", "relay"))
        for number, order in enumerate(orders, 1):
            alice.say(f"/msg @bob message {number}")
            alice.until(r"@bob@lobby: (not linked yet, looking for a way|sent through relay@lobby)")
            self.kill(alice, relay)
            people: dict[str, Process] = {}
            for name in order:
                people[name] = self.start(name)
                people[name].until("Type /help")
            alice, relay = people["alice"], people["relay"]
            readers.append(people["bob"])
            readers[-1].until(rf"alice@lobby .*to @bob@lobby: message {number}$", within_s=LATE_S)
            alice.until(r"#\d+ to @bob@lobby: confirmed through relay@lobby in", within_s=LATE_S)
            self.kill(readers[-1])
        bob = self.start("bob")
        bob.until("relay@lobby is linked")
        bob.say("/history alice")
        bob.until(r"alice@lobby .*to you: message 3$")
        shown = [line for reader in readers for line in reader.output if "to @bob@lobby: message" in line]
        self.assertEqual(len(shown), 3, shown)
        self.assertEqual([said["text"] for said in self.history("bob")], [f"message {n}" for n in (1, 2, 3)])
        self.assertEqual([said["state"] for said in self.history("alice")], ["confirmed"] * 3)

    def test_courier(self) -> None:
        """The relay keeps what alice writes to bob; both are killed; bob reads it once while she is gone."""
        relay, alice, bob = (self.start(name) for name in ("relay", "alice", "bob"))
        alice.until("relay@lobby is linked")
        bob.until("relay@lobby is linked")
        # A card is needed to seal something, and comes with what is said.
        alice.say("/msg @bob good morning")
        alice.until("@bob@lobby: confirmed through relay@lobby")
        self.kill(bob)
        alice.say("/msg @bob see you at noon")
        alice.until("@bob@lobby: relay@lobby keeps a copy, and hands it over also while you are away$")
        self.kill(alice, relay)
        relay = self.start("relay")
        relay.until("Type /help")
        relay.say("/status")
        relay.until(r"As a courier you keep 1 message \(\d+ kB\) for peers that are away \(1\)")
        relay.say("/watch")
        bob = self.start("bob")
        bob.until(r"alice@lobby \(via relay@lobby\) to @bob@lobby: see you at noon$")
        relay.until(r'^<- bob@lobby .*"ACK".*"receipt"')  # else bob is killed before he has confirmed it
        self.kill(bob)
        alice = self.start("alice")
        alice.until("1 message from before waits for its destination")
        alice.until(r"@bob@lobby: confirmed through relay@lobby in")
        bob = self.start("bob")
        bob.until("relay@lobby is linked")
        bob.say("/history alice")
        bob.until(r"alice@lobby .*to you: see you at noon$")
        self.assertEqual([said["text"] for said in self.history("bob")], ["good morning", "see you at noon"])
        relay.say("/status")
        relay.until(
            r"As a courier you keep 0 messages \(0 B\) for peers that are away \(0\); handed over: 1\."
        )

    def test_newcomer(self) -> None:
        """Who comes when all is said reads what was said, also from those who were told it themselves."""
        relay, alice = self.start("relay"), self.start("alice")
        alice.until("relay@lobby is linked")
        alice.say("/msg #lobby Welcome")
        relay.until("alice@lobby to #lobby: Welcome$")
        self.kill(alice)
        bob = self.start("bob")
        bob.until(r"alice@lobby \[said \d+ s ago\] \(via relay@lobby\) to #lobby: Welcome$")

    def test_two_in_one_folder(self) -> None:
        """A second program in one folder is told the process that is there, wherever their pid files are."""
        folder = str(self.machine.folder / "data")
        words = ("p2pchat", "--name", "alice", "--data-dir", folder, "--rendezvous", "none", "--port", "0")
        first = self.machine.twistd("-n", "--pidfile", str(self.machine.folder / "first.pid"), *words)
        first.until("Type /help")
        second = self.machine.twistd("-n", "--pidfile", str(self.machine.folder / "second.pid"), *words)
        pid = second.until(r"A program runs in the folder .* already, as process (\d+)")[1]
        self.assertEqual(second.ended(), 1)
        self.assertEqual((self.machine.folder / "first.pid").read_text().strip(), pid)

    def test_damaged(self) -> None:
        """A file that is damaged is set aside, the user hears where it is, and all goes on."""
        alice = self.start("alice")
        alice.until("Type /help")
        alice.say("/msg @bob hi", "/quit")
        self.assertEqual(alice.ended(), 0)
        file = self.machine.folder / "share" / "p2pchat" / "lobby" / "alice" / "messages.sqlite"
        file.write_bytes(b"no database " * 1000)
        alice = self.start("alice")
        aside = alice.until(r"the file with your messages, .*, is damaged .* It was moved to (\S+),")[1]
        self.assertEqual(Path(aside).read_bytes()[:11], b"no database")
        alice.say("/msg @bob hi again", "/outbox")
        alice.until(r"#1 +bob@lobby .* hi again$")

    def test_pipe(self) -> None:
        """A program at the other end of a pipe learns that a message is kept, and we end."""
        alice = self.start("alice")
        alice.say("/msg @bob later")
        alice.end_input()
        alice.until(r"^#1 to @bob@lobby: not delivered yet: no_route: ")
        self.assertEqual(alice.ended(), 0)
        again = self.start("alice")
        again.until("^1 message from before waits for its destination: /outbox$")
        db = sqlite3.connect(self.machine.folder / "share/p2pchat/lobby/alice/messages.sqlite")
        self.addCleanup(db.close)
        self.assertEqual(db.execute("SELECT text FROM outbox").fetchall(), [("later",)])
