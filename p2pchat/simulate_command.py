"""``p2pchat simulate`` and ``replay``: a network in a box (docs/simulation.md)."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, ClassVar, TextIO

from tqdm import tqdm
from twisted.python import usage

from p2pchat.language import tr
from p2pchat.options import StrictOptions, number
from p2pchat.simulation.liars import LIARS, parse_liars
from p2pchat.simulation.plan import MIXED, Plan, option_text
from p2pchat.simulation.replay import BadTrace, Choice, replay
from p2pchat.simulation.report import report_on
from p2pchat.simulation.simulation import Simulation
from p2pchat.simulation.topology import Topology

#: The most peers that are simulated. With more a machine of today has no memory left.
MAX_PEERS = 5000

#: How far a simulation is; tqdm fills it in.
_BAR = tr("{percentage:3.0f} % {bar} {n:.1f} of {total:g} simulated minutes, {elapsed}{postfix}")

#: Exit statuses: an invariant broke; a file cannot be used.
BROKEN, UNUSABLE = 1, 2


def decimal(least: float, most: float) -> Callable[[str], float]:
    """Return what reads a number from *least* to *most*."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise ValueError(
                tr("expected a number from {least:g} to {most:g}, got {text!a}").format(
                    least=least, most=most, text=text
                )
            )
        return value

    return parse


_RATE = decimal(0, 10_000)
_SHARE = decimal(0, 1)

#: How each option of ``simulate`` that makes up a plan is read, and what it means.
_PLAN: dict[str, tuple[Callable[[str], Any], str]] = {
    "peers": (number(1, MAX_PEERS), tr("Peers, 1 to {most}.").format(most=MAX_PEERS)),
    "seed": (number(0, 999_999_999), tr("Whole number that decides everything left to chance.")),
    "minutes": (decimal(0, 100_000), tr("Simulated minutes; the last is calm, and it is two at least.")),
    "topology": (Topology.parse, tr("Who can dial whom: random, line, ring, star, full or nat:0.3.")),
    "messages": (_RATE, tr("Messages to one peer, a minute in the whole network.")),
    "casts": (_RATE, tr("Messages to many, a minute in the whole network.")),
    "churn": (_RATE, tr("Peers that leave, are killed or lose power, and come back, a minute.")),
    "power-cuts": (
        _RATE,
        tr("Machines that lose power in the middle of writing, and come back, a minute."),
    ),
    "absences": (_RATE, tr("Peers that go away for up to four hours, a minute.")),
    "leavers": (_SHARE, tr("Share of the peers that leave before the calm, for good.")),
    "loss-of-links": (
        _RATE,
        tr("Links that are reset, cut in the middle of a line, or go silent, a minute."),
    ),
    "partition": (_RATE, tr("Times a minute that the network falls into two parts.")),
    "outage": (_RATE, tr("Times a minute that the rendezvous is gone.")),
    "clock-jumps": (_RATE, tr("Clocks that are put forward or back, a minute.")),
    "bad-connects": (_SHARE, tr("Share of the connects that are refused or never answered.")),
    "slow": (_SHARE, tr("Share of the peers that are slow to send and to receive.")),
    "keyless": (
        _SHARE,
        tr("Share of the peers without keys: what they say is neither encrypted nor signed."),
    ),
    "keepers": (
        _SHARE,
        tr("Share of the peers that keep their messages, and what waits, through all their runs."),
    ),
    "liars": (
        parse_liars,
        tr("Shares of hostile peers, as in 0.1 or black-hole:0.2; kinds: {kinds}.").format(
            kinds=", ".join(LIARS)
        ),
    ),
}


def _help(name: str, text: str) -> str:
    default = option_text(getattr(Plan(), name.replace("-", "_"))) or tr("none")
    return tr("{text} [default: {default}]").format(text=text, default=default)


class _Options(StrictOptions):
    """Options whose values are read as text and then understood."""

    def read(self, name: str, parse: Callable[[str], Any], default: Any) -> Any:
        """Return what an option means, or *default* where it was not given.

        :raises UsageError: its value is wrong; the text says what would be right.
        """
        if self[name] is None:
            return default
        try:
            return parse(self[name])
        except ValueError as problem:
            raise usage.UsageError(tr("--{option}: {problem}").format(option=name, problem=problem)) from None


class SimulateOptions(_Options):
    """What ``p2pchat simulate`` takes."""

    synopsis = tr("[options]")
    longdesc = tr(
        "Runs real peers in one process, on simulated time, through faults, and tells what came of it. The "
        "same options and seed do the same, byte for byte. The exit status is 0 if no invariant broke."
    )
    optParameters: ClassVar[list[list[Any]]] = [
        *([name, None, None, _help(name, text)] for name, (_, text) in _PLAN.items()),
        ["trace", None, None, tr("File to write every message on every link to, for p2pchat replay.")],
    ]
    optFlags: ClassVar[list[list[Any]]] = [
        [
            "mixed",
            None,
            tr("Every kind of fault, as with {options}; what is given besides counts.").format(
                options=MIXED.faults
            ),
        ],
        ["json", None, tr("Print one JSON object instead of a text.")],
    ]

    def postOptions(self) -> None:
        """Read all values.

        :raises UsageError: one is wrong.
        """
        base = MIXED if self["mixed"] else Plan()
        given = {}
        for name, (parse, _) in _PLAN.items():
            field = name.replace("-", "_")
            given[field] = self.read(name, parse, getattr(base, field))
        self.plan = Plan(**given)

    def run(self, out: TextIO, err: TextIO) -> int:
        """Simulate, and print what came of it."""
        try:
            with Path(self["trace"]).open("wb") if self["trace"] else nullcontext() as trace_to:
                simulation = Simulation(self.plan, trace_to)
                with _seldom_collecting():
                    run_with_progress(simulation, err)
        except OSError as problem:
            print(f"p2pchat simulate: {self['trace']}: {problem.strerror}", file=err)
            return UNUSABLE
        report = report_on(simulation)
        print(report.as_json() if self["json"] else report.as_text(), file=out)
        return 0 if report.is_good else BROKEN


class ReplayOptions(_Options):
    """What ``p2pchat replay`` takes."""

    synopsis = tr("FILE [options]")
    longdesc = tr("Walks through what p2pchat simulate --trace FILE has written.")
    takes_word = True
    optParameters: ClassVar[list[list[Any]]] = [
        ["from", None, None, tr("Begin at this time, in simulated seconds. [default: 0]")],
        ["until", None, None, tr("End at this time, in simulated seconds. [default: the end]")],
        [
            "peer",
            None,
            None,
            tr("Only what this peer, as name@namespace, sends, gets or shows. [default: all]"),
        ],
        ["text", None, None, tr("Only what holds this text, such as a msg_id. [default: all]")],
    ]
    optFlags: ClassVar[list[list[Any]]] = [["step", None, tr("Wait for Enter after each line; q ends it.")]]

    def parseArgs(self, *words: str) -> None:
        """Take the file.

        :raises UsageError: there is none, or there are several.
        """
        if len(words) != 1:
            raise usage.UsageError(tr("replay: expected one file, got {n}").format(n=len(words)))
        self.file = Path(words[0])

    def postOptions(self) -> None:
        """Read all values.

        :raises UsageError: one is wrong.
        """
        time_s = decimal(0, 1e9)
        begin_s, end_s = self.read("from", time_s, 0.0), self.read("until", time_s, float("inf"))
        self.choice = Choice(begin_s, end_s, self["peer"] or "", self["text"] or "")

    def run(self, out: TextIO, err: TextIO) -> int:
        """Print what happened."""
        try:
            with self.file.open("rb") as lines:
                self._print(lines, out)
        except BrokenPipeError:
            raise
        except (OSError, BadTrace) as problem:
            why = problem.strerror if isinstance(problem, OSError) else problem
            print(f"p2pchat replay: {self.file}: {why}", file=err)
            return UNUSABLE
        return 0

    def _print(self, lines: IO[bytes], out: TextIO) -> None:
        for text in replay(lines, self.choice):
            print(text, file=out)
            if self["step"] and sys.stdin.readline() in ("", "q\n"):
                break


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Let Python look for garbage seldom.

    A large network is millions of objects that stay; to look through them all the time takes a third of it.
    """
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def run_with_progress(simulation: Simulation, err: TextIO) -> None:
    """Let a simulation run; where somebody looks, show how far it is, and how many lines arrive a second."""
    minutes, began_s = simulation.plan.seconds / 60.0, time.perf_counter()
    # Not disabled: `err` is a terminal. What is not must be the same in every run.
    with tqdm(total=minutes, unit="min", file=err, disable=None, bar_format=_BAR) as bar:

        def show(now_s: float) -> None:
            rate = simulation.wiretap.lines / (time.perf_counter() - began_s)
            bar.set_postfix_str(tr("{rate:.0f} lines/s").format(rate=rate), refresh=False)
            bar.update(now_s / 60.0 - bar.n)

        simulation.run(show)
