"""The infusion's own form: when, what and how much, in its three modes of recording, starting and correcting."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from crispy_forms.bootstrap import InlineRadios
from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Div, Fieldset, Layout, Row
from django import forms
from django.db.models import Q
from django.utils import timezone

from patients.forms.fields import (
    ClinicDateTimeField,
    NumberField,
    SubmissionField,
    VersionForm,
    WholeNumberField,
    say_what_is_missing,
)
from patients.models import Patient
from reactions.clinical.infusion_checks import POSSIBLE_RATE_ML_PER_H, why_impossible_dose, why_impossible_weight
from reactions.models import Course, Infusion, Product
from reactions.recording import AlreadyRecorded
from reactions.vocabulary import Indication, PremedicationRecord, ReactionRecord, Setting, choices

# A nurse's watch may be ahead of the server's; by how much is this project's guess.
CLOCK_SLACK = timedelta(minutes=10)
# What is started at the chairside began at most so long ago; the safety card shows what is known now.
STARTED_AT_MOST = timedelta(hours=24)
RECENT_COURSES = 6
# A course that was booked this long ago and not given is still one to begin.
BOOKED_UP_TO = timedelta(days=14)

SAW_REACTION = "reaction"

# Columns of Infusion that every mode of the form fills.
COLUMNS = (
    "day",
    "product",
    "setting",
    "dose_g",
    "weight_kg",
    "indication",
    "planned_rate_ml_per_h",
    "premedication_record",
    "notes",
)


class CourseField(forms.ModelChoiceField):
    """A course by its label; one that is booked, with its day and plan. `booked` are the keys of those."""

    def __init__(self, queryset: Any, *, booked: set[int], **kwargs: Any) -> None:
        super().__init__(queryset, **kwargs)
        self.booked = booked

    def label_from_instance(self, course: Course) -> str:
        return f"{course}, booked for {course.planned_for}, {course.plan}" if course.pk in self.booked else str(course)


class InfusionForm(VersionForm):
    """The infusion itself. Times are on the clinic's clocks."""

    submission_id = SubmissionField()
    planned_days = WholeNumberField(min_value=1, max_value=5, initial=1, label="Days in the course")
    day = WholeNumberField(min_value=1, max_value=5, initial=1, label="This is day")
    setting = forms.ChoiceField(choices=choices(Setting))
    dose_g = NumberField(label="Dose (g)", max_digits=6, decimal_places=2)
    weight_kg = NumberField(label="Weight (kg)", max_digits=5, decimal_places=1, required=False)
    indication = forms.ChoiceField(
        label="Given for", required=False, choices=[("", "Not recorded"), *choices(Indication)]
    )
    planned_rate_ml_per_h = NumberField(
        label="Highest rate planned (mL/h)",
        max_digits=6,
        decimal_places=1,
        min_value=Decimal("0.1"),
        max_value=POSSIBLE_RATE_ML_PER_H,
        required=False,
        help_text="Compared with the label's maximum.",
    )
    start_rate_ml_per_h = NumberField(
        label="Rate at the start (mL/h)",
        max_digits=6,
        decimal_places=1,
        min_value=Decimal("0.1"),
        max_value=POSSIBLE_RATE_ML_PER_H,
    )
    premedication_record = forms.ChoiceField(
        label="Drugs given before the start, to prevent a reaction",
        choices=choices(PremedicationRecord),
        widget=forms.RadioSelect,
    )
    reaction_seen = forms.ChoiceField(
        label="Any reaction so far?",
        choices=[
            (ReactionRecord.OBSERVED, "Watched, none seen"),
            (SAW_REACTION, "Yes: record it next"),
            (ReactionRecord.NOT_RECORDED, "Not recorded"),
        ],
        widget=forms.RadioSelect,
    )
    notes = forms.CharField(required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 3}))
    reason = forms.CharField(
        max_length=500, required=False, label="Reason for the correction", help_text="Kept with the record's history."
    )

    def __init__(
        self, *args: Any, patient: Patient, infusion: Infusion | None, starting: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.patient, self.infusion, self.starting = patient, infusion, starting
        zone = patient.clinic.zone
        self.fields["started_at"] = ClinicDateTimeField(zone=zone, label="Start")
        self.fields["ended_at"] = ClinicDateTimeField(
            zone=zone, label="End", required=False, help_text="Or tick that it is still running."
        )
        self.fields["still_running"] = forms.BooleanField(required=False, label="It is still running")
        offered = Q(pk__in=Product.objects.for_infusion())
        products = Product.objects.filter(offered | Q(pk=infusion.product_id) if infusion else offered)
        self.fields["product"] = forms.ModelChoiceField(products.order_by("name"), empty_label="Choose")
        recent = list(patient.courses.order_by("-pk").values_list("pk", flat=True)[:RECENT_COURSES])
        booked = {course.pk for course in patient.courses.booked(timezone.localdate() - BOOKED_UP_TO)}
        courses = patient.courses.filter(pk__in=[*recent, *booked])
        self.fields["course"] = CourseField(courses, booked=booked, required=False, empty_label="New course")
        if infusion is None:
            del self.fields["reason"]
            self.fields["planned_g"] = NumberField(
                label="Dose of the whole course (g)",
                max_digits=6,
                decimal_places=2,
                min_value=Decimal("0.01"),
                required=False,
                help_text="All days together, when it is a new course.",
            )
        else:
            for name in ("course", "planned_days"):
                del self.fields[name]
            self.fields["reason"].required = True
            self.fields["reaction_seen"] = forms.ChoiceField(
                label="Was the patient watched for reactions?",
                choices=choices(ReactionRecord),
                widget=forms.RadioSelect,
            )
        if starting:
            self.fields["started_at"].required = False
            self.fields["started_at"].help_text = "Leave empty to start now."
            for name in ("ended_at", "still_running", "reaction_seen"):
                del self.fields[name]
        else:
            del self.fields["start_rate_ml_per_h"]
        say_what_is_missing(self)
        self.fields["premedication_record"].error_messages["required"] = (
            "Choose whether drugs were given before the start."
        )
        self.helper = FormHelper()
        self.helper.form_tag = False
        self._lay_out()

    def _lay_out(self) -> None:
        new = self.infusion is None
        self.helper.layout = Layout(
            "submission_id",
            "seen_version",
            Fieldset(
                "When",
                Row(
                    Column("started_at", css_class="col-sm-6"),
                    *([] if self.starting else [Column("ended_at", "still_running", css_class="col-sm-6")]),
                ),
                Row(
                    *([Column("course", css_class="col-sm-6 col-md-4")] if new else []),
                    *([Column("planned_days", css_class="col-6 col-md-4")] if new else []),
                    Column("day", css_class="col-6 col-md-4"),
                ),
            ),
            Fieldset(
                "What",
                Row(
                    Column("product", css_class="col-sm-6"),
                    Column("setting", css_class="col-sm-6"),
                ),
                Row(
                    Column("dose_g", css_class="col-6 col-md-4"),
                    *([Column("planned_g", css_class="col-6 col-md-4")] if new else []),
                    Column("weight_kg", css_class="col-6 col-md-4"),
                ),
                Row(
                    Column("indication", css_class="col-sm-6 col-md-4"),
                    Column("planned_rate_ml_per_h", css_class="col-6 col-md-4"),
                    *([Column("start_rate_ml_per_h", css_class="col-6 col-md-4")] if self.starting else []),
                ),
            ),
            Div(InlineRadios("premedication_record"), css_class="choices"),
            *([] if self.starting else [Div(InlineRadios("reaction_seen"), css_class="choices")]),
            "notes",
            *([] if new else ["reason"]),
        )

    def clean_dose_g(self) -> Decimal:
        dose: Decimal = self.cleaned_data["dose_g"]
        if why := why_impossible_dose(dose):
            raise forms.ValidationError(why)
        return dose

    def clean_weight_kg(self) -> Decimal | None:
        weight: Decimal | None = self.cleaned_data["weight_kg"]
        if weight is not None and (why := why_impossible_weight(weight)):
            raise forms.ValidationError(why)
        return weight

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if self.starting and values.get("started_at") is None and "started_at" not in self.errors:
            values["started_at"] = timezone.now().replace(second=0, microsecond=0)
        started, ended = values.get("started_at"), values.get("ended_at")
        soon = timezone.now() + CLOCK_SLACK
        if self.starting and started and started < timezone.now() - STARTED_AT_MOST:
            self.add_error("started_at", "It began long ago: use “Record an infusion” for it.")
        if started and started > soon:
            self.add_error("started_at", "This start lies in the future. Record the infusion when it has begun.")
        if ended and ended > soon:
            self.add_error("ended_at", "This end lies in the future. Leave it empty until the infusion is over.")
        if not self.starting:
            self._check_running(ended, still_running=bool(values.get("still_running")))
        if started and ended and ended <= started:
            self.add_error("ended_at", "The end must be after the start.")
        born = self.patient.birth_date
        if started and born and started.astimezone(self.patient.clinic.zone).date() < born:
            self.add_error("started_at", "This start lies before the patient was born. Check the year.")
        self._refuse_same_start(started)
        self._check_day(values)
        return values

    def _check_running(self, ended: Any, *, still_running: bool) -> None:
        """No end is a statement too: without it nobody is asked how the patient is."""
        if ended is None and not still_running and "ended_at" not in self.errors:
            self.add_error("ended_at", "Write the end, or tick that it is still running.")
        elif ended and still_running:
            self.add_error("ended_at", "Empty the end, or untick that it is still running.")

    def _refuse_same_start(self, started: Any) -> None:
        if not started:
            return
        same = Infusion.objects.current().filter(patient=self.patient, started_at=started)
        if self.infusion:
            same = same.exclude(pk=self.infusion.pk)
        else:
            # The same form sent again is not a second infusion: the verb gives back the first.
            same = same.exclude(submission_id=self.cleaned_data.get("submission_id"))
        if same.exists():
            self.add_error("started_at", str(AlreadyRecorded()))

    def _check_day(self, values: dict[str, Any]) -> None:
        day, course = values.get("day"), values.get("course") or (self.infusion.course if self.infusion else None)
        days = course.planned_days if course else values.get("planned_days")
        if day and days and day > days:
            self.add_error("day", f"Day {day} of a course of {days} {'day' if days == 1 else 'days'} cannot be.")

    def details(self) -> dict[str, Any]:
        """Columns of Infusion as typed, for the verb."""
        names = (*COLUMNS, "started_at") if self.starting else (*COLUMNS, "started_at", "ended_at")
        details = {name: self.cleaned_data[name] for name in names}
        if self.starting:
            return details
        seen = self.cleaned_data["reaction_seen"]
        details["reaction_record"] = ReactionRecord.SEEN if seen == SAW_REACTION else seen
        return details
