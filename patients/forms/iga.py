"""Recording an IgA result."""

from typing import Any
from uuid import uuid4

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Fieldset, Layout, Row
from django import forms
from django.utils import timezone

from patients.forms.fields import DateField, NumberField, SubmissionField, say_what_is_missing
from patients.iga import Reading, is_implausible
from patients.models import IgaResult, Patient
from patients.words import AntiIga


class IgaForm(forms.ModelForm):
    submission_id = SubmissionField()
    value = NumberField(max_digits=10, decimal_places=4, label="IgA", required=False)
    lab_low = NumberField(max_digits=10, decimal_places=4, label="Laboratory's lower limit", required=False)
    lab_high = NumberField(max_digits=10, decimal_places=4, label="Laboratory's upper limit", required=False)
    measured_on = DateField(label="Date of the sample")
    anti_iga_on = DateField(required=False, label="Date of the anti-IgA test")
    confirm_high = forms.BooleanField(required=False, label="The value and its unit are right")

    class Meta:
        model = IgaResult
        fields = [
            "is_pending",
            "comparator",
            "value",
            "unit",
            "lab_low",
            "lab_high",
            "measured_on",
            "anti_iga",
            "anti_iga_isotype",
            "anti_iga_on",
        ]
        labels = {"is_pending": "The result is still pending", "comparator": "As printed"}

    def __init__(self, *args: Any, patient: Patient, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.patient = patient
        self.asks_confirmation = False
        self.fields["comparator"].required = False
        self.initial["submission_id"] = uuid4()
        say_what_is_missing(self)
        self.helper = FormHelper()
        self.helper.form_tag = False
        self._lay_out()

    def _lay_out(self) -> None:
        self.helper.layout = Layout(
            "submission_id",
            Fieldset(
                "Serum IgA",
                Row(
                    Column("measured_on", css_class="col-12 col-md-4"),
                    Column("comparator", css_class="col-4 col-md-2"),
                    Column("value", css_class="col-4 col-md-3"),
                    Column("unit", css_class="col-4 col-md-3"),
                ),
                *(["confirm_high"] if self.asks_confirmation else []),
                "is_pending",
                Row(Column("lab_low", css_class="col-6"), Column("lab_high", css_class="col-6")),
            ),
            Fieldset(
                "Antibodies against IgA",
                Row(
                    Column("anti_iga", css_class="col-md-4"),
                    Column("anti_iga_isotype", css_class="col-6 col-md-4"),
                    Column("anti_iga_on", css_class="col-6 col-md-4"),
                ),
            ),
        )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        today = timezone.localdate()
        for name in ("measured_on", "anti_iga_on"):
            if values.get(name) and values[name] > today:
                self.add_error(name, "This date lies in the future. Check the year.")
            elif values.get(name) and self.patient.birth_date and values[name] < self.patient.birth_date:
                self.add_error(name, "This date lies before the patient was born. Check the year.")
        value = values.get("value")
        if values.get("is_pending"):
            if value is not None:
                self.add_error("is_pending", "A pending result has no value yet: untick this, or empty the value.")
            values["comparator"] = ""
        elif value is None and "value" not in self.errors:
            self.add_error("value", "Write the value, or tick that the result is still pending.")
        elif value is not None and value < 0:
            self.add_error("value", "IgA cannot be negative.")
        elif value is not None and "unit" in values and is_implausible(Reading("", value, values["unit"])):
            self._ask_about_the_unit(confirmed=bool(values.get("confirm_high")))
        if values.get("anti_iga") == AntiIga.NOT_DONE:
            for name in ("anti_iga_isotype", "anti_iga_on"):
                if values.get(name):
                    self.add_error("anti_iga", "Choose the antibodies' result, or empty what stands beside it.")
                    break
        low, high = values.get("lab_low"), values.get("lab_high")
        for name in ("lab_low", "lab_high"):
            if values.get(name) is not None and values[name] < 0:
                self.add_error(name, "A limit cannot be negative.")
        if low is not None and high is not None and low >= high:
            self.add_error("lab_high", "The upper limit must be above the lower limit.")
        return values

    def _ask_about_the_unit(self, *, confirmed: bool) -> None:
        self.asks_confirmation = True
        self._lay_out()
        if not confirmed:
            self.add_error("value", "Above 15 g/L. Is the unit right? Tick below if it is.")

    def result(self) -> dict[str, Any]:
        """Columns of IgaResult as typed, for the verb."""
        return {name: value for name, value in self.cleaned_data.items() if name != "confirm_high"}

    def validate_constraints(self) -> None:
        """The rules above say the same as the table's constraints, beside the field they are about."""
