"""What can be asked about reaction rates, and what cannot. No database."""

from dataclasses import dataclass
from datetime import date

from patients.clock import EARLIEST_YEAR, LATEST_YEAR
from patients.iga import Status
from reactions.clinical.ctcae import TERMS, find_term, suggest
from reactions.vocabulary import DRUGS, LABELS, PremedicationClass

UNITS = ("infusion", "course", "patient")
INTERVALS = ("wilson", "exact", "poisson", "cluster")
WINDOWS: dict[str, str] = {
    "label72": "from the start until 72 h after the end",
    "immediate": "within 6 h of the start",
    "delayed": "later than 6 h and up to 7 days after the start",
    "any": "at any time",
}

# Keys by which infusions are divided; None where the values are whatever the records hold.
KEYS: dict[str, tuple[object, ...] | None] = {
    "iga": tuple(str(status) for status in Status),
    "premedication": tuple(str(group) for group in PremedicationClass),
    "first_infusion": (True, False),
    "product": None,
    "setting": None,
    "diagnosis": None,
    "sex": None,
    "clinic": None,
}
DRUG_PREFIX = "drug:"
DRUG_VALUES = ("yes", "no", "not_recorded")


class UnanswerableQuestion(ValueError):
    """The question cannot be answered; the message says why and what to ask instead."""


@dataclass(frozen=True)
class Question:
    """One question. Dates are days on the clinic's clocks, both included; empty strings and None mean no limit."""

    by: tuple[str, ...] = ()
    unit: str = "infusion"
    interval: str = "wilson"
    window: str = "label72"
    reaction: str = ""
    min_grade: int | None = None
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
        for day in (self.first_day, self.last_day):
            if day and not EARLIEST_YEAR <= day.year <= LATEST_YEAR:
                raise UnanswerableQuestion(f"The day {day} is outside the years that can be recorded. Check the year.")
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise UnanswerableQuestion(
                f"The first day, {self.first_day}, lies after the last, {self.last_day}. Exchange them."
            )
        if self.reaction:
            term_of(self.reaction)
        if self.min_grade is not None and not 1 <= self.min_grade <= 5:
            raise UnanswerableQuestion("Grades go from 1 to 5.")
        if self.interval == "cluster" and self.unit == "patient":
            raise UnanswerableQuestion(
                "Patients are not repeated within patients: ask for another interval with the unit patient."
            )

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
    return str(value).replace("_", " ").capitalize() if key == "iga" or key.startswith(DRUG_PREFIX) else str(value)


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UnanswerableQuestion(f"“{value}” is no {what}. Choose {', '.join(allowed)}.")
