"""What the cells of an infusion log mean, one function a kind of cell. No database.

Each raises BadCell, worded for the person who wrote the file. docs/infusion-log.md describes the format.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import ZoneInfo

from patients import clock
from patients.iga import Reading, UnreadableIga, parse
from patients.words import AntiIga, Sex
from reactions.clinical.ctcae import OTHER, UndefinedGrade, check_grade, find_term, suggest, version_for
from reactions.clinical.infusion_checks import why_impossible_dose, why_impossible_lot, why_impossible_weight
from reactions.vocabulary import DRUG_SYNONYMS, DRUGS, Outcome, PremedicationRecord, ReactionRecord, Route, Setting

NONE = "none"
PENDING = "pending"
LONGEST_LOT = 20
# Clocks of two machines may differ a little.
FUTURE_SLACK = timedelta(minutes=10)
# “acetaminophen 650”: a lone number above this is the dose, not minutes.
MOST_LONE_MINUTES = 240
MOST_MINUTES_BEFORE = 1440


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


@dataclass(frozen=True, slots=True)
class SymptomCell:
    term: str
    other_text: str
    grade: int | None
    ctcae_version: str
    minutes: float | None


Premedications = tuple[PremedicationRecord, tuple[DrugCell, ...]]
Reactions = tuple[ReactionRecord, tuple[tuple[SymptomCell, ...], ...]]
NO_PREMEDICATIONS: Premedications = (PremedicationRecord.NOT_RECORDED, ())
NO_REACTIONS: Reactions = (ReactionRecord.NOT_RECORDED, ())
ROUTES = {str(word).lower(): str(word) for word in Route if word}


def text_of(cell: str, *, longest: int) -> str:
    """Words, without the apostrophe that keeps a spreadsheet from taking them for a formula."""
    words = cell[1:] if re.match(r"'[=+\-@]", cell) else cell
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


def moment_of(cell: str, zone: ZoneInfo, now: datetime) -> datetime:
    """A time with its offset, or on the clinic's clocks; not in the future."""
    try:
        moment = clock.read(cell, zone)
    except ValueError as error:
        raise BadCell(str(error)) from None
    if moment > now + FUTURE_SLACK:
        raise BadCell(f"“{cell}” lies in the future")
    return moment


@lru_cache(maxsize=4096)
def number_of(cell: str) -> Decimal | None:
    if not cell:
        return None
    try:
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
    return _rounded(dose, "0.01")


@lru_cache(maxsize=4096)
def weight_of(cell: str) -> Decimal | None:
    """Kilograms."""
    weight = number_of(cell)
    if weight is None:
        return None
    if why := why_impossible_weight(weight):
        raise BadCell(why)
    return _rounded(weight, "0.1")


def _rounded(number: Decimal, step: str) -> Decimal:
    rounded = number.quantize(Decimal(step))
    if rounded == 0:
        raise BadCell(f"“{number}” is too small to be recorded")
    return rounded


@lru_cache(maxsize=256)
def count_of(cell: str) -> int | None:
    """A whole number from 1 to 5, for days of a course."""
    if not cell:
        return None
    if not cell.isdecimal() or not 1 <= int(cell[:4]) <= 5:
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
        return parse(cell)
    except UnreadableIga as error:
        raise BadCell(str(error)) from None


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
    return LotCell(lot, day_of(expiry), amount)


@lru_cache(maxsize=4096)
def premedication_of(cell: str) -> Premedications:
    """What was given before the start; “none” is a statement, a blank cell is silence."""
    if not cell:
        return NO_PREMEDICATIONS
    if cell.lower() == NONE:
        return PremedicationRecord.NONE, ()
    drugs = tuple(_drug_of(part.strip()) for part in _split(cell, ";"))
    if len({(drug.drug, drug.other_drug, drug.minutes_before) for drug in drugs}) < len(drugs):
        raise BadCell("the same drug stands twice with the same time")
    return PremedicationRecord.GIVEN, drugs


def _drug_of(part: str) -> DrugCell:
    named = re.match(r"other\s*\((?P<name>[^()]+)\)\s*(?P<rest>.*)$", part, re.IGNORECASE)
    if named:
        drug, name, rest = "other", named["name"].strip(), named["rest"].split()
    else:
        drug, name, rest = _known_drug(part)
    minutes, rest = _minutes_before(part, rest)
    route = ""
    if rest and rest[-1].lower() in ROUTES:
        route = ROUTES[rest.pop().lower()]
    dose = " ".join(rest)
    if len(dose) > 40 or len(name) > 100:
        raise BadCell(f"“{part}” is too long; write drug, dose, route and minutes before the start")
    return DrugCell(drug, name, dose, route, minutes)


def _known_drug(part: str) -> tuple[str, str, list[str]]:
    """(code, own name, the words that follow), by the longest known name at the beginning."""
    words = part.split()
    for length in range(len(words), 0, -1):
        name = " ".join(words[:length]).lower()
        code = DRUG_SYNONYMS.get(name, name)
        if code in DRUGS and code != "other":
            return code, "", words[length:]
    end = next(
        (n for n, word in enumerate(words) if word[0].isdigit() or word[0] == "-" or word.lower() in ROUTES), len(words)
    )
    name = " ".join(words[:end])
    close = get_close_matches(name.lower(), [*DRUGS, *DRUG_SYNONYMS], n=1, cutoff=0.8)
    if close:
        raise BadCell(f"“{name}” is not a known drug; did you mean {close[0]}?")
    if not name:
        raise BadCell(f"“{part}” names no drug; write drug, dose, route and minutes before the start")
    return "other", name, words[end:]


def _minutes_before(part: str, words: list[str]) -> tuple[int | None, list[str]]:
    if not words or not re.fullmatch(r"-?\d+", words[-1]):
        return None, words
    minutes = int(words[-1][:9])
    if minutes < 0:
        raise BadCell(f"“{part}” was given after the start: that is treatment, not premedication")
    if len(words) == 1 and minutes > MOST_LONE_MINUTES:
        return None, words
    if minutes > MOST_MINUTES_BEFORE:
        raise BadCell(f"“{part}”: more than a day before the start is background therapy, not premedication")
    return minutes, words[:-1]


@lru_cache(maxsize=8192)
def reactions_of(cell: str, version: str) -> Reactions:
    """The reactions of a row, each a group of symptoms; `version` is the clinic's CTCAE version."""
    if not cell:
        return NO_REACTIONS
    if cell.lower() == NONE:
        return ReactionRecord.OBSERVED, ()
    return ReactionRecord.OBSERVED, tuple(_episode_of(part, version) for part in _split(cell, "|"))


def _episode_of(part: str, version: str) -> tuple[SymptomCell, ...]:
    symptoms = tuple(_symptom_of(piece.strip(), version) for piece in _split(part, ";"))
    if len({(symptom.term, symptom.other_text.lower()) for symptom in symptoms}) < len(symptoms):
        raise BadCell(f"“{part}” names a symptom twice; a second reaction goes behind a |")
    return symptoms


_SYMPTOM = re.compile(
    r"(?:(?P<other>other)\s*\((?P<words>[^()]+)\)|(?P<term>[^:@()]+))"
    r"\s*(?::\s*(?P<grade>[^@]*))?\s*(?:@\s*(?P<minutes>.*))?$",
    re.IGNORECASE,
)


def _symptom_of(piece: str, version: str) -> SymptomCell:
    found = _SYMPTOM.match(piece)
    if found is None:
        raise BadCell(f"“{piece}” is not a reaction; write term:grade@minutes, such as chills:2@30, or none")
    term = OTHER if found["other"] else find_term(found["term"])
    if term is None or (term == OTHER and not found["other"]):
        near = suggest(found["term"])
        hint = f"did you mean {' or '.join(near)}?" if near else "write other (your words) for what is not in CTCAE"
        raise BadCell(f"“{found['term'].strip()}” is not a known CTCAE term; {hint}")
    own_version = version_for(term, version)
    grade = _grade_of(piece, (found["grade"] or "").strip())
    if grade is not None:
        try:
            check_grade(term, grade, own_version)
        except UndefinedGrade as error:
            raise BadCell(str(error)) from None
    words = (found["words"] or "").strip()
    return SymptomCell(term, words[:200], grade, own_version, _minutes_of(piece, (found["minutes"] or "").strip()))


def _grade_of(piece: str, text: str) -> int | None:
    if not text:
        return None
    if text not in {"1", "2", "3", "4", "5"}:
        raise BadCell(f"“{piece}”: the grade must be a number from 1 to 5")
    return int(text)


def _minutes_of(piece: str, text: str) -> float | None:
    if not text:
        return None
    if not re.fullmatch(r"\d{1,7}(\.\d+)?", text):
        raise BadCell(f"“{piece}”: the onset must be minutes from the start, 0 or more, such as chills:2@30")
    return float(text)


def _split(cell: str, separator: str) -> list[str]:
    """The parts between separators that stand outside brackets; a part with nothing in it is refused."""
    parts = re.split(rf"{re.escape(separator)}(?![^()]*\))", cell)
    if any(not part.strip() for part in parts):
        raise BadCell(f"“{cell}” has an empty part; write “{NONE}” for none, or leave the cell blank")
    return parts
