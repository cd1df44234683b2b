"""What is written by one commit, and how: what is of one kind together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from p2pchat.store import writing
from p2pchat.store.database import Execute

#: Writes some things of one kind, given what executes statements; returns a result for each.
Work = Callable[[Execute, list[Any]], list[Any]]


class Write(Struct, frozen=True, gc=False):
    """Something to be written.

    :param work: writes it, together with others of its kind.
    :param what: what is to be written.
    :param then: told the result when it is on disk.
    :param otherwise: what *then* is told where it cannot be written.
    """

    work: Work
    what: Any
    then: Callable[[Any], None]
    otherwise: Any = None


class Alone:
    """Work that looks at all that was written before it, and is done by itself."""

    def __init__(self, work: Callable[[Execute], Any]) -> None:
        self._work = work

    def __call__(self, execute: Execute, _what: list[Any]) -> list[Any]:
        """Do it."""
        return [self._work(execute)]


def nothing(_execute: Execute, what: list[Any]) -> list[Any]:
    """Write nothing."""
    return what


def nobody(_result: Any) -> None:
    """Tell nobody."""


def carry_out(execute: Execute, batch: list[Write]) -> list[Any]:
    """Write a batch, within a transaction of the caller's; return the results in the order of the batch."""
    results: list[Any] = [None] * len(batch)
    for places in _together(batch):
        done = batch[places[0]].work(execute, [batch[at].what for at in places])
        for at, result in zip(places, done, strict=True):
            results[at] = result
    return results


def _together(batch: list[Write]) -> Iterator[list[int]]:
    """Yield the places of what is written together, in the order in which it must be."""
    kinds: dict[Work, list[int]] = {}
    for at, write in enumerate(batch):
        if isinstance(write.work, Alone):
            yield from _in_order(kinds)
            kinds = {}
            yield [at]
        else:
            kinds.setdefault(write.work, []).append(at)
    yield from _in_order(kinds)


def _in_order(kinds: dict[Work, list[int]]) -> Iterator[list[int]]:
    """Yield the outcomes of messages behind the messages; else it does not matter."""
    for work in sorted(kinds, key=lambda work: work is writing.settle):
        yield kinds[work]
