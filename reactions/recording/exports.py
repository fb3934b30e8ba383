"""What leaves the clinic as a file, and the trace that it leaves."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from patients.models import Clinic, User, write_event
from reactions.exchange import call_list
from reactions.exchange.log_export import exported
from reactions.exchange.without_names import lines_without_names
from reactions.models.infusion import InfusionQuerySet


@transaction.atomic
def export_call_list(infusions: InfusionQuerySet, *, by: User, lot: str, product: str, now: datetime) -> str:
    """The call list of the infusions as CSV. Each clinic's history keeps that its patients were exported, and by whom.

    `infusions` are those with the lot that the person may see.
    """
    lines = call_list.call_list(infusions, today=timezone.localdate(now))
    for clinic, patients in Counter(line.patient.clinic for line in lines).items():
        changes = {"lot": [None, lot], "product": [None, product], "patients": [None, patients]}
        write_event("lot.exported", by=by, clinic=clinic, changes=changes)
    return call_list.as_csv(lines)


def export_without_names(clinic: Clinic, *, by: User) -> Iterator[str]:
    """The clinic's infusions as lines of CSV with nothing that identifies a person (exchange/without_names.py)."""
    rows = exported(clinic).exclude(ended_at=None).count()
    write_event("log.exported_without_names", by=by, about=clinic, clinic=clinic, changes={"rows": [None, rows]})
    return lines_without_names(clinic)
