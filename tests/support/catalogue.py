"""The texts of a language as its `.po` file says them."""

import ast
from pathlib import Path

from django.conf import settings

# Between a message's context and its words in Django's catalogues.
BETWEEN = "\x04"


def catalogue(language: str) -> dict[str, str]:
    """{text: its translation} of `ivigtrack/locale`; a text with a context is written as in Django's catalogues."""
    path = Path(settings.LOCALE_PATHS[0]) / language / "LC_MESSAGES" / "django.po"
    found: dict[str, str] = {}
    entry: dict[str, str] = {}
    field = ""
    for line in [*path.read_text().splitlines(), ""]:
        word, _, rest = line.partition(" ")
        if word in {"msgctxt", "msgid", "msgstr"}:
            field = word
            entry[field] = ast.literal_eval(rest)
        elif line.startswith('"'):
            entry[field] += ast.literal_eval(line)
        elif not line.strip() and entry.get("msgid") and entry.get("msgstr"):
            context = f"{entry['msgctxt']}{BETWEEN}" if "msgctxt" in entry else ""
            found[context + entry["msgid"]] = entry["msgstr"]
        if not line.strip():
            entry = {}
    return found
