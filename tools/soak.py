"""Simulate a mixed-fault network from many seeds; tell what came of all of them, and which of them failed.

``make soak SEEDS=10000`` runs it. Each seed that breaks an invariant is told at once, with the command that
replays it; the exit status is 1 if there was any.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import attrs
from tqdm import tqdm

from p2pchat.logfile import write_nothing
from p2pchat.simulation.plan import MIXED
from p2pchat.simulation.report import Report, report_on
from p2pchat.simulation.simulation import Simulation

#: What is added up.
COUNTS = ("sent", "confirmed", "kept", "failed", "unknown", "lost", "shown_twice", "lines")

#: Seeds that a process is given at once.
CHUNK = 4


def simulate(seed: int, peers: int, minutes: float) -> Report:
    """Run one seed; every other one without liars, so that all that is said must arrive in the end."""
    liars = MIXED.liars if seed % 2 else ()
    simulation = Simulation(attrs.evolve(MIXED, seed=seed, peers=peers, minutes=minutes, liars=liars))
    simulation.run()
    return report_on(simulation)


@attrs.define
class Sum:
    """What came of all seeds so far."""

    seeds: int = 0
    broken: int = 0
    counts: Counter[str] = attrs.Factory(Counter)

    def add(self, report: Report) -> None:
        """Take one seed, and tell at once if it failed."""
        self.seeds += 1
        self.counts.update({name: getattr(report, name) for name in COUNTS})
        if not report.is_good:
            self.broken += 1
            print("\n".join(report.verdict()), flush=True)

    def tell(self) -> None:
        """Print it."""
        for name in COUNTS:
            print(f"  {name:<12}{self.counts[name]:>12}")
        print(f"{self.broken} of {self.seeds} seeds broke an invariant.")


def main() -> int:
    """Read the command line, and run; what was done until it is interrupted counts."""
    parser = argparse.ArgumentParser(description="Simulate a mixed-fault network from many seeds.")
    parser.add_argument("--seeds", type=int, default=10000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--peers", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=2.25)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    peers, minutes = [options.peers] * len(seeds), [options.minutes] * len(seeds)
    total = Sum()
    with ProcessPoolExecutor(os.cpu_count(), initializer=write_nothing) as processes:
        reports = processes.map(simulate, seeds, peers, minutes, chunksize=CHUNK)
        try:
            for report in tqdm(reports, total=len(seeds), unit="seed", disable=None):
                total.add(report)
        except KeyboardInterrupt:
            processes.shutdown(cancel_futures=True)
    print(
        f"Seeds from {options.first} on, {options.peers} peers, {options.minutes:g} simulated minutes each:"
    )
    total.tell()
    return 0 if total.seeds == len(seeds) and not total.broken else 1


if __name__ == "__main__":
    sys.exit(main())
