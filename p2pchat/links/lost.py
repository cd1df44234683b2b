"""Why a connection was lost, in words."""

from __future__ import annotations

from OpenSSL.SSL import Error
from twisted.python.failure import Failure

from p2pchat.language import tr

#: What OpenSSL says of bytes that are no TLS.
_NO_TLS = "wrong version number"

#: What OpenSSL calls the failures that a user meets, and what they mean here.
_IN_WORDS = {
    _NO_TLS: tr("the other end offers TLS but does not speak it"),
    "unsupported protocol": tr("the other end does not have TLS 1.3"),
    "tlsv1 alert protocol version": tr("the other end does not have TLS 1.3"),
    "certificate verify failed": tr("the other end has a certificate of the wrong kind"),
    "peer did not return a certificate": tr("the other end has no certificate"),
    "decryption failed or bad record mac": tr("what arrived was changed on the way"),
}


def why_lost(reason: Failure) -> str:
    """Say in words why a connection ended."""
    if not isinstance(reason.value, Error):
        return reason.getErrorMessage().rstrip(".")
    cause = _cause(reason.value)
    return tr("TLS failed: {why}").format(why=_IN_WORDS.get(cause, cause))


def is_no_tls(reason: Failure) -> bool:
    """Whether a connection ended because the other end went on without TLS."""
    return isinstance(reason.value, Error) and _cause(reason.value) == _NO_TLS


def _cause(error: Error) -> str:
    errors = error.args[0] if error.args else []
    return str(errors[-1][-1]) if errors else tr("no reason given")
