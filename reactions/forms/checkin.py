"""What a patient fills in: the first question, and the details after a yes."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.forms.fields import ClinicDateTimeField
from reactions.models import Answer, CheckIn
from reactions.vocabulary import PatientSeverity, PatientSymptom, choices

SEVERITY_CHIPS = [
    ("", _("No")),
    (PatientSeverity.MILD, _("Mild")),
    (PatientSeverity.MODERATE, _("Moderate")),
    (PatientSeverity.SEVERE, _("Severe")),
]


class SentOnceForm(forms.Form):
    """A form that knows when it is sent a second time. Without its id, or with a bent one, it is taken all the same."""

    submission_id = forms.Field(required=False, widget=forms.HiddenInput, initial=uuid4)

    def clean_submission_id(self) -> UUID | None:
        try:
            return UUID(str(self.cleaned_data["submission_id"]))
        except ValueError:
            return None

    def sent_as(self) -> dict[str, Any]:
        """The form's id, for the verb."""
        return {"submission_id": self.cleaned_data["submission_id"]}


class FirstQuestionForm(SentOnceForm):
    has_problem = forms.TypedChoiceField(
        label=_("Your answer"),
        coerce=lambda value: value == "yes",
        choices=[("no", _("No, nothing new or worse")), ("yes", _("Yes"))],
        widget=forms.RadioSelect,
        error_messages={"required": _("Please choose No or Yes.")},
    )


class DetailsForm(SentOnceForm):
    """Symptoms with how bad each was, when it began, and what the patient did. Times are on the patient's clocks."""

    still_there = forms.TypedChoiceField(
        label=_("Is it still there?"),
        required=False,
        coerce=lambda value: {"yes": True, "no": False}.get(value),
        empty_value=None,
        choices=[("yes", _("Yes")), ("no", _("No, it is over"))],
        widget=forms.RadioSelect,
    )
    care_sought = forms.ChoiceField(
        label=_("What did you do about it?"),
        required=False,
        choices=Answer._meta.get_field("care_sought").choices,  # type: ignore[arg-type]
        widget=forms.RadioSelect,
    )
    comment = forms.CharField(
        label=_("Anything else we should know?"),
        help_text=_("Nobody reads this at once. For help now, call."),
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        error_messages={"max_length": _("Please keep it under 10,000 characters.")},
    )

    def __init__(self, *args: Any, checkin: CheckIn, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.checkin = checkin
        for code, label in choices(PatientSymptom):
            self.fields[self.field_of(code)] = forms.ChoiceField(
                label=_(label), required=False, choices=SEVERITY_CHIPS, widget=forms.RadioSelect
            )
        self.fields["began_at"] = ClinicDateTimeField(
            zone=checkin.infusion.patient.zone,
            label=_("When did it begin?"),
            help_text=_("About is good enough."),
            required=False,
        )

    @staticmethod
    def field_of(symptom: str) -> str:
        return f"symptom_{symptom}"

    @property
    def symptom_fields(self) -> list[forms.BoundField]:
        return [self[self.field_of(code)] for code, _label in choices(PatientSymptom)]

    def clean_began_at(self) -> datetime | None:
        began: datetime | None = self.cleaned_data["began_at"]
        if began and began > timezone.now():
            raise forms.ValidationError(_("This time has not come yet. Please check the date."))
        if began and began < self.checkin.infusion.started_at:
            raise forms.ValidationError(_("This is before your infusion. Please check the date."))
        return began

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.symptoms() and not values.get("comment") and not self.errors:
            raise forms.ValidationError(_("Please mark at least one problem, or tell us in your own words below."))
        return values

    def symptoms(self) -> dict[str, str]:
        """{PatientSymptom: PatientSeverity} for what was marked."""
        marked = {code: self.cleaned_data.get(self.field_of(code), "") for code, _label in choices(PatientSymptom)}
        return {code: severity for code, severity in marked.items() if severity}

    def details(self) -> dict[str, Any]:
        """Columns of Answer as given, for the verb."""
        return {name: self.cleaned_data[name] for name in ("began_at", "still_there", "care_sought", "comment")}

    def what_is_clear(self) -> dict[str, Any]:
        """Columns of Answer as far as they can be read; what is amiss stays empty."""
        return {
            "began_at": self.cleaned_data.get("began_at"),
            "still_there": self.cleaned_data.get("still_there"),
            "care_sought": self.cleaned_data.get("care_sought", ""),
            "comment": self.cleaned_data.get("comment", ""),
        }
