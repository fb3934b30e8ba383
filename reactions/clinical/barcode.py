"""What a GS1 barcode on a vial or its box says: product number, lot, expiry, serial number. Pure.

Signatures
    read(text, *, today) -> Scan                raises UnreadableBarcode with what to do
        Scan(gtin, lot, expires_on, serial, warnings); None for what the code does not hold
    check_digit(first_13_digits) -> int         of a GTIN-14
    us_ndc_digits(gtin) -> str | None           the 10 digits of a US drug code; their hyphens are not in the code

A code is a row of element strings, each opened by an application identifier: (01) GTIN of 14 digits, (10) lot and (21)
serial number of up to 20 characters each, (17) expiry as YYMMDD, in any order. Lot and serial number end at a
separator, FNC1, which scanners send as ASCII 29 and which keyboards, and the fields they type into, often change or
lose. Parentheses are printed below a code and not encoded; a text with them is read as well. Symbology prefixes such as
"]d2" are taken off.

The library biip knows the identifiers and their forms. Three things that it leaves to its caller are done here: it
raises nothing for a wrong check digit (the element then has no GTIN), it counts the century from the clock and not from
`today`, and it splits a lot that is too long into a lot and a next element.

Sources: fields, check digit: GS1 list of application identifiers; Kit Check on US GTINs (indicator digit, 03, ten
digits of the NDC, check digit; the hyphens 4-4-2, 5-3-2 and 5-4-1 cannot be told from the digits). Day 00 as the last
of the month, and years from 49 back to 50 ahead: GS1 General Specifications 3.4.7 and 7.12, as quoted by the gem gs1
(rubydoc.info, GS1::ExpirationDate). The symbology prefixes and the last step of the century rule are from biip, not
checked against a copy of the standard. The warning about lost separators is this project's.
"""

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from biip import ParseConfig, ParseError
from biip.checksums import gs1_standard_check_digit
from biip.gs1_element_strings import GS1ElementString
from biip.symbology import GS1Symbology

GTIN, LOT, EXPIRY, SERIAL = "01", "10", "17", "21"
WORDS = {GTIN: "product number", LOT: "lot", EXPIRY: "expiry", SERIAL: "serial number"}
YEARS_BACK = 49
# Digits of a lot may look like the next field. Only ends and beginnings of this length count as a lost separator.
LEAST_LOT = 3
LEAST_SERIAL = 6

_FNC1 = "\x1d"
_FNC1_TYPED = re.compile(r"<(?:GS|FNC1)>|\{(?:GS|FNC1)\}|\[(?:GS|FNC1)\]|\\x1d|\\u001d|\^\]|\u241d", re.IGNORECASE)
_STRAY = re.compile(r"[^!\"%-?A-Z_a-z\x1d]")
_PREFIXES = tuple(f"]{symbology.value}" for symbology in GS1Symbology.with_gs1_messages())
_LINEAR_PREFIX = re.compile(r"\][EI]")
_LINEAR = re.compile(r"[0-9]{8}|[0-9]{12,14}")
_PRINTED = re.compile(r"\((\d{2,4})\)")
# Dates are read here, from `today`.
_WITHOUT_DATES = ParseConfig(gs1_element_strings_verify_date=False)
_SCAN_AGAIN = "Scan it again. If that does not help, type lot and expiry from the label."
_SQUARE = "Scan the square code on the vial or its box, or type lot and expiry from the label."
_NOT_GS1 = f"This is not a GS1 barcode. {_SQUARE}"


class UnreadableBarcode(ValueError):
    """The text is no barcode that can be trusted; the message says what to do."""


@dataclass(frozen=True)
class Scan:
    """What the code holds. `gtin` has 14 digits and a right check digit. Warnings are for whoever scanned."""

    gtin: str | None
    lot: str | None
    expires_on: date | None
    serial: str | None
    warnings: tuple[str, ...] = ()


def read(text: str, *, today: date) -> Scan:
    """Read what a scanner typed. Whether a vial is expired is another question: the day of the infusion decides.

    Raises UnreadableBarcode for anything but one GS1 code with at least one of the four fields.
    """
    elements, unread = _elements(_element_strings(_one_line(text)))
    values: dict[str, str] = {}
    for identifier, value in elements:
        if values.setdefault(identifier, value) != value:
            raise UnreadableBarcode(f"There are two different values for the {WORDS[identifier]}. Scan one code alone.")
    if not values:
        raise UnreadableBarcode(_NOT_GS1)
    expiry = _date(values[EXPIRY], today) if EXPIRY in values else None
    if expiry is None and EXPIRY in values:
        raise UnreadableBarcode(f"The expiry in the code is not a date. {_SCAN_AGAIN}")
    warnings = [f"A part of the code could not be read and was left out: {part}" for part in unread]
    warnings += [
        f"The {WORDS[holder]} “{values[holder]}” seems to hold the {WORDS[held]} too: a separator was lost. "
        "Compare it with the label."
        for holder, held in _swallowed(values, today)
    ]
    return Scan(values.get(GTIN), values.get(LOT), expiry, values.get(SERIAL), tuple(warnings))


def check_digit(first_13_digits: str) -> int:
    """The last digit of a GTIN-14: weights 3, 1, 3, … from the left. Raises ValueError unless there are 13 digits."""
    if not re.fullmatch(r"[0-9]{13}", first_13_digits):
        raise ValueError("A check digit is made from 13 digits.")
    return gs1_standard_check_digit(first_13_digits)


def us_ndc_digits(gtin: str) -> str | None:
    """The ten digits of the US National Drug Code in a GTIN-14; None for other countries' and for wrong ones."""
    is_american = re.fullmatch(r"[0-9]03[0-9]{11}", gtin) is not None
    return gtin[3:13] if is_american and check_digit(gtin[:13]) == int(gtin[13]) else None


def _one_line(text: str) -> str:
    # Not splitlines: to Python, ASCII 29 ends a line.
    lines = re.split(r"[\r\n]+", text.strip(" \t\r\n"))
    if len(lines) > 1:
        raise UnreadableBarcode("There is more than one code in the field. Clear it and scan one code.")
    return lines[0]


def _element_strings(line: str) -> str:
    """Without prefix and parentheses, every separator as ASCII 29."""
    prefix = next((prefix for prefix in _PREFIXES if line.startswith(prefix)), "")
    if not prefix and _is_linear(line):
        raise UnreadableBarcode(f"This is the product's linear barcode, which holds no lot. {_SQUARE}")
    if not prefix and line.startswith("]"):
        raise UnreadableBarcode(_NOT_GS1)
    code = _FNC1_TYPED.sub(_FNC1, line.removeprefix(prefix))
    if code.startswith("("):
        parts = _PRINTED.split(code)
        code = _FNC1.join(number + value.strip() for number, value in zip(parts[1::2], parts[2::2], strict=True))
    if stray := _STRAY.search(code):
        raise UnreadableBarcode(
            f"“{stray[0]}” cannot be in a GS1 barcode: the scanner may be set to another keyboard. {_SQUARE}"
        )
    return code


def _is_linear(line: str) -> bool:
    """A product number alone: it would pass for a lot when it happens to begin with 10."""
    if _LINEAR_PREFIX.match(line):
        return True
    return _LINEAR.fullmatch(line) is not None and gs1_standard_check_digit(line[:-1]) == int(line[-1])


def _elements(code: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The wanted elements, and the parts that nothing could be made of."""
    found, unread = [], []
    for part in code.split(_FNC1):
        rest = part
        while rest:
            element = _first_element(rest)
            if element is None:
                unread.append(rest)
                break
            if element.ai.ai in WORDS:
                found.append((element.ai.ai, element.value))
            rest = rest[len(element) :]
            if rest and element.ai.separator_required:
                unread.append(_rest_after(element, rest))
                break
    return found, unread


def _first_element(rest: str) -> GS1ElementString | None:
    """The element that opens the text; None when its identifier is not known or its form is another."""
    try:
        element = GS1ElementString.extract(rest, config=_WITHOUT_DATES)
    except ParseError:
        if rest[:2] in WORDS:
            raise UnreadableBarcode(f"The {WORDS[rest[:2]]} in the code cannot be read. {_SCAN_AGAIN}") from None
        return None
    if element.ai.ai == GTIN and element.gtin is None:
        raise UnreadableBarcode(f"The check digit of the product number is wrong. {_SCAN_AGAIN}")
    return element


def _rest_after(element: GS1ElementString, rest: str) -> str:
    """What follows an element that only a separator ends: not an element, but a value that is too long."""
    if element.ai.ai in WORDS:
        raise UnreadableBarcode(
            f"The {WORDS[element.ai.ai]} is longer than 20 characters: the scanner may be set to leave out separators. "
            "Type lot and expiry from the label."
        )
    return rest


def _date(yymmdd: str, today: date) -> date | None:
    """The day, in the hundred years from 49 back to 50 ahead; day 00 is the last of the month. None for no date."""
    year, month, day = (int(yymmdd[at : at + 2]) for at in (0, 2, 4))
    oldest = today.year - YEARS_BACK
    year = oldest + (year - oldest) % 100
    try:
        return date(year, month, day or monthrange(year, month)[1])
    except ValueError:
        return None


def _swallowed(values: Mapping[str, str], today: date) -> Iterator[tuple[str, str]]:
    """(holder, held) for each lot or serial number that seems to run on into the next field."""
    for holder, held, least, least_held in (
        (LOT, SERIAL, LEAST_LOT, LEAST_SERIAL),
        (SERIAL, LOT, LEAST_SERIAL, LEAST_LOT),
    ):
        value = values.get(holder, "")
        if any(check_digit(number[:13]) == int(number[13]) for number in _digits_after(GTIN, 14, value)):
            yield holder, GTIN
        if EXPIRY not in values and any(_date(digits, today) for digits in _digits_after(EXPIRY, 6, value)):
            yield holder, EXPIRY
        if held not in values and held in value[least : len(value) - least_held]:
            yield holder, held


def _digits_after(identifier: str, count: int, value: str) -> list[str]:
    """All runs of so many digits after the identifier, which does not open the value; they may overlap."""
    return re.findall(f"(?={identifier}([0-9]{{{count}}}))", value[1:])
