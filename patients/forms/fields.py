"""Form fields that several forms share."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from patients import clock


def say_what_is_missing(form: forms.BaseForm) -> None:
    """Word the message of every field left empty as what to do: “Write the dose (g).”"""
    for name, field in form.fields.items():
        label = str(field.label or name.replace("_", " "))
        label = label if label[:2].isupper() else label[0].lower() + label[1:]
        verb = "Choose" if isinstance(field, forms.ChoiceField) else "Write"
        field.error_messages["required"] = f"{verb} an answer." if label.endswith("?") else f"{verb} the {label}."


def with_value(data: Any, name: str, value: str) -> QueryDict:
    """A copy of submitted data with one value replaced."""
    copied: QueryDict = data.copy()
    copied[name] = value
    return copied


class ClinicDateTimeField(forms.CharField):
    """A date and time on the clinic's clocks.

    Shown as the browser's own date-and-time control. When the time happened twice (clocks put back) the control turns
    into a line of text, so that the offset can be typed; what was typed stays.
    """

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def __init__(self, *, zone: ZoneInfo, **kwargs: Any) -> None:
        super().__init__(max_length=40, **kwargs)
        self.zone = zone

    def prepare_value(self, value: Any) -> Any:
        return value.astimezone(self.zone).strftime("%Y-%m-%dT%H:%M") if isinstance(value, datetime) else value

    def clean(self, value: Any) -> datetime | None:
        text = super().clean(value)
        if not text:
            return None
        try:
            return clock.read(text, self.zone)
        except clock.TwoSuchTimes as error:
            self.widget.attrs["type"] = self.widget.input_type = "text"
            raise ValidationError(str(error)) from error
        except ValueError as error:
            raise ValidationError(str(error)) from error

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class DateField(forms.DateField):
    """A day, with the browser's own date control."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
        super().__init__(**kwargs)
