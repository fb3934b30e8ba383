"""A running infusion: its page, the small forms on it, and correcting what they recorded."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from patients.access import StaffRequest, posted
from patients.forms.fields import with_value
from patients.models import StaleRecord, User
from patients.views.history import history_of
from patients.views.voiding import void_page
from reactions import recording, safety
from reactions.forms.chairside import MomentForm, StepForm, TreatmentForm, VialScanForm, VitalsForm
from reactions.models import ChairsideRow, Infusion, RateStep, Treatment, Vitals
from reactions.views.records import find_infusion, find_infusion_to_change
from reactions.views.running import running, warn_above_label

STALE_RATE = "Somebody else has changed the rate since you opened this page. Look at it above, then save again."

SENT_BEFORE = "This form was saved already, as it was before you changed it. To change what is stored, correct it:"


@require_safe
def running_page(request: StaffRequest, pk: int) -> HttpResponse:
    return _show(request, find_infusion(request.user, pk))


@require_http_methods(["GET", "HEAD", "POST"])
def change_rate(request: StaffRequest, pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, pk)
    last = running(infusion, timezone.now()).last_step
    form = StepForm(posted(request), infusion=infusion, last=last, prefix="step")
    if not form.is_bound:
        return redirect("reactions:running", pk)
    if form.is_valid():
        values = form.cleaned_data
        try:
            recording.record_step(
                infusion,
                by=request.user,
                at=values["at"],
                rate_ml_per_h=values["rate_ml_per_h"],
                reason=values["step"],
                seen_step=values["seen_step"],
                submission_id=form.submission_id_given,
                at_left_open=_at_left_open(form),
                now=timezone.now(),
            )
        except recording.ImpossibleSteps as error:
            for problem in error.problems:
                form.add_error("rate_ml_per_h", problem)
        except recording.SentBefore as error:
            _say_sent_before(form, "reactions:correct_step", error.record.pk)
        except StaleRecord:
            return _stale_rate(request, infusion, form)
        else:
            warn_above_label(request, infusion, values["rate_ml_per_h"])
            return redirect("reactions:running", pk)
    return _show(request, infusion, step_form=form)


def _stale_rate(request: StaffRequest, infusion: Infusion, form: StepForm) -> HttpResponse:
    """Both versions: the page shows what is stored, the form what was typed; saving again takes it as seen."""
    stored = find_infusion(request.user, infusion.pk)
    newest = running(stored, timezone.now()).last_step
    data = with_value(form.data, "step-seen_step", str(newest.pk) if newest else "")
    again = StepForm(data, infusion=stored, last=newest, prefix="step")
    again.is_valid()
    again.add_error(None, STALE_RATE)
    return _show(request, stored, status=409, step_form=again)


@require_http_methods(["GET", "HEAD", "POST"])
def add_vitals(request: StaffRequest, pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, pk)
    form = VitalsForm(posted(request), infusion=infusion, prefix="vitals")
    if not form.is_bound:
        return redirect("reactions:running", pk)
    if form.is_valid():
        try:
            recording.record_vitals(
                infusion,
                by=request.user,
                at=form.cleaned_data["at"],
                values=form.values(),
                submission_id=form.submission_id_given,
                at_left_open=_at_left_open(form),
            )
        except recording.AlreadyThere as error:
            return _already_there(request, infusion, error.stored, form, vitals_form=form)
        except recording.SentBefore as error:
            _say_sent_before(form, "reactions:correct_vitals", error.record.pk)
        else:
            return redirect("reactions:running", pk)
    return _show(request, infusion, vitals_form=form)


@require_http_methods(["GET", "HEAD", "POST"])
def give_treatment(request: StaffRequest, pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, pk)
    form = TreatmentForm(posted(request), infusion=infusion, prefix="treatment")
    if not form.is_bound:
        return redirect("reactions:running", pk)
    if form.is_valid():
        try:
            recording.give_treatment(
                infusion,
                by=request.user,
                at=form.cleaned_data["at"],
                details=form.values(),
                submission_id=form.submission_id_given,
                at_left_open=_at_left_open(form),
                now=timezone.now(),
            )
        except recording.AlreadyThere as error:
            return _already_there(request, infusion, error.stored, form, treatment_form=form)
        except recording.SentBefore as error:
            _say_sent_before(form, "reactions:correct_treatment", error.record.pk)
        else:
            return redirect("reactions:running", pk)
    return _show(request, infusion, treatment_form=form)


def _at_left_open(form: MomentForm) -> bool:
    """Nobody typed a time: it is the moment at which the form came."""
    return not str(form.data.get(form.add_prefix("at"), "")).strip()


def _say_sent_before(form: Form, address: str, pk: int) -> None:
    form.add_error(None, f"{SENT_BEFORE} {reverse(address, args=[pk])}")


def _already_there(
    request: StaffRequest, infusion: Infusion, stored: ChairsideRow, form: MomentForm, **forms: Any
) -> HttpResponse:
    """Somebody else wrote a row for this minute: both stand on the page, and nothing was overwritten."""
    at = timezone.localtime(stored.at, infusion.zone)
    said = f"{stored.created_by} has recorded this minute ({at:%H:%M}) already. Write another time, or correct theirs."
    form.add_error("at", said)
    return _show(request, find_infusion(request.user, infusion.pk), status=409, stored_row=stored, **forms)


@require_http_methods(["GET", "HEAD", "POST"])
def add_vial(request: StaffRequest, pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, pk)
    form = VialScanForm(posted(request), infusion=infusion, prefix="vial")
    if not form.is_bound:
        return redirect("reactions:running", pk)
    if form.is_valid():
        try:
            recording.add_vial(
                infusion, by=request.user, vial=form.values(), submission_id=form.cleaned_data["submission_id"]
            )
        except recording.SentBefore:
            _say_sent_before(form, "reactions:correct_infusion", pk)
        except recording.VialThere as error:
            form.add_error("scan", str(error))
        else:
            for warning in form.warnings:
                messages.warning(request, f"Saved; please check: {warning}")
            return redirect("reactions:running", pk)
    return _show(request, infusion, vial_form=form)


@require_POST
def say_observed(request: StaffRequest, pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, pk)
    try:
        recording.record_observed(infusion, by=request.user)
    except recording.ReactionStands as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Recorded: watched, no reaction seen.")
    return redirect("reactions:running", pk)


def _show(request: StaffRequest, infusion: Infusion, *, status: int = 200, **context: Any) -> HttpResponse:
    """The page of the infusion, with whatever form was refused in the place of an empty one."""
    chair = running(infusion, timezone.now())
    forms = {
        "step_form": lambda: StepForm(infusion=infusion, last=chair.last_step, prefix="step"),
        "vitals_form": lambda: VitalsForm(infusion=infusion, prefix="vitals"),
        "treatment_form": lambda: TreatmentForm(infusion=infusion, prefix="treatment"),
        "vial_form": lambda: VialScanForm(infusion=infusion, prefix="vial"),
    }
    filled = {name: context.get(name) or make() for name, make in forms.items()}
    typed = getattr(filled["step_form"], "cleaned_data", {}).get("rate_ml_per_h")
    filled["typed_above_label"] = safety.above_label(infusion, typed) if typed else None
    return render(
        request,
        "reactions/running.html",
        {"chair": chair, "infusion": infusion, "patient": infusion.patient} | context | filled,
        status=status,
    )


def find_row(model: type[ChairsideRow], user: User, pk: int) -> Any:
    """A row of an infusion that may still be changed; 404 otherwise. Times are then on the clinic's clocks."""
    rows = model._default_manager.visible_to(user).current().select_related("created_by")
    row = get_object_or_404(rows, pk=pk)
    row.infusion = find_infusion_to_change(user, row.infusion.pk)
    return row


@require_http_methods(["GET", "HEAD", "POST"])
def correct_step(request: StaffRequest, pk: int) -> HttpResponse:
    step = find_row(RateStep, request.user, pk)
    form = StepForm(posted(request), infusion=step.infusion, row=step)

    def save(values: dict[str, Any]) -> None:
        details = {"at": values["at"], "rate_ml_per_h": values["rate_ml_per_h"]}
        recording.correct_step(step, by=request.user, details=details, now=timezone.now(), **_reason(values))
        warn_above_label(request, step.infusion, values["rate_ml_per_h"])

    return _correct(request, step, form, save, name="the rate step", void="reactions:void_step")


@require_http_methods(["GET", "HEAD", "POST"])
def correct_vitals(request: StaffRequest, pk: int) -> HttpResponse:
    vitals = find_row(Vitals, request.user, pk)
    form = VitalsForm(posted(request), infusion=vitals.infusion, row=vitals)

    def save(values: dict[str, Any]) -> None:
        details = form.values() | {"at": values["at"]}
        recording.correct_vitals(vitals, by=request.user, details=details, **_reason(values))

    return _correct(request, vitals, form, save, name="the vital signs", void="reactions:void_vitals")


@require_http_methods(["GET", "HEAD", "POST"])
def correct_treatment(request: StaffRequest, pk: int) -> HttpResponse:
    treatment = find_row(Treatment, request.user, pk)
    form = TreatmentForm(posted(request), infusion=treatment.infusion, row=treatment)

    def save(values: dict[str, Any]) -> None:
        details = form.values() | {"at": values["at"]}
        recording.correct_treatment(treatment, by=request.user, details=details, now=timezone.now(), **_reason(values))

    return _correct(request, treatment, form, save, name="the drug given", void="reactions:void_treatment")


def _reason(values: dict[str, Any]) -> dict[str, Any]:
    return {"reason": values["reason"], "seen_version": values["seen_version"] or 0}


def _correct(
    request: StaffRequest,
    row: ChairsideRow,
    form: MomentForm,
    save: Callable[[dict[str, Any]], None],
    *,
    name: str,
    void: str,
) -> HttpResponse:
    context: dict[str, Any] = {
        "form": form,
        "row": row,
        "infusion": row.infusion,
        "patient": row.patient,
        "name": name,
        "void_address": reverse(void, args=[row.pk]),
        "history": history_of(row),
    }
    status = 200
    if form.is_valid():
        try:
            save(form.cleaned_data)
        except StaleRecord:
            stored = type(row)._default_manager.filter(pk=row.pk).first()
            if stored is None or stored.is_void:
                raise Http404("The row was voided.") from None
            form.accept_version(stored.version)
            context["stored"], status = stored, 409
        except recording.AlreadyThere as error:
            form.add_error("at", f"This minute has a row by {error.stored.created_by} already.")
        except recording.ReactionBeforeStart as error:
            form.add_error("at", str(error))
        except recording.ImpossibleSteps as error:
            for problem in error.problems:
                form.add_error("at", problem)
        else:
            messages.success(request, "Corrected.")
            return redirect("reactions:running", row.infusion.pk)
    return render(request, "reactions/row_form.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def void_step(request: StaffRequest, pk: int) -> HttpResponse:
    step = find_row(RateStep, request.user, pk)
    return _void(request, step, recording.void_step)


@require_http_methods(["GET", "HEAD", "POST"])
def void_vitals(request: StaffRequest, pk: int) -> HttpResponse:
    return _void(request, find_row(Vitals, request.user, pk), recording.void_vitals)


@require_http_methods(["GET", "HEAD", "POST"])
def void_treatment(request: StaffRequest, pk: int) -> HttpResponse:
    return _void(request, find_row(Treatment, request.user, pk), recording.void_treatment)


def _void(request: StaffRequest, row: ChairsideRow, void: Callable[..., None]) -> HttpResponse:
    try:
        return void_page(
            request,
            row,
            void,
            patient=row.patient,
            said="Taken back.",
            back=reverse("reactions:running", args=[row.infusion.pk]),
        )
    except recording.ImpossibleSteps as error:
        messages.error(request, f"It cannot be taken back: {error}")
        return redirect("reactions:running", row.infusion.pk)
