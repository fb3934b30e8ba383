"""The texts of mails: rendered once for all who get the same, with gaps for what differs.

A check-in says the same to every patient of a clinic but for its link and its last day. Rendering takes about as long
as sending (measured: three templates 0.29 ms, filled in 0.02 ms).
"""

from collections.abc import Hashable, Mapping

from django.db.models import Model
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.html import escape

# Texts that differ from one mail to the next. Nothing else that a template is given may be peculiar to one patient.
GAPS = ("link", "stop_link", "report_link", "closes_at")
MOST_KEPT = 1_000

# By all that a text depends on but its gaps; None where filling gaps does not give what rendering gives.
_kept: dict[Hashable, str | None] = {}


def text_of(template: str, context: Mapping[str, object]) -> str:
    """What `render_to_string(template, context)` gives, in the active language and zone.

    The first text of its kind is rendered both ways and compared. A template that does more with a gap than print it
    is rendered every time.
    """
    gaps = {name: value for name in GAPS if isinstance(value := context.get(name), str) and value}
    others = {name: value for name, value in context.items() if name not in gaps}
    said = tuple((name, _key_of(value)) for name, value in sorted(others.items()))
    key = (template, translation.get_language(), timezone.get_current_timezone_name(), tuple(gaps), said)
    if key not in _kept:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        rendered = render_to_string(template, dict(context))
        with_gaps = render_to_string(template, others | {name: _mark(name) for name in gaps})
        _kept[key] = with_gaps if _filled(template, with_gaps, gaps) == rendered else None
        return rendered
    kept = _kept[key]
    return render_to_string(template, dict(context)) if kept is None else _filled(template, kept, gaps)


def _filled(template: str, text: str, gaps: Mapping[str, str]) -> str:
    for name, value in gaps.items():
        text = text.replace(_mark(name), escape(value) if template.endswith(".html") else value)
    return text


def _mark(name: str) -> str:
    return f"XGAPX{name.replace('_', 'X')}XGAPX"


def _key_of(value: object) -> Hashable:
    """A row by all that it says, so that an edit of a clinic reaches the next mail."""
    if isinstance(value, Model):
        fields = value._meta.concrete_fields
        return (value._meta.label, *(value.__dict__.get(field.attname) for field in fields))
    return str(value)
