"""What is impossible and what is unlikely about an infusion. Pure.

Signatures
    why_impossible_dose(dose_g) -> str         a sentence for the person typing; empty when the dose is possible
    why_impossible_weight(weight_kg) -> str    likewise
    why_impossible_lot(lot) -> str             likewise
    why_impossible_drug_dose(dose) -> str      likewise, for a premedication's dose in words
    unlikely(facts) -> list[str]               sentences to look at; the record is saved all the same

Sources: course dose 0.2 to 2.4 g/kg and usually no more than 1 g/kg a day: the dermatomyositis label gives 2 g/kg over
2 to 5 days (Octagam 10 %), replacement starts at 0.2 g/kg. The other limits only catch slips of the keyboard.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

COURSE_G_PER_KG = (Decimal("0.2"), Decimal("2.4"))
DAY_G_PER_KG = Decimal("1.0")
USUAL_WEIGHT_KG = (Decimal(2), Decimal(300))
POSSIBLE_WEIGHT_KG = (Decimal("0.3"), Decimal(650))
POSSIBLE_DOSE_G = Decimal(1000)
# Volumetric pumps usually deliver up to 999 mL/h (UCLH, Injectable Medicines Administration Guide, infusion pumps); the
# bound leaves room for the faster of them and stops a slipped digit.
POSSIBLE_RATE_ML_PER_H = Decimal(1200)
USUAL_DURATION = (timedelta(minutes=30), timedelta(hours=12))
# Vials are whole, doses are rounded to them: half a gram is the smallest vial step.
VIAL_TOLERANCE_G = Decimal("0.5")


@dataclass(frozen=True)
class InfusionFacts:
    """What the checks look at. Grams, kilograms; None where nothing was recorded."""

    dose_g: Decimal
    weight_kg: Decimal | None
    course_dose_g: Decimal
    planned_days: int
    duration: timedelta | None
    vial_grams: Decimal | None
    overlaps_another: bool = False
    same_day_recorded: bool = False


def why_impossible_dose(dose_g: Decimal) -> str:
    if dose_g <= 0:
        return "The dose must be more than 0 g."
    if dose_g > POSSIBLE_DOSE_G:
        return f"A dose above {POSSIBLE_DOSE_G:f} g is not possible. Is it in grams?"
    return ""


def why_impossible_weight(weight_kg: Decimal) -> str:
    low, high = POSSIBLE_WEIGHT_KG
    if weight_kg < low or weight_kg > high:
        return f"A weight of {weight_kg:f} kg is not possible. Is it in kilograms?"
    return ""


def why_impossible_lot(lot: str) -> str:
    if not re.fullmatch(r"[^\W_][\w ./+-]*", lot):
        return f"“{lot}” is not a lot. Write it as printed: letters, digits, and . / + - between them."
    return ""


def why_impossible_drug_dose(dose: str) -> str:
    if dose and not re.fullmatch(r"\d[^;|()]*[^\W\d_]", dose):
        return "Write the dose as a number with its unit, such as 650 mg."
    return ""


def unlikely(facts: InfusionFacts) -> list[str]:
    """Sentences about what is seldom right, in the order of the form."""
    found = []
    if facts.weight_kg is not None:
        if not USUAL_WEIGHT_KG[0] <= facts.weight_kg <= USUAL_WEIGHT_KG[1]:
            found.append(f"The weight of {_plain(facts.weight_kg)} kg is unusual.")
        found += _unlikely_dose(facts, facts.weight_kg)
    if facts.duration is not None and facts.duration < USUAL_DURATION[0]:
        found.append(f"The infusion took less than {USUAL_DURATION[0] // timedelta(minutes=1)} minutes.")
    if facts.duration is not None and facts.duration > USUAL_DURATION[1]:
        found.append(f"The infusion took more than {USUAL_DURATION[1] // timedelta(hours=1)} hours.")
    if facts.vial_grams is not None and abs(facts.vial_grams - facts.dose_g) > VIAL_TOLERANCE_G:
        found.append(f"The vials hold {_plain(facts.vial_grams)} g, the dose is {_plain(facts.dose_g)} g.")
    if facts.overlaps_another:
        found.append("Another infusion of this patient overlaps with this one.")
    if facts.same_day_recorded:
        found.append("Another infusion of this course has the same day of the course.")
    return found


def _plain(number: Decimal) -> str:
    """Without zeros at the end."""
    return format(number.normalize(), "f")


def _unlikely_dose(facts: InfusionFacts, weight_kg: Decimal) -> list[str]:
    found = []
    day, course = facts.dose_g / weight_kg, facts.course_dose_g / weight_kg
    low, high = COURSE_G_PER_KG
    if day > DAY_G_PER_KG:
        found.append(f"{day:.2f} g/kg in one day is more than the usual {_plain(DAY_G_PER_KG)} g/kg.")
    if course > high:
        found.append(f"{course:.2f} g/kg in this course is above {high} g/kg.")
    if facts.planned_days == 1 and course < low:
        found.append(f"{course:.2f} g/kg in this course is below {low} g/kg.")
    return found
