"""The log of a node: one file, bounded, at a level that can be changed while it runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    globalLogBeginner,
    textFileLogObserver,
)
from twisted.python import usage
from twisted.python.logfile import LogFile

from p2pchat.language import tr

#: Bytes of one log file, and how many full ones are kept: nobody can fill a disk through our log.
MAX_BYTES = 5_000_000
KEPT_FILES = 4

#: How a line of it is written: for people, or as a JSON object.
FORMATS = ("text", "json")

_log = Logger()


#: Info and above, unless `set_level` changes it. A process has one log, and twistd makes its
#: observer from a dotted name without arguments, so what that needs stands here.
_predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.info)
_path = Path("p2pchat.log")
_format = "text"

#: The file that is open, as far as we opened one.
_file: LogFile | None = None


def install(twistd: Any, folder: Path, log_format: str = "text") -> None:
    """Tell twistd to log into a file of ours, unless it was told to log elsewhere.

    Runs before twistd opens its log.

    :param twistd: the options of twistd itself; its ``logfile`` is absolute afterwards.
    :param folder: where the file is, unless the user gave one.
    :param log_format: one of `FORMATS`.
    :raises UsageError: the file that the user gave cannot be there, or is none of ours.
    """
    global _path, _format
    # The user asked for stdout, for syslog, or for an observer of his own.
    if twistd["logfile"] == "-" or twistd.get("syslog") or twistd["logger"]:
        if log_format != "text":
            raise usage.UsageError(
                tr("--log-format {format} is for a log in a file: give twistd --logfile FILE").format(
                    format=log_format
                )
            )
        return
    path = Path(twistd["logfile"] or folder / "p2pchat.log").absolute()
    if path.is_dir():
        raise usage.UsageError(tr("--logfile: {path} cannot be written: it is a folder").format(path=path))
    if not path.parent.is_dir():
        raise usage.UsageError(
            tr("--logfile: {path} cannot be written: there is no folder {folder}").format(
                path=path, folder=path.parent
            )
        )
    _path, _format = path, log_format
    twistd["logfile"] = str(_path)
    twistd["logger"] = f"{__name__}.open_log"


def open_log() -> ILogObserver:
    """Return what writes the log; twistd calls it."""
    global _file
    _file = LogFile(_path.name, str(_path.parent), rotateLength=MAX_BYTES, maxRotatedFiles=KEPT_FILES)
    # A LogFile is as much of a file as the observer needs.
    file = cast(IO[Any], _file)
    observer = FileLogObserver(file, _as_json) if _format == "json" else textFileLogObserver(file)
    return FilteringLogObserver(observer, [_predicate])


def reopen() -> None:
    """Open the file of the log anew, for whoever moved it away: SIGHUP asks for that.

    Where it cannot be opened the old one goes on being written, and says so.
    """
    if _file is None:
        return
    try:
        with _path.open("ab"):
            pass
    except OSError as problem:
        _log.error("the log {path!a} cannot be opened anew: {problem}", path=str(_path), problem=problem)
        return
    _file.reopen()
    _log.info("the log was opened anew")


def write_nothing() -> None:
    """Let a process write no log: what goes wrong in it is told otherwise."""
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)


def _as_json(event: LogEvent) -> str:
    """Render an event as one line; the text that the other format has, and what is around it."""
    fields = {
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds"),
        "level": event["log_level"].name,  # what has none does not pass the filter
        "from": event.get("log_namespace"),
        "text": formatEvent(event),
    }
    if event.get("log_failure") is not None:
        fields["traceback"] = event["log_failure"].getTraceback()
    return json.dumps(fields) + "\n"


def set_level(level: str) -> None:
    """Let *level* and above into the log.

    :param level: debug, info, warn, error or critical.
    """
    _predicate.clearLogLevels()
    _predicate.setLogLevelForNamespace("", LogLevel.levelWithName(level))
