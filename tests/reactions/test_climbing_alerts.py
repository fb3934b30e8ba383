"""An alert is told again, to more and more people, until a named person says what was done."""

from collections import Counter
from datetime import time, timedelta
from pathlib import Path
from time import monotonic, sleep

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from ivigtrack.local import processes
from patients.models import Clinic, Patient, User
from reactions import alerts, recording, tasks
from reactions.checkins import due
from reactions.models import Alert, AlertPolicy, OnCallShift, OutboxMessage
from reactions.vocabulary import AlertLevel, CheckInKind, MailState
from tests.support.celery_worker import start_worker
from tests.support.factories import make_checkins, make_infusion, make_patient, make_staff
from tests.support.smtp_sink import SmtpSink

FIRST, SECOND = 1, 2


@pytest.fixture
def team(clinic: Clinic, nurse: User, administrator: User, other_nurse: User) -> dict[str, User]:
    """Two on call, a clinician who is not, and the administrator; somebody of another clinic gets nothing."""
    first, second = make_staff(clinic, "first"), make_staff(clinic, "second")
    on_call(clinic, first)
    on_call(clinic, second, rung=SECOND)
    return {"first": first, "second": second, "nurse": nurse, "admin": administrator}


@pytest.fixture
def no_rota(nurse: User, administrator: User) -> None:
    """Two who work at the clinic, and no shift."""


def on_call(
    clinic: Clinic, person: User, *, rung: int = FIRST, begins_h: float = -1, ends_h: float = 48
) -> OnCallShift:
    now = timezone.now()
    starts_at, ends_at = now + timedelta(hours=begins_h), now + timedelta(hours=ends_h)
    return OnCallShift.objects.create(clinic=clinic, person=person, rung=rung, starts_at=starts_at, ends_at=ends_at)


def answer(patient: Patient, *, symptom: str = "chest_pain", severity: str = "severe") -> Alert:
    """An answer raises it now."""
    infusion = make_infusion(patient)
    make_checkins(infusion)
    given = recording.submit_answer(
        infusion.checkins.get(kind=CheckInKind.HOURS_24),
        has_problem=True,
        details={"still_there": True},
        symptoms={symptom: severity},
        now=timezone.now(),
    )
    return Alert.objects.get(answer=given)


def let_pass(alert: Alert, minutes: float) -> None:
    """As if it had been raised, and its mails sent, so much earlier."""
    back = timedelta(minutes=minutes)
    alert.refresh_from_db()
    Alert.objects.filter(pk=alert.pk).update(raised_at=alert.raised_at - back)
    for mail in OutboxMessage.objects.filter(alert=alert).exclude(sent_at=None):
        OutboxMessage.objects.filter(pk=mail.pk).update(sent_at=mail.sent_at - back)


def told(sink: SmtpSink) -> list[str]:
    """Who got a mail since this was asked last."""
    people = sorted(str(message["To"]).partition("@")[0] for message in sink.messages)
    sink.clear()
    return people


def rounds(alert: Alert, sink: SmtpSink, *, number: int, every: float = 5) -> list[list[str]]:
    """Who was told in each of the next rounds, with a second tick in each."""
    found = []
    for _ in range(number):
        due.tick()
        due.tick()
        found.append(told(sink))
        let_pass(alert, every)
    return found


def test_red_climbs_a_rung_every_five_minutes_and_repeats(
    team: dict[str, User], patient: Patient, smtp_sink: SmtpSink
) -> None:
    alert = answer(patient)
    assert rounds(alert, smtp_sink, number=5) == [
        ["first"],
        ["first", "second"],
        ["first", "nurse", "second"],
        ["admin", "first", "nurse", "second"],
        ["admin", "first", "nurse", "second"],
    ]


def test_without_a_rota_all_clinicians_are_told_twice_and_then_the_administrators_too(
    no_rota: None, patient: Patient, smtp_sink: SmtpSink
) -> None:
    alert = answer(patient)
    assert rounds(alert, smtp_sink, number=4) == [["nurse"], ["nurse"], ["admin", "nurse"], ["admin", "nurse"]]


def test_the_clinic_says_how_often(
    team: dict[str, User], clinic: Clinic, patient: Patient, smtp_sink: SmtpSink
) -> None:
    AlertPolicy.objects.create(clinic=clinic, red_every_min=20)
    alert = answer(patient)
    due.tick()
    let_pass(alert, 19)
    assert due.tick().mails == {}
    let_pass(alert, 1)
    assert due.tick().mails == {"sent": 2}


def test_who_acknowledges_ends_it(team: dict[str, User], patient: Patient, smtp_sink: SmtpSink) -> None:
    alert = answer(patient)
    assert rounds(alert, smtp_sink, number=2) == [["first"], ["first", "second"]]
    alerts.keep_telling(timezone.now())
    assert OutboxMessage.objects.filter(alert=alert, state=MailState.QUEUED).count() == 3
    recording.acknowledge_alert(alert, by=team["second"], what_was_done="Called back", now=timezone.now())
    assert due.tick().mails == {"cancelled": 3}
    planned = OutboxMessage.objects.count()
    let_pass(alert, 60)
    assert due.tick().mails == {}
    assert OutboxMessage.objects.count() == planned
    assert told(smtp_sink) == []


def test_the_rounds_of_a_stand_still_are_not_made_up_for(
    team: dict[str, User], patient: Patient, smtp_sink: SmtpSink
) -> None:
    alert = answer(patient)
    let_pass(alert, 12)
    # What was planned at once has not left yet; nobody gets two at a time.
    due.tick()
    due.tick()
    assert told(smtp_sink) == ["first", "nurse", "second"]
    let_pass(alert, 3)
    due.tick()
    assert told(smtp_sink) == ["admin", "first", "nurse", "second"]


def test_a_rung_without_anybody_is_passed_over_at_once(
    clinic: Clinic, nurse: User, administrator: User, patient: Patient, smtp_sink: SmtpSink
) -> None:
    for person, begins_h, ends_h in ((make_staff(clinic, "before"), -9, -1), (make_staff(clinic, "after"), 1, 9)):
        on_call(clinic, person, begins_h=begins_h, ends_h=ends_h)
    on_call(clinic, make_staff(clinic, "gone", is_active=False))
    on_call(clinic, make_staff(clinic, "mute", email=""))
    left = make_staff(clinic, "left")
    on_call(clinic, left)
    left.roles.update(is_active=False)
    assert rounds(answer(patient), smtp_sink, number=2) == [
        ["after", "before", "nurse"],
        ["admin", "after", "before", "nurse"],
    ]


def test_who_is_on_call_and_refused_is_followed_by_the_next_within_the_round(
    team: dict[str, User], patient: Patient, smtp_sink: SmtpSink
) -> None:
    alert = answer(patient)
    smtp_sink.refuse_next_recipient(550, "5.1.1 No such mailbox")
    assert due.tick().mails == {"refused": 1}
    assert due.tick().mails == {"sent": 1}
    assert told(smtp_sink) == ["second"]
    let_pass(alert, 5)
    due.tick()
    assert told(smtp_sink) == ["nurse", "second"]


def test_who_comes_on_call_while_an_alert_is_open_is_told_of_it(
    team: dict[str, User], clinic: Clinic, patient: Patient, smtp_sink: SmtpSink
) -> None:
    alert = answer(patient)
    due.tick()
    OnCallShift.objects.filter(person=team["first"]).update(ends_at=timezone.now())
    on_call(clinic, team["nurse"], begins_h=0)
    due.tick()
    assert told(smtp_sink) == ["first", "nurse"]
    let_pass(alert, 5)
    due.tick()
    assert told(smtp_sink) == ["nurse", "second"]


def always_at_work(clinic: Clinic) -> None:
    """Working hours are the whole day, but for the last minute: what amber counts is the clock, whenever this runs."""
    AlertPolicy.objects.create(clinic=clinic, works_from=time(0), works_until=time(23, 59), works_every_day=True)


def test_amber_is_told_at_once_again_when_its_target_has_passed_and_then_to_the_administrators(
    team: dict[str, User], clinic: Clinic, patient: Patient, smtp_sink: SmtpSink
) -> None:
    always_at_work(clinic)
    alert = answer(patient, symptom="headache")
    assert alert.level == AlertLevel.AMBER
    due.tick()
    assert told(smtp_sink) == ["first"]
    let_pass(alert, 238)
    assert due.tick().mails == {}
    let_pass(alert, 6)
    due.tick()
    due.tick()
    assert told(smtp_sink) == ["first", "nurse", "second"]
    let_pass(alert, 122)
    due.tick()
    assert told(smtp_sink) == ["admin", "first", "nurse", "second"]


def test_green_is_never_mailed(team: dict[str, User], patient: Patient, smtp_sink: SmtpSink) -> None:
    alert = answer(patient, symptom="headache", severity="moderate")
    assert alert.level == AlertLevel.GREEN
    let_pass(alert, 60 * 24 * 7)
    assert due.tick().mails == {}


def test_every_round_says_since_when_and_nothing_of_the_patient(
    team: dict[str, User], clinic: Clinic, patient: Patient, smtp_sink: SmtpSink
) -> None:
    alert = answer(patient)
    let_pass(alert, 7)
    due.tick()
    alert.refresh_from_db()
    since = f"Not acknowledged since {alert.raised_at.astimezone(clinic.zone):%Y-%m-%d %H:%M}."
    assert len(smtp_sink.messages) == 2
    for message in smtp_sink.messages:
        assert message["Subject"] == f"RED alert at {clinic.name}"
        for part in message.iter_parts():
            text = part.get_content()
            assert since in text
            assert "/alerts/" in text
            assert not [word for word in (patient.given_name, patient.full_name, "hest pain", "IVIG") if word in text]


def test_a_tick_asks_no_more_queries_for_more_alerts_that_are_told_already(
    team: dict[str, User], clinic: Clinic, smtp_sink: SmtpSink, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    def more(count: int) -> None:
        for _ in range(count):
            answer(make_patient(clinic))
        due.tick()

    more(1)
    with django_assert_max_num_queries(7) as one:
        assert alerts.keep_telling(timezone.now()) == 0
    more(4)
    with django_assert_max_num_queries(len(one)):
        assert alerts.keep_telling(timezone.now()) == 0


def test_the_pages_say_who_was_told_how_often_and_what_is_overdue(
    team: dict[str, User], clinic: Clinic, patient: Patient, smtp_sink: SmtpSink, client: Client
) -> None:
    client.force_login(team["nurse"])
    alert = answer(patient)
    assert "Overdue" not in client.get(reverse("reactions:alerts")).content.decode()
    rounds(alert, smtp_sink, number=4)
    assert "Overdue" in client.get(reverse("reactions:alerts")).content.decode()
    alert.refresh_from_db()
    page = " ".join(client.get(reverse("reactions:acknowledge", args=[alert.pk])).content.decode().split())
    due_at = (alert.raised_at + timedelta(minutes=15)).astimezone(clinic.zone)
    assert f"To be acknowledged by {due_at:%Y-%m-%d %H:%M}" in page
    assert "first, 4 mails, the latest:" in page
    assert "second, 3 mails, the latest:" in page
    assert "Ada Test</span>" in page


@pytest.mark.django_db(transaction=True)
def test_a_red_answer_reaches_who_is_on_call_through_the_worker_and_is_acknowledged(
    celery_worker_process: processes.Child,
    team: dict[str, User],
    patient: Patient,
    smtp_sink: SmtpSink,
    client: Client,
) -> None:
    alert = answer(patient)
    smtp_sink.wait_for(1)
    assert told(smtp_sink) == ["first"]
    client.force_login(team["first"])
    page = reverse("reactions:acknowledge", args=[alert.pk])
    assert patient.full_name in client.get(page).content.decode()
    sent = {"what_was_done": "Called an ambulance", "seen_answer": alert.answer_id}
    assert client.post(page, sent).status_code == 302
    alert.refresh_from_db()
    assert alert.acknowledged_by == team["first"]
    let_pass(alert, 30)
    # A later alert of another patient shows that the worker has ticked since, and about the first one nobody is told.
    other = answer(make_patient(patient.clinic))
    smtp_sink.wait_for(1)
    assert OutboxMessage.objects.filter(alert=alert).count() == 1
    assert told(smtp_sink) == ["first"]
    assert OutboxMessage.objects.filter(alert=other).count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_nobody_acknowledges_climbs_through_the_worker(
    celery_worker_process: processes.Child, team: dict[str, User], patient: Patient, smtp_sink: SmtpSink
) -> None:
    alert = answer(patient)
    smtp_sink.wait_for(1)
    copies = Counter(told(smtp_sink))
    for expected in (2, 3, 4, 4):
        until_all_is_sent()
        let_pass(alert, 5)
        tasks.wake()
        tasks.wake()
        smtp_sink.wait_for(expected)
        until_all_is_sent()
        people = told(smtp_sink)
        assert len(people) == expected
        copies.update(people)
    assert copies == {"first": 5, "second": 4, "nurse": 3, "admin": 2}


@pytest.mark.django_db(transaction=True)
def test_with_the_worker_dead_for_the_first_minutes_each_is_told_once(
    team: dict[str, User], broker: str, patient: Patient, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    alert = answer(patient)
    assert smtp_sink.messages == []
    let_pass(alert, 1)
    worker = start_worker(
        broker_url=broker, email_url=smtp_sink.url, site_url="http://127.0.0.1:1", log=tmp_path / "worker.log"
    )
    try:
        # The answer's own wake-up waits in the broker; the scheduler's next ones come on top.
        tasks.wake()
        tasks.wake()
        smtp_sink.wait_for(1)
        until_all_is_sent()
        let_pass(alert, 4)
        tasks.wake()
        smtp_sink.wait_for(3)
        until_all_is_sent()
    finally:
        processes.stop([worker], patience=10)
    assert told(smtp_sink) == ["first", "first", "second"]


def until_all_is_sent(*, seconds: float = 10) -> None:
    """Wait until no mail of an alert waits any more, so that what is moved to and fro here is at rest."""
    deadline = monotonic() + seconds
    waiting = OutboxMessage.objects.filter(state__in=[MailState.QUEUED, MailState.SENDING])
    while waiting.exists():
        assert monotonic() < deadline, list(waiting.values_list("state", "last_error"))
        sleep(0.05)
