"""Words of the chairside pages."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django import template

from reactions.models import RateStep, Treatment, Vitals

register = template.Library()

UNITS = {
    "temperature_c": "{} °C",
    "heart_rate_per_min": "heart {}/min",
    "systolic_mmhg": "pressure {}",
    "respiratory_rate_per_min": "{} breaths/min",
    "spo2_percent": "SpO₂ {} %",
}


@register.filter
def span(length: timedelta) -> str:
    """“2 h 05 min”."""
    hours, minutes = divmod(int(length.total_seconds() // 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


@register.filter
def row_words(row: Any) -> str:
    """A row of an infusion in one line."""
    if isinstance(row, RateStep):
        label = row.get_reason_display()
        return f"{label}, {row.rate_ml_per_h.normalize():f} mL/h" if row.rate_ml_per_h else str(label)
    if isinstance(row, Treatment):
        route = f", {row.get_route_display().lower()}" if row.route else ""
        return f"{row.name} {row.dose}".strip() + route
    if isinstance(row, Vitals):
        values = row.as_dict()
        if "systolic_mmhg" in values:
            values["systolic_mmhg"] = f"{row.systolic_mmhg}/{row.diastolic_mmhg}"
        return ", ".join(words.format(values[name]) for name, words in UNITS.items() if name in values)
    return str(row)


@register.simple_tag
def new_id() -> str:
    """A fresh submission id, so that a form sent twice acts once."""
    return str(uuid4())
