"""What the cells of an infusion log mean, one function a kind of cell; drugs are in log_drugs.py. No database.

Each raises BadCell, worded for the person who wrote the file. docs/infusion-log.md describes the format.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from zoneinfo import ZoneInfo

from patients import clock
from patients.iga import Reading, UnreadableIga, parse
from patients.spreadsheet import meant_by
from patients.words import AntiIga, Sex
from reactions.clinical.ctcae import OTHER, UndefinedGrade, candidates, check_grade, find_term, suggest, version_for
from reactions.clinical.infusion_checks import (
    POSSIBLE_DOSE_G,
    why_impossible_dose,
    why_impossible_lot,
    why_impossible_weight,
)
from reactions.vocabulary import Outcome, ReactionRecord, Setting

NONE = "none"
PENDING = "pending"
# What the columns of the database hold.
LONGEST_LOT = 20
LONGEST_SYMPTOM = 200
GRAMS_STEP = Decimal("0.01")
WEIGHT_STEP = Decimal("0.1")
IGA_STEP = Decimal("0.0001")
IGA_BELOW = Decimal(1_000_000)
# These catch slips of the keyboard: no immune globulin for veins was licensed before 1980.
EARLIEST_INFUSION = 1980
EARLIEST_BIRTH = 1900
EARLIEST_SAMPLE = 1950
LATEST_ONSET = timedelta(days=366)
# Clocks of two machines may differ a little.
FUTURE_SLACK = timedelta(minutes=10)


class BadCell(ValueError):
    """The cell cannot be taken; the message says why and what to write."""


@dataclass(frozen=True, slots=True)
class LotCell:
    lot: str
    expires_on: date | None
    grams: Decimal | None


@dataclass(frozen=True, slots=True)
class DrugCell:
    drug: str
    other_drug: str
    dose: str
    route: str
    minutes_before: int | None
    # The name is no drug known here and does not stand in other (…).
    is_taken_as_other: bool = False


@dataclass(frozen=True, slots=True)
class SymptomCell:
    term: str
    other_text: str
    grade: int | None
    ctcae_version: str
    minutes: float | None


Reactions = tuple[ReactionRecord, tuple[tuple[SymptomCell, ...], ...]]
NO_REACTIONS: Reactions = (ReactionRecord.NOT_RECORDED, ())


def text_of(cell: str, *, longest: int) -> str:
    """Words, without the apostrophe that keeps a spreadsheet from taking them for a formula."""
    words = meant_by(cell)
    if len(words) > longest:
        raise BadCell(f"longer than {longest} characters")
    return words


@lru_cache(maxsize=4096)
def day_of(cell: str) -> date | None:
    if not cell:
        return None
    try:
        return date.fromisoformat(cell)
    except ValueError:
        raise BadCell(f"“{cell}” is not a date; write it like 2026-04-30") from None


@lru_cache(maxsize=4096)
def birth_of(cell: str) -> date | None:
    return _no_earlier(day_of(cell), EARLIEST_BIRTH)


@lru_cache(maxsize=4096)
def sample_day_of(cell: str) -> date | None:
    return _no_earlier(day_of(cell), EARLIEST_SAMPLE)


def _no_earlier(day: date | None, year: int) -> date | None:
    if day and day.year < year:
        raise BadCell(f"“{day}” lies before {year}; check the year")
    return day


def product_of(cell: str) -> str:
    name = text_of(cell, longest=100)
    if not any(sign.isalnum() for sign in name):
        raise BadCell(f"“{name}” is not the name of a product")
    return name


def moment_of(cell: str, zone: ZoneInfo, now: datetime) -> datetime:
    """A time with its offset, or on the clinic's clocks; not in the future, and not before 1980."""
    if _is_only_a_day(cell):
        raise BadCell(f"“{cell}” is a day without a time; write it like {cell}T09:00")
    try:
        moment = clock.read(cell, zone)
    except ValueError as error:
        raise BadCell(str(error)) from None
    if moment > now + FUTURE_SLACK:
        raise BadCell(f"“{cell}” lies in the future")
    if moment.year < EARLIEST_INFUSION:
        raise BadCell(f"“{cell}” lies before {EARLIEST_INFUSION}; check the year")
    return moment


def _is_only_a_day(cell: str) -> bool:
    try:
        date.fromisoformat(cell)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def number_of(cell: str) -> Decimal | None:
    if not cell:
        return None
    try:
        if "_" in cell:
            raise InvalidOperation
        number = Decimal(cell)
    except InvalidOperation:
        raise BadCell(f"“{cell}” is not a number; write it like 27.5") from None
    if not number.is_finite():
        raise BadCell(f"“{cell}” is not a number; write it like 27.5")
    return number


@lru_cache(maxsize=4096)
def dose_of(cell: str) -> Decimal:
    """Grams."""
    dose = number_of(cell)
    if dose is None:
        raise BadCell("is empty; write the dose in grams")
    if why := why_impossible_dose(dose):
        raise BadCell(why)
    return _rounded(dose, GRAMS_STEP)


@lru_cache(maxsize=4096)
def weight_of(cell: str) -> Decimal | None:
    """Kilograms."""
    weight = number_of(cell)
    if weight is None:
        return None
    if why := why_impossible_weight(weight):
        raise BadCell(why)
    return _rounded(weight, WEIGHT_STEP)


def _rounded(number: Decimal, step: Decimal) -> Decimal:
    """To the step in which the column counts. What would round to nothing is refused."""
    rounded = number.quantize(step, ROUND_HALF_UP)
    if rounded == 0 and number != 0:
        raise BadCell(f"“{number}” is too small to be recorded")
    return rounded


@lru_cache(maxsize=256)
def count_of(cell: str) -> int | None:
    """A whole number from 1 to 5, for days of a course."""
    if not cell:
        return None
    if not re.fullmatch("0*[1-5]", cell):
        raise BadCell(f"“{cell}” is not a number of days from 1 to 5")
    return int(cell)


SEX_WORDS = {"f": Sex.FEMALE, "m": Sex.MALE, "w": Sex.FEMALE, "": Sex.UNKNOWN} | {str(sex): sex for sex in Sex}


def sex_of(cell: str) -> Sex:
    return _word_of(cell, SEX_WORDS, "female, male, other or unknown")


def setting_of(cell: str) -> Setting:
    return _word_of(cell, {str(word): word for word in Setting} | {"": Setting.CLINIC}, ", ".join(Setting))


def outcome_of(cell: str) -> Outcome:
    words = {str(word): word for word in Outcome}
    words |= {"": Outcome.UNKNOWN, "resolved": Outcome.RECOVERED, "recovered with sequelae": Outcome.SEQUELAE}
    words |= {"not recovered": Outcome.NOT_RECOVERED, "death": Outcome.FATAL, "died": Outcome.FATAL}
    return _word_of(cell, words, ", ".join(Outcome))


def serious_of(cell: str) -> bool | None:
    return _word_of(cell, {"": None, "yes": True, "no": False, "y": True, "n": False}, "yes or no")


def anti_iga_of(cell: str) -> AntiIga:
    words = {str(word): word for word in AntiIga} | {"": AntiIga.NOT_DONE, "not done": AntiIga.NOT_DONE}
    return _word_of(cell, words, ", ".join(AntiIga))


def _word_of(cell: str, words: dict, named: str):  # type: ignore[no-untyped-def]
    try:
        return words[cell.lower()]
    except KeyError:
        raise BadCell(f"“{cell}” is not known; write {named}") from None


@lru_cache(maxsize=4096)
def iga_of(cell: str) -> Reading | None:
    """A reading; None for a blank cell and for a pending result, which is_pending() tells apart."""
    if not cell or is_pending(cell):
        return None
    try:
        reading = parse(cell)
    except UnreadableIga as error:
        raise BadCell(str(error)) from None
    value = _iga_number(reading.value)
    low, high = (None if limit is None else _iga_number(limit) for limit in (reading.low, reading.high))
    if value == 0 and reading.comparator == "<":
        raise BadCell(f"“{cell}”: nothing is less than 0")
    if low is not None and high is not None and low >= high:
        raise BadCell(f"“{cell}”: the laboratory's limits are too close together to be recorded")
    return Reading(reading.comparator, value, reading.unit, low, high)


def _iga_number(number: Decimal) -> Decimal:
    if number >= IGA_BELOW:
        raise BadCell(f"“{number:f}” is not a possible IgA; check the number and its unit")
    return _rounded(number, IGA_STEP)


def is_pending(cell: str) -> bool:
    return cell.lower() == PENDING


@lru_cache(maxsize=4096)
def lots_of(cell: str) -> tuple[LotCell, ...]:
    return tuple(_lot_of(part.strip()) for part in cell.split(";") if part.strip()) if cell else ()


def _lot_of(part: str) -> LotCell:
    pieces = [piece.strip() for piece in part.split(":")]
    if len(pieces) > 3 or not pieces[0]:
        raise BadCell(f"“{part}” is not a lot; write LOT:expiry:grams, such as L123:2027-06-30:10")
    if len(pieces[0]) > LONGEST_LOT:
        raise BadCell(f"the lot “{pieces[0]}” is longer than {LONGEST_LOT} characters")
    if why := why_impossible_lot(pieces[0]):
        raise BadCell(why)
    lot, expiry, grams = [*pieces, "", ""][:3]
    amount = number_of(grams)
    if amount is not None and amount <= 0:
        raise BadCell(f"“{part}”: the grams must be more than 0")
    if amount is not None and amount > POSSIBLE_DOSE_G:
        raise BadCell(f"“{part}”: more than {POSSIBLE_DOSE_G} g of one lot is not possible")
    return LotCell(lot, day_of(expiry), None if amount is None else _rounded(amount, GRAMS_STEP))


@lru_cache(maxsize=8192)
def reactions_of(cell: str, version: str) -> Reactions:
    """The reactions of a row, each a group of symptoms; `version` is the clinic's CTCAE version."""
    if not cell:
        return NO_REACTIONS
    if cell.lower() == NONE:
        return ReactionRecord.OBSERVED, ()
    return ReactionRecord.OBSERVED, tuple(_episode_of(part, version) for part in split(cell, "|"))


def _episode_of(part: str, version: str) -> tuple[SymptomCell, ...]:
    symptoms = tuple(_symptom_of(piece.strip(), version) for piece in split(part, ";"))
    if len({(symptom.term, symptom.other_text.lower()) for symptom in symptoms}) < len(symptoms):
        raise BadCell(f"“{part}” names a symptom twice; a second reaction goes behind a |")
    return symptoms


_SYMPTOM = re.compile(
    r"(?:(?P<other>other)\s*\((?P<words>[^()]+)\)|(?P<term>[^:@()]+))"
    r"\s*(?::\s*(?P<grade>[^@]*))?\s*(?:@\s*(?P<minutes>.*))?$",
    re.IGNORECASE,
)
# “chills 2” or “chills?”: a grade or a doubt that must not be dropped.
_MARKS = re.compile(r"[\d?!+<>=*]")


def _symptom_of(piece: str, version: str) -> SymptomCell:
    found = _SYMPTOM.match(piece)
    if found is None or _MARKS.search(found["term"] or "") or (found["other"] and not found["words"].strip()):
        raise BadCell(f"“{piece}” is not a reaction; write term:grade@minutes, such as chills:2@30, or none")
    term = OTHER if found["other"] else find_term(found["term"])
    if term is None or (term == OTHER and not found["other"]):
        raise BadCell(_why_no_term(found["term"].strip()))
    own_version = version_for(term, version)
    grade = _grade_of(piece, (found["grade"] or "").strip())
    if grade is not None:
        try:
            check_grade(term, grade, own_version)
        except UndefinedGrade as error:
            raise BadCell(str(error)) from None
    words = (found["words"] or "").strip()
    if len(words) > LONGEST_SYMPTOM:
        raise BadCell(f"“{words[:40]}…” is longer than {LONGEST_SYMPTOM} characters")
    return SymptomCell(term, words, grade, own_version, _minutes_of(piece, (found["minutes"] or "").strip()))


def _why_no_term(words: str) -> str:
    own_words = f"other ({words})"
    if open_terms := candidates(words):
        return f"“{words}” does not say which term of CTCAE is meant; write {', '.join(open_terms)} or {own_words}"
    near = suggest(words)
    hint = f"did you mean {' or '.join(near)}?" if near else f"write {own_words} for what is not in CTCAE"
    return f"“{words}” is not a known CTCAE term; {hint}"


def _grade_of(piece: str, text: str) -> int | None:
    if not text:
        return None
    if text not in {"1", "2", "3", "4", "5"}:
        raise BadCell(f"“{piece}”: the grade must be a number from 1 to 5")
    return int(text)


def _minutes_of(piece: str, text: str) -> float | None:
    if not text:
        return None
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise BadCell(f"“{piece}”: the onset must be minutes from the start, 0 or more, such as chills:2@30")
    if float(text) > LATEST_ONSET / timedelta(minutes=1):
        raise BadCell(f"“{piece}”: an onset more than a year after the start is not possible; write minutes")
    return float(text)


def split(cell: str, separator: str) -> list[str]:
    """The parts between separators that stand outside brackets; a part with nothing in it is refused."""
    parts = re.split(rf"{re.escape(separator)}(?![^()]*\))", cell)
    if any(not part.strip() for part in parts):
        raise BadCell(f"“{cell}” has an empty part; write “{NONE}” for none, or leave the cell blank")
    return parts
