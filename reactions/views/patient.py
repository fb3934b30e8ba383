"""The patient's page with the timeline, and voiding a patient's record."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import StaffRequest, posted
from patients.forms.patient import VoidForm
from patients.models import IgaResult, StaleRecord
from patients.views.patients import find_patient
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
    form = VoidForm(posted(request), initial={"seen_version": patient.version})
    if request.method == "POST" and form.is_valid():
        try:
            recording.void_patient(patient, by=request.user, now=timezone.now(), **form.cleaned_data)
        except StaleRecord:
            form.add_error(None, "Somebody else changed this record in the meantime. Look at it again first.")
        else:
            messages.success(request, "The patient's record is void.")
            return redirect("reactions:patient", pk)
    return render(request, "patients/void.html", {"form": form, "patient": patient, "record": patient})
