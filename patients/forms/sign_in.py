"""The forms of the sign-in, laid out as all others. What they check is django-allauth's."""

from typing import Any

from allauth.account.forms import LoginForm
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.totp.forms import ActivateTOTPForm
from crispy_forms.helper import FormHelper
from crispy_forms.layout import Submit
from django import forms


def _laid_out(form: forms.Form, name: str, words: str) -> FormHelper:
    helper = FormHelper(form)
    helper.form_action = ""
    helper.add_input(Submit(name, words, css_class="btn btn-primary btn-lg w-100"))
    return helper


def _ask_for_a_code(field: forms.Field, help_text: str) -> None:
    field.label, field.help_text = "Code", help_text
    field.widget.attrs = {"autocomplete": "one-time-code", "autofocus": True, "autocapitalize": "off"}


class SignInForm(LoginForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].widget.attrs = {"autocomplete": "username", "autocapitalize": "none"}
        self.fields["password"].widget.attrs.pop("placeholder", None)
        self.fields["password"].help_text = ""
        self.helper = _laid_out(self, "sign-in", "Sign in")


class CodeForm(AuthenticateForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _ask_for_a_code(self.fields["code"], "Six digits from your authenticator app, or one of your recovery codes.")
        self.helper = _laid_out(self, "confirm", "Sign in")


class CodeAgainForm(ReauthenticateForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _ask_for_a_code(self.fields["code"], "Six digits from your authenticator app, or one of your recovery codes.")
        self.helper = _laid_out(self, "confirm", "Confirm")
        self.helper.form_action = None


class FirstCodeForm(ActivateTOTPForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _ask_for_a_code(self.fields["code"], "The six digits that the app shows now.")
        self.helper = _laid_out(self, "activate", "Use this app")
