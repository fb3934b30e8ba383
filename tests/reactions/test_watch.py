"""When mail stops going out, every staff page, the administration and the readiness page say so."""

from datetime import timedelta
from html import unescape
from io import StringIO
from pathlib import Path

import pytest
from celery.signals import after_task_publish
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from ivigtrack.local import ports, processes
from patients.models import Clinic, User
from reactions import site, tasks, watch
from reactions.models import CheckIn, Heartbeat, Site
from reactions.pulse import Cause
from reactions.vocabulary import WatchedPart
from tests.support.celery_worker import start_beat
from tests.support.factories import make_checkins, make_infusion, make_patient
from tests.support.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db


@pytest.fixture
def due_checkin(clinic: Clinic) -> CheckIn:
    infusion = make_infusion(make_patient(clinic))
    make_checkins(infusion)
    return infusion.checkins.earliest("due_at")


def tick() -> None:
    call_command("tick", stdout=StringIO())


def banner(client: Client, user: User, address: str = "/patients/") -> str:
    client.force_login(user)
    text = unescape(client.get(address).content.decode())
    return " ".join(text.partition('class="note note-error sending"')[2].partition("</div>")[0].split())


def test_cron_alone_is_alive_and_its_silence_is_told_everywhere(
    client: Client,
    due_checkin: CheckIn,
    nurse: User,
    administrator: User,
    smtp_sink: SmtpSink,
) -> None:
    tick()
    assert banner(client, nurse) == banner(client, administrator, "/admin/") == ""
    assert client.get("/readyz").json()["ready"]
    Heartbeat.objects.update(
        seen_at=timezone.now() - timedelta(minutes=25),
        done_at=timezone.now() - timedelta(minutes=25),
    )
    CheckIn.objects.filter(state="planned").update(
        due_at=timezone.now() - timedelta(minutes=1), closes_at=timezone.now() + timedelta(days=1)
    )
    waiting = CheckIn.objects.filter(state="planned").count()
    for address, user in {"/patients/": nurse, "/alerts/": nurse, "/admin/": administrator}.items():
        said = banner(client, user, address)
        assert "Check-ins have not been going out since" in said, address
        assert f"(scheduler or broker not seen). {waiting} are waiting." in said, address
    client.logout()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["cause"]) == (503, Cause.SCHEDULER)
    assert answer.json()["waiting"] == waiting
    assert " UTC (scheduler or broker not seen)" in answer.json()["words"]
    assert "going out" not in client.get(due_checkin.link_path()).content.decode()
    tick()
    assert client.get("/readyz").status_code == 200


def test_a_new_installation_says_that_nothing_has_run_and_alarms_nobody(
    client: Client, nurse: User, administrator: User, due_checkin: CheckIn
) -> None:
    assert banner(client, nurse) == ""
    client.force_login(administrator)
    assert "The sending of check-ins has not run yet." in client.get("/admin/").content.decode()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["cause"]) == (200, Cause.NOT_YET)
    CheckIn.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert "has not run yet. 1 is waiting." in banner(client, nurse)
    assert client.get("/readyz").status_code == 503


def test_a_mail_server_out_of_reach_is_told_with_its_words_to_staff_only(
    client: Client, due_checkin: CheckIn, nurse: User, settings: Settings
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", ports.any_free()
    tick()
    assert watch.verdict().cause == Cause.FINE
    Heartbeat.objects.filter(part=WatchedPart.MAIL).update(failing_since=timezone.now() - timedelta(minutes=4))
    said = banner(client, nurse)
    assert "the mail server does not take mail: ConnectionRefusedError" in said
    assert "1 is waiting." in said
    client.logout()
    answer = client.get("/readyz").json()
    assert (answer["cause"], answer["waiting"]) == (Cause.MAIL_SERVER, 1)
    assert "ConnectionRefused" not in answer["words"]


def test_a_mail_server_that_refuses_every_mail_fails_from_the_first_until_it_takes_one(
    due_checkin: CheckIn, clinic: Clinic, smtp_sink: SmtpSink
) -> None:
    smtp_sink.refuse_next_sender(550, "Not from patient@clinic.example")
    tick()
    first = Heartbeat.objects.get(part=WatchedPart.MAIL)
    assert first.failing_since
    assert "Not from (address)" in first.trouble
    smtp_sink.refuse_next(451)
    due_checkin.mails.update(due_at=timezone.now())
    tick()
    second = Heartbeat.objects.get(part=WatchedPart.MAIL)
    assert second.failing_since == first.failing_since
    due_checkin.mails.update(due_at=timezone.now())
    tick()
    well = Heartbeat.objects.get(part=WatchedPart.MAIL)
    assert (well.failing_since, well.trouble) == (None, "")
    assert well.done_at


@pytest.mark.parametrize(("code", "text"), [(450, "4.7.1 Greylisted"), (452, "4.2.2 Mailbox full")])
def test_a_recipient_who_is_put_off_is_no_trouble_of_the_mail_server(
    due_checkin: CheckIn, smtp_sink: SmtpSink, code: int, text: str
) -> None:
    smtp_sink.refuse_next_recipient(code, text)
    tick()
    heard = Heartbeat.objects.get(part=WatchedPart.MAIL)
    assert (heard.trouble, heard.failing_since) == ("", None)
    assert heard.done_at
    # Nor when the server is greeted meanwhile.
    Heartbeat.objects.filter(part=WatchedPart.MAIL).update(seen_at=timezone.now() - timedelta(hours=1))
    due_checkin.mails.update(due_at=timezone.now() + timedelta(hours=1))
    tick()
    greeted = Heartbeat.objects.get(part=WatchedPart.MAIL)
    assert greeted.seen_at > heard.seen_at - timedelta(minutes=1)
    assert (greeted.trouble, greeted.failing_since) == ("", None)
    assert f"{code} {text}" in due_checkin.mails.get().last_error


def test_a_mail_server_is_greeted_when_there_was_no_mail_for_a_while(smtp_sink: SmtpSink, settings: Settings) -> None:
    tick()
    heard = Heartbeat.objects.get(part=WatchedPart.MAIL)
    assert heard.done_at
    settings.EMAIL_PORT = ports.any_free()
    tick()
    assert Heartbeat.objects.get(part=WatchedPart.MAIL) == heard
    Heartbeat.objects.filter(part=WatchedPart.MAIL).update(seen_at=timezone.now() - timedelta(minutes=11))
    tick()
    assert "ConnectionRefused" in Heartbeat.objects.get(part=WatchedPart.MAIL).trouble


def test_one_refused_address_is_no_failure_of_the_mail_server(due_checkin: CheckIn, smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse_next_recipient(550, "5.1.1 No such mailbox")
    tick()
    assert Heartbeat.objects.get(part=WatchedPart.MAIL).failing_since is None


def test_a_tick_that_breaks_counts_as_begun_and_not_as_done(
    due_checkin: CheckIn, monkeypatch: pytest.MonkeyPatch, smtp_sink: SmtpSink
) -> None:
    tick()
    Heartbeat.objects.update(done_at=timezone.now() - timedelta(minutes=4))
    monkeypatch.setattr("reactions.checkins.due.close_what_is_over", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tick()
    assert watch.verdict().cause == Cause.FAILING


def test_mail_that_waits_long_behind_a_living_worker_is_told(
    due_checkin: CheckIn, smtp_sink: SmtpSink, client: Client, nurse: User
) -> None:
    tick()
    due_checkin.mails.update(
        state="queued",
        sent_at=None,
        due_at=timezone.now() - timedelta(minutes=30),
        created_at=timezone.now() - timedelta(minutes=11),
    )
    assert "Check-ins are going out late" in banner(client, nurse)
    # What was written down only now waits since now, whenever it was due.
    due_checkin.mails.update(created_at=timezone.now())
    assert banner(client, nurse) == ""


def test_a_restored_database_is_told_on_every_page_and_a_web_host_without_an_id_believes_the_sender(
    client: Client, nurse: User, administrator: User, smtp_sink: SmtpSink, settings: Settings, tmp_path: Path
) -> None:
    tick()
    settings.IVIGTRACK_SITE_ID_FILE = tmp_path / "nothing-here"
    assert banner(client, nurse) == ""
    settings.IVIGTRACK_SITE_ID = "of-a-restored-copy"
    for address, user in {"/worklist/": nurse, "/admin/": administrator}.items():
        assert "restored from a backup or copied" in banner(client, user, address)
    client.logout()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["cause"]) == (503, Cause.STOPPED)
    # The worker's host is the one that must know the id: what it says counts on the web host, too.
    tick()
    settings.IVIGTRACK_SITE_ID = Site.objects.get().site_id
    Heartbeat.objects.update(done_at=timezone.now() - timedelta(minutes=9))
    assert watch.verdict().why == site.OTHER_ID


def test_the_readiness_page_says_when_the_database_does_not_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM there_is_no_such_table")

    monkeypatch.setattr(watch, "verdict", fail)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["words"]) == (503, "The database does not answer.")
    assert client.post("/readyz").status_code == 405


def test_the_banner_costs_two_queries(
    django_assert_max_num_queries: DjangoAssertNumQueries, clinic: Clinic, smtp_sink: SmtpSink
) -> None:
    for _ in range(3):
        make_checkins(make_infusion(make_patient(clinic)))
    for part in WatchedPart:
        watch.note(part)
    with django_assert_max_num_queries(2):
        watch.verdict()


def test_a_publisher_that_is_not_beat_is_no_sign_of_its_life(broker: str) -> None:
    tasks.wake()
    assert not Heartbeat.objects.filter(part=WatchedPart.BEAT).exists()
    assert tasks.beat_was_heard not in [receiver for _, receiver in after_task_publish.receivers]


@pytest.mark.django_db(transaction=True)
def test_real_worker_and_real_beat_are_told_apart_when_either_dies(
    celery_worker_process: processes.Child, broker: str, tmp_path: Path
) -> None:
    assert Heartbeat.objects.filter(part=WatchedPart.WORKER, done_at=None).exists()
    beat = start_beat(broker_url=broker, log=tmp_path / "beat.log", every_s=1)
    try:
        processes.wait_for(
            beat, lambda: Heartbeat.objects.filter(part=WatchedPart.WORKER, done_at__isnull=False).exists(), seconds=30
        )
        assert watch.verdict().cause == Cause.FINE
        processes.stop([celery_worker_process], patience=10)
        worked = Heartbeat.objects.get(part=WatchedPart.WORKER)
        was = Heartbeat.objects.get(part=WatchedPart.BEAT).seen_at
        processes.wait_for(beat, lambda: Heartbeat.objects.get(part=WatchedPart.BEAT).seen_at > was, seconds=10)
        long_ago = timezone.now() - timedelta(minutes=5)
        Heartbeat.objects.filter(pk=worked.pk).update(seen_at=long_ago, done_at=long_ago)
        assert watch.verdict().cause == Cause.WORKER
    finally:
        processes.stop([beat], patience=5)
    Heartbeat.objects.filter(part=WatchedPart.BEAT).update(seen_at=long_ago)
    assert watch.verdict().cause == Cause.SCHEDULER
