"""``p2pchat send``, ``events`` and ``status``: what is asked, what is printed, and exit statuses."""

from __future__ import annotations

import io
import json
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import platformdirs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import control_command
from p2pchat.command import main
from p2pchat.control.client import NotRunning, Refused
from p2pchat.control_command import FAILED, KEPT, NOT_CONFIRMED, NOT_RUNNING, REFUSED
from p2pchat.options import EnvironmentOptions

STATUS = {
    "peer_id": "alice@lobby",
    "uptime_s": 75.0,
    "port": 7070,
    "rendezvous": {"address": "h:5000", "is_registered": True, "is_hosted": False, "trouble": None},
    "neighbours": 2,
    "known": 3,
    "open_messages": 0,
}


class FakeClient:
    """In the place of a connection: peers by the folders that they are in."""

    answers: dict[str, Any]
    told: list[dict[str, Any]]
    asked: list[tuple[str, str, dict[str, Any]]]
    runs_there = "alice@lobby"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if folder.name == "nobody":
            raise NotRunning("nobody listens there")

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def close(self) -> None:
        """End it."""

    def ask(self, method: str, **params: Any) -> Any:
        """Answer as the test wants."""
        if method == "hello":
            return {"peer_id": self.runs_there}
        self.asked.append((self._folder.name, method, params))
        answer = self.answers[method]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def events(self) -> Iterator[dict[str, Any]]:
        """Tell what the test wants, and end."""
        yield from self.told
        raise NotRunning("it was stopped")


class CommandTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.patch(platformdirs, "user_state_path", self.folder.joinpath)
        self.patch(EnvironmentOptions, "environment", {})
        self.patch(control_command, "Client", FakeClient)
        FakeClient.answers, FakeClient.told, FakeClient.asked = {}, [], []

    def runs(self, *words: str) -> tuple[int, str, str]:
        """Run a command; return its status and what it printed, where it should and where errors go."""
        out, err = io.StringIO(), io.StringIO()
        return main(words, out, err), out.getvalue(), err.getvalue()


class SendTests(CommandTestCase):
    def test_outcomes(self) -> None:
        """Each outcome has its exit status, and is told."""
        for answer, status, words in (
            ({"is_confirmed": True, "took_s": 0.0123}, 0, "confirmed in 12.3 ms\n"),
            ({"is_confirmed": False, "reason": "no_route", "why": "no way"}, FAILED, "no_route: no way"),
            (
                {"is_confirmed": False, "is_kept": True, "reason": "no_route", "why": "no way"},
                KEPT,
                "p2pchat: not delivered yet: no_route: no way; it is kept for its destination\n",
            ),
            (
                {"is_confirmed": False, "reason": "not confirmed", "why": "hm"},
                NOT_CONFIRMED,
                "not confirmed: hm",
            ),
            ({"neighbours": 1}, 0, "sent to 1 neighbour\n"),
            ({"neighbours": 2}, 0, "sent to 2 neighbours\n"),
            ({"neighbours": 0}, FAILED, "no peer is linked"),
            (Refused("x is \x1b yourself"), REFUSED, "p2pchat: x is ␛ yourself"),
            (NotRunning("why\x1b"), NOT_RUNNING, "alice@lobby does not run here: why␛"),
        ):
            FakeClient.answers = {"send": answer}
            result, out, err = self.runs("send", "alice", "@bob", "hi")
            self.assertEqual(result, status)
            self.assertIn(words, err if status else out)
            self.assertEqual(err if not status else out, "")

    def test_words(self) -> None:
        """Words are taken in their order, wherever options are; what begins with a dash follows --."""
        FakeClient.answers = {"send": {"neighbours": 1}}
        place = ("--data-dir", str(self.folder / "place"))
        for words, text in (
            (("alice@UnB", "*", "a b"), "a b"),
            ((*place, "alice", "*", "hi"), "hi"),
            (("alice", "*", "hi", *place), "hi"),
            (("alice", *place, "*", "hi"), "hi"),
            (("alice", "*", *place, "--", "-x"), "-x"),
            (("alice", "*", ""), ""),
        ):
            self.assertEqual(self.runs("send", *words)[0], 0)
            name = "place" if place[0] in words else "alice"
            self.assertEqual(FakeClient.asked[-1], (name, "send", {"to": "*", "text": text}))

    def test_whose_folder(self) -> None:
        """In a folder that was given, nobody else speaks than who was named, wherever it was given."""
        FakeClient.answers = {"send": {"neighbours": 1}}
        place = str(self.folder / "place")
        self.patch(EnvironmentOptions, "environment", {"P2PCHAT_DATA_DIR": place})
        status, _, err = self.runs("send", "bob", "*", "hi")
        self.assertEqual((status, FakeClient.asked), (NOT_RUNNING, []))
        self.assertIn("bob@lobby does not run here: alice@lobby does, in", err)
        self.assertEqual(self.runs("send", "alice", "*", "hi")[0], 0)

    def test_namespace(self) -> None:
        """The namespace is that of the name, of the option or of the environment, as for the peer itself."""
        FakeClient.answers = {"send": {"neighbours": 1}}
        found: list[str] = []

        def note(namespace: str, name: str) -> Path:
            found.append(namespace)
            return self.folder / name

        self.patch(control_command, "state_folder", note)
        for words, variable in (
            (("alice@UnB",), "Giga"), (("alice", "--namespace", "UnB"), "Giga"), (("alice",), "UnB"),
        ):  # fmt: skip
            self.patch(EnvironmentOptions, "environment", {"P2PCHAT_NAMESPACE": variable})
            self.assertEqual(self.runs("send", words[0], "*", "hi", *words[1:])[0], 0)
        self.assertEqual(found, ["UnB"] * 3)

    def test_wrong(self) -> None:
        """What is wrong in the command is told."""
        for words, told in (
            (("send", "alice", "@bob"), "expected NAME DESTINATION TEXT, got 2 words"),
            (("send", "alice", "@bob", "x", "y"), "expected NAME DESTINATION TEXT, got 4 words"),
            (("send", "@", "@bob", "x"), "NAME: a name has 1 to 64 characters"),
            (("events",), "expected NAME, got 0 words"),
            (("status", "a", "b"), "expected NAME, got 2 words"),
            (("status", "--data-dir", "\0"), "--data-dir (or P2PCHAT_DATA_DIR): expected a folder"),
        ):
            status, out, err = self.runs(*words)
            self.assertEqual((status, out), (REFUSED, ""))
            self.assertIn(told, err)


class EventsTests(CommandTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.event = {"cursor": "r-1", "time_ms": 5, "kind": "warned", "data": {"text": "é\u202e"}}
        FakeClient.told = [{"method": "event", "params": self.event}]
        FakeClient.answers = {"subscribe": {"cursor": "r-0", "missed": 0}}

    def test_json(self) -> None:
        """Events are printed as they come, one JSON object a line, until the peer ends."""
        words = ("events", "alice", "--json", "--kinds", "warned,name_taken", "--after", "r-0")
        status, out, err = self.runs(*words)
        self.assertEqual((status, json.loads(out)), (NOT_RUNNING, self.event))
        self.assertIn("was stopped", err)
        asked = {"after": "r-0", "kinds": ["warned", "name_taken"]}
        self.assertEqual(FakeClient.asked, [("alice", "subscribe", asked)])

    def test_for_people(self) -> None:
        """Without JSON they can be read, and steer no terminal."""
        self.assertEqual(self.runs("events", "alice")[1], 'r-1 warned {"text": "é<U+202E>"}\n')

    def test_reader_gone(self) -> None:
        """Who reads us and has seen enough ends us without a traceback."""

        class Closed(io.StringIO):
            def write(self, text: str) -> int:
                raise BrokenPipeError

        self.patch(sys, "stderr", io.StringIO())
        self.assertEqual(main(("events", "alice"), Closed(), io.StringIO()), 0)

    def test_missed(self) -> None:
        """What was missed is told beside the events."""
        FakeClient.told.append({"method": "missed", "params": {"events": 7}})
        for missed, words in ((5, "missed before: 5"), (None, "missed before: not known")):
            FakeClient.answers["subscribe"]["missed"] = missed
            err = self.runs("events", "alice")[2]
            self.assertIn(words, err)
            self.assertIn("missed here: 7", err)


class StatusTests(CommandTestCase):
    def test_one(self) -> None:
        """How a peer does is told in a line."""
        FakeClient.answers = {"status": STATUS}
        self.assertEqual(self.runs("status", "alice"), (0, (
            "alice@lobby: up 1 min 15 s, port 7070, registered at h:5000, linked with 2 of 3 known peers, "
            "0 messages open\n"
        ), ""))  # fmt: skip
        self.assertEqual(json.loads(self.runs("status", "alice", "--json")[1]), STATUS)
        rendezvous = {"address": "h:5000", "is_registered": False, "is_hosted": False}
        for value, words in (
            (None, ", no rendezvous,"),
            (rendezvous | {"trouble": None}, "not registered yet at h:5000"),
            (rendezvous | {"trouble": "gone"}, "rendezvous h:5000 does not work"),
        ):
            FakeClient.answers = {"status": STATUS | {"rendezvous": value}}
            self.assertIn(words, self.runs("status", "alice")[1])
        self.assertEqual(self.runs("status", "nobody")[0], NOT_RUNNING)
        FakeClient.asked.clear()
        self.assertEqual(self.runs("status", "--data-dir", str(self.folder / "place"))[0], 0)
        self.assertEqual(FakeClient.asked, [("place", "status", {})])
        FakeClient.answers = {"status": STATUS | {"troubles": ["one\x1b", "two"]}}
        self.assertEqual(self.runs("status", "alice")[1].splitlines()[1:], ["  one␛", "  two"])

    def test_all(self) -> None:
        """Without a name it is all of this user; what a killed one left is passed over."""
        FakeClient.answers = {"status": STATUS}
        self.assertEqual(self.runs("status")[0], NOT_RUNNING)
        self.assertIn("no peer of yours runs", self.runs("status")[2])
        for name in ("bob", "alice", "nobody"):
            place = self.folder / "p2pchat" / "lobby" / name
            place.mkdir(parents=True)
            with socket.socket(socket.AF_UNIX) as left:
                left.bind(str(place / "control"))
        status, out, _ = self.runs("status")
        self.assertEqual((status, out.count("\n")), (0, 2))
        self.assertEqual([name for name, *_ in FakeClient.asked], ["alice", "bob"])
