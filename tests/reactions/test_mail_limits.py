"""Not more mails a minute than the settings allow, whoever sends them, and red alerts at once."""

from collections import deque
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from patients.models import Clinic, User
from reactions import outbox, recording
from reactions.checkins import due
from reactions.models import MailPace, OutboxMessage
from reactions.outbox import sending
from reactions.outbox.limits import MINUTE, Pace
from reactions.vocabulary import CheckInKind, MailState
from tests.support.at_once import at_once
from tests.support.factories import make_checkins, make_infusion, make_patient
from tests.support.smtp_sink import SmtpSink

START = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dispatcher that would wait for room leaves that to the next one."""
    monkeypatch.setattr(sending, "_wait_for_room", lambda *_: False)


def make_due(clinic: Clinic, domain: str, count: int) -> None:
    for number in range(count):
        make_checkins(make_infusion(make_patient(clinic, email=f"patient{number}@{domain}")))
    due.queue_what_is_due(timezone.now())


def make_red_alert(clinic: Clinic) -> None:
    infusion = make_infusion(make_patient(clinic))
    make_checkins(infusion)
    checkin = infusion.checkins.get(kind=CheckInKind.HOURS_24)
    details = {"still_there": True}
    recording.submit_answer(
        checkin, has_problem=True, details=details, symptoms={"chest_pain": "mild"}, now=timezone.now()
    )


def let_a_minute_pass() -> None:
    for pace in MailPace.objects.all():
        pace.taken_until -= MINUTE
        pace.save()
    OutboxMessage.objects.filter(state=MailState.QUEUED).update(due_at=timezone.now())


@pytest.mark.parametrize("per_minute", [1, 2, 9, 10, 60, 100, 599])
def test_no_minute_has_more_than_the_limit_and_a_long_time_has_nearly_as_many(per_minute: int) -> None:
    taken_until, left = START - timedelta(days=1), deque[datetime]()
    most = total = 0
    for tenth in range(3 * 600):
        now = START + timedelta(seconds=tenth / 10)
        pace = Pace(per_minute, taken_until, now)
        while pace.room_at <= now:
            pace.take()
            left.append(now)
            total += 1
        taken_until = pace.taken_until
        while left[0] <= now - MINUTE:
            left.popleft()
        most = max(most, len(left))
    assert most <= per_minute
    assert total >= 3 * per_minute * 0.85


def test_of_many_mails_only_so_many_leave_and_the_rest_leaves_later(
    clinic: Clinic, smtp_sink: SmtpSink, settings: Settings
) -> None:
    settings.MAILS_PER_MINUTE = 30
    make_due(clinic, "patients.example", 5)
    assert outbox.dispatch() == {"sent": 3}
    assert outbox.dispatch() == {}
    rest = OutboxMessage.objects.filter(state=MailState.QUEUED, attempts=0, in_doubt=False, lease_until=None)
    assert rest.count() == 2
    let_a_minute_pass()
    assert outbox.dispatch() == {"sent": 2}


def test_a_domain_that_has_had_its_share_does_not_hold_up_another(
    clinic: Clinic, smtp_sink: SmtpSink, settings: Settings
) -> None:
    settings.MAILS_PER_MINUTE_PER_DOMAIN = 20
    make_due(clinic, "big.example", 4)
    make_due(clinic, "small.example", 2)
    assert outbox.dispatch() == {"sent": 4, "paced": 2}
    domains = sorted(message["To"].partition("@")[2] for message in smtp_sink.messages)
    assert domains == ["big.example", "big.example", "small.example", "small.example"]
    held_back = OutboxMessage.objects.filter(state=MailState.QUEUED, due_at__gt=timezone.now(), attempts=0)
    assert held_back.count() == 2
    let_a_minute_pass()
    assert outbox.dispatch() == {"sent": 2}


def test_a_red_alert_is_not_held_back(clinic: Clinic, nurse: User, smtp_sink: SmtpSink, settings: Settings) -> None:
    settings.MAILS_PER_MINUTE = settings.MAILS_PER_MINUTE_PER_DOMAIN = 1
    make_due(clinic, "patients.example", 2)
    assert outbox.dispatch() == {"sent": 1}
    for _ in range(3):
        make_red_alert(clinic)
    assert outbox.dispatch() == {"sent": 3}
    assert all(message["Subject"].startswith("RED") for message in smtp_sink.messages[1:])


def test_a_dispatcher_waits_for_room_and_looks_for_red_meanwhile(
    clinic: Clinic, smtp_sink: SmtpSink, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MAILS_PER_MINUTE = 600
    MailPace.objects.create(domain="", taken_until=timezone.now())
    make_due(clinic, "patients.example", 3)
    waits: list[datetime] = []

    def wait(room_at: datetime, stop_at: float) -> bool:
        waits.append(room_at)
        MailPace.objects.update(taken_until=timezone.now() - MINUTE)
        return True

    MailPace.objects.update(taken_until=timezone.now() + timedelta(seconds=5))
    monkeypatch.setattr(sending, "_wait_for_room", wait)
    assert outbox.dispatch() == {"sent": 3}
    assert len(waits) >= 1


@pytest.mark.django_db(transaction=True)
def test_two_dispatchers_share_one_limit(clinic: Clinic, smtp_sink: SmtpSink, settings: Settings) -> None:
    settings.MAILS_PER_MINUTE = 50
    make_due(clinic, "patients.example", 20)
    shares = at_once(*[lambda: outbox.dispatch(batch=2).get("sent", 0)] * 2)
    # Five at once and, with luck, one more that came in meanwhile.
    assert 5 <= sum(shares) <= 7
    assert len(smtp_sink.messages) == sum(shares)
