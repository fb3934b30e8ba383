"""The audit trail as an auditor reads it: who did what when, from where, and who looked at a patient's record."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.apps import apps
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from patients.access import StaffRequest
from patients.forms.trail import TrailForm
from patients.models import AuditEvent, Patient
from patients.spreadsheet import Echo, safe_cell
from patients.views.history import Change, changes_of

PAGE_SIZE = 50
COLUMNS = (
    "number",
    "at",
    "by",
    "act",
    "record",
    "record_number",
    "patient",
    "clinic",
    "address",
    "browser",
    "reason",
    "changes",
)
CHUNK = 1_000


@dataclass(frozen=True)
class Line:
    event: AuditEvent
    patient: Patient | None
    changes: list[Change]

    @property
    def act(self) -> str:
        """“Page read”, “Infusion corrected”."""
        return self.event.act.replace(".", " ").replace("_", " ").capitalize()

    @property
    def about(self) -> str:
        """The page, or the kind of record and its number."""
        kind = self.event.entity.rpartition(":")[2].rpartition(".")[2].replace("_", " ")
        return f"{kind} {self.event.entity_id}" if self.event.entity_id else kind


@require_safe
def trail_page(request: StaffRequest) -> HttpResponse:
    """For auditors and administrators."""
    form = _form(request)
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        events = form.events().select_related("by", "key", "clinic")
        page = Paginator(events, PAGE_SIZE).get_page(request.GET.get("page"))
        context |= {"page": page, "lines": _lines(list(page), form), "patient": form.chosen_patient()}
    return render(request, "patients/trail.html", context, status=HTTPStatus.OK if form.is_valid() else 400)


@require_safe
def trail_csv(request: StaffRequest) -> HttpResponseBase:
    """All that the page shows on its pages, with old and new values as JSON."""
    form = _form(request)
    if not form.is_valid():
        return render(request, "patients/trail.html", {"form": form}, status=HTTPStatus.BAD_REQUEST)
    headers = {"Content-Disposition": 'attachment; filename="audit-trail.csv"'}
    return StreamingHttpResponse(_rows(form), content_type="text/csv; charset=utf-8", headers=headers)


def _form(request: StaffRequest) -> TrailForm:
    if not request.user.audits_something:
        raise PermissionDenied
    return TrailForm(request.GET, user=request.user)


def _lines(events: list[AuditEvent], form: TrailForm) -> list[Line]:
    here = Patient.objects.filter(clinic__in=form.clinics)
    patients = here.in_bulk({event.patient_id for event in events if event.patient_id})
    return [Line(event, patients.get(event.patient_id or 0), _changes(event)) for event in events]


def _changes(event: AuditEvent) -> list[Change]:
    """In the words of the pages, where the kind of record is still known."""
    try:
        model = apps.get_model(event.entity)
    except (LookupError, ValueError):
        return []
    return changes_of(event, model)


def _rows(form: TrailForm) -> Iterator[str]:
    writer = csv.writer(Echo())
    yield writer.writerow(COLUMNS)
    for event in form.events().select_related("by", "key", "clinic").iterator(chunk_size=CHUNK):
        cells = (
            event.pk,
            event.at.isoformat(),
            event.by.username if event.by else "",
            event.act,
            event.entity,
            event.entity_id or "",
            event.patient_id or "",
            event.clinic.slug if event.clinic else "",
            event.came_from,
            event.browser,
            event.reason,
            json.dumps(event.changes, ensure_ascii=False) if event.changes else "",
        )
        yield writer.writerow([safe_cell(f"{cell}") for cell in cells])
