"""A reactor whose time nobody puts."""

from __future__ import annotations

import time
from typing import Any


def steady(reactor: Any) -> Any:
    """Let a reactor of Twisted measure time by a clock that only goes on, and return it.

    Left alone it goes by the time of day: where that is put back by an hour, nothing would be sent again,
    asked or renewed for an hour. To be called before anything is planned.
    """
    reactor.seconds = time.monotonic
    return reactor
