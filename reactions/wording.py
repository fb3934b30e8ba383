"""The texts of mails: rendered once for all who get the same, with gaps for what differs.

A check-in says the same to every patient of a clinic but for its links and its last day. Rendering takes about as long
as sending (measured: three templates 0.29 ms, filled in 0.02 ms).
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from django.db.models import Model
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.html import escape

MOST_KEPT = 1_000


@dataclass(frozen=True)
class Texts:
    """What a mail says: subject in one line, plain text, HTML."""

    subject: str
    plain: str
    html: str


# By all that the texts depend on but what fills their gaps; None where filling does not give what rendering gives.
_kept: dict[Hashable, Texts | None] = {}


def texts_of(name: str, language: str, context: Mapping[str, object], gaps: Mapping[str, str]) -> Texts:
    """The templates emails/{name} rendered in a language with the context and with what differs from mail to mail.

    The first of its kind is rendered both ways and compared. Templates that do more with a gap than print it are
    rendered every time. Nothing in `context` may be peculiar to one patient.
    """
    filling = {gap: text for gap, text in gaps.items() if text}
    said = tuple((key, _key_of(value)) for key, value in context.items())
    key = (name, language, tuple(filling), said)
    if key not in _kept:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        rendered = _rendered(name, language, {**context, **gaps})
        with_gaps = _rendered(name, language, {**context, **gaps, **{gap: _mark(gap) for gap in filling}})
        _kept[key] = with_gaps if _filled(with_gaps, filling) == rendered else None
        return rendered
    kept = _kept[key]
    return _rendered(name, language, {**context, **gaps}) if kept is None else _filled(kept, filling)


def _rendered(name: str, language: str, context: dict[str, object]) -> Texts:
    with translation.override(language):
        subject, plain, html = (
            render_to_string(f"emails/{name}{ending}", context) for ending in (".subject.txt", ".txt", ".html")
        )
    return Texts(subject.strip(), plain, html)


def _filled(texts: Texts, gaps: Mapping[str, str]) -> Texts:
    subject, plain, html = texts.subject, texts.plain, texts.html
    for gap, text in gaps.items():
        mark = _mark(gap)
        subject, plain, html = subject.replace(mark, text), plain.replace(mark, text), html.replace(mark, escape(text))
    return Texts(subject, plain, html)


def _mark(name: str) -> str:
    return f"XGAPX{name.replace('_', 'X')}XGAPX"


def _key_of(value: object) -> Hashable:
    """A row by all that it says, so that an edit of a clinic reaches the next mail."""
    if isinstance(value, Model):
        said = value.__dict__
        return (value._meta.label, *[said.get(field.attname) for field in value._meta.concrete_fields])
    return str(value)
