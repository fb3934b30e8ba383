"""Inviting somebody to a clinic's staff."""

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Submit
from django import forms

from patients.forms.fields import say_what_is_missing
from patients.models import Clinic, User
from patients.words import StaffRoleName

OF_THE_PERSON = ("username", "first_name", "last_name", "email")


class InvitationForm(forms.ModelForm):
    """Who, and as what. The clinic is one that the user administers."""

    clinic = forms.ModelChoiceField(Clinic.objects.none(), empty_label=None)
    role = forms.ChoiceField(choices=StaffRoleName.choices())

    class Meta:
        model = User
        fields = OF_THE_PERSON
        labels = {"username": "Name to sign in with"}

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("first_name", "last_name", "email"):
            self.fields[name].required = True
        clinics = Clinic.objects.administered_by(user)
        self.fields["clinic"] = forms.ModelChoiceField(clinics, empty_label=None)
        self.fields["email"].help_text = "Where alerts and news for the staff go. The link is shown to you, not mailed."
        say_what_is_missing(self)
        self.helper = FormHelper(self)
        self.helper.add_input(Submit("invite", "Make the account", css_class="btn btn-primary btn-lg"))

    def details(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in OF_THE_PERSON}

    @property
    def chosen_role(self) -> StaffRoleName:
        return StaffRoleName(self.cleaned_data["role"])
