"""An account for somebody new: made by an administrator, opened by its person with a link that works once.

The link carries Django's password-reset token: an HMAC of the account's password, address and last sign-in. So it opens
nothing any more once a password is chosen, or after PASSWORD_RESET_TIMEOUT seconds. Nothing is stored for it.
"""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from patients.models import Clinic, StaffRole, User, write_event
from patients.words import StaffRoleName


class LinkUsed(ValueError):
    """Somebody chose a password by this link before, or it is too old."""


@transaction.atomic
def invite(*, by: User, clinic: Clinic, role: StaffRoleName, details: dict[str, Any]) -> User:
    """Make an account that nobody can sign in with until its link was opened. `details` are columns of User."""
    user = User(**details)
    user.set_unusable_password()
    user.save()
    StaffRole.objects.create(user=user, clinic=clinic, role=role)
    write_event("person.invited", by=by, about=user, clinic=clinic, reason=f"{role} at {clinic.slug}")
    return user


def link_path(user: User) -> str:
    """The path of the account's link."""
    name = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("invitation", args=[name, default_token_generator.make_token(user)])


def links_of(users: Iterable[User]) -> list[tuple[User, str]]:
    """Each account with the address of its link."""
    return [(user, f"{settings.SITE_URL}{link_path(user)}") for user in users]


@transaction.atomic
def choose_password(user: User, password: str, *, token: str) -> None:
    """Set it, if the link was not used meanwhile. Raises LinkUsed otherwise, and changes nothing."""
    held = User.objects.select_for_update().get(pk=user.pk)
    if not held.is_active or not default_token_generator.check_token(held, token):
        raise LinkUsed
    held.set_password(password)
    held.save(update_fields=["password"])
    write_event("person.password_chosen", by=held, about=held, reason="by an administrator's link")
