"""What is found out before a peer starts."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import tempfile
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred

from p2pchat import doctor, doctor_command
from p2pchat.addresses import Address
from p2pchat.command import main
from p2pchat.doctor import DIAL_S, Doctor, Finding
from p2pchat.doctor_command import DoctorOptions
from p2pchat.options import EnvironmentOptions
from p2pchat.rendezvous.client import REPLY_S
from p2pchat.trust.keeping import load_identity
from tests.keys import random_bytes_of
from tests.village import RENDEZVOUS, VillageTestCase


class DoctorTestCase(VillageTestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.environment: dict[str, str] = {}
        self.patch(EnvironmentOptions, "environment", self.environment)
        self.patch(doctor, "_is_synchronised", lambda: None)

    def options(self, *words: str) -> DoctorOptions:
        """Read a command line."""
        options = DoctorOptions()
        options.parseOptions(["--name", "alice", "--data-dir", str(self.folder), "--port", "0", *words])
        return options

    def found(self, *words: str, seconds: float = 1.0) -> dict[str, Finding]:
        """Look, from a machine of its own; return what is found, by what it is about."""
        looker = Doctor(self.host("10.0.9.9"), self.options(*words))

        async def look() -> dict[str, Finding]:
            return {finding.about: finding async for finding in looker.findings()}

        looking = Deferred.fromCoroutine(look())
        self.pass_time(seconds)
        return self.successResultOf(looking)

    def assert_found(
        self, about: str, is_well: bool | None, text: str, *words: str, seconds: float = 1.0
    ) -> None:
        """Assert what is found of one thing."""
        finding = self.found(*words, seconds=seconds)[about]
        self.assertEqual(finding.is_well, is_well, finding)
        self.assertIn(text, finding.text)


class MachineTests(DoctorTestCase):
    """What the machine is like."""

    def test_names(self) -> None:
        """Whatever is looked at has a name for people."""
        self.assertLessEqual(set(self.found()), set(doctor.ABOUT))

    def test_programs(self) -> None:
        """Which programs run is told."""
        self.assert_found("programs", True, "Python 3.")

    def test_folder(self) -> None:
        """The folder can be written to, or be made; else what to do."""
        self.assert_found("folder", True, str(self.folder))
        new = self.folder / "new" / "folder"
        self.assert_found("folder", True, str(new), "--data-dir", str(new))
        self.assertFalse(new.exists())
        file = self.folder / "file"
        file.touch()
        self.assert_found("folder", False, f"{file} cannot be written to", "--data-dir", str(file / "x"))

    def test_folder_that_is_closed(self) -> None:
        """Where nobody lets us look for it, it is that folder which must be another."""

        def exists(path: Path) -> bool:
            if path.parent == self.folder / "closed":
                raise PermissionError(13, "Permission denied")
            return path != self.folder / "closed" / "x" / "y"

        self.patch(Path, "exists", exists)
        self.patch(os, "access", lambda path, mode: path != self.folder / "closed" / "x")
        words = ("--data-dir", str(self.folder / "closed" / "x" / "y"))
        self.assert_found("folder", False, f"{self.folder}/closed/x cannot be written to", *words)

    def test_key(self) -> None:
        """A key that is there can be read, none is made, and a damaged one is told."""
        self.assert_found("key", True, "the first start makes one")
        self.assertEqual([*self.folder.iterdir()], [])
        own = self.options().own
        load_identity(self.folder, own, random_bytes_of("alice"))
        self.assertRegex(self.found()["key"].text, "^([0-9a-f]{4} ){7}[0-9a-f]{4}$")
        (self.folder / "identity.json").write_text("?")
        self.assert_found("key", False, "is damaged")

    def test_port(self) -> None:
        """A port that was asked for must be free; the usual one need not."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            words = ("--interface", "127.0.0.1", "--port", str(port))
            self.assert_found("port", False, f"port {port} cannot be used", *words)
            self.patch(doctor, "DEFAULT_PORT", port)
            options = self.options("--interface", "127.0.0.1")
            options["port"] = None
            options.read_values()
            finding = Doctor(self.host("10.0.9.9"), options)._port()
            self.assertEqual(
                (finding.is_well, finding.text), (True, f"{port} is taken, so any free one is used")
            )
        self.assert_found("port", True, f"{port} is free", *words)
        self.assert_found("port", True, "any free one is used")

    def test_terminal(self) -> None:
        """What kind of terminal it is, and whether it shows all letters."""
        self.assert_found("terminal", None, "there would be plain lines")
        self.patch(doctor, "is_full_terminal", lambda environment: True)
        for encoding, is_well in (("UTF-8", True), ("utf8", True), ("ANSI_X3.4-1968", False)):
            with mock.patch("locale.getpreferredencoding", return_value=encoding):
                self.assert_found("terminal", is_well, encoding)

    def test_clock(self) -> None:
        """What the system tells of its clock; where it tells nothing, nothing is made up."""
        for told, text in (
            (True, "keeps it right"),
            (False, "timedatectl set-ntp true"),
            (None, "does not tell"),
        ):
            self.patch(doctor, "_is_synchronised", lambda told=told: told)
            self.assert_found("clock", told, text)

    def test_runs_already(self) -> None:
        """Of a peer that runs it is told what that says, and nothing else is looked at."""
        client = mock.MagicMock()
        self.patch(doctor, "Client", lambda folder: client)
        client.__enter__.return_value.ask.return_value = {"peer_id": "alice@lobby", "troubles": []}
        findings = self.found()
        self.assertEqual([*findings], ["programs", "peer", "clock"])
        self.assertEqual(findings["peer"], Finding("peer", True, "it sees no trouble"))
        client.__enter__.return_value.ask.return_value = {"peer_id": "alice@lobby", "troubles": ["no relay"]}
        self.assert_found("peer", False, "no relay")


class SystemClockTests(DoctorTestCase):
    """What the system says of its clock, in its own words."""

    def test_said(self) -> None:
        """Yes and no are taken; anything else, or no answer, is none."""
        self.patch(shutil, "which", lambda name: "/bin/timedatectl")
        for said, told in (("yes\n", True), ("no\n", False), ("", None), ("n/a\n", None)):
            done = subprocess.CompletedProcess([], 0, stdout=said)
            with mock.patch("subprocess.run", return_value=done):
                self.assertIs(self.told(), told)
        for problem in (OSError(), subprocess.TimeoutExpired("x", 1), subprocess.CalledProcessError(1, "x")):
            with mock.patch("subprocess.run", side_effect=problem):
                self.assertIs(self.told(), None)
        self.patch(shutil, "which", lambda name: None)
        self.assertIs(self.told(), None)

    def told(self) -> Any:
        """Ask the system, not what the other tests put in its place."""
        return self.original()

    def setUp(self) -> None:
        self.original = doctor._is_synchronised
        super().setUp()


class NetworkTests(DoctorTestCase):
    """What the network is like."""

    there = ("--rendezvous", str(RENDEZVOUS))

    def setUp(self) -> None:
        super().setUp()
        self.server = self.rendezvous()

    def test_rendezvous(self) -> None:
        """One that answers tells how many it lists; looking registers nowhere."""
        self.assert_found("rendezvous", True, "lists 0 peers", *self.there)
        self.join("bob")
        self.pass_time(1)
        self.assert_found("rendezvous", True, "lists 1 peer", *self.there)
        self.assertEqual([record.name for record in self.server.factory.registry.discover()], ["bob"])

    def test_no_rendezvous(self) -> None:
        """One that does not answer is trouble, except that which this peer would host."""
        for words, is_well, text in (
            (("--rendezvous", "10.0.0.99:5999"), False, "10.0.0.99:5999 does not work: connection refused"),
            ((), True, "this peer would host it"),
            (("--rendezvous", "none"), None, "none is used"),
        ):
            self.assert_found("rendezvous", is_well, text, *words)
        self.assert_found("name", None, "nobody tells", "--rendezvous", "none")

    def test_silent_rendezvous(self) -> None:
        """One that takes the connection and says nothing is given up."""
        self.network.crash(RENDEZVOUS.host)
        self.servers.clear()
        findings = self.found(*self.there, seconds=2 * REPLY_S + DIAL_S)
        self.assertEqual(findings["rendezvous"].is_well, False)

    def test_name(self) -> None:
        """A name that somebody else has is told; an entry of this machine may be an old one."""
        self.assert_found("name", True, "alice@lobby", *self.there)
        self.join("alice@lobby")
        self.pass_time(1)
        self.assert_found("name", False, "is registered at 10.0.1.1:7070 already", *self.there)
        self.patch(doctor, "is_of_this_machine", lambda host: True)
        self.assert_found("name", None, "or it is an old entry", *self.there)

    def test_peers(self) -> None:
        """Of those that were named each is dialled, of those that are listed some."""
        for name in ("bob", "carol"):
            self.join(name)
        self.pass_time(1)
        self.assert_found("peers", True, "connections could be made to 2 of 2", *self.there)
        self.network.hide("10.0.1.2")
        self.assert_found("peers", True, "to 1 of 2; not to carol@UnB", *self.there, seconds=30)
        self.network.hide("10.0.1.1")
        self.assert_found("peers", False, "to 0 of 2", *self.there, seconds=30)
        named = ("--peer", "10.0.1.3:7070")
        self.assert_found("--peer 10.0.1.3:7070", False, "connection refused", *named)
        self.join("dave")
        self.assert_found("--peer 10.0.1.3:7070", True, "a connection could be made", *named)

    def test_outside(self) -> None:
        """Behind a router it says what is to be done; else that it cannot be seen from here."""
        self.assert_found("outside", None, "/status tells", *self.there)
        self.patch(doctor, "_own_address", lambda there: ip_address("192.168.1.2"))
        self.assert_found("outside", None, "/status tells", *self.there)
        far = ("--rendezvous", "203.0.114.1:5000")
        self.assert_found("outside", None, "192.168.1.2 in its own network", *far, seconds=30)

    def test_carrier(self) -> None:
        """Behind the NAT of a carrier it is the same."""
        self.patch(doctor, "_own_address", lambda there: ip_address("100.64.3.2"))
        words = ("--rendezvous", "203.0.114.1:5000")
        self.assert_found(
            "outside", None, "this machine is 100.64.3.2 in its own network", *words, seconds=60
        )

    def test_silent_peer(self) -> None:
        """Of a peer that takes no connection and does not refuse it either, it says so."""
        self.network.hide("10.0.0.7")
        words = ("--rendezvous", "none", "--peer", "10.0.0.7:7070")
        told = self.found(*words, seconds=2 * DIAL_S)["--peer 10.0.0.7:7070"].text
        self.assertEqual(told, f"no answer within {DIAL_S:.0f} s")

    def test_own_address(self) -> None:
        """The address of this machine is that which the system would take; of a name it is not asked."""
        self.assertEqual(doctor._own_address(Address("127.0.0.1", 9)), ip_address("127.0.0.1"))
        self.assertIsNone(doctor._own_address(Address("localhost", 9)))


class CommandTests(DoctorTestCase):
    """The command itself."""

    def runs(self, *words: str, findings: list[Finding]) -> tuple[int, str, str]:
        """Run the command, which finds this."""

        async def found(looker: Doctor) -> Any:
            for finding in findings:
                yield finding

        def react(look: Any) -> None:
            self.successResultOf(look(self.host("10.0.9.9")))
            raise SystemExit(0)

        self.patch(Doctor, "findings", found)
        self.patch(doctor_command, "react", react)
        out, err = io.StringIO(), io.StringIO()
        status = main(["doctor", *words], out, err)
        return status, out.getvalue(), err.getvalue()

    def test_well(self) -> None:
        """What is found is a line each; what could not be checked is no trouble."""
        findings = [Finding("port", True, "7070 is free"), Finding("clock", None, "nobody tells\x1b[2J")]
        status, out, _ = self.runs("--name", "alice", findings=findings)
        self.assertEqual(out.split("\n"), [
            "ok           port: 7070 is free",
            "not checked  clock: nobody tells␛[2J",
            "All is well, as far as can be seen before the start.",
            "",
        ])  # fmt: skip
        self.assertEqual(status, 0)

    def test_trouble(self) -> None:
        """Trouble is counted, and the exit status tells."""
        bad = Finding("port", False, "taken")
        for count, told in ((1, "There is 1 trouble."), (2, "There are 2 troubles.")):
            status, out, _ = self.runs("--name", "alice", findings=[bad] * count)
            self.assertEqual((status, out.splitlines()[-1]), (1, told))

    def test_json(self) -> None:
        """For programs it is JSON, a line each, and nothing else."""
        status, out, _ = self.runs("--name", "alice", "--json", findings=[Finding("port", None, "é")])
        self.assertEqual((status, json.loads(out)), (0, {"about": "port", "is_well": None, "text": "é"}))

    def test_wrong(self) -> None:
        """What is wrong in the options is told as the peer tells it."""
        for words, told in (((), "--name is required"), (("--name", "a", "--port", "x"), "--port")):
            status, _, err = self.runs(*words, findings=[])
            self.assertEqual(status, 2)
            self.assertIn(told, err)
