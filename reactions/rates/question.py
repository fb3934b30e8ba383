"""What can be asked about reaction rates, and what cannot. No database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from patients.clock import EARLIEST_YEAR, LATEST_YEAR
from patients.iga import Status
from reactions.clinical.ctcae import TERMS, find_term, suggest
from reactions.vocabulary import DRUGS, LABELS, PremedicationClass, Setting

UNITS = ("infusion", "course", "patient")
INTERVALS = ("wilson", "exact", "poisson", "cluster")
WINDOWS: dict[str, str] = {
    "label72": "from the start until 72 h after the end",
    "during": "while it ran",
    "immediate": "within 6 h of the start",
    "delayed": "later than 6 h and up to 7 days after the start",
    "any": "at any time",
}
# In these windows somebody of the clinic was there to see; later ones only the patient can tell of.
WATCHED = frozenset({"during", "immediate"})
SOURCES: dict[str, str] = {
    "both": "recorded by clinicians, or told by patients and confirmed",
    "clinician": "recorded by clinicians",
    "patient": "told by patients first and confirmed by a clinician",
}
# Bands of the highest recorded rate, with their upper ends in mL/kg/h. Most reactions of one series came above 1.5
# (PMID 30607191); 2.4 is the label's maximum of Octagam 10 % in dermatomyositis, 4.8 that of most 10 % solutions.
RATE_BANDS: dict[str, float | None] = {"to_1.5": 1.5, "to_2.4": 2.4, "to_4.8": 4.8, "above_4.8": None}
NOT_RECORDED = "not_recorded"
# Of CTCAE: death.
WORST_GRADE = 5

# Keys by which infusions are divided; None where the values are whatever the records hold.
KEYS: dict[str, tuple[object, ...] | None] = {
    "iga": tuple(str(status) for status in Status),
    "premedication": tuple(str(group) for group in PremedicationClass),
    "first_infusion": (True, False),
    "prior_reaction": (True, False),
    "max_rate": (*RATE_BANDS, NOT_RECORDED),
    "product": None,
    "setting": None,
    "diagnosis": None,
    "sex": None,
    "clinic": None,
}
DRUG_PREFIX = "drug:"
DRUG_VALUES = ("yes", "no", NOT_RECORDED)
KEY_LABELS: dict[str, str] = {
    "iga": "IgA status",
    "premedication": "Premedication",
    "first_infusion": "First or later infusion",
    "prior_reaction": "Reaction before",
    "max_rate": "Highest rate",
    "product": "Product",
    "setting": "Setting",
    "diagnosis": "Diagnosis",
    "sex": "Sex",
    "clinic": "Site",
}


# What was given, told without a column's head.
PREMEDICATION_IN_WORDS: dict[PremedicationClass, str] = {
    PremedicationClass.NONE: "no premedication",
    PremedicationClass.ANTIPYRETIC_ANTIHISTAMINE: "antipyretic and/or antihistamine",
    PremedicationClass.CORTICOSTEROID: "with corticosteroid",
    PremedicationClass.OTHER: "other premedication only",
    PremedicationClass.NOT_RECORDED: "premedication not recorded",
}


class UnanswerableQuestion(ValueError):
    """The question cannot be answered; the message says why and what to ask instead."""


@dataclass(frozen=True)
class Question:
    """One question. Dates are days on the clinic's clocks, both included; empty strings and None mean no limit."""

    by: tuple[str, ...] = ()
    unit: str = "infusion"
    interval: str = "wilson"
    window: str = "label72"
    source: str = "both"
    reaction: str = ""
    min_grade: int | None = None
    serious: bool = False
    first_day: date | None = None
    last_day: date | None = None
    product: str = ""

    def __post_init__(self) -> None:
        for key in self.by:
            values_of(key)
        if len(set(self.by)) < len(self.by):
            raise UnanswerableQuestion("The same key is named twice.")
        _one_of("unit", self.unit, UNITS)
        _one_of("interval", self.interval, INTERVALS)
        _one_of("window", self.window, tuple(WINDOWS))
        _one_of("source", self.source, tuple(SOURCES))
        for day in (self.first_day, self.last_day):
            if day and not EARLIEST_YEAR <= day.year <= LATEST_YEAR:
                raise UnanswerableQuestion(f"The day {day} is outside the years that can be recorded. Check the year.")
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise UnanswerableQuestion(
                f"The first day, {self.first_day}, lies after the last, {self.last_day}. Exchange them."
            )
        if self.reaction:
            term_of(self.reaction)
        if self.min_grade is not None and not 1 <= self.min_grade <= WORST_GRADE:
            raise UnanswerableQuestion("Grades go from 1 to 5.")
        if self.interval == "cluster" and self.unit == "patient":
            raise UnanswerableQuestion(
                "Patients are not repeated within patients: ask for another interval with the unit patient."
            )

    @property
    def leaves_unclear(self) -> bool:
        """Whether a reaction may match without anybody having said so: its grade or its seriousness is asked for."""
        return self.min_grade is not None or self.serious

    @property
    def event(self) -> str:
        """What makes a unit an event, without its window: “reaction with chills of grade 2 or worse”."""
        serious = "serious (21 CFR 600.80) " if self.serious else ""
        term = f" with {TERMS[self.term].label.lower()}" if self.term else ""
        worse = "" if self.min_grade == WORST_GRADE else " or worse"
        grade = f" of grade {self.min_grade}{worse}" if self.min_grade and self.min_grade > 1 else ""
        return f"{serious}reaction{term}{grade}"

    @property
    def term(self) -> str:
        """The code of the reaction that is asked for; empty for any. Raises UnanswerableQuestion for no known term."""
        return term_of(self.reaction) if self.reaction else ""


def term_of(words: str) -> str:
    """The code of a reaction's term. Raises UnanswerableQuestion, with suggestions, when there is none."""
    code = words if words in TERMS else find_term(words)
    if code is None:
        near = suggest(words)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise UnanswerableQuestion(f"“{words}” is not a CTCAE term known here.{hint}")
    return code


def values_of(key: str) -> tuple[object, ...] | None:
    """All values of a key in their order, or None where they are whatever the records hold."""
    if key.startswith(DRUG_PREFIX):
        if key.removeprefix(DRUG_PREFIX) not in DRUGS:
            raise UnanswerableQuestion(f"“{key}” names no known drug. Known: {', '.join(DRUGS)}.")
        return DRUG_VALUES
    if key not in KEYS:
        raise UnanswerableQuestion(f"Rates cannot be divided by “{key}”. Choose {', '.join(KEYS)} or drug:NAME.")
    return KEYS[key]


def label_of(key: str, value: object) -> str:
    """A stratum's value as staff read it."""
    if key == "premedication":
        return LABELS[PremedicationClass][str(value)]
    if key == "first_infusion":
        return "First" if value else "Later"
    if key == "prior_reaction":
        return "Had reacted before" if value else "Had not"
    if key == "max_rate":
        return _band(str(value))
    if key == "setting":
        return LABELS[Setting].get(str(value), str(value))
    if key in {"iga", "sex"} or key.startswith(DRUG_PREFIX):
        return str(value).replace("_", " ").capitalize()
    return str(value) or "Not recorded"


def key_label(key: str) -> str:
    """What a key divides by, as staff read it."""
    return KEY_LABELS.get(key) or DRUGS[key.removeprefix(DRUG_PREFIX)][0]


def in_words(by: Sequence[str], stratum: Sequence[object]) -> str:
    """A stratum as it is understood away from its table: “IgA not tested, no premedication”; “All” without keys."""
    words = ", ".join(_named(key, value) for key, value in zip(by, stratum, strict=True)) or "all"
    return words[0].upper() + words[1:]


def _named(key: str, value: object) -> str:
    words = label_of(key, value)
    if key == "iga":
        return f"IgA {words.lower()}"
    if key == "premedication":
        return PREMEDICATION_IN_WORDS[PremedicationClass(str(value))]
    if key in {"product", "diagnosis", "clinic"} and value:
        return words
    return f"{key_label(key)}: {words.lower()}"


def _band(code: str) -> str:
    if code == NOT_RECORDED:
        return "Rate or weight not recorded"
    ends = list(RATE_BANDS.values())
    place = list(RATE_BANDS).index(code)
    if place == 0:
        return f"Up to {ends[0]} mL/kg/h"
    return f"Above {ends[place - 1]}" + (f" to {ends[place]}" if ends[place] else "") + " mL/kg/h"


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UnanswerableQuestion(f"“{value}” is no {what}. Choose {', '.join(allowed)}.")
