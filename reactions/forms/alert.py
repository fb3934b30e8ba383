from typing import Any

from crispy_forms.helper import FormHelper
from django import forms

from patients.forms.fields import say_what_is_missing


class AcknowledgeForm(forms.Form):
    """What was done about an alert."""

    what_was_done = forms.CharField(
        max_length=500,
        label="What was done?",
        help_text="Such as: called the patient at 14:10, seen in clinic today.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        say_what_is_missing(self)
        self.helper = FormHelper()
        self.helper.form_tag = False
