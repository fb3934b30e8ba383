"""Which check-ins follow an infusion, and what becomes of them when the record changes."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from patients.models import Patient, User
from reactions.checkins.due import close_what_is_over, queue_what_is_due
from reactions.checkins.plan import NO_CRITERION, NO_END, cancel_for_patient, plan_checkins, plan_evening
from reactions.models import AnaphylaxisRecord, CheckIn, Course, Infusion, OutboxMessage, Reaction
from reactions.recording import answer_by_telephone, void_infusion, void_patient
from reactions.vocabulary import CheckInKind, CheckInState
from tests.support.factories import make_infusion, make_reaction

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime.fromisoformat("2026-05-10T12:00:00+00:00")


def states(course: Course) -> dict[str, str]:
    return dict(CheckIn.objects.filter(course=course).values_list("kind", "state"))


def ended(patient: Patient, before: timedelta, course: Course | None = None, **fields: object) -> Infusion:
    """An infusion that ended so long before NOW."""
    more = {"course": course} if course else {}
    return make_infusion(patient, ended_at=NOW - before, **more, **fields)


def test_four_check_ins_follow_counted_from_the_end(patient: Patient) -> None:
    infusion = ended(patient, HOUR)
    plan_checkins(infusion, now=NOW)
    after_end = {c.kind: (c.due_at - infusion.ended_at, c.closes_at - infusion.ended_at) for c in CheckIn.objects.all()}
    assert after_end == {
        CheckInKind.HOURS_24: (24 * HOUR, 72 * HOUR),
        CheckInKind.HOURS_72: (72 * HOUR, 8 * DAY),
        CheckInKind.DAYS_8: (8 * DAY, 15 * DAY),
        CheckInKind.DAYS_28: (28 * DAY, 42 * DAY),
    }
    assert set(states(infusion.course).values()) == {CheckInState.PLANNED}


def test_planning_again_changes_nothing(patient: Patient) -> None:
    infusion = ended(patient, HOUR)
    plan_checkins(infusion, now=NOW)
    before = list(CheckIn.objects.values())
    plan_checkins(infusion, now=NOW)
    assert list(CheckIn.objects.values()) == before


def test_a_running_infusion_has_none(patient: Patient) -> None:
    infusion = make_infusion(patient, started_at=NOW - HOUR, ended_at=None)
    assert plan_checkins(infusion, now=NOW) == []
    assert not CheckIn.objects.exists()


@pytest.fixture
def anaphylaxis(patient: Patient) -> Reaction:
    """A reaction at NOW, 08:00 in the patient's zone, that meets criteria of anaphylaxis."""
    reaction = make_reaction(make_infusion(patient, started_at=NOW - HOUR, ended_at=None), minutes=60)
    AnaphylaxisRecord.objects.create(reaction=reaction, criteria=["C1"], created_by=reaction.created_by)
    return reaction


def evening(reaction: Reaction, later: timedelta) -> tuple[str, datetime, str] | None:
    """State, due time and reason of the evening's check-in, planned so long after NOW."""
    plan_evening(reaction.infusion, now=NOW + later)
    planned: tuple[str, datetime, str] | None = (
        CheckIn.objects.filter(kind=CheckInKind.EVENING).values_list("state", "due_at", "state_reason").first()
    )
    return planned


EVENING = datetime.fromisoformat("2026-05-11T00:00:00+00:00")


@pytest.mark.parametrize(
    ("later", "due_at"),
    [
        (0 * HOUR, EVENING),
        (11 * HOUR, EVENING),
        (12 * HOUR, EVENING + HOUR),
        (12 * HOUR + timedelta(seconds=1), None),
    ],
)
def test_the_evening_of_an_anaphylaxis_asks_once_more_unless_it_is_over(
    anaphylaxis: Reaction, later: timedelta, due_at: datetime | None
) -> None:
    assert evening(anaphylaxis, later) == (due_at and (CheckInState.PLANNED, due_at, ""))
    assert evening(anaphylaxis, later) == (due_at and (CheckInState.PLANNED, due_at, ""))


def test_an_evening_whose_mail_left_while_it_was_called_off_counts_as_sent_when_asked_again(
    anaphylaxis: Reaction,
) -> None:
    plan_evening(anaphylaxis.infusion, now=NOW)
    evening = CheckIn.objects.get(kind="evening")
    queue_what_is_due(evening.due_at)
    CheckIn.objects.update(state="cancelled", state_reason=NO_CRITERION)
    OutboxMessage.objects.update(state="sent", sent_at=evening.due_at)
    plan_evening(anaphylaxis.infusion, now=NOW + HOUR)
    evening.refresh_from_db()
    assert (evening.state, evening.sent_at, evening.state_reason) == (CheckInState.SENT, evening.due_at, "")


def test_an_evening_that_was_answered_after_it_was_called_off_stays_answered(
    anaphylaxis: Reaction, nurse: User
) -> None:
    evening(anaphylaxis, HOUR)
    AnaphylaxisRecord.objects.update(criteria=[])
    evening(anaphylaxis, HOUR)
    answer_by_telephone(
        CheckIn.objects.get(),
        by=nurse,
        details={},
        symptoms={"headache": "mild"},
        submission_id=uuid4(),
        now=NOW + 2 * HOUR,
    )
    AnaphylaxisRecord.objects.update(criteria=["C1"])
    assert evening(anaphylaxis, 3 * HOUR) == (CheckInState.ANSWERED, EVENING, "")


def test_the_evening_of_an_anaphylaxis_is_asked_though_the_end_is_not_recorded_or_taken_back(
    anaphylaxis: Reaction,
) -> None:
    infusion = anaphylaxis.infusion
    assert evening(anaphylaxis, HOUR) == (CheckInState.PLANNED, EVENING, "")
    for ended_at in (None, NOW + HOUR, None):
        infusion.ended_at = ended_at
        infusion.save()
        plan_checkins(infusion, now=NOW + 2 * HOUR)
        assert CheckIn.objects.get(kind=CheckInKind.EVENING).state == CheckInState.PLANNED


def test_an_evening_called_off_for_want_of_an_end_comes_back_with_it(anaphylaxis: Reaction) -> None:
    evening(anaphylaxis, HOUR)
    CheckIn.objects.update(state=CheckInState.CANCELLED, state_reason=NO_END)
    infusion = anaphylaxis.infusion
    infusion.ended_at = NOW + HOUR
    infusion.save()
    plan_checkins(infusion, now=NOW + 2 * HOUR)
    assert CheckIn.objects.get(kind=CheckInKind.EVENING).state == CheckInState.PLANNED


def test_an_onset_that_nobody_recorded_makes_no_evening_when_the_plan_is_changed_later(anaphylaxis: Reaction) -> None:
    Reaction.objects.update(onset_at=None)
    evening(anaphylaxis, HOUR)
    CheckIn.objects.update(state=CheckInState.CANCELLED, state_reason=NO_END)
    infusion = anaphylaxis.infusion
    infusion.ended_at = NOW + HOUR
    infusion.save()
    plan_checkins(infusion, now=NOW + 3 * DAY)
    assert CheckIn.objects.get(kind=CheckInKind.EVENING).state == CheckInState.CANCELLED


def test_an_evening_without_anaphylaxis_asks_nobody(anaphylaxis: Reaction) -> None:
    make_reaction(anaphylaxis.infusion)
    assert evening(anaphylaxis, HOUR) is not None
    AnaphylaxisRecord.objects.update(criteria=[])
    assert evening(anaphylaxis, HOUR) == (CheckInState.CANCELLED, EVENING, NO_CRITERION)
    AnaphylaxisRecord.objects.update(criteria=["W1"])
    assert evening(anaphylaxis, 12 * HOUR) == (CheckInState.PLANNED, EVENING + HOUR, "")


def test_an_evening_that_was_asked_or_cancelled_by_somebody_stays_so(anaphylaxis: Reaction) -> None:
    evening(anaphylaxis, HOUR)
    CheckIn.objects.update(state=CheckInState.CANCELLED, state_reason="The patient asked for none.")
    assert evening(anaphylaxis, HOUR) == (CheckInState.CANCELLED, EVENING, "The patient asked for none.")
    CheckIn.objects.update(state=CheckInState.SENT, state_reason="", sent_at=NOW)
    AnaphylaxisRecord.objects.update(criteria=[])
    assert evening(anaphylaxis, HOUR) == (CheckInState.SENT, EVENING, "")


def test_the_next_day_of_a_course_takes_over_what_was_not_sent(patient: Patient) -> None:
    first = ended(patient, 24 * HOUR)
    plan_checkins(first, now=NOW - 23 * HOUR)
    second = ended(patient, HOUR, course=first.course, day=2)
    plan_checkins(second, now=NOW)
    rows = CheckIn.objects.all()
    assert {row.infusion_id for row in rows} == {second.pk}
    assert len(rows) == 4
    assert min(row.due_at for row in rows) == second.ended_at + 24 * HOUR


def test_what_was_sent_stays_with_its_day_and_the_new_day_gets_its_own(patient: Patient) -> None:
    first = ended(patient, 30 * HOUR)
    plan_checkins(first, now=NOW - 29 * HOUR)
    sent = CheckIn.objects.get(kind=CheckInKind.HOURS_24)
    CheckIn.objects.filter(pk=sent.pk).update(state=CheckInState.SENT, sent_at=NOW)
    second = ended(patient, HOUR, course=first.course, day=2)
    plan_checkins(second, now=NOW)
    sent.refresh_from_db()
    assert (sent.infusion_id, sent.state) == (first.pk, CheckInState.SENT)
    assert second.checkins.count() == 4
    assert first.checkins.count() == 1


def test_an_earlier_day_recorded_afterwards_moves_nothing(patient: Patient) -> None:
    second = ended(patient, HOUR, day=2)
    plan_checkins(second, now=NOW)
    first = ended(patient, 25 * HOUR, course=second.course, day=1)
    plan_checkins(first, now=NOW)
    assert {row.infusion_id for row in CheckIn.objects.all()} == {second.pk}


def test_another_course_has_its_own(patient: Patient) -> None:
    for infusion in (ended(patient, 30 * DAY), ended(patient, HOUR)):
        plan_checkins(infusion, now=NOW)
    assert CheckIn.objects.count() == 8


def test_recorded_late_only_what_is_still_open_is_planned(patient: Patient) -> None:
    infusion = ended(patient, 5 * DAY)
    plan_checkins(infusion, now=NOW)
    assert states(infusion.course) == {
        CheckInKind.HOURS_24: CheckInState.MISSED,
        CheckInKind.HOURS_72: CheckInState.PLANNED,
        CheckInKind.DAYS_8: CheckInState.PLANNED,
        CheckInKind.DAYS_28: CheckInState.PLANNED,
    }
    assert CheckIn.objects.get(state=CheckInState.MISSED).state_reason


def test_a_corrected_end_moves_what_was_missed_only_because_of_it(patient: Patient) -> None:
    infusion = ended(patient, 60 * DAY)
    plan_checkins(infusion, now=NOW)
    assert set(states(infusion.course).values()) == {CheckInState.MISSED}
    infusion.started_at, infusion.ended_at = NOW - 5 * HOUR, NOW - HOUR
    infusion.save()
    plan_checkins(infusion, now=NOW)
    assert set(states(infusion.course).values()) == {CheckInState.PLANNED}
    assert not CheckIn.objects.exclude(state_reason="").exists()


def test_an_end_taken_back_cancels_what_was_planned(patient: Patient) -> None:
    infusion = ended(patient, HOUR)
    plan_checkins(infusion, now=NOW)
    infusion.ended_at = None
    infusion.save()
    plan_checkins(infusion, now=NOW)
    assert set(states(infusion.course).values()) == {CheckInState.CANCELLED}


def test_a_mail_that_left_while_the_end_was_taken_back_counts_as_sent_once_the_end_is_there_again(
    patient: Patient,
) -> None:
    infusion = ended(patient, 25 * HOUR)
    end = infusion.ended_at
    plan_checkins(infusion, now=NOW)
    queue_what_is_due(NOW)
    infusion.ended_at = None
    infusion.save()
    plan_checkins(infusion, now=NOW)
    # As the mark of the mail that was under way leaves it.
    OutboxMessage.objects.update(state="sent", sent_at=NOW)
    infusion.ended_at = end
    infusion.save()
    plan_checkins(infusion, now=NOW + HOUR)
    first = CheckIn.objects.get(kind="hours_24")
    assert (first.state, first.sent_at, first.state_reason) == (CheckInState.SENT, NOW, "")
    assert states(infusion.course) == dict.fromkeys(states(infusion.course), CheckInState.PLANNED) | {
        "hours_24": CheckInState.SENT
    }


def test_an_end_taken_back_and_written_again_plans_them_again(patient: Patient) -> None:
    infusion = ended(patient, HOUR)
    end = infusion.ended_at
    for ended_at in (end, None, end):
        infusion.ended_at = ended_at
        infusion.save()
        plan_checkins(infusion, now=NOW)
    assert set(states(infusion.course).values()) == {CheckInState.PLANNED}
    assert CheckIn.objects.count() == 4


def test_voiding_the_latest_day_gives_the_unsent_ones_to_the_day_before(patient: Patient, nurse: User) -> None:
    first = ended(patient, 25 * HOUR)
    plan_checkins(first, now=NOW - 24 * HOUR)
    second = ended(patient, HOUR, course=first.course, day=2)
    plan_checkins(second, now=NOW)
    void_infusion(second, by=nurse, reason="Entered twice", seen_version=1, now=NOW)
    assert {(row.infusion_id, row.state) for row in CheckIn.objects.all()} == {(first.pk, CheckInState.PLANNED)}


def test_voiding_the_only_infusion_cancels_all_and_says_why(patient: Patient, nurse: User) -> None:
    infusion = ended(patient, HOUR)
    plan_checkins(infusion, now=NOW)
    void_infusion(infusion, by=nurse, reason="Wrong patient", seen_version=1, now=NOW)
    rows = CheckIn.objects.values_list("state", "state_reason")
    assert set(rows) == {(CheckInState.CANCELLED, "The infusion was voided.")}


def test_voiding_a_patient_ends_everything_but_the_answered(patient: Patient, nurse: User) -> None:
    infusion = ended(patient, HOUR)
    plan_checkins(infusion, now=NOW)
    CheckIn.objects.filter(kind=CheckInKind.HOURS_24).update(state=CheckInState.ANSWERED, answered_at=NOW)
    CheckIn.objects.filter(kind=CheckInKind.HOURS_72).update(state=CheckInState.SENT, sent_at=NOW)
    void_patient(patient, by=nurse, reason="Registered twice", seen_version=1, now=NOW)
    assert states(infusion.course) == {
        CheckInKind.HOURS_24: CheckInState.ANSWERED,
        CheckInKind.HOURS_72: CheckInState.CANCELLED,
        CheckInKind.DAYS_8: CheckInState.CANCELLED,
        CheckInKind.DAYS_28: CheckInState.CANCELLED,
    }


def test_cancelling_for_one_patient_leaves_the_others(patient: Patient, infusion: Infusion) -> None:
    plan_checkins(infusion, now=timezone.now())
    other = Patient.objects.get(pk=patient.pk)
    other.pk, other.mrn = None, "TEST-OTHER"
    other.save()
    cancel_for_patient(other, reason="Asked us to stop.", now=timezone.now())
    assert CheckInState.CANCELLED not in states(infusion.course).values()


@pytest.mark.parametrize(
    ("state", "left", "becomes"),
    [
        (CheckInState.SENT, timedelta(0), CheckInState.EXPIRED),
        (CheckInState.PLANNED, timedelta(0), CheckInState.MISSED),
        (CheckInState.SENT, timedelta(seconds=1), CheckInState.SENT),
        (CheckInState.PLANNED, timedelta(seconds=1), CheckInState.PLANNED),
        (CheckInState.CANCELLED, timedelta(0), CheckInState.CANCELLED),
    ],
)
def test_what_is_over_is_closed(infusion: Infusion, state: str, left: timedelta, becomes: str) -> None:
    plan_checkins(infusion, now=timezone.now())
    checkin = infusion.checkins.get(kind=CheckInKind.HOURS_24)
    reason = "Asked us to stop." if state == CheckInState.CANCELLED else ""
    CheckIn.objects.filter(pk=checkin.pk).update(
        state=state, state_reason=reason, sent_at=timezone.now() if state == CheckInState.SENT else None
    )
    close_what_is_over(checkin.closes_at - left)
    checkin.refresh_from_db()
    assert checkin.state == becomes


def test_a_due_check_in_is_queued_once(infusion: Infusion) -> None:
    plan_checkins(infusion, now=timezone.now())
    checkin = infusion.checkins.get(kind=CheckInKind.HOURS_24)
    assert queue_what_is_due(checkin.due_at - timedelta(seconds=1)) == 0
    assert queue_what_is_due(checkin.due_at) == 1
    assert queue_what_is_due(checkin.due_at) == 0
    mail = OutboxMessage.objects.get()
    assert (mail.checkin, mail.due_at, mail.expires_at) == (checkin, checkin.due_at, checkin.closes_at)
