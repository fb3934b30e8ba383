"""What a patient gets after the service stood still: the latest check-in, never a burst."""

import re
from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.core import mail
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from patients.models import Clinic, Patient, User
from reactions import alerts, outbox, recording
from reactions.checkins import due, resuming
from reactions.checkins.each import sum_over
from reactions.checkins.plan import plan_checkins
from reactions.clinical.schedule import DEFAULT_PLAN
from reactions.models import CheckIn, CheckInPlan, Course, Infusion, OutboxMessage, PlanStep
from reactions.models.checkin import SENT_TOO_LATE
from reactions.outbox import sending
from reactions.vocabulary import CheckInState, MailState
from tests.support.factories import make_checkins, make_infusion, make_patient
from tests.support.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
# In the words of PostgreSQL and of SQLite, which names an alias alone.
READ_WHOLE = re.compile(r"(?:Seq Scan on|SCAN) (\w+)\b(?! USING)")
LARGE = re.compile(r'"(reactions_(?:checkin|outboxmessage))"(?: (?!ON |SET |WHERE |INNER |LEFT |ORDER )"?(\w+)"?)?')


def planned(clinic: Clinic, days_ago: float, **fields: Any) -> Infusion:
    """An infusion that ended so long ago and was written down at once."""
    ended_at = timezone.now() - days_ago * DAY
    infusion = make_infusion(fields.pop("patient", None) or make_patient(clinic), ended_at=ended_at, **fields)
    plan_checkins(infusion, now=ended_at)
    return infusion


@pytest.mark.parametrize(
    "part",
    [
        due.close_what_is_over,
        resuming.resume,
        resuming.send_to_changed_addresses,
        due.queue_what_is_due,
        due.queue_reminders,
        outbox.resume_alerts_at_corrected_addresses,
        alerts.keep_telling,
    ],
)
def test_the_tick_reads_no_large_table_whole(
    clinic: Clinic, part: Callable[[datetime], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among many check-ins that are answered and mails that have left. A table of a few rows is read whole."""
    fill(clinic)
    # What goes through a cursor of the server is not seen.
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    asked: list[tuple[str, Any]] = []

    def see(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(("SELECT", "UPDATE")):
            asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(see):
        part(timezone.now())
    assert asked
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        for sql, params in asked:
            # With the parameters bound as they are in life: SQLite plans otherwise where they stand in the text.
            cursor.execute(("EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN ") + sql, params)
            plan = "\n".join(str(row) for row in cursor.fetchall())
            large = {name for found in LARGE.findall(sql) for name in found if name}
            whole = [name for name in READ_WHOLE.findall(plan) if name in large]
            assert not whole, f"{whole}: {sql}\n{plan}"


def fill(clinic: Clinic, count: int = 3_000) -> None:
    """That many courses, each with a report that was answered and a mail about it that left."""
    now, infusion = timezone.now(), planned(clinic, days_ago=0)
    Course.objects.bulk_create(Course(patient=infusion.patient, label=f"X{number}") for number in range(count))
    about: dict[str, Any] = {"infusion": infusion, "kind": "report", "state": "answered", "answered_at": now}
    times: dict[str, Any] = {"due_at": now - DAY, "closes_at": now + DAY}
    CheckIn.objects.bulk_create(
        CheckIn(course=course, link_nonce=b"0" * 16, link_hash=f"{course.pk:064}", **about, **times)
        for course in Course.objects.filter(label__startswith="X")
    )
    sent: dict[str, Any] = {"kind": "checkin_invitation", "state": "sent", "sent_at": now, "due_at": now}
    OutboxMessage.objects.bulk_create(
        OutboxMessage(checkin=row, idempotency_key=str(row.pk), message_id=f"<{row.pk}@x.example>", **sent)
        for row in CheckIn.objects.filter(kind="report")
    )


def states(infusion: Infusion) -> dict[str, str]:
    return dict(CheckIn.objects.filter(infusion=infusion).values_list("kind", "state"))


def test_after_nine_days_down_only_the_latest_goes_out(clinic: Clinic) -> None:
    infusion = planned(clinic, days_ago=9)
    due.tick()
    due.tick()
    assert len(mail.outbox) == 1
    assert states(infusion) == {"hours_24": "missed", "hours_72": "missed", "days_8": "sent", "days_28": "planned"}
    assert CheckIn.objects.get(kind="hours_72").state_reason == SENT_TOO_LATE


def test_planning_again_brings_back_none_of_the_missed(clinic: Clinic) -> None:
    infusion = planned(clinic, days_ago=9)
    due.tick()
    plan_checkins(infusion, now=timezone.now())
    due.tick()
    assert states(infusion)["hours_72"] == "missed"
    assert len(mail.outbox) == 1


def test_a_mail_that_waits_in_the_outbox_gives_way_to_the_later_check_in(clinic: Clinic) -> None:
    infusion = planned(clinic, days_ago=9)
    early = CheckIn.objects.get(kind="hours_72")
    CheckIn.objects.filter(pk=early.pk).update(closes_at=timezone.now() + DAY)
    early.refresh_from_db()
    due.queue_what_is_due(early.due_at)
    assert OutboxMessage.objects.filter(checkin=early, state=MailState.QUEUED).exists()
    due.tick()
    assert len(mail.outbox) == 1
    assert OutboxMessage.objects.get(checkin=early).state == MailState.CANCELLED
    assert states(infusion)["days_8"] == "sent"


def test_a_mail_that_is_being_sent_is_let_go_and_the_later_one_waits(clinic: Clinic) -> None:
    planned(clinic, days_ago=9)
    early = CheckIn.objects.get(kind="hours_72")
    due.queue_what_is_due(early.due_at)
    now = timezone.now()
    OutboxMessage.objects.filter(checkin=early).update(state=MailState.SENDING, lease_until=now + DAY, tried_at=now)
    assert due.queue_what_is_due(now) == 0
    early.refresh_from_db()
    assert early.state == "planned"


def test_two_courses_of_one_patient_are_not_asked_about_at_once(clinic: Clinic) -> None:
    patient = make_patient(clinic)
    other, latest = planned(clinic, days_ago=3.5, patient=patient), planned(clinic, days_ago=1.1, patient=patient)
    due.tick()
    due.tick()
    assert len(mail.outbox) == 1
    assert (states(latest)["hours_24"], states(other)["hours_72"]) == ("sent", "planned")
    CheckIn.objects.filter(infusion=latest, kind="hours_24").update(sent_at=timezone.now() - due.APART)
    due.tick()
    assert len(mail.outbox) == 2
    assert states(other)["hours_72"] == "sent"


def test_the_last_one_is_asked_two_days_before_the_next_course(clinic: Clinic) -> None:
    patient = make_patient(clinic)
    infusion = planned(clinic, days_ago=1.1, patient=patient)
    last = CheckIn.objects.get(kind="days_28")
    ended_at = infusion.ended_at
    assert ended_at
    day = timezone.localdate(timezone=patient.zone) + 20 * DAY
    by = patient.created_by
    course = recording.book_course(by=by, patient=patient, planned_for=day, planned_days=1, planned_g=None)
    moved = CheckIn.objects.get(pk=last.pk).due_at.astimezone(patient.zone)
    assert (moved.date(), moved.time()) == (day - 2 * DAY, ended_at.astimezone(patient.zone).time())
    recording.unbook_course(course, by=by, reason="On holiday")
    assert CheckIn.objects.get(pk=last.pk).due_at == last.due_at


def test_what_goes_wrong_with_one_course_keeps_no_alert_from_leaving(
    clinic: Clinic, nurse: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    infusion = make_infusion(make_patient(clinic))
    make_checkins(infusion)
    checkin = infusion.checkins.earliest("due_at")
    recording.submit_answer(
        checkin, has_problem=True, details={}, symptoms={"breathing": "severe"}, even_closed=True, now=timezone.now()
    )

    def goes_wrong(now: datetime) -> None:
        raise IntegrityError("a row that cannot be")

    monkeypatch.setattr(due.replanning, "apply_changed_plans", goes_wrong)
    mail.outbox.clear()
    with pytest.raises(IntegrityError, match="cannot be"):
        due.tick()
    assert [message.to for message in mail.outbox] == [[nurse.email]]


@pytest.mark.parametrize("error", [IntegrityError("a row that cannot be"), OperationalError("cannot be: timeout")])
def test_what_goes_wrong_with_one_part_keeps_no_check_in_from_leaving(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    planned(clinic, days_ago=1.1)

    def goes_wrong(now: datetime) -> None:
        raise error

    monkeypatch.setattr(due.resuming, "resume", goes_wrong)
    with pytest.raises(type(error), match="cannot be"):
        due.tick()
    assert len(mail.outbox) == 1
    assert "the tick could not goes_wrong" in caplog.text


def test_a_row_with_which_the_database_has_trouble_keeps_no_other_waiting_and_a_time_limit_ends_it() -> None:
    done: list[int] = []

    def do(row: int) -> int:
        if row == 1:
            raise OperationalError("deadlock detected")
        if row == 3:
            raise SoftTimeLimitExceeded
        done.append(row)
        return 1

    with pytest.raises(OperationalError, match="deadlock"):
        sum_over([1, 2], do, what="a test")
    with pytest.raises(SoftTimeLimitExceeded):
        sum_over([4, 3, 5], do, what="a test")
    assert done == [2, 4]


def test_one_patient_of_whom_nothing_can_be_planned_keeps_nobody_else_waiting(
    clinic: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = planned(clinic, days_ago=1.1), planned(clinic, days_ago=1.1)
    # A zone that the time zone database has no more.
    Patient.objects.filter(pk=bad.patient_id).update(time_zone="US/Pacific-New")
    with pytest.raises(ZoneInfoNotFoundError):
        due.tick()
    assert [message.to for message in mail.outbox] == [[good.patient.email]]
    assert f"queueing a mail failed for row {bad.patient_id}" in caplog.text


def test_a_course_that_cannot_be_planned_anew_keeps_no_other_waiting(clinic: Clinic) -> None:
    bad, good = planned(clinic, days_ago=0.1), planned(clinic, days_ago=0.1)
    Patient.objects.filter(pk=bad.patient_id).update(time_zone="US/Pacific-New")
    plan = CheckInPlan.objects.create(clinic=clinic, quiet_from=None, sends_from=None, applied_to=0)
    PlanStep.of_step(plan, DEFAULT_PLAN[1]).save()
    with pytest.raises(ZoneInfoNotFoundError):
        due.tick()
    plan.refresh_from_db()
    assert plan.applied_to is None
    assert good.checkins.get(kind=DEFAULT_PLAN[0].key).state == CheckInState.CANCELLED


def test_in_quiet_hours_the_tick_asks_as_much_for_many_silent_patients_as_for_one(
    clinic: Clinic, django_assert_max_num_queries: Any
) -> None:
    now = timezone.now().replace(hour=7)
    CheckInPlan.objects.create(clinic=clinic, quiet_from=time(0), sends_from=time(12))
    for _ in range(3):
        infusion = planned(clinic, days_ago=2)
        CheckIn.objects.filter(infusion=infusion, kind="hours_24").update(
            state="sent", sent_at=now - 2 * DAY, due_at=now - 2 * DAY, closes_at=now + DAY
        )
    with django_assert_max_num_queries(2):
        assert due.queue_reminders(now) == 0


def test_an_infusion_recorded_anew_a_little_earlier_gets_a_check_in_of_its_own(clinic: Clinic, nurse: User) -> None:
    """The patient holds a link that is closed; what was sent about the void one is not the later one."""
    void = planned(clinic, days_ago=1.1)
    due.tick()
    recording.void_infusion(void, by=nurse, reason="A slip", seen_version=void.version, now=timezone.now())
    right = planned(clinic, days_ago=1.11, patient=void.patient, course=void.course)
    OutboxMessage.objects.update(sent_at=timezone.now() - DAY)
    CheckIn.objects.filter(infusion=void, sent_at__isnull=False).update(sent_at=timezone.now() - DAY)
    due.tick()
    assert len(mail.outbox) == 2
    assert states(right)["hours_24"] == "sent"


def test_where_time_is_short_some_are_mailed_now_and_the_others_by_the_next_ticks(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, smtp_sink: SmtpSink
) -> None:
    for _ in range(3):
        make_checkins(make_infusion(make_patient(clinic), ended_at=timezone.now() - timedelta(hours=25)))
    monkeypatch.setattr(due, "QUEUE_FOR_S", 0)
    monkeypatch.setattr(due, "TOGETHER", 1)
    mailed = []
    for _ in range(3):
        due.tick()
        mailed.append(len(smtp_sink.messages))
    assert mailed == [1, 2, 3]


def test_a_tick_that_has_used_its_time_begins_no_mail_and_the_next_one_sends_it(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, smtp_sink: SmtpSink
) -> None:
    """A mail that is under way when the task's time limit comes is in doubt, and goes out twice."""
    make_checkins(make_infusion(make_patient(clinic), ended_at=timezone.now() - timedelta(hours=25)))
    with monkeypatch.context() as patch:
        patch.setattr(sending, "STOP_IN_TASK_AFTER_S", 0)
        assert due.tick().mails == {}
    assert [row.state for row in OutboxMessage.objects.all()] == [MailState.QUEUED]
    assert due.tick().mails == {"sent": 1}
    assert len(smtp_sink.messages) == 1


def test_what_is_begun_in_a_task_ends_before_its_time_limit() -> None:
    begun = sending.STOP_IN_TASK_AFTER_S
    assert begun + settings.EMAIL_TIMEOUT < settings.CELERY_TASK_SOFT_TIME_LIMIT
    assert begun + sending.MARK_WITHIN_S < settings.CELERY_TASK_SOFT_TIME_LIMIT
    assert begun > due.QUEUE_FOR_S


def test_wherever_a_tick_begins_it_comes_to_every_patient(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        make_checkins(make_infusion(make_patient(clinic), ended_at=timezone.now() - timedelta(hours=25)))
    monkeypatch.setattr(due.secrets, "randbelow", lambda below: below - 1)
    assert due.queue_what_is_due(timezone.now()) == 3


def test_queueing_for_many_patients_asks_little_for_each(clinic: Clinic, django_assert_max_num_queries: Any) -> None:
    """After the service stood still there are thousands: what is asked for them together is not asked of each."""
    patients = 20
    for _ in range(patients):
        make_checkins(make_infusion(make_patient(clinic), ended_at=timezone.now() - timedelta(hours=25)))
    # Of each the row that may be there, and the new one between two marks of its transaction.
    with django_assert_max_num_queries(4 * patients + 25):
        assert due.queue_what_is_due(timezone.now()) == patients


def test_a_batch_queues_for_each_patient_what_it_would_queue_for_that_one_alone(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due.secrets, "randbelow", lambda below: 0)
    for days_ago in ([9], [1.1], [3.5, 1.1], [9, 3.5], [0.1], [30, 1.1]):
        patient = make_patient(clinic)
        for course in days_ago:
            planned(clinic, days_ago=course, patient=patient)
    due.queue_what_is_due(timezone.now() - 1.5 * DAY)
    OutboxMessage.objects.filter(pk=OutboxMessage.objects.earliest("pk").pk).update(state="refused")
    now = timezone.now()

    def queued(together: int) -> tuple[int, list[Any], list[Any]]:
        monkeypatch.setattr(due, "TOGETHER", together)
        with transaction.atomic():
            count = due.queue_what_is_due(now)
            mails = OutboxMessage.objects.order_by("checkin").values_list("checkin", "state", "due_at", "last_error")
            found = count, list(mails), list(CheckIn.objects.order_by("pk").values_list("pk", "state"))
            transaction.set_rollback(True)
        return found

    alone = queued(1)
    assert alone[0] > 3
    assert queued(50) == alone
