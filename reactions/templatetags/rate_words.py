"""How rates are written on pages."""

from collections.abc import Sequence
from urllib.parse import urlencode

from django import template

from reactions.rates.answer import percent
from reactions.rates.words import bounds_of_silence, clustered, interval, repeated, trusted

register = template.Library()

register.filter("percent", percent)
register.filter("interval", interval)
register.filter("clustered", clustered)
register.filter("repeated", repeated)
register.filter("trusted", trusted)
register.filter("silence", bounds_of_silence)


@register.simple_tag
def cell_query(keys: Sequence[str], stratum: Sequence[object], filters: str = "") -> str:
    """The query of the page with the infusions of a stratum, behind the filters of the page of rates."""
    pairs = [("key", key) for key in keys] + [("value", str(value)) for value in stratum]
    return "&".join(part for part in (filters, urlencode(pairs)) if part)
