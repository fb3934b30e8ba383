"""What can never be in the database, whoever writes it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from patients.models import AuditEvent, IgaResult, NeverDeleted, Patient, write_event
from reactions.checkins.plan import plan_checkins
from reactions.models import CheckIn, Infusion, OutboxMessage, Premedication, Reaction, Symptom, Vial
from tests.support.factories import make_infusion, make_patient, make_reaction

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "change",
    [
        {"ended_at": "before the start"},
        {"dose_g": Decimal(0)},
        {"dose_g": Decimal(-1)},
        {"weight_kg": Decimal(0)},
        {"day": 0},
        {"day": 6},
        {"voided_at": timezone.now()},
        {"void_reason": "without a time and a person"},
    ],
)
def test_an_impossible_infusion_is_refused(infusion: Infusion, change: dict) -> None:
    if "ended_at" in change:
        change = {"ended_at": infusion.started_at}
    with pytest.raises(IntegrityError):
        Infusion.objects.filter(pk=infusion.pk).update(**change)


def test_one_start_once_for_a_patient_unless_void(infusion: Infusion) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make_infusion(infusion.patient, started_at=infusion.started_at)
    Infusion.objects.filter(pk=infusion.pk).update(
        voided_at=timezone.now(), voided_by=infusion.created_by, void_reason="Twice"
    )
    make_infusion(infusion.patient, started_at=infusion.started_at)


def test_a_symptom_stands_once_in_a_reaction(infusion: Infusion) -> None:
    reaction = make_reaction(infusion, {"chills": 2})
    with pytest.raises(IntegrityError):
        Symptom.objects.create(reaction=reaction, term="chills", grade=1, ctcae_version="5.0")


@pytest.mark.parametrize(
    "fields", [{"term": "other"}, {"term": "chills", "other_text": "words"}, {"term": "chills", "grade": 6}]
)
def test_an_impossible_symptom_is_refused(infusion: Infusion, fields: dict) -> None:
    reaction = make_reaction(infusion, {})
    with pytest.raises(IntegrityError):
        Symptom.objects.create(reaction=reaction, ctcae_version="5.0", **fields)


def test_a_reaction_resolves_after_it_began(infusion: Infusion) -> None:
    reaction = make_reaction(infusion)
    with pytest.raises(IntegrityError):
        Reaction.objects.filter(pk=reaction.pk).update(resolved_at=reaction.onset_at - timedelta(minutes=1))


def test_other_rows_that_cannot_be(infusion: Infusion) -> None:
    for row in (
        Vial(infusion=infusion, lot=""),
        Vial(infusion=infusion, lot="L", grams=Decimal(0)),
        Premedication(infusion=infusion, drug="other"),
        Premedication(infusion=infusion, drug="cetirizine", other_drug="named"),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            row.save()


@pytest.mark.parametrize(
    ("rows", "fields", "constraint"),
    [
        ("rate_steps", {"rate_ml_per_h": 0, "reason": "step_up"}, "ratestep_zero_only_when_still"),
        ("rate_steps", {"rate_ml_per_h": 21, "reason": "pause"}, "ratestep_zero_only_when_still"),
        ("vitals", {"systolic_mmhg": 120}, "vitals_blood_pressure_is_whole"),
        ("vitals", {"spo2_percent": 101}, "vitals_spo2_percent"),
        ("treatments", {"drug": "other"}, "treatment_other_is_named"),
    ],
)
def test_an_impossible_row_of_the_chairside_is_refused(
    infusion: Infusion, rows: str, fields: dict, constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=f"reactions_{constraint}"):
        getattr(infusion, rows).create(at=infusion.started_at, created_by=infusion.created_by, **fields)


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


def test_one_vial_stands_once_in_an_infusion(infusion: Infusion) -> None:
    vial = {"lot": "L1", "gtin": "00614141999996", "serial": "A1"}
    infusion.vials.create(**vial)
    infusion.vials.create(**vial | {"serial": "A2"})
    infusion.vials.create(**vial | {"serial": ""})
    infusion.vials.create(**vial | {"serial": ""})
    with pytest.raises(IntegrityError):
        infusion.vials.create(**vial)


def test_two_checkins_of_one_kind_for_one_infusion_cannot_be(infusion: Infusion) -> None:
    plan_checkins(infusion, now=timezone.now())
    first = infusion.checkins.earliest("due_at")
    with pytest.raises(IntegrityError):
        CheckIn.objects.create(
            course=infusion.course,
            infusion=infusion,
            kind=first.kind,
            due_at=first.due_at,
            closes_at=first.closes_at,
            link_nonce=b"x",
            link_hash="another",
        )


@pytest.mark.parametrize(
    "fields",
    [
        {"is_pending": True, "value": 5},
        {"is_pending": False, "value": None},
        {"value": 80, "lab_low": 90, "lab_high": 80},
    ],
)
def test_an_impossible_iga_result_is_refused(patient: Patient, fields: dict) -> None:
    with pytest.raises(IntegrityError):
        IgaResult.objects.create(
            patient=patient, created_by=patient.created_by, in_force_from=timezone.localdate(), **fields
        )


def test_consent_has_a_time_and_a_person(patient: Patient) -> None:
    with pytest.raises(IntegrityError):
        Patient.objects.filter(pk=patient.pk).update(email_consent_by=None)


def test_a_record_number_is_one_patient_of_a_clinic(patient: Patient) -> None:
    with pytest.raises(IntegrityError):
        make_patient(patient.clinic, mrn=patient.mrn)


def test_a_mail_is_about_one_thing_and_is_planned_once(infusion: Infusion) -> None:
    plan_checkins(infusion, now=timezone.now())
    checkin = infusion.checkins.earliest("due_at")
    fields = {"kind": "checkin_invitation", "due_at": timezone.now()}
    OutboxMessage.objects.create(idempotency_key="k", message_id="<1@x>", checkin=checkin, **fields)
    for bad in ({"idempotency_key": "k", "checkin": checkin}, {"idempotency_key": "l"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            OutboxMessage.objects.create(message_id="<2@x>", **fields, **bad)


@pytest.mark.parametrize(
    "change", [{"state": "sent"}, {"state": "answered"}, {"state": "cancelled"}, {"state": "somewhere"}]
)
def test_a_check_in_in_an_impossible_state_is_refused(infusion: Infusion, change: dict) -> None:
    plan_checkins(infusion, now=timezone.now())
    with pytest.raises(IntegrityError):
        infusion.checkins.update(**change)


@pytest.mark.parametrize("change", [{"state": "lost"}, {"tried_at": timezone.now()}, {"state": "sent"}])
def test_a_mail_in_an_impossible_state_is_refused(infusion: Infusion, change: dict) -> None:
    plan_checkins(infusion, now=timezone.now())
    OutboxMessage.objects.create(
        kind="checkin_invitation",
        idempotency_key="k",
        message_id="<1@x>",
        due_at=timezone.now(),
        checkin=infusion.checkins.earliest("due_at"),
    )
    with pytest.raises(IntegrityError):
        OutboxMessage.objects.update(**change)


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


@pytest.mark.parametrize("fields", [{"anti_iga_isotype": "IgG"}, {"lab_low": -5}])
def test_half_an_iga_result_is_refused(patient: Patient, fields: dict) -> None:
    with pytest.raises(IntegrityError):
        IgaResult.objects.create(
            patient=patient, created_by=patient.created_by, value=80, in_force_from="2026-01-01", **fields
        )


def test_one_drug_without_a_time_stands_once(infusion: Infusion) -> None:
    infusion.premedications.create(drug="cetirizine")
    with pytest.raises(IntegrityError):
        infusion.premedications.create(drug="cetirizine")
