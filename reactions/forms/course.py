"""Booking a patient's next course, and taking a booking off."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Layout, Row
from django import forms
from django.utils import timezone

from patients.forms.fields import DateField, NumberField, WholeNumberField, say_what_is_missing, with_value
from patients.models import Patient
from reactions.clinical.infusion_checks import why_impossible_dose
from reactions.models import Course

# Further ahead it is a slip of the keyboard in the year.
FURTHEST = timedelta(days=2 * 365)
# Courses are given weeks apart.
CLOSE = timedelta(days=7)


class BookingForm(forms.Form):
    """The first day of a course, and what is planned for all of its days."""

    seen_plan = forms.CharField(required=False, widget=forms.HiddenInput)
    planned_for = DateField(label="First day")
    planned_days = WholeNumberField(min_value=1, max_value=5, label="Days in the course")
    planned_g = NumberField(
        label="Dose of the whole course (g)",
        max_digits=6,
        decimal_places=2,
        required=False,
        help_text="All days together. Leave it empty if it is not decided yet.",
    )

    def __init__(self, data: Any = None, *, patient: Patient, stored: Course | None = None, **kwargs: Any) -> None:
        super().__init__(data, initial=_values(stored) if stored else _first_values(patient), **kwargs)
        self.patient = patient
        say_what_is_missing(self)
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = Layout(
            "seen_plan",
            Row(
                Column("planned_for", css_class="col-12 col-sm-4"),
                Column("planned_days", css_class="col-6 col-sm-4"),
                Column("planned_g", css_class="col-6 col-sm-4"),
            ),
        )

    def clean_planned_for(self) -> date:
        day: date = self.cleaned_data["planned_for"]
        today = timezone.localdate()
        if day < today:
            raise forms.ValidationError("This day is over. Choose today or a later one.")
        if day > today + FURTHEST:
            raise forms.ValidationError("This day is more than two years ahead. Check the year.")
        return day

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        grams, days = values.get("planned_g"), values.get("planned_days") or 1
        if grams is not None and (why := why_impossible_dose(Decimal(grams) / days)):
            self.add_error("planned_g", why)
        if self.patient.died_on:
            self.add_error(None, "The patient is recorded as having died. Correct the details first if that is wrong.")
        return values

    def accept_plan(self, plan: str) -> None:
        """Take the day's booking as seen: the next saving of what was typed replaces it."""
        self.data = with_value(self.data, "seen_plan", plan)

    def plan(self) -> dict[str, Any]:
        """What the verb books."""
        return {name: self.cleaned_data[name] for name in ("planned_for", "planned_days", "planned_g", "seen_plan")}

    def close_bookings(self) -> list[date]:
        """Other days, within a week of the one that was chosen, for which a course is booked too."""
        day: date = self.cleaned_data["planned_for"]
        near = self.patient.courses.booked(day - CLOSE).filter(planned_for__lte=day + CLOSE).exclude(planned_for=day)
        return [course.planned_for for course in near if course.planned_for]


class UnbookForm(forms.Form):
    """Why a booking is taken off."""

    reason = forms.CharField(
        max_length=500,
        label="Why is it taken off?",
        help_text="Such as: the patient is ill, moved to another week.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        say_what_is_missing(self)
        self.helper = FormHelper()
        self.helper.form_tag = False


def _values(course: Course) -> dict[str, Any]:
    return {name: getattr(course, name) for name in ("planned_for", "planned_days", "planned_g")}


def _first_values(patient: Patient) -> dict[str, Any]:
    """The plan of the patient's last course; never a date, which nobody has said yet."""
    last = patient.courses.order_by("-pk").first()
    return _values(last) | {"planned_for": None} if last else {"planned_days": 1}
