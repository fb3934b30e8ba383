"""Measures of how a patient with myositis responds to treatment. Pure.

Signatures
    MEASURES: dict[str, Measure]                       code to label, unit, limits, decimals, direction, source
    why_impossible(code, value) -> str                 a sentence for the person typing; empty when it is possible
    change(code, first, latest) -> str                 in words: "8 points higher, better"

A change is given with its direction and whether that is better or worse on this one measure, and no more: whether it is
a response depends on several measures together, and is a clinician's to say. The limits of a scale are its ends; those
of a blood value and of a distance only catch slips of the keyboard.
"""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Measure:
    """One measure: `low` and `high` are the ends of what can be recorded, `decimals` its places after the point."""

    code: str
    label: str
    unit: str
    low: Decimal
    high: Decimal
    decimals: int
    higher_is_better: bool
    source: str


_GLOBAL = "10 cm visual analogue scale, 0 inactive, 10 extremely severe (Rider 2011, table 1, PMC3748930)"

MEASURES: dict[str, Measure] = {
    measure.code: measure
    for measure in (
        Measure(
            "mmt8",
            "Manual muscle test (MMT-8)",
            "points",
            Decimal(0),
            Decimal(150),
            0,
            True,
            "0 to 150, 150 is full strength (NCT02728752); ProDERM took patients below 142 (octagamus.net, trial page)",
        ),
        Measure(
            "ck",
            "Creatine kinase",
            "U/L",
            Decimal(1),
            Decimal(500_000),
            0,
            False,
            "Muscle enzyme of the IMACS core set (niehs.nih.gov); the limits are this project's",
        ),
        Measure(
            "six_minute_walk",
            "Six-minute walk",
            "m",
            Decimal(0),
            Decimal(1000),
            0,
            True,
            "Healthy adults walked 383 to 875 m (doi 10.1186/s12931-022-02003-y); the limits are this project's",
        ),
        Measure("patient_global", "Patient global activity", "cm", Decimal(0), Decimal(10), 1, False, _GLOBAL),
        Measure("physician_global", "Physician global activity", "cm", Decimal(0), Decimal(10), 1, False, _GLOBAL),
    )
}


def why_impossible(code: str, value: Decimal) -> str:
    """Empty for a value that can be. Raises KeyError for an unknown code."""
    measure = MEASURES[code]
    if not measure.low <= value <= measure.high:
        return f"{measure.label} goes from {measure.low:f} to {measure.high:f} {measure.unit}."
    if value != round(value, measure.decimals):
        form = "with one decimal" if measure.decimals else "as a whole number"
        return f"{measure.label} is recorded {form}."
    return ""


def change(code: str, first: Decimal, latest: Decimal) -> str:
    """The difference in words, with its direction for the patient. Raises KeyError for an unknown code."""
    measure, difference = MEASURES[code], latest - first
    if difference == 0:
        return "no change"
    direction = "higher" if difference > 0 else "lower"
    judged = "better" if (difference > 0) is measure.higher_is_better else "worse"
    return f"{abs(difference).normalize():f} {measure.unit} {direction}, {judged}"
