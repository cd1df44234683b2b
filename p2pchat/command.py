"""The command ``p2pchat``: which commands there are. Each is in a module of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, ClassVar, TextIO

from twisted.python import usage

from p2pchat import logfile
from p2pchat.language import tr
from p2pchat.options import StrictOptions

#: Exit statuses: the command was wrong; it was interrupted.
WRONG, INTERRUPTED = 2, 130


# A script that sends a message should not wait until a simulation is imported, so each is imported where it
# is asked for.


def _status() -> usage.Options:
    from p2pchat.control_command import StatusOptions

    return StatusOptions()


def _send() -> usage.Options:
    from p2pchat.control_command import SendOptions

    return SendOptions()


def _events() -> usage.Options:
    from p2pchat.control_command import EventsOptions

    return EventsOptions()


def _export() -> usage.Options:
    from p2pchat.export_command import ExportOptions

    return ExportOptions()


def _doctor() -> usage.Options:
    from p2pchat.doctor_command import DoctorOptions

    return DoctorOptions()


def _attach() -> usage.Options:
    from p2pchat.attach_command import AttachOptions

    return AttachOptions()


def _simulate() -> usage.Options:
    from p2pchat.simulate_command import SimulateOptions

    return SimulateOptions()


def _replay() -> usage.Options:
    from p2pchat.simulate_command import ReplayOptions

    return ReplayOptions()


def _identity() -> usage.Options:
    from p2pchat.keys_command import IdentityOptions

    return IdentityOptions()


def _namespace_key() -> usage.Options:
    from p2pchat.keys_command import NamespaceKeyOptions

    return NamespaceKeyOptions()


class Options(StrictOptions):
    """What ``p2pchat`` takes."""

    synopsis = tr("Usage: p2pchat")
    subCommands: ClassVar[list[list[Any]]] = [
        ["status", None, _status, tr("Tell how your peers do that run.")],
        ["doctor", None, _doctor, tr("Look whether a peer would do well, before it starts.")],
        ["attach", None, _attach, tr("Show a peer that runs on this terminal.")],
        ["send", None, _send, tr("Let a peer that runs say something, and tell what came of it.")],
        ["events", None, _events, tr("Print what happens at a peer that runs.")],
        ["export", None, _export, tr("Print all that a peer has kept of what was said.")],
        ["simulate", None, _simulate, tr("Run a network of real peers, on simulated time.")],
        ["replay", None, _replay, tr("Walk through what simulate --trace has written.")],
        ["identity", None, _identity, tr("Show the key of a peer, copy it, move it elsewhere.")],
        ["namespace-key", None, _namespace_key, tr("Make a key that seals what a namespace hears.")],
    ]

    def postOptions(self) -> None:
        """Ask for a subcommand.

        :raises UsageError: there is none.
        """
        if self.subCommand is None:
            names = ", ".join(name for name, *_ in self.subCommands)
            raise usage.UsageError(tr("expected a command: {names}").format(names=names))


def main(words: Sequence[str], out: TextIO, err: TextIO) -> int:
    """Do what the words of a command line say, and return the exit status."""
    options = Options()
    try:
        options.parseOptions(words)
    except usage.UsageError as problem:
        print(tr("p2pchat: {problem}\nTry: p2pchat --help").format(problem=problem), file=err)
        return WRONG
    try:
        return int(options.subOptions.run(out, err))
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has seen enough
        return 0
    except KeyboardInterrupt:
        print(tr("p2pchat: interrupted"), file=err)
        return INTERRUPTED


def console_script() -> None:
    """Be the program: read the command line, and exit."""
    logfile.write_nothing()
    sys.exit(main(sys.argv[1:], sys.stdout, sys.stderr))
