"""Everything that is held on one patient, for them to have (GDPR art. 15 and 20; 45 CFR 164.524).

Composed from the models, so that what is added to the database is in it by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import models
from django.utils import timezone

from patients.belonging import rows_about, ways_to_patient
from patients.consent import words_of
from patients.models import AuditEvent, Patient, PatientMark, Record
from reactions.models import OutboxMessage, ReportLink, StaleRates, WrongBirthYear

# Rows that say nothing of a person: what searches and links go by, and what keeps the service running.
SAY_NOTHING = (PatientMark, ReportLink, StaleRates, WrongBirthYear)
# Columns that only the service has a use for: digests, secrets of links, what a form was sent under.
OF_THE_SERVICE = frozenset({
    "submission_id", "mrn_digest", "bounced_address", "link_nonce", "link_hash", "link_address", "address", "told",
})  # fmt: skip
OF_MAILS = frozenset({"kind", "state", "due_at", "sent_at", "bounced_at", "checkin", "recipient", "last_error"})


@dataclass(frozen=True)
class Held:
    """All rows of one kind. Each is {name of the column: value}, in the order of the columns."""

    title: str
    rows: list[dict[str, str]]


def everything_about(patient: Patient) -> list[Held]:
    """What the database holds, kind by kind, the person first, and at the end what was done with the record.

    Empty columns and empty kinds are left out. Times are on the clocks in force. What is void is in it.
    """
    kinds = [
        Held(_heading(rows.model), list(_told(rows))) for rows in rows_about(patient) if rows.model not in SAY_NOTHING
    ]
    kinds.append(Held("What was done with the record", list(_trail(patient))))
    return [kind for kind in kinds if kind.rows]


def _heading(model: type[models.Model]) -> str:
    return "Person" if model is Patient else _capital(model._meta.verbose_name_plural)


def _told(rows: models.QuerySet) -> Iterator[dict[str, str]]:
    columns = [field for field in rows.model._meta.concrete_fields if _is_told(field)]
    linked = [field.name for field in columns if field.is_relation and not _leads_to_own_row(field)]
    for row in rows.order_by("pk").select_related(*linked) if linked else rows.order_by("pk"):
        told = {_label(column): _in_words(column, row) for column in columns}
        yield {label: words for label, words in told.items() if words}


def _is_told(field: Any) -> bool:
    if field.model is OutboxMessage:
        return field.primary_key or field.name in OF_MAILS
    if field.name == "version" and issubclass(field.model, Record):
        # It counts changes; of a signature or an answer it says which one.
        return False
    return field.name not in OF_THE_SERVICE and field.related_model is not Patient


def _leads_to_own_row(field: Any) -> bool:
    """To another row about the patient, which is told by its number."""
    return bool(ways_to_patient(field.related_model))


def _label(field: Any) -> str:
    return "Number" if field.primary_key else _capital(field.verbose_name)


def _in_words(field: Any, row: models.Model) -> str:
    if field.is_relation:
        linked = getattr(row, field.attname) if _leads_to_own_row(field) else getattr(row, field.name)
        return "" if linked is None else f"{linked}"
    if field.name == "email_consent_text":
        return words_of(getattr(row, field.name))[0]
    shown = getattr(row, f"get_{field.name}_display", None)
    return _plain(shown() if shown else getattr(row, field.attname))


def _plain(value: Any) -> str:
    """A stored value as people read it; empty for nothing."""
    if value in (None, "", [], {}):
        return ""
    match value:
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{timezone.localtime(value):%Y-%m-%d %H:%M}"
        case Decimal():
            return format(value.normalize(), "f")
        case list():
            return ", ".join(_plain(one) for one in value)
        case dict():
            return "; ".join(f"{name}: {_plain(one)}".replace("_", " ") for name, one in value.items())
    return f"{value}"


def _trail(patient: Patient) -> Iterator[dict[str, str]]:
    """What was done, what stood there before, and why. Who of the staff looked is theirs too, and is not named."""
    for event in AuditEvent.objects.filter(patient_id=patient.pk).select_related("key").order_by("pk"):
        changes = [
            f"{name}: {_plain(old)} → {_plain(new)}".replace("_", " ") for name, (old, new) in event.changes.items()
        ]
        told = {
            "When": _plain(event.at),
            "Who": "the clinic's staff" if event.by_id else "the service, or the patient",
            "What": event.act.replace(".", " ").replace("_", " "),
            "Changed": "; ".join(changes),
            "Why": event.reason,
        }
        yield {label: words for label, words in told.items() if words}


def _capital(words: Any) -> str:
    return f"{words}"[:1].upper() + f"{words}"[1:]
