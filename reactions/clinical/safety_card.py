"""What a nurse must have seen before an infusion. Pure.

Signatures
    card(facts) -> tuple[CardItem, ...]                     the worst first; empty only when nothing is to be said
    risk_factors(facts) -> frozenset[RiskFactor]            those recorded, and age
    is_severe_systemic(reaction) -> bool                    the rule for an earlier reaction, below
    above_label(rate_ml_per_h, weight_kg, max_ml_per_kg_h, *, label=None) -> CardItem | None   of a rate that runs;
                                                            None when it is not above

The card says what labels and studies say and what is not known. It forbids nothing: a named person decides.

The labels' contraindication is either of two, and the second is a conjunction: (a) an earlier anaphylactic or severe
systemic reaction to human immune globulin; (b) IgA deficiency and anti-IgA antibodies and a history of
hypersensitivity, all three. IgA deficiency alone is a caution. Do not shorten (b) to "low IgA".

An earlier reaction to human immune globulin counts as severe systemic when it was anaphylaxis by term or criteria, or
when it went beyond the infusion site and had a grade of 4 or more, or was serious with a grade of 3. Labels do not
define it; this rule is the project's, meant to show too many rather than too few. What lacks a grade or a judgement of
seriousness, and could be one, is said as a caution of its own.

Sources
    contraindications and hypersensitivity: US labels of Octagam 10 %, Bivigam and Gammagard Liquid.
    more than 42 days since the last infusion: Premier database study (PMC8561696).
    lowest rate for a first infusion, a change of product or a long gap: Privigen and Gammagard Liquid labels.
    0.2 to 2.4 g/kg per course: see infusion_checks. Risk factors: see risk_factors. Rates: see label_rate.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from enum import StrEnum

from patients.iga import DEFICIENT_BELOW_MG_DL, Status
from patients.words import AntiIga
from reactions.clinical.infusion_checks import COURSE_G_PER_KG
from reactions.clinical.label_rate import LabelRate
from reactions.clinical.risk_factors import RISK_FACTORS, Basis, RiskFactor, with_age

SEVERE_FROM_GRADE = 4
SEVERE_WHEN_SERIOUS_FROM_GRADE = 3
LONG_GAP_ABOVE_DAYS = 42

CONTRAINDICATION_SOURCE = "US labels, contraindications (Octagam 10 %, Bivigam, Gammagard Liquid)"
HYPERSENSITIVITY_SOURCE = "US labels, warnings on hypersensitivity (Bivigam, Gammagard Liquid)"
LOWEST_RATE_SOURCE = "US labels, administration (Privigen, Gammagard Liquid)"
GAP_SOURCE = "Premier database study, PMC8561696"
DOSE_SOURCE = "Usual course, 0.2 to 2.4 g/kg: dermatomyositis label (Octagam 10 %), replacement dosing"
RATE_SOURCE = "The product's label, as in the clinic's product table"
RECORD_SOURCE = "The clinic's own records"
NO_RISK_LIMIT = "The table holds no limit for patients at risk: compared with the usual maximum."
NAMED_PERSON_DECIDES = "A named clinician decides, with a reason on record."


class Level(StrEnum):
    """From the worst."""

    CONTRAINDICATION = "contraindication"
    CAUTION = "caution"
    NOTE = "note"


@dataclass(frozen=True, kw_only=True)
class PastReaction:
    """One earlier reaction. None where nobody graded it, or nobody judged its seriousness."""

    worst_grade: int | None
    was_serious: bool | None
    is_anaphylaxis: bool = False  # by term, or because it met published criteria
    is_infusion_site_only: bool = False
    to_human_immune_globulin: bool = True


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """What is known before the infusion. Kilograms, grams for the whole course, mL/kg/h; None where not recorded.

    `label_max_ml_per_kg_h` is what is compared with; `label` adds from which row of the table it comes.

    Raises ValueError for a weight that is not above 0.
    """

    iga_status: Status
    anti_iga: AntiIga
    history_of_hypersensitivity: bool | None
    prior_severe_ig_reaction: bool  # recorded elsewhere: an earlier clinic, the patient's own account
    past_reactions: tuple[PastReaction, ...]
    days_since_last: int | None  # None: there was no infusion before
    last_product: str | None
    product: str | None
    age_years: int | None
    risk_factors: frozenset[RiskFactor]
    grams: Decimal | None
    weight_kg: Decimal | None
    planned_rate_ml_per_kg_h: Decimal | None
    label_max_ml_per_kg_h: Decimal | None
    label: LabelRate | None = None  # what the maximum was taken from, so that the card can say it
    running_since: datetime | None = None  # the start of another infusion without an end, in the clinic's zone

    def __post_init__(self) -> None:
        if self.weight_kg is not None and self.weight_kg <= 0:
            raise ValueError("A weight is more than 0 kg.")


class CardCode(StrEnum):
    ANOTHER_RUNNING = "another_running"
    PRIOR_SEVERE_REACTION = "prior_severe_reaction"
    IGA_ANTI_IGA_HYPERSENSITIVITY = "iga_anti_iga_hypersensitivity"
    POSSIBLY_SEVERE_REACTION = "possibly_severe_reaction"
    PRIOR_REACTION = "prior_reaction"
    IGA_DEFICIENT = "iga_deficient"
    IGA_NOT_KNOWN = "iga_not_known"
    ANTI_IGA_POSITIVE = "anti_iga_positive"
    FIRST_INFUSION = "first_infusion"
    LONG_GAP = "long_gap"
    PRODUCT_SWITCH = "product_switch"
    DOSE_LOW = "dose_low"
    DOSE_HIGH = "dose_high"
    RATE_ABOVE_LABEL = "rate_above_label"
    RISK_LIMIT_MISSING = "risk_limit_missing"
    FIRST_RATE = "first_rate"
    PRODUCT_NOT_COMPARED = "product_not_compared"
    AGE_MISSING = "age_missing"
    DOSE_MISSING = "dose_missing"
    WEIGHT_MISSING = "weight_missing"
    RATE_MISSING = "rate_missing"
    LABEL_MAXIMUM_MISSING = "label_maximum_missing"


# Remarks on the form and not on the patient: while it is being filled in, nobody needs to read them. That no age is
# recorded is not one of them, since the form does not ask for it.
NOT_FILLED_IN = frozenset(
    {
        CardCode.DOSE_MISSING,
        CardCode.WEIGHT_MISSING,
        CardCode.RATE_MISSING,
        CardCode.PRODUCT_NOT_COMPARED,
        CardCode.LABEL_MAXIMUM_MISSING,
    }
)


@dataclass(frozen=True)
class CardItem:
    code: CardCode | RiskFactor
    level: Level
    text: str
    source: str


def card(facts: CardFacts) -> tuple[CardItem, ...]:
    """Everything to be seen, the worst level first, and within a level in the order of the record."""
    found = [
        *_running(facts),
        *_reactions(facts),
        *_iga(facts),
        *_history(facts),
        *_dose(facts),
        *_rate(facts),
        *_risks(facts),
    ]
    worst_first = list(Level)
    return tuple(sorted(found, key=lambda item: worst_first.index(item.level)))


def _running(facts: CardFacts) -> list[CardItem]:
    if facts.running_since is None:
        return []
    text = (
        f"An infusion of this patient has been running since {facts.running_since:%Y-%m-%d %H:%M}: it has no end yet."
    )
    return [CardItem(CardCode.ANOTHER_RUNNING, Level.CAUTION, text, RECORD_SOURCE)]


def is_severe_systemic(reaction: PastReaction) -> bool:
    """Whether an earlier reaction counts for the labels' contraindication; the rule stands above."""
    if not reaction.to_human_immune_globulin:
        return False
    if reaction.is_anaphylaxis:
        return True
    if reaction.is_infusion_site_only or reaction.worst_grade is None:
        return False
    if reaction.worst_grade >= SEVERE_FROM_GRADE:
        return True
    return reaction.was_serious is True and reaction.worst_grade >= SEVERE_WHEN_SERIOUS_FROM_GRADE


def _could_be_severe(reaction: PastReaction) -> bool:
    """Of a reaction to immune globulin: whether what is missing from the record would decide it."""
    if reaction.is_infusion_site_only or is_severe_systemic(reaction):
        return False
    if reaction.worst_grade is None:
        return reaction.was_serious is not False
    return reaction.was_serious is None and reaction.worst_grade >= SEVERE_WHEN_SERIOUS_FROM_GRADE


def _reactions(facts: CardFacts) -> list[CardItem]:
    earlier = [reaction for reaction in facts.past_reactions if reaction.to_human_immune_globulin]
    found = []
    if facts.prior_severe_ig_reaction or any(is_severe_systemic(reaction) for reaction in earlier):
        found.append(
            CardItem(
                CardCode.PRIOR_SEVERE_REACTION,
                Level.CONTRAINDICATION,
                "Earlier anaphylactic or severe systemic reaction to human immune globulin: the label names it as a "
                f"contraindication. {NAMED_PERSON_DECIDES}",
                CONTRAINDICATION_SOURCE,
            )
        )
    if any(_could_be_severe(reaction) for reaction in earlier):
        found.append(
            CardItem(
                CardCode.POSSIBLY_SEVERE_REACTION,
                Level.CAUTION,
                "The grade or the seriousness of an earlier reaction is not recorded: it could be a severe systemic "
                "one, which the label names as a contraindication.",
                CONTRAINDICATION_SOURCE,
            )
        )
    if earlier:
        found.append(
            CardItem(
                CardCode.PRIOR_REACTION,
                Level.CAUTION,
                f"Earlier reactions to immune globulin: {len(earlier)}, {_worst(earlier)}.",
                RECORD_SOURCE,
            )
        )
    return found


def _worst(reactions: list[PastReaction]) -> str:
    grades = [reaction.worst_grade for reaction in reactions if reaction.worst_grade is not None]
    return f"the worst of grade {max(grades)}" if grades else "no grade recorded"


_IGA_NOT_KNOWN: dict[Status, str] = {
    Status.NOT_TESTED: "IgA was never tested.",
    Status.PENDING: "The IgA result is still awaited.",
    Status.INDETERMINATE: "The IgA result does not tell whether IgA is deficient.",
}
_ANTI_IGA_WORDS: dict[AntiIga, str] = {
    AntiIga.NOT_DONE: "anti-IgA was not tested",
    AntiIga.POSITIVE: "anti-IgA is positive",
    AntiIga.NEGATIVE: "anti-IgA is negative",
    AntiIga.INDETERMINATE: "anti-IgA is indeterminate",
}
_HYPERSENSITIVITY_WORDS: dict[bool | None, str] = {
    True: "hypersensitivity is in the history",
    False: "hypersensitivity is not in the history",
    None: "nobody asked about hypersensitivity",
}


def _iga(facts: CardFacts) -> list[CardItem]:
    found = []
    is_deficient = facts.iga_status == Status.DEFICIENT
    has_antibodies = facts.anti_iga == AntiIga.POSITIVE
    if is_deficient and has_antibodies and facts.history_of_hypersensitivity:
        found.append(
            CardItem(
                CardCode.IGA_ANTI_IGA_HYPERSENSITIVITY,
                Level.CONTRAINDICATION,
                "IgA deficiency with anti-IgA antibodies and a history of hypersensitivity: the label names the three "
                f"together as a contraindication. {NAMED_PERSON_DECIDES}",
                CONTRAINDICATION_SOURCE,
            )
        )
    if is_deficient:
        found.append(
            CardItem(
                CardCode.IGA_DEFICIENT,
                Level.CAUTION,
                f"IgA is below {DEFICIENT_BELOW_MG_DL} mg/dL. The label's contraindication also needs anti-IgA "
                f"antibodies and a history of hypersensitivity. Here {_ANTI_IGA_WORDS[facts.anti_iga]}, and "
                f"{_HYPERSENSITIVITY_WORDS[facts.history_of_hypersensitivity]}.",
                HYPERSENSITIVITY_SOURCE,
            )
        )
    if facts.iga_status in _IGA_NOT_KNOWN:
        found.append(
            CardItem(
                CardCode.IGA_NOT_KNOWN,
                Level.CAUTION,
                f"{_IGA_NOT_KNOWN[facts.iga_status]} Unknown is not normal.",
                HYPERSENSITIVITY_SOURCE,
            )
        )
    if has_antibodies:
        found.append(
            CardItem(
                CardCode.ANTI_IGA_POSITIVE,
                Level.CAUTION,
                "Anti-IgA antibodies were found. Labels warn of them in IgA deficiency; their part in anaphylaxis is "
                "debated.",
                f"{HYPERSENSITIVITY_SOURCE}; debated: PMID 21835445",
            )
        )
    return found


def _history(facts: CardFacts) -> list[CardItem]:
    found = []
    if facts.days_since_last is None:
        found.append(
            CardItem(
                CardCode.FIRST_INFUSION,
                Level.CAUTION,
                "The first infusion of immune globulin on record. Labels start at the lowest rate.",
                LOWEST_RATE_SOURCE,
            )
        )
    elif facts.days_since_last > LONG_GAP_ABOVE_DAYS:
        found.append(
            CardItem(
                CardCode.LONG_GAP,
                Level.CAUTION,
                f"{facts.days_since_last} days since the last infusion, more than {LONG_GAP_ABOVE_DAYS}: a study calls "
                "this “effectively IVIg-naive”. Labels start again at the lowest rate.",
                f"{GAP_SOURCE}; {LOWEST_RATE_SOURCE}",
            )
        )
    before, now = _name(facts.last_product), _name(facts.product)
    if before and now and before.casefold() != now.casefold():
        found.append(
            CardItem(
                CardCode.PRODUCT_SWITCH,
                Level.CAUTION,
                f"Another product than last time: {now} after {before}. Labels start again at the lowest rate.",
                LOWEST_RATE_SOURCE,
            )
        )
    if found and facts.label:
        found.append(_first_rate(facts.label, facts.weight_kg))
    if facts.days_since_last is not None and not (before and now):
        found.append(
            CardItem(
                CardCode.PRODUCT_NOT_COMPARED,
                Level.NOTE,
                "The product of this or of the last infusion is not recorded: a change of product was not looked for.",
                RECORD_SOURCE,
            )
        )
    return found


def _first_rate(label: LabelRate, weight_kg: Decimal | None) -> CardItem:
    """The number behind "the lowest rate", where the table has it."""
    start = label.start_ml_per_kg_h
    pump = f" ({_on_the_pump(start, weight_kg)} at {_plain(weight_kg)} kg)" if weight_kg else ""
    text = f"The label starts at {_plain(start)} mL/kg/h {_row(label)}{pump}."
    return CardItem(CardCode.FIRST_RATE, Level.NOTE, text, RATE_SOURCE)


def _name(product: str | None) -> str:
    return (product or "").strip()


def _dose(facts: CardFacts) -> list[CardItem]:
    found = []
    if facts.grams is None:
        found.append(_not_checked(CardCode.DOSE_MISSING, "No dose is planned: the dose per kilogram was not checked."))
    if facts.weight_kg is None:
        found.append(
            _not_checked(CardCode.WEIGHT_MISSING, "No weight is recorded: the dose per kilogram was not checked.")
        )
    if facts.grams is None or facts.weight_kg is None:
        return found
    low, high = COURSE_G_PER_KG
    # The quotient is neither rounded nor shown, so that 2.4001 never reads as 2.40.
    planned = f"{_plain(facts.grams)} g in this course for {_plain(facts.weight_kg)} kg is"
    if facts.grams < low * facts.weight_kg:
        found.append(CardItem(CardCode.DOSE_LOW, Level.CAUTION, f"{planned} less than {low} g/kg.", DOSE_SOURCE))
    if facts.grams > high * facts.weight_kg:
        found.append(CardItem(CardCode.DOSE_HIGH, Level.CAUTION, f"{planned} more than {high} g/kg.", DOSE_SOURCE))
    return found


def _rounded_up(rate: Decimal) -> str:
    """To a hundredth, upwards: what is above a limit never reads as equal to it."""
    return _plain(rate.quantize(Decimal("0.01"), rounding=ROUND_UP))


def _rate(facts: CardFacts) -> list[CardItem]:
    found = []
    planned, highest = facts.planned_rate_ml_per_kg_h, facts.label_max_ml_per_kg_h
    if planned is None:
        found.append(_not_checked(CardCode.RATE_MISSING, "No rate is planned: it was not compared with the label."))
    if highest is None:
        found.append(
            _not_checked(
                CardCode.LABEL_MAXIMUM_MISSING,
                "The label's highest rate for this product and indication is not in the table: no rate was compared.",
            )
        )
    if planned is not None and highest is not None and planned > highest:
        found.append(
            CardItem(
                CardCode.RATE_ABOVE_LABEL,
                Level.CAUTION,
                f"The planned rate of {_rounded_up(planned)} mL/kg/h is above the label's {_plain(highest)} mL/kg/h"
                f"{_compared_with(facts.label)}.",
                RATE_SOURCE,
            )
        )
    if planned is not None and highest is not None and facts.label and facts.label.lacks_risk_limit:
        found.append(CardItem(CardCode.RISK_LIMIT_MISSING, Level.NOTE, NO_RISK_LIMIT, RATE_SOURCE))
    return found


def _row(label: LabelRate) -> str:
    return "for this product and indication" if label.is_for_indication else "for this product, whatever the indication"


def _compared_with(label: LabelRate | None) -> str:
    """What the maximum is for, to follow it in a sentence; empty where it was not told."""
    if label is None:
        return ""
    return f" {_row(label)}{', lowered for patients at risk' if label.is_lowered_for_risk else ''}"


def _on_the_pump(rate_ml_per_kg_h: Decimal, weight_kg: Decimal) -> str:
    """The rate in mL/h, rounded down."""
    return f"{_plain((rate_ml_per_kg_h * weight_kg).quantize(Decimal('0.1'), rounding=ROUND_DOWN))} mL/h"


def risk_factors(facts: CardFacts) -> frozenset[RiskFactor]:
    """The factors recorded, and age over 65 as derived from the years."""
    return with_age(facts.risk_factors, facts.age_years)


def _risks(facts: CardFacts) -> list[CardItem]:
    present = risk_factors(facts)
    found = []
    for factor, told in RISK_FACTORS.items():
        if factor in present:
            level = Level.NOTE if told.basis == Basis.STUDY else Level.CAUTION
            text = f"{told.label}: {told.basis} ({' and '.join(told.groups)})."
            found.append(CardItem(factor, level, text, told.source))
    if facts.age_years is None:
        found.append(_not_checked(CardCode.AGE_MISSING, "No age is recorded: being older than 65 is a risk."))
    return found


def _not_checked(code: CardCode, text: str) -> CardItem:
    return CardItem(code, Level.NOTE, text, RECORD_SOURCE)


def _plain(number: Decimal) -> str:
    """Without zeros at the end."""
    return format(number.normalize(), "f")


def above_label(
    rate_ml_per_h: Decimal,
    weight_kg: Decimal | None,
    max_ml_per_kg_h: Decimal | None,
    *,
    label: LabelRate | None = None,
) -> CardItem | None:
    """The caution about a rate that runs, or is about to; None when it is not above, or cannot be compared.

    The label's limit is said in mL/h too, rounded down, as the pump shows it. `label` adds what the limit is for.
    """
    if not weight_kg or max_ml_per_kg_h is None or rate_ml_per_h / weight_kg <= max_ml_per_kg_h:
        return None
    at_most = _on_the_pump(max_ml_per_kg_h, weight_kg)
    return CardItem(
        CardCode.RATE_ABOVE_LABEL,
        Level.CAUTION,
        f"The rate of {_plain(rate_ml_per_h)} mL/h is {_rounded_up(rate_ml_per_h / weight_kg)} mL/kg/h, above the "
        f"label's {_plain(max_ml_per_kg_h)} mL/kg/h{_compared_with(label)} ({at_most} at "
        f"{_plain(weight_kg)} kg).{f' {NO_RISK_LIMIT}' if label and label.lacks_risk_limit else ''}",
        RATE_SOURCE,
    )
