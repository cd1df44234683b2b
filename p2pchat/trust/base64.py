"""Bytes as they stand in JSON: base64 of RFC 4648, section 4, with its padding."""

from __future__ import annotations

import base64
import binascii


def encode(data: bytes) -> str:
    """Write bytes."""
    return base64.b64encode(data).decode("ascii")


def decode(text: object) -> bytes:
    """Read bytes.

    :raises ValueError: it is no string, or not written so.
    """
    if not isinstance(text, str):
        raise ValueError("expected a string of base64")
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        data = b""
    # There is one way to write bytes, and the library reads others too.
    if encode(data) != text:
        raise ValueError("expected base64 with padding")
    return data
