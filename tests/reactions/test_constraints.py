"""What can never be in the database, whoever writes it: every constraint is broken here, past the forms.

A new constraint needs an example in BREAKS; one of a new model also needs a sound row of it in SOUND.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction
from django.db.models import F
from django.utils import timezone

from patients.models import (
    AppendOnly,
    AuditEvent,
    AuditSeal,
    Clinic,
    EmergencyAccess,
    IgaResult,
    NeverDeleted,
    Patient,
    PatientMark,
    StaffRole,
    write_event,
)
from reactions.models import (
    Alert,
    AlertPolicy,
    AnaphylaxisRecord,
    Answer,
    AnswerSymptom,
    CausalityAssessment,
    CheckIn,
    CheckInPlan,
    Course,
    Heartbeat,
    Infusion,
    OnCallShift,
    OutboxMessage,
    PatientRisk,
    PhoneCall,
    PlanStep,
    Premedication,
    Product,
    ProductRate,
    RateColumns,
    RatesKept,
    RateStep,
    Reaction,
    ResponseMeasures,
    ReviewDecision,
    SafetyCheck,
    Signal,
    SignalDecision,
    Signature,
    Site,
    Symptom,
    Treatment,
    Vial,
    Vitals,
    WorkItem,
)
from reactions.rates import kept
from reactions.rates.strata import from_records
from reactions.recording import erase_patient
from tests.support.factories import make_checkins, make_reaction, make_response, make_signal

pytestmark = pytest.mark.django_db

Break = Callable[[Any], None]
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def changed(**columns: Any) -> Break:
    """The row with other values in some columns."""

    def write(row: Any) -> None:
        type(row)._base_manager.filter(pk=row.pk).update(**columns)

    return write


def twice(of: dict[str, Any] | None = None, **columns: Any) -> Break:
    """The row, with the values `of`, a second time with other values in some columns."""

    def write(row: Any) -> None:
        if of:
            changed(**of)(row)
            row.refresh_from_db()
        row.pk = None
        row._state.adding = True
        for name, value in columns.items():
            setattr(row, name, value)
        row.save(force_insert=True)

    return write


def named_without_a_reason(check: SafetyCheck) -> None:
    changed(acknowledged_by=check.infusion.created_by)(check)


def erased_with_a_phone(patient: Patient) -> None:
    erase_patient(patient, by=patient.created_by, reason="Test", seen_version=1, now=timezone.now())
    changed(phone="+1 555 0100")(patient)


def about_its_patient_twice(item: WorkItem) -> None:
    changed(kind="bounced", reaction=None, patient=item.reaction.patient)(item)
    item.refresh_from_db()
    twice()(item)


def about_its_signal_twice(item: WorkItem) -> None:
    changed(kind="signal", reaction=None, signal=make_signal(item.clinic))(item)
    item.refresh_from_db()
    twice()(item)


def with_an_answer(call: PhoneCall) -> None:
    changed(answer=call.checkin.answers.get())(call)


OTHER_FORM = uuid4()
HALF_VOIDED = [changed(void_reason="without a time and a person"), changed(voided_at=LONG_AGO)]
NO_NAME, TWO_NAMES = {"drug": "other"}, {"other_drug": "named"}

# Constraint: writes that each break it and no other.
BREAKS: dict[str, list[Break]] = {
    "patients_staffrole_once": [twice()],
    "patients_emergencyaccess_ends": [changed(reason=""), changed(ends_at=LONG_AGO)],
    "patients_patient_void_is_whole": HALF_VOIDED,
    "patients_patient_mrn_once": [twice()],
    "patients_patientmark_once": [twice()],
    "patients_patient_consent_is_whole": [
        changed(email_consent_by=None),
        changed(email_consent_at=None),
        changed(email_consent_text=""),
    ],
    "patients_clinic_keep_years": [changed(keep_years=0), changed(keep_years=101)],
    "patients_patient_erased_names_nobody": [changed(erased_at=LONG_AGO), erased_with_a_phone],
    "patients_patient_withdrawn_has_no_consent": [changed(email_withdrawn_by_link_at=LONG_AGO)],
    "patients_patient_has_mrn": [changed(mrn="")],
    "patients_igaresult_void_is_whole": HALF_VOIDED,
    "patients_igaresult_pending_or_value": [changed(is_pending=True), changed(value=None), changed(value=-1)],
    "patients_igaresult_limits_in_order": [changed(lab_low=90, lab_high=80), changed(lab_low=80, lab_high=80)],
    "patients_igaresult_limits_not_negative": [changed(lab_low=-5), changed(lab_high=-5)],
    "patients_igaresult_anti_iga_is_whole": [changed(anti_iga_isotype="IgG"), changed(anti_iga_on=LONG_AGO)],
    "patients_igaresult_in_force_from_sample": [changed(measured_on=date(2026, 1, 2))],
    "reactions_course_label_once": [twice()],
    "reactions_course_days_1_to_5": [changed(planned_days=0), changed(planned_days=6)],
    "reactions_course_planned_dose_positive": [changed(planned_g=0)],
    "reactions_product_version_once": [twice(is_current=False)],
    "reactions_product_one_current": [twice(label_version=2)],
    "reactions_product_concentration_positive": [changed(concentration_percent=0)],
    "reactions_productrate_once": [twice()],
    "reactions_productrate_positive": [
        changed(start_ml_per_kg_h=0),
        changed(max_ml_per_kg_h=F("start_ml_per_kg_h") / 2),
        changed(at_risk_max_ml_per_kg_h=0),
    ],
    "reactions_infusion_void_is_whole": HALF_VOIDED,
    "reactions_infusion_ends_after_start": [changed(ended_at=F("started_at")), changed(ended_at=LONG_AGO)],
    "reactions_infusion_dose_positive": [changed(dose_g=0), changed(dose_g=-1)],
    "reactions_infusion_weight_positive": [changed(weight_kg=0)],
    "reactions_infusion_day_1_to_5": [changed(day=0), changed(day=6)],
    "reactions_infusion_planned_rate_positive": [changed(planned_rate_ml_per_h=0)],
    "reactions_infusion_start_once": [twice()],
    "reactions_vial_grams_positive": [changed(grams=0)],
    "reactions_vial_has_lot": [changed(lot="")],
    "reactions_vial_once": [twice()],
    "reactions_premedication_once": [twice()],
    "reactions_premedication_untimed_once": [twice(of={"minutes_before": None})],
    "reactions_premedication_within_a_day": [changed(minutes_before=24 * 60 + 1)],
    "reactions_premedication_other_is_named": [changed(**NO_NAME), changed(**TWO_NAMES)],
    "reactions_ratestep_void_is_whole": HALF_VOIDED,
    "reactions_ratestep_once": [twice()],
    "reactions_ratestep_zero_only_when_still": [changed(rate_ml_per_h=0), changed(reason="pause")],
    "reactions_vitals_void_is_whole": HALF_VOIDED,
    "reactions_vitals_once": [twice()],
    "reactions_vitals_blood_pressure_is_whole": [
        changed(systolic_mmhg=120),
        changed(diastolic_mmhg=80),
        changed(systolic_mmhg=80, diastolic_mmhg=80),
    ],
    "reactions_vitals_spo2_percent": [changed(spo2_percent=101)],
    "reactions_vitals_measure_something": [changed(heart_rate_per_min=None)],
    "reactions_reaction_void_is_whole": HALF_VOIDED,
    "reactions_reaction_resolves_after_onset": [changed(resolved_at=LONG_AGO)],
    "reactions_reaction_criteria_mean_serious": [
        changed(serious_criteria=["death"], is_serious=False),
        changed(serious_criteria=["death"], is_serious=None),
    ],
    "reactions_symptom_ends_after_onset": [changed(ended_at=LONG_AGO)],
    "reactions_symptom_once": [twice()],
    "reactions_symptom_grade_1_to_5": [changed(grade=0), changed(grade=6)],
    "reactions_symptom_other_is_named": [changed(term="other"), changed(other_text="words")],
    "reactions_treatment_void_is_whole": HALF_VOIDED,
    "reactions_treatment_once": [twice()],
    "reactions_treatment_other_is_named": [changed(**NO_NAME), changed(**TWO_NAMES)],
    "reactions_causality_who_umc_is_chosen": [changed(category="")],
    "reactions_anaphylaxisrecord_void_is_whole": HALF_VOIDED,
    "reactions_anaphylaxis_brown_1_to_3": [changed(brown_grade=0), changed(brown_grade=4)],
    "reactions_workitem_open_once": [twice()],
    "reactions_workitem_patient_open_once": [about_its_patient_twice],
    "reactions_workitem_signal_open_once": [about_its_signal_twice],
    "reactions_workitem_closed_is_whole": [changed(closed_because="Signed"), changed(closed_at=LONG_AGO)],
    "reactions_workitem_about_its_record": [changed(reaction=None), changed(kind="bounced"), changed(kind="signal")],
    "reactions_signal_open_once": [twice()],
    "reactions_signal_is_about_its_kind": [
        changed(lot=""),
        changed(product=""),
        changed(period="2026"),
        changed(setting="home"),
        changed(kind="product"),
        changed(kind="site"),
        changed(kind="nurse"),
        changed(kind="product", lot=""),
        changed(kind="site", lot="", product=""),
    ],
    "reactions_signaldecision_verdict_known": [changed(verdict="forgotten")],
    "reactions_signaldecision_has_words": [changed(words="")],
    "reactions_checkin_kind_once": [twice(link_hash="another")],
    "reactions_checkin_closes_after_due": [changed(closes_at=F("due_at"))],
    "reactions_checkin_answered_is_whole": [changed(state="answered"), changed(answered_at=LONG_AGO)],
    "reactions_checkin_reason_when_cancelled": [changed(state="cancelled")],
    "reactions_checkin_sent_has_time": [changed(state="sent")],
    "reactions_checkin_state_known": [changed(state="somewhere")],
    "reactions_checkin_question_set_known": [changed(question_set="whatever")],
    "reactions_answer_version_once": [twice()],
    "reactions_answersymptom_once": [twice(severity="mild")],
    "reactions_alert_level_known": [changed(level="blue")],
    "reactions_alert_acknowledged_is_whole": [changed(acknowledged_at=LONG_AGO), changed(what_was_done="Called")],
    "reactions_outbox_planned_once": [twice(message_id="<another@clinic.example>")],
    "reactions_outbox_message_id_once": [twice(idempotency_key="another")],
    "reactions_outbox_state_known": [changed(state="lost")],
    "reactions_outbox_sent_is_whole": [changed(state="sent"), changed(sent_at=LONG_AGO)],
    "reactions_outbox_bounced_is_whole": [changed(state="bounced"), changed(bounced_at=LONG_AGO)],
    "reactions_outbox_lease_while_sending": [changed(state="sending"), changed(lease_until=LONG_AGO)],
    "reactions_outbox_tried_while_sending": [changed(tried_at=LONG_AGO)],
    "reactions_outbox_about_one_thing": [changed(checkin=None), changed(kind="alert"), changed(kind="work")],
    "reactions_responsemeasures_void_is_whole": HALF_VOIDED,
    "reactions_response_mmt8_to_150": [changed(mmt8=151)],
    "reactions_response_global_0_to_10": [
        changed(patient_global=-1),
        changed(patient_global=11),
        changed(physician_global=-1),
        changed(physician_global=11),
    ],
    "reactions_response_measures_something": [changed(mmt8=None, ck_u_per_l=None)],
    "reactions_patientrisk_void_is_whole": HALF_VOIDED,
    "reactions_patientrisk_once": [twice(note="again")],
    "reactions_safetycheck_acknowledged_is_whole": [changed(reason="Known"), named_without_a_reason],
    "reactions_review_version_once": [twice(of={"verdict": "merged"}, submission_id=OTHER_FORM)],
    "reactions_review_accepted_once": [twice(version=2, submission_id=OTHER_FORM)],
    "reactions_review_is_whole": [
        changed(verdict="forgotten"),
        changed(reaction=None),
        changed(reject_reason="other"),
        changed(verdict="rejected"),
        changed(verdict="rejected", reaction=None),
    ],
    "reactions_phonecall_outcome_known": [changed(outcome="sung to")],
    "reactions_phonecall_answer_is_a_problem": [with_an_answer],
    "reactions_alertpolicy_hours_in_order": [changed(works_until=F("works_from"))],
    "reactions_oncallshift_rung_known": [changed(rung=3)],
    "reactions_oncallshift_ends_after_start": [changed(ends_at=F("starts_at"))],
    "reactions_plan_quiet_is_whole": [
        changed(quiet_from=None),
        changed(sends_from=None),
        changed(quiet_from=F("sends_from")),
    ],
    "reactions_planstep_key_once": [twice()],
    "reactions_planstep_question_set_known": [changed(question_set="whatever")],
    "reactions_site_only_one": [twice(id=2)],
    "reactions_site_has_id": [changed(site_id="")],
    "reactions_rateskept_only_one": [twice(id=2)],
    "reactions_ratecolumns_once": [twice()],
    "reactions_heartbeat_once": [twice()],
    "reactions_heartbeat_part_known": [changed(part="cat")],
    "reactions_heartbeat_trouble_is_whole": [changed(failing_since=LONG_AGO), changed(trouble="Refused")],
    "reactions_safetycheck_decided_is_acknowledged": [changed(decided_by="Dr. Synthia Test")],
}


def at_the_start(infusion: Infusion) -> dict[str, Any]:
    return {"infusion": infusion, "at": infusion.started_at, "created_by": infusion.created_by}


def a_product(infusion: Infusion) -> Product:
    return Product.objects.create(name="Synthetic globulin", source="Made up", concentration_percent=10)


def a_checkin(infusion: Infusion) -> CheckIn:
    make_checkins(infusion)
    return infusion.checkins.earliest("due_at")


def an_answer(infusion: Infusion) -> Answer:
    return a_checkin(infusion).answers.create(version=1, submitted_at=timezone.now(), has_problem=True)


def a_decision(infusion: Infusion) -> ReviewDecision:
    answer = an_answer(infusion)
    return ReviewDecision.objects.create(
        checkin=answer.checkin,
        answer=answer,
        version=1,
        verdict="accepted",
        reaction=make_reaction(infusion),
        decided_at=timezone.now(),
        decided_by=infusion.created_by,
        submission_id=uuid4(),
    )


def a_decision_about_a_signal(infusion: Infusion) -> SignalDecision:
    return SignalDecision.objects.create(
        signal=make_signal(infusion.clinic),
        verdict="chance",
        words="Looked into",
        figures="4 reactions in 10 infusions",
        events=4,
        infusions=10,
        decided_at=timezone.now(),
        decided_by=infusion.created_by,
        submission_id=uuid4(),
    )


# A sound row of each model with a constraint, about the infusion.
def an_emergency(infusion: Infusion) -> EmergencyAccess:
    now = timezone.now()
    return EmergencyAccess.objects.create(
        user=infusion.created_by, patient=infusion.patient, reason="x", began_at=now, ends_at=now + timedelta(hours=4)
    )


SOUND: dict[type[models.Model], Callable[[Infusion], models.Model]] = {
    StaffRole: lambda infusion: infusion.created_by.roles.get(),
    Clinic: lambda infusion: infusion.clinic,
    Patient: lambda infusion: infusion.patient,
    EmergencyAccess: an_emergency,
    PatientMark: lambda infusion: PatientMark.objects.filter(patient=infusion.patient).earliest("pk"),
    IgaResult: lambda infusion: IgaResult.objects.create(
        patient=infusion.patient, value=80, in_force_from=date(2026, 1, 1), created_by=infusion.created_by
    ),
    Course: lambda infusion: infusion.course,
    Product: a_product,
    ProductRate: lambda infusion: a_product(infusion).rates.create(
        start_ml_per_kg_h=1, max_ml_per_kg_h=4, source="Made up", source_date=date(2026, 1, 1)
    ),
    Infusion: lambda infusion: infusion,
    Vial: lambda infusion: infusion.vials.create(lot="SYN-1", gtin="00614141999996", serial="A1"),
    Premedication: lambda infusion: infusion.premedications.create(drug="cetirizine", minutes_before=30),
    RateStep: lambda infusion: RateStep.objects.create(rate_ml_per_h=21, reason="start", **at_the_start(infusion)),
    Vitals: lambda infusion: Vitals.objects.create(heart_rate_per_min=72, **at_the_start(infusion)),
    Treatment: lambda infusion: Treatment.objects.create(drug="cetirizine", **at_the_start(infusion)),
    Reaction: make_reaction,
    Symptom: lambda infusion: make_reaction(infusion).symptoms.get(),
    CausalityAssessment: lambda infusion: make_reaction(infusion).causality.create(
        scale="who_umc", category="possible", judged_at=timezone.now(), judged_by=infusion.created_by
    ),
    AnaphylaxisRecord: lambda infusion: AnaphylaxisRecord.objects.create(
        reaction=make_reaction(infusion), created_by=infusion.created_by
    ),
    WorkItem: lambda infusion: make_reaction(infusion).work.create(
        clinic=infusion.clinic, kind="serious_reaction", opened_at=timezone.now()
    ),
    CheckIn: a_checkin,
    Answer: an_answer,
    AnswerSymptom: lambda infusion: an_answer(infusion).symptoms.create(symptom="headache", severity="severe"),
    Alert: lambda infusion: Alert.objects.create(
        patient=infusion.patient, answer=an_answer(infusion), level="red", why="Made up", raised_at=timezone.now()
    ),
    OutboxMessage: lambda infusion: a_checkin(infusion).mails.create(
        kind="checkin_invitation", idempotency_key="k", message_id="<1@x>", due_at=timezone.now()
    ),
    ResponseMeasures: lambda infusion: make_response(infusion.patient),
    PatientRisk: lambda infusion: infusion.patient.risks.create(factor="thrombosis", created_by=infusion.created_by),
    SafetyCheck: lambda infusion: SafetyCheck.objects.create(infusion=infusion, shown_at=timezone.now()),
    ReviewDecision: a_decision,
    PhoneCall: lambda infusion: PhoneCall.objects.create(
        checkin=an_answer(infusion).checkin,
        patient=infusion.patient,
        outcome="not_reached",
        called_at=timezone.now(),
        called_by=infusion.created_by,
        submission_id=uuid4(),
    ),
    Signal: lambda infusion: make_signal(infusion.clinic),
    SignalDecision: a_decision_about_a_signal,
    CheckInPlan: lambda infusion: CheckInPlan.objects.create(clinic=infusion.patient.clinic),
    PlanStep: lambda infusion: SOUND[CheckInPlan](infusion).steps.create(
        key="days_14", label="14 days after", after=14
    ),
    AlertPolicy: lambda infusion: AlertPolicy.objects.create(clinic=infusion.patient.clinic),
    OnCallShift: lambda infusion: OnCallShift.objects.create(
        clinic=infusion.patient.clinic,
        person=infusion.created_by,
        starts_at=infusion.started_at,
        ends_at=infusion.started_at + timedelta(hours=8),
    ),
    RatesKept: lambda infusion: RatesKept.objects.create(fingerprint="Made up"),
    RateColumns: lambda infusion: RateColumns.objects.create(
        clinic=infusion.clinic, month=24_000, **kept.packed(from_records(kept.PLAIN, kept.KEPT_KEYS, []), 24_000)
    ),
    Site: lambda infusion: Site.objects.get(),
    Heartbeat: lambda infusion: Heartbeat.objects.create(
        part="worker", host="made-up", first_seen_at=LONG_AGO, seen_at=LONG_AGO
    ),
}


# A row of each model of which rows are only ever added.
ADDED: dict[type[AppendOnly], Callable[[Infusion], Any]] = {
    AuditEvent: lambda infusion: write_event("test", by=infusion.created_by),
    SafetyCheck: lambda infusion: SOUND[SafetyCheck](infusion),
    CausalityAssessment: lambda infusion: SOUND[CausalityAssessment](infusion),
    Signature: lambda infusion: make_reaction(infusion).signatures.create(
        by=infusion.created_by, printed_name="Nora Test", meaning="review", signed_at=timezone.now(), version=1
    ),
    ReviewDecision: a_decision,
    PhoneCall: lambda infusion: SOUND[PhoneCall](infusion),
    SignalDecision: a_decision_about_a_signal,
    EmergencyAccess: an_emergency,
    AuditSeal: lambda infusion: AuditSeal.objects.create(number=1, at=timezone.now(), events="1", digest="0" * 64),
}


def constraints() -> Iterator[tuple[type[models.Model], Any]]:
    for app in ("patients", "reactions"):
        for model in apps.get_app_config(app).get_models():
            for constraint in model._meta.constraints:
                yield model, constraint


def cases() -> Iterator[Any]:
    for model, constraint in constraints():
        for number, write in enumerate(BREAKS.get(constraint.name, [None]), start=1):
            yield pytest.param(model, constraint, write, id=f"{constraint.name}-{number}")


@pytest.mark.parametrize(("model", "constraint", "write"), list(cases()))
def test_the_database_refuses(
    infusion: Infusion, model: type[models.Model], constraint: models.BaseConstraint, write: Break | None
) -> None:
    assert write, f"nothing in BREAKS shows what {constraint.name} refuses"
    row = SOUND[model](infusion)
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        write(row)
    assert is_named(constraint, model, str(refused.value))


def is_named(constraint: models.BaseConstraint, model: type[models.Model], said: str) -> bool:
    """The refusal is this constraint's. SQLite names the columns of one that is about rows being unique."""
    if isinstance(constraint, models.UniqueConstraint) and connection.vendor == "sqlite":
        columns = [model._meta.get_field(name).column for name in constraint.fields]
        return said.endswith(": " + ", ".join(f"{model._meta.db_table}.{column}" for column in columns))
    return constraint.name in said


@pytest.mark.parametrize("model", list(ADDED))
def test_what_is_only_ever_added_is_neither_changed_nor_deleted(infusion: Infusion, model: type[AppendOnly]) -> None:
    """Neither the row, nor through its manager, nor through what it belongs to."""
    row = ADDED[model](infusion)
    name = next(field.name for field in model._meta.concrete_fields if not field.primary_key)
    setting = {name: getattr(row, name)}
    ways: list[Callable[[], Any]] = [
        row.save,
        row.delete,
        lambda: model.objects.update(**setting),
        lambda: model.objects.filter(pk=row.pk).delete(),
        lambda: model.objects.bulk_update([row], [name]),
        lambda: model.objects.update_or_create(pk=row.pk, defaults=setting),
        lambda: model.objects.bulk_create([row], update_conflicts=True, unique_fields=["pk"], update_fields=[name]),
    ]
    if model is SafetyCheck:
        ways += [infusion.safety_checks.all().delete, lambda: infusion.safety_checks.update(**setting)]
    for way in ways:
        with pytest.raises(NeverDeleted), transaction.atomic():
            way()
    assert model.objects.get() == row


def test_every_model_that_is_only_added_to_has_an_example() -> None:
    assert set(ADDED) == {model for model in apps.get_models() if issubclass(model, AppendOnly)}


def test_every_example_is_about_a_constraint() -> None:
    assert set(BREAKS) <= {constraint.name for _, constraint in constraints()}
