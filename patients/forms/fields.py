"""Form fields that several forms share."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import DecimalValidator, MaxValueValidator, MinValueValidator
from django.http import QueryDict
from django.utils.choices import flatten_choices

from patients import clock

# A form that waited longer for a connection than this is stamped with the time of its arrival.
WAITED_AT_MOST = timedelta(hours=12)


def moment_of_tap(told: str, now: datetime) -> datetime:
    """When a button was tapped, as a script told it in ISO 8601; now where none did, or the device's clock is off."""
    try:
        tapped = datetime.fromisoformat(told)
    except ValueError:
        return now
    return tapped if tapped.tzinfo is not None and now - WAITED_AT_MOST <= tapped <= now else now


def say_what_is_missing(form: forms.BaseForm) -> None:
    """Word the message of every field left empty as what to do: “Write the dose (g).”

    The browser is not asked to insist on a field: its own words would say less, and stop at the first. It still says
    when a date or a time is typed only in part, which it would otherwise send as empty.
    """
    form.use_required_attribute = False
    for name, field in form.fields.items():
        label = str(field.label or name.replace("_", " "))
        label = label if label[:2].isupper() else label[0].lower() + label[1:]
        verb = "Choose" if isinstance(field, forms.ChoiceField) else "Write"
        article = "" if label.startswith(("what ", "when", "why ", "drugs ", "in your ")) else "the "
        field.error_messages["required"] = f"{verb} an answer." if label.endswith("?") else f"{verb} {article}{label}."


class SubmissionField(forms.UUIDField):
    """The id by which a form counts once, however often it is sent. One that lost it counts as a new one."""

    widget = forms.HiddenInput

    def clean(self, value: Any) -> UUID:
        try:
            given: UUID | None = super().clean(value)
        except ValidationError:
            given = None
        return given or uuid4()


class SeenField(forms.IntegerField):
    """What somebody had before them: a version, or the key of a row. None, which nothing stored is, once it is lost."""

    widget = forms.HiddenInput

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def clean(self, value: Any) -> int | None:
        try:
            seen: int | None = super().clean(value)
        except ValidationError:
            return None
        return seen


def with_value(data: Any, name: str, value: str) -> QueryDict:
    """A copy of submitted data with one value replaced."""
    copied: QueryDict = data.copy()
    copied[name] = value
    return copied


class VersionForm(forms.Form):
    """A form about a stored record. `seen_version` is the version that the person had before them."""

    seen_version = SeenField()

    @property
    def version_seen(self) -> int:
        """For the verb; 0, which no record has, where it got lost."""
        return self.cleaned_data["seen_version"] or 0

    def accept_version(self, version: int) -> None:
        """Take the stored version as seen: the next saving of what was typed replaces it."""
        self.data = with_value(self.data, self.add_prefix("seen_version"), str(version))


_COMMA = re.compile(r"(\d+),(\d+)")
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+")


def plain(number: Decimal) -> str:
    """Without zeros at the end."""
    return format(number.normalize(), "f")


class NumberField(forms.DecimalField):
    """A number as people type it, with a point or a comma. A text control: a browser's own drops what it cannot read.

    “1,000” may be one or a thousand, so it is asked for again.
    """

    widget = forms.TextInput

    def __init__(self, *, min_value: Any = None, max_value: Any = None, **kwargs: Any) -> None:
        super().__init__(min_value=min_value, max_value=max_value, **kwargs)
        self.error_messages["invalid"] = "Write a number, such as 35 or 35.5."
        for validator in self.validators:
            if isinstance(validator, MinValueValidator):
                validator.message = "Write at least %(limit_value)s."
            elif isinstance(validator, MaxValueValidator):
                validator.message = "Write at most %(limit_value)s."
            elif isinstance(validator, DecimalValidator):
                validator.messages = {
                    "invalid": "Write a number, such as 35 or 35.5.",
                    "max_digits": "Write no more than %(max)s digits.",
                    "max_decimal_places": "Write no more than %(max)s digits behind the point.",
                    "max_whole_digits": "Write no more than %(max)s digits before the point.",
                }

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return super().widget_attrs(widget) | {"inputmode": "decimal", "autocomplete": "off"}

    def prepare_value(self, value: Any) -> Any:
        """A stored number as a person would write it: 35.5, not 35.50."""
        return plain(value) if isinstance(value, Decimal) and value.is_finite() else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            value = value.strip()
            if _THOUSANDS.fullmatch(value):
                raise ValidationError("Write it without a comma, such as 1000 or 1.5.")
            value = _COMMA.sub(r"\1.\2", value, count=1)
        return super().to_python(value)


class WholeNumberField(NumberField):
    """A whole number as people type it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(decimal_places=0, **kwargs)
        self.error_messages["invalid"] = "Write a whole number."

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return super().widget_attrs(widget) | {"inputmode": "numeric"}

    def to_python(self, value: Any) -> Any:
        number = super().to_python(value)
        if number is not None and number.is_finite() and number != number.to_integral_value():
            raise ValidationError(self.error_messages["invalid"])
        return number

    def clean(self, value: Any) -> int | None:
        number = super().clean(value)
        return None if number is None else int(number)


@dataclass(frozen=True)
class Difference:
    """A field in which what was typed is not what is stored now."""

    label: str
    stored: str
    typed: str


def differences(stored: forms.BaseForm, typed: forms.BaseForm) -> list[Difference]:
    """Compare two forms of a kind, one filled from the database and one as it was sent, field by field."""
    found = []
    for name, field in typed.fields.items():
        if isinstance(field.widget, forms.HiddenInput) or name == "reason":
            continue
        there, here = as_read(stored[name]), as_read(typed[name])
        if there != here:
            found.append(Difference(str(typed[name].label), there, here))
    return found


def as_read(field: forms.BoundField) -> str:
    """What stands in the field, as a person reads it."""
    value = field.value()
    if isinstance(field.field, forms.BooleanField):
        return "yes" if value else "no"
    if value in (None, ""):
        return "empty"
    if isinstance(field.field, forms.ModelChoiceField):
        chosen = field.field.queryset.filter(pk=getattr(value, "pk", value)).first() if field.field.queryset else None
        return str(chosen or value)
    if isinstance(field.field, forms.ChoiceField):
        return str(_labels(field.field).get(str(value), value))
    if isinstance(field.field, forms.DecimalField):
        try:
            return plain(Decimal(str(value)))
        except InvalidOperation:
            return str(value)
    return str(value).replace("\r\n", "\n")


def _labels(field: Any) -> dict[str, str]:
    choices: list[tuple[Any, Any]] = list(flatten_choices(field.choices))
    return {str(value): str(label) for value, label in choices}


class ClinicDateTimeField(forms.CharField):
    """A date and time on the clinic's clocks.

    Shown as the browser's own date-and-time control. When the time happened twice (clocks put back) the control turns
    into a line of text, so that the offset can be typed; what was typed stays.
    """

    # Any step: seconds that were imported are no fault.
    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "any"}, format="%Y-%m-%dT%H:%M")

    def __init__(self, *, zone: ZoneInfo, **kwargs: Any) -> None:
        super().__init__(max_length=40, **kwargs)
        self.zone = zone

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, datetime):
            return value
        # Seconds stand only where there are some: an imported time is not moved by correcting something else.
        shown = value.astimezone(self.zone)
        return shown.strftime("%Y-%m-%dT%H:%M:%S" if shown.second else "%Y-%m-%dT%H:%M")

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
