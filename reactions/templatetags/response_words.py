"""How measures of the response are written on pages."""

from django import template

from reactions.clinical.response import MEASURES
from reactions.models import ResponseMeasures

register = template.Library()


@register.filter
def measures(measured: ResponseMeasures) -> list[tuple[str, str]]:
    """Each measure that was taken, with its value and unit: (“Creatine kinase”, “800 U/L”)."""
    taken = measured.measured()
    return [(MEASURES[code].label, f"{value.normalize():f} {MEASURES[code].unit}") for code, value in taken.items()]
