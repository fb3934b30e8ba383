"""The rate that a product's label allows. Pure.

Signatures
    label_rate(rules, *, indication, at_risk) -> LabelRate | None   None when the table has nothing that fits
    ml_per_kg_h(mg_per_kg_min, percent) -> Decimal                  10 %: x 0.6; 5 %: x 1.2
    mg_per_kg_min(ml_per_kg_h, percent) -> Decimal                  the way back

Rates are those of the clinic's product table, which holds what each product's label says.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True)
class RateRule:
    """One row of a product's table of rates, in mL/kg/h. `indication` None, or blank, stands for any."""

    indication: str | None
    start_ml_per_kg_h: Decimal
    max_ml_per_kg_h: Decimal
    at_risk_max_ml_per_kg_h: Decimal | None = None


@dataclass(frozen=True)
class LabelRate:
    """What the label allows here, in mL/kg/h."""

    start_ml_per_kg_h: Decimal
    max_ml_per_kg_h: Decimal
    is_for_indication: bool  # False: the row for any indication
    is_lowered_for_risk: bool
    # At risk, but the table has no limit for that. A remark on the rate, which does not make it another one.
    lacks_risk_limit: bool = field(default=False, compare=False)


def label_rate(rules: Iterable[RateRule], *, indication: str | None, at_risk: bool) -> LabelRate | None:
    """The row of the indication before the row for any; at risk the lower of the limits. None without a row.

    Several rows for the same: the lowest numbers. At risk, a row for the indication that has no limit of its own for
    risk takes that of the row for any. The start is never above the maximum.
    """
    table = [(_folded(rule.indication), rule) for rule in rules]
    wanted = _folded(indication)
    own = [rule for named, rule in table if named and named == wanted]
    general = [rule for named, rule in table if not named]
    chosen = own or general
    if not chosen:
        return None
    usual = min(rule.max_ml_per_kg_h for rule in chosen)
    limits = (_risk_limits(chosen) or _risk_limits(general)) if at_risk else []
    highest = min([usual, *limits])
    return LabelRate(
        start_ml_per_kg_h=min(highest, *(rule.start_ml_per_kg_h for rule in chosen)),
        max_ml_per_kg_h=highest,
        is_for_indication=bool(own),
        is_lowered_for_risk=highest < usual,
        lacks_risk_limit=at_risk and not limits,
    )


def _risk_limits(rules: list[RateRule]) -> list[Decimal]:
    return [rule.at_risk_max_ml_per_kg_h for rule in rules if rule.at_risk_max_ml_per_kg_h is not None]


def _folded(indication: str | None) -> str:
    return (indication or "").strip().casefold()


def ml_per_kg_h(mg_per_kg_min: Decimal, percent: Decimal) -> Decimal:
    """A rate by volume from a rate by mass: 1 % is 10 mg in 1 mL, so mL/kg/h = mg/kg/min x 60 / (10 x percent).

    Raises ValueError for a concentration that is not above 0.
    """
    return mg_per_kg_min * 6 / _concentration(percent)


def mg_per_kg_min(ml_per_kg_h: Decimal, percent: Decimal) -> Decimal:
    """A rate by mass from a rate by volume, the other way round. Raises ValueError likewise."""
    return ml_per_kg_h * _concentration(percent) / 6


def _concentration(percent: Decimal) -> Decimal:
    if percent <= 0:
        raise ValueError("A concentration is more than 0 %.")
    return percent
