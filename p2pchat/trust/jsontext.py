"""JSON that somebody else wrote, read as what it should be."""

from __future__ import annotations

from typing import TypeVar

import msgspec

_T = TypeVar("_T")


def read_json(data: bytes | str, kind: type[_T]) -> _T:
    """Read JSON.

    :param kind: what it should be. Fields that it does not have are ignored.
    :raises ValueError: it is something else, or no JSON; the text says what is wrong.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except RecursionError:  # also from within a field that is ignored
        raise ValueError("it is nested too deep") from None
