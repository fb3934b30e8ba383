"""Calling a patient who did not answer: what came of it, and what was told."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Layout, Row
from django import forms
from django.utils import timezone

from patients.forms.fields import ClinicDateTimeField, SubmissionField, say_what_is_missing
from reactions.clinical.triage import RED_WORDS
from reactions.models import Answer, CheckIn
from reactions.vocabulary import LABELS, PatientSeverity, PatientSymptom, PhoneOutcome, choices

BOX = {"class": "form-check-input"}


class CallForm(forms.Form):
    """What came of one call."""

    submission_id = SubmissionField()
    outcome = forms.ChoiceField(
        choices=choices(PhoneOutcome), widget=forms.RadioSelect(attrs=BOX), label="What came of the call?"
    )
    words = forms.CharField(
        max_length=500,
        required=False,
        label="In your words",
        help_text="Such as: her daughter answered, call again after 17:00.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, initial={"submission_id": uuid4()})
        say_what_is_missing(self)
        self.helper = FormHelper()
        self.helper.form_tag = False

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if values.get("outcome") == PhoneOutcome.GIVEN_UP and not values.get("words") and "words" not in self.errors:
            self.add_error("words", "Write why nobody tries any further.")
        return values

    @property
    def outcome_taken(self) -> PhoneOutcome:
        return PhoneOutcome(self.cleaned_data["outcome"])

    @property
    def submission(self) -> UUID:
        given: UUID = self.cleaned_data["submission_id"]
        return given


class TelephoneAnswerForm(forms.Form):
    """What a patient tells on the telephone, in the words of the patients' pages. Times are on the patient's clocks."""

    submission_id = SubmissionField()
    still_there = forms.TypedChoiceField(
        required=False,
        coerce=lambda value: {"yes": True, "no": False}.get(value),
        empty_value=None,
        choices=[("", "Not said"), ("yes", "Yes"), ("no", "No, all of it is over")],
        label="Is it still there?",
    )
    comment = forms.CharField(
        required=False, max_length=10_000, label="In the patient's words", widget=forms.Textarea(attrs={"rows": 4})
    )

    def __init__(self, data: Any = None, *, checkin: CheckIn) -> None:
        super().__init__(data, initial={"submission_id": uuid4()})
        self.checkin = checkin
        severities = [
            ("", "No"),
            *((str(one), LABELS[PatientSeverity][one].partition(":")[0]) for one in PatientSeverity),
        ]
        for code, label in choices(PatientSymptom):
            self.fields[_field_of(code)] = forms.ChoiceField(label=label, required=False, choices=severities)
        self.fields["began_at"] = ClinicDateTimeField(
            zone=checkin.patient.zone, required=False, label="When did it begin?"
        )
        cares: Any = Answer._meta.get_field("care_sought").choices
        self.fields["care_sought"] = forms.ChoiceField(
            required=False, choices=[("", "Not said"), *cares], label="What did the patient do?"
        )
        say_what_is_missing(self)
        self.symptoms_helper, self.helper = FormHelper(), FormHelper()
        for helper in (self.symptoms_helper, self.helper):
            helper.form_tag = False
            helper.disable_csrf = True
        self.symptoms_helper.layout = Layout(
            "submission_id",
            Row(*(Column(_field_of(code), css_class="col-sm-6") for code in _emergencies_first())),
        )
        thirds = ("began_at", "still_there", "care_sought")
        self.helper.layout = Layout(Row(*(Column(name, css_class="col-sm-4") for name in thirds)), "comment")

    def clean_began_at(self) -> datetime | None:
        began: datetime | None = self.cleaned_data["began_at"]
        if began and began > timezone.now():
            raise forms.ValidationError("This time has not come yet. Check the date.")
        if began and began < self.checkin.infusion.started_at:
            raise forms.ValidationError("This is before the infusion. Check the date.")
        return began

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.symptoms() and not values.get("comment") and not self.errors:
            raise forms.ValidationError("Choose at least one problem, or write it in the patient's words.")
        return values

    def symptoms(self) -> dict[str, str]:
        """{PatientSymptom: PatientSeverity} for what was told."""
        told = {code: self.cleaned_data.get(_field_of(code), "") for code, _label in choices(PatientSymptom)}
        return {code: severity for code, severity in told.items() if severity}

    def details(self) -> dict[str, Any]:
        """Columns of Answer as told, for the verb."""
        return {name: self.cleaned_data[name] for name in ("began_at", "still_there", "care_sought", "comment")}

    @property
    def submission(self) -> UUID:
        given: UUID = self.cleaned_data["submission_id"]
        return given


def _emergencies_first() -> list[PatientSymptom]:
    return sorted(PatientSymptom, key=lambda symptom: symptom not in RED_WORDS)


def _field_of(symptom: str) -> str:
    return f"symptom_{symptom}"
