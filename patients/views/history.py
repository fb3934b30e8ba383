"""The history of a record as a nurse reads it, composed from its audit events."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from patients.models import AuditEvent, User

NOTHING = "empty"
# The first event of a record would only repeat the record.
FIRST_ACTS = frozenset({"recorded", "registered", "started", "given", "noted", "booked"})


@dataclass(frozen=True)
class Change:
    """One field, before and after. Rows of a record are listed as those taken away and those added."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class HistoryLine:
    act: str
    by: User | None
    at: datetime
    reason: str
    changes: list[Change]


def history_of(record: models.Model) -> list[HistoryLine]:
    """What was done to the record, newest first; times are in the zone in force."""
    events = AuditEvent.objects.filter(entity=record._meta.label_lower, entity_id=record.pk)
    return [_line(event, type(record)) for event in events.select_related("by", "key").order_by("-pk")]


def _line(event: AuditEvent, model: type[models.Model]) -> HistoryLine:
    what = event.act.rpartition(".")[2]
    changes = changes_of(event, model)
    return HistoryLine(what.replace("_", " ").capitalize(), event.by, event.at, event.reason, changes)


def changes_of(event: AuditEvent, model: type[models.Model]) -> list[Change]:
    """What the event changed; nothing for the first one of a record."""
    return [] if event.act.rpartition(".")[2] in FIRST_ACTS else changes_in_words(model, event.changes)


def changes_in_words(model: type[models.Model], changes: dict[str, list[Any]]) -> list[Change]:
    """Field: [old, new] of an audit event, with the names and values that the pages use."""
    found = []
    for name, (before, after) in changes.items():
        field = _field(model, name)
        if isinstance(before or after, list) and isinstance(field, models.ForeignObjectRel):
            found.append(_changed_rows(field, before or [], after or []))
        else:
            found.append(Change(_label(field, name), in_words(field, before), in_words(field, after)))
    return found


def _changed_rows(field: models.ForeignObjectRel, before: list[Any], after: list[Any]) -> Change:
    gone = [row for row in before if row not in after]
    new = [row for row in after if row not in before]
    model = field.related_model
    return Change(str(model._meta.verbose_name_plural).capitalize(), _rows(model, gone), _rows(model, new))


def _rows(model: Any, rows: Iterable[dict[str, Any]]) -> str:
    words = []
    for row in rows:
        values = [in_words(_field(model, name), value) for name, value in row.items() if value not in (None, "", False)]
        words.append(" ".join(values))
    return "; ".join(words) or "none"


def _field(model: type[models.Model], name: str) -> Any:
    for candidate in (name, name.removesuffix("_id")):
        try:
            return model._meta.get_field(candidate)
        except FieldDoesNotExist:
            continue
    return None


def _label(field: Any, name: str) -> str:
    label = str(getattr(field, "verbose_name", "") or name.replace("_", " "))
    return label[:1].upper() + label[1:]


def in_words(field: Any, value: Any) -> str:
    """A stored value as the pages show it: choices by their label, times on the clock, links by their name."""
    if value in (None, "", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(part).replace("_", " ") for part in value)
    if getattr(field, "choices", None):
        return str(dict(field.flatchoices).get(value, value))
    if isinstance(field, models.ForeignKey):
        linked = field.related_model._default_manager.filter(pk=value).first()
        return str(linked or value)
    if isinstance(field, models.DateTimeField):
        moment = parse_datetime(str(value))
        return f"{timezone.localtime(moment):%Y-%m-%d %H:%M}" if moment and timezone.is_aware(moment) else str(value)
    if isinstance(field, models.DecimalField):
        return _plain(str(value))
    return str(value)


def _plain(number: str) -> str:
    try:
        return format(Decimal(number).normalize(), "f")
    except InvalidOperation:
        return number
