"""What django-allauth asks of us: nobody signs up, who tries too often waits, and secrets are sealed."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.http import HttpRequest

from patients.access import origin_of
from patients.models import User
from patients.sealing.keys import seal, unseal
from patients.signing_in import second_step

SERVICE = "IVIGTrack"
# What stands for the address of a client that has none, such as one behind a unix socket.
NOWHERE = "0.0.0.0"  # noqa: S104 - nothing listens there


class AccountAdapter(DefaultAccountAdapter):
    error_messages = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": "This name and password do not belong together. Both mind capital letters.",
        "too_many_login_attempts": (
            "There were too many attempts with this name from here. Wait five minutes, then try again. Others at your"
            " clinic can sign in meanwhile."
        ),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Accounts are made by administrators."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return origin_of(request).address or NOWHERE

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Attempts are counted by name and address together: a clinic sits behind one address, and whoever types a
        nurse's name elsewhere does not lock her out."""
        return f"{self.get_client_ip(request)} {super()._get_login_attempts_cache_key(request, **credentials)}"

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Not right after a second step, nor for the first one: there is nothing to confirm with."""
        return second_step.has_one(self.request.user) and not second_step.was_just_taken(self.request)


class SecondStepAdapter(DefaultMFAAdapter):
    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": "This code is not right, or was used before. Wait for the next one, and type that.",
        "cannot_delete_authenticator": (
            "This is your only second step. Add another one first; without any you could not sign in."
        ),
    }

    def encrypt(self, text: str) -> str:
        return seal(second_step.PURPOSE, text)

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(second_step.PURPOSE, encrypted_text)

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        return second_step.of(authenticator.user).exclude(pk=authenticator.pk).exists()

    def get_totp_label(self, user: AbstractBaseUser) -> str:
        return f"{user.get_username()}"

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:
        return "This device"

    def _get_site_name(self) -> str:
        return SERVICE


def name_of(user: User | AnonymousUser) -> str:
    """How allauth's pages call a person."""
    return f"{user}"
