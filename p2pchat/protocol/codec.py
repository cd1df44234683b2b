"""One line to one message and back, and every way a line can be wrong (sections 2, 4 and 9).

Reading goes through a strict and fast decoder first. Only a line that it refuses is looked at
again with the forgiveness that clients in the field need (section 9.10).
"""

from __future__ import annotations

import json
import re
from array import array
from contextlib import suppress
from itertools import accumulate
from typing import Any

import msgspec

from p2pchat.protocol.errors import ErrorCode, ProtocolError, UnknownType
from p2pchat.protocol.framing import MAX_LINE
from p2pchat.protocol.messages import PLAIN_TTL, TYPES, Message, Send

_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
#: A `PeerId` is a str of ours, which is written like any other.
_encoder = msgspec.json.Encoder(enc_hook=str)
#: Values that are passed on are not read, so that they stay as they are, byte for byte.
_splitter: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, msgspec.Raw])

#: How deep a line may be nested. Messages need one level; what others add to them may have some, but how
#: much an interpreter stands must not decide what is a message.
MAX_DEPTH = 64

#: Strings, in which brackets mean nothing; all bytes but brackets; and brackets as steps down and up. One
#: that never ends is taken as a whole: from each quote in it, looking for its end would start anew.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")

_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")

#: The longest value of a peer's that an error text repeats, in characters.
_MAX_QUOTE = 64

#: Digits that ``attempt`` may add to a message when it is sent again (section 5).
_ATTEMPT_ROOM = len(',"attempt":99')


def decode(line: bytes) -> Message:
    """Read one line, without its end.

    :raises UnknownType: a well-formed message of a type that we do not know.
    :raises ProtocolError: anything else that is not a message.
    """
    # Almost every line is one flat object, and finding is quicker than counting.
    if (line.find(b"{", 1) > 0 or line.find(b"[") >= 0) and _is_too_deep(line):
        raise ProtocolError(ErrorCode.BAD_FORMAT, f"nested deeper than {MAX_DEPTH}")
    try:
        message = _decoder.decode(line)
    except msgspec.ValidationError:
        # Not quite a message; what stands behind the first fault was not looked at yet.
        return _decode_forgiving(line)
    except (msgspec.DecodeError, ValueError) as problem:
        # Since msgspec 0.21 the first is the second; the second alone is what wrong UTF-8 raises.
        raise ProtocolError(ErrorCode.BAD_FORMAT, f"not JSON: {problem}") from None
    # Some have other names for ``dst`` and ``detail``, which may also be missing altogether.
    lacks_one = "" in (getattr(message, "dst", None), getattr(message, "detail", None))
    if lacks_one and (b'"dest"' in line or b'"message"' in line):
        # It may stand there as a value, too, in a message that has all it needs and something unreadable.
        with suppress(ProtocolError):
            return _decode_forgiving(line)
    return message


def encode(message: Message) -> bytes:
    """Write one line, its newline included, for a peer of our own kind.

    :raises ProtocolError: a text holds a lone surrogate, which UTF-8 cannot carry.
    """
    try:
        return _encoder.encode(message) + b"\n"
    except UnicodeEncodeError:
        raise ProtocolError(ErrorCode.BAD_FORMAT, "the text holds half a character") from None


def encode_plain(message: Message) -> bytes:
    """Write one line, its newline included, for a plain peer: ttl 1, ASCII only (9.1, 9.4).

    :raises ProtocolError: a text holds a lone surrogate.
    """
    if message.ttl != PLAIN_TTL:
        message = msgspec.structs.replace(message, ttl=PLAIN_TTL)
    if isinstance(message, Send) and (message.attempt, message.after) != (msgspec.UNSET, msgspec.UNSET):
        message = msgspec.structs.replace(message, attempt=msgspec.UNSET, after=msgspec.UNSET)
    return _ascii(encode(message))


def pass_on(line: bytes, ttl: int, **changed: object) -> bytes:
    """Write a line that arrived once more, for a peer of our own kind: kept as it was (section 4).

    :param line: it was read as a message.
    :param changed: other fields that are not kept.
    :raises ProtocolError: it became too long, or holds what cannot be written.
    """
    if not changed and line.isascii():
        # Where the ttl stands last, as in what we write, nothing has to be split. The line is one object
        # without others in it, so what has the only such name and ends with the line is its field.
        head, name, tail = line.rpartition(b',"ttl":')
        if name and len(tail) == 2 and line.find(b"{", 1) < 0 and line.count(b'"ttl"') == 1:
            return b"%b%b%d}\n" % (head, name, ttl)
    # What stands in a field that nobody read may be no text, over which others may end the link.
    _text(line)
    return _fitting(_encoder.encode(_fields(line) | {"ttl": ttl} | changed) + b"\n")


def pass_on_plain(line: bytes, message: Message) -> bytes:
    """Write a line that arrived once more, for a plain peer: as `encode_plain` does, unknown fields kept.

    :param message: what *line* was read as; what plain peers need is always written.
    :raises ProtocolError: it became too long, or holds what cannot be written.
    """
    fields = _fields(line) | msgspec.to_builtins(message, str_keys=True, enc_hook=str)
    fields["ttl"] = PLAIN_TTL
    for name in ("attempt", "after"):
        fields.pop(name, None)
    return _fitting(_ascii(_encoder.encode(fields) + b"\n"))


def complete(line: bytes, message: Message) -> bytes:
    """Write a line that arrived as it should have come, without its newline: unknown fields are kept.

    :param message: what *line* was read as, with what it lacked.
    :raises ProtocolError: it became too long, or holds what cannot be written.
    """
    return pass_on(line, **msgspec.to_builtins(message, enc_hook=str))[:-1]


def _fields(line: bytes) -> dict[str, Any]:
    """Split a line into its fields, each value as it was written."""
    try:
        return _splitter.decode(line)
    except (msgspec.DecodeError, ValueError):
        raise ProtocolError(ErrorCode.BAD_FORMAT, "holds a name that cannot be read") from None


def _fitting(line: bytes) -> bytes:
    size = len(line) - 1
    if size > MAX_LINE:
        detail = f"{size} bytes when passed on, the limit is {MAX_LINE}"
        raise ProtocolError(ErrorCode.LINE_TOO_LONG, detail, limit=MAX_LINE)
    return line


def _ascii(line: bytes) -> bytes:
    """Escape what is not ASCII, which stands only inside of strings."""
    if line.isascii():
        return line
    text = _text(line)
    return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text).encode("ascii")


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise ProtocolError(ErrorCode.BAD_FORMAT, "holds bytes that are not UTF-8") from None


def check_size(message: Message) -> None:
    """Refuse a message that some peer on its way could not take as one line.

    It is measured as a plain peer would get it, the longest of its forms, since nobody knows at the
    origin who will be at the end.

    :raises ProtocolError: ``line_too_long``, with both sizes.
    """
    size = len(encode_plain(message)) - 1 + _ATTEMPT_ROOM
    if size > MAX_LINE:
        detail = f"message too long: {size} bytes on the wire, the limit is {MAX_LINE}"
        raise ProtocolError(ErrorCode.LINE_TOO_LONG, detail, limit=MAX_LINE)


def _is_too_deep(line: bytes) -> bool:
    """Whether brackets open deeper than is allowed."""
    if line.count(b"[") + line.count(b"{") <= MAX_DEPTH:
        return False
    steps = _STRING.sub(b"", line).translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(array("b", steps)), default=0) > MAX_DEPTH


def _decode_forgiving(line: bytes) -> Message:
    try:
        fields = msgspec.json.decode(line)
    except (msgspec.DecodeError, ValueError):
        # What the strict decoder skipped or did not reach, such as a number of 5000 digits.
        raise ProtocolError(ErrorCode.BAD_FORMAT, "holds a value that cannot be read") from None
    if not isinstance(fields, dict):
        raise ProtocolError(ErrorCode.BAD_FORMAT, "a message is a JSON object")
    msg_id = fields.get("msg_id")
    ref = msg_id if isinstance(msg_id, str) and len(msg_id) <= 128 else ""
    kind = _kind(fields)
    if kind not in TYPES:
        raise UnknownType(ErrorCode.BAD_FORMAT, f"unknown type {_quote(kind)}", ref, kind=kind)
    try:
        return msgspec.convert(_forgive(kind, fields), Message)  # type: ignore[no-any-return]
    except msgspec.ValidationError as problem:
        raise ProtocolError(ErrorCode.BAD_FORMAT, f"{kind}: {problem}", ref, kind=kind) from None


def _kind(fields: dict[str, Any]) -> str:
    kind = fields.get("type")
    if isinstance(kind, str):
        return kind
    if kind is None and fields.get("status") == "ERROR":
        return "ERROR"  # the form of section 8 that has no type
    raise ProtocolError(ErrorCode.BAD_FORMAT, 'a message has a "type", which is a string')


def _quote(text: str) -> str:
    return ascii(text if len(text) <= _MAX_QUOTE else text[:_MAX_QUOTE] + "...")


def _forgive(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Repair what clients in the field are known to write (9.10): null is the same as missing."""
    kept = {key: value for key, value in fields.items() if value is not None}
    kept["type"] = kind
    if "dst" not in kept and "dest" in kept:
        kept["dst"] = kept["dest"]
    if isinstance(kept.get("ttl"), float) and kept["ttl"].is_integer():
        kept["ttl"] = int(kept["ttl"])
    _keep_strings(kept, ("timestamp", "last_seen"))  # numbers; the clock of another is not used anyway
    _forgive_seal(kept)
    if kind in ("HELLO", "HELLO_OK"):
        _forgive_hello(kept)
    elif kind == "ERROR":
        _forgive_error(kept)
    elif kind in ("BYE", "BYE_OK", "HELLO_REJECT"):
        _keep_strings(kept, ("msg_id", "src", "dst", "reason"))
    elif kind == "ACK":
        _keep_strings(kept, ("from", "src", "dst"))
    elif kind in ("RELAY_OK", "RELAY_FAIL", "TTL_EXPIRED"):
        _keep_strings(kept, ("src", "dst", "reason"))
    return kept


def _forgive_hello(fields: dict[str, Any]) -> None:
    version = fields.get("version")
    if isinstance(version, int | float) and not isinstance(version, bool):
        fields["version"] = str(version)
    features = fields.get("features", ())
    if isinstance(features, list):
        fields["features"] = [feature for feature in features if isinstance(feature, str)]


def _forgive_seal(fields: dict[str, Any]) -> None:
    """Drop what is of no use for section 11: others may mean something else by those names."""
    _keep_strings(fields, ("sealed", "key", "sig", "after", "courier", "receipt", "past"))
    time_ms = fields.get("time_ms", 0)
    if type(time_ms) is not int or not 0 <= time_ms < 2**53:
        del fields["time_ms"]
    if type(fields.get("signed", True)) is not bool:
        del fields["signed"]


def _forgive_error(fields: dict[str, Any]) -> None:
    if "detail" not in fields and "message" in fields:
        fields["detail"] = fields["message"]
    if not isinstance(fields.get("detail", ""), str):
        fields["detail"] = json.dumps(fields["detail"])
    _keep_strings(fields, ("status", "error", "code", "ref", "dst"))
    if type(fields.get("limit", 0)) is not int:  # True is an int for Python only
        del fields["limit"]


def _keep_strings(fields: dict[str, Any], names: tuple[str, ...]) -> None:
    """Drop those of the named fields that are not strings; nothing depends on them."""
    for name in names:
        if not isinstance(fields.get(name, ""), str):
            del fields[name]
