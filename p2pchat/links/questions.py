"""Questions about a link that wait for their answer."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

#: Seconds that a question (a PING of the user's, a METRICS_REQ) waits for its answer.
ANSWER_S = 5.0


class LinkClosed(Exception):
    """The link ended before the answer came."""


@attrs.define
class Questions:
    """What was asked over one link and not yet answered. Its link creates, owns and ends it.

    Bounded by time: each question is gone after `ANSWER_S`.
    """

    _clock: IReactorTime
    _open: dict[str, Deferred[Any]] = attrs.Factory(dict)

    def ask(self, msg_id: str) -> Deferred[Any]:
        """Wait for the answer to *msg_id*.

        Fails with `TimeoutError` after `ANSWER_S`, or with `LinkClosed`.
        """
        question: Deferred[Any] = Deferred()
        self._open[msg_id] = question
        question.addTimeout(ANSWER_S, self._clock)
        question.addBoth(self._close, msg_id)
        return question

    def answer(self, msg_id: str, answer: Any) -> None:
        """Give the answer to whoever asked; an answer to nothing is nothing."""
        question = self._open.pop(msg_id, None)
        if question is not None:
            question.callback(answer)

    def fail(self, why: str) -> None:
        """No more answers will come."""
        for question in list(self._open.values()):
            question.errback(LinkClosed(why))

    def _close(self, result: Any, msg_id: str) -> Any:
        self._open.pop(msg_id, None)
        return result
