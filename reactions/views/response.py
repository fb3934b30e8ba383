"""Recording, correcting and voiding what was measured of the response to treatment."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from patients.access import StaffRequest, posted
from patients.forms.fields import differences
from patients.models import Patient, RecordVoided, StaleRecord, User
from patients.views.history import history_of
from patients.views.patients import find_patient_to_change
from patients.views.voiding import void_page
from reactions import recording
from reactions.forms.response import ResponseForm
from reactions.models import Infusion, ResponseMeasures
from reactions.views.saved import saved_before


@require_http_methods(["GET", "HEAD", "POST"])
def record_response(request: StaffRequest, pk: int) -> HttpResponse:
    patient = find_patient_to_change(request.user, pk)
    form = ResponseForm(posted(request), patient=patient, infusion=_named(request.GET.get("infusion", ""), patient))
    if form.is_valid():
        try:
            recording.record_response(
                by=request.user, patient=patient, measures=form.measures(), submission_id=form.submission_id_given
            )
        except recording.SentBefore as error:
            form.add_error(None, saved_before("reactions:correct_response", error.record.pk))
        else:
            messages.success(request, "The response is recorded.")
            return redirect("reactions:patient", pk)
    return render(request, "reactions/response_form.html", {"form": form, "patient": patient})


@require_http_methods(["GET", "HEAD", "POST"])
def correct_response(request: StaffRequest, pk: int) -> HttpResponse:
    measured = find_response_to_change(request.user, pk)
    form = ResponseForm(posted(request), patient=measured.patient, measured=measured)
    context = {
        "form": form,
        "patient": measured.patient,
        "measured": measured,
        "history": history_of(measured),
    }
    if form.is_valid():
        try:
            recording.correct_response(
                measured,
                by=request.user,
                measures=form.measures(),
                reason=form.cleaned_data["reason"],
                seen_version=form.version_seen,
            )
        except StaleRecord:
            stored = ResponseMeasures.objects.get(pk=pk)
            if stored.is_void:
                raise RecordVoided from None
            form.accept_version(stored.version)
            context["differences"] = differences(ResponseForm(patient=measured.patient, measured=stored), form)
            return render(request, "reactions/response_form.html", context, status=409)
        messages.success(request, "The response is corrected.")
        return redirect("reactions:patient", measured.patient_id)
    return render(request, "reactions/response_form.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def void_response(request: StaffRequest, pk: int) -> HttpResponse:
    measured = find_response_to_change(request.user, pk)
    return void_page(
        request,
        measured,
        recording.void_response,
        patient=measured.patient,
        said="The response is void.",
        back=reverse("reactions:patient", args=[measured.patient_id]),
    )


def find_response_to_change(user: User, pk: int) -> ResponseMeasures:
    """The day's measures, unless they or their patient are void; 404 outside the user's clinics."""
    rows = ResponseMeasures.objects.visible_to(user).current().select_related("infusion__product", "created_by")
    measured: ResponseMeasures = get_object_or_404(rows, pk=pk)
    measured.patient = find_patient_to_change(user, measured.patient_id)
    return measured


def _named(text: str, patient: Patient) -> Infusion | None:
    """The infusion from whose page the form was opened; None for anything else."""
    if not text.isdecimal() or len(text) > 18:
        return None
    return patient.infusions.current().filter(pk=text).first()
