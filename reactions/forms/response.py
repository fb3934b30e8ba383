"""Recording and correcting what was measured of the response to treatment."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Layout, Row
from django import forms
from django.db.models import Q
from django.utils import timezone

from patients.forms.fields import DateField, NumberField, SubmissionField, VersionForm, say_what_is_missing
from patients.models import Patient
from reactions.clinical.response import MEASURES, why_impossible
from reactions.models import Infusion, ResponseMeasures

# How many of the latest infusions are offered as the one that the measures belong to.
RECENT_INFUSIONS = 12
# Measures further from an infusion than this do not belong to it: a slip of date or choice. This project's own limit.
BELONGS_WITHIN = timedelta(days=14)
BETTER = {True: "Higher is better.", False: "Lower is better."}


class ResponseForm(VersionForm):
    """One day's measures; what was not measured stays empty."""

    submission_id = SubmissionField()
    measured_on = DateField(label="Date of the measures")

    def __init__(
        self,
        data: Any = None,
        *,
        patient: Patient,
        measured: ResponseMeasures | None = None,
        infusion: Infusion | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data, initial=_first_values(measured, infusion), **kwargs)
        self.patient, self.measured = patient, measured
        for column, code in ResponseMeasures.MEASURES.items():
            measure = MEASURES[code]
            self.fields[column] = NumberField(
                label=f"{measure.label} ({measure.unit})",
                max_digits=10,
                required=False,
                help_text=f"{measure.low:f} to {measure.high:f}. {BETTER[measure.higher_is_better]}",
            )
        self.fields["infusion"] = InfusionChoice(
            _offered(patient, infusion or (measured.infusion if measured else None)),
            required=False,
            label="Measured with the infusion of",
            empty_label="None in particular",
        )
        if measured:
            self.fields["reason"] = forms.CharField(
                max_length=500, label="Reason for the correction", help_text="Kept with the record's history."
            )
        say_what_is_missing(self)
        self.helper = FormHelper()
        self.helper.form_tag = False
        columns = [Column(name, css_class="col-sm-6") for name in ResponseMeasures.MEASURES]
        self.helper.layout = Layout(
            "submission_id",
            "seen_version",
            Row(Column("measured_on", css_class="col-sm-6"), Column("infusion", css_class="col-sm-6")),
            Row(*columns),
            *(["reason"] if measured else []),
        )

    def clean_measured_on(self) -> date:
        day: date = self.cleaned_data["measured_on"]
        if day > timezone.localdate():
            raise forms.ValidationError("This date lies in the future. Check the year.")
        if self.patient.birth_date and day < self.patient.birth_date:
            raise forms.ValidationError("This date lies before the patient was born. Check the year.")
        return day

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        for column, code in ResponseMeasures.MEASURES.items():
            value: Decimal | None = values.get(column)
            if value is not None and (why := why_impossible(code, value)):
                self.add_error(column, why)
        day, infusion = values.get("measured_on"), values.get("infusion")
        if day and infusion:
            given = timezone.localtime(infusion.started_at, self.patient.clinic.zone).date()
            if abs(given - day) > BELONGS_WITHIN:
                apart = f"That infusion was {abs(given - day).days} days from the measures."
                self.add_error("infusion", f"{apart} Check the date, or choose another or “None in particular”.")
        if not self.errors and all(values.get(column) is None for column in ResponseMeasures.MEASURES):
            self.add_error("mmt8", "Write at least one measure.")
        return values

    def measures(self) -> dict[str, Any]:
        """Columns of ResponseMeasures, each value with the places that it is kept with, for the verb."""
        values = {name: self.cleaned_data[name] for name in ("measured_on", "infusion")}
        for column, code in ResponseMeasures.MEASURES.items():
            typed: Decimal | None = self.cleaned_data[column]
            whole = MEASURES[code].decimals == 0
            values[column] = typed if typed is None else int(typed) if whole else typed.quantize(Decimal("0.1"))
        return values

    @property
    def submission_id_given(self) -> UUID:
        submission: UUID = self.cleaned_data["submission_id"]
        return submission


class InfusionChoice(forms.ModelChoiceField):
    """An infusion, told apart by its day."""

    def label_from_instance(self, infusion: Infusion) -> str:
        return f"{timezone.localtime(infusion.started_at):%Y-%m-%d}, {infusion}"


def _offered(patient: Patient, chosen: Infusion | None) -> Any:
    recent = list(patient.infusions.current().values_list("pk", flat=True)[:RECENT_INFUSIONS])
    return Infusion.objects.filter(Q(pk__in=recent) | Q(pk=chosen.pk if chosen else None)).select_related("product")


def _first_values(measured: ResponseMeasures | None, infusion: Infusion | None) -> dict[str, Any]:
    values: dict[str, Any] = {"submission_id": uuid4()}
    if measured is None:
        day = timezone.localtime(infusion.started_at).date() if infusion else timezone.localdate()
        return values | {"measured_on": day, "infusion": infusion}
    names = ("measured_on", "infusion", *ResponseMeasures.MEASURES)
    return values | {name: getattr(measured, name) for name in names} | {"seen_version": measured.version}
