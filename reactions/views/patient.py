"""The patient's page with the timeline, and voiding a patient's record."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import StaffRequest
from patients.models import IgaResult
from patients.views.patients import find_patient
from patients.views.voiding import void_page
from reactions import recording
from reactions.models import Alert
from reactions.views import timeline


@require_safe
def patient_page(request: StaffRequest, pk: int) -> HttpResponse:
    patient = find_patient(request.user, pk)
    page = timeline.infusions_page(patient, request.GET.get("page"))
    context = {
        "patient": patient,
        "page": page,
        "entries": timeline.entries(patient, page),
        "iga": IgaResult.objects.in_force_on(timezone.localdate()).filter(patient=patient).first(),
        "alerts": Alert.objects.open().filter(patient=patient),
        "history": timeline.history_of(patient),
    }
    return render(request, "patients/page.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def void_patient(request: StaffRequest, pk: int) -> HttpResponse:
    patient = find_patient(request.user, pk)
    if patient.is_void:
        raise Http404("The record is void.")
    return void_page(
        request,
        patient,
        recording.void_patient,
        patient=patient,
        said="The patient's record is void.",
        back=reverse("reactions:patient", args=[pk]),
    )
