"""Keys of real programs: kept, and proved to a rendezvous and to each other."""

from __future__ import annotations

import os
import signal

from tests.rendezvous.certificates import Authority
from tests.system.machine import SystemTests


class RendezvousTests(SystemTests):
    """A rendezvous that speaks TLS."""

    def test_tls(self) -> None:
        """Peers who know the authority register by name and meet; who does not hears why not."""
        authority, folder = Authority(), self.machine.folder
        certificate, known = folder / "server.pem", folder / "ca.pem"
        certificate.write_bytes(authority.issue("localhost"))
        known.write_bytes(authority.pem)
        server = self.machine.twistd("-n", "p2pchat-rendezvous", "--tls-certificate", str(certificate))
        server.until("5000")
        at = ("--rendezvous", "tls:localhost:5000")
        alice = self.machine.peer("alice", *at, "--rendezvous-ca", str(known))
        alice.until("registered at the rendezvous tls:localhost:5000")
        bob = self.machine.peer("bob", *at, "--rendezvous-ca", str(known))
        bob.until("alice@lobby is linked")
        carol = self.machine.peer("carol", *at)
        carol.until("does not work: TLS: its certificate: nobody whom we know has signed it")
        dave = self.machine.peer("dave", "--rendezvous", "tls:127.0.0.1:5000", "--rendezvous-ca", str(known))
        dave.until("does not work: TLS: its certificate is not for 127.0.0.1")


class IdentityTests(SystemTests):
    """Who somebody is, over several runs."""

    def test_restart(self) -> None:
        """A peer is who it was after a restart; somebody else under its name is not let in."""
        bob = self.machine.peer("bob")
        bob.until("registered at")
        alice = self.machine.peer("alice")
        key = alice.until("^Key: (.*)$")[1]
        bob.until("alice@lobby is linked")
        alice.say("/quit")
        self.assertEqual(alice.ended(), 0)
        again = self.machine.peer("alice")
        self.assertEqual(again.until("^Key: (.*)$")[1], key)
        bob.until("alice@lobby is linked")
        again.say("/quit")
        self.assertEqual(again.ended(), 0)
        mallory = self.machine.peer("alice", "--data-dir", str(self.machine.folder / "other"))
        other = mallory.until("^Key: (.*)[.]$")[1]
        bob.until(f"somebody came as alice@lobby with another key.*If it is {other}.*: /trust alice@lobby")
        bob.say("/trust alice")
        bob.until("alice@lobby is linked")

    def test_daemon(self) -> None:
        """A daemon remembers whom it met, though it was forked after it had read what it knew."""
        data = self.machine.folder / "data"
        words = ("p2pchat", "--name", "alice", "--data-dir", str(data))
        self.assertEqual(self.machine.twistd(*words).ended(), 0)
        bob = self.machine.peer("bob")
        bob.until("alice@lobby is linked")
        bob.say("/quit")
        self.assertEqual(bob.ended(), 0)
        pid = int((data / "twistd.pid").read_text())
        ended = self.watch(pid)
        os.kill(pid, signal.SIGTERM)
        self.wait_for_exit(ended)
        mallory = self.machine.peer("bob", "--data-dir", str(self.machine.folder / "other"))
        mallory.until("registered at")
        alice = self.machine.twistd("-n", *words)
        alice.until("somebody came as bob@lobby with another key")
