"""Migrations that move what was recorded: nothing of it is lost, on the way there and back."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from patients.models import AuditEvent, Clinic, User
from patients.views.history import history_of
from reactions import recording
from reactions.models import AnaphylaxisRecord, Infusion, Reaction, SafetyCheck, Vitals
from tests.support.factories import make_infusion, make_patient, make_reaction
from tests.support.migrating import migrate, migrate_to_the_latest

APART = ("reactions", "0007_vial_once")
TOGETHER = ("reactions", "0008_moments_where_they_belong")


@pytest.fixture
def latest() -> Any:
    """Whatever a test does, the others find the tables as they are now."""
    yield
    migrate_to_the_latest()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("latest")
def test_tapped_moments_move_to_where_they_belong_and_back(clinic: Clinic, nurse: User) -> None:
    began = timezone.now().replace(second=0, microsecond=0) - timedelta(hours=2)

    def minute(count: int) -> Any:
        return began + timedelta(minutes=count)

    running = make_infusion(make_patient(clinic), started_at=began, ended_at=None)
    running.rate_steps.create(at=began, rate_ml_per_h=60, reason="start", created_by=nurse)
    running.treatments.create(at=minute(32), drug="epinephrine", dose="0.5 mg", created_by=nurse)
    reaction = make_reaction(running)
    old = migrate(APART)
    record = old.get_model("reactions", "AnaphylaxisRecord").objects.create(
        reaction_id=reaction.pk,
        created_by_id=nurse.pk,
        stopped_at=minute(31),
        adrenaline_1_at=minute(32),
        adrenaline_2_at=minute(40),
        resolved_at=minute(60),
    )
    migrate(TOGETHER)
    migrate_to_the_latest()
    moved = AnaphylaxisRecord.objects.get(pk=record.pk)
    assert moved.stopped_at == minute(31)
    assert [(dose.at, dose.dose) for dose in moved.adrenaline] == [(minute(32), "0.5 mg"), (minute(40), "")]
    assert Reaction.objects.get().resolved_at == minute(60)
    stop = Infusion.objects.get().rate_steps.get(reason="stop")
    assert (stop.at, stop.rate_ml_per_h) == (minute(31), 0)
    back = migrate(APART).get_model("reactions", "AnaphylaxisRecord").objects.get()
    assert (back.stopped_at, back.adrenaline_1_at, back.adrenaline_2_at, back.adrenaline_3_at, back.resolved_at) == (
        minute(31),
        minute(32),
        minute(40),
        None,
        minute(60),
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("latest")
def test_what_contradicts_the_records_stays_out_of_them_and_in_the_trail(clinic: Clinic, nurse: User) -> None:
    """Before the move nothing kept a tap from contradicting the rate steps or the onset; the rows were there first."""
    infusion = make_infusion(make_patient(clinic), ended_at=None, started_at=timezone.now() - timedelta(hours=1))
    for minutes, reason in ((0, "start"), (40, "step_up")):
        at = infusion.started_at + timedelta(minutes=minutes)
        infusion.rate_steps.create(at=at, rate_ml_per_h=60 + minutes, reason=reason, created_by=nurse)
    reaction = make_reaction(infusion)
    stopped, resolved = infusion.started_at + timedelta(minutes=35), infusion.started_at
    old = migrate(APART)
    record = old.get_model("reactions", "AnaphylaxisRecord").objects.create(
        reaction_id=reaction.pk, created_by_id=nurse.pk, stopped_at=stopped, resolved_at=resolved
    )
    migrate(TOGETHER)
    migrate_to_the_latest()
    infusion.refresh_from_db()
    reaction.refresh_from_db()
    assert (infusion.ended_at, infusion.rate_steps.count(), reaction.resolved_at) == (None, 2, None)
    kept = set_aside(record.pk)
    assert kept == {"stopped_at": [str(stopped), None], "resolved_at": [str(resolved), None]}
    event = AuditEvent.objects.filter(act="anaphylaxis.tap_set_aside").first()
    assert event
    assert (event.clinic, event.patient_id, event.by) == (clinic, infusion.patient_id, None)
    assert "began later" in event.reason


def set_aside(record: int) -> dict[str, Any]:
    """The moments of a record that could not be moved, as the audit trail keeps them."""
    events = AuditEvent.objects.filter(
        act="anaphylaxis.tap_set_aside", entity="reactions.anaphylaxisrecord", entity_id=record
    )
    return {name: values for event in events for name, values in event.changes.items()}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("latest")
def test_a_tap_beside_another_end_stays_in_the_trail_and_one_at_that_end_needs_none(
    clinic: Clinic, nurse: User
) -> None:
    reactions = [make_reaction(make_infusion(make_patient(clinic))) for _ in range(3)]
    ends = [(one.infusion.ended_at, one.onset_at + timedelta(hours=1)) for one in reactions]
    for reaction, (_, resolved) in zip(reactions, ends, strict=True):
        Reaction.objects.filter(pk=reaction.pk).update(resolved_at=resolved)
    late = timedelta(minutes=7)
    old = migrate(APART)
    taps = [
        {"stopped_at": ends[0][0] - late, "resolved_at": ends[0][1] + late},
        {"stopped_at": ends[1][0], "resolved_at": ends[1][1]},
        {},
    ]
    pks = [
        old.get_model("reactions", "AnaphylaxisRecord")
        .objects.create(reaction_id=reaction.pk, created_by_id=nurse.pk, **tapped)
        .pk
        for reaction, tapped in zip(reactions, taps, strict=True)
    ]
    migrate(TOGETHER)
    migrate_to_the_latest()
    assert [set_aside(pk) for pk in pks] == [{name: [str(at), None] for name, at in taps[0].items()}, {}, {}]
    # Where a record's history is read.
    said = history_of(AnaphylaxisRecord.objects.get(pk=pks[0]))
    assert {line.act for line in said} == {"Tap set aside"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("latest")
def test_criteria_without_a_word_on_seriousness_become_serious(infusion: Infusion) -> None:
    unsaid, judged = make_reaction(infusion), make_reaction(infusion)
    old = migrate(("reactions", "0009_card_of_a_correction")).get_model("reactions", "Reaction").objects
    old.filter(pk=unsaid.pk).update(serious_criteria=["hospitalised"], is_serious=None)
    old.filter(pk=judged.pk).update(serious_criteria=[], is_serious=None)
    migrate(("reactions", "0010_criteria_mean_serious"))
    migrate_to_the_latest()
    assert list(Reaction.objects.order_by("pk").values_list("is_serious", flat=True)) == [True, None]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("latest")
def test_what_measured_nothing_goes_and_the_trail_keeps_who_wrote_it(infusion: Infusion, nurse: User) -> None:
    old = migrate(("reactions", "0010_criteria_mean_serious"))
    row = {"infusion_id": infusion.pk, "created_by_id": nurse.pk}
    vitals = old.get_model("reactions", "Vitals").objects
    sound = vitals.create(at=infusion.started_at, diastolic_mmhg=70, systolic_mmhg=120, **row)
    empty = vitals.create(at=infusion.started_at + timedelta(minutes=5), **row)
    checks = old.get_model("reactions", "SafetyCheck").objects
    checks.create(infusion_id=infusion.pk, shown_at=timezone.now(), decided_by="Dr. Synthia Test")
    whole = {"acknowledged_by_id": nurse.pk, "reason": "Known", "decided_by": "Dr. Synthia Test"}
    checks.create(infusion_id=infusion.pk, shown_at=timezone.now(), **whole)
    migrate(("reactions", "0011_measured_and_acknowledged"))
    migrate_to_the_latest()
    assert Vitals.objects.get().pk == sound.pk
    removed = AuditEvent.objects.get(act="vitals.removed")
    assert (removed.entity_id, removed.patient_id, removed.clinic) == (empty.pk, infusion.patient_id, infusion.clinic)
    assert removed.changes["created_by_id"] == [nurse.pk, None]
    assert removed.changes["at"] == [str(empty.at), None]
    assert list(SafetyCheck.objects.order_by("pk").values_list("decided_by", flat=True)) == ["", "Dr. Synthia Test"]
    assert AuditEvent.objects.get(act="safetycheck.corrected").changes == {"decided_by": ["Dr. Synthia Test", ""]}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("latest")
def test_a_record_that_was_judged_says_when(clinic: Clinic, nurse: User) -> None:
    reactions = [make_reaction(make_infusion(make_patient(clinic))) for _ in range(3)]
    old = migrate(("reactions", "0011_measured_and_acknowledged"))
    records, made = old.get_model("reactions", "AnaphylaxisRecord").objects, []
    for version, reaction in enumerate(reactions, 1):
        made.append(records.create(reaction_id=reaction.pk, created_by_id=nurse.pk, version=version))
    tapped, unheard_of, judged = made
    events = [
        old.get_model("patients", "AuditEvent").objects.create(
            act="anaphylaxis.judged", entity="reactions.anaphylaxisrecord", entity_id=judged.pk
        )
        for _ in range(2)
    ]
    migrate(("reactions", "0012_when_anaphylaxis_was_judged"))
    migrate_to_the_latest()
    moments = dict(AnaphylaxisRecord.objects.values_list("pk", "judged_at"))
    assert moments == {tapped.pk: None, unheard_of.pk: unheard_of.created_at, judged.pk: events[1].at}


@pytest.fixture
def running_before(clinic: Clinic, nurse: User) -> Infusion:
    """Runs since two hours ago."""
    began = timezone.now().replace(second=0, microsecond=0) - timedelta(hours=2)
    infusion = make_infusion(make_patient(clinic), started_at=began, ended_at=None)
    infusion.rate_steps.create(at=began, rate_ml_per_h=60, reason="start", created_by=nurse)
    return infusion


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("latest")
def test_two_suspicions_stop_one_infusion_once(running_before: Infusion, nurse: User) -> None:
    reactions = [make_reaction(running_before, minutes=minutes) for minutes in (10, 40)]
    old = migrate(APART).get_model("reactions", "AnaphylaxisRecord").objects
    stops = [running_before.started_at + timedelta(minutes=minutes) for minutes in (20, 50)]
    for reaction, at in zip(reactions, stops, strict=True):
        old.create(reaction_id=reaction.pk, created_by_id=nurse.pk, stopped_at=at)
    migrate(TOGETHER)
    migrate_to_the_latest()
    assert running_before.rate_steps.get(reason="stop").at == stops[0]
    assert AuditEvent.objects.get(act="anaphylaxis.tap_set_aside").changes == {"stopped_at": [str(stops[1]), None]}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("latest")
def test_a_void_suspicion_stops_nothing_and_its_dose_was_given_all_the_same(
    running_before: Infusion, nurse: User
) -> None:
    reaction = make_reaction(running_before, minutes=10)
    recording.void_reaction(reaction, by=nurse, reason="Twice", seen_version=1, now=timezone.now())
    given, stopped = (running_before.started_at + timedelta(minutes=minutes) for minutes in (15, 20))
    old = migrate(APART).get_model("reactions", "AnaphylaxisRecord").objects
    old.create(reaction_id=reaction.pk, created_by_id=nurse.pk, adrenaline_1_at=given, stopped_at=stopped)
    migrate(TOGETHER)
    migrate_to_the_latest()
    assert Infusion.objects.get().ended_at is None
    dose = running_before.treatments.get()
    assert (dose.at, dose.reaction_id, dose.is_void) == (given, None, False)
    assert AuditEvent.objects.get(act="anaphylaxis.tap_set_aside").changes == {"stopped_at": [str(stopped), None]}
