"""What is written while one link is read leaves in one write for each link that it is written to."""

from __future__ import annotations

from typing import Protocol

import attrs


class Corked(Protocol):
    """Something that gathers what is written to it."""

    def cork(self) -> None:
        """Gather from now on."""

    def uncork(self) -> None:
        """Write what was gathered."""


@attrs.define
class Batch:
    """Those that gather at present. All links of a node share one; the switchboard owns it.

    A write to a transport costs about as much as reading a line, and what a relay passes on from one link
    mostly goes to one other.
    """

    is_open: bool = False
    _joined: list[Corked] = attrs.Factory(list)

    def begin(self) -> None:
        """Let all that is written to gather it, until `end`."""
        self.is_open = True

    def join(self, corked: Corked) -> None:
        """Let one gather that is written to now."""
        self._joined.append(corked)
        corked.cork()

    def end(self) -> None:
        """Let all write what they have gathered."""
        self.is_open = False
        joined, self._joined = self._joined, []
        for corked in joined:
            corked.uncork()
