"""How much the kernel keeps of what was written to it and not sent yet."""

from __future__ import annotations

import socket
from typing import cast

from twisted.internet.interfaces import ISystemHandle, ITransport

#: Bytes that were not sent yet with which the kernel says stop. Left alone it takes up to 4 MiB: a neighbour
#: that reads slowly would get what is urgent, and what quiet sources say, minutes behind a flood, and
#: its PONGs come too late to keep the link. What is under way is not counted, so fast links stay fast.
UNSENT_BYTES = 16 * 1024

#: Linux and macOS have it; elsewhere the kernel keeps what it likes.
_OPTION: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)


def bound_unsent(transport: ITransport) -> None:
    """Let lines wait in our own queue, where they take turns, and not in the kernel.

    :param transport: any; only one that is a socket has a kernel behind it.
    """
    if _OPTION is not None and ISystemHandle.providedBy(transport):
        # Twisted declares it as any object.
        handle = cast(socket.socket, ISystemHandle(transport).getHandle())
        handle.setsockopt(socket.IPPROTO_TCP, _OPTION, UNSENT_BYTES)
