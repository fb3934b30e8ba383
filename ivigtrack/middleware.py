"""Middleware of the shell."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone


def clinic_time_zone(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Show times in the zone of the clinic where the signed-in person works.

    Pages about one record switch to that record's clinic themselves; the zone never leaks into the next request.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        clinic = request.user.first_clinic() if request.user.is_authenticated else None
        with timezone.override(clinic.zone if clinic else None):
            return get_response(request)

    return middleware
