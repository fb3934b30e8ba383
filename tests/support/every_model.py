"""A row of each model."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from patients.models import Clinic
from reactions.checkins.plan import plan_checkins
from reactions.models import (
    AlertPolicy,
    AnaphylaxisRecord,
    Answer,
    CheckInPlan,
    ClinicProtocol,
    Infusion,
    PhoneCall,
    Reaction,
    ReviewDecision,
    SafetyCheck,
)
from reactions.recording import submit_answer
from tests.support.factories import make_infusion, make_patient, make_reaction, make_response


def fill(clinic: Clinic, times: int) -> None:
    """A row of each model of the clinic's, for so many patients."""
    ClinicProtocol.objects.get_or_create(clinic=clinic)
    AlertPolicy.objects.get_or_create(clinic=clinic)
    CheckInPlan.objects.get_or_create(clinic=clinic)
    for _ in range(times):
        patient = make_patient(clinic)
        now = timezone.now()
        clinic.shifts.create(person=patient.created_by, starts_at=now, ends_at=now + timedelta(hours=12))
        infusion = make_infusion(patient)
        infusion.vials.create(lot="SYN", grams=30)
        _fill_chairside(infusion)
        _judge(make_reaction(infusion, {"chills": 2, "headache": 1}))
        plan_checkins(infusion, now=timezone.now())
        checkin = infusion.checkins.earliest("due_at")
        symptoms = {"headache": "severe"}
        answer = submit_answer(checkin, has_problem=True, details={}, symptoms=symptoms, now=timezone.now())
        _follow_up(answer)
        patient.iga_results.create(value=80, measured_on=timezone.localdate(), created_by=patient.created_by)
        patient.risks.create(factor="migraine", created_by=patient.created_by)
        make_response(patient)
        patient.emergencies.create(
            user=patient.created_by, reason="Synthetic", began_at=now, ends_at=now + timedelta(hours=4)
        )


def _follow_up(answer: Answer) -> None:
    now, by = timezone.now(), answer.checkin.patient.created_by
    kept: dict[str, Any] = {"checkin": answer.checkin}
    decided = kept | {"answer": answer, "decided_at": now, "decided_by": by, "version": 1}
    ReviewDecision.objects.create(verdict="rejected", reject_reason="not_related", submission_id=uuid4(), **decided)
    called = kept | {"patient": answer.checkin.patient, "called_at": now, "called_by": by}
    PhoneCall.objects.create(outcome="no_problem", submission_id=uuid4(), **called)


def _fill_chairside(infusion: Infusion) -> None:
    at, by = infusion.started_at, infusion.created_by
    infusion.rate_steps.create(at=at, rate_ml_per_h=30, reason="start", created_by=by)
    infusion.rate_steps.create(at=at + timedelta(minutes=30), rate_ml_per_h=60, reason="step_up", created_by=by)
    infusion.vitals.create(at=at, heart_rate_per_min=80, created_by=by)
    infusion.treatments.create(at=at, drug="cetirizine", created_by=by)
    items = [{"code": "first_infusion", "level": "caution", "text": "x", "source": "y"}]
    SafetyCheck.objects.create(infusion=infusion, items=items, shown_at=at, acknowledged_by=by, reason="Known")


def _judge(reaction: Reaction) -> None:
    now, by = timezone.now(), reaction.created_by
    AnaphylaxisRecord.objects.create(reaction=reaction, criteria=["C1"], created_by=by)
    reaction.causality.create(scale="who_umc", category="possible", judged_at=now, judged_by=by)
    reaction.signatures.create(by=by, printed_name="Nora Test", meaning="review", signed_at=now, version=1)
    reaction.work.create(clinic=reaction.infusion.clinic, kind="serious_reaction", opened_at=now)
