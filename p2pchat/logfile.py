"""The log of a node: one file, bounded, at a level that can be changed while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any, cast

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    textFileLogObserver,
)
from twisted.python import usage
from twisted.python.logfile import LogFile

#: Bytes of one log file, and how many full ones are kept: nobody can fill a disk through our log.
MAX_BYTES = 5_000_000
KEPT_FILES = 4


#: Info and above, unless `set_level` changes it. A process has one log, and twistd makes its
#: observer from a dotted name without arguments, so what that needs stands here.
_predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.info)
_path = Path("p2pchat.log")


def install(twistd: Any, folder: Path) -> None:
    """Tell twistd to log into a file of ours, unless it was told to log elsewhere.

    Runs before twistd opens its log.

    :param twistd: the options of twistd itself; its ``logfile`` is absolute afterwards.
    :param folder: where the file is, unless the user gave one.
    :raises UsageError: the file that the user gave cannot be there.
    """
    global _path
    # The user asked for stdout, for syslog, or for an observer of his own.
    if twistd["logfile"] == "-" or twistd.get("syslog") or twistd["logger"]:
        return
    path = Path(twistd["logfile"] or folder / "p2pchat.log").absolute()
    if not path.parent.is_dir() or path.is_dir():
        why = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise usage.UsageError(f"--logfile: {path} cannot be written: {why}")
    _path = path
    twistd["logfile"] = str(_path)
    twistd["logger"] = f"{__name__}.open_log"


def open_log() -> ILogObserver:
    """Return what writes the log; twistd calls it."""
    log_file = LogFile(_path.name, str(_path.parent), rotateLength=MAX_BYTES, maxRotatedFiles=KEPT_FILES)
    # A LogFile is as much of a file as the observer needs.
    return FilteringLogObserver(textFileLogObserver(cast(IO[Any], log_file)), [_predicate])


def set_level(level: str) -> None:
    """Let *level* and above into the log.

    :param level: debug, info, warn, error or critical.
    """
    _predicate.clearLogLevels()
    _predicate.setLogLevelForNamespace("", LogLevel.levelWithName(level))
