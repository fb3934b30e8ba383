"""Noting a patient's risks and history."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from patients.access import StaffRequest, posted
from patients.clock import age_on
from patients.forms.fields import differences
from patients.models import StaleRecord
from patients.views.patients import find_patient_to_change
from reactions import recording
from reactions.clinical.risk_factors import AGE_AT_RISK_ABOVE_YEARS
from reactions.forms.risks import RisksForm


@require_http_methods(["GET", "HEAD", "POST"])
def set_risks(request: StaffRequest, pk: int) -> HttpResponse:
    patient = find_patient_to_change(request.user, pk)
    form = RisksForm(posted(request), noted=patient.risks.current())
    age = age_on(timezone.localdate(), patient.birth_date)
    context: dict[str, Any] = {"form": form, "patient": patient, "age": age, "age_at_risk": AGE_AT_RISK_ABOVE_YEARS}
    if form.is_valid():
        try:
            recording.set_risks(
                patient, by=request.user, factors=form.factors(), seen=form.seen_risks(), now=timezone.now()
            )
        except StaleRecord:
            stored = list(patient.risks.current())
            form.accept(stored)
            context["differences"] = differences(RisksForm(noted=stored), form)
            return render(request, "reactions/risks.html", context, status=409)
        messages.success(request, "Risks and history are noted.")
        return redirect("reactions:patient", pk)
    return render(request, "reactions/risks.html", context)
