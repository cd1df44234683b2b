"""Questions about a link that wait for their answer."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail
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
    _open: dict[Hashable, Deferred[Any]] = attrs.Factory(dict)
    #: Why no answer can come any more.
    _closed: str | None = None

    def ask(self, key: Hashable) -> Deferred[Any]:
        """Wait for the answer to *key*: what kind of answer, and the msg_id.

        Fails with `TimeoutError` after `ANSWER_S`, or with `LinkClosed`.
        """
        if self._closed is not None:
            return fail(LinkClosed(self._closed))
        question: Deferred[Any] = Deferred()
        self._open[key] = question
        question.addTimeout(ANSWER_S, self._clock)
        question.addBoth(self._close, key)
        return question

    def answer(self, key: Hashable, answer: Any) -> None:
        """Give the answer to whoever asked; an answer to nothing is nothing."""
        question = self._open.pop(key, None)
        if question is not None:
            question.callback(answer)

    def fail(self, why: str) -> None:
        """No more answers will come."""
        self._closed = why
        for question in list(self._open.values()):
            question.errback(LinkClosed(why))

    def _close(self, result: Any, key: Hashable) -> Any:
        self._open.pop(key, None)
        return result
