"""Where a program keeps its log and pid file, so that many run side by side."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import platformdirs
from twisted.python import usage

#: What twistd calls its pid file unless told otherwise.
_TWISTD_PID = "twistd.pid"


#: Descriptors of the locks of this process. The system frees them when it ends, however it does; the
#: daemon that twistd forks inherits them.
_locks: list[int] = []


def state_folder(*parts: str) -> Path:
    """Return the folder for what a program of this user keeps that was not given another.

    :param parts: what tells it from others there.
    """
    return platformdirs.user_state_path("p2pchat").joinpath(*parts)


def claim_folder(twistd: Any, given: str | None, *parts: str, label: str, choose: str) -> Path:
    """Make the folder of one program, and tell twistd to keep its pid file there.

    Runs before twistd opens its files.

    :param twistd: the options of twistd itself.
    :param given: the folder that the user asked for; None for one under the user's state folder.
    :param parts: what tells it from others there.
    :param label: what the program is called, for people.
    :param choose: the option that makes it another.
    :raises UsageError: the folder cannot be used, or the program runs already.
    """
    if given == "":
        raise usage.UsageError("--data-dir: expected a folder, got ''")
    folder = Path(given) if given else state_folder(*parts)
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
        try:
            is_free = _lock(pid_file)
        except OSError as problem:
            raise usage.UsageError(
                f"The folder {folder} cannot be used ({problem.strerror}); choose another with --data-dir"
            ) from None
        if not is_free and given:
            raise _in_use(pid_file, f"A program runs in the folder {folder}", "another with --data-dir")
        if not is_free:
            raise _in_use(pid_file, f"{label} runs", f"another {choose}")
        twistd["pidfile"] = str(pid_file)
    return folder


def _lock(pid_file: Path) -> bool:
    """Take the folder of *pid_file* for this process until it ends; False where another has it.

    A pid file alone would not do: after a crash its number is soon that of any other process.

    :raises OSError: it cannot be locked.
    """
    lock = os.open(pid_file.with_name("lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever wrote it is gone. twistd would look at its number again.
        pid_file.unlink(missing_ok=True)
    except OSError as problem:
        os.close(lock)
        if isinstance(problem, BlockingIOError):
            return False
        raise
    _locks.append(lock)
    return True


def _in_use(pid_file: Path, what: str, choose: str) -> usage.UsageError:
    try:
        pid = int(pid_file.read_text())
    except (OSError, ValueError):
        # It is just about to start.
        return usage.UsageError(f"{what} already. Choose {choose}, or end it first")
    return usage.UsageError(f"{what} already, as process {pid}. Choose {choose}, or end it first: kill {pid}")
