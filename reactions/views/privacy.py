"""What a clinic owes the people on record: their copy, forgetting them, and files in which nobody is named."""

from datetime import datetime

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Coalesce
from django.http import Http404, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients import consent
from patients.access import StaffRequest, opens, posted
from patients.models import Clinic, Patient, StaleRecord, User
from reactions import recording
from reactions.exchange.patient_copy import everything_about
from reactions.forms.erasing import EraseForm

# Of a clinic's records past their time, listed on the page.
MOST_LISTED = 50


@require_safe
def privacy(request: StaffRequest) -> HttpResponse:
    """For administrators: per clinic the records past their time and the file without names; the texts of consent."""
    if not request.user.administers_something:
        raise PermissionDenied
    clinics = Clinic.objects.administered_by(request.user)
    now = timezone.now()
    listed = [(clinic, list(past_their_time(clinic, now=now)[: MOST_LISTED + 1])) for clinic in clinics]
    context = {"clinics": listed, "most": MOST_LISTED, "texts": consent.TEXTS[consent.CURRENT], "text": consent.CURRENT}
    return render(request, "reactions/privacy.html", context)


def past_their_time(clinic: Clinic, *, now: datetime) -> QuerySet[Patient]:
    """Patients whose last infusion is longer ago than the clinic keeps records, with `last_at`; the longest first.

    Of who never had one the registration counts. None where the clinic keeps records for good.
    """
    if clinic.keep_years is None:
        return Patient.objects.none()
    # On 29 February of a year that has none the day before.
    day = min(now.day, 28) if now.month == 2 else now.day
    since = now.replace(year=now.year - clinic.keep_years, day=day)
    own: QuerySet[Patient] = Patient.objects.filter(clinic=clinic, erased_at=None)
    infused = Max("infusions__started_at", filter=Q(infusions__voided_at=None))
    last = Coalesce(infused, "created_at")
    return own.annotate(infused_at=infused, last_at=last).filter(last_at__lt=since).order_by("last_at")


@require_safe
def without_names(request: StaffRequest, pk: int) -> HttpResponseBase:
    """A clinic's infusions as a file in which nobody is named."""
    clinic = get_object_or_404(Clinic.objects.administered_by(request.user), pk=pk)
    headers = {"Content-Disposition": 'attachment; filename="infusions-without-names.csv"'}
    lines = recording.export_without_names(clinic, by=request.user)
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


@require_safe
def person_copy(request: StaffRequest, pk: int) -> HttpResponse:
    """All that is held on a patient, to be printed for them."""
    patient = find_own_patient(request.user, pk)
    return render(request, "reactions/person_copy.html", {"patient": patient, "kinds": everything_about(patient)})


@require_safe
def person_copy_json(request: StaffRequest, pk: int) -> HttpResponse:
    """The same for a machine."""
    patient = find_own_patient(request.user, pk)
    held = {kind.title: kind.rows for kind in everything_about(patient)}
    headers = {"Content-Disposition": f'attachment; filename="patient-{patient.pk}.json"'}
    return JsonResponse(held, json_dumps_params={"ensure_ascii": False, "indent": 1}, headers=headers)


@require_http_methods(["GET", "HEAD", "POST"])
def erase_patient(request: StaffRequest, pk: int) -> HttpResponse:
    patient = find_own_patient(request.user, pk)
    if patient.erased_at:
        raise Http404("Nothing names this patient any more.")
    form = EraseForm(posted(request), patient=patient)
    if form.is_valid():
        try:
            recording.erase_patient(
                patient,
                by=request.user,
                reason=form.cleaned_data["reason"],
                seen_version=form.version_seen,
                now=timezone.now(),
            )
        except StaleRecord:
            form.add_error(None, "This record was changed in the meantime. Look at it again first.")
        except recording.StillOpen as error:
            form.add_error(None, f"Somebody has yet to see to {' and '.join(error.what)}. Do that first.")
        except recording.ErasedBefore:
            messages.success(request, "Somebody else has just erased it.")
            return redirect("reactions:patient", pk)
        else:
            messages.success(request, "Nothing names this patient any more.")
            return redirect("reactions:patient", pk)
    context = {"form": form, "patient": patient, "open": recording.still_open(patient)}
    return render(request, "reactions/erase.html", context)


def find_own_patient(user: User, pk: int) -> Patient:
    """The patient, for an administrator of their clinic; 404 otherwise, also where it was opened in an emergency."""
    own = Patient.objects.filter(clinic__in=Clinic.objects.administered_by(user)).select_related("clinic")
    patient = get_object_or_404(own, pk=pk)
    opens(patient)
    return patient
