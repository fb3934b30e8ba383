"""Middleware of the shell."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from patients.access import mark_saved, origin_of
from patients.models import RecordVoided
from patients.origin import acting_from
from patients.reading import note_page
from patients.signing_in import lasting, second_step


def clinic_time_zone(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Show times in the zone of the clinic where the signed-in person works.

    Pages about one record switch to that record's clinic themselves; the zone never leaks into the next request.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        clinic = request.user.first_clinic() if request.user.is_authenticated else None
        with timezone.override(clinic.zone if clinic else None):
            return get_response(request)

    return middleware


# Features of a browser that no page here uses, so that none can be made to.
UNUSED = ("bluetooth", "camera", "display-capture", "geolocation", "microphone", "midi", "payment", "serial", "usb")
PERMISSIONS = ", ".join(f"{feature}=()" for feature in UNUSED)


def headers(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Say to browsers what Django and django-csp have no word for: nothing here is used by other sites, or kept."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.setdefault("Permissions-Policy", PERMISSIONS)
        return response

    return middleware


def kept_nowhere(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """What somebody saw who was signed in is in no cache when the next person takes the tablet."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.user.is_authenticated:
            response.setdefault("Cache-Control", "private, no-store")
        return response

    return middleware


def trail(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Let the audit trail know from where a request comes, and write down which pages staff open."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with acting_from(origin_of(request)) as here:
            response = get_response(request)
            note_page(request, response, here)
        return response

    return middleware


def saved_mark(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Mark the answer that leads on from a form of staff that was saved, so that its draft is forgotten.

    A form that was refused comes back itself, and who was signed out meanwhile is led to the sign-in page unmarked.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.method == "POST" and response.status_code == HTTPStatus.FOUND and request.user.is_authenticated:
            mark_saved(request, response)
        return response

    return middleware


def session_that_ends(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Sign out whoever did nothing for too long, or is signed in since yesterday's shift. What was typed is kept."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            if lasting.is_over(request):
                logout(request)
            else:
                lasting.note_doing(request)
        return get_response(request)

    return middleware


class SecondStep:
    """Whoever signed in with a password alone gets no further than the page that sets up the second step."""

    # What there is to do before it.
    BEFORE = frozenset({"mfa_index", "mfa_activate_totp", "mfa_add_webauthn", "account_login", "account_logout"})

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        is_open_to_all = not getattr(view, "login_required", True)
        if not settings.SECOND_STEP_REQUIRED or is_open_to_all or not request.user.is_authenticated:
            return None
        if second_step.is_taken(request):
            return None
        if second_step.has_one(request.user):
            # A session from before it was set up, perhaps not of the person who did.
            logout(request)
            return redirect_to_login(request.get_full_path())
        match = request.resolver_match
        return None if match and match.view_name in self.BEFORE else redirect("mfa_index")


class VoidedMeanwhile:
    """A form about a record that somebody voided after it was opened: a page says so, and nothing is written."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return render(request, "voided.html", status=409) if isinstance(error, RecordVoided) else None
