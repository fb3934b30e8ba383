"""What a named person decides about a signal."""

from typing import Any
from uuid import UUID, uuid4

from django import forms

from patients.forms.fields import SubmissionField, VersionForm, say_what_is_missing
from reactions.vocabulary import SignalVerdict, choices


class DecisionForm(VersionForm):
    """One decision about the figures that were seen, with the reason in the person's own words."""

    submission_id = SubmissionField()
    verdict = forms.ChoiceField(choices=choices(SignalVerdict), widget=forms.RadioSelect, label="What was decided?")
    words = forms.CharField(
        max_length=1000,
        label="In your words",
        help_text="What was looked at, what was found, who was told.",
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def __init__(self, data: Any = None, *, version: int) -> None:
        super().__init__(data, initial={"submission_id": uuid4(), "seen_version": version})
        say_what_is_missing(self)

    @property
    def verdict_taken(self) -> SignalVerdict:
        return SignalVerdict(self.cleaned_data["verdict"])

    @property
    def submission(self) -> UUID:
        given: UUID = self.cleaned_data["submission_id"]
        return given
