"""Broken inputs out of recorded ones. All chance comes from the random generator that is passed in."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

#: JSON in the place of a value, and what only looks like it.
VALUES: tuple[bytes, ...] = (
    *(b"null", b"true", b"false", b"0", b"-0", b"-0.0", b"-1", b"1", b"2", b"8", b"1.5", b"1.0", b"7070"),
    *(b"65535", b"65536", b"18446744073709551616", b"-9223372036854775809", b"1e400", b"-1e400", b"1e-400"),
    *(b"NaN", b"Infinity", b"-Infinity", b"01", b"+1", b".5", b"1.", b"0x10", b"1_000", b"'a'", b"undefined"),
    b"1" + b"0" * 5000,
    b"0." + b"9" * 5000,
    *(b'""', b'"*"', b'"#"', b'"#UnB"', b'"@"', b'"a@b"', b'"erin@UnB"', b'"@UnB"', b'"a@"'),
    *(b'"7070"', b'"ERROR"', b'"SEND"', b'"alice"', b'"999999"'),
    *(b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\ud83d\\ude00"', b'"\\u0000"', b'"\\u202e\\u001b[2J"', b'"\\x"'),
    *(b'"\xc0\xaf"', b'"\xe2\x82"', b'"\xed\xa0\x80"', b'"\xff"', b'"\x00"', b'"\xef\xbb\xbf"', b'"\n"'),
    b'"' + b"n" * 64 + b'"',
    b'"' + b"n" * 65 + b'"',
    b'"' + b"\\u00e9" * 5000 + b'"',
    b'"' + "😀".encode() * 5000 + b'"',
    *(b"[]", b"{}", b"[null]", b'[""]', b'{"":{}}', b'{"a":1,"a":2}', b'["relay","who_has"]', b"[{}]"),
    b"[" * 64,
    b"[" * 63 + b"]" * 63,
    b"[" * 65 + b"]" * 65,
    b'{"a":' * 65 + b"1" + b"}" * 65,
    b"[" * 1000 + b"]" * 1000,
)  # fmt: skip

#: So deep, or so long, that few are enough: they take as long as hundreds of others.
HEAVY_VALUES: tuple[bytes, ...] = (
    b"[" * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b'"' + b"n" * 70_000 + b'"',
    b"9" * 100_000,
)

#: Bytes that break what they are put into.
BYTES: tuple[bytes, ...] = (
    *(b"\x00", b"\n", b"\r", b"\r\n", b"\n\n", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\t"),
    *(b"\xc0\xaf", b"\xc0\x80", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80"),
    *(b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x1b[2J", b"\x7f"),
    *("\u202e".encode(), "\u2028".encode(), "\x85".encode(), "\x9b".encode(), "\u200b".encode(), b"\\ud800"),
    *(b"=", b"--", b"/", b"@", b"#", b"*", b"..", b"%s", b"%00", b"::1%", b"-1", b"0" * 70, b"9" * 5000),
)  # fmt: skip

#: What makes a parser begin again and again, where it does so at all, when a line is full of it.
FILLS: tuple[bytes, ...] = (
    *(b'"', b'"\\', b'\\"', b"\\", b"[", b"{", b'{"":', b'["', b'",', b"[]", b'"a":1,', b" ", b"\r", b"\0"),
    *("é".encode(), b"\xff", b"9", b"-", b".", b":", b"@", b"#", b"/"),
)

#: The limit of a line, just below and just above.
SIZES = (32767, 32768, 32769)

#: A line that never ends, or nearly.
ENDLESS = 1024 * 1024

#: One of so many inputs is made long, or deep, whatever it is.
HEAVY_EVERY = 200

#: Pieces of one byte are for inputs up to so many bytes, and for one in so many up to more: they cost a call
#: each. Megabytes in such pieces are a test of their own.
FINE_BYTES = 2000
FINE_EVERY = 300
FINEST_BYTES = 33_000

_HOLE = "\x01hole"


def mutate(lines: Sequence[bytes], random: Random) -> bytes:
    """Break one of *lines* in up to four ways; some stay sound, so that there is a state to break."""
    line = random.choice(lines)
    for _ in range(random.choice((0, 1, 1, 1, 2, 2, 3, 4))):
        line = random.choice(MUTATIONS)(line, lines, random)
    if not random.randrange(HEAVY_EVERY):
        line = random.choice(HEAVY)(line, lines, random)
    return line


def stream(lines: Sequence[bytes], random: Random) -> bytes:
    """Join some lines, broken and sound ones, to what one connection brings."""
    count = random.choice((1, 1, 2, 3, 8))
    parts = [mutate(lines, random) if random.random() < 0.7 else random.choice(lines) for _ in range(count)]
    ends = random.choice((b"\n", b"\n", b"\n", b"\r\n", b"\n\n"))
    return ends.join(parts) + random.choice((ends, ends, ends, b""))


def cut(data: bytes, random: Random) -> list[bytes]:
    """Cut a stream into pieces: none, a few, or single bytes."""
    how = random.random()
    limit = FINE_BYTES if random.randrange(FINE_EVERY) else FINEST_BYTES
    if how < 0.1 and len(data) <= limit:
        return [data[at : at + 1] for at in range(len(data))]
    if how < 0.6:
        return [data]
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.randrange(1, 6)))
    return [data[start:end] for start, end in itertools.pairwise((0, *cuts, len(data)))]


# Bytes.


def _flip(line: bytes, _lines: Sequence[bytes], random: Random) -> bytes:
    """Flip some bits."""
    changed = bytearray(line)
    for _ in range(random.randrange(1, 4) if changed else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _insert(line: bytes, _lines: Sequence[bytes], random: Random) -> bytes:
    """Put breaking bytes somewhere."""
    at = random.randrange(len(line) + 1)
    return line[:at] + random.choice(BYTES) + line[at:]


def _insert_any(line: bytes, _lines: Sequence[bytes], random: Random) -> bytes:
    """Put any bytes somewhere."""
    at = random.randrange(len(line) + 1)
    return line[:at] + random.randbytes(random.randrange(1, 9)) + line[at:]


def _delete(line: bytes, _lines: Sequence[bytes], random: Random) -> bytes:
    """Take a stretch out."""
    at = random.randrange(len(line) + 1)
    return line[:at] + line[at + random.choice((1, 1, 2, 4, 16, 1000)) :]


def _repeat(line: bytes, _lines: Sequence[bytes], random: Random) -> bytes:
    """Say a stretch several times."""
    at = random.randrange(len(line) + 1)
    stretch = line[at : at + random.randrange(1, 20)]
    return line[:at] + stretch * random.choice((2, 2, 3, 100)) + line[at:]


def _splice(line: bytes, lines: Sequence[bytes], random: Random) -> bytes:
    """Join the beginning of one line to the end of another."""
    other = random.choice(lines)
    return line[: random.randrange(len(line) + 1)] + other[random.randrange(len(other) + 1) :]


def _swap_word(line: bytes, lines: Sequence[bytes], random: Random) -> bytes:
    """Put a word of another line, or breaking bytes, in the place of a word; NUL ends words of options."""
    space = b"\0" if b"\0" in line else b" "
    words = line.split(space)
    other = random.choice(lines).split(space)
    words[random.randrange(len(words))] = random.choice((random.choice(other), random.choice(BYTES), b""))
    return space.join(words)


# JSON. Where a line is none, any more, its bytes are broken.


def _swap_value(line: bytes, _lines: Sequence[bytes], random: Random) -> bytes:
    """Put anything in the place of a value, known fields and unknown alike."""
    return _with_value(line, random, random.choice(VALUES))


def _duplicate_key(line: bytes, _lines: Sequence[bytes], random: Random) -> bytes:
    """Say a field twice, with another value; sometimes first, sometimes last."""

    def change(fields: dict[str, Any], key: str) -> None:
        value = fields[key]
        if random.random() < 0.5:
            del fields[key]
        fields[f"{_HOLE}{key}"] = value

    changed = _change(line, random, change)
    key = b'"\\u0001hole'
    at = changed.find(key)
    if at < 0:
        return changed
    name = b'"' + changed[at + len(key) :].partition(b'"')[0] + b'":'
    return changed[:at] + name + random.choice(VALUES) + b"," + changed[at:].replace(key, b'"', 1)


def _rename_key(line: bytes, _lines: Sequence[bytes], random: Random) -> bytes:
    """Give a field another name, an empty one too."""

    def change(fields: dict[str, Any], key: str) -> None:
        name = random.choice(
            ("", " ", "dest", "message", "limit", "attempt", "via", "\ud800", "\0", key.upper())
        )
        fields[name] = fields.pop(key)

    return _change(line, random, change)


def _add_field(line: bytes, lines: Sequence[bytes], random: Random) -> bytes:
    """Add an unknown field, or one that belongs to another line."""

    def change(fields: dict[str, Any], _key: str) -> None:
        other = _read(random.choice(lines)) or {"x": 1}
        name = random.choice((*other, "x"))
        fields[name] = other.get(name, {"y": [1.5, None, "é"]})

    return _change(line, random, change)


def _drop_field(line: bytes, _lines: Sequence[bytes], random: Random) -> bytes:
    """Leave a field out."""
    return _change(line, random, lambda fields, key: fields.pop(key))


# Size.


def _pad(line: bytes, _lines: Sequence[bytes], random: Random) -> bytes:
    """Bring a line to about the limit, inside of a text where it has one."""
    return _padded(line, random.choice(SIZES))


def _fill(line: bytes, _lines: Sequence[bytes], random: Random) -> bytes:
    """Fill a line with two things said over and over."""
    fills = [stretch * (SIZES[0] // 2 // len(stretch)) for stretch in random.choices(FILLS, k=2)]
    at = random.choice((0, random.randrange(len(line) + 1)))
    return line[:at] + b"".join(fills) + line[at:]


def _pad_endless(line: bytes, _lines: Sequence[bytes], random: Random) -> bytes:
    """Bring a line to about the size at which its end is no longer looked for."""
    return _padded(line, ENDLESS + random.randrange(-1, 3))


def _heavy_value(line: bytes, _lines: Sequence[bytes], random: Random) -> bytes:
    """Put something huge in the place of a value."""
    return _with_value(line, random, random.choice(HEAVY_VALUES))


_Mutation = Callable[[bytes, Sequence[bytes], Random], bytes]

#: Each as often as it stands here.
MUTATIONS: tuple[_Mutation, ...] = (
    *(_flip, _insert, _insert, _insert_any, _delete, _repeat, _splice, _splice, _swap_word, _swap_word),
    *(_swap_value, _swap_value, _swap_value, _swap_value, _duplicate_key),
    *(_rename_key, _add_field, _drop_field),
)  # fmt: skip

HEAVY: tuple[_Mutation, ...] = (
    *(_pad, _pad, _pad, _heavy_value, _heavy_value, _fill, _fill, _fill, _fill, _pad_endless),
)


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) and fields else None


def _change(line: bytes, random: Random, change: Callable[[dict[str, Any], str], object]) -> bytes:
    """Change a field of a line, or of an object inside it."""
    whole = _read(line)
    if whole is None:
        return _flip(line, (), random)
    fields = whole
    for value in whole.values():
        if (
            isinstance(value, list)
            and value
            and isinstance(value[0], dict)
            and value[0]
            and random.random() < 0.8
        ):
            fields = random.choice(value)
    if isinstance(fields, dict) and fields:
        change(fields, random.choice(list(fields)))
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=random.random() < 0.7).encode(
        "utf-8", "surrogatepass"
    )


def _with_value(line: bytes, random: Random, value: bytes) -> bytes:
    def change(fields: dict[str, Any], key: str) -> None:
        fields[key] = _HOLE

    return _change(line, random, change).replace(b'"\\u0001hole"', value, 1)


def _padded(line: bytes, size: int) -> bytes:
    missing = max(0, size - len(line))
    at = line.rfind(b'"')
    return line[:at] + b"x" * missing + line[at:] if at > 0 else line + b"x" * missing
