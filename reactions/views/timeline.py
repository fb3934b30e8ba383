"""What a patient's timeline says: one entry an event, newest first."""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Prefetch

from patients.models import IgaResult, Patient
from reactions.clinical.onset import OnsetClass, is_within_label_window, onset_class
from reactions.models import CheckIn, Infusion, Reaction, ResponseMeasures

INFUSIONS_A_PAGE = 15

ONSET_LABELS = {
    OnsetClass.IMMEDIATE: "immediate, within 6 h",
    OnsetClass.DELAYED: "delayed, within 1 week",
    OnsetClass.LATE: "late, after 1 week",
}


@dataclass(frozen=True)
class Entry:
    """One event. `kind` names the template that shows it: infusion, iga or response."""

    kind: str
    at: datetime
    record: Any


@dataclass(frozen=True)
class OnsetInWords:
    """When a reaction began, counted from the infusion's clock times."""

    after_start: str
    label: str
    in_label_window: bool
    when: str


def onset_in_words(reaction: Reaction, infusion: Infusion) -> OnsetInWords | None:
    """None when no onset was recorded, or when a later correction of the infusion put it before the start."""
    if reaction.onset_at is None or reaction.onset_at < infusion.started_at:
        return None
    minutes = int((reaction.onset_at - infusion.started_at).total_seconds() // 60)
    return OnsetInWords(
        after_start=_duration(minutes),
        label=ONSET_LABELS[onset_class(reaction.onset_at, infusion.started_at)],
        in_label_window=is_within_label_window(reaction.onset_at, infusion.started_at, infusion.ended_at),
        when=_when(reaction.onset_at, infusion.ended_at),
    )


def _when(onset_at: datetime, ended_at: datetime | None) -> str:
    """“during the infusion”, or how long after its end."""
    if ended_at is None or onset_at <= ended_at:
        return "during the infusion"
    return f"{_duration(int((onset_at - ended_at).total_seconds() // 60))} after its end"


def _duration(minutes: int) -> str:
    """“35 min”, “3 h 05 min”, “2 d 4 h”."""
    hours, rest = divmod(minutes, 60)
    if hours == 0:
        return f"{rest} min"
    days, hours_left = divmod(hours, 24)
    return f"{days} d {hours_left} h" if days else f"{hours} h {rest:02d} min"


def infusions_page(patient: Patient, number: str | None) -> Page:
    """A page of the patient's infusions with all that hangs on them, in a fixed number of queries."""
    checkins = Prefetch("checkins", CheckIn.objects.all().with_answers())
    infusions = Infusion.objects.filter(patient=patient).with_details().prefetch_related(checkins)
    return Paginator(infusions.order_by("-started_at", "-pk"), INFUSIONS_A_PAGE).get_page(number)


def entries(patient: Patient, page: Page) -> list[Entry]:
    """The page's infusions and, among them by date, what belongs to a day: IgA results and measures of the response.

    What is older than all infusions stands on the last page.
    """
    zone = patient.clinic.zone
    found = [Entry("infusion", infusion.started_at, infusion) for infusion in page.object_list]
    oldest = None if not page.has_next() else min(entry.at for entry in found)
    newest = None if not page.has_previous() else max(entry.at for entry in found)
    of_days = [
        *(("iga", iga.in_force_from, iga) for iga in IgaResult.objects.current().filter(patient=patient)),
        *(("response", row.measured_on, row) for row in ResponseMeasures.objects.current().filter(patient=patient)),
    ]
    for kind, day, record in of_days:
        at = _start_of(day, zone)
        if (oldest is None or at >= oldest) and (newest is None or at < newest):
            found.append(Entry(kind, at, record))
    return sorted(found, key=lambda entry: entry.at, reverse=True)


def _start_of(day: date, zone: Any) -> datetime:
    return datetime.combine(day, time.min, tzinfo=zone)
