from typing import Any

from crispy_forms.helper import FormHelper
from django import forms

from patients.forms.fields import say_what_is_missing, with_value


class AcknowledgeForm(forms.Form):
    """What was done about an alert. `seen_answer` is the answer that the page showed."""

    seen_answer = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput)
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

    def accept_answer(self, answer: int) -> None:
        """Take this answer as seen: sending the same words again is about it."""
        self.data = with_value(self.data, "seen_answer", str(answer))
