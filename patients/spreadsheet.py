"""Words in a cell that a spreadsheet may open. Pure: no Django, no database.

Signatures
    safe_cell(text) -> str       the words, behind an apostrophe where a spreadsheet would take them for a formula
    meant_by(cell) -> str        the words that safe_cell() was given
    Echo()                       a file for csv.writer, whose writerow() then gives the line

A cell is taken for a formula when it begins with one of = + - @, also behind a tab or the end of a line (OWASP, CSV
injection). Words that begin with an apostrophe and such a sign get a second one, so that nothing is lost on the way
back.
"""

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


def safe_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def meant_by(cell: str) -> str:
    """What the cell says, without the apostrophe of safe_cell()."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


class Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text
