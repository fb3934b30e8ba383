"""What a nurse reads of a check-in's way to the patient, and the list of all of them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from patients.models import Clinic, Patient, User
from reactions import delivery, recording
from reactions.checkins import due
from reactions.delivery import DeliveryState
from reactions.models import CheckIn, Infusion, OutboxMessage
from reactions.models.checkin import MAIL_REFUSED
from reactions.vocabulary import MailState
from tests.support.factories import make_checkins, make_infusion, make_patient
from tests.support.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db

# The clinic is in New York: five hours behind.
NOW = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)
DUE, CLOSES = datetime(2026, 3, 1, 15, 0, tzinfo=UTC), datetime(2026, 3, 3, 15, 0, tzinfo=UTC)
LATER = datetime(2026, 3, 1, 18, 5, tzinfo=UTC)
SAID = "550 5.1.1 No such mailbox"


@pytest.fixture
def checkin(infusion: Infusion) -> CheckIn:
    make_checkins(infusion)
    first = infusion.checkins.earliest("due_at")
    CheckIn.objects.filter(pk=first.pk).update(due_at=DUE, closes_at=CLOSES)
    return first


def told(checkin: CheckIn, row: dict[str, Any], mail: dict[str, Any] | None) -> delivery.Delivery:
    CheckIn.objects.filter(pk=checkin.pk).update(**row)
    if mail is not None:
        due.queue_what_is_due(NOW)
        OutboxMessage.objects.filter(checkin=checkin).update(**mail)
    return delivery.of_checkin(CheckIn.objects.get(pk=checkin.pk), NOW)


@pytest.mark.parametrize(
    ("row", "mail", "state", "text"),
    [
        ({"due_at": LATER}, None, DeliveryState.PLANNED, "Planned for 2026-03-01 13:05"),
        ({}, None, DeliveryState.DUE, "Due since 2026-03-01 10:00, not sent yet"),
        ({}, {}, DeliveryState.DUE, "Due since 2026-03-01 10:00, not sent yet"),
        (
            {},
            {"attempts": 2, "last_error": "451 Busy", "due_at": LATER},
            DeliveryState.RETRY,
            "Tried 2 times, next try 2026-03-01 13:05: 451 Busy",
        ),
        (
            {},
            {"attempts": 1, "last_error": "TimeoutError: timed out", "due_at": LATER, "in_doubt": True},
            DeliveryState.RETRY,
            "Tried once, next try 2026-03-01 13:05; an earlier try may have reached the patient: "
            "TimeoutError: timed out",
        ),
        ({}, {"state": "sending", "lease_until": LATER}, DeliveryState.SENDING, "Being sent now"),
        (
            {"state": "sent", "sent_at": DUE},
            {"state": "sent", "sent_at": DUE},
            DeliveryState.SENT,
            "Sent 2026-03-01 10:00, open until 2026-03-03 10:00",
        ),
        (
            {"state": "sent", "sent_at": DUE},
            {"state": "sent", "sent_at": DUE, "in_doubt": True},
            DeliveryState.IN_DOUBT,
            "Sent 2026-03-01 10:00, open until 2026-03-03 10:00; a second copy may have reached the patient",
        ),
        (
            {"state": "sent", "sent_at": DUE, "closes_at": NOW},
            {"state": "sent", "sent_at": DUE},
            DeliveryState.EXPIRED,
            "Sent 2026-03-01 10:00, not answered by 2026-03-01 12:00",
        ),
        (
            {"state": "sent", "sent_at": DUE},
            {"kind": "checkin_reminder", "state": "refused", "last_error": SAID},
            DeliveryState.SENT,
            f"Sent 2026-03-01 10:00, open until 2026-03-03 10:00; the reminder was refused: {SAID}",
        ),
        (
            {"state": "cancelled", "state_reason": f"{MAIL_REFUSED} {SAID}"},
            {"state": "refused", "last_error": SAID},
            DeliveryState.REFUSED,
            f"The mail server refused the address: {SAID}. It is sent once more when the address is corrected before "
            "2026-03-03 10:00",
        ),
        (
            {"state": "expired", "sent_at": DUE},
            {"state": "sent", "sent_at": DUE},
            DeliveryState.EXPIRED,
            "Sent 2026-03-01 10:00, not answered by 2026-03-03 10:00",
        ),
        (
            {"state": "answered", "sent_at": DUE, "answered_at": LATER},
            {"state": "sent", "sent_at": DUE},
            DeliveryState.ANSWERED,
            "Answered 2026-03-01 13:05",
        ),
        (
            {"state": "missed", "state_reason": "The service did not send it in time."},
            {"state": "expired"},
            DeliveryState.MISSED,
            "Not sent: The service did not send it in time.",
        ),
        (
            {"state": "cancelled", "state_reason": "The infusion was voided."},
            {"state": "cancelled"},
            DeliveryState.CANCELLED,
            "Cancelled: The infusion was voided.",
        ),
    ],
)
def test_every_state_is_told_with_its_time_on_the_clinics_clocks_and_its_reason(
    checkin: CheckIn, row: dict[str, Any], mail: dict[str, Any] | None, state: DeliveryState, text: str
) -> None:
    if mail:
        due.queue_what_is_due(NOW)
    assert told(checkin, row, mail) == delivery.Delivery(state, text)


def test_a_mail_that_came_back_is_told_as_that_until_the_patient_answers(checkin: CheckIn) -> None:
    mail = OutboxMessage(kind="checkin_invitation", state=MailState.BOUNCED, last_error=SAID)
    assert delivery.of_mail(mail, ZoneInfo("UTC"), NOW) == delivery.Delivery(
        DeliveryState.BOUNCED, f"The mail came back: {SAID}"
    )
    for state, shown in {"sent": DeliveryState.BOUNCED, "answered": DeliveryState.ANSWERED}.items():
        row = CheckIn.objects.select_related("infusion__patient__clinic").get(pk=checkin.pk)
        row.state, row.sent_at, row.answered_at = state, DUE, LATER
        row._prefetched_objects_cache = {"mails": [mail]}
        assert delivery.of_checkin(row, NOW).state == shown


def test_a_check_in_that_cannot_be_mailed_says_why(checkin: CheckIn) -> None:
    Patient.objects.update(email="")
    found = told(checkin, {}, None)
    assert found.state == DeliveryState.NO_MAIL
    assert found.text == "Will not be sent: No email address is recorded."


def test_every_state_has_a_tag() -> None:
    assert set(delivery.TAGS) == set(DeliveryState)


def test_the_same_words_stand_on_every_page_and_in_the_admin(
    client: Client, infusion: Infusion, administrator: User, nurse: User, smtp_sink: SmtpSink
) -> None:
    make_checkins(infusion)
    checkin = infusion.checkins.earliest("due_at")
    smtp_sink.refuse_next(451, "Busy, synthetic")
    due.tick()
    text = delivery.of_checkin(checkin, timezone.now()).text
    assert text.startswith("Tried once, next try ")
    assert "451 Busy, synthetic" in text
    client.force_login(nurse)
    pages = [
        f"/infusions/{infusion.pk}/",
        f"/patients/{infusion.patient_id}/",
        f"/checkins/{checkin.pk}/",
        "/checkins/?show=failed",
    ]
    for page in pages:
        assert text in client.get(page).content.decode(), page
    client.force_login(administrator)
    for page in ("", f"{checkin.pk}/change/"):
        assert text in client.get(f"/admin/reactions/checkin/{page}").content.decode(), page


def fill(clinic: Clinic, count: int) -> None:
    for _ in range(count):
        make_checkins(make_infusion(make_patient(clinic)))


def listed(client: Client, show: str) -> set[int]:
    lines = client.get(reverse("reactions:checkins"), {"show": show}).context["lines"]
    return {checkin.pk for checkin, _ in lines}


def test_the_list_is_narrowed_to_what_must_be_looked_at(
    client: Client, clinic: Clinic, other_clinic: Clinic, nurse: User, time_machine: Any
) -> None:
    # 23:30 in New York, the next day in UTC.
    time_machine.move_to(datetime(2026, 3, 2, 4, 30, tzinfo=UTC), tick=False)
    ended = timezone.now() - timedelta(hours=24)
    ours = make_infusion(make_patient(clinic), ended_at=ended)
    late = make_infusion(make_patient(clinic), ended_at=ended - timedelta(hours=30))
    for infusion in (ours, late, make_infusion(make_patient(other_clinic), ended_at=ended)):
        make_checkins(infusion)
    today, overdue = ours.checkins.earliest("due_at"), late.checkins.earliest("due_at")
    client.force_login(nurse)
    assert listed(client, "today") == listed(client, "no such selection") == {today.pk}
    assert listed(client, "overdue") == {today.pk, overdue.pk}
    assert listed(client, "failed") == listed(client, "unanswered") == set()
    assert listed(client, "all") == {row.pk for row in [*ours.checkins.all(), *late.checkins.all()]}
    CheckIn.objects.filter(pk=today.pk).update(state="sent", sent_at=timezone.now())
    CheckIn.objects.filter(pk=overdue.pk).update(state="cancelled", state_reason=f"{MAIL_REFUSED} {SAID}")
    assert listed(client, "unanswered") == {today.pk}
    assert listed(client, "failed") == {overdue.pk}
    recording.submit_answer(today, has_problem=False, details={}, symptoms={}, now=timezone.now())
    assert listed(client, "unanswered") == set()


def test_the_list_pages_and_asks_no_more_queries_for_more_rows(
    client: Client, clinic: Clinic, nurse: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(nurse)
    fill(clinic, 1)
    due.queue_what_is_due(timezone.now())
    with django_assert_max_num_queries(21) as one:
        assert client.get("/checkins/?show=all").status_code == 200
    fill(clinic, 12)
    due.queue_what_is_due(timezone.now())
    with django_assert_max_num_queries(len(one)):
        page = client.get("/checkins/?show=all")
    assert len(page.context["lines"]) == 25
    assert len(client.get("/checkins/?show=all&page=3").context["lines"]) == 2
