"""The control socket of a real daemon."""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import sys
import time
from pathlib import Path

import p2pchat
from tests.system.machine import DEADLINE_S, P2PCHAT, PATH, SystemTests

DOCS = Path(p2pchat.__file__).parent.parent / "docs"


class ControlTests(SystemTests):
    def test_daemons(self) -> None:
        """Two daemons talk; programs say something, see it come, go, and come back to what they missed."""
        self.daemon("alice", "--rendezvous", "none", "--port", "7301")
        pid = self.daemon("bob", "--rendezvous", "none", "--port", "7302", "--peer", "127.0.0.1:7301")
        mode = (self.place("alice") / "control").stat().st_mode
        self.assertEqual((stat.S_ISSOCK(mode), stat.S_IMODE(mode)), (True, 0o600))
        alice, bob = self.connect("alice"), self.connect("bob")
        self.assertEqual(self.ask(alice, "hello")["peer_id"], "alice@lobby")
        seen = self.ask(alice, "subscribe", after="start", kinds=["message_arrived"])["cursor"]
        self.assertTrue(self.ask(bob, "send", to="@alice", text="one")["is_confirmed"])
        told = json.loads(alice.readline())["params"]
        self.assertEqual((told["data"]["payload"], told["data"]["protection"]), ("one", "link"))
        self.assertNotEqual(told["cursor"], seen)
        alice.close()
        self.assertTrue(self.ask(bob, "send", to="@alice", text="two")["is_confirmed"])
        again = self.connect("alice")
        self.assertEqual(self.ask(again, "subscribe", after=told["cursor"])["missed"], 0)
        self.assertEqual(json.loads(again.readline())["params"]["data"]["payload"], "two")
        self.ask(again, "command", line="/status")
        self.assertIn("You are alice@lobby", json.loads(again.readline())["params"]["line"])
        ended = self.watch(pid)
        self.ask(bob, "stop")
        self.assertEqual(bob.readline(), "")
        self.wait_for_exit(ended)
        self.assertFalse((self.place("bob") / "control").exists())

    def test_doctor(self) -> None:
        """Before the start it says what would be wrong; of a peer that runs, what that says."""
        status, said = self.p2pchat(
            "doctor", "--name", "alice", "--port", "7301", "--rendezvous", "127.0.0.1:9"
        )
        self.assertEqual(status, 1)
        self.assertRegex(said, "ok +port: 7301 is free")
        self.assertRegex(said, "trouble +rendezvous: 127.0.0.1:9 does not work: connection refused")
        self.assertFalse(self.place("alice").exists())
        self.daemon("alice", "--port", "7301")
        status, said = self.p2pchat("doctor", "--name", "bob", "--port", "7301", "--peer", "127.0.0.1:7301")
        self.assertEqual(status, 1)
        self.assertRegex(said, "trouble +port: --port: port 7301 cannot be used")
        self.assertRegex(said, "ok +--peer 127.0.0.1:7301: a connection could be made")
        status, said = self.p2pchat("doctor", "--name", "alice")
        self.assertEqual(status, 0, said)
        self.assertIn("alice@lobby runs already", said)

    def p2pchat(self, *words: str) -> tuple[int, str]:
        """Run a command to its end; return its status and what it printed."""
        process = self.machine.run(*P2PCHAT, *words)
        status = process.ended()
        return status, "\n".join(process.output)

    def test_commands(self) -> None:
        """Scripts say something, hear what happens, and see how all peers do."""
        self.assertEqual(self.p2pchat("send", "alice", "@bob", "hi")[0], 3)
        self.daemon("alice", "--rendezvous", "none", "--port", "7301")
        self.daemon("bob", "--rendezvous", "none", "--port", "7302", "--peer", "127.0.0.1:7301")
        events = self.machine.run(*P2PCHAT, "events", "bob", "--json", "--after", "start")
        events.until('"kind": "neighbour_up"')
        status, shown = self.p2pchat("send", "alice", "@bob", "from a script")
        self.assertEqual(status, 0)
        self.assertRegex(shown, r"^confirmed in [0-9.]+ ms$")
        events.until('"payload": "from a script"')
        self.assertEqual(self.p2pchat("send", "alice", "bob", "x")[0], 2)
        self.assertEqual(self.p2pchat("send", "alice", "@nobody", "x")[0], 5)
        status, shown = self.p2pchat("status")
        self.assertEqual((status, len(shown.splitlines())), (0, 2))
        self.ask(self.connect("bob"), "stop")
        self.assertEqual(events.ended(), 3)

    def test_bot(self) -> None:
        """The bot of the documents answers who writes to it."""
        tools = self.machine.folder / "bin"
        tools.mkdir()
        script = tools / "p2pchat"
        script.write_text(f'#!/bin/sh\nexec {shlex.join(P2PCHAT)} "$@"\n')
        script.chmod(0o755)
        self.daemon("alice", "--rendezvous", "none", "--port", "7301")
        bob = self.machine.peer("bob", "--rendezvous", "none", "--peer", "127.0.0.1:7301")
        bob.until("alice@lobby is linked")
        path = {"PATH": f"{tools}:{PATH}"}
        bot = self.machine.run(sys.executable, str(DOCS / "echo_bot.py"), "alice", environment=path)
        self.wait_for_follower("alice")
        bob.say("/msg @alice -hello there")
        bob.until("alice@lobby to @bob@lobby: you said: -hello there")
        self.ask(self.connect("alice"), "stop")
        self.assertEqual(bot.ended(), 0)

    def wait_for_follower(self, name: str) -> None:
        """Wait until somebody has subscribed, whom we do not see but at the node."""
        file = self.connect(name)
        deadline_s = time.monotonic() + DEADLINE_S
        while self.ask(file, "counters")["control_followers"] == 0:
            self.assertLess(time.monotonic(), deadline_s)

    def test_killed(self) -> None:
        """What a killed daemon leaves is replaced by the next one; signals end it and remove the socket."""
        pid = self.daemon("alice", "--rendezvous", "none")
        ended = self.watch(pid)
        os.kill(pid, signal.SIGKILL)
        self.wait_for_exit(ended)
        self.assertTrue((self.place("alice") / "control").exists())
        pid = self.daemon("alice", "--rendezvous", "none")
        self.assertEqual(self.ask(self.connect("alice"), "hello")["peer_id"], "alice@lobby")
        ended = self.watch(pid)
        os.kill(pid, signal.SIGTERM)
        self.wait_for_exit(ended)
        self.assertFalse((self.place("alice") / "control").exists())
