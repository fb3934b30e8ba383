"""What comes late, twice, out of order, or while somebody else changes the ground: nothing contradicts itself."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from patients.models import Clinic, Patient, RecordVoided, StaleRecord, User
from reactions import recording
from reactions.models import AnaphylaxisRecord, Infusion, Reaction, Signature, Treatment, WorkItem
from reactions.vocabulary import RateReason, SignatureMeaning
from tests.support import PASSWORD
from tests.support.factories import make_infusion, make_patient, make_reaction, suspect
from tests.support.forms import evidence_form, reaction_form

pytestmark = pytest.mark.django_db


@pytest.fixture
def running(clinic: Clinic, nurse: User, no_broker: None) -> Infusion:
    """Started an hour ago at 60 mL/h."""
    return runs(make_patient(clinic), nurse)


def runs(patient: Patient, by: User) -> Infusion:
    started_at = timezone.now().replace(second=0, microsecond=0) - timedelta(hours=1)
    infusion = make_infusion(patient, started_at=started_at, ended_at=None, is_chairside=True)
    infusion.rate_steps.create(at=started_at, rate_ml_per_h=60, reason="start", created_by=by)
    return infusion


def after(infusion: Infusion, minutes: int) -> datetime:
    return infusion.started_at + timedelta(minutes=minutes)


def give(infusion: Infusion, by: User, minutes: int, drug: str = "oxygen") -> Treatment:
    return recording.give_treatment(
        infusion,
        by=by,
        at=after(infusion, minutes),
        submission_id=uuid4(),
        now=timezone.now(),
        details={"drug": drug, "other_drug": "", "dose": "", "route": ""},
    )


def sign(record: AnaphylaxisRecord, by: User) -> Signature:
    reaction = Reaction.objects.get(pk=record.reaction_id)
    return recording.sign_reaction(
        reaction,
        by=by,
        password=PASSWORD,
        meaning=SignatureMeaning.REVIEW,
        seen_version=reaction.version,
        now=timezone.now(),
    )


def judge_serious(reaction: Reaction, by: User) -> None:
    recording.judge_seriousness(
        reaction, by=by, is_serious=True, criteria=["important_event"], seen_version=1, now=timezone.now()
    )


def stop(infusion: Infusion, by: User, at: datetime) -> Any:
    return recording.record_step(
        infusion,
        by=by,
        at=at,
        rate_ml_per_h=Decimal(0),
        reason=RateReason.STOP,
        seen_step=infusion.rate_steps.current().last().pk,
        submission_id=uuid4(),
        now=timezone.now(),
    )


@pytest.mark.parametrize("how", ["stopped", "corrected step", "step taken back", "corrected infusion"])
def test_a_signature_is_outdated_when_the_stop_that_it_tells_changes(running: Infusion, nurse: User, how: str) -> None:
    record = suspect(running)
    if how != "stopped":
        stop(running, nurse, after(running, 40))
    signature = sign(record, nurse)
    now = timezone.now()
    if how == "stopped":
        stop(running, nurse, after(running, 40))
    elif how == "corrected infusion":
        running.refresh_from_db()
        recording.correct_infusion(
            running,
            by=nurse,
            details={"ended_at": after(running, 50)},
            vials=[],
            premedications=[],
            reason="Misread",
            seen_version=running.version,
            now=now,
        )
    elif how == "corrected step":
        step = running.rate_steps.get(reason="stop")
        details = {"at": after(running, 50)}
        recording.correct_step(step, by=nurse, details=details, reason="Misread", seen_version=1, now=now)
    else:
        step = running.rate_steps.get(reason="stop")
        recording.void_step(step, by=nurse, reason="It runs on", seen_version=1, now=now)
    stored = AnaphylaxisRecord.objects.get()
    told = signature.content["anaphylaxis"]["stopped_at"]
    assert told != (str(stored.stopped_at) if stored.stopped_at else None)
    assert stored.reaction.version > signature.version


def test_a_tap_on_a_signed_reaction_opens_its_work_again(running: Infusion, nurse: User) -> None:
    record = suspect(running)
    reaction = Reaction.objects.get()
    recording.judge_seriousness(
        reaction, by=nurse, is_serious=True, criteria=["important_event"], seen_version=1, now=timezone.now()
    )
    sign(record, nurse)
    WorkItem.objects.update(closed_at=timezone.now(), closed_because="Signed.")
    recording.stamp(record, "ems_called_at", by=nurse, at=after(running, 35), now=timezone.now())
    assert WorkItem.objects.filter(closed_at=None).count() == 1


def test_a_void_reaction_leaves_the_worklist(running: Infusion, nurse: User) -> None:
    suspect(running)
    reaction = Reaction.objects.get()
    recording.judge_seriousness(
        reaction, by=nurse, is_serious=True, criteria=["important_event"], seen_version=1, now=timezone.now()
    )
    assert WorkItem.objects.get().closed_at is None
    recording.void_reaction(reaction, by=nurse, reason="Twice", seen_version=2, now=timezone.now())
    assert WorkItem.objects.get().closed_at is not None


def test_a_step_taken_back_makes_a_form_opened_before_it_stale(running: Infusion, nurse: User) -> None:
    step = stop(running, nurse, after(running, 40))
    running.refresh_from_db()
    seen = running.version
    recording.void_step(step, by=nurse, reason="It runs on", seen_version=1, now=timezone.now())
    with pytest.raises(StaleRecord):
        recording.correct_infusion(
            running,
            by=nurse,
            details={},
            vials=[],
            premedications=[],
            reason="x",
            seen_version=seen,
            now=timezone.now(),
        )

    patient = running.patient
    seen = Infusion.objects.get(pk=running.pk)
    recording.void_patient(patient, by=nurse, reason="Twice", seen_version=patient.version, now=timezone.now())
    with pytest.raises(RecordVoided):
        give(running, nurse, 5)
    with pytest.raises(RecordVoided):
        recording.correct_infusion(
            seen,
            by=nurse,
            details={},
            vials=[],
            premedications=[],
            reason="x",
            seen_version=seen.version,
            now=timezone.now(),
        )


@pytest.mark.parametrize(("minutes", "belongs"), [(19, "first"), (20, "second"), (40, "second"), (41, "first")])
def test_a_drug_belongs_to_the_newest_reaction_that_went_on_when_it_was_given(
    running: Infusion, nurse: User, minutes: int, belongs: str
) -> None:
    both = {
        "first": make_reaction(running, {"headache": 1}, minutes=5),
        "second": make_reaction(running, {"urticaria": 2}, minutes=20, resolved_at=after(running, 40)),
    }
    assert give(running, nurse, minutes).reaction == both[belongs]


def test_a_drug_is_not_moved_to_a_reaction_that_was_voided_meanwhile(running: Infusion, nurse: User) -> None:
    reaction = make_reaction(running, minutes=5, resolved_at=after(running, 6))
    given = give(running, nurse, 1)
    seen = Reaction.objects.get(pk=reaction.pk)
    recording.void_reaction(reaction, by=nurse, reason="Twice", seen_version=1, now=timezone.now())
    details = {"at": given.at, "drug": "oxygen", "other_drug": "", "dose": "", "route": "", "reaction": seen}
    with pytest.raises(StaleRecord):
        recording.correct_treatment(
            given, by=nurse, details=details, reason="x", seen_version=given.version, now=timezone.now()
        )
    given.refresh_from_db()
    assert given.reaction is None


def test_a_reaction_is_not_recorded_before_a_start_that_was_moved_meanwhile(running: Infusion, nurse: User) -> None:
    seen = Infusion.objects.get(pk=running.pk)
    start = running.rate_steps.get()
    later = {"at": after(running, 10)}
    recording.correct_step(start, by=nurse, details=later, reason="Misread", seen_version=1, now=timezone.now())
    symptom = {"term": "chills", "grade": 2, "ctcae_version": "5.0", "onset_at": after(seen, 5)}
    with pytest.raises(recording.StartsTooLate):
        recording.record_reaction(
            by=nurse, infusion=seen, details={}, symptoms=[symptom], submission_id=uuid4(), now=timezone.now()
        )
    assert not Reaction.objects.exists()


def test_a_stop_recorded_afterwards_and_taken_back_leaves_the_recorded_end(infusion: Infusion, nurse: User) -> None:
    ended = infusion.ended_at
    infusion.rate_steps.create(at=infusion.started_at, rate_ml_per_h=60, reason="start", created_by=nurse)
    assert ended
    step = stop(infusion, nurse, ended)
    recording.void_step(step, by=nurse, reason="Twice", seen_version=1, now=timezone.now())
    infusion.refresh_from_db()
    assert infusion.ended_at == ended


def test_an_infusion_that_begins_in_some_minutes_cannot_be_stopped_before(page: Client, clinic: Clinic) -> None:
    # The clocks of a ward differ: a start some minutes ahead is taken.
    started = timezone.now().replace(second=0, microsecond=0) + timedelta(minutes=5)
    record = suspect(make_infusion(make_patient(clinic), started_at=started, ended_at=None), at=started)
    answer = page.post(reverse("reactions:stamp", args=[record.reaction_id]), {"name": "stopped_at"}, follow=True)
    assert answer.status_code == 200
    assert "it cannot be over by then" in answer.content.decode()
    assert Infusion.objects.get().ended_at is None


def test_a_row_that_was_taken_back_since_leads_to_the_infusion(page: Client, running: Infusion, nurse: User) -> None:
    data = {"vitals-heart_rate_per_min": "80", "vitals-submission_id": str(uuid4())}
    address = reverse("reactions:add_vitals", args=[running.pk])
    page.post(address, data)
    vitals = running.vitals.get()
    recording.void_vitals(vitals, by=nurse, reason="Twice", seen_version=1, now=timezone.now())
    shown = page.post(address, data).content.decode()
    assert f'<a href="{reverse("reactions:infusion", args=[running.pk])}">Look at what is stored' in shown
    assert not running.vitals.current().exists()


@pytest.mark.parametrize("kind", ["rate", "vitals", "treatment", "vial", "reaction"])
def test_a_form_sent_to_another_infusion_than_before_is_refused(
    page: Client, running: Infusion, clinic: Clinic, nurse: User, kind: str
) -> None:
    same = str(uuid4())
    other = runs(make_patient(clinic), nurse)
    began = timezone.localtime(after(running, 5), running.zone).strftime("%Y-%m-%dT%H:%M")
    times = dict.fromkeys(("symptoms-0-onset_at", "symptoms-1-onset_at", "treatments-0-at"), began)
    for infusion, status in ((running, 302), (other, 200)):
        seen = str(infusion.rate_steps.get(reason="start").pk)
        name, data = {
            "rate": ("change_rate", {"step-tap": "pause", "step-submission_id": same, "step-seen_step": seen}),
            "vitals": ("add_vitals", {"vitals-heart_rate_per_min": "80", "vitals-submission_id": same}),
            "treatment": ("give_treatment", {"treatment-drug": "epinephrine", "treatment-submission_id": same}),
            "vial": ("add_vial", {"vial-lot": "SYN-9", "vial-submission_id": same}),
            "reaction": ("record_reaction", reaction_form(submission_id=same, resolved_at="", **times)),
        }[kind]
        answer = page.post(reverse(f"reactions:{name}", args=[infusion.pk]), data)
        assert answer.status_code == status
    assert "This form was saved already" in answer.content.decode()


def tap(page: Client, record: AnaphylaxisRecord, name: str, tap_id: str) -> str:
    tapped_at = (timezone.now() - timedelta(minutes=3)).isoformat()
    data = {"name": name, "tap_id": tap_id, "evidence-tapped_at": tapped_at}
    answer = page.post(reverse("reactions:stamp", args=[record.reaction_id]), data, follow=True)
    return str(answer.content.decode())


def test_a_late_copy_of_a_tap_brings_no_dose_back(page: Client, running: Infusion, nurse: User) -> None:
    record, same = suspect(running), str(uuid4())
    tap(page, record, "adrenaline_1_at", same)
    dose = running.treatments.get()
    recording.void_treatment(dose, by=nurse, reason="Not given", seen_version=1, now=timezone.now())
    assert "taken back since" in tap(page, record, "adrenaline_1_at", same)
    assert not running.treatments.current().exists()
    tap(page, record, "adrenaline_1_at", str(uuid4()))
    assert running.treatments.current().count() == 1


def test_a_late_copy_of_the_stop_stops_no_infusion_that_runs_on(page: Client, running: Infusion, nurse: User) -> None:
    record, same = suspect(running), str(uuid4())
    tap(page, record, "stopped_at", same)
    step = running.rate_steps.get(reason="stop")
    recording.void_step(step, by=nurse, reason="It runs on", seen_version=1, now=timezone.now())
    assert "taken back since" in tap(page, record, "stopped_at", same)
    running.refresh_from_db()
    assert running.ended_at is None
    tap(page, record, "stopped_at", str(uuid4()))
    running.refresh_from_db()
    assert running.ended_at is not None


@pytest.mark.parametrize(("minutes", "reactions"), [(11, 1), (30, 1), (31, 2)])
def test_a_late_tap_belongs_to_what_went_on_when_it_was_tapped(
    running: Infusion, nurse: User, minutes: int, reactions: int
) -> None:
    record = suspect(running, at=after(running, 11))
    recording.stamp(record, "resolved_at", by=nurse, at=after(running, 30), now=timezone.now())
    suspect(running, at=after(running, minutes))
    assert Reaction.objects.count() == reactions


def test_help_does_not_come_before_it_was_called(page: Client, running: Infusion, nurse: User) -> None:
    record = suspect(running)
    recording.stamp(record, "ems_arrived_at", by=nurse, at=after(running, 35), now=timezone.now())
    with pytest.raises(recording.ImpossibleMoment):
        recording.stamp(record, "ems_called_at", by=nurse, at=after(running, 36), now=timezone.now())
    recording.stamp(record, "ems_called_at", by=nurse, at=after(running, 35), now=timezone.now())
    record.refresh_from_db()
    assert record.ems_called_at == record.ems_arrived_at == after(running, 35)


def test_a_corrected_call_meets_an_arrival_that_was_tapped_meanwhile(
    page: Client, running: Infusion, nurse: User
) -> None:
    record = suspect(running)
    called = timezone.localtime(after(running, 40), running.zone).strftime("%Y-%m-%dT%H:%M")
    typed = evidence_form(record, "hives", ems_called_at=called)
    recording.stamp(record, "ems_arrived_at", by=nurse, at=after(running, 35), now=timezone.now())
    answer = page.post(reverse("reactions:anaphylaxis", args=[record.reaction_id]), typed)
    assert answer.status_code == 409
    record.refresh_from_db()
    assert (record.ems_called_at, record.is_judged) == (None, False)


def test_what_was_tapped_while_the_evidence_waited_is_recorded_with_it(page: Client, running: Infusion) -> None:
    record = suspect(running)
    tapped = (timezone.now() - timedelta(minutes=2)).isoformat()
    also = [f"{name}@{tapped}" for name in ("adrenaline_1_at", "ems_called_at")]
    data = evidence_form(record, "hives", "dyspnoea") | {"also_tapped": also}
    answer = page.post(reverse("reactions:anaphylaxis", args=[record.reaction_id]), data)
    assert answer.status_code == 302
    stored = AnaphylaxisRecord.objects.get()
    assert stored.criteria
    assert stored.ems_called_at
    assert stored.moments["adrenaline_1_at"]


def test_what_is_tapped_on_a_clock_that_goes_wrong_is_not_before_the_start(page: Client, clinic: Clinic) -> None:
    started = timezone.now().replace(second=0, microsecond=0) + timedelta(minutes=5)
    record = suspect(make_infusion(make_patient(clinic), started_at=started, ended_at=None), at=started)
    for name in ("adrenaline_1_at", "ems_called_at"):
        tap(page, record, name, str(uuid4()))
    record.refresh_from_db()
    assert Treatment.objects.get().at == record.ems_called_at == started


def test_a_drug_of_the_first_minute_is_no_premedication(page: Client, running: Infusion, nurse: User) -> None:
    moved = running.started_at + timedelta(seconds=40)
    start = running.rate_steps.get()
    recording.correct_step(start, by=nurse, details={"at": moved}, reason="Tapped", seen_version=1, now=timezone.now())
    at = timezone.localtime(moved, running.zone).strftime("%Y-%m-%dT%H:%M")
    data = {"treatment-drug": "oxygen", "treatment-at": at, "treatment-submission_id": str(uuid4())}
    assert page.post(reverse("reactions:give_treatment", args=[running.pk]), data).status_code == 302
    assert running.treatments.get().at == moved


def test_a_stop_that_was_taken_back_leaves_a_word_at_the_reaction_that_tells_it(
    page: Client, running: Infusion, nurse: User
) -> None:
    record = suspect(running)
    recording.stamp(record, "stopped_at", by=nurse, at=after(running, 40), now=timezone.now())
    shown = reverse("reactions:reaction", args=[record.reaction_id])
    assert "and yet it is running" not in page.get(shown).content.decode()
    step = running.rate_steps.get(reason="stop")
    recording.void_step(step, by=nurse, reason="It runs on", seen_version=1, now=timezone.now())
    assert "and yet it is running" in page.get(shown).content.decode()


def test_a_suspicion_is_opened_whatever_its_id_made_before(
    page: Client, running: Infusion, clinic: Clinic, nurse: User
) -> None:
    same, other = str(uuid4()), runs(make_patient(clinic), nurse)
    for infusion in (running, other):
        answer = page.post(reverse("reactions:suspect_anaphylaxis", args=[infusion.pk]), {"submission_id": same})
        record = AnaphylaxisRecord.objects.get(reaction__infusion=infusion)
        assert answer.url == reverse("reactions:anaphylaxis", args=[record.reaction_id])
