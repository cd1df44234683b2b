"""Where a program keeps its log and pid file, so that many run side by side."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import platformdirs
from twisted.python import usage

#: What twistd calls its pid file unless told otherwise.
_TWISTD_PID = "twistd.pid"


def claim_folder(twistd: Any, given: str | None, *parts: str, label: str) -> Path:
    """Make the folder of one program, and tell twistd to keep its pid file there.

    Runs before twistd opens its files.

    :param twistd: the options of twistd itself.
    :param given: the folder that the user asked for; None for one under the user's state folder.
    :param parts: what tells it from others there.
    :param label: what the program is called, for people.
    :raises UsageError: the folder cannot be used, or the program runs already.
    """
    folder = Path(given) if given else platformdirs.user_state_path("p2pchat").joinpath(*parts)
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise usage.UsageError(
            f"The folder {folder} cannot be made ({problem.strerror}); choose another with --data-dir"
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise usage.UsageError(f"The folder {folder} cannot be written to; choose another with --data-dir")
    if twistd["pidfile"] == _TWISTD_PID:
        pid_file = folder / _TWISTD_PID
        _refuse_second(pid_file, label)
        twistd["pidfile"] = str(pid_file)
    return folder


def _refuse_second(pid_file: Path, label: str) -> None:
    try:
        pid = int(pid_file.read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        # No file, no number in it, or no such process: twistd removes what is stale.
        return
    raise usage.UsageError(
        f"{label} runs already, as process {pid}. Choose another name, or end it first: kill {pid}"
    )
