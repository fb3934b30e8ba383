"""How rates are written on pages."""

from django import template

from reactions.rates.answer import Rate, percent

register = template.Library()

register.filter("percent", percent)


@register.filter
def interval(rate: Rate) -> str:
    """“0.85 to 7.09 %”; empty without an interval."""
    return f"{percent(rate.interval.low)} to {percent(rate.interval.high)} %" if rate.interval else ""


@register.filter
def clustered(rate: Rate) -> str:
    """The cluster-robust interval with its design effect; says why where there is none."""
    if rate.clustered is None:
        return ""
    if rate.clustered.design_effect is None:
        return "no spread between patients"
    low, high = percent(rate.clustered.interval.low), percent(rate.clustered.interval.high)
    return f"{low} to {high} %, design effect {rate.clustered.design_effect:.2f}"
