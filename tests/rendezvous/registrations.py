"""A registration, a rendezvous that answers as told, and a witness of what is told, for tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from p2pchat.addresses import Address
from p2pchat.protocol.names import PeerId
from p2pchat.rendezvous.client import Registered
from p2pchat.rendezvous.registration import Registration
from p2pchat.rendezvous.roster import Changes
from tests.rendezvous.scripted import ScriptedServer
from tests.village import RENDEZVOUS, VillageTestCase

ALICE = PeerId("alice@UnB")
HERE = "10.0.0.1"
GARBAGE = b"HTTP/1.1 404 Not Found\r\n"


def gaps_of(times_s: list[float]) -> list[float]:
    """How far apart they are."""
    return [later - earlier for earlier, later in itertools.pairwise(times_s)]


class Witness:
    """Whom a registration tells. Each test has its own."""

    def __init__(self) -> None:
        #: What was told, oldest first: one word each.
        self.told: list[str] = []
        self.changes: list[Changes] = []
        self.namesakes: list[Address] = []
        self.reasons: list[str] = []
        #: What to do when told a word.
        self.on: dict[str, Callable[[], Any]] = {}
        self.may_host = False

    def rendezvous_found(self, registered: Registered) -> None:
        self._hear("found")

    def rendezvous_lost(self, why: str) -> None:
        self.reasons.append(why)
        self._hear("lost")

    def roster_changed(self, changes: Changes) -> None:
        if changes:
            self.changes.append(changes)
        self.on.get("roster", lambda: None)()

    def name_taken(self, address: Address) -> None:
        self.namesakes.append(address)
        self.on.get("namesake", lambda: None)()

    def host_rendezvous(self) -> bool:
        self._hear("asked to host")
        return self.may_host

    @property
    def gone(self) -> list[PeerId]:
        """Who was reported as left."""
        return [peer_id for changes in self.changes for peer_id in changes.left]

    def _hear(self, word: str) -> None:
        self.told.append(word)
        self.on.get(word, lambda: None)()


class RegistrationTestCase(VillageTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.server = ScriptedServer(self.host(RENDEZVOUS.host))
        self.witness = Witness()
        self.registrations: list[Registration] = []
        self.addCleanup(self.stop_all)

    def stop_all(self) -> None:
        for registration in self.registrations:
            if registration.running:
                registration.stopService()

    def make_registration(self, **options: Any) -> Registration:
        """A registration of alice at the scripted server, not yet started."""
        given: dict[str, Any] = {"port": lambda: 7070, "random": self.random.random, **options}
        registration = Registration(self.host(HERE), ALICE, RENDEZVOUS, self.witness, **given)
        self.registrations.append(registration)
        return registration

    def start(self, seconds: float = 1.0, **options: Any) -> Registration:
        """Start it, and let some time pass."""
        registration = self.make_registration(**options)
        registration.startService()
        self.pass_time(seconds)
        return registration

    def stop(self, registration: Registration) -> None:
        stopped = registration.stopService()
        self.pass_time(3)
        self.successResultOf(stopped)

    def list_peer(self, name: str, ip: str = "192.0.2.1", port: int = 7070, ttl_s: int = 86400) -> None:
        """Put somebody else into the rendezvous."""
        self.server.registry.register(
            ip=ip, namespace="UnB", name=name, port=port, ttl_s=ttl_s, observed_port=1
        )

    def assert_within_budget(self, ip: str = HERE) -> None:
        """Assert that no minute saw more than five requests (9.19)."""
        times = [request.at_s for request in self.server.requests if request.ip == ip]
        for first_s, sixth_s in zip(times, times[5:], strict=False):
            self.assertGreaterEqual(sixth_s - first_s, 60 - 1e-6, f"six requests from {first_s} s on")
