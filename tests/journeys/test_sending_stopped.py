"""What staff see of mail: that it stands still, since when and why, and what became of every check-in."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone
from playwright.sync_api import expect
from pytest_django import Settings

from patients.models import Clinic, Patient, User
from reactions import watch
from reactions.models import CheckIn, Heartbeat, OutboxMessage
from reactions.models.checkin import MAIL_REFUSED, SENT_TOO_LATE
from reactions.vocabulary import WatchedPart
from tests.journeys.conftest import NewPage, sign_in
from tests.journeys.eyes import look_at
from tests.support.factories import make_checkins, make_infusion, make_patient
from tests.support.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db(transaction=True)

LONG_WORDS = "451 4.7.1 Greylisting in action, please come back later; synthetic-queue-0123456789-0123456789-0123456789"


def test_a_standstill_is_seen_on_every_page_and_goes_when_mail_goes_out(
    new_person: NewPage,
    no_broker: None,
    smtp_sink: SmtpSink,
    settings: Settings,
    clinic: Clinic,
    nurse: User,
    administrator: User,
) -> None:
    chief = new_person()
    sign_in(chief, administrator, "/admin/")
    expect(chief.get_by_text("The sending of check-ins has not run yet. Nothing is waiting.")).to_be_visible()
    look_at(chief, "sending-not-yet-admin")
    make_checkins(make_infusion(make_patient(clinic)))
    call_command("tick", stdout=StringIO())
    page = new_person()
    sign_in(page, nurse)
    banner = page.get_by_role("alert")
    expect(banner).to_have_count(0)
    make_checkins(make_infusion(make_patient(clinic)))

    since = timezone.now() - timedelta(minutes=25)
    Heartbeat.objects.update(seen_at=since, done_at=since)
    watch.note(WatchedPart.BEAT)
    page.goto("/alerts/")
    expect(banner).to_contain_text("(worker not seen). 1 is waiting.")
    look_at(page, "sending-worker")

    call_command("tick", stdout=StringIO())
    page.reload()
    expect(banner).to_have_count(0)
    watch.note(WatchedPart.MAIL, host="", trouble=LONG_WORDS)
    Heartbeat.objects.filter(part=WatchedPart.MAIL).update(failing_since=since - timedelta(days=2))
    page.reload()
    expect(banner).to_contain_text("the mail server does not take mail: 451")
    look_at(page, "sending-mail-server")

    settings.IVIGTRACK_SITE_ID = "of-a-restored-copy"
    page.goto("/patients/")
    expect(banner).to_contain_text("restored from a backup or copied")
    look_at(page, "sending-restored")
    chief.reload()
    expect(chief.get_by_role("alert")).to_contain_text("restored from a backup or copied")
    look_at(chief, "sending-restored-admin")


def test_the_list_of_check_ins_tells_each_state(
    new_person: NewPage, no_broker: None, smtp_sink: SmtpSink, clinic: Clinic, nurse: User
) -> None:
    now = timezone.now()
    states = [
        {},
        {"state": "sent", "sent_at": now},
        {"state": "answered", "sent_at": now, "answered_at": now},
        {"state": "expired", "sent_at": now},
        {"state": "missed", "state_reason": SENT_TOO_LATE},
        {"state": "cancelled", "state_reason": f"{MAIL_REFUSED} 550 5.1.1 No such mailbox, synthetic"},
        {"state": "cancelled", "state_reason": "The infusion was voided."},
        {},
    ]
    for state in states:
        infusion = make_infusion(make_patient(clinic))
        make_checkins(infusion)
        checkin = infusion.checkins.earliest("due_at")
        OutboxMessage.objects.create(
            idempotency_key=f"test:{checkin.pk}",
            message_id=f"<test-{checkin.pk}@clinic.example>",
            kind="checkin_invitation",
            checkin=checkin,
            due_at=now + timedelta(minutes=4),
            attempts=2,
            in_doubt=True,
            last_error=LONG_WORDS,
        )
        CheckIn.objects.filter(pk=checkin.pk).update(**state)
    Patient.objects.filter(pk=infusion.patient_id).update(email="")
    page = new_person()
    sign_in(page, nurse, "/worklist/")
    page.get_by_role("link", name="Check-ins", exact=True).click()
    selections = page.get_by_role("navigation", name="Which check-ins")
    for words in ("Overdue", "Not delivered", "Sent, no answer", "All"):
        selections.get_by_role("link", name=words, exact=True).click()
        expect(selections.locator("[aria-current]")).to_have_text(words)
    look_at(page, "checkins-all")
    selections.get_by_role("link", name="Not delivered").click()
    expect(page.get_by_text("It is sent once more when the address is corrected")).to_be_visible()
    page.get_by_role("link", name="24 hours after").first.click()
    look_at(page, "checkin-not-delivered")
