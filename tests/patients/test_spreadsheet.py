"""Cells that a spreadsheet does not run, and the words back out of them."""

import pytest

from patients.spreadsheet import meant_by, safe_cell
from reactions.exchange import log_export
from reactions.rates import answer


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("'=1+1", "''=1+1"),
        ("'s-Gravenhage", "'s-Gravenhage"),
        ("Tessa", "Tessa"),
        ("", ""),
    ],
)
def test_a_formula_gets_an_apostrophe_that_comes_off_again(text: str, cell: str) -> None:
    assert safe_cell(text) == cell
    assert meant_by(cell) == text


def test_every_file_for_a_spreadsheet_is_made_by_the_same_rule() -> None:
    assert answer.safe_cell is log_export.safe_cell is safe_cell
