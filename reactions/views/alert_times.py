"""The page “Times to acknowledge” of the admin, and its CSV."""

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from patients.access import signed_in
from patients.models import Clinic
from reactions.forms.clinics import ClinicsForm
from reactions.models import AlertPolicy
from reactions.rates.alert_times import alert_times, as_csv
from reactions.views.csv_file import csv_file, no_file


def _form(request: HttpRequest) -> ClinicsForm:
    return ClinicsForm(request.GET, clinics=Clinic.objects.administered_by(signed_in(request)))


@require_safe
def alert_times_page(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """Month × level: how many, median, 90th percentile, and how many within the clinic's targets."""
    form = _form(request)
    context = site.each_context(request) | {"title": "Times to acknowledge alerts", "form": form}
    if form.is_valid():
        clinics = form.chosen_clinics()
        context |= {
            "times": alert_times(clinics, now=timezone.now()),
            "policies": [AlertPolicy.of(clinic) for clinic in clinics],
        }
    return render(request, "admin/alert_times.html", context, status=200 if form.is_valid() else 400)


@require_safe
def alert_times_csv(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """The same numbers as a file, for the same clinics."""
    form = _form(request)
    if not form.is_valid():
        return no_file(form)
    return csv_file("alert-times.csv", as_csv(alert_times(form.chosen_clinics(), now=timezone.now())))
