"""What a patient's timeline says: one entry an event, newest first."""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Prefetch

from patients.models import IgaResult, Patient
from reactions.models import CheckIn, Infusion, ResponseMeasures

INFUSIONS_A_PAGE = 15


@dataclass(frozen=True)
class Entry:
    """One event. `kind` names the template that shows it: infusion, iga or response."""

    kind: str
    at: datetime
    record: Any


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
