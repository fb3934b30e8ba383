"""What may stand once, and what is never changed or deleted. Every constraint by itself: test_constraints.py."""

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from patients.models import AuditEvent, IgaResult, NeverDeleted, Patient, write_event
from reactions.models import Infusion, Reaction
from tests.support.factories import make_checkins, make_infusion, make_reaction

pytestmark = pytest.mark.django_db


def test_one_start_once_for_a_patient_unless_void(infusion: Infusion) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make_infusion(infusion.patient, started_at=infusion.started_at)
    Infusion.objects.filter(pk=infusion.pk).update(
        voided_at=timezone.now(), voided_by=infusion.created_by, void_reason="Twice"
    )
    make_infusion(infusion.patient, started_at=infusion.started_at)


@pytest.mark.parametrize(
    ("rows", "fields"),
    [
        ("rate_steps", {"rate_ml_per_h": 21, "reason": "start"}),
        ("vitals", {"heart_rate_per_min": 72}),
        ("treatments", {"drug": "cetirizine"}),
    ],
)
def test_one_row_of_the_chairside_a_moment_unless_void(infusion: Infusion, rows: str, fields: dict) -> None:
    row = fields | {"at": infusion.ended_at, "created_by": infusion.created_by}
    first = getattr(infusion, rows).create(**row)
    with pytest.raises(IntegrityError), transaction.atomic():
        getattr(infusion, rows).create(**row)
    first.voided_at, first.voided_by, first.void_reason = timezone.now(), infusion.created_by, "Twice"
    first.save()
    getattr(infusion, rows).create(**row)


def test_a_mail_is_planned_once(infusion: Infusion) -> None:
    make_checkins(infusion)
    mails = infusion.checkins.earliest("due_at").mails
    fields = {"kind": "checkin_invitation", "idempotency_key": "k", "due_at": timezone.now()}
    mails.create(message_id="<1@x>", **fields)
    with pytest.raises(IntegrityError):
        mails.create(message_id="<2@x>", **fields)


def test_clinical_records_and_the_trail_are_never_deleted(infusion: Infusion) -> None:
    reaction = make_reaction(infusion)
    event = write_event("test", by=None)
    for record in (infusion.patient, infusion, reaction, event):
        with pytest.raises(NeverDeleted):
            record.delete()
    for model in (Patient, Infusion, Reaction, IgaResult, AuditEvent):
        with pytest.raises(NeverDeleted):
            model.objects.all().delete()
    with pytest.raises(NeverDeleted):
        event.save()


def test_a_void_record_is_not_changed_any_more(infusion: Infusion) -> None:
    Infusion.objects.filter(pk=infusion.pk).update(
        voided_at=timezone.now(), voided_by=infusion.created_by, void_reason="Twice"
    )
    assert not infusion.claim_version(1)
