"""IgA readings as laboratories write them, and the status they stand for. Pure: no Django, no database.

Signatures
    parse(text) -> Reading                  "<7 mg/dL", "0.38 g/L", "75 mg/dL (80-350)"; raises UnreadableIga
    to_mg_dl(value, unit) -> Decimal        mg/dL from g/L, mg/L or mg/dL
    classify(reading) -> Status             deficient, partial, normal, above range or indeterminate
    write(reading) -> str                   the text that parse() reads back

A comparator is never dropped: "< 7" means below what the assay can see, and is not the number 7.

Thresholds
    deficient below 7 mg/dL (0.07 g/L): Merck Manual, selective IgA deficiency; Rachid & Bonilla 2011 (PMC3129450).
    adult reference range 70 to 400 mg/dL: StatPearls, intravenous immunoglobulin. Used only where the laboratory's
    own range is not given; children's limits are lower, so a child's result needs the laboratory's range.
    implausible above 15 g/L: the value was probably typed in the wrong unit.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

DEFICIENT_BELOW_MG_DL = Decimal("7")
REFERENCE_LOW_MG_DL = Decimal("70")
REFERENCE_HIGH_MG_DL = Decimal("400")
IMPLAUSIBLE_ABOVE_MG_DL = Decimal("1500")

# How many mg/dL one of the unit is.
UNITS: dict[str, Decimal] = {"mg/dL": Decimal("1"), "g/L": Decimal("100"), "mg/L": Decimal("0.1")}
COMPARATORS = ("", "<", "<=", ">", ">=")


class Status(StrEnum):
    NOT_TESTED = "not_tested"
    PENDING = "pending"
    INDETERMINATE = "indeterminate"
    DEFICIENT = "deficient"
    PARTIAL = "partial"
    NORMAL = "normal"
    ABOVE_RANGE = "above_range"


class UnreadableIga(ValueError):
    """The text is not an IgA result; the message says what to write."""


@dataclass(frozen=True)
class Reading:
    """One result. Values and limits are in `unit`; the limits are the laboratory's own range, where it gave one."""

    comparator: str
    value: Decimal
    unit: str
    low: Decimal | None = None
    high: Decimal | None = None


_PATTERN = re.compile(
    r"^\s*(?P<comparator><=|>=|≤|≥|<|>|)\s*(?P<value>\d+(?:[.,]\d+)?)\s*(?P<unit>mg/dl|g/l|mg/l)"
    r"\s*(?:\(\s*(?P<low>\d+(?:[.,]\d+)?)?\s*[-–]\s*(?P<high>\d+(?:[.,]\d+)?)?\s*\))?\s*$",
    re.IGNORECASE,
)
_UNIT_SPELLING = {unit.lower(): unit for unit in UNITS}


def _number(digits: str) -> Decimal:
    """A number with a point or a comma for its decimals."""
    return Decimal(digits.replace(",", "."))


def parse(text: str) -> Reading:
    """Read a result with its comparator, unit and, in brackets, the laboratory's range.

    Raises UnreadableIga when the unit is missing or the text is anything else.
    """
    match = _PATTERN.match(text)
    if match is None:
        raise UnreadableIga(
            f"“{text}” is not an IgA result: write a number with its unit, such as “<7 mg/dL” or “0.38 g/L”."
        )
    reading = Reading(
        comparator=match["comparator"].replace("≤", "<=").replace("≥", ">="),
        value=_number(match["value"]),
        unit=_UNIT_SPELLING[match["unit"].lower()],
        low=_number(match["low"]) if match["low"] else None,
        high=_number(match["high"]) if match["high"] else None,
    )
    if reading.low is not None and reading.high is not None and reading.low >= reading.high:
        raise UnreadableIga(f"“{text}”: the laboratory's lower limit must be below its upper limit.")
    return reading


def to_mg_dl(value: Decimal, unit: str) -> Decimal:
    """mg/dL from a value in one of UNITS. 0.07 g/L = 7 mg/dL = 70 mg/L. Raises KeyError for another unit."""
    return value * UNITS[unit]


def classify(reading: Reading) -> Status:
    """The status of a result. Where a comparator leaves two classes open, the result is indeterminate."""
    value = to_mg_dl(reading.value, reading.unit)
    low = REFERENCE_LOW_MG_DL if reading.low is None else to_mg_dl(reading.low, reading.unit)
    high = REFERENCE_HIGH_MG_DL if reading.high is None else to_mg_dl(reading.high, reading.unit)
    match reading.comparator:
        case "":
            if value < DEFICIENT_BELOW_MG_DL:
                return Status.DEFICIENT
            if value < low:
                return Status.PARTIAL
            return Status.ABOVE_RANGE if value > high else Status.NORMAL
        case "<" if value <= DEFICIENT_BELOW_MG_DL:
            return Status.DEFICIENT
        case "<=" if value < DEFICIENT_BELOW_MG_DL:
            return Status.DEFICIENT
        case ">" if value >= high:
            return Status.ABOVE_RANGE
        case ">=" if value > high:
            return Status.ABOVE_RANGE
        case _:
            return Status.INDETERMINATE


def is_implausible(reading: Reading) -> bool:
    """Above 15 g/L: far beyond any range, as when mg/dL are typed as g/L."""
    return to_mg_dl(reading.value, reading.unit) > IMPLAUSIBLE_ABOVE_MG_DL


def _digits(value: Decimal) -> str:
    return format(value.normalize(), "f")


def write(reading: Reading) -> str:
    """The result as text that parse() reads back to the same reading."""
    text = f"{reading.comparator}{_digits(reading.value)} {reading.unit}"
    if reading.low is None and reading.high is None:
        return text
    low = "" if reading.low is None else _digits(reading.low)
    high = "" if reading.high is None else _digits(reading.high)
    return f"{text} ({low}-{high})"
