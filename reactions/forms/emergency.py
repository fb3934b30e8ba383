"""Opening a record of another clinic in an emergency."""

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Submit
from django import forms

from patients.forms.fields import DateField, say_what_is_missing
from patients.models import EmergencyAccess


class EmergencyForm(forms.Form):
    """Who is lying there, by what is on the wristband, and why it cannot wait."""

    mrn = forms.CharField(max_length=50, label="Medical record number")
    birth_date = DateField()
    reason = forms.CharField(
        min_length=10,
        max_length=EmergencyAccess._meta.get_field("reason").max_length,
        label="Why it cannot wait",
        help_text="The patient's clinic reads it, with your name.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        say_what_is_missing(self)
        self.helper = FormHelper(self)
        self.helper.add_input(Submit("open", "Open the record", css_class="btn btn-danger btn-lg"))
