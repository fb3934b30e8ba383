"""What a patient's timeline says: one entry an event, newest first."""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Prefetch

from patients.models import AuditEvent, IgaResult, Patient
from reactions.clinical.onset import OnsetClass, is_within_label_window, onset_class
from reactions.models import Answer, CheckIn, Infusion, Reaction

INFUSIONS_A_PAGE = 15

ONSET_LABELS = {
    OnsetClass.IMMEDIATE: "immediate, within 6 h",
    OnsetClass.DELAYED: "delayed, within 1 week",
    OnsetClass.LATE: "late, after 1 week",
}


@dataclass(frozen=True)
class Entry:
    """One event. `kind` names the template that shows it: infusion or iga."""

    kind: str
    at: datetime
    record: Any


@dataclass(frozen=True)
class OnsetInWords:
    """When a reaction began, counted from the infusion's clock times."""

    after_start: str
    label: str
    in_label_window: bool


def onset_in_words(reaction: Reaction, infusion: Infusion) -> OnsetInWords | None:
    """None when no onset was recorded, or when a later correction of the infusion put it before the start."""
    if reaction.onset_at is None or reaction.onset_at < infusion.started_at:
        return None
    minutes = int((reaction.onset_at - infusion.started_at).total_seconds() // 60)
    return OnsetInWords(
        after_start=_duration(minutes),
        label=ONSET_LABELS[onset_class(reaction.onset_at, infusion.started_at)],
        in_label_window=is_within_label_window(reaction.onset_at, infusion.started_at, infusion.ended_at),
    )


def _duration(minutes: int) -> str:
    """“35 min”, “3 h 05 min”, “2 d 4 h”."""
    hours, rest = divmod(minutes, 60)
    if hours == 0:
        return f"{rest} min"
    days, hours_left = divmod(hours, 24)
    return f"{days} d {hours_left} h" if days else f"{hours} h {rest:02d} min"


def infusions_page(patient: Patient, number: str | None) -> Page:
    """A page of the patient's infusions with all that hangs on them, in a fixed number of queries."""
    answers = Prefetch("answers", Answer.objects.select_related("alert").prefetch_related("symptoms"))
    checkins = Prefetch("checkins", CheckIn.objects.order_by("due_at").prefetch_related(answers))
    infusions = Infusion.objects.filter(patient=patient).with_details().prefetch_related(checkins)
    return Paginator(infusions.order_by("-started_at", "-pk"), INFUSIONS_A_PAGE).get_page(number)


def entries(patient: Patient, page: Page) -> list[Entry]:
    """The page's infusions and, among them by date, the IgA results; results older than all stand on the last page."""
    zone = patient.clinic.zone
    found = [Entry("infusion", infusion.started_at, infusion) for infusion in page.object_list]
    oldest = None if not page.has_next() else min(entry.at for entry in found)
    newest = None if not page.has_previous() else max(entry.at for entry in found)
    for iga in IgaResult.objects.current().filter(patient=patient):
        at = _start_of(iga.in_force_from, zone)
        if (oldest is None or at >= oldest) and (newest is None or at < newest):
            found.append(Entry("iga", at, iga))
    return sorted(found, key=lambda entry: entry.at, reverse=True)


def _start_of(day: date, zone: Any) -> datetime:
    return datetime.combine(day, time.min, tzinfo=zone)


def history_of(record: Any) -> list[AuditEvent]:
    """What was done to the record, newest first."""
    events = AuditEvent.objects.filter(entity=record._meta.label_lower, entity_id=record.pk)
    return list(events.select_related("by").order_by("-pk"))
