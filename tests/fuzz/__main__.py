"""Feeds a million broken inputs to all parsers: ``python -m tests.fuzz --inputs 1000000 --seed 1``.

Each target gets its share, so that all take a few minutes in all. Prints what became of them; ends with
status 1 where one found a defect, after the input and the one command that replays it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import attrs

from tests.fuzz import watching
from tests.fuzz.feeding import TARGETS, Found, Tally, replay
from tests.fuzz.watching import Chunk, Report

#: Percent of all inputs. The cheap parsers, at 0.1 ms an input or less, get the most; an input to a node
#: takes a millisecond and reaches all that is behind the parsers.
SHARES = {
    "peer-line": 23,
    "trusted-line": 2,
    "framing": 10,
    "rendezvous-request": 15,
    "rendezvous-reply": 12,
    "console-line": 10,
    "options": 8,
    "rendezvous-options": 4,
    "node": 16,
}

#: Inputs of a chunk, about: many enough to see memory grow, few enough to see the run go on.
CHUNK = 20_000

#: Blocks of memory that may stay for each 1000 inputs: caches, which are bounded, fill meanwhile and take
#: some 60. A single block that is lost by each fifth input is seen.
MAX_BLOCKS = 200

#: Blocks that may stay in any case: in a short run what is there once and for all is most of them.
SPARE_BLOCKS = 5000

#: Bytes by which the largest inputs may make a process larger: megabytes and deep ones take some 20 MiB.
MAX_PEAK = 64 * 1024 * 1024

#: Where inputs are saved that found something.
BUILD = Path("build") / "fuzz"


@attrs.define
class Sum:
    """All reports of one target."""

    reports: list[Report] = attrs.Factory(list)

    @property
    def found(self) -> Found | None:
        """The first input that found something."""
        every = [report.tally.found for report in self.reports if report.tally.found]
        return min(every, key=lambda found: found.number, default=None)

    @property
    def blocks_of_1000(self) -> float:
        """How memory grew with the inputs."""
        watched = sum(report.watched for report in self.reports)
        return 1000 * sum(report.blocks for report in self.reports) / max(1, watched)

    @property
    def peak_bytes(self) -> int:
        """By how much any process grew at most."""
        return max((report.peak_bytes for report in self.reports), default=0)

    @property
    def grows(self) -> bool:
        """Whether memory grew more than it may."""
        is_more = sum(report.blocks for report in self.reports) > SPARE_BLOCKS
        return (is_more and self.blocks_of_1000 > MAX_BLOCKS) or self.peak_bytes > MAX_PEAK

    def row(self, name: str) -> str:
        """Render it as a row of the table."""
        tallies = [report.tally for report in self.reports]
        inputs, seconds = sum(t.inputs for t in tallies), sum(report.seconds for report in self.reports)
        accepted, refused = sum(t.accepted for t in tallies), sum(t.refused for t in tallies)
        return (
            f"{name:<19}{inputs:>9}{accepted:>10}{refused:>10}{inputs / (seconds or 1):>11.0f}"
            f"{self.blocks_of_1000:>13.2f}{self.peak_bytes / 2**20:>10.1f}"
        )


HEADING = (
    f"{'target':<19}{'inputs':>9}{'accepted':>10}{'refused':>10}{'per s':>11}"
    f"{'blocks/1000':>13}{'peak MiB':>10}"
)


def chunks(inputs: int, seed: int, names: Iterable[str]) -> list[Chunk]:
    """Divide inputs among targets, and those of each into chunks; the targets take turns."""
    names = list(names)
    whole = sum(SHARES[name] for name in names)
    made = []
    for name in names:
        count = -(-inputs * SHARES[name] // whole)
        size = max(1, CHUNK // TARGETS[name].lasts) * TARGETS[name].lasts
        made += [Chunk(name, seed, first, min(first + size, count)) for first in range(0, count, size)]
    return sorted(made, key=lambda chunk: chunk.first)


def run_all(work: list[Chunk], processes: int) -> dict[str, Sum]:
    """Feed all chunks; a target that found something is fed no more."""
    sums = {chunk.target: Sum() for chunk in work}
    with ProcessPoolExecutor(processes, get_context("spawn"), watching.begin) as pool:
        waiting = iter(work)
        running: dict[Future[Report], Chunk] = {}
        progress = Progress(sum(chunk.last - chunk.first for chunk in work))
        while _fill(pool, running, waiting, sums, processes):
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                chunk = running.pop(done)
                sums[chunk.target].reports.append(_result(done, [chunk, *running.values()]))
                progress.add(chunk)
    return sums


def _fill(
    pool: ProcessPoolExecutor,
    running: dict[Future[Report], Chunk],
    waiting: Iterator[Chunk],
    sums: dict[str, Sum],
    processes: int,
) -> int:
    """Keep all processes busy; return how many chunks are under way."""
    for chunk in waiting:
        if sums[chunk.target].found is None:
            running[pool.submit(watching.run, chunk)] = chunk
        if len(running) >= 2 * processes:
            break
    return len(running)


def _result(done: Future[Report], suspects: list[Chunk]) -> Report:
    try:
        return done.result()
    except BrokenProcessPool:
        commands = "\n".join(f"  {chunk.command}" for chunk in suspects)
        raise SystemExit(f"A process died; it was busy with one of these:\n{commands}") from None


class Progress:
    """Says every few seconds how far it is."""

    EVERY_S = 15.0

    def __init__(self, inputs: int) -> None:
        self._inputs = inputs
        self._done = 0
        self._began_s = self._told_s = time.monotonic()

    def add(self, chunk: Chunk) -> None:
        """Count a chunk that is done."""
        self._done += chunk.last - chunk.first
        now_s = time.monotonic()
        if now_s - self._told_s >= self.EVERY_S:
            self._told_s = now_s
            percent = 100 * self._done // self._inputs
            print(f"{percent:>3} %  {self._done} inputs in {now_s - self._began_s:.0f} s", flush=True)


def tell(found: Found) -> None:
    """Print an input that found something, save it whole, and say how to replay it."""
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / f"{found.target}-{found.seed}-{found.number}"
    path.write_bytes(found.data)
    text = repr(found.data)
    shown = text if len(text) <= 500 else f"{text[:250]} ... {text[-250:]}"
    print(f"\n{found.target}: input {found.number} found this:\n{found.trouble}")
    print(f"The input, {len(found.data)} bytes, whole in {path}:\n  {shown}\nAgain:\n  {found.command}")


def replay_one(name: str, seed: int, number: int) -> int:
    """Feed one input again; return the exit status."""
    watching.begin()
    tally: Tally = replay(name, seed, number, watching.take_in_time)
    if tally.found is None:
        print(f"{name}: input {number} is taken or refused as it should be.")
        return 0
    tell(tally.found)
    return 1


def run_and_tell(inputs: int, seed: int, names: Iterable[str], processes: int) -> int:
    """Feed all, print the table and what was found; return the exit status."""
    began_s = time.monotonic()
    sums = run_all(chunks(inputs, seed, names), processes)
    print(f"\n{HEADING}")
    for name, total in sums.items():
        print(total.row(name))
    print(f"{time.monotonic() - began_s:.0f} s with {processes} processes, seed {seed}")
    for name, total in sums.items():
        if total.found is not None:
            tell(total.found)
        elif total.grows:
            print(f"\n{name}: memory grew, by {total.blocks_of_1000:.1f} blocks for each 1000 inputs")
    return int(any(total.found or total.grows for total in sums.values()))


def main(arguments: list[str]) -> int:
    """Read the command line and do it; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many in all [default: 1000000]")
    parser.add_argument("--seed", type=int, default=1, help="all chance comes from it [default: 1]")
    parser.add_argument("--target", choices=TARGETS, help="only this one [default: all]")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="replay one input of --target")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="[default: one a core]")
    given = parser.parse_args(arguments)
    if given.only is not None:
        if given.target is None:
            parser.error("--only needs --target")
        return replay_one(given.target, given.seed, given.only)
    return run_and_tell(given.inputs, given.seed, [given.target] if given.target else SHARES, given.processes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
