"""Every page of the staff about one record, and a record for each."""

from datetime import timedelta

from django.utils import timezone

from patients.models import IgaResult
from reactions.checkins.plan import plan_checkins
from reactions.models import Infusion, Reaction
from reactions.recording import open_anaphylaxis, submit_answer
from reactions.vocabulary import CheckInKind, CheckInState
from tests.support.factories import make_booking, make_reaction, make_response

# Pages about one record, with what their address needs.
RECORD_PAGES = {
    "reactions:patient": "patient",
    "reactions:void_patient": "patient",
    "patients:correct": "patient",
    "patients:record_iga": "patient",
    "patients:void_iga": "iga",
    "reactions:record_infusion": "patient",
    "reactions:infusion": "infusion",
    "reactions:correct_infusion": "infusion",
    "reactions:void_infusion": "infusion",
    "reactions:record_reaction": "infusion",
    "reactions:reaction": "reaction",
    "reactions:correct_reaction": "reaction",
    "reactions:void_reaction": "reaction",
    "reactions:anaphylaxis": "reaction",
    "reactions:void_anaphylaxis": "reaction",
    "reactions:causality": "reaction",
    "reactions:sign": "reaction",
    "reactions:versions": "reaction",
    "reactions:judge_seriousness": "reaction",
    "reactions:report": "reaction",
    "reactions:checkin": "checkin",
    "reactions:acknowledge": "alert",
    "reactions:review": "checkin",
    "reactions:accept_report": "checkin",
    "reactions:merge_report": "checkin",
    "reactions:reject_report": "checkin",
    "reactions:telephone": "checkin",
    "reactions:silence": "patient",
    "reactions:start_infusion": "patient",
    "reactions:running": "infusion",
    "reactions:change_rate": "infusion",
    "reactions:add_vitals": "infusion",
    "reactions:give_treatment": "infusion",
    "reactions:add_vial": "infusion",
    "reactions:correct_step": "step",
    "reactions:void_step": "step",
    "reactions:correct_vitals": "vitals",
    "reactions:void_vitals": "vitals",
    "reactions:correct_treatment": "treatment",
    "reactions:void_treatment": "treatment",
    "reactions:book_course": "patient",
    "reactions:unbook_course": "booking",
    "reactions:set_risks": "patient",
    "reactions:record_response": "patient",
    "reactions:correct_response": "response",
    "reactions:void_response": "response",
}


# Pages of administrators about one record.
ADMINISTRATORS_PAGES = {
    "reactions:person_copy": "patient",
    "reactions:person_copy_json": "patient",
    "reactions:erase_patient": "patient",
    "reactions:without_names": "clinic",
}


# Forms that stand on another page, to which their own addresses lead.
LEADING_ELSEWHERE = {
    "reactions:change_rate",
    "reactions:add_vitals",
    "reactions:give_treatment",
    "reactions:add_vial",
    "reactions:judge_seriousness",
    "reactions:merge_report",
    "reactions:reject_report",
}


def one_of_each(infusion: Infusion) -> dict[str, int]:
    """The keys of a record of each kind, by the names in RECORD_PAGES; all of them hang on the infusion."""
    reaction: Reaction = make_reaction(infusion, is_serious=True)
    open_anaphylaxis(reaction, by=infusion.created_by, now=timezone.now())
    plan_checkins(infusion, now=timezone.now())
    checkin = infusion.checkins.earliest("due_at")
    told_at = timezone.now() - timedelta(minutes=10)
    answer = submit_answer(
        checkin, has_problem=True, details={"comment": "x"}, symptoms={"headache": "severe"}, now=told_at
    )
    # Asked once more since, without an answer.
    later = infusion.checkins.filter(kind=CheckInKind.HOURS_72)
    later.update(state=CheckInState.EXPIRED, due_at=told_at + timedelta(minutes=5))
    iga = IgaResult.objects.create(
        patient=infusion.patient, value=80, measured_on=timezone.localdate(), created_by=infusion.created_by
    )
    return {
        "patient": infusion.patient_id,
        "infusion": infusion.pk,
        "reaction": reaction.pk,
        "checkin": checkin.pk,
        "alert": answer.alert.pk,
        "iga": iga.pk,
        "step": infusion.rate_steps.create(
            at=infusion.started_at, rate_ml_per_h=30, reason="start", created_by=infusion.created_by
        ).pk,
        "vitals": infusion.vitals.create(at=infusion.started_at, spo2_percent=98, created_by=infusion.created_by).pk,
        "treatment": infusion.treatments.create(
            at=infusion.started_at, drug="cetirizine", created_by=infusion.created_by
        ).pk,
        "work": infusion.patient.work.create(clinic=infusion.clinic, kind="bounced", opened_at=timezone.now()).pk,
        "booking": make_booking(infusion.patient).pk,
        "clinic": infusion.clinic.pk,
        "response": make_response(infusion.patient).pk,
    }
