"""Middleware of the shell."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from patients.models import RecordVoided


def clinic_time_zone(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Show times in the zone of the clinic where the signed-in person works.

    Pages about one record switch to that record's clinic themselves; the zone never leaks into the next request.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        clinic = request.user.first_clinic() if request.user.is_authenticated else None
        with timezone.override(clinic.zone if clinic else None):
            return get_response(request)

    return middleware


class VoidedMeanwhile:
    """A form about a record that somebody voided after it was opened: a page says so, and nothing is written."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return render(request, "voided.html", status=409) if isinstance(error, RecordVoided) else None
