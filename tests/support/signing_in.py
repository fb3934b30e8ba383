"""Test clients that are signed in, with both steps taken, without going through the forms."""

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.test import Client

from patients.models import User
from patients.signing_in import second_step


def let_clients_sign_in() -> None:
    """`force_login` leaves the session of someone who has taken the second step too."""
    Client._login = _sign_in  # type: ignore[attr-defined]


def _sign_in(self: Any, user: User, backend: str | None = None) -> None:
    request = HttpRequest()
    request.user = AnonymousUser()
    request.session = self.session or import_module(settings.SESSION_ENGINE).SessionStore()
    login(request, user, backend)
    second_step.note_taken(request, user)
    request.session.save()
    self._set_login_cookies(request)
