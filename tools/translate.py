"""Bring the translations up to date: ``make translations``.

Collects what the code says, adds to each ``.po`` what is new there, drops what nobody says any more, and
writes the ``.mo`` that programs read. What lacks a translation is told; tests fail as long as there is any.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "p2pchat" / "locale"

#: Headers that Babel writes, and nobody fills in.
_UNTOLD = (b'"Report-Msgid', b'"Last-Translator', b'"Language-Team', b'"Generated-By')

#: What marks a text in the code, and which of its arguments are texts.
KEYWORDS = {"tr": None, "ntr": (1, 2), "mark": None}


def said() -> Catalog:
    """Return all texts that the code marks as to be translated."""
    catalog = Catalog()
    for folder in ("p2pchat", "twisted/plugins"):
        for path, _, texts, _, _ in extract_from_dir(ROOT / folder, [("**.py", "python")], keywords=KEYWORDS):
            catalog.add(texts, locations=[(f"{folder}/{path}", 0)])
    return catalog


def read(path: Path) -> Catalog:
    """Read a ``.po``."""
    with path.open("rb") as file:
        return read_po(file)


def compiled(catalog: Catalog) -> bytes:
    """Return what a ``.mo`` holds."""
    out = io.BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


def written(catalog: Catalog) -> bytes:
    """Return what a ``.po`` holds."""
    out = io.BytesIO()
    # Places without lines, so that a change elsewhere in a file changes nothing here.
    write_po(out, catalog, width=110, sort_output=True, ignore_obsolete=True, include_lineno=False)
    lines = out.getvalue().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(_UNTOLD))


def main() -> int:
    """Do it; return how many texts lack a translation, as far as an exit status can tell."""
    texts, lacking = said(), 0
    for path in sorted(LOCALE.glob("*/LC_MESSAGES/p2pchat.po")):
        catalog = read(path)
        if catalog.locale is not None and catalog.locale.language != "en":
            since = catalog.creation_date
            catalog.update(texts, no_fuzzy_matching=True)
            catalog.creation_date = since  # else each run would change the file
            for message in catalog:
                if message.id and not (message.string and all(message.string)):
                    print(f"{path.relative_to(ROOT)}: lacks {message.id!r}")
                    lacking += 1
        path.write_bytes(written(catalog))
        path.with_suffix(".mo").write_bytes(compiled(catalog))
    return min(lacking, 1)


if __name__ == "__main__":
    sys.exit(main())
