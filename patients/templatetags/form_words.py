"""What a page says of a form that was refused."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django import forms, template
from django.forms.forms import BaseForm

register = template.Library()


@dataclass(frozen=True)
class ErrorLink:
    """One thing to mend: the id of its control, empty when it is about the whole form, and what to do."""

    control: str
    label: str
    message: str


@register.simple_tag
def error_links(*parts: Any) -> list[ErrorLink]:
    """Every error of forms, sets of rows, and entries made of them (`parts`), in the order of the page."""
    return [link for form in _forms(parts) for link in _links(form)]


def _forms(parts: Iterable[Any]) -> Iterator[BaseForm]:
    for part in parts:
        if isinstance(part, BaseForm):
            yield part
        elif isinstance(part, forms.BaseFormSet):
            yield from part.forms
        elif part:
            yield from _forms(part.parts)


def _links(form: BaseForm) -> Iterator[ErrorLink]:
    for name, messages in form.errors.items():
        for message in messages:
            if name in form.fields:
                field = form[name]
                yield ErrorLink(field.id_for_label, str(field.label), str(message))
            else:
                yield ErrorLink("", "", str(message))
