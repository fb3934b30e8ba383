"""The page “Times to acknowledge” of the admin, and its CSV."""

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from patients.access import signed_in
from patients.models import Clinic
from reactions.forms.alert import AlertTimesForm
from reactions.models import AlertPolicy
from reactions.rates.alert_times import alert_times, as_csv


def _form(request: HttpRequest) -> AlertTimesForm:
    return AlertTimesForm(request.GET, clinics=Clinic.objects.administered_by(signed_in(request)))


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
        said = " ".join(str(error) for errors in form.errors.values() for error in errors)
        return HttpResponseBadRequest(f"{said}\n", content_type="text/plain; charset=utf-8")
    headers = {"Content-Disposition": 'attachment; filename="alert-times.csv"'}
    text = as_csv(alert_times(form.chosen_clinics(), now=timezone.now()))
    return HttpResponse(text, content_type="text/csv; charset=utf-8", headers=headers)
