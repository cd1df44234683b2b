"""What was said before, and what still waits to be delivered, as lines for people."""

from __future__ import annotations

from collections.abc import Callable

from p2pchat.console import marks
from p2pchat.console.amounts import duration
from p2pchat.console.visible import visible, visible_name
from p2pchat.language import ntr, tr
from p2pchat.protocol.protection import Protection
from p2pchat.routing.delivery import Delivery, State
from p2pchat.store.entries import Entry
from p2pchat.store.entries import State as Outcome

#: What stands above the messages that have no outcome.
OUTBOX_HEADING = (tr("number"), tr("to"), tr("said"), tr("state"), tr("text"))

#: Conversations that are named in a line.
_MAX_NAMES = 10

#: Characters of a text that are shown in a table.
_MAX_TEXT = 40


def entry(said: Entry, local_time: Callable[[int], str]) -> str:
    """Render an entry of history: when, who, to whom, what, and what became of it.

    :param local_time: a time in ms since 1970 as the user reads it.
    """
    is_cast = not said.conversation.startswith("@")
    who = visible_name(said.author)
    if not said.is_ours:
        mark = marks.arrived(_protection(said), is_cast=is_cast, is_verified=said.is_verified)
        via = (
            "" if said.via in ("", said.author) else tr(" (via {relay})").format(relay=visible_name(said.via))
        )
        who += (f" [{mark}]" if mark else "") + via
    to = visible_name(said.conversation) if is_cast or said.is_ours else tr("you")
    line = tr("[{time}] {source} to {destination}: {text}").format(
        time=local_time(said.at_ms), source=who, destination=to, text=visible(said.text)
    )
    outcome = _outcome(said)
    return f"{line}  ({outcome})" if outcome else line


def outbox_row(number: int, delivery: Delivery, now_s: float) -> tuple[str, ...]:
    """Render a message that has no outcome yet.

    :param number: what the user knows it by.
    """
    text = visible(delivery.payload)
    short = text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"
    ago = tr("{time} ago").format(time=duration(now_s - delivery.began_at_s))
    kept_by = marks.kept_by(delivery.couriers)
    state = f"{_state(delivery)}; {kept_by}" if kept_by else _state(delivery)
    return f"#{number}", visible_name(delivery.dst), ago, state, short


def waits(code: str, why: str) -> str:
    """Render that a message could not be delivered yet."""
    return tr("not delivered yet: {code}: {why}").format(code=marks.waits(code), why=visible(why))


def unread(counts: dict[str, int]) -> str | None:
    """Render how many messages nobody has seen yet, by conversation, the most first; None where all were."""
    if not counts:
        return None
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    named = [f"{visible_name(conversation)} {count}" for conversation, count in ordered[:_MAX_NAMES]]
    listed = ", ".join(named) + (", …" if len(ordered) > _MAX_NAMES else "")
    total = sum(counts.values())
    told = ntr("Unread: {n} message ({listed}): /history", "Unread: {n} messages ({listed}): /history", total)
    return told.format(n=total, listed=listed)


def kept(count: int) -> str:
    """Render how many messages of earlier runs wait."""
    told = ntr(
        "{n} message from before waits for its destination: /outbox",
        "{n} messages from before wait for their destinations: /outbox",
        count,
    )
    return told.format(n=count)


def _state(delivery: Delivery) -> str:
    match delivery.state:
        case State.SENT:
            return tr("sent, not confirmed yet")
        case State.SEEKING:
            return tr("looking for a way")
        case State.WAITING if delivery.code:
            return tr("waits: {code}").format(code=marks.waits(delivery.code))
        case _:
            return tr("waits")


def _outcome(said: Entry) -> str:
    match said.state:
        case Outcome.OPEN:
            return tr("not confirmed yet")
        case Outcome.CONFIRMED:
            dst = said.conversation.removeprefix("@")
            took_s = said.took_s or 0.0
            return marks.confirmed(via=said.via, dst=dst, took_s=took_s, tries=1, is_proved=said.is_proved)
        case Outcome.FAILED:
            return f"{marks.failed(said.code)}: {visible(said.why)}"
        case Outcome.SENT:
            n = said.neighbours or 0
            return ntr("sent to {n} neighbour", "sent to {n} neighbours", n).format(n=n)
        case _:
            return ""


def _protection(said: Entry) -> Protection:
    return Protection(said.protection) if said.protection else Protection.NONE
