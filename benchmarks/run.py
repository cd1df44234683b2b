"""Measures p2pchat against a bare pair, round by round in turn, and prints medians of ratios.

Absolute times of a shared machine mean little; both sides of a ratio are taken within seconds of
each other, each in two fresh processes, on loopback.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

#: Rounds; the median needs some to forget the noise of a shared machine.
ROUNDS = 7

_ROOT = Path(__file__).parent.parent
_BARE_JSON = ["benchmarks.bare", "json"]
_BARE_MSGSPEC = ["benchmarks.bare", "msgspec"]
_OURS = ["benchmarks.ours"]


def measure(program: list[str]) -> dict[str, float]:
    """Run one pair of processes; return messages per second and the median round trip in seconds."""
    script, *arguments = program
    python = [sys.executable, "-m", script]
    serve = [*python, "serve", *arguments]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as server:
        assert server.stdout is not None
        try:
            port = server.stdout.readline().strip()
            driver = [*python, "drive", *arguments, port]
            result = subprocess.run(
                driver, stdout=subprocess.PIPE, text=True, check=True, timeout=120, cwd=_ROOT
            )
        finally:
            server.kill()
    found: dict[str, float] = json.loads(result.stdout)
    return found


def main() -> None:
    """Measure, and print a table."""
    ratios: dict[tuple[str, str], list[float]] = {}
    for number in range(1, ROUNDS + 1):
        ours = measure(_OURS)
        for name, program in (("json", _BARE_JSON), ("msgspec", _BARE_MSGSPEC)):
            bare = measure(program)
            for figure, value in ours.items():
                ratios.setdefault((figure, name), []).append(value / bare[figure])
        print(f"round {number} of {ROUNDS}: {ours['messages_per_s']:.0f} messages/s", file=sys.stderr)
    print("SEND -> ACK between two nodes, as a ratio to a bare LineOnlyReceiver pair (median, min to max)")
    for (figure, name), values in sorted(ratios.items()):
        spread = f"{statistics.median(values):5.2f}   ({min(values):.2f} to {max(values):.2f})"
        print(f"{figure:<15} bare pair with {name:<8} {spread}")
    print("Aims: messages_per_s at least 0.5, round_trip_s at most 1.5.")


if __name__ == "__main__":
    main()
