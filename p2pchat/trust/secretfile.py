"""Files that nobody else may read."""

from __future__ import annotations

import os
import shlex
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from p2pchat.language import tr

#: The largest file of secrets; ours have less than 1 KiB.
MAX_BYTES = 64 * 1024


class KeysUnusable(Exception):
    """Keys cannot be read or kept; the text says to the user what happened and what to do."""


def write_secret(path: Path, data: bytes, replace: bool = False) -> None:
    """Write a file as a whole or not at all, for our eyes only.

    :param replace: one that is there may be overwritten.
    :raises FileExistsError: there is one, and it may not.
    :raises OSError: it cannot be written; nothing was changed.
    """
    # A new file with a name that nobody can guess: one that others laid out before they could read.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            os.link(draft, path)  # unlike a rename it fails where something is
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Let the name of a new file outlast a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_secret(path: Path) -> bytes:
    """Read a file that only we may read.

    :raises KeysUnusable: others may read or change it, or it is no such file.
    :raises OSError: it is not there, or cannot be read.
    """
    with open(path, "rb", opener=_without_waiting) as file:
        # Of what was opened, so that nobody can exchange the file in between.
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise KeysUnusable(tr("{file} is no file of keys").format(file=path))
        if status.st_uid != os.getuid():
            told = tr("The file {file} belongs to another user, who may know what is in it")
            raise KeysUnusable(told.format(file=path))
        if stat.S_IMODE(status.st_mode) & 0o077:
            told = tr(
                "Others may read or change the file {file}, so its keys may be known. If you are sure that "
                "nobody has read it: chmod 600 {quoted}"
            )
            raise KeysUnusable(told.format(file=path, quoted=shlex.quote(str(path))))
        return file.read(MAX_BYTES + 1)


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; where it is a pipe, whoever should write into it may never come."""
    return os.open(path, flags | os.O_NONBLOCK)
