"""From nothing to a chat: what a stranger does first."""

from __future__ import annotations

import json
import signal

from tests.system.machine import Process, SystemTests


class FirstUseTests(SystemTests):
    """No configuration, no other program, no server to start first."""

    def test_two_peers_find_each_other_and_chat(self) -> None:
        """Two peers in one directory find each other within 5 s and chat, with confirmation."""
        alice = self.machine.peer("alice")
        alice.until("registered at the rendezvous 127.0.0.1:5000, which this peer hosts")
        bob = self.machine.peer("bob")
        bob.until(r"^You are bob@lobby\.")
        bob.until("alice@lobby is linked", within_s=5)
        alice.until("bob@lobby is linked", within_s=5)
        alice.say("/msg @bob olá \U0001f600")
        bob.until(r"^\[\d\d:\d\d:\d\d\] alice@lobby to @bob@lobby: olá \U0001f600$")
        alice.until(r"#1 to @bob@lobby: sent$")
        alice.until(r"#1 to @bob@lobby: confirmed in [\d.]+ ms$")
        bob.say("/msg #lobby hello all", "/msg * and all others")
        alice.until("bob@lobby to #lobby: hello all$")
        alice.until(r"bob@lobby to \*: and all others$")
        bob.until("#1 to #lobby: sent to 1 neighbour$")

    def test_first_lines(self) -> None:
        """The first lines say who one is, the port, the rendezvous, the key, and where the log is."""
        alice = self.machine.peer("alice")
        alice.until("Type /help")
        log = self.machine.state / "p2pchat" / "lobby" / "alice" / "p2pchat.log"
        self.assertRegex(alice.output[3], "^Key: ([0-9a-f]{4} ){7}[0-9a-f]{4}[.]$")
        self.assertEqual(
            alice.output[:3] + alice.output[4:5],
            [
                "You are alice@lobby.",
                "Port: 7070 on all addresses of this machine.",
                "Rendezvous: 127.0.0.1:5000, shared with the peers here.",
                f"Log: {log}.",
            ],
        )

    def test_no_log_line_in_the_chat(self) -> None:
        """In the foreground the log is in its file and nowhere else."""
        alice = self.machine.peer("alice")
        alice.until("registered at")
        alice.say("/quit")
        self.assertEqual(alice.ended(), 0)
        self.assertNotIn("[p2pchat", str(alice))
        self.assertNotIn("+0000", str(alice))
        self.assertIn("listens on port 7070", self.machine.log("alice"))

    def test_any_number_in_one_directory(self) -> None:
        """Several peers start in one directory; the second gets a free port; nothing is left behind there."""
        peers = [self.machine.peer(name) for name in ("alice", "bob", "carol")]
        ports = {int(peer.until(r"^Port: (\d+) ")[1]) for peer in peers}
        self.assertEqual(len(ports), 3)
        self.assertIn(7070, ports)
        self.assertEqual({path.name for path in self.machine.folder.iterdir()}, {"state", "share"})

    def test_same_name_twice(self) -> None:
        """The second peer of one name is refused and told what to do."""
        alice = self.machine.peer("alice")
        alice.until("registered at")
        again = self.machine.peer("alice")
        again.until(
            r"alice@lobby runs already, as process \d+. Choose another name, or end it first: kill \d+"
        )
        self.assertEqual(again.ended(), 1)


class TakeOverTests(SystemTests):
    """The rendezvous lives in one of the peers, and survives it."""

    def assert_taken_over(self, end_host: str) -> None:
        """Assert that when the host ends, another hosts and both are registered within 15 s."""
        host = self.machine.peer("alice")
        host.until("which this peer hosts")
        others = [self.machine.peer(name) for name in ("bob", "carol")]
        for peer in others:
            peer.until(r"^\* (alice|bob|carol)@lobby is linked")
            peer.until(r"^\* (alice|bob|carol)@lobby is linked")
        if end_host == "/quit":
            host.say("/quit")
        else:
            host.kill()
        host.ended()
        self.assertEqual(self.registered_within_15_s(others), {"bob", "carol"})

    def registered_within_15_s(self, others: list[Process]) -> set[str]:
        """Return who is registered, as soon as all are, or 15 s after the call."""
        deadline = self.machine.run("sleep", "15")
        registered: set[str] = set()
        while deadline.popen.poll() is None and len(registered) < len(others):
            try:
                answer = self.machine.ask(5000, b'{"type":"DISCOVER"}\n')
            except Exception:
                continue  # nobody hosts yet
            registered = {peer["name"] for peer in json.loads(answer)["peers"]}
        return registered

    def test_host_quits(self) -> None:
        """When the hosting peer quits, another takes over and all are registered there within 15 s."""
        self.assert_taken_over("/quit")

    def test_host_is_killed(self) -> None:
        """When the hosting peer is killed, another takes over and all are registered there within 15 s."""
        self.assert_taken_over("kill")


class RendezvousTests(SystemTests):
    """Other ways to find each other."""

    def test_real_rendezvous(self) -> None:
        """`--rendezvous HOST:PORT` names a real one: it is used, and none is started."""
        server = self.machine.twistd("-n", "p2pchat-rendezvous", "--port", "5001")
        server.until("5001")
        peers = [self.machine.peer(name, "--rendezvous", "127.0.0.1:5001") for name in ("alice", "bob")]
        for peer in peers:
            peer.until(r"registered at the rendezvous 127.0.0.1:5001$")
        answer = json.loads(self.machine.ask(5001, b'{"type":"DISCOVER"}\n'))
        self.assertEqual({peer["name"] for peer in answer["peers"]}, {"alice", "bob"})
        server.kill(signal.SIGTERM)
        self.assertEqual(server.ended(), -signal.SIGTERM)

    def test_missing_real_rendezvous(self) -> None:
        """Where a named rendezvous does not answer, the user is told and none is started."""
        alice = self.machine.peer("alice", "--rendezvous", "127.0.0.1:5001")
        alice.until("the rendezvous 127.0.0.1:5001 does not work: connection refused")
        alice.say("/status")
        alice.until("Rendezvous: 127.0.0.1:5001, not working")
        self.assertNotIn("hosts", str(alice))

    def test_peer_only(self) -> None:
        """`--rendezvous none` uses only `--peer`, which is given as often as wanted."""
        carol = self.machine.peer("carol", "--rendezvous", "none", "--port", "7071")
        bob = self.machine.peer("bob", "--rendezvous", "none", "--port", "7072")
        for peer in (carol, bob):
            peer.until("Rendezvous: none")
            peer.until("Type /help")
        alice = self.machine.peer(
            "alice", "--rendezvous", "none", "--peer", "127.0.0.1:7071", "--peer", "127.0.0.1:7072"
        )
        alice.until("is linked")
        alice.until("is linked")
        alice.say("/msg @bob hi", "/msg @carol ho")
        bob.until("alice@lobby to @bob@lobby: hi")
        carol.until("alice@lobby to @carol@lobby: ho")
