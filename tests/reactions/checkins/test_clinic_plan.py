"""What a clinic writes in the admin about its check-ins, and how it reaches those that are planned."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from patients.models import AuditEvent, Clinic, Patient, User
from reactions.checkins import due, replanning
from reactions.checkins.plan import OVER_BY_NEW_PLAN, plan_checkins, plan_evening
from reactions.models import CheckIn, CheckInPlan, Infusion, OutboxMessage, PlanStep
from reactions.models.checkin import PLANNED_OTHERWISE
from reactions.vocabulary import CheckInState, MailKind
from tests.support.factories import make_infusion, make_patient, suspect

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# 08:00 in New York, where the clinic is.
MORNING = datetime(2026, 5, 10, 12, tzinfo=UTC)
ADD = "/admin/reactions/checkinplan/add/"


def planned(patient: Patient, ended_at: datetime, **fields: Any) -> Infusion:
    infusion = make_infusion(patient, ended_at=ended_at, **fields)
    plan_checkins(infusion, now=ended_at)
    return infusion


def form(plan: CheckInPlan, **changes: Any) -> dict[str, Any]:
    """The admin's form of the plan, as a browser sends it, with these changes."""
    fields: dict[str, Any] = {"quiet_from": "21:00", "sends_from": "08:00", "steps-INITIAL_FORMS": plan.steps.count()}
    names = ["id", "key", "label", "after", "after_unit", "open_for_h", "remind_after_h", "question_set"]
    for number, step in enumerate(plan.steps.all()):
        row = {name: getattr(step, name) for name in names} | {"plan": plan.pk, "is_active": "on"}
        if step.before_next_course:
            row["before_next_course"] = "on"
        fields |= {f"steps-{number}-{name}": "" if value is None else value for name, value in row.items()}
    fields |= changes
    rows = [int(name.split("-")[1]) for name in fields if name.startswith("steps-") and name.split("-")[1].isdigit()]
    return {name: value for name, value in fields.items() if value is not False} | {
        "steps-TOTAL_FORMS": max(rows, default=-1) + 1
    }


NEW_STEP = {
    "steps-4-key": "days_14",
    "steps-4-label": "14 days after",
    "steps-4-after": 14,
    "steps-4-after_unit": "days",
    "steps-4-open_for_h": 72,
    "steps-4-remind_after_h": "",
    "steps-4-question_set": "month",
    "steps-4-is_active": "on",
}


@pytest.fixture
def plan(client: Client, administrator: User, clinic: Clinic) -> CheckInPlan:
    """Set up in the admin, as it comes."""
    client.force_login(administrator)
    response = client.post(ADD, {"clinic": clinic.pk, "quiet_from": "21:00", "sends_from": "08:00"})
    assert response.status_code == 302
    return CheckInPlan.objects.get()


def change(client: Client, plan: CheckInPlan, **changes: Any) -> Any:
    return client.post(f"/admin/reactions/checkinplan/{plan.pk}/change/", form(plan, **changes))


def test_a_new_plan_has_the_usual_steps_and_plans_the_same(plan: CheckInPlan, patient: Patient) -> None:
    assert [step.key for step in plan.steps.all()] == ["hours_24", "hours_72", "days_8", "days_28"]
    usual = CheckInPlan(clinic=plan.clinic, quiet_from=None, sends_from=None).steps_in_use()
    assert plan.steps_in_use() == usual


def sets_of(infusion: Infusion) -> dict[str, str]:
    return dict(infusion.course.checkins.values_list("kind", "question_set"))


def test_a_check_in_asks_what_its_step_asks_until_it_is_sent(
    client: Client, plan: CheckInPlan, patient: Patient
) -> None:
    infusion = planned(patient, timezone.now() - 25 * HOUR)
    assert sets_of(infusion) == {
        "hours_24": "first_days",
        "hours_72": "first_days",
        "days_8": "second_week",
        "days_28": "month",
    }
    CheckIn.objects.filter(kind="hours_24").update(state=CheckInState.SENT, sent_at=timezone.now())
    changes = {f"steps-{number}-question_set": "everything" for number in range(4)}
    assert change(client, plan, **changes).status_code == 302
    noted = AuditEvent.objects.filter(act="plan.changed").latest("pk").changes["step hours_24"]
    assert ["question_set: first_days" in noted[0], "question_set: everything" in noted[1]] == [True, True]
    replanning.apply_changed_plans(timezone.now())
    assert sets_of(infusion) == {
        "hours_24": "first_days",
        "hours_72": "everything",
        "days_8": "everything",
        "days_28": "everything",
    }


def test_the_page_of_a_plan_says_what_the_questions_are(client: Client, plan: CheckInPlan) -> None:
    page = client.get(f"/admin/reactions/checkinplan/{plan.pk}/change/").content.decode()
    assert "blood breakdown, kidneys, skin, clots, infection" in page
    assert "Every set has the emergencies" in page
    refused = change(client, plan, **{"steps-0-question_set": "nonsense"})
    assert refused.status_code == 200
    assert "nonsense is not one of the available choices" in refused.content.decode()


def test_a_step_that_the_clinic_wrote_goes_through_the_whole_system(
    client: Client, plan: CheckInPlan, patient: Patient, nurse: User
) -> None:
    infusion = planned(patient, timezone.now() - 14 * DAY - HOUR)
    CheckIn.objects.exclude(kind="days_28").update(state="answered", answered_at=timezone.now() - 7 * DAY)
    plan.refresh_from_db()
    assert change(client, plan, quiet_from="", sends_from="", **NEW_STEP).status_code == 302
    due.tick()
    new = CheckIn.objects.get(kind="days_14")
    assert (new.state, new.infusion, new.get_kind_display()) == ("sent", infusion, "14 days after")
    assert [mail.to for mail in mail.outbox] == [[patient.email]]
    assert client.get(new.link_path()).status_code == 200
    client.force_login(nurse)
    assert "14 days after" in client.get(f"/checkins/{new.pk}/").content.decode()


def test_a_saved_plan_moves_adds_and_cancels_what_is_not_sent(
    client: Client, plan: CheckInPlan, patient: Patient, administrator: User
) -> None:
    infusion = planned(patient, timezone.now() - 2 * DAY)
    CheckIn.objects.filter(kind="hours_24").update(state="sent", sent_at=timezone.now())
    before = {row.kind: row.due_at for row in CheckIn.objects.all()}
    changes = {"steps-0-after": 30, "steps-1-is_active": False, "steps-2-after": 9, "steps-2-label": "9 days after"}
    assert change(client, plan, **changes, **NEW_STEP).status_code == 302
    due.tick()
    after = {row.kind: row for row in CheckIn.objects.all()}
    assert (after["hours_24"].state, after["hours_24"].due_at) == ("sent", before["hours_24"])
    assert (after["hours_72"].state, after["hours_72"].state_reason) == ("cancelled", PLANNED_OTHERWISE)
    assert (after["days_8"].due_at, after["days_8"].label) == (infusion.ended_at + 9 * DAY, "9 days after")
    assert after["days_28"].due_at == before["days_28"]
    assert after["days_14"].due_at == infusion.ended_at + 14 * DAY
    event = AuditEvent.objects.filter(act="plan.changed").first()
    assert (event.by, event.clinic) == (administrator, plan.clinic)
    assert {"step hours_72", "step days_14"} <= set(event.changes)
    # Taken up again, it is planned again.
    assert change(client, plan, **{"steps-1-is_active": "on"}).status_code == 302
    due.tick()
    assert CheckIn.objects.get(kind="hours_72").state == "planned"


def test_a_step_taken_off_the_plan_is_told_in_the_audit_and_cancelled(
    client: Client, plan: CheckInPlan, patient: Patient
) -> None:
    planned(patient, timezone.now() - HOUR)
    due.tick()
    assert change(client, plan, **{"steps-1-DELETE": "on"}).status_code == 302
    due.tick()
    assert CheckIn.objects.get(kind="hours_72").state == "cancelled"
    event = AuditEvent.objects.filter(act="plan.changed").first()
    assert event.changes["step hours_72"][1] is None


def test_a_step_that_would_be_over_is_not_asked_of_old_courses(
    client: Client, plan: CheckInPlan, patient: Patient
) -> None:
    planned(patient, timezone.now() - 20 * DAY)
    assert change(client, plan, **NEW_STEP, **{"steps-3-after": 10, "steps-3-open_for_h": 48}).status_code == 302
    due.tick()
    assert not CheckIn.objects.filter(kind="days_14").exists()
    last = CheckIn.objects.get(kind="days_28")
    assert (last.state, last.state_reason) == ("cancelled", OVER_BY_NEW_PLAN)
    assert mail.outbox == []


def test_a_change_reaches_every_course_in_batches_and_another_clinic_not(
    plan: CheckInPlan, clinic: Clinic, other_clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended_at = timezone.now() - HOUR
    for where in [clinic] * 5 + [other_clinic]:
        planned(make_patient(where), ended_at)
    monkeypatch.setattr(replanning, "BATCH", 2)
    plan.steps.filter(key="hours_72").update(after=96)
    CheckInPlan.objects.update(saved_at=timezone.now(), applied_to=0)
    counts = [replanning.apply_changed_plans(timezone.now()) for _ in range(4)]
    assert counts == [2, 2, 1, 0]
    moved = CheckIn.objects.filter(kind="hours_72", due_at=ended_at + 96 * HOUR)
    assert set(moved.values_list("infusion__patient__clinic", flat=True)) == {clinic.pk}
    assert moved.count() == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps-1-key": "hours_24"}, "Please correct the duplicate"),
        ({"steps-1-key": "evening"}, "is the key of another kind of check-in"),
        ({"steps-1-key": "72 h"}, "Write small letters, digits and _"),
        ({"steps-1-open_for_h": 3}, "A check-in is open for 12 hours to 60 days"),
        ({"steps-1-open_for_h": 2000}, "A check-in is open for 12 hours to 60 days"),
        ({"steps-1-remind_after_h": 120}, "before the check-in closes"),
        ({"steps-1-after": 0}, "greater than or equal to 1"),
        ({"steps-1-after": 400, "steps-1-after_unit": "days"}, "Ask within 180 days"),
        ({"steps-1-after": 1, "steps-1-after_unit": "days"}, "are asked at the same moment"),
        ({"sends_from": ""}, "Give both hours, or neither"),
        ({"sends_from": "21:00"}, "leave no time to send"),
        ({"quiet_from": "08:00", "sends_from": "05:00"}, "less than 4 hours a day"),
    ],
)
def test_an_impossible_plan_is_refused_where_it_was_typed(
    client: Client, plan: CheckInPlan, changes: dict[str, Any], said: str
) -> None:
    stored = list(PlanStep.objects.values()), list(CheckInPlan.objects.values())
    response = change(client, plan, **changes)
    assert response.status_code == 200
    assert said in response.content.decode()
    assert (list(PlanStep.objects.values()), list(CheckInPlan.objects.values())) == stored


def test_an_administrator_writes_the_plan_of_their_own_clinic_only(
    client: Client, plan: CheckInPlan, other_clinic: Clinic
) -> None:
    foreign = CheckInPlan.objects.create(clinic=other_clinic)
    assert other_clinic.name not in client.get("/admin/reactions/checkinplan/").content.decode()
    change(client, foreign, sends_from="07:00")
    foreign.refresh_from_db()
    assert foreign.sends_from == time(8)
    assert client.get(ADD).status_code == 403


@pytest.mark.parametrize(
    ("zone", "ended_at", "leaves_at"),
    [
        ("", datetime(2026, 5, 10, 3, tzinfo=UTC), datetime(2026, 5, 11, 12, tzinfo=UTC)),
        ("", datetime(2026, 5, 10, 18, tzinfo=UTC), datetime(2026, 5, 11, 18, tzinfo=UTC)),
        ("America/Los_Angeles", datetime(2026, 5, 10, 12, tzinfo=UTC), datetime(2026, 5, 11, 15, tzinfo=UTC)),
        # The nights in which the clocks change: 8 March and 1 November.
        ("", datetime(2026, 3, 7, 6, tzinfo=UTC), datetime(2026, 3, 8, 12, tzinfo=UTC)),
        ("", datetime(2026, 10, 31, 5, tzinfo=UTC), datetime(2026, 11, 1, 13, tzinfo=UTC)),
    ],
)
def test_a_mail_waits_for_the_end_of_the_quiet_hours_where_the_patient_lives(
    clinic: Clinic, zone: str, ended_at: datetime, leaves_at: datetime
) -> None:
    CheckInPlan.objects.create(clinic=clinic)
    planned(make_patient(clinic, time_zone=zone), ended_at)
    assert due.queue_what_is_due(ended_at + DAY) == 1
    assert OutboxMessage.objects.get().due_at == leaves_at


def test_a_clinic_that_set_up_nothing_has_no_quiet_hours(clinic: Clinic) -> None:
    ended_at = datetime(2026, 5, 10, 3, tzinfo=UTC)
    planned(make_patient(clinic), ended_at)
    due.queue_what_is_due(ended_at + DAY)
    assert OutboxMessage.objects.get().due_at == ended_at + DAY


def test_a_record_corrected_at_night_sends_nothing_before_the_morning(clinic: Clinic) -> None:
    CheckInPlan.objects.create(clinic=clinic)
    ended_at = datetime(2026, 5, 10, 3, tzinfo=UTC)
    infusion = planned(make_patient(clinic), ended_at)
    due.queue_what_is_due(ended_at + DAY)
    plan_checkins(infusion, now=ended_at + DAY + HOUR)
    assert OutboxMessage.objects.get().due_at == datetime(2026, 5, 11, 12, tzinfo=UTC)


def test_the_evening_of_an_anaphylaxis_knows_no_quiet_hours(clinic: Clinic) -> None:
    CheckInPlan.objects.create(clinic=clinic, quiet_from=time(19))
    infusion = make_infusion(make_patient(clinic), started_at=MORNING, ended_at=MORNING + 4 * HOUR)
    record = suspect(infusion)
    type(record).objects.filter(pk=record.pk).update(criteria=["C1"])
    plan_evening(infusion, now=MORNING + 2 * HOUR)
    evening = CheckIn.objects.get(kind="evening")
    due.queue_what_is_due(evening.due_at)
    assert evening.due_at.astimezone(clinic.zone).time() == time(20)
    assert OutboxMessage.objects.get(checkin=evening).due_at == evening.due_at


def test_a_window_is_never_over_before_the_mail_could_leave(clinic: Clinic) -> None:
    plan = CheckInPlan.objects.create(clinic=clinic, quiet_from=time(12), sends_from=time(8))
    PlanStep(plan=plan, key="soon", label="Soon", after=6, after_unit="hours", open_for_h=12).save()
    planned(make_patient(clinic), MORNING)
    # Due at 14:00, sent at 08:00 the next day: open until that evening.
    assert CheckIn.objects.get().closes_at == MORNING + DAY + 12 * HOUR


def asked(clinic: Clinic, now: datetime, sent: timedelta = DAY, **fields: Any) -> CheckIn:
    """A check-in of the first day, sent so long before `now`."""
    planned(make_patient(clinic), now - DAY - sent)
    CheckIn.objects.filter(kind="hours_24").update(**({"state": "sent", "sent_at": now - sent} | fields))
    return CheckIn.objects.get(kind="hours_24")


def reminders() -> list[str]:
    return list(OutboxMessage.objects.filter(kind=MailKind.CHECKIN_REMINDER).values_list("idempotency_key", flat=True))


def test_who_does_not_answer_is_reminded_once(clinic: Clinic) -> None:
    checkin = asked(clinic, timezone.now())
    due.tick()
    due.tick()
    assert reminders() == [f"checkin:{checkin.pk}:reminder"]
    assert len(mail.outbox) == 1
    after = CheckIn.objects.get(pk=checkin.pk)
    assert (after.state, after.sent_at) == ("sent", checkin.sent_at)


@pytest.mark.parametrize(
    "fields",
    [
        {"sent_at": timezone.now() - DAY + 2 * HOUR},
        {"state": "answered", "answered_at": timezone.now()},
        {"state": "cancelled", "state_reason": "Asked us to stop."},
        {"closes_at": timezone.now() - HOUR, "due_at": timezone.now() - DAY},
        {"remind_after": None},
    ],
)
def test_nobody_is_reminded_without_a_reason(clinic: Clinic, fields: dict[str, Any]) -> None:
    asked(clinic, timezone.now(), **fields)
    due.queue_reminders(timezone.now())
    assert reminders() == []


def test_nobody_is_reminded_of_what_a_later_check_in_asks(clinic: Clinic) -> None:
    now = timezone.now()
    checkin = asked(clinic, now)
    CheckIn.objects.filter(kind="hours_72").update(due_at=now - HOUR)
    due.queue_reminders(now)
    assert reminders() == []
    assert CheckIn.objects.get(pk=checkin.pk).state == "sent"


def test_a_reminder_keeps_the_quiet_hours(clinic: Clinic) -> None:
    CheckInPlan.objects.create(clinic=clinic)
    asked(clinic, MORNING - 2 * HOUR)
    assert due.queue_reminders(MORNING - 2 * HOUR) == 0
    assert due.queue_reminders(MORNING) == 1


def test_a_reminder_that_waits_is_not_sent_once_there_is_an_answer(clinic: Clinic) -> None:
    checkin = asked(clinic, timezone.now())
    due.queue_reminders(timezone.now())
    CheckIn.objects.filter(pk=checkin.pk).update(state="answered", answered_at=timezone.now())
    due.tick()
    assert mail.outbox == []
    assert CheckIn.objects.get(pk=checkin.pk).state == CheckInState.ANSWERED


def test_the_evening_of_each_day_of_a_course_is_asked_where_the_plan_says_so(clinic: Clinic) -> None:
    plan = CheckInPlan.objects.create(clinic=clinic, asks_same_evening=True)
    patient = make_patient(clinic)
    first = make_infusion(patient, ended_at=MORNING + 4 * HOUR)
    type(first.course).objects.update(planned_days=2)
    first.refresh_from_db()
    plan_checkins(first, now=first.ended_at)
    second = planned(patient, MORNING + DAY + 4 * HOUR, course=first.course, day=2)
    evenings = CheckIn.objects.filter(kind="evening").order_by("due_at")
    at_eight = MORNING + 12 * HOUR
    assert [(row.infusion_id, row.due_at) for row in evenings] == [(first.pk, at_eight), (second.pk, at_eight + DAY)]
    assert {row.question_set for row in evenings} == {"evening"}
    CheckInPlan.objects.filter(pk=plan.pk).update(asks_same_evening=False)
    plan_checkins(second, now=second.ended_at)
    assert evenings.get(infusion=second).state_reason == PLANNED_OTHERWISE


@pytest.mark.parametrize(
    ("sends_from", "closes_in"), [(time(8), 24 * HOUR), (time(12, 30), 28 * HOUR + timedelta(minutes=30))]
)
def test_an_evening_whose_mail_waits_for_the_morning_is_open_for_that_day(
    clinic: Clinic, sends_from: time, closes_in: timedelta
) -> None:
    CheckInPlan.objects.create(clinic=clinic, asks_same_evening=True, quiet_from=time(20), sends_from=sends_from)
    first = make_infusion(make_patient(clinic), ended_at=MORNING + 4 * HOUR)
    type(first.course).objects.update(planned_days=2)
    first.refresh_from_db()
    plan_checkins(first, now=first.ended_at)
    evening = CheckIn.objects.get(kind="evening")
    assert evening.closes_at - evening.due_at == closes_in


def test_a_course_of_one_day_has_no_evening(clinic: Clinic) -> None:
    CheckInPlan.objects.create(clinic=clinic, asks_same_evening=True)
    planned(make_patient(clinic), MORNING)
    assert not CheckIn.objects.filter(kind="evening").exists()


def test_the_empty_list_of_plans_says_that_the_usual_settings_hold(client: Client, administrator: User) -> None:
    client.force_login(administrator)
    page = client.get("/admin/reactions/checkinplan/").content.decode()
    assert f"Not set by {administrator.roles.get().clinic}: there the usual settings hold." in page
    CheckInPlan.objects.create(clinic=administrator.roles.get().clinic)
    assert "usual settings hold" not in client.get("/admin/reactions/checkinplan/").content.decode()
