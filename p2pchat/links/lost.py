"""Why a connection was lost, in words."""

from __future__ import annotations

from OpenSSL.SSL import Error
from twisted.python.failure import Failure

#: What OpenSSL calls the failures that a user meets, and what they mean here.
_IN_WORDS = {
    "wrong version number": "the other end offers TLS but does not speak it",
    "unsupported protocol": "the other end does not have TLS 1.3",
    "tlsv1 alert protocol version": "the other end does not have TLS 1.3",
    "certificate verify failed": "the other end has a certificate of the wrong kind",
    "peer did not return a certificate": "the other end has no certificate",
    "decryption failed or bad record mac": "what arrived was changed on the way",
}


def why_lost(reason: Failure) -> str:
    """Say in words why a connection ended."""
    if not isinstance(reason.value, Error):
        return reason.getErrorMessage().rstrip(".")
    errors = reason.value.args[0] if reason.value.args else []
    cause = errors[-1][-1] if errors else "no reason given"
    return f"TLS failed: {_IN_WORDS.get(cause, cause)}"
