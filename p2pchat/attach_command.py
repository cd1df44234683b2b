"""``p2pchat attach``: the full terminal on a peer that runs."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from twisted.python import usage

from p2pchat.control.client import connect
from p2pchat.control_command import RunningOptions
from p2pchat.language import tr
from p2pchat.terminal.terminal import run


class AttachOptions(RunningOptions):
    """What ``p2pchat attach`` takes."""

    synopsis = tr("NAME [options]")
    longdesc = tr(
        "Shows a peer that runs on this terminal, with what happened meanwhile. Several terminals may be "
        "there at once. /quit or Ctrl-D leaves the terminal, and changes nothing at the peer."
    )

    def postOptions(self) -> None:
        """Look whether there is a terminal.

        :raises UsageError: there is none, or an option is wrong.
        """
        super().postOptions()
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise usage.UsageError(tr("attach needs a terminal; for scripts there are send and events"))
        if os.environ.get("TERM", "") in ("", "dumb", "unknown"):
            raise usage.UsageError(
                tr("attach needs a terminal that can move its cursor, and TERM says that yours cannot")
            )

    def do(self, out: TextIO, err: TextIO) -> int:
        """Be the terminal."""
        with self.client() as client:
            folder = client.folder
        for line in run(connect(folder), folder, ends_peer=False):
            print(line, file=out)
        return 0
