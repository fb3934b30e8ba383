"""A running infusion: its page, the small forms on it, and correcting what they recorded."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import StaffRequest, posted
from patients.forms.fields import with_value
from patients.models import StaleRecord, User
from patients.views.history import history_of
from patients.views.voiding import void_page
from reactions import recording, safety
from reactions.forms.chairside import MomentForm, StepForm, TreatmentForm, VialScanForm, VitalsForm
from reactions.models import ChairsideRow, Infusion, RateStep, Treatment, Vial, Vitals
from reactions.views.records import find_infusion, find_infusion_to_change
from reactions.views.running import running, warn_above_label
from reactions.views.saved import saved_before

STALE_RATE = "The rate was changed after you opened this page. Look at it above, then save again."

ASKS_MORE = (
    "With this start the safety card warns of more, and that is answered where the infusion itself is corrected:"
)


@dataclass(frozen=True)
class Kind:
    """How a kind of row is called, and the names of the addresses at which one is corrected and taken back."""

    name: str
    correct: str
    void: str


KINDS: dict[type[ChairsideRow], Kind] = {
    RateStep: Kind("the rate step", "reactions:correct_step", "reactions:void_step"),
    Vitals: Kind("the vital signs", "reactions:correct_vitals", "reactions:void_vitals"),
    Treatment: Kind("the drug given", "reactions:correct_treatment", "reactions:void_treatment"),
}


@require_safe
def running_page(request: StaffRequest, pk: int) -> HttpResponse:
    return _show(request, find_infusion(request.user, pk))


@require_http_methods(["GET", "HEAD", "POST"])
def change_rate(request: StaffRequest, pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, pk)
    last = running(infusion, timezone.now()).last_step
    form = StepForm(posted(request), infusion=infusion, last=last, prefix="step")

    def save() -> str:
        values = form.cleaned_data
        step = recording.record_step(
            infusion,
            by=request.user,
            rate_ml_per_h=values["rate_ml_per_h"],
            reason=values["step"],
            seen_step=values["seen_step"],
            now=timezone.now(),
            **form.moment(),
        )
        warn_above_label(request, infusion, step.rate_ml_per_h)
        at = _clock(step)
        if not step.rate_ml_per_h:
            return f"{step.get_reason_display().lower()} at {at}"
        return f"{step.rate_ml_per_h.normalize():f} mL/h from {at}"

    try:
        return _add(request, infusion, form, save)
    except StaleRecord:
        return _stale_rate(request, infusion, form)


def _stale_rate(request: StaffRequest, infusion: Infusion, form: StepForm) -> HttpResponse:
    """Both versions: the page shows what is stored, the form what was typed; saving again takes it as seen."""
    stored = find_infusion(request.user, infusion.pk)
    newest = running(stored, timezone.now()).last_step
    data = with_value(form.data, "step-seen_step", str(newest.pk) if newest else "")
    again = StepForm(data, infusion=stored, last=newest, prefix="step")
    again.is_valid()
    again.add_error(None, STALE_RATE)
    return _show(request, stored, status=409, step_form=again, refused=again)


@require_http_methods(["GET", "HEAD", "POST"])
def add_vitals(request: StaffRequest, pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, pk)
    form = VitalsForm(posted(request), infusion=infusion, prefix="vitals")

    def save() -> str:
        vitals = recording.record_vitals(infusion, by=request.user, values=form.values(), **form.moment())
        return f"vital signs at {_clock(vitals)}"

    return _add(request, infusion, form, save)


@require_http_methods(["GET", "HEAD", "POST"])
def give_treatment(request: StaffRequest, pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, pk)
    form = TreatmentForm(posted(request), infusion=infusion, prefix="treatment")

    def save() -> str:
        treatment = recording.give_treatment(
            infusion, by=request.user, details=form.values(), now=timezone.now(), **form.moment()
        )
        return f"{treatment} at {_clock(treatment)}"

    return _add(request, infusion, form, save)


@require_http_methods(["GET", "HEAD", "POST"])
def add_vial(request: StaffRequest, pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, pk)
    form = VialScanForm(posted(request), infusion=infusion, prefix="vial")

    def save() -> str:
        submission_id = form.cleaned_data["submission_id"]
        vial = recording.add_vial(infusion, by=request.user, vial=form.values(), submission_id=submission_id)
        for warning in form.warnings:
            messages.warning(request, f"Saved; please check: {warning}")
        return f"vial of lot {vial.lot}"

    return _add(request, infusion, form, save)


def _add(
    request: StaffRequest, infusion: Infusion, form: MomentForm | VialScanForm, save: Callable[[], str]
) -> HttpResponse:
    """Save one of the page's forms, and say what was recorded, as `save` words it. A refused form stays filled in."""
    if not form.is_bound:
        return redirect("reactions:running", infusion.pk)
    context: dict[str, Any] = {f"{form.prefix}_form": form, "refused": form}
    status = 200
    if form.is_valid():
        try:
            said = save()
        except recording.SentBefore as error:
            form.add_error(None, _saved_before(error.record))
        except recording.AlreadyThere as error:
            # Both stand on the page, and nothing was overwritten.
            row, status = error.stored, 409
            already = f"{row.created_by} has recorded this minute ({_clock(row)}) already."
            form.add_error("at", f"{already} Write another time, or correct theirs.")
            infusion, context["stored_row"] = find_infusion(request.user, infusion.pk), row
        except recording.StepOutside as error:
            form.add_error("at", error.problems)
        except recording.MeasuredTooEarly as error:
            form.add_error("at", str(error))
        except recording.ImpossibleSteps as error:
            form.add_error("rate_ml_per_h", error.problems)
        except recording.VialThere as error:
            form.add_error("scan", str(error))
        else:
            messages.success(request, f"Recorded: {said}.")
            return redirect("reactions:running", infusion.pk)
    return _show(request, infusion, status=status, **context)


def _clock(row: ChairsideRow) -> str:
    return f"{timezone.localtime(row.at, row.infusion.zone):%H:%M}"


def _saved_before(row: ChairsideRow | Vial) -> SafeString:
    if isinstance(row, Vial) or row.is_void:
        # What was taken back since stands in the history of the infusion.
        return saved_before("reactions:infusion", row.infusion.pk)
    return saved_before(KINDS[type(row)].correct, row.pk)


@require_http_methods(["GET", "HEAD", "POST"])
def say_observed(request: StaffRequest, pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, pk)
    if request.method != "POST":
        return redirect("reactions:running", pk)
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
        {
            "chair": chair,
            "infusion": infusion,
            "patient": infusion.patient,
            "locked": infusion.is_void or infusion.patient.is_closed,
        }
        | context
        | filled,
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

    def correct(*args: Any, **kwargs: Any) -> ChairsideRow:
        corrected = recording.correct_step(*args, now=timezone.now(), **kwargs)
        warn_above_label(request, step.infusion, corrected.rate_ml_per_h)
        return corrected

    return _correct(request, step, form, correct)


@require_http_methods(["GET", "HEAD", "POST"])
def correct_vitals(request: StaffRequest, pk: int) -> HttpResponse:
    vitals = find_row(Vitals, request.user, pk)
    form = VitalsForm(posted(request), infusion=vitals.infusion, row=vitals)
    return _correct(request, vitals, form, recording.correct_vitals)


@require_http_methods(["GET", "HEAD", "POST"])
def correct_treatment(request: StaffRequest, pk: int) -> HttpResponse:
    treatment = find_row(Treatment, request.user, pk)
    form = TreatmentForm(posted(request), infusion=treatment.infusion, row=treatment)
    return _correct(request, treatment, form, partial(recording.correct_treatment, now=timezone.now()))


def _correct(
    request: StaffRequest, row: ChairsideRow, form: MomentForm, correct: Callable[..., ChairsideRow]
) -> HttpResponse:
    kind = KINDS[type(row)]
    context: dict[str, Any] = {
        "form": form,
        "row": row,
        "infusion": row.infusion,
        "patient": row.patient,
        "name": kind.name,
        "void_address": reverse(kind.void, args=[row.pk]),
        "history": history_of(row),
    }
    status = 200
    if form.is_valid():
        reason = form.cleaned_data["reason"]
        try:
            correct(row, by=request.user, details=form.details(), reason=reason, seen_version=form.version_seen)
        except StaleRecord:
            stored = type(row)._default_manager.filter(pk=row.pk).first()
            if stored is None or stored.is_void:
                raise Http404("The row was voided.") from None
            form.accept_version(stored.version)
            context["stored"], status = stored, 409
        except recording.AlreadyThere as error:
            form.add_error("at", f"This minute has a row by {error.stored.created_by} already.")
        except (recording.AlreadyRecorded, recording.StartsTooLate, recording.MeasuredTooEarly) as error:
            form.add_error("at", str(error))
        except recording.CardUnanswered as error:
            form.add_error("at", f"{ASKS_MORE} {' '.join(item.text for item in error.items)}")
        except recording.ImpossibleSteps as error:
            form.add_error("at", error.problems)
        else:
            messages.success(request, f"Corrected: {kind.name}.")
            return redirect("reactions:running", row.infusion.pk)
    return render(request, "reactions/row_form.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def void_step(request: StaffRequest, pk: int) -> HttpResponse:
    return _void(request, find_row(RateStep, request.user, pk), recording.void_step)


@require_http_methods(["GET", "HEAD", "POST"])
def void_vitals(request: StaffRequest, pk: int) -> HttpResponse:
    return _void(request, find_row(Vitals, request.user, pk), recording.void_vitals)


@require_http_methods(["GET", "HEAD", "POST"])
def void_treatment(request: StaffRequest, pk: int) -> HttpResponse:
    return _void(request, find_row(Treatment, request.user, pk), recording.void_treatment)


def _void(request: StaffRequest, row: ChairsideRow, void: Callable[..., None]) -> HttpResponse:
    back = reverse("reactions:running", args=[row.infusion.pk])
    try:
        return void_page(
            request, row, void, patient=row.patient, said=f"Taken back: {KINDS[type(row)].name}.", back=back
        )
    except recording.ImpossibleSteps as error:
        messages.error(request, f"It cannot be taken back: {error}")
        return redirect(back)
