"""The language of what the user sees, chosen by the locale of the environment: English or Portuguese.

What goes to other peers, into the log, or to programs stays in English: others read it.
"""

from __future__ import annotations

import gettext
from pathlib import Path

#: Where the translations are: ``pt_BR/LC_MESSAGES/p2pchat.po``, and what is read of it, ``.mo``. That for
#: English is empty: it ends the search where a user prefers English to Portuguese.
LOCALE = Path(__file__).parent / "locale"

#: LANGUAGE, LC_ALL, LC_MESSAGES and LANG say which, in this order. It is chosen once: a process has one user.
_chosen = gettext.translation("p2pchat", LOCALE, fallback=True)

#: Translates a text. What changes in it is in braces, and filled in afterwards: ``tr("{n} s").format(n=5)``.
tr = _chosen.gettext

#: Translates a text that has another form for one: ``ntr("1 line", "{n} lines", n).format(n=n)``.
ntr = _chosen.ngettext
