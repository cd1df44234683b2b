"""Test cases of other rooms, set up outside of a test: their nodes and programs are what is fed here."""

from __future__ import annotations

from typing import TypeVar

from twisted.trial.unittest import SynchronousTestCase

_C = TypeVar("_C", bound=SynchronousTestCase)


def borrow(kind: type[_C]) -> _C:
    """Set up a test case; whoever borrows it gives it back."""
    case = kind("setUp")  # it wants the name of a method, and runs none
    case.setUp()
    return case


def give_back(case: SynchronousTestCase) -> None:
    """Clean up; what its cleanups find wrong is raised."""
    while case._cleanups:
        cleanup, args, kwargs = case._cleanups.pop()
        cleanup(*args, **kwargs)
