from typing import Any

from crispy_forms.helper import FormHelper
from django import forms
from django.db.models import QuerySet

from patients.forms.fields import say_what_is_missing, with_value
from patients.models import Clinic


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


class AlertTimesForm(forms.Form):
    """Whose alerts the times are of: one of the administrator's clinics, or all."""

    def __init__(self, *args: Any, clinics: QuerySet[Clinic], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.clinics = clinics
        self.fields["clinic"] = forms.ModelChoiceField(
            clinics, to_field_name="slug", required=False, empty_label="All my clinics"
        )

    def chosen_clinics(self) -> list[Clinic]:
        """The clinics that are asked about, all of them the administrator's own."""
        chosen = self.cleaned_data["clinic"]
        return [chosen] if chosen else list(self.clinics)
