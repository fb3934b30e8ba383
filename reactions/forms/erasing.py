"""Erasing what names a patient."""

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Layout
from django import forms
from django.core.exceptions import ValidationError

from patients.forms.fields import VersionForm, say_what_is_missing
from patients.models import Patient


class EraseForm(VersionForm):
    """The record number once more, since nothing brings back what is erased; and why."""

    mrn = forms.CharField(
        max_length=60,
        label="The patient's record number, to be sure",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    reason = forms.CharField(
        max_length=300,
        label="Why it is erased",
        help_text="Such as: asked for by the patient in a letter. It stays readable, so name nobody.",
    )

    def __init__(self, data: Any = None, *, patient: Patient) -> None:
        super().__init__(data, initial={"seen_version": patient.version})
        self.patient = patient
        say_what_is_missing(self)
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = Layout("seen_version", "mrn", "reason")

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"]
        for named in (self.patient.mrn, self.patient.given_name, self.patient.family_name):
            if named and named.lower() in reason.lower():
                raise ValidationError("The reason stays readable for good: write it without the name and the number.")
        return reason

    def clean_mrn(self) -> str:
        typed = self.cleaned_data["mrn"].strip()
        if typed != self.patient.mrn:
            raise ValidationError("This is not the number of the record that is open.")
        return typed
