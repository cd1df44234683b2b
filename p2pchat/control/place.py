"""Where the control socket of a peer is (docs/control.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from p2pchat.state import state_folder

#: What the socket is called in the state folder of its peer.
SOCKET = "control"

#: The longest path of a socket, in bytes, on all systems that we run on.
MAX_PATH = 100


class NoControl(Exception):
    """The socket cannot be used; the text says why."""


def all_folders() -> Iterator[Path]:
    """Yield the folders with a control socket in the usual place, by namespace and name."""
    for socket in sorted(state_folder().glob(f"*/*/{SOCKET}")):
        yield socket.parent


def within_reach(path: Path, folder: int) -> str:
    """Return a path of a socket that is short enough for the system, whatever it is called.

    :param folder: the descriptor of its folder, to stay open while the path is used.
    :raises NoControl: there is none.
    """
    if len(os.fsencode(path)) <= MAX_PATH:
        return str(path)
    if not Path("/proc/self/fd").exists():
        raise NoControl(f"its path has more than {MAX_PATH} bytes; choose a shorter --data-dir")
    return f"/proc/self/fd/{folder}/{path.name}"
