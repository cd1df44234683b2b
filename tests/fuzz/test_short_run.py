"""Some thousands of mutations for each target, and the proof that each would see a defect."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import options, rendezvous_tap, tap
from p2pchat.console import commands, rendering
from p2pchat.links import link
from p2pchat.protocol import codec
from p2pchat.protocol.framing import LineBuffer
from p2pchat.rendezvous import answers, registry
from p2pchat.rendezvous.client import Registered, RendezvousClient
from p2pchat.trust import seals
from p2pchat.trust.trust import Trust
from tests.fuzz import targets, whole
from tests.fuzz.feeding import TARGETS, Found, feed

#: How many inputs of each target are fed in every test run; all together take some seconds.
INPUTS = {
    "peer-line": 4000,
    "trusted-line": 1500,
    "framing": 3000,
    "rendezvous-request": 4000,
    "rendezvous-reply": 1500,
    "console-line": 2000,
    "options": 600,
    "rendezvous-options": 300,
    "node": 400,
}

SEED = 20260


class ShortRunTests(SynchronousTestCase):
    def check(self, name: str) -> None:
        """Feed a target; some inputs are accepted, some refused, and none finds anything."""
        tally = feed(name, SEED, 0, INPUTS[name])
        found = tally.found
        self.assertIsNone(found, found and f"{found.trouble}\n{found.data[:300]!r}\n{found.command}")
        self.assertEqual(tally.inputs, INPUTS[name])
        self.assertGreater(min(tally.accepted, tally.refused), 5)

    def test_peer_line(self) -> None:
        """A line of a peer is a message, or a ProtocolError."""
        self.check("peer-line")

    def test_trusted_line(self) -> None:
        """What is sealed or signed is refused, or it is what its source said."""
        self.check("trusted-line")

    def test_framing(self) -> None:
        """A stream has the same lines however it is cut."""
        self.check("framing")

    def test_rendezvous_request(self) -> None:
        """A request is answered with one line, and the registry keeps its limits."""
        self.check("rendezvous-request")

    def test_rendezvous_reply(self) -> None:
        """A reply is read, or a RendezvousError."""
        self.check("rendezvous-reply")

    def test_console_line(self) -> None:
        """A line of a user is a command, or Mistyped, and steers no display."""
        self.check("console-line")

    def test_options(self) -> None:
        """A command line of a peer is settings, or a UsageError."""
        self.check("options")

    def test_rendezvous_options(self) -> None:
        """A command line of a rendezvous is settings, or a UsageError."""
        self.check("rendezvous-options")

    def test_node(self) -> None:
        """A node survives strangers, and serves its neighbour."""
        self.check("node")


def rarely(parse: Callable[..., Any], wrong: Callable[[Any], Any] | None = None) -> Callable[..., Any]:
    """Return a parser with a defect: each tenth time its result is made wrong, or it raises a ValueError."""
    count = itertools.count(1)

    def parse_or_fail(*args: Any, **kwargs: Any) -> Any:
        is_wrong = next(count) % 10 == 0
        if is_wrong and wrong is None:
            raise ValueError("planted")
        result = parse(*args, **kwargs)
        return wrong(result) if is_wrong and wrong else result

    return parse_or_fail


async def _for_ever(registered: Awaitable[Registered]) -> Registered:
    """Make an answer of one that lasts for ever."""
    return attrs.evolve(await registered, ttl_s=float("inf"))


class PlantedTests(SynchronousTestCase):
    """Each target sees an exception that is not documented, and a result that is wrong."""

    def find(self, name: str, most: int = 3000) -> Found:
        """Return what a target finds."""
        found = feed(name, SEED, 0, most).found
        assert found is not None, f"{name} found nothing"
        return found

    def plant(self, owner: Any, attribute: str, wrong: Callable[[Any], Any] | None = None) -> None:
        """Plant a defect."""
        self.patch(owner, attribute, rarely(getattr(owner, attribute), wrong))

    def assert_finds(
        self, name: str, owner: Any, attribute: str, wrong: Callable[[Any], Any] | None = None
    ) -> None:
        """Assert that a target finds a defect in a parser; then repair that."""
        sound = getattr(owner, attribute)
        self.plant(owner, attribute, wrong)
        trouble = self.find(name).trouble
        setattr(owner, attribute, sound)
        self.assertIn("ValueError: planted" if wrong is None else "Error", trouble)

    def test_exceptions(self) -> None:
        """An exception that is not documented is found, wherever it comes from."""
        for name, owner, attribute in (
            ("peer-line", codec, "decode"),
            ("peer-line", codec, "encode_plain"),
            ("peer-line", codec, "pass_on"),
            ("peer-line", codec, "pass_on_plain"),
            ("peer-line", codec, "complete"),
            ("trusted-line", seals, "framed"),
            ("trusted-line", Trust, "meet"),
            ("framing", LineBuffer, "feed"),
            ("rendezvous-request", answers, "answer"),
            ("rendezvous-request", registry.Registry, "register"),
            ("rendezvous-reply", RendezvousClient, "register"),
            ("rendezvous-reply", RendezvousClient, "discover"),
            ("console-line", commands, "parse"),
            ("console-line", targets, "visible"),
            ("options", options.EnvironmentOptions, "raw"),
            ("rendezvous-options", rendezvous_tap, "claim_folder"),
        ):
            self.assert_finds(name, owner, attribute)

    def test_wrong_results(self) -> None:
        """A result that breaks a promise is found."""
        for name, owner, attribute, wrong in (
            ("peer-line", codec, "pass_on", lambda line: line.replace(b'"msg_id"', b'"msg"')),
            ("peer-line", codec, "pass_on_plain", lambda line: line.replace(b'"ttl":1', b'"ttl":2')),
            ("peer-line", codec, "encode", lambda line: line + b"\n"),
            ("trusted-line", seals.Seals, "unwrap", lambda found: (replace(found[0], payload="?"), found[1])),
            ("framing", LineBuffer, "feed", lambda lines: lines[1:]),
            ("rendezvous-request", answers, "_line", lambda line: line + b"\n"),
            ("rendezvous-reply", RendezvousClient, "register", _for_ever),
            ("console-line", targets, "visible", lambda text: text + "\x1b"),
            ("console-line", commands, "_no_such", lambda _: "x" * 400),
            ("options", tap, "number", lambda _: int),
            ("rendezvous-options", rendezvous_tap, "number", lambda _: int),
        ):
            self.assert_finds(name, owner, attribute, wrong)

    def test_growth_of_a_line_buffer(self) -> None:
        """A buffer that keeps more than a line is found."""
        init = LineBuffer.__init__
        self.patch(LineBuffer, "__init__", lambda buffer: init(buffer, limit=50_000))
        self.assertIn("AssertionError", self.find("framing").trouble)

    def test_growth_of_a_registry(self) -> None:
        """A registry that holds more than it may is found."""
        self.patch(registry.Registry, "_check_room", lambda _registry, _record: None)
        self.assertIn("AssertionError", self.find("rendezvous-request").trouble)

    def test_what_stays_in_a_registry(self) -> None:
        """A registry that does not forget is found when its target is closed."""
        self.patch(registry.Registry, "expire", lambda _registry: 0)
        self.assertIn("AssertionError", self.find("rendezvous-request").trouble)

    def test_unexpected_errors_of_a_node(self) -> None:
        """A defect in what a node does with a line is found, though it ends that link only."""
        self.plant(link, "decode")
        self.assertIn("AssertionError", self.find("node").trouble)
        self.flushLoggedErrors(ValueError)

    def test_display_of_a_node(self) -> None:
        """A line of a peer's that would steer the display of a user is found."""
        self.patch(rendering, "visible", str)
        self.assertIn("AssertionError", self.find("node").trouble)

    def test_tables_of_a_node(self) -> None:
        """A table that holds more than it may is found."""
        self.patch(whole, "BOUNDS", {**whole.BOUNDS, "routes": 0})
        self.assertIn("AssertionError: routes", self.find("node").trouble)

    def test_neighbour_of_a_node(self) -> None:
        """A node that answers its neighbour no more is found."""
        self.patch(link.Link, "dataReceived", lambda _link, _data: None)
        self.assertIn("NotLinked", self.find("node").trouble)


class TargetTests(SynchronousTestCase):
    def test_all_are_fed(self) -> None:
        """Every target has its place in the short run."""
        self.assertEqual(set(INPUTS), set(TARGETS))
