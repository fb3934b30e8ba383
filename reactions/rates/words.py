"""A rate in words, the same on the page and in the printed report."""

from patients.models import STATUS_LABELS
from reactions.rates.answer import Rate, percent
from reactions.rates.question import label_of


def interval(rate: Rate) -> str:
    """“0.85 to 7.09 %”; empty without an interval."""
    return f"{percent(rate.interval.low)} to {percent(rate.interval.high)} %" if rate.interval else ""


def wilson_words(rate: Rate) -> str:
    """Wilson's interval as `interval` writes one, whatever interval was asked for."""
    return f"{percent(rate.wilson.low)} to {percent(rate.wilson.high)} %" if rate.wilson else ""


def clustered(rate: Rate) -> str:
    """The cluster-robust interval with its design effect; says why where there is none."""
    if rate.clustered is None:
        return ""
    if rate.clustered.design_effect is None:
        return "no spread between patients"
    low, high = percent(rate.clustered.interval.low), percent(rate.clustered.interval.high)
    return f"{low} to {high} %, design effect {rate.clustered.design_effect:.2f}"


def stratum_label(key: str, value: object) -> str:
    """A stratum's value as the page's table heads it."""
    return STATUS_LABELS[str(value)] if key == "iga" else label_of(key, value)
