"""What the cell `premedication` of an infusion log means: drug, dose, route and minutes before the start. No database.

Signatures
    premedication_of(cell) -> Premedications     raises BadCell, worded for the person who wrote the file
    is_plain_dose(dose) -> bool                  it can stand in a log without brackets

Any part but the drug may be missing, so each must be known by its unit or by its place; nothing is guessed.
"""

import re
from difflib import get_close_matches
from functools import lru_cache

from reactions.clinical.infusion_checks import why_impossible_drug_dose
from reactions.exchange.log_cells import NONE, BadCell, DrugCell, split
from reactions.vocabulary import DRUG_SYNONYMS, DRUGS, PremedicationRecord, Route

# What the columns of the database hold.
LONGEST_DOSE = 40
LONGEST_DRUG = 100
MOST_MINUTES_BEFORE = 1440

Premedications = tuple[PremedicationRecord, tuple[DrugCell, ...]]
NO_PREMEDICATIONS: Premedications = (PremedicationRecord.NOT_RECORDED, ())
ROUTES = {str(word).lower(): str(word) for word in Route if word}
KNOWN_DRUGS = {code: label for code, (label, _) in DRUGS.items() if code != "other"}
DRUG_NAMES = {code: code for code in KNOWN_DRUGS} | {label.lower(): code for code, label in KNOWN_DRUGS.items()}
DRUG_NAMES |= DRUG_SYNONYMS
# What people write into a cell in which they have no drug to name.
NO_DRUGS = {NONE, "no", "nil", "nothing", "not given", "not recorded", "n/a", "na", "unknown", "yes", "given", "other"}

DRUG_GRAMMAR = "write drug, dose with its unit, route and minutes before the start, such as acetaminophen 650 mg PO 30"
_MINUTE_WORDS = {"min", "mins", "minute", "minutes"}
_TIME_WORDS = _MINUTE_WORDS | {"h", "hr", "hrs", "hour", "hours", "before", "prior", "pre"}
_JOINING_WORDS = {"x", "to", "or", "and"}
_BARE_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_MINUTES_AT_THE_END = re.compile(r"(?P<before>.*?)(?:^|\s)(?P<minutes>-?\d+)\s*(?P<unit>[a-z]*)", re.IGNORECASE)
_DOSE_IN_BRACKETS = re.compile(r"\(\s*(?P<dose>\d[^()]*?)\s*\)")


@lru_cache(maxsize=4096)
def premedication_of(cell: str) -> Premedications:
    """What was given before the start; “none” is a statement, a blank cell is silence."""
    if not cell:
        return NO_PREMEDICATIONS
    if cell.lower() == NONE:
        return PremedicationRecord.NONE, ()
    drugs = tuple(_drug_of(part.strip()) for part in split(cell, ";"))
    if len({(drug.drug, drug.other_drug, drug.minutes_before) for drug in drugs}) < len(drugs):
        raise BadCell("the same drug stands twice with the same time")
    return PremedicationRecord.GIVEN, drugs


def _drug_of(part: str) -> DrugCell:
    named = re.match(r"other\s*\((?P<name>[^()]+)\)\s*(?P<rest>.*)$", part, re.IGNORECASE)
    if named and named["name"].strip():
        drug, name, rest = "other", named["name"].strip(), named["rest"].split()
    else:
        drug, name, rest = _known_drug(part)
    minutes, rest = _minutes_before(part, rest)
    route = ""
    if rest and rest[-1].lower() in ROUTES:
        route = ROUTES[rest.pop().lower()]
    dose = _dose_of(part, " ".join(rest), has_all_parts=bool(route) and minutes is not None)
    if len(dose) > LONGEST_DOSE or len(name) > LONGEST_DRUG:
        raise BadCell(f"“{part}” is too long; {DRUG_GRAMMAR}")
    return DrugCell(drug, name, dose, route, minutes, is_taken_as_other=drug == "other" and not named)


def _dose_of(part: str, words: str, *, has_all_parts: bool) -> str:
    """The dose among the words of a drug. Where its unit is missing, only all four parts show what the number is."""
    bracketed = _DOSE_IN_BRACKETS.fullmatch(words)
    if bracketed:
        return bracketed["dose"]
    if not words or is_plain_dose(words) or (has_all_parts and _BARE_NUMBER.fullmatch(words)):
        return words
    raise _unclear(part, words) if _BARE_NUMBER.fullmatch(words) else BadCell(f"“{part}” is unclear; {DRUG_GRAMMAR}")


def is_plain_dose(dose: str) -> bool:
    """A number with its unit, in words that nobody takes for a route or a time: it needs no brackets in a log."""
    words = dose.lower().split()
    return (
        bool(words)
        and not why_impossible_drug_dose(dose)
        and words[-1] not in ROUTES
        and words[-1] not in _JOINING_WORDS
        and not any(re.sub(r"^[\d.,]+", "", word) in _TIME_WORDS for word in words)
    )


def _unclear(part: str, number: str) -> BadCell:
    return BadCell(
        f"“{part}”: is {number} the dose, or the minutes before the start?"
        f" Write a dose with its unit, such as {number} mg, and minutes as {number} min"
    )


def _known_drug(part: str) -> tuple[str, str, list[str]]:
    """(code, own name, the words that follow), by the longest known name at the beginning."""
    words = part.split()
    for length in range(len(words), 0, -1):
        code = DRUG_NAMES.get(" ".join(words[:length]).lower())
        if code:
            return code, "", words[length:]
    end = next(
        (n for n, word in enumerate(words) if word[0].isdigit() or word[0] in "-(" or word.lower() in ROUTES),
        len(words),
    )
    name = " ".join(words[:end])
    if name.lower() in NO_DRUGS:
        raise BadCell(f"“{part}” names no drug; “{NONE}” alone is none, a blank cell is not recorded")
    if not name:
        raise BadCell(f"“{part}” names no drug; {DRUG_GRAMMAR}")
    close = get_close_matches(name.lower(), DRUG_NAMES, n=1, cutoff=0.8)
    if close:
        raise BadCell(f"“{name}” is not a known drug; did you mean {close[0]}?")
    return "other", name, words[end:]


def _minutes_before(part: str, words: list[str]) -> tuple[int | None, list[str]]:
    """Minutes and the words in front of them. A bare number is minutes only behind a route or a dose with its unit."""
    found = _MINUTES_AT_THE_END.fullmatch(" ".join(words))
    if found is None or found["unit"].lower() not in {"", *_MINUTE_WORDS}:
        return None, words
    minutes, before = int(found["minutes"][:9]), found["before"].split()
    if minutes < 0:
        raise BadCell(f"“{part}” was given after the start: that is treatment, not premedication")
    if not found["unit"] and not _shows_what_follows(before):
        is_number = not before or _BARE_NUMBER.fullmatch(" ".join(before))
        raise _unclear(part, words[0]) if is_number else BadCell(f"“{part}” is unclear; {DRUG_GRAMMAR}")
    if minutes > MOST_MINUTES_BEFORE:
        raise BadCell(f"“{part}”: more than a day before the start is background therapy, not premedication")
    return minutes, before


def _shows_what_follows(words: list[str]) -> bool:
    """A number behind these words can only be minutes."""
    dose = " ".join(words)
    is_dose = is_plain_dose(dose) or bool(_DOSE_IN_BRACKETS.fullmatch(dose))
    return is_dose or (bool(words) and words[-1].lower() in ROUTES)
