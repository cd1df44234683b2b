"""``p2pchat export``: all that a peer has kept, as text or JSON, whether or not it runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, TextIO
from urllib.request import pathname2url

import msgspec

from p2pchat.console import past
from p2pchat.control_command import FAILED, RunningOptions
from p2pchat.language import tr
from p2pchat.store import reading
from p2pchat.store.database import MESSAGES_FILE
from p2pchat.store.entries import Entry
from p2pchat.trust.keeping import keys_folder

#: Entries that are read at once.
PAGE = 500


class ExportOptions(RunningOptions):
    """What ``p2pchat export`` takes."""

    synopsis = tr("NAME [options]")
    longdesc = tr(
        "Prints all that a peer has kept of what was said, oldest first: a line each, or JSON. The peer may "
        "run meanwhile, and need not. docs/control.md says what the fields of the JSON are."
    )
    optFlags: ClassVar[list[list[Any]]] = [["json", None, tr("Print JSON, an object a line.")]]

    def do(self, out: TextIO, err: TextIO) -> int:
        """Print it."""
        assert self.own is not None, "without a name it is refused"
        path = keys_folder(None if self.folder is None else str(self.folder), self.own) / MESSAGES_FILE
        if not path.exists():
            told = tr("p2pchat: {peer} has kept nothing here: there is no {file}")
            print(told.format(peer=self.own, file=path), file=err)
            return FAILED
        try:
            for entry in _entries(path):
                print(self._line(entry), file=out)
        except sqlite3.Error as problem:
            print(tr("p2pchat: {file} cannot be read ({why})").format(file=path, why=problem), file=err)
            return FAILED
        return 0

    def _line(self, entry: Entry) -> str:
        if self["json"]:
            return msgspec.json.encode(entry).decode()
        return past.entry(entry, _local_time)


def _entries(path: Path) -> Iterator[Entry]:
    """Yield all entries of a file, which is not changed, nor made.

    :raises sqlite3.Error: there is none, or it cannot be read.
    """
    db = sqlite3.connect(f"file:{pathname2url(str(path))}?mode=ro", uri=True)
    try:
        after = 0
        while page := reading.page(db, after, PAGE):
            yield from page
            after = page[-1].number
    finally:
        db.close()


def _local_time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
