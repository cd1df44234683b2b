"""The command ``p2pchat``: which commands there are. Each is in a module of its own."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TextIO

from twisted.logger import globalLogBeginner
from twisted.python import usage

from p2pchat.options import StrictOptions

#: Exit statuses: the command was wrong; it was interrupted.
WRONG, INTERRUPTED = 2, 130


def _of(module: str, name: str) -> Callable[[], Any]:
    """Return what makes the options of a command, and imports what that needs only then.

    A script that sends a message should not wait for a simulation to be imported.
    """

    def make() -> Any:
        return getattr(importlib.import_module(f"p2pchat.{module}_command"), f"{name}Options")()

    return make


class Options(StrictOptions):
    """What ``p2pchat`` takes."""

    synopsis = "Usage: p2pchat"
    subCommands: ClassVar[list[list[Any]]] = [
        ["status", None, _of("control", "Status"), "Tell how your peers do that run."],
        [
            "send",
            None,
            _of("control", "Send"),
            "Let a peer that runs say something, and tell what came of it.",
        ],
        ["events", None, _of("control", "Events"), "Print what happens at a peer that runs."],
        ["simulate", None, _of("simulate", "Simulate"), "Run a network of real peers, on simulated time."],
        ["replay", None, _of("simulate", "Replay"), "Walk through what simulate --trace has written."],
        ["identity", None, _of("keys", "Identity"), "Show the key of a peer, copy it, move it elsewhere."],
        ["namespace-key", None, _of("keys", "NamespaceKey"), "Make a key that seals what a namespace hears."],
    ]

    def postOptions(self) -> None:
        """Ask for a subcommand.

        :raises UsageError: there is none.
        """
        if self.subCommand is None:
            raise usage.UsageError(
                "expected a command: status, send, events, simulate, replay, identity or namespace-key"
            )


def main(words: Sequence[str], out: TextIO, err: TextIO) -> int:
    """Do what the words of a command line say, and return the exit status."""
    options = Options()
    try:
        options.parseOptions(words)
    except usage.UsageError as problem:
        print(f"p2pchat: {problem}\nTry: p2pchat --help", file=err)
        return WRONG
    try:
        return int(options.subOptions.run(out, err))
    except KeyboardInterrupt:
        print("p2pchat: interrupted", file=err)
        return INTERRUPTED


def console_script() -> None:
    """Be the program: read the command line, and exit."""
    # A large network is millions of objects that stay; to look through them all the time takes a third of it.
    gc.set_threshold(100_000, 50, 1000)
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    sys.exit(main(sys.argv[1:], sys.stdout, sys.stderr))
