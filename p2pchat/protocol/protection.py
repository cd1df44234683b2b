"""How well a message is protected on its way (docs/protocol.md, section 11)."""

from __future__ import annotations

from enum import Enum


class Protection(Enum):
    """Who else could have read or written it; from the least to the most."""

    #: Whoever was on the way.
    NONE = "none"
    #: Whoever was on the way could read it; nobody but its source could write it.
    SIGNED = "signed"
    #: Nobody: it came over one encrypted link, straight from its source.
    LINK = "link"
    #: Nobody: it was sealed by its source to its destination.
    SEALED = "sealed"
