"""Suspected anaphylaxis: opened in one tap, its times tapped, what was seen written down and compared with criteria."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from patients.access import StaffRequest, mark_saved, posted
from patients.forms.fields import moment_of_tap
from patients.models import StaleRecord
from patients.views.history import history_of
from patients.views.voiding import void_page
from reactions import recording
from reactions.clinical.anaphylaxis import Assessment, Verdict, assess
from reactions.forms.anaphylaxis import EvidenceForm, SuspectForm, age_in_years, stored_evidence
from reactions.forms.seriousness import JudgeSeriousnessForm
from reactions.models import AnaphylaxisRecord, ClinicProtocol, Infusion, Reaction, Vitals
from reactions.views.reactions import hints
from reactions.views.records import (
    find_anaphylaxis,
    find_anaphylaxis_to_change,
    find_infusion_to_change,
    find_reaction_to_change,
)
from reactions.views.same_lot import same_lots
from reactions.vocabulary import MOMENT_LABELS, RateReason
from reactions.words import serious_words

ADULT_FROM = 18
BROWN_WORDS = {1: "mild", 2: "moderate", 3: "severe"}


@dataclass(frozen=True)
class Tile:
    """One moment to tap: when it was, where it is corrected, and what is worth knowing before it is tapped."""

    name: str
    label: str
    at: datetime | None
    correct: str = ""
    note: str = ""


@dataclass(frozen=True)
class Judged:
    """The stored evidence compared with both sets of criteria, in words."""

    lines: tuple[str, ...]
    notes: tuple[str, ...]
    brown: str
    meets: bool


@require_http_methods(["GET", "HEAD", "POST"])
def suspect(request: StaffRequest, pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, pk)
    if request.method != "POST":
        # Who had to sign in first comes back by the address alone, and taps again.
        return redirect("reactions:running", pk)
    now = timezone.now()
    tapped = moment_of_tap(request.POST.get("tapped_at", ""), now)
    at = max(tapped.replace(second=0, microsecond=0), infusion.started_at)
    submission = SuspectForm(posted(request)).submission()
    try:
        record = recording.suspect_anaphylaxis(infusion, by=request.user, at=at, submission_id=submission, now=now)
    except recording.SentBefore as error:
        became = "was voided" if error.record.is_void else "is suspected no more: the suspicion was taken back"
        messages.warning(request, f"The reaction that this tap opened {became}. To open another one, tap once more.")
        return redirect("reactions:reaction", error.record.pk)
    if record.created_by != request.user:
        opened = timezone.localtime(record.created_at, infusion.zone)
        messages.warning(request, f"{record.created_by} opened this record already, at {opened:%H:%M}.")
    return redirect("reactions:anaphylaxis", record.reaction_id)


@require_http_methods(["GET", "HEAD", "POST"])
def open_record(request: StaffRequest, pk: int) -> HttpResponse:
    reaction = find_reaction_to_change(request.user, pk)
    if request.method != "POST":
        return redirect("reactions:reaction", pk)
    recording.open_anaphylaxis(reaction, by=request.user, now=timezone.now())
    return redirect("reactions:anaphylaxis", pk)


@require_http_methods(["GET", "HEAD", "POST"])
def anaphylaxis_page(request: StaffRequest, pk: int) -> HttpResponse:
    find = find_anaphylaxis_to_change if request.method == "POST" else find_anaphylaxis
    record = find(request.user, pk)
    # A moment that was tapped while this form waited for a connection came along with it.
    waited = _tapped(request) if request.method == "POST" else []
    if waited:
        _stamp_all(request, record, waited)
        record = find(request.user, pk)
    form = EvidenceForm(posted(request), record=record)
    if waited:
        _take(form, record, waited)
    if form.is_valid():
        try:
            recording.record_evidence(
                record,
                by=request.user,
                evidence=form.evidence(),
                moments=form.corrected_moments(),
                seen_version=form.version_seen,
                now=timezone.now(),
            )
        except StaleRecord:
            stored = find_anaphylaxis(request.user, pk)
            found = form.differences(stored)
            form.accept(stored)
            return _show(request, stored, form, status=409, differences=found)
        messages.success(request, "What was seen is recorded.")
        asks = record.criteria and record.reaction.is_serious is None
        return redirect(reverse("reactions:anaphylaxis", args=[pk]) + ("#is-serious" if asks else ""))
    return _show(request, record, form)


@require_http_methods(["GET", "HEAD", "POST"])
def void_record(request: StaffRequest, pk: int) -> HttpResponse:
    """Take the suspicion back. The reaction is a record of its own: whoever saw none voids it too."""
    record = find_anaphylaxis_to_change(request.user, pk)
    suspected = timezone.localtime(record.created_at, record.reaction.infusion.zone)
    return void_page(
        request,
        record,
        recording.void_anaphylaxis,
        patient=record.patient,
        said="The suspicion of anaphylaxis is taken back. The reaction stays; if there was none, void it too.",
        back=reverse("reactions:reaction", args=[pk]),
        what=f"The suspicion of anaphylaxis, recorded {suspected:%Y-%m-%d %H:%M} by {record.created_by}. The reaction,"
        " the drugs given for it and the stop of the infusion stay as they are",
    )


@require_http_methods(["GET", "HEAD", "POST"])
def judge_seriousness(request: StaffRequest, pk: int) -> HttpResponse:
    """The section of the page that asks whether the reaction is serious."""
    record = find_anaphylaxis_to_change(request.user, pk)
    if request.method != "POST":
        return redirect("reactions:anaphylaxis", pk)
    form = JudgeSeriousnessForm(request.POST)
    if form.is_valid():
        try:
            recording.judge_seriousness(
                record.reaction,
                by=request.user,
                is_serious=form.cleaned_data["is_serious"],
                criteria=form.cleaned_data["criteria"],
                seen_version=form.version_seen,
                now=timezone.now(),
            )
        except StaleRecord:
            record = find_anaphylaxis(request.user, pk)
            form.accept_version(record.reaction.version)
            form.add_error(None, _changed_meanwhile(record.reaction))
            return _show(request, record, EvidenceForm(record=record), status=409, seriousness=form)
        messages.success(request, "Whether it is serious is recorded.")
        return redirect("reactions:anaphylaxis", pk)
    return _show(request, record, EvidenceForm(record=record), seriousness=form)


def _changed_meanwhile(reaction: Reaction) -> str:
    """What is stored now, beside what was ticked."""
    said = serious_words(reaction)
    return (
        "The reaction was changed after you opened this page. Nothing of yours was saved."
        f" Stored now: serious, {said}. Yours stands below; saving again replaces what is stored."
    )


@require_http_methods(["GET", "HEAD", "POST"])
def stamp(request: StaffRequest, pk: int) -> HttpResponse:
    """Record a moment as tapped, with those that waited beside it. What was being typed comes back unsaved."""
    record = find_anaphylaxis_to_change(request.user, pk)
    if request.method != "POST":
        return redirect("reactions:anaphylaxis", pk)
    taps = _tapped(request, (request.POST.get("name", ""), request.POST.get("evidence-tapped_at", "")))
    form = EvidenceForm(request.POST, record=record)
    is_being_typed = form.holds_something_new()
    _stamp_all(request, record, taps)
    if not is_being_typed:
        return redirect("reactions:anaphylaxis", pk)
    record = find_anaphylaxis_to_change(request.user, pk)
    _take(form, record, taps)
    form.show_unjudged()
    response = _show(request, record, form, is_unsaved=True)
    # The tap is; what is being typed came along.
    mark_saved(request, response)
    return response


def _tapped(request: StaffRequest, *first: tuple[str, str]) -> list[tuple[str, datetime]]:
    """Names and times of `first` and of what waited beside it, as they happened: the first adrenaline is the first."""
    told = [
        *first,
        *((name, at) for name, _, at in (one.partition("@") for one in request.POST.getlist("also_tapped"))),
    ]
    if any(name not in MOMENT_LABELS for name, _ in told):
        raise Http404("There is no such moment.")
    now = timezone.now()
    return sorted(((name, moment_of_tap(at, now)) for name, at in told), key=lambda tap: tap[1])


def _stamp_all(request: StaffRequest, record: AnaphylaxisRecord, taps: list[tuple[str, datetime]]) -> None:
    for name, at in taps:
        _stamp(request, record, name, at)


def _take(form: EvidenceForm, record: AnaphylaxisRecord, taps: list[tuple[str, datetime]]) -> None:
    """Let the form know the moments that were tapped beside it."""
    for name, _ in taps:
        if name in AnaphylaxisRecord.OWN_MOMENTS:
            form.take(record, name)


def _stamp(request: StaffRequest, record: AnaphylaxisRecord, name: str, at: datetime) -> None:
    zone, label = record.reaction.infusion.zone, MOMENT_LABELS[name]
    try:
        tap_id = UUID(request.POST.get("tap_id", ""))
    except ValueError:
        tap_id = None
    try:
        recording.stamp(record, name, by=request.user, at=at, now=timezone.now(), tap_id=tap_id)
    except recording.AlreadyStamped as error:
        said = f"is recorded already, at {timezone.localtime(error.at, zone):%H:%M}."
    except recording.AlreadyThere as error:
        said = (
            f"was not recorded again: this minute has a dose already, recorded by {error.stored.created_by}."
            " A further dose in the same minute is added to the dose of that one."
        )
    except recording.SentBefore:
        said = "was recorded by this tap before, and taken back since. Tap it anew if it was done after all."
    except (recording.ImpossibleSteps, recording.ImpossibleMoment) as error:
        said = f"at {timezone.localtime(at, zone):%H:%M} was not recorded: {error}"
    else:
        return
    messages.warning(request, f"{label} {said} Nothing was changed; correct what is recorded if need be.")


def _show(
    request: StaffRequest, record: AnaphylaxisRecord, form: EvidenceForm, *, status: int = 200, **context: Any
) -> HttpResponse:
    reaction, infusion = record.reaction, record.reaction.infusion
    found = judged(record)
    is_open = not (record.patient.is_closed or any(one.is_void for one in (record, reaction, infusion)))
    if found and found.meets and reaction.is_serious is None and is_open:
        context.setdefault("seriousness", JudgeSeriousnessForm(initial={"seen_version": reaction.version}))
    context = {
        "record": record,
        "reaction": reaction,
        "infusion": infusion,
        "patient": record.patient,
        "form": form,
        "tiles": tiles(record),
        "is_open": is_open,
        "protocol": ClinicProtocol.of(infusion.clinic).anaphylaxis_text,
        "judged": found,
        "age": age_words(age_in_years(record)),
        "measured": measured(infusion, reaction.onset_at),
        "same_lots": same_lots(infusion),
        "hints": hints(reaction),
        "history": history_of(record),
    } | context
    return render(request, "reactions/anaphylaxis.html", context, status=status)


def tiles(record: AnaphylaxisRecord) -> list[Tile]:
    """Each moment with its time and the page on which it is corrected: that of the row in which it stands."""
    infusion, reaction = record.reaction.infusion, record.reaction
    steps = sorted((step for step in infusion.rate_steps.all() if not step.is_void), key=lambda step: step.at)
    last = steps[-1] if steps else None
    stopped = reverse("reactions:correct_infusion", args=[infusion.pk])
    if last and last.reason == RateReason.STOP:
        stopped = reverse("reactions:correct_step", args=[last.pk])
    corrections = {
        "stopped_at": stopped,
        **{
            name: reverse("reactions:correct_treatment", args=[dose.pk])
            for name, dose in zip(AnaphylaxisRecord.ADRENALINE_MOMENTS, record.adrenaline, strict=False)
        },
        **dict.fromkeys(AnaphylaxisRecord.OWN_MOMENTS, "#correct-times"),
        "resolved_at": reverse("reactions:correct_reaction", args=[reaction.pk]),
    }
    notes = {}
    if last and last.reason == RateReason.PAUSE:
        notes["stopped_at"] = f"paused since {timezone.localtime(last.at, infusion.zone):%H:%M}"
    elif infusion.ended_at and not record.stopped_at:
        notes["stopped_at"] = f"was over at {timezone.localtime(infusion.ended_at, infusion.zone):%H:%M}"
    return [
        Tile(name, MOMENT_LABELS[name], at, corrections.get(name, ""), notes.get(name, ""))
        for name, at in record.moments.items()
    ]


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
