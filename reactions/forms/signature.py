"""Signing a reaction."""

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Layout
from django import forms

from patients.forms.fields import VersionForm
from reactions.vocabulary import SignatureMeaning, choices


class SignForm(VersionForm):
    """The meaning, and the signer's own password once more. The password is never shown again."""

    # Our own words say more than the browser's, and beside every field at once.
    use_required_attribute = False

    meaning = forms.ChoiceField(
        choices=choices(SignatureMeaning),
        widget=forms.RadioSelect,
        label="What your signature says",
        error_messages={"required": "Choose what your signature says."},
    )
    password = forms.CharField(
        strip=False,
        max_length=500,
        label="Your password, once more",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": "Write your password."},
    )

    def __init__(self, data: Any = None, *, version: int) -> None:
        super().__init__(data, initial={"seen_version": version})
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = Layout("seen_version", "meaning", "password")
