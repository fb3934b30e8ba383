"""Premedicated infusions against those without, as honestly as records allow: crude, adjusted, within patients, first.

Premedication goes to patients who reacted before. The crude comparison therefore mostly shows who was premedicated; the
others lessen that, none removes it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from reactions.rates.columns import Columns
from reactions.rates.counts import Counts, Stratum, count_units, together
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
from reactions.vocabulary import PremedicationClass

UNTREATED = str(PremedicationClass.NONE)
SILENT = str(PremedicationClass.NOT_RECORDED)
# What is compared is divided by these keys.
COMPARED_BY = ("premedication", "prior_reaction", "first_infusion")
# With fewer patients on one of the sides the counts are shown, and nothing is compared. This project's own.
LEAST_TO_COMPARE = 10
# Ratios nearer to 1 than this point nowhere. This project's own.
CLEARLY = 1.05
TOO_SMALL = "The groups are too small to be shown at this clinic."


@dataclass(frozen=True)
class Side:
    """Infusions with an event, infusions, and the patients who had them."""

    events: int
    total: int
    patients: int


_NOBODY = Side(0, 0, 0)


@dataclass(frozen=True)
class Pairs:
    """Patients who had infusions both with premedication and without, by where they reacted."""

    both: int
    with_only: int
    without_only: int
    neither: int
    # None of fewer than LEAST_TO_COMPARE patients.
    contrast: Contrast | None
    p: float | None

    @property
    def patients(self) -> int:
        return self.both + self.with_only + self.without_only + self.neither


@dataclass(frozen=True)
class Comparison:
    """With premedication against without, four ways. Contrasts are None where there are too few patients.

    `why_not` says why nothing is compared; `is_opposite` that crude and adjusted point opposite ways. Pairs and first
    infusions that are withheld, as too small to be shown, are None.
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
        """Crude and adjusted ratio, both with an interval, lie on different sides of 1, neither right beside it."""
        told = [
            one.estimate for one in (self.crude, self.adjusted) if one and one.interval and one.estimate is not None
        ]
        if len(told) < 2:
            return False
        lower, upper = sorted(told)
        return lower < 1 / CLEARLY and upper > CLEARLY


def compare(
    blocks: Sequence[Columns],
    *,
    least: int = 0,
    hidden_classes: Collection[str] = (),
    drug: str = "",
    hidden_of_drug: Collection[str] = (),
) -> Comparison:
    """Infusions with any premedication against those with none; what was not recorded is left out.

    They are divided by COMPARED_BY, in blocks with patients of their own. Adjusted is Mantel-Haenszel over {reacted
    before or not} × {first or later infusion}. With `least`, nothing is told of fewer patients, nor what tells of fewer
    beside the table of premedication, which hides `hidden_classes`, and beside that of the key `drug`, if there is one,
    which hides `hidden_of_drug`.
    """
    strata = count_units(blocks, [COMPARED_BY], ["infusion"])["infusion"][0].strata
    given = together(counts for stratum, counts in strata.items() if stratum[0] not in {UNTREATED, SILENT})
    none = together(counts for stratum, counts in strata.items() if stratum[0] == UNTREATED)
    is_hidden = least and _is_hidden(strata, given, none, least, hidden_classes)
    if is_hidden or (least and drug and _tells_of_other_drugs(blocks, drug, least, hidden_of_drug)):
        return Comparison(_NOBODY, _NOBODY, TOO_SMALL)
    why_not = _why_not(given, none)
    if why_not:
        return Comparison(_side(given), _side(none), why_not)
    tables = _tables(strata)
    first_given = together(c for s, c in strata.items() if s[2] and s[0] not in {UNTREATED, SILENT})
    first_none = together(c for s, c in strata.items() if s[2] and s[0] == UNTREATED)
    sides = (*_counts(given), *_counts(none))
    tables_within = _by_patient(given, none)
    both = len(tables_within)
    pairs: Pairs | None = _pairs(tables_within)
    within = mantel_haenszel_risk_ratio(tables_within) if both >= LEAST_TO_COMPARE else None
    withholds_pairs = both < least or any(0 < side.patients - both < least for side in (given, none))
    if withholds_pairs:
        pairs = within = None
    withholds_first = min(first_given.patients, first_none.patients) < least or any(
        0 < patients < least for patients in _patients_first_and_later(strata)
    )
    firsts = None if withholds_first else (first_given, first_none)
    return Comparison(
        _side(given),
        _side(none),
        "",
        crude=risk_ratio(*sides),
        difference=risk_difference(*sides),
        adjusted=mantel_haenszel_risk_ratio(tables),
        adjusted_odds=mantel_haenszel_odds_ratio(tables),
        strata_used=sum(1 for _, n1, _, n0 in tables if n1 and n0),
        pairs=pairs,
        within=within,
        first_given=_side(first_given) if firsts else None,
        first_none=_side(first_none) if firsts else None,
        first=None if not firsts or _why_not(*firsts) else risk_ratio(*_counts(first_given), *_counts(first_none)),
    )


def _is_hidden(
    strata: dict[Stratum, Counts], given: Counts, none: Counts, least: int, hidden_classes: Collection[str]
) -> bool:
    """Whether the sides tell of few patients: by themselves, by what all less them leaves, or beside the classes.

    Where the table hides a class with patients that is none of those given, the sum of those given would undo it.
    """
    silent = together(counts for stratum, counts in strata.items() if stratum[0] == SILENT)
    if min(given.patients, none.patients) < least or 0 < silent.patients < least:
        return True
    return UNTREATED in hidden_classes or (SILENT in hidden_classes and bool(silent.patients))


def _tells_of_other_drugs(blocks: Sequence[Columns], drug: str, least: int, hidden: Collection[str]) -> bool:
    """Whether the table of the drug beside tells of few: those given less those given the drug, or who is hidden there.

    What is hidden there is some of those given, or all of those not recorded.
    """
    strata = count_units(blocks, [("premedication", drug)], ["infusion"])["infusion"][0].strata
    others = together(
        counts for (group, given), counts in strata.items() if group not in {UNTREATED, SILENT} and given == "no"
    )
    is_hidden_there = any(given in hidden and counts.patients for (_, given), counts in strata.items())
    return is_hidden_there or 0 < others.patients < least


def _patients_first_and_later(strata: dict[Stratum, Counts]) -> Iterable[int]:
    """How many patients have first, and later, infusions given, without and not recorded."""
    groups: dict[tuple[str, object], list[Counts]] = defaultdict(list)
    for (group, _, is_first), counts in strata.items():
        kind = str(group) if group in {UNTREATED, SILENT} else "given"
        groups[kind, is_first].append(counts)
    return [together(several).patients for several in groups.values()]


def _why_not(given: Counts, none: Counts) -> str:
    fewest = min(given.patients, none.patients)
    if fewest == 0:
        return "One of the two groups has no infusions."
    if fewest < LEAST_TO_COMPARE:
        return f"One of the two groups has fewer than {LEAST_TO_COMPARE} patients: too few to compare."
    return ""


def _tables(strata: dict[Stratum, Counts]) -> list[Table]:
    tables = []
    for rest in sorted({stratum[1:] for stratum in strata}, key=str):
        here = {stratum[0]: counts for stratum, counts in strata.items() if stratum[1:] == rest}
        given = together(counts for group, counts in here.items() if group not in {UNTREATED, SILENT})
        tables.append((*_counts(given), *_counts(here.get(UNTREATED, Counts()))))
    return tables


def _by_patient(given: Counts, none: Counts) -> list[Table]:
    """A table for each patient with infusions of both kinds: one with many infusions of a kind counts fairly."""
    _, with_it, without = np.intersect1d(given.patient, none.patient, assume_unique=True, return_indices=True)
    columns = (given.events_of[with_it], given.units_of[with_it], none.events_of[without], none.units_of[without])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _pairs(tables: Iterable[Table]) -> Pairs:
    reacted = [(given > 0, none > 0) for given, _, none, _ in tables]
    with_only, without_only = reacted.count((True, False)), reacted.count((False, True))
    is_enough = len(reacted) >= LEAST_TO_COMPARE
    return Pairs(
        both=reacted.count((True, True)),
        with_only=with_only,
        without_only=without_only,
        neither=reacted.count((False, False)),
        contrast=mcnemar(with_only, without_only) if is_enough else None,
        p=mcnemar_p(with_only, without_only) if is_enough else None,
    )


def _counts(counts: Counts) -> tuple[int, int]:
    return counts.events, counts.total


def _side(counts: Counts) -> Side:
    return Side(counts.events, counts.total, counts.patients)
