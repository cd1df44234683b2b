"""Where a program keeps its log and pid file, so that many run side by side."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any, Literal

import platformdirs
from twisted.application.service import Service
from twisted.python import usage

from p2pchat.language import tr

#: What twistd calls its pid file unless told otherwise.
_TWISTD_PID = "twistd.pid"

#: What is locked in a folder that is in use.
_LOCK = "lock"

#: What to do where a program runs already, by what would make it another.
_INSTEAD = {
    "name": tr("Choose another name, or end it first"),
    "port": tr("Choose another port, or end it first"),
    "folder": tr("Choose another with --data-dir, or end it first"),
}

#: Descriptors of the locks of this process. The system frees them when it ends, however it does; the
#: daemon that twistd forks inherits them.
_locks: list[int] = []


def state_folder(*parts: str) -> Path:
    """Return the folder for what a program of this user keeps that was not given another.

    :param parts: what tells it from others there.
    """
    return platformdirs.user_state_path("p2pchat").joinpath(*parts)


def claim_folder(
    twistd: Any, given: str | None, *parts: str, label: str, choose: Literal["name", "port"]
) -> Path:
    """Make the folder of one program, and tell twistd to keep its pid file there.

    Runs before twistd opens its files.

    :param twistd: the options of twistd itself.
    :param given: the folder that the user asked for; None for one under the user's state folder.
    :param parts: what tells it from others there.
    :param label: what the program is called, for people.
    :param choose: the option that makes it another.
    :raises UsageError: the folder cannot be used, or the program runs already.
    """
    folder = Path(given) if given else state_folder(*parts)
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise usage.UsageError(
            tr("The folder {folder} cannot be made ({why}); choose another with --data-dir").format(
                folder=folder, why=problem.strerror
            )
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise usage.UsageError(
            tr("The folder {folder} cannot be written to; choose another with --data-dir").format(
                folder=folder
            )
        )
    try:
        is_free = _lock(folder)
    except OSError as problem:
        raise usage.UsageError(
            tr("The folder {folder} cannot be used ({why}); choose another with --data-dir").format(
                folder=folder, why=problem.strerror
            )
        ) from None
    if not is_free and given:
        runs = tr("A program runs in the folder {folder} already").format(folder=folder)
        raise _in_use(folder, runs, _INSTEAD["folder"])
    if not is_free:
        raise _in_use(folder, tr("{program} runs already").format(program=label), _INSTEAD[choose])
    if twistd["pidfile"] == _TWISTD_PID:
        twistd["pidfile"] = str(folder / _TWISTD_PID)
    return folder


class Occupancy(Service):
    """Writes down which process has the folders, for whoever wants them too. The taps add it.

    That is known only once the daemon was forked, which the locks are handed down to.
    """

    def startService(self) -> None:
        """Write it down."""
        super().startService()
        for lock in _locks:
            os.ftruncate(lock, 0)
            os.pwrite(lock, b"%d" % os.getpid(), 0)


def _lock(folder: Path) -> bool:
    """Take a folder for this process until it ends; False where another has it.

    A pid file alone would not do: after a crash its number is soon that of any other process, and users
    may have it elsewhere.

    :raises OSError: it cannot be locked.
    """
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        # Whoever wrote it is gone. twistd would look at its number again.
        (folder / _TWISTD_PID).unlink(missing_ok=True)
    except OSError as problem:
        os.close(lock)
        if isinstance(problem, BlockingIOError):
            return False
        raise
    _locks.append(lock)
    return True


def _in_use(folder: Path, runs: str, instead: str) -> usage.UsageError:
    pid = _read_pid(folder / _LOCK) or _read_pid(folder / _TWISTD_PID)
    if pid is None:
        # It is just about to start.
        return usage.UsageError(f"{runs}. {instead}")
    return usage.UsageError(
        tr("{runs}, as process {pid}. {instead}: kill {pid}").format(runs=runs, pid=pid, instead=instead)
    )


def _read_pid(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
