"""Registering and correcting a patient, and voiding a record."""

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import HTML, Column, Fieldset, Layout, Row
from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from patients import consent
from patients.forms.fields import DateField, Difference, differences, say_what_is_missing, with_value
from patients.models import Clinic, Patient, User
from patients.words import DIAGNOSES

OLDEST_BIRTH_YEAR = 1900


class PatientForm(forms.ModelForm):
    """A patient's details. The clinic is asked for only when the person works in several."""

    suggested_diagnoses = DIAGNOSES
    consent_texts = consent.TEXTS[consent.CURRENT]

    seen_version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    birth_date = DateField()
    died_on = DateField(required=False, label="Date of death", help_text="Stops every check-in.")
    email_consent = forms.BooleanField(
        required=False,
        label="Agrees to check-ins by ordinary email",
        help_text="Read the text below to the patient first. No check-in is sent without the agreement.",
    )

    class Meta:
        model = Patient
        fields = [
            "clinic",
            "mrn",
            "given_name",
            "family_name",
            "birth_date",
            "sex",
            "diagnosis",
            "email",
            "phone",
            "language",
            "time_zone",
            "died_on",
        ]
        labels = {"mrn": "Medical record number", "time_zone": "Time zone"}
        widgets = {"diagnosis": forms.TextInput(attrs={"list": "diagnoses", "autocomplete": "off"})}

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields["given_name"].required = self.fields["family_name"].required = True
        clinics = Clinic.objects.visible_to(user)
        self.chosen_clinic: Clinic | None = self.instance.clinic if self.instance.pk else clinics.first()
        if self.instance.pk or len(clinics) == 1:
            del self.fields["clinic"]
        else:
            self.fields["clinic"] = forms.ModelChoiceField(clinics, empty_label=None)
        if self.instance.pk:
            self.initial["email_consent"] = self.instance.email_consent_at is not None
            self.initial["seen_version"] = self.instance.version
        else:
            del self.fields["died_on"]
        say_what_is_missing(self)
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = Layout(
            "seen_version",
            *(["clinic"] if "clinic" in self.fields else []),
            Fieldset(
                "Who it is",
                Row(Column("given_name", css_class="col-md-6"), Column("family_name", css_class="col-md-6")),
                Row(
                    Column("mrn", css_class="col-md-4"),
                    Column("birth_date", css_class="col-6 col-md-4"),
                    Column("sex", css_class="col-6 col-md-4"),
                ),
                "diagnosis",
            ),
            Fieldset(
                "How to reach them",
                Row(Column("email", css_class="col-md-6"), Column("phone", css_class="col-md-6")),
                "email_consent",
                HTML('{% include "patients/consent_text.html" %}'),
                Row(Column("language", css_class="col-md-6"), Column("time_zone", css_class="col-md-6")),
            ),
            *(["died_on"] if "died_on" in self.fields else []),
        )

    def clean_mrn(self) -> str:
        return self.cleaned_data["mrn"].strip()

    def clean_birth_date(self) -> Any:
        born = self.cleaned_data["birth_date"]
        if born > timezone.localdate():
            raise ValidationError("The birth date lies in the future. Check the year.")
        if born.year < OLDEST_BIRTH_YEAR:
            raise ValidationError(f"The birth date lies before {OLDEST_BIRTH_YEAR}. Check the year.")
        return born

    def clean_died_on(self) -> Any:
        died = self.cleaned_data["died_on"]
        if died and died > timezone.localdate():
            raise ValidationError("The date of death lies in the future. Check the year.")
        return died

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if values.get("email_consent") and not values.get("email") and "email" not in self.errors:
            self.add_error("email", "Write the address to which check-ins shall go, or untick the agreement below.")
        born, died = values.get("birth_date"), values.get("died_on")
        if born and died and died < born:
            self.add_error("died_on", "The date of death lies before the birth date.")
        self.chosen_clinic = values.get("clinic") or self.chosen_clinic
        if self.chosen_clinic is None:
            raise ValidationError("You have no role in a clinic yet. Ask your administrator for one.")
        mrn = values.get("mrn")
        same = Patient.objects.current().filter(clinic=self.chosen_clinic).with_number([mrn] if mrn else [])
        if taken := same.exclude(pk=self.instance.pk).first():
            self.add_error(
                "mrn",
                f"{taken.full_name} already has this number at {self.chosen_clinic}. Search for them in the list.",
            )
        return values

    def accept_version(self, stored: Patient) -> None:
        """Take the stored version as seen: the next saving of what was typed replaces it.

        Consent and a date of death are taken over as stored. An old form neither gives a consent back that was
        withdrawn nor wakes the dead: who means that says it again.
        """
        data = with_value(self.data, "seen_version", str(stored.version))
        data = with_value(data, "died_on", stored.died_on.isoformat() if stored.died_on else "")
        data.pop("email_consent", None)
        if stored.email_consent_at:
            data = with_value(data, "email_consent", "on")
        self.data = data

    def differences(self, stored: Patient) -> list[Difference]:
        """Every field in which the form and the stored record disagree."""
        return differences(type(self)(instance=stored, user=self.user), self)

    @property
    def clinic(self) -> Clinic:
        """The clinic in which the valid form registers the patient."""
        if self.chosen_clinic is None:
            raise ValueError("The form is not valid: no clinic was chosen.")
        return self.chosen_clinic

    def details(self) -> dict[str, Any]:
        """Columns of Patient as typed, for the verb."""
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if name not in {"clinic", "email_consent", "seen_version"}
        }


class VoidForm(forms.Form):
    """Why a record is taken out of use."""

    seen_version = forms.IntegerField(widget=forms.HiddenInput)
    reason = forms.CharField(
        max_length=500,
        label="Why is this record void?",
        help_text="Such as: entered for the wrong patient. The record stays readable, and counts nowhere.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        say_what_is_missing(self)
        self.helper = FormHelper()
        self.helper.form_tag = False
