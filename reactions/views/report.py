"""A draft of a report about a reaction, for MedWatch form 3500: plain facts to print or copy. Nothing sends it."""

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from patients.access import StaffRequest
from patients.clock import age_on
from patients.models import IgaResult, User
from reactions.models import AnaphylaxisRecord, Infusion, Reaction, Symptom, Treatment
from reactions.views.anaphylaxis import judged
from reactions.views.records import find_reaction
from reactions.views.running import at_onset, running
from reactions.vocabulary import MOMENT_LABELS, PremedicationRecord, RateReason
from reactions.words import cause_words, is_before_onset, onset_in_words, serious_words

NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class Section:
    heading: str
    facts: list[tuple[str, str]]


@require_safe
def report_page(request: StaffRequest, pk: int) -> HttpResponse:
    reaction = find_reaction(request.user, pk)
    context = {
        "reaction": reaction,
        "infusion": reaction.infusion,
        "patient": reaction.patient,
        "sections": report(reaction, by=request.user, now=timezone.now()),
    }
    return render(request, "reactions/report.html", context)


def report(reaction: Reaction, *, by: User, now: datetime) -> list[Section]:
    """The facts in the order in which the form asks for them. The patient's name and record number are left out."""
    return [
        Section("Patient", _patient(reaction)),
        Section("Adverse event", _event(reaction, now)),
        Section("Suspect product", _product(reaction, now)),
        Section("Other products given", _others(reaction)),
        Section("Reporter", [("Name", str(by)), ("Clinic", str(reaction.infusion.clinic)), _phone(reaction)]),
    ]


def _phone(reaction: Reaction) -> tuple[str, str]:
    return "Phone", reaction.infusion.clinic.phone or NOT_RECORDED


def _patient(reaction: Reaction) -> list[tuple[str, str]]:
    patient, infusion = reaction.patient, reaction.infusion
    day = (reaction.onset_at or infusion.started_at).astimezone(infusion.zone).date()
    age = age_on(day, patient.birth_date)
    iga = IgaResult.objects.in_force_on(day).filter(patient=patient).first()
    return [
        ("Identifier in this report", f"reaction {reaction.pk}"),
        ("Age at the event", f"{age} years" if age is not None else NOT_RECORDED),
        ("Sex", str(patient.get_sex_display()).lower()),
        ("Weight", f"{infusion.weight_kg.normalize():f} kg" if infusion.weight_kg else NOT_RECORDED),
        ("IgA at the time", f"{iga.get_status_display()}: {iga.as_text()}" if iga else "not tested"),
    ]


def _event(reaction: Reaction, now: datetime) -> list[tuple[str, str]]:
    zone = reaction.infusion.zone
    return [
        ("Serious (21 CFR 600.80)", _upper(serious_words(reaction))),
        ("Date of the event", _clock(reaction.onset_at, reaction.infusion)),
        ("Date of this draft", now.astimezone(zone).strftime("%Y-%m-%d")),
        ("What happened", "\n".join(_story(reaction))),
        ("In the recorder's words", reaction.narrative or "none"),
        ("Outcome", _outcome(reaction)),
        ("Cause, as judged", _upper(cause_words(reaction.causality.first()))),
    ]


def _upper(words: str) -> str:
    return words[0].upper() + words[1:]


def _outcome(reaction: Reaction) -> str:
    outcome = str(reaction.get_outcome_display())
    return f"{outcome}, {_clock(reaction.resolved_at, reaction.infusion)}" if reaction.resolved_at else outcome


def _story(reaction: Reaction) -> list[str]:
    """The event in sentences, one a line, from what was recorded."""
    infusion = reaction.infusion
    began = onset_in_words(reaction, infusion)
    said = [f"Began {began.after_start} after the start, {began.when}." if began else "The onset is not recorded."]
    said.append("; ".join(_symptom(symptom, infusion) for symptom in reaction.symptoms.all()) + ".")
    steps = [step.as_step() for step in infusion.rate_steps.all() if not step.is_void]
    then = at_onset(reaction, infusion, steps)
    if then.rate_ml_per_h is not None and then.volume_ml is not None:
        said.append(f"It ran at {then.rate_ml_per_h.normalize():f} mL/h then; {then.volume_ml:.0f} mL had been given.")
    said.append(f"Done to the infusion: {str(reaction.get_action_display()).lower()}.")
    if began and (changed := _rate_since(reaction)):
        said.append(f"Its rate since then: {'; '.join(changed)}.")
    given = [_treatment(row, reaction) for row in reaction.treatments_given]
    given += [reaction.treatment] if reaction.treatment else []
    if given:
        said.append(f"Treatment: {'; '.join(given)}.")
    record: AnaphylaxisRecord | None = getattr(reaction, "anaphylaxis", None)
    return said + (_anaphylaxis(record) if record and not record.is_void else [])


def _rate_since(reaction: Reaction) -> list[str]:
    """What was done to the rate from the minute of the onset on."""
    infusion, onset = reaction.infusion, reaction.onset_at
    steps = sorted((step for step in infusion.rate_steps.all() if not step.is_void), key=lambda step: step.at)
    since = [step for step in steps if onset and step.at >= onset and step.reason != RateReason.START]
    return [
        f"{step.get_reason_display()}{f' {step.rate_ml_per_h:g} mL/h' if step.rate_ml_per_h else ''}"
        f" at {_clock(step.at, infusion)}"
        for step in since
    ]


def _anaphylaxis(record: AnaphylaxisRecord) -> list[str]:
    infusion = record.reaction.infusion
    times = [f"{MOMENT_LABELS[name]} {_clock(at, infusion)}" for name, at in record.moments.items() if at]
    said = [f"Times recorded: {'; '.join(times)}."] if times else []
    if found := judged(record):
        said += [f"{line}." for line in found.lines] + [f"Brown grade: {found.brown}."]
    return said


def _symptom(symptom: Symptom, infusion: Infusion) -> str:
    grade = f"grade {symptom.grade} (CTCAE v{symptom.ctcae_version})" if symptom.grade else "not graded"
    ended = f", ended {_clock(symptom.ended_at, infusion)}" if symptom.ended_at else ""
    return f"{symptom.name}, {grade}{ended}"


def _product(reaction: Reaction, now: datetime) -> list[tuple[str, str]]:
    infusion = reaction.infusion
    product = infusion.product
    lots = [f"{vial.lot}, expiry {vial.expires_on}" if vial.expires_on else vial.lot for vial in infusion.vials.all()]
    strength = product.concentration_percent
    dose = f"{infusion.dose_g.normalize():f} g"
    per_kg = f" ({infusion.dose_g_per_kg:.2f} g/kg)" if infusion.dose_g_per_kg else ""
    return [
        ("Name", product.name),
        ("Manufacturer", product.maker or NOT_RECORDED),
        ("Strength", f"{strength.normalize():f} %" if strength is not None else NOT_RECORDED),
        ("Lots", "; ".join(dict.fromkeys(lots)) or NOT_RECORDED),
        ("Dose, route", f"{dose}{per_kg}, into a vein"),
        ("Given of it", _given(infusion, now)),
        ("Given from", _clock(infusion.started_at, infusion)),
        ("Given until", _clock(infusion.ended_at, infusion) if infusion.ended_at else "still running"),
        ("Given for", infusion.get_indication_display() or infusion.patient.diagnosis or NOT_RECORDED),
        ("Abated when slowed or stopped", _lower(reaction.get_dechallenge_display())),
        ("Came back when given again", _lower(reaction.get_rechallenge_display())),
    ]


def _given(infusion: Infusion, now: datetime) -> str:
    """How much of the dose had run by now or the end, as far as rates were recorded."""
    summary = running(infusion, now).summary
    if summary is None:
        return NOT_RECORDED
    percent = f" ({summary.percent_of_dose:.0f} %)" if summary.percent_of_dose is not None else ""
    return f"{summary.volume_ml:.0f} mL{percent}"


def _lower(label: str) -> str:
    return label[0].lower() + label[1:]


def _others(reaction: Reaction) -> list[tuple[str, str]]:
    infusion = reaction.infusion
    if infusion.premedication_record == PremedicationRecord.GIVEN:
        before = "; ".join(f"{drug.name} {drug.dose}".strip() for drug in infusion.premedications.all())
    else:
        before = str(infusion.get_premedication_record_display()).lower()
    after = "; ".join(_treatment(row, reaction) for row in infusion.treatments.all() if not row.is_void)
    return [("Before the start, to prevent", before), ("After the start", after or NOT_RECORDED)]


def _treatment(row: Treatment, reaction: Reaction) -> str:
    """A drug with its time; one that was there before the reaction is told from what was given against it."""
    before = " (before the reaction began)" if is_before_onset(row, reaction) else ""
    return f"{row} at {_clock(row.at, reaction.infusion)}{before}"


def _clock(moment: datetime | None, infusion: Infusion) -> str:
    return moment.astimezone(infusion.zone).strftime("%Y-%m-%d %H:%M") if moment else NOT_RECORDED
