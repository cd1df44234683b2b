"""The language of what the user sees, chosen by the locale of the environment: English or Portuguese.

What goes to other peers, or to programs, stays in English: others read it. So does the log, except for
reasons in it that the user is told as well.
"""

from __future__ import annotations

import gettext
from pathlib import Path

#: Where the translations are: ``pt_BR/LC_MESSAGES/p2pchat.po``, and what is read of it, ``.mo``. That for
#: English is empty: it ends the search where a user prefers English to Portuguese.
LOCALE = Path(__file__).parent / "locale"


def _choose() -> gettext.NullTranslations:
    """Return the first language that LANGUAGE, LC_ALL, LC_MESSAGES or LANG asks for and that there is."""
    # Not gettext.translation: that looks up in the second language what the first one lacks, and English
    # has none of the texts.
    path = gettext.find("p2pchat", LOCALE)
    if path is None:
        return gettext.NullTranslations()
    with Path(path).open("rb") as file:
        return gettext.GNUTranslations(file)


#: It is chosen once: a process has one user.
_chosen = _choose()

#: Translates a text. What changes in it is in braces, and filled in afterwards: ``tr("{n} s").format(n=5)``.
tr = _chosen.gettext


def mark(text: str) -> str:
    """Mark a text that goes out in English, and is translated by `translated` where our user sees it."""
    return text


def translated(text: str) -> str:
    """Translate a text that was marked, here or where it comes from; any other stays as it is."""
    return tr(text) if text else ""


#: Translates a text that has another form for one: ``ntr("1 line", "{n} lines", n).format(n=n)``.
ntr = _chosen.ngettext
