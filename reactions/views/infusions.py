"""Recording, showing, correcting and voiding an infusion."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import StaffRequest, posted
from patients.models import Patient, StaleRecord
from patients.views.history import history_of
from patients.views.patients import find_patient
from patients.views.voiding import void_page
from reactions import recording, safety
from reactions.forms.infusion_entry import InfusionEntry
from reactions.models import Infusion, Report
from reactions.views.records import find_infusion, find_infusion_to_change
from reactions.views.running import running, warn_above_label
from reactions.views.saved import saved_before


@require_http_methods(["GET", "HEAD", "POST"])
def record_infusion(request: StaffRequest, patient_pk: int) -> HttpResponse:
    """An infusion that is over, or is written down after it began."""
    return _new_infusion(request, patient_pk, starting=False)


@require_http_methods(["GET", "HEAD", "POST"])
def start_infusion(request: StaffRequest, patient_pk: int) -> HttpResponse:
    """An infusion that begins now at the chairside."""
    return _new_infusion(request, patient_pk, starting=True)


def _new_infusion(request: StaffRequest, patient_pk: int, *, starting: bool) -> HttpResponse:
    patient = find_patient(request.user, patient_pk)
    if patient.is_closed:
        raise Http404("The record is void.")
    entry = InfusionEntry(posted(request), patient=patient, starting=starting)
    if entry.is_valid():
        try:
            infusion = recording.record_infusion(
                by=request.user,
                patient=patient,
                course=entry.form.cleaned_data["course"],
                planned_days=entry.form.cleaned_data["planned_days"],
                planned_g=entry.form.cleaned_data["planned_g"],
                submission_id=entry.submission_id,
                start_rate_ml_per_h=entry.form.cleaned_data.get("start_rate_ml_per_h"),
                now=timezone.now(),
                **entry.told(),
            )
        except recording.AlreadyRecorded as error:
            entry.form.add_error("started_at", str(error))
        except recording.SentBefore as error:
            entry.form.add_error(None, saved_before("reactions:infusion", error.record.pk))
        except recording.CardUnanswered as error:
            entry.refuse_card(error.items)
        else:
            if starting:
                warn_above_label(request, infusion, entry.form.cleaned_data["start_rate_ml_per_h"])
                return redirect("reactions:running", infusion.pk)
            return _saved(request, infusion, "The infusion is recorded.", saw_reaction=entry.saw_reaction)
    context = {
        "entry": entry,
        "patient": patient,
        "starting": starting,
    } | _beside_the_card(patient, before=timezone.now())
    return render(request, "reactions/infusion_form.html", context)


def _beside_the_card(patient: Patient, *, before: datetime, infusion: Infusion | None = None) -> dict[str, Any]:
    """What the form shows with the safety card: what is known, and reasons to choose from."""
    return {
        "earlier": safety.earlier_reactions(patient, before=before, infusion=infusion),
        "noted": safety.noted_in_history(patient),
        "reasons": safety.usual_reasons(patient),
    }


@require_safe
def infusion_page(request: StaffRequest, pk: int) -> HttpResponse:
    infusion = find_infusion(request.user, pk)
    context = {
        "infusion": infusion,
        "patient": infusion.patient,
        "cautions": infusion.cautions(),
        "chair": running(infusion, timezone.now()),
        "locked": infusion.is_void or infusion.patient.is_closed,
        "checkins": infusion.checkins.with_answers(),
        "history": history_of(infusion),
        "safety_checks": infusion.safety_checks.select_related("acknowledged_by").order_by("shown_at", "pk"),
    }
    return render(request, "reactions/infusion.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def correct_infusion(request: StaffRequest, pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, pk)
    entry = InfusionEntry(posted(request), patient=infusion.patient, infusion=infusion)
    context = {"entry": entry, "patient": infusion.patient, "infusion": infusion}
    context |= _beside_the_card(infusion.patient, before=entry.draft.started_at, infusion=infusion)
    if entry.is_valid():
        try:
            recording.correct_infusion(
                infusion,
                by=request.user,
                reason=entry.form.cleaned_data["reason"],
                seen_version=entry.form.version_seen,
                now=timezone.now(),
                **entry.told(),
            )
        except recording.AlreadyRecorded as error:
            entry.form.add_error("started_at", str(error))
        except recording.CardUnanswered as error:
            entry.refuse_card(error.items)
        except recording.ReactionStands as error:
            entry.form.add_error("reaction_seen", str(error))
        except recording.StartsTooLate as error:
            entry.form.add_error("started_at", str(error))
        except recording.ImpossibleSteps as error:
            for problem in error.problems:
                entry.form.add_error("started_at", problem)
        except StaleRecord:
            stored = find_infusion(request.user, pk)
            differences = entry.differences(stored)
            entry.form.accept_version(stored.version)
            return render(request, "reactions/infusion_form.html", context | {"differences": differences}, status=409)
        else:
            return _saved(request, infusion, "The infusion is corrected.")
    return render(request, "reactions/infusion_form.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def void_infusion(request: StaffRequest, pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, pk)
    return void_page(
        request,
        infusion,
        recording.void_infusion,
        patient=infusion.patient,
        said="The infusion is void, and its check-ins are cancelled.",
        back=reverse("reactions:patient", args=[infusion.patient_id]),
        caution=_reports_that_wait(infusion),
    )


def _reports_that_wait(infusion: Infusion) -> str:
    """What a patient told about the infusion and nobody has decided about leaves the worklist with it."""
    waiting = Report.objects.to_review().filter(infusion=infusion).count()
    if not waiting:
        return ""
    reports = "1 report of the patient" if waiting == 1 else f"{waiting} reports of the patient"
    return (
        f"{reports} about this infusion waits for review and leaves the worklist with it. Decide about it first, or"
        " record a reaction with the infusion that is the right one."
    )


def _saved(request: StaffRequest, infusion: Infusion, said: str, *, saw_reaction: bool = False) -> HttpResponse:
    messages.success(request, said)
    if saw_reaction:
        # The infusion's own page shows what is unusual; this way does not lead there at once.
        for caution in infusion.cautions():
            messages.warning(request, f"Saved; please check: {caution}")
        return redirect("reactions:record_reaction", infusion.pk)
    return redirect("reactions:infusion", infusion.pk)
