"""``python -m p2pchat.terminal FOLDER``: the terminal of a peer in the foreground, which starts it so."""

from __future__ import annotations

import sys
from pathlib import Path

from p2pchat.control.client import connect
from p2pchat.terminal.terminal import run

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for line in run(connect(folder), folder, ends_peer=True):
        print(line)
