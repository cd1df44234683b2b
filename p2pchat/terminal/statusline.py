"""The line that says who we are and how we do."""

from __future__ import annotations

from typing import Any

from p2pchat.console.visible import visible_name
from p2pchat.language import ntr, tr
from p2pchat.terminal.wrapping import Fragments

#: Columns of a name here; longer ones are cut.
MAX_NAME = 24

#: How a message to the present destination would be protected, in words and in which style.
_PROTECTIONS = {
    "link": (tr("encrypted"), "class:good"),
    "sealed": (tr("sealed"), "class:good"),
    "signed": (tr("signed, not sealed"), "class:pending"),
    "none": (tr("unsecured"), "class:bad"),
    None: (tr("no way known yet"), "class:pending"),
}


def status_line(status: dict[str, Any], way: dict[str, Any] | None, *, unseen: int, below: int) -> Fragments:
    """Render it.

    :param status: what the method `status` of the control socket tells.
    :param way: what `way` tells of the present destination; None where nothing was said yet.
    :param unseen: messages that were not seen yet.
    :param below: how many of them are below what the screen shows.
    """
    parts: list[Fragments] = [[("class:who", _cut(status["peer_id"]))]]
    if unseen:
        new = ntr("{n} new", "{n} new", unseen).format(n=unseen)
        parts.append([("class:unseen", tr("{new} below: PgDn").format(new=new) if below else new)])
    if way is not None:
        parts.append(_to(way))
    linked = tr("linked {n} of {known}").format(n=status["neighbours"], known=status["known"])
    parts.append([("", linked)])
    parts.append([_rendezvous(status["rendezvous"])])
    if status["troubles"]:
        parts.append([("class:bad", tr("trouble: /status"))])
    line: Fragments = [("", " ")]
    for part in parts:
        line += [*part, ("", "  ")]
    return line


def _to(way: dict[str, Any]) -> Fragments:
    words, style = _PROTECTIONS[way["protection"]]
    over = tr(" through {relay}").format(relay=_cut(way["via"])) if way["via"] else ""
    to = tr("to {destination}{through}: ").format(destination=_cut(way["to"]), through=over)
    return [("", to), (style, words)]


def _rendezvous(rendezvous: dict[str, Any] | None) -> tuple[str, str]:
    if rendezvous is None:
        return "", tr("no rendezvous")
    if rendezvous["trouble"]:
        return "class:bad", tr("rendezvous gone")
    if rendezvous["is_registered"]:
        return "class:good", tr("registered")
    return "class:pending", tr("registering")


def _cut(name: str) -> str:
    shown = visible_name(name)
    return shown if len(shown) <= MAX_NAME else f"{shown[: MAX_NAME - 1]}…"
