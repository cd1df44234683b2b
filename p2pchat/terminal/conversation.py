"""What is shown of a conversation: what was said, what became of it, and what else happened."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

import attrs

from p2pchat.console import marks, past
from p2pchat.console.amounts import duration
from p2pchat.console.visible import visible, visible_name
from p2pchat.language import ntr, tr
from p2pchat.protocol.names import PeerId
from p2pchat.protocol.protection import Protection
from p2pchat.terminal.wrapping import Fragments, wrap

#: How far a user can scroll back: as far as a node keeps its events, and so many characters.
MAX_ENTRIES = 10_000
MAX_CHARS = 8 * 1024 * 1024

#: Columns that the second row of an entry leaves free; as wide as the time before the first.
INDENT = 6

#: Colours of names: those that can be read on black and on white. Red is for what went wrong.
COLOURS = (
    "ansigreen",
    "ansiblue",
    "ansimagenta",
    "ansicyan",
    "ansiyellow",
    "ansibrightblue",
    "ansibrightmagenta",
)

#: Only how an emoji is drawn: joined with the next, or in colour. Each terminal takes another width for that.
_DRAWN = "\u200d\ufe0e\ufe0f"


@attrs.define(eq=False)
class Entry:
    """One thing that was said or happened. The conversation owns it.

    :param number: counted from 1.
    :param head: what stands before the text.
    :param text: may hold line ends; harmless to look at.
    :param mark: what became of it; changes.
    :param is_heard: somebody else said it to us.
    """

    number: int
    head: Fragments
    text: str
    style: str = ""
    mark: Fragments = attrs.Factory(list)
    is_heard: bool = False

    def rows(self, width: int) -> list[Fragments]:
        """Return it as it stands on a screen so many columns wide."""
        first, *others = self.text.split("\n")
        paragraphs = [[*self.head, (self.style, first)]]
        paragraphs += [[("class:bar", " " * (INDENT - 2) + "│ "), (self.style, line)] for line in others]
        paragraphs[-1] += self.mark
        return [row for paragraph in paragraphs for row in wrap(paragraph, width, INDENT)]


class Conversation:
    """All entries that are kept, oldest first. The terminal creates it and feeds it with events.

    :param own: who we are.
    :param local_time: a time in ms since 1970, where the user is.
    """

    def __init__(self, own: PeerId, local_time: Callable[[int], datetime]) -> None:
        self._own = own
        self._local_time = local_time
        self._entries: deque[Entry] = deque()
        self._chars = 0
        self._day = ""
        #: msg_id -> our message, as long as its outcome is open.
        self._open: dict[str, Entry] = {}
        #: Numbers of what was heard and not seen yet, and where; None: an earlier version does not say.
        self._unseen: dict[int, str | None] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def first(self) -> int:
        """The number of the oldest entry; one more than `last` where there is none."""
        return self._entries[0].number if self._entries else 1

    @property
    def last(self) -> int:
        """The number of the newest entry; 0 where there is none."""
        return self._entries[-1].number if self._entries else 0

    def __getitem__(self, number: int) -> Entry:
        return self._entries[number - self.first]

    @property
    def unseen(self) -> int:
        """How many messages the user has not seen yet."""
        return len(self._unseen)

    def unseen_after(self, number: int) -> int:
        """Return how many of them come after an entry."""
        return sum(unseen > number for unseen in self._unseen)

    def see(self, number: int) -> None:
        """The user has seen all up to an entry."""
        for unseen in [unseen for unseen in self._unseen if unseen <= number]:
            del self._unseen[unseen]

    def see_all_but(self, unread: Collection[str]) -> None:
        """The user has seen all conversations but some, at another surface."""
        unseen = self._unseen.items()
        self._unseen = {number: where for number, where in unseen if where is None or where in unread}

    def open_ends(self) -> list[Entry]:
        """Return our messages whose outcome is not known yet."""
        return [*self._open.values()]

    # What happens.

    def told(self, event: dict[str, Any]) -> Entry | None:
        """Take an event as the control socket tells it; return the entry that came of it, or changed."""
        data, time_ms = event["data"], event["time_ms"]
        match event["kind"]:
            case "message_arrived":
                return self._arrived(data, time_ms)
            case "message_taken":
                return self._taken(data, time_ms, tr("sending"))
            case "message_sought":
                return self._mark(data["msg_id"], "class:pending", tr("… looking for a way"))
            case "message_waits":
                mark = past.waits(data["code"], data["why"])
                return self._mark(data["msg_id"], "class:pending", f"… {mark}")
            case "message_held":
                couriers = [self._short(courier) for courier in data["couriers"]]
                mark = tr("… not delivered yet; {kept}").format(kept=marks.kept_by(couriers))
                return self._mark(data["msg_id"], "class:pending", mark)
            case "message_resumed":
                told = tr("kept for {time}").format(time=duration(data["age_s"]))
                return self._taken(data, time_ms, told)
            case "message_sent":
                is_direct = data["via"] == data["dst"]
                how = tr("… sent{lacks}") if is_direct else tr("… relayed by {relay}{lacks}")
                lacks = marks.lacks(Protection(data["protection"]))
                mark = how.format(relay=self._short(data["via"]), lacks=lacks)
                return self._mark(data["msg_id"], "class:pending", mark)
            case "message_confirmed":
                names = ("via", "dst", "took_s", "tries", "is_proved")
                outcome = marks.confirmed(**{name: data[name] for name in names})
                return self._mark(data["msg_id"], "class:good", f"✓ {outcome}", is_over=True)
            case "message_failed":
                outcome = f"✗ {marks.failed(data['code'])}: {visible(data['why'])}"
                return self._mark(data["msg_id"], "class:bad", outcome, is_over=True)
            case "cast_sent":
                return self._cast(data, time_ms)
            case _ if event["text"] is not None:
                return self._add(time_ms, [], f"* {event['text']}", "class:notice")
        return None

    def asked(self, line: str, time_ms: int) -> Entry:
        """Take a command."""
        return self._add(time_ms, [("class:prompt", "> ")], line)

    def shown(self, line: str) -> Entry:
        """Take a line that a command shows; as wide as it can be, since it may be one of a table."""
        return self._put([], line, "class:shown")

    def divide(self, text: str) -> Entry:
        """Set what comes now off from what came before."""
        return self._put([], f"── {text} ──", "class:divider")

    # Inside.

    def _taken(self, data: dict[str, Any], time_ms: int, state: str) -> Entry:
        to = [("", "→ "), *self._coloured(f"@{self._short(data['dst'])}", data["dst"]), ("", ": ")]
        entry = self._add(time_ms, to, _said(data["payload"]))
        entry.mark = [("class:pending", f"  … {state}")]
        self._open[data["msg_id"]] = entry
        if len(self._open) > MAX_ENTRIES:
            del self._open[next(iter(self._open))]
        return entry

    def _arrived(self, data: dict[str, Any], time_ms: int) -> Entry:
        is_cast = data["is_cast"]
        mark = marks.arrived(
            Protection(data["protection"]),
            is_cast=is_cast,
            is_verified=data["is_verified"],
            late_s=data.get("late_s"),
        )
        head = self._coloured(self._short(data["src"]), data["src"])
        if mark:
            head.append(("class:bad" if data["protection"] == "none" else "class:pending", f" [{mark}]"))
        if data["via"] != data["src"]:
            head.append(("class:pending", tr(" (via {relay})").format(relay=self._short(data["via"]))))
        if is_cast:
            head.append(("", f" → {marks.to_whom(data['dst'], is_cast=True)}"))
        entry = self._add(time_ms, [*head, ("", ": ")], _said(data["payload"]), is_heard=True)
        self._unseen[entry.number] = data.get("conversation")
        return entry

    def _cast(self, data: dict[str, Any], time_ms: int) -> Entry:
        entry = self._add(time_ms, [("", f"→ {visible_name(data['dst'])}: ")], _said(data["payload"]))
        count = data["neighbours"]
        if count:
            told = ntr("  ✓ sent to {n} neighbour", "  ✓ sent to {n} neighbours", count)
            entry.mark = [("class:good", told.format(n=count))]
        else:
            entry.mark = [("class:bad", tr("  ✗ not sent: nobody is linked whom it concerns"))]
        return entry

    def _mark(self, msg_id: str, style: str, text: str, *, is_over: bool = False) -> Entry | None:
        entry = self._open.pop(msg_id, None) if is_over else self._open.get(msg_id)
        if entry is not None:  # else it was said before the oldest event that is kept
            entry.mark = [(style, f"  {text}")]
        return entry

    def _add(
        self, time_ms: int, head: Fragments, text: str, style: str = "", *, is_heard: bool = False
    ) -> Entry:
        then = self._local_time(time_ms)
        day = f"{then:%Y-%m-%d}"
        if day != self._day:
            self._day = day
            self.divide(day)
        return self._put([("class:time", f"{then:%H:%M} "), *head], text, style, is_heard)

    def _put(self, head: Fragments, text: str, style: str, is_heard: bool = False) -> Entry:
        entry = Entry(self.last + 1, head, text, style, is_heard=is_heard)
        self._entries.append(entry)
        self._chars += len(text)
        while len(self._entries) > 1 and (len(self._entries) > MAX_ENTRIES or self._chars > MAX_CHARS):
            self._chars -= len(self._entries.popleft().text)
        self.see(self.first - 1)
        return entry

    def _short(self, peer_id: str) -> str:
        """Return a name as it is written among peers of the same namespace."""
        name, at, namespace = peer_id.rpartition("@")
        return visible_name(name if at and name and namespace == self._own.namespace else peer_id)

    def _coloured(self, text: str, peer_id: str) -> Fragments:
        colour = COLOURS[zlib.crc32(peer_id.encode(errors="replace")) % len(COLOURS)]
        return [(f"bold fg:{colour}", text)]


def _said(payload: str) -> str:
    """Return what somebody said as it can be shown in several lines."""
    lines = payload.replace("\r\n", "\n").split("\n")
    return "\n".join(visible(_steady(line.expandtabs(4))) for line in lines)


def _steady(text: str) -> str:
    """Leave out what makes emoji as wide as a terminal likes, so that no row is wider than we think."""
    if text.isascii():
        return text
    # Between letters a joiner is part of how they are written.
    kept = (char for at, char in enumerate(text) if char not in _DRAWN or (at and text[at - 1].isalpha()))
    return "".join(kept)
