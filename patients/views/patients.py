"""The list of patients, registering and correcting one."""

from collections.abc import Sequence
from copy import copy
from operator import attrgetter

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from patients import registering
from patients.access import StaffRequest, opens, posted
from patients.forms.iga import IgaForm
from patients.forms.patient import PatientForm
from patients.models import Clinic, IgaResult, Patient, StaleRecord, User
from patients.sealing.query import hide, reveal
from patients.views.voiding import void_page

PAGE_SIZE = 25
MOST_IN_ORDER = 200
TAKEN = "Somebody has just registered this number. Search for it in the list."


def find_patient(user: User, pk: int) -> Patient:
    """The patient, if the user works in their clinic; 404 otherwise. Times are then shown on that clinic's clocks."""
    patient = get_object_or_404(Patient.objects.visible_to(user).select_related("clinic", "email_consent_by"), pk=pk)
    opens(patient)
    return patient


def find_patient_to_change(user: User, pk: int) -> Patient:
    """The patient, unless the record is void: then there is nothing to change and the page is not found."""
    patient = find_patient(user, pk)
    if patient.is_closed:
        raise Http404("The record is void.")
    return patient


@require_http_methods(["GET", "HEAD", "POST"])
def patient_list(request: StaffRequest) -> HttpResponse:
    """All patients, or those who were sought: whose names a search says stands in no address."""
    if request.method == "POST":
        sought = hide(request.POST.get("q", ""))
        return redirect(reverse("patients:list", query={"q": sought} if sought else None))
    if request.user.audits_something and not request.user.works_somewhere:
        return redirect("patients:trail")
    text = reveal(request.GET.get("q", ""))
    patients = Patient.objects.current().named().select_related("clinic")
    found = patients.matching(text, Clinic.objects.visible_to(request.user))
    page = Paginator(in_order(found) if text else found, PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "patients/list.html", {"page": page, "q": text})


def in_order(found: QuerySet[Patient]) -> Sequence[Patient] | QuerySet[Patient]:
    """By name where they are few: names are sealed, and each has to be opened to compare it. Else the latest first."""
    if len(found.values_list("pk")[: MOST_IN_ORDER + 1]) > MOST_IN_ORDER:
        return found
    return sorted(found, key=attrgetter("sorting_name"))


@require_http_methods(["GET", "HEAD", "POST"])
def register(request: StaffRequest) -> HttpResponse:
    form = PatientForm(posted(request), user=request.user)
    if form.is_valid():
        try:
            patient = registering.register_patient(
                by=request.user,
                clinic=form.clinic,
                details=form.details(),
                email_consent=form.cleaned_data["email_consent"],
                now=timezone.now(),
            )
        except registering.AlreadyRegistered:
            form.add_error("mrn", TAKEN)
        else:
            messages.success(request, "The patient is registered.")
            return redirect("reactions:patient", patient.pk)
    return render(request, "patients/form.html", {"form": form})


@require_http_methods(["GET", "HEAD", "POST"])
def correct(request: StaffRequest, pk: int) -> HttpResponse:
    patient = find_patient_to_change(request.user, pk)
    form = PatientForm(posted(request), instance=copy(patient), user=request.user)
    if form.is_valid():
        try:
            registering.correct_patient(
                patient,
                by=request.user,
                details=form.details(),
                email_consent=form.cleaned_data["email_consent"],
                seen_version=form.cleaned_data["seen_version"] or 0,
                now=timezone.now(),
            )
        except registering.AlreadyRegistered:
            form.add_error("mrn", TAKEN)
            return render(request, "patients/form.html", {"form": form, "patient": patient})
        except StaleRecord:
            stored = find_patient(request.user, pk)
            differences = form.differences(stored)
            form.accept_version(stored)
            context = {"form": form, "patient": stored, "differences": differences}
            return render(request, "patients/form.html", context, status=409)
        messages.success(request, "The details are corrected.")
        return redirect("reactions:patient", pk)
    return render(request, "patients/form.html", {"form": form, "patient": patient})


@require_http_methods(["GET", "HEAD", "POST"])
def record_iga(request: StaffRequest, pk: int) -> HttpResponse:
    patient = find_patient_to_change(request.user, pk)
    form = IgaForm(posted(request), patient=patient)
    if form.is_valid():
        iga = registering.record_iga(patient, by=request.user, result=form.result())
        messages.success(request, f"Recorded: {iga}, {iga.get_status_display()}.")
        return redirect("reactions:patient", pk)
    return render(request, "patients/iga_form.html", {"form": form, "patient": patient})


@require_http_methods(["GET", "HEAD", "POST"])
def void_iga(request: StaffRequest, pk: int) -> HttpResponse:
    iga = get_object_or_404(IgaResult.objects.current().select_related("patient"), pk=pk)
    patient = find_patient_to_change(request.user, iga.patient_id)
    return void_page(
        request,
        iga,
        registering.void_iga,
        patient=patient,
        said="The IgA result is void.",
        back=reverse("reactions:patient", args=[patient.pk]),
    )
