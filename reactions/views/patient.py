"""The patient's page with the timeline, and voiding a patient's record."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import StaffRequest
from patients.clock import age_on
from patients.models import IgaResult
from patients.views.history import history_of
from patients.views.patients import find_patient
from patients.views.voiding import void_page
from reactions import recording, safety
from reactions.clinical.risk_factors import AGE_AT_RISK_ABOVE_YEARS
from reactions.forms.infusion import BOOKED_UP_TO
from reactions.models import Alert
from reactions.views import timeline
from reactions.views.response_over_time import over_time


@require_safe
def patient_page(request: StaffRequest, pk: int) -> HttpResponse:
    patient = find_patient(request.user, pk)
    page = timeline.infusions_page(patient, request.GET.get("page"))
    today = timezone.localdate()
    bookings = list(patient.courses.booked(today - BOOKED_UP_TO))
    context = {
        "patient": patient,
        "page": page,
        "entries": timeline.entries(patient, page),
        "iga": IgaResult.objects.in_force_on(today).filter(patient=patient).first(),
        "overdue": [course for course in bookings if course.planned_for and course.planned_for < today],
        "booked": [course for course in bookings if course.planned_for and course.planned_for >= today],
        "risks": patient.risks.current(),
        "age": age_on(today, patient.birth_date),
        "age_at_risk": AGE_AT_RISK_ABOVE_YEARS,
        "earlier": safety.earlier_reactions(patient, before=timezone.now()) if page.number == 1 else [],
        "most_earlier": safety.LISTED,
        "response": over_time(patient) if page.number == 1 else None,
        "alerts": Alert.objects.open().filter(patient=patient).by_urgency(),
        "history": history_of(patient),
        "administers": request.user.administers(patient.clinic),
    }
    return render(request, "patients/page.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def void_patient(request: StaffRequest, pk: int) -> HttpResponse:
    patient = find_patient(request.user, pk)
    if patient.is_closed:
        raise Http404("The record is void.")
    return void_page(
        request,
        patient,
        recording.void_patient,
        patient=patient,
        said="The patient's record is void.",
        back=reverse("reactions:patient", args=[pk]),
    )
