"""A database that was restored or copied sends nothing until somebody makes its host the sender."""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from patients.models import AuditEvent, Clinic
from reactions import recording, site
from reactions.checkins import due
from reactions.models import Alert, CheckIn, OutboxMessage, Site
from reactions.vocabulary import CheckInState, MailState
from tests.support.factories import make_checkins, make_infusion, make_patient
from tests.support.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def site_file(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """A file of this test's own, on a host that is the sender."""
    settings.IVIGTRACK_SITE_ID_FILE = tmp_path / "site-id"
    site.make_sender()
    return tmp_path / "site-id"


@pytest.fixture
def due_checkin(clinic: Clinic) -> CheckIn:
    infusion = make_infusion(make_patient(clinic))
    make_checkins(infusion)
    return infusion.checkins.earliest("due_at")


def restore_elsewhere() -> None:
    """The database carries the id of the host it came from."""
    Site.objects.update(site_id="of-the-other-host")


def test_a_restored_database_sends_nothing_not_even_an_alert(
    due_checkin: CheckIn, clinic: Clinic, smtp_sink: SmtpSink, caplog: pytest.LogCaptureFixture
) -> None:
    other = make_infusion(make_patient(clinic))
    make_checkins(other)
    answered = other.checkins.earliest("due_at")
    symptoms = {"chest_pain": "severe"}
    recording.submit_answer(answered, has_problem=True, details={}, symptoms=symptoms, now=timezone.now())
    restore_elsewhere()
    assert due.tick().mails == {}
    assert smtp_sink.attempts == 0
    assert "belongs to another host" in caplog.text
    assert Alert.objects.open().count() == 1
    call_command("adopt_site", yes=True, stdout=StringIO())
    assert due.tick().mails == {"sent": 1 + clinic.roles.count()}


def test_a_crash_of_the_same_host_and_a_backup_of_its_own_change_nothing(
    due_checkin: CheckIn, smtp_sink: SmtpSink
) -> None:
    backup = Site.objects.get()
    Site.objects.all().delete()
    backup.save(force_insert=True)
    assert due.tick().mails == {"sent": 1}


def test_a_host_without_an_id_of_its_own_does_not_make_itself_the_sender(
    due_checkin: CheckIn, site_file: Path, smtp_sink: SmtpSink, settings: Settings
) -> None:
    stored = Site.objects.get().site_id
    site_file.unlink()
    call_command("migrate", verbosity=0)
    assert due.tick().mails == {}
    assert "no site id of its own" in site.sending_is_stopped()
    assert (Site.objects.get().site_id, site_file.exists()) == (stored, False)
    settings.IVIGTRACK_SITE_ID = stored
    assert due.tick().mails == {"sent": 1}


def test_a_copy_of_the_whole_folder_to_another_machine_sends_nothing(
    due_checkin: CheckIn, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = tmp_path / "machine-id"
    monkeypatch.setattr(site, "MACHINE_ID", machine)
    machine.write_text("the-first-machine\n")
    site.make_sender()
    assert site.sending_is_stopped() == ""
    machine.write_text("a-laptop\n")
    assert due.tick().mails == {}
    assert "restored from a backup or copied" in site.sending_is_stopped()
    # A container has no id of its machine: the file alone decides.
    machine.unlink()
    assert due.tick().mails == {"sent": 1}


def test_the_first_migration_gives_database_and_host_one_id(site_file: Path) -> None:
    Site.objects.all().delete()
    site_file.unlink()
    call_command("migrate", verbosity=0)
    assert site_file.read_text().split()[0] == Site.objects.get().site_id
    assert site.sending_is_stopped() == ""
    # A second database of the same host is its own as well.
    Site.objects.all().delete()
    assert "migrate" in site.sending_is_stopped()
    call_command("migrate", verbosity=0)
    assert site.sending_is_stopped() == ""


def test_a_folder_that_cannot_be_written_says_what_to_set(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a-file").write_text("")
    settings.IVIGTRACK_SITE_ID_FILE = tmp_path / "a-file" / "site-id"
    Site.objects.all().delete()
    call_command("migrate", verbosity=0)
    stored = Site.objects.get().site_id
    assert f"IVIGTRACK_SITE_ID={stored}" in caplog.text
    assert "no site id of its own" in site.sending_is_stopped()
    restore_elsewhere()
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("adopt_site", yes=True, stdout=StringIO())
    assert Site.objects.get().site_id == "of-the-other-host"


def test_adopting_tells_what_is_due_and_asks(due_checkin: CheckIn, monkeypatch: pytest.MonkeyPatch) -> None:
    restore_elsewhere()
    said = StringIO()
    monkeypatch.setattr("builtins.input", lambda _: "no")
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("adopt_site", stdout=said)
    assert "Due now: check-ins 1, mails to staff 0." in said.getvalue()
    assert "1 check-ins that are due would be sent" in said.getvalue()
    assert site.sending_is_stopped()
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    call_command("adopt_site", stdout=said)
    assert f"IVIGTRACK_SITE_ID={Site.objects.get().site_id}" in said.getvalue()
    assert site.sending_is_stopped() == ""
    assert AuditEvent.objects.get(act="site.adopted").changes["site_id"][0] == "of-the-other-host"


def test_what_was_due_before_is_marked_missed_when_asked_and_the_rest_goes_out_in_time(
    due_checkin: CheckIn, clinic: Clinic, smtp_sink: SmtpSink
) -> None:
    due.queue_what_is_due(timezone.now())
    restore_elsewhere()
    said = StringIO()
    call_command("adopt_site", yes=True, skip_due=True, stdout=said)
    assert "Check-ins marked missed: 1." in said.getvalue()
    due_checkin.refresh_from_db()
    assert (due_checkin.state, due_checkin.state_reason) == (CheckInState.MISSED, recording.site.SKIPPED)
    assert OutboxMessage.objects.get().state == MailState.CANCELLED
    assert due.tick().mails == {}
    # Nor does planning anew bring it back: the other host has sent it.
    make_checkins(due_checkin.infusion)
    assert due.tick().mails == {}
    CheckIn.objects.filter(state=CheckInState.PLANNED).update(
        due_at=timezone.now() - timedelta(minutes=1), closes_at=timezone.now() + timedelta(hours=1)
    )
    assert due.tick().mails["sent"] >= 1


def test_the_sender_itself_may_run_the_command_and_nothing_happens(due_checkin: CheckIn, smtp_sink: SmtpSink) -> None:
    before = Site.objects.get().site_id
    said = StringIO()
    call_command("adopt_site", stdout=said)
    assert "the sender already" in said.getvalue()
    assert Site.objects.get().site_id == before


def test_a_host_with_another_key_sends_nothing_and_plans_nothing_anew(
    due_checkin: CheckIn, smtp_sink: SmtpSink, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    assert due.tick().mails == {"sent": 1}
    own, settings.SECRET_KEY = settings.SECRET_KEY, "the-key-of-somebody-else"
    # Under another key every address looks changed, and two hosts would mail the same patients in turn for ever.
    assert due.tick().mails == {}
    assert "another SECRET_KEY" in caplog.text
    assert "another SECRET_KEY" in site.sending_is_stopped()
    due_checkin.refresh_from_db()
    assert due_checkin.state == CheckInState.SENT
    settings.SECRET_KEY = own
    assert due.tick().mails == {}
    assert smtp_sink.attempts == 1


def test_a_new_key_is_adopted_and_open_check_ins_get_links_that_work(
    due_checkin: CheckIn, smtp_sink: SmtpSink, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert due.tick().mails == {"sent": 1}
    settings.SECRET_KEY = "a-new-key-on-purpose"
    said = StringIO()
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    call_command("adopt_site", stdout=said)
    assert "1 check-ins that were sent wait for an answer, and the links in them stopped working" in said.getvalue()
    assert due.tick().mails == {"sent": 1}
    assert [len(smtp_sink.messages), due.tick().mails] == [2, {}]


def test_a_new_key_can_be_adopted_without_mailing_anybody_again(
    due_checkin: CheckIn, smtp_sink: SmtpSink, settings: Settings
) -> None:
    assert due.tick().mails == {"sent": 1}
    settings.SECRET_KEY = "a-new-key-on-purpose"
    call_command("adopt_site", yes=True, skip_due=True, stdout=StringIO())
    assert due.tick().mails == {}
    due_checkin.refresh_from_db()
    assert due_checkin.state == CheckInState.SENT


def test_a_database_of_before_takes_the_key_of_its_host_with_the_next_migration(settings: Settings) -> None:
    Site.objects.update(key_digest="")
    assert site.sending_is_stopped() == ""
    call_command("migrate", verbosity=0)
    assert site.sending_is_stopped() == ""
    settings.SECRET_KEY = "another-one"
    call_command("migrate", verbosity=0)
    assert "another SECRET_KEY" in site.sending_is_stopped()
