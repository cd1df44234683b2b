"""Walks through a trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs
import msgspec
from msgspec import UNSET

from p2pchat.console.visible import visible
from p2pchat.language import tr
from p2pchat.simulation.trace import VERSION, Head, Moment


class BadTrace(ValueError):
    """Not a trace; the text says where and why."""


@attrs.frozen
class Choice:
    """What of a trace is shown.

    :param begin_s: from then on, in simulated seconds.
    :param end_s: until then.
    :param peer: what this peer sends, gets, or tells its user; empty for everybody.
    :param text: what holds this text, such as a msg_id; empty for everything.
    """

    begin_s: float = 0.0
    end_s: float = float("inf")
    peer: str = ""
    text: str = ""

    def takes(self, moment: Moment) -> bool:
        """Whether something is shown."""
        if not self.begin_s <= moment.t <= self.end_s:
            return False
        if self.peer and self.peer not in (moment.from_, moment.to, moment.who):
            return moment.happened is not UNSET and self.peer in moment.happened
        return any(
            self.text in said for said in (moment.line, moment.happened, moment.told) if said is not UNSET
        )


def replay(lines: Iterable[bytes], choice: Choice) -> Iterator[str]:
    """Yield what happened, a line each for people; the first one says what was simulated.

    :raises BadTrace: it is no trace, or a line of it is damaged.
    """
    numbered = enumerate(lines, 1)
    yield visible(_head(next(numbered, (1, b""))[1]).command)
    for number, line in numbered:
        try:
            moment = msgspec.json.decode(line, type=Moment)
        except (ValueError, RecursionError) as problem:
            raise BadTrace(tr("line {n} is damaged: {problem}").format(n=number, problem=problem)) from None
        if choice.takes(moment):
            yield _described(moment)


def _head(line: bytes) -> Head:
    try:
        head = msgspec.json.decode(line, type=Head)
    except (ValueError, RecursionError):
        raise BadTrace(tr("it was not written by p2pchat simulate --trace")) from None
    if head.trace != VERSION:
        raise BadTrace(
            tr("it is of version {version} of this format; {readable} can be read").format(
                version=head.trace, readable=VERSION
            )
        )
    return head


def _described(moment: Moment) -> str:
    at = f"{moment.t:12.6f}  "
    if moment.line is not UNSET:
        return f"{at}{visible(f'{moment.from_} -> {moment.to}')}  {visible(moment.line)}"
    if moment.told is not UNSET:
        return at + tr("{peer} is told: {told}").format(
            peer=visible(str(moment.who)), told=visible(moment.told)
        )
    return f"{at}* {visible(str(moment.happened))}"
