"""The comparison of premedicated infusions with those without, in words: the same on the page and on paper."""

from dataclasses import dataclass
from math import isfinite

from reactions.rates.premedication import TOO_SMALL, Comparison, Pairs, Side
from reactions.rates.statistics import Contrast
from reactions.rates.words import NO_BREAK

PREMEDICATED = (
    "Patients are mostly premedicated because they reacted before. This table cannot show what premedication does. Its"
    " intervals suppose that infusions are independent; they repeat within patients, so they are somewhat too narrow."
)
TOO_FEW, TOO_FEW_EVENTS, NOT_SHOWN = "too few patients", "too few reactions", "not shown"
# The reaction that led to premedication lies in the time without it, by the very rule by which it is given.
WITHIN_FLATTERS = (
    "Premedication often begins after a reaction, which then counts against the time without: this row flatters it. Who"
    " had more infusions of a kind also had more chances to react in it."
)
OPPOSITE = (
    "The crude and the adjusted comparison point opposite ways. The crude one mixes patients who had reacted before"
    " with those who had not; rather trust the adjusted one, which stands first."
)


@dataclass(frozen=True)
class ComparisonLine:
    """One way to compare: its name, how it is done, the risk ratio, and the counts it rests on."""

    name: str
    how: str
    ratio: str
    rests_on: str


@dataclass(frozen=True)
class ComparisonInWords:
    """What page and report say of premedication. Empty where it does not apply; no lines where nothing is compared."""

    premedicated: str
    opposite: str
    groups: str
    in_short: str
    why_not: str
    lines: list[ComparisonLine]


def in_words(comparison: Comparison) -> ComparisonInWords:
    """The comparison as page and report write it."""
    return ComparisonInWords(
        premedicated=PREMEDICATED,
        opposite=OPPOSITE if comparison.is_opposite else "",
        groups=_groups(comparison),
        in_short=_in_short(comparison.adjusted),
        why_not=f"{comparison.why_not} Nothing is compared." if comparison.why_not else "",
        lines=_lines(comparison),
    )


def _groups(comparison: Comparison) -> str:
    given, none = comparison.given, comparison.none
    if not given.total and not none.total:
        return ""
    return (
        f"With any premedication {_side(given)} infusions of {_patients(given.patients)}; without {_side(none)} of"
        f" {_patients(none.patients)}. Infusions without a record of premedication are in neither."
    )


def _in_short(adjusted: Contrast | None) -> str:
    """What the adjusted comparison leaves open, in one sentence; empty where it is not defined."""
    if adjusted is None or adjusted.estimate is None:
        return ""
    if adjusted.interval is None:
        return "There are too few reactions to tell whether there were fewer or more with premedication."
    low, high = adjusted.interval.low, adjusted.interval.high
    if low <= 1 <= high:
        return f"No clear difference: adjusted {ratio_words(adjusted)}. Both less and more reactions fit these records."
    fewer = "fewer" if high < 1 else "more"
    return (
        f"With premedication there were {fewer} reactions: adjusted {ratio_words(adjusted)}. Records cannot tell"
        " whether premedication is the reason."
    )


def _lines(comparison: Comparison) -> list[ComparisonLine]:
    """The adjusted first where it and the crude point opposite ways."""
    if comparison.why_not:
        return []
    crude = ComparisonLine(
        "Crude",
        "all infusions",
        ratio_words(comparison.crude),
        f"{_side(comparison.given)} against {_side(comparison.none)}; difference {_points(comparison.difference)}.",
    )
    adjusted = ComparisonLine(
        "Adjusted",
        "Mantel-Haenszel: first infusions, later ones after a reaction, later ones without",
        ratio_words(comparison.adjusted),
        f"Odds ratio {ratio_words(comparison.adjusted_odds)}; {comparison.strata_used} of 3 strata have both groups."
        " Whoever reacted before has no first infusion here.",
    )
    within = ComparisonLine(
        "Within patients",
        "who had infusions of both kinds; Mantel-Haenszel by patient",
        _ratio(comparison.within, comparison.pairs),
        _pairs(comparison.pairs) if comparison.pairs else TOO_SMALL,
    )
    counts = (
        f"{_side(comparison.first_given)} against {_side(comparison.first_none)}. First that is recorded here."
        if comparison.first_given and comparison.first_none
        else TOO_SMALL
    )
    first = ComparisonLine(
        "First infusions only",
        "",
        _ratio(comparison.first, comparison.first_given),
        counts,
    )
    return [*((adjusted, crude) if comparison.is_opposite else (crude, adjusted)), within, first]


def _ratio(contrast: Contrast | None, counts: object) -> str:
    """The ratio, or why there is none: its counts are withheld, or they are of too few patients."""
    return NOT_SHOWN if counts is None else TOO_FEW if contrast is None else ratio_words(contrast)


def _pairs(pairs: Pairs) -> str:
    return (
        f"{_patients(pairs.patients)}: {pairs.with_only} reacted only with premedication, {pairs.without_only} only"
        f" without, {pairs.both} in both, {pairs.neither} in neither. {_mcnemar(pairs)}{WITHIN_FLATTERS}"
    )


def _mcnemar(pairs: Pairs) -> str:
    """Empty where the pairs are too few to compare."""
    if pairs.contrast is None or pairs.p is None:
        return ""
    return f"Odds ratio of the pairs {ratio_words(pairs.contrast)}, McNemar exact {_chance(pairs.p)}. "


def _side(side: Side) -> str:
    return f"{side.events}/{side.total}"


def _patients(number: int) -> str:
    return "1 patient" if number == 1 else f"{number} patients"


def _chance(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _points(contrast: Contrast | None) -> str:
    """A difference of two rates in percentage points, with its interval."""
    if contrast is None or contrast.estimate is None or contrast.interval is None:
        return "not defined"
    estimate, low, high = (
        f"{round(100 * value, 1) or 0:+.1f}".replace("-", "−")
        for value in (contrast.estimate, contrast.interval.low, contrast.interval.high)
    )
    return f"{estimate} points ({low} to {high})"


def ratio_words(contrast: Contrast | None) -> str:
    """“0.62 (0.41 to 0.94)”, the interval in one piece; says so where there is no ratio.

    Without an interval, as where one side has no events, a ratio of 0 or more would be taken for an effect.
    """
    if contrast is None or contrast.estimate is None:
        return "not defined"
    if contrast.interval is None:
        return TOO_FEW_EVENTS
    bounds = f"({_number(contrast.interval.low)} to {_number(contrast.interval.high)})"
    return f"{_number(contrast.estimate)} {bounds.replace(' ', NO_BREAK)}"


def _number(value: float) -> str:
    return f"{value:.2f}" if isfinite(value) else "∞"
