"""Suspected anaphylaxis: opened in one tap, its times tapped, what was seen written down and compared with criteria."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from patients.access import StaffRequest, posted
from patients.forms.fields import moment_of_tap
from patients.models import StaleRecord
from patients.views.history import history_of
from reactions import recording
from reactions.clinical.anaphylaxis import Assessment, Verdict, assess
from reactions.forms.anaphylaxis import EvidenceForm, SuspectForm, age_in_years, stored_evidence
from reactions.models import AnaphylaxisRecord, ClinicProtocol, Infusion, Vitals
from reactions.views.records import (
    find_anaphylaxis,
    find_anaphylaxis_to_change,
    find_infusion_to_change,
    find_reaction_to_change,
)
from reactions.views.same_lot import same_lots
from reactions.vocabulary import RateReason

ADULT_FROM = 18
BROWN_WORDS = {1: "mild", 2: "moderate", 3: "severe"}
TILES = {
    "stopped_at": "Infusion stopped",
    "adrenaline_1_at": "Adrenaline 1",
    "adrenaline_2_at": "Adrenaline 2",
    "adrenaline_3_at": "Adrenaline 3",
    "ems_called_at": "EMS called",
    "ems_arrived_at": "EMS arrived",
    "resolved_at": "Resolved",
}


@dataclass(frozen=True)
class Judged:
    """The stored evidence compared with both sets of criteria, in words."""

    lines: tuple[str, ...]
    notes: tuple[str, ...]
    brown: str
    meets: bool


@require_POST
def suspect(request: StaffRequest, pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, pk)
    now = timezone.now()
    tapped = moment_of_tap(request.POST.get("tapped_at", ""), now)
    at = max(tapped.replace(second=0, microsecond=0), infusion.started_at)
    submission = SuspectForm(posted(request)).submission()
    record = recording.suspect_anaphylaxis(infusion, by=request.user, at=at, submission_id=submission, now=now)
    if record.created_by != request.user:
        opened = timezone.localtime(record.created_at, infusion.zone)
        messages.warning(request, f"{record.created_by} opened this record already, at {opened:%H:%M}.")
    return redirect("reactions:anaphylaxis", record.reaction_id)


@require_POST
def open_record(request: StaffRequest, pk: int) -> HttpResponse:
    reaction = find_reaction_to_change(request.user, pk)
    recording.open_anaphylaxis(reaction, by=request.user, now=timezone.now())
    return redirect("reactions:anaphylaxis", pk)


@require_http_methods(["GET", "HEAD", "POST"])
def anaphylaxis_page(request: StaffRequest, pk: int) -> HttpResponse:
    find = find_anaphylaxis_to_change if request.method == "POST" else find_anaphylaxis
    record = find(request.user, pk)
    form = EvidenceForm(posted(request), record=record)
    if form.is_valid():
        try:
            recording.record_evidence(
                record,
                by=request.user,
                evidence=form.evidence(),
                moments=form.corrected_moments(),
                seen_version=form.cleaned_data["seen_version"] or 0,
                now=timezone.now(),
            )
        except StaleRecord:
            stored = find_anaphylaxis(request.user, pk)
            form.accept(stored)
            return _show(request, stored, form, status=409, is_stale=True)
        messages.success(request, "What was seen is recorded.")
        return redirect("reactions:anaphylaxis", pk)
    return _show(request, record, form)


@require_POST
def stamp(request: StaffRequest, pk: int) -> HttpResponse:
    """Record a moment as tapped, with those that waited beside it. What was being typed comes back unsaved."""
    record = find_anaphylaxis_to_change(request.user, pk)
    now = timezone.now()
    taps = [(request.POST.get("name", ""), request.POST.get("evidence-tapped_at", ""))]
    taps += [(one.partition("@")[0], one.partition("@")[2]) for one in request.POST.getlist("also_tapped")]
    if any(name not in AnaphylaxisRecord.MOMENTS for name, _ in taps):
        raise Http404("There is no such moment.")
    form = EvidenceForm(request.POST, record=record)
    is_being_typed = form.holds_something_new()
    for name, told in taps:
        _stamp(request, record, name, moment_of_tap(told, now), now)
    if not is_being_typed:
        return redirect("reactions:anaphylaxis", pk)
    for name, _ in taps:
        form.take_stamp(name)
    form.show_unjudged()
    return _show(request, record, form, is_unsaved=True)


def _stamp(request: StaffRequest, record: AnaphylaxisRecord, name: str, at: datetime, now: datetime) -> None:
    try:
        recording.stamp(record, name, by=request.user, at=at, now=now)
    except recording.AlreadyStamped as error:
        stood = timezone.localtime(error.at, record.reaction.infusion.zone)
        messages.warning(
            request,
            f"{TILES[name]} is recorded already, at {stood:%H:%M}."
            " Nothing was changed; correct the time below if need be.",
        )


def _show(
    request: StaffRequest, record: AnaphylaxisRecord, form: EvidenceForm, *, status: int = 200, **context: Any
) -> HttpResponse:
    reaction, infusion = record.reaction, record.reaction.infusion
    context |= {
        "record": record,
        "reaction": reaction,
        "infusion": infusion,
        "patient": record.patient,
        "form": form,
        "tiles": [(name, TILES[name], at) for name, at in record.moments.items()],
        "is_open": not (reaction.is_void or infusion.is_void or record.patient.is_void),
        "runs_on": _runs_on(infusion) if record.stopped_at else False,
        "protocol": ClinicProtocol.of(infusion.clinic).anaphylaxis_text,
        "judged": judged(record),
        "age": age_words(age_in_years(record)),
        "measured": measured(infusion, reaction.onset_at),
        "same_lots": same_lots(infusion),
        "history": history_of(record),
    }
    return render(request, "reactions/anaphylaxis.html", context, status=status)


def judged(record: AnaphylaxisRecord) -> Judged | None:
    """None as long as nobody has written down what was seen."""
    if not record.is_judged:
        return None
    found: Assessment = assess(stored_evidence(record))
    verdicts: tuple[Verdict, ...] = (found.niaid_faan_2006, found.wao_2020)
    lines = tuple(line[0].upper() + line[1:] for verdict in verdicts for line in verdict.in_words())
    brown = f"{found.brown_grade}, {BROWN_WORDS[found.brown_grade]}" if found.brown_grade else "none of its features"
    return Judged(lines, found.notes, brown, any(verdict.met for verdict in verdicts))


def age_words(years: float | None) -> str:
    """“56 years”; with months for a child, whose limit of blood pressure goes with the age. Empty without an age."""
    if years is None:
        return ""
    whole, months = divmod(round(years * 12), 12)
    return f"{whole} years" if whole >= ADULT_FROM else f"{whole} years {months} months"


def measured(infusion: Infusion, onset_at: datetime | None) -> dict[str, str]:
    """What the vital signs say beside the fields of the evidence: the last before the onset, the lowest since."""
    rows = list(Vitals.objects.current().filter(infusion=infusion).order_by("at"))
    before = [row for row in rows if onset_at and row.at < onset_at]
    since = [row for row in rows if onset_at and row.at >= onset_at]
    readings = {
        "baseline_systolic_mmhg": _readings(before, "systolic_mmhg")[-1:],
        "systolic_mmhg": sorted(_readings(since, "systolic_mmhg"))[:1],
        "spo2_percent": sorted(_readings(since, "spo2_percent"))[:1],
    }
    return {
        name: f"{value} at {timezone.localtime(at, infusion.zone):%H:%M}"
        for name, found in readings.items()
        for value, at in found
    }


def _readings(rows: list[Vitals], name: str) -> list[tuple[int, datetime]]:
    return [(getattr(row, name), row.at) for row in rows if getattr(row, name) is not None]


def _runs_on(infusion: Infusion) -> bool:
    """The rate steps say that it still runs."""
    steps = sorted((step for step in infusion.rate_steps.all() if not step.is_void), key=lambda step: step.at)
    return bool(steps) and steps[-1].reason not in {RateReason.PAUSE, RateReason.STOP}
