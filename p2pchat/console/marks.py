"""What is said beside a message: to whom it is, who else could read it, what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from p2pchat.console.amounts import duration, milliseconds
from p2pchat.console.visible import visible_name
from p2pchat.language import tr
from p2pchat.protocol.protection import Protection

#: Seconds from which on nobody wants to read milliseconds.
_LONG_S = 10.0


def arrived(protection: Protection, *, is_cast: bool, is_verified: bool, late_s: float | None = None) -> str:
    """Render how far a message can be believed, and who else could read it; mostly nothing.

    :param late_s: seconds since it was said, where that is long.
    """
    if protection is Protection.NONE:
        return tr("unsecured")
    words = [tr("verified")] if is_verified else []
    # What is said to many can be read by many, unless the namespace has a key.
    if protection is Protection.SIGNED and not is_cast:
        words.append(tr("not sealed"))
    if late_s is not None:
        words.append(tr("said {time} ago").format(time=duration(late_s)))
    return ", ".join(words)


def to_whom(dst: str, *, is_cast: bool) -> str:
    """Render the destination, which in casts of plain peers comes in many forms (9.12)."""
    dst = visible_name(dst)
    if not is_cast:
        return f"@{dst}"
    if dst in ("", "*"):
        return "*"
    return f"@{dst}" if "@" in dst else f"#{dst.removeprefix('#')}"


def lacks(protection: Protection) -> str:
    """Render what the protection of a message of ours lacks."""
    if protection is Protection.NONE:
        return tr(", unsecured")
    return tr(", not sealed") if protection is Protection.SIGNED else ""


def through(via: str, dst: str) -> str:
    """Render the relay that a message took, if it took one."""
    return "" if via == dst else tr(" through {relay}").format(relay=visible_name(via))


def confirmed(*, via: str, dst: str, took_s: float, tries: int, is_proved: bool) -> str:
    """Render that a message arrived; that anybody on the way may have said so, where that is so.

    :param took_s: seconds.
    """
    time = milliseconds(took_s) if took_s < _LONG_S else duration(took_s)
    told = tr("confirmed{through} in {time}").format(through=through(via, dst), time=time)
    again = tr(", after {tries} tries").format(tries=tries) if tries > 1 else ""
    return told + again + ("" if is_proved else tr(", unsecured"))


def kept_by(couriers: Sequence[str]) -> str:
    """Render who keeps a copy of a message that waits; nothing where nobody does."""
    if not couriers:
        return ""
    first, more = visible_name(couriers[0]), len(couriers) - 1
    if not more:
        return tr("{courier} keeps a copy").format(courier=first)
    return tr("{courier} and {n} more keep a copy").format(courier=first, n=more)


def failed(code: str) -> str:
    """Render the name of a failure."""
    return _words(code) or tr("failed: {code}").format(code=visible_name(code))


def waits(code: str) -> str:
    """Render the name of what keeps a message from being delivered."""
    return _words(code) or visible_name(code)


def _words(code: str) -> str:
    """Return what stands for our own names of outcomes; nothing for codes of the protocol."""
    return {"not confirmed": tr("not confirmed"), "cancelled": tr("cancelled")}.get(code, "")
