"""The patients' languages: one `.po` file each, made readable for Django at every start.

A language is a folder below `ivigtrack/locale` with `LC_MESSAGES/django.po`; nothing else is to be installed, built or
committed. What Django reads (`.mo`) lies in a folder that is named after the texts themselves, so that an old one is
never read for a new one, and processes that start together do not disturb each other.
"""

import hashlib
import os
import tempfile
from pathlib import Path

import polib

DOMAIN = "django"


def sources(locale: Path) -> dict[str, Path]:
    """{language: its `.po`}, by the language's code; a folder without one is no language."""
    found = sorted(locale.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))
    return {path.parents[1].name.lower().replace("_", "-"): path for path in found}


def compiled(locale: Path, into: Path) -> Path:
    """A folder below `into` with every language as Django reads it. Written where it is not there yet.

    Raises OSError, which names file and line, for a `.po` that cannot be read.
    """
    texts = {path: path.read_bytes() for path in sources(locale).values()}
    name = hashlib.sha256(b"\0".join(str(path).encode() + b"\0" + text for path, text in texts.items())).hexdigest()
    folder = into / name[:16]
    for path in texts:
        target = folder / path.relative_to(locale).with_suffix(".mo")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(target, polib.pofile(str(path), encoding="utf-8").to_binary())
    return folder


def _write_whole(target: Path, content: bytes) -> None:
    """Under another name first: a process that starts at the same moment reads all of it or finds nothing."""
    handle, written = tempfile.mkstemp(dir=target.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(written).replace(target)
