"""Premedicated infusions against those without, as honestly as records allow: crude, adjusted, within patients, first.

Premedication goes to patients who reacted before. The crude comparison therefore mostly shows who was premedicated; the
others lessen that, none removes it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from patients.models import Clinic
from reactions.rates.kept import figures
from reactions.rates.question import Question
from reactions.rates.statistics import (
    Contrast,
    Table,
    mantel_haenszel_odds_ratio,
    mantel_haenszel_risk_ratio,
    mcnemar,
    mcnemar_p,
    risk_difference,
    risk_ratio,
)
from reactions.rates.strata import Stratum
from reactions.rates.sums import COMPARED, COMPARED_AT_FIRST, COMPARED_BY, Figures, Sums
from reactions.vocabulary import PremedicationClass

UNTREATED = str(PremedicationClass.NONE)
SILENT = str(PremedicationClass.NOT_RECORDED)
# With fewer patients on one of the sides the counts are shown, and nothing is compared. This project's own.
LEAST_TO_COMPARE = 10
# Ratios nearer to 1 than this point nowhere. This project's own.
CLEARLY = 1.05


@dataclass(frozen=True)
class Side:
    """Infusions with an event, infusions, and the patients who had them."""

    events: int
    total: int
    patients: int


@dataclass(frozen=True)
class Pairs:
    """Patients who had infusions both with premedication and without, by where they reacted."""

    both: int
    with_only: int
    without_only: int
    neither: int
    contrast: Contrast
    p: float

    @property
    def patients(self) -> int:
        return self.both + self.with_only + self.without_only + self.neither


@dataclass(frozen=True)
class Comparison:
    """With premedication against without, four ways. Contrasts are None where there are too few patients.

    `why_not` says why nothing is compared; `is_opposite` that crude and adjusted point opposite ways.
    """

    given: Side
    none: Side
    why_not: str
    crude: Contrast | None = None
    difference: Contrast | None = None
    adjusted: Contrast | None = None
    adjusted_odds: Contrast | None = None
    strata_used: int = 0
    pairs: Pairs | None = None
    within: Contrast | None = None
    first_given: Side | None = None
    first_none: Side | None = None
    first: Contrast | None = None

    @property
    def is_opposite(self) -> bool:
        """Crude and adjusted ratio lie on different sides of 1, and neither right beside it."""
        crude = self.crude.estimate if self.crude else None
        adjusted = self.adjusted.estimate if self.adjusted else None
        if crude is None or adjusted is None:
            return False
        lower, upper = sorted((crude, adjusted))
        return lower < 1 / CLEARLY and upper > CLEARLY


def compare(question: Question, clinics: Iterable[Clinic], *, is_hidden: bool = False) -> Comparison:
    """The question's infusions with any premedication against those with none; what was not recorded is left out.

    Adjusted is Mantel-Haenszel over {reacted before or not} × {first or later infusion}. `is_hidden` where the
    small-cell rule hides one of the sides.
    """
    if is_hidden:
        nothing = Side(0, 0, 0)
        return Comparison(nothing, nothing, "The groups are too small to be shown at this clinic.")
    found = figures(question, [COMPARED_BY], clinics, ["infusion"])
    of_patients = _of_patients(found, COMPARED)
    given, none = _sides(of_patients)
    if why_not := _why_not(given, none):
        return Comparison(given, none, why_not)
    tables = _tables({key[2]: sums for key, sums in found.items() if key[:2] == ("infusion", COMPARED_BY)})
    sides = (given.events, given.total, none.events, none.total)
    first_given, first_none = _sides(_of_patients(found, COMPARED_AT_FIRST))
    first = (first_given.events, first_given.total, first_none.events, first_none.total)
    both = [(table, number) for table, number in of_patients if table[1] and table[3]]
    return Comparison(
        given,
        none,
        "",
        crude=risk_ratio(*sides),
        difference=risk_difference(*sides),
        adjusted=mantel_haenszel_risk_ratio(tables),
        adjusted_odds=mantel_haenszel_odds_ratio(tables),
        strata_used=sum(1 for _, n1, _, n0 in tables if n1 and n0),
        pairs=_pairs(both),
        within=_within(both),
        first_given=first_given,
        first_none=first_none,
        first=None if _why_not(first_given, first_none) else risk_ratio(*first),
    )


def _within(both: Collection[tuple[Table, int]]) -> Contrast | None:
    """A table for each patient: one with many infusions of a kind counts fairly. None for too few patients."""
    tables = [table for table, number in both for _ in range(number)]
    return mantel_haenszel_risk_ratio(tables) if len(tables) >= LEAST_TO_COMPARE else None


def _why_not(given: Side, none: Side) -> str:
    fewest = min(given.patients, none.patients)
    if fewest == 0:
        return "One of the two groups has no infusions."
    if fewest < LEAST_TO_COMPARE:
        return f"One of the two groups has fewer than {LEAST_TO_COMPARE} patients: too few to compare."
    return ""


def _of_patients(found: Figures, unit: str) -> list[tuple[Table, int]]:
    """The tables of the patients and how many patients have each, in their order: the digits of a sum hang on it."""
    return sorted((cast(Table, key[2]), sums.patients) for key, sums in found.items() if key[0] == unit)


def _sides(of_patients: Iterable[tuple[Table, int]]) -> tuple[Side, Side]:
    """With premedication, and without."""
    given, none = [0, 0, 0], [0, 0, 0]
    for (a, n1, c, n0), number in of_patients:
        for side, events, total in ((given, a, n1), (none, c, n0)):
            side[0] += events * number
            side[1] += total * number
            side[2] += number if total else 0
    return Side(*given), Side(*none)


def _tables(strata: Mapping[Stratum, Sums]) -> list[Table]:
    """One for each of {reacted before or not} × {first or later infusion}."""
    tables: dict[Stratum, list[int]] = {}
    for (group, *rest), sums in sorted(strata.items()):
        if group != SILENT:
            table = tables.setdefault(tuple(rest), [0, 0, 0, 0])
            place = 2 if group == UNTREATED else 0
            table[place] += sums.events
            table[place + 1] += sums.total
    return [(a, n1, c, n0) for a, n1, c, n0 in tables.values()]


def _pairs(both: Iterable[tuple[Table, int]]) -> Pairs:
    """Of the patients with infusions of both kinds."""
    reacted: Counter[tuple[bool, bool]] = Counter()
    for (a, _, c, _), number in both:
        reacted[a > 0, c > 0] += number
    with_only, without_only = reacted[True, False], reacted[False, True]
    return Pairs(
        both=reacted[True, True],
        with_only=with_only,
        without_only=without_only,
        neither=reacted[False, False],
        contrast=mcnemar(with_only, without_only),
        p=mcnemar_p(with_only, without_only),
    )
