"""A patient's address was changed: what went to the old one is closed, what is open goes to the new one, once."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from patients.models import AuditEvent, Clinic, Patient, User, address_digest
from patients.registering import correct_patient
from reactions import outbox, recording
from reactions.checkins import due
from reactions.models import AnswerDraft, CheckIn, OutboxMessage, ReportLink
from reactions.models.link import hash_of, token_from
from reactions.vocabulary import CheckInKind, CheckInState
from tests.reactions.test_bounces import read_stdin
from tests.support.factories import make_checkins, make_infusion, make_patient
from tests.support.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db

WRONG, RIGHT = "tesa@patients.example", "tessa@patients.example"
PHONE = "+1 555 0100"
CLOSED = "This link is closed"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def patient(clinic: Clinic) -> Patient:
    return make_patient(clinic, email=WRONG)


@pytest.fixture
def checkin(patient: Patient, smtp_sink: SmtpSink) -> CheckIn:
    """Mailed to the wrong address, open for another two days."""
    infusion = make_infusion(patient)
    make_checkins(infusion)
    assert due.tick().mails == {"sent": 1}
    return infusion.checkins.get(kind=CheckInKind.HOURS_24)


@pytest.fixture
def links(checkin: CheckIn, smtp_sink: SmtpSink) -> dict[str, str]:
    return links_of(smtp_sink)


def links_of(sink: SmtpSink, number: int = 0) -> dict[str, str]:
    """The three links of a mail, as its reader has them."""
    text = sink.messages[number].get_body(("plain",)).get_content()
    answer, report, stop = re.findall(r"http://127\.0\.0\.1:8000(/c/\S+)", text)
    return {"answer": answer, "report": report, "stop": stop}


def change(address: str) -> None:
    Patient.objects.update(email=address)


def by_staff(patient: Patient, nurse: User) -> None:
    details = {"email": RIGHT}
    correct_patient(patient, by=nurse, details=details, email_consent=True, seen_version=1, now=timezone.now())


def in_a_shell(patient: Patient, nurse: User) -> None:
    change(RIGHT)


def take_away(patient: Patient, nurse: User) -> None:
    change("")


@pytest.mark.parametrize("way", [by_staff, in_a_shell, take_away])
@pytest.mark.parametrize("link", ["answer", "report"])
@pytest.mark.parametrize("again", [True, False])
def test_a_link_to_another_address_shows_and_takes_nothing(
    client: Client,
    checkin: CheckIn,
    links: dict[str, str],
    nurse: User,
    way: Callable[[Patient, User], None],
    link: str,
    again: bool,
) -> None:
    assert client.get(links[link]).status_code == 200
    way(checkin.patient, nurse)
    if again:
        due.tick()
    for page in ("", "problems/", "check/", "thanks/") if link == "answer" else ("",):
        for ask in (client.get, client.post):
            answer = ask(f"{links[link]}{page}", {"has_problem": "no"} if ask == client.post else {})
            text = answer.content.decode()
            assert answer.status_code == 410
            assert CLOSED in text
            assert PHONE in text
            # Not the way to the new reader's pages either.
            assert "/c/" not in text
    assert not CheckIn.objects.filter(kind=CheckInKind.REPORT).exists()
    assert not AnswerDraft.objects.exists()
    checkin.refresh_from_db()
    assert checkin.answered_at is None


def test_the_page_is_in_the_readers_language(client: Client, links: dict[str, str]) -> None:
    change(RIGHT)
    assert "Este enlace está cerrado" in client.get(f"{links['answer']}?lang=es").content.decode()
    assert "Este enlace está cerrado" in client.get(links["answer"]).content.decode()


def test_red_words_at_an_old_link_lead_to_the_emergency_words(client: Client, links: dict[str, str]) -> None:
    change(RIGHT)
    text = client.post(f"{links['answer']}problems/", {"symptoms": ["chest_pain"]}).content.decode()
    assert "Do not drive yourself" in text
    assert "We could not tell your clinic" in text
    assert "Do not drive" not in client.post(f"{links['answer']}problems/", {"symptoms": ["itch"]}).content.decode()


@pytest.mark.parametrize("same", [WRONG.upper(), f" {WRONG} "])
def test_the_same_address_written_otherwise_changes_nothing(
    client: Client, links: dict[str, str], smtp_sink: SmtpSink, same: str
) -> None:
    change(same)
    assert due.tick().mails == {}
    assert client.get(links["answer"]).status_code == 200
    assert client.get(links["report"]).status_code == 200


def test_with_the_old_address_the_old_links_work_again(client: Client, links: dict[str, str]) -> None:
    change(RIGHT)
    assert client.get(links["answer"]).status_code == 410
    change(WRONG)
    assert client.get(links["answer"]).status_code == 200
    assert client.get(links["report"]).status_code == 200
    assert due.tick().mails == {}


def test_what_a_stranger_began_is_not_shown_to_the_patient(
    client: Client, checkin: CheckIn, links: dict[str, str]
) -> None:
    client.post(links["answer"], {"has_problem": "yes"})
    client.post(f"{links['answer']}more/", {"comment": "a stranger's words"})
    change(RIGHT)
    new = CheckIn.objects.get(pk=checkin.pk).link_path()
    assert "a stranger's words" not in client.get(f"{new}more/", follow=True).content.decode()
    assert "checked" not in client.get(f"{new}?again").content.decode()
    assert AnswerDraft.objects.exists()
    client.post(new, {"has_problem": "yes"})
    assert "a stranger's words" not in str(AnswerDraft.objects.get().steps)
    assert client.get(f"{new}more/").status_code == 200


def test_what_a_stranger_began_to_report_is_not_shown_to_the_patient(
    client: Client, patient: Patient, links: dict[str, str]
) -> None:
    theirs = client.post(links["report"]).headers["Location"].partition("?")[0]
    client.post(f"{theirs}problems/", {"symptoms": ["itch"]})
    change(RIGHT)
    assert client.get(f"{theirs}problems/").status_code == 410
    standing = ReportLink.objects.get().link_path()
    own = client.post(standing).headers["Location"].partition("?")[0]
    assert own != theirs
    assert "checked" not in client.get(f"{own}problems/").content.decode()


def test_who_presses_the_old_standing_link_while_the_address_changes_gets_no_new_link(patient: Patient) -> None:
    make_infusion(patient)
    change(RIGHT)
    assert recording.begin_report(patient, now=timezone.now()) is None


@pytest.mark.parametrize("data", [ONE_CLICK, {"stop": "yes"}])
def test_a_stranger_does_not_stop_the_patients_mails(
    client: Client, patient: Patient, links: dict[str, str], data: dict[str, str]
) -> None:
    change(RIGHT)
    text = client.get(links["stop"]).content.decode()
    assert "No more mails go there" in text
    assert PHONE in text
    assert "Yes, stop" not in text
    answer = client.post(links["stop"], data)
    assert (answer.status_code, "No more mails go there" in answer.content.decode()) == (200, True)
    patient.refresh_from_db()
    assert patient.email_consent_at
    change(WRONG)
    assert "The mails have stopped" in client.post(links["stop"], data).content.decode()
    patient.refresh_from_db()
    assert patient.email_consent_at is None


def test_a_mail_from_the_old_address_that_asks_to_stop_is_left_for_a_person(
    patient: Patient, links: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = f"Subject: stop {links['stop'].rpartition('/')[2]}\r\n\r\n".encode()
    change(RIGHT)
    assert "left for a person" in read_stdin(raw, monkeypatch)
    patient.refresh_from_db()
    assert patient.email_consent_at
    change(WRONG)
    assert "to stop" in read_stdin(raw, monkeypatch)
    patient.refresh_from_db()
    assert patient.email_consent_at is None


@pytest.mark.parametrize("bend", [lambda token: token[:24], lambda token: token[:32] + token[:16]])
def test_a_link_is_worth_nothing_without_its_proof(
    client: Client, checkin: CheckIn, links: dict[str, str], bend: Callable[[str], str]
) -> None:
    token = links["answer"].split("/")[2]
    answer = client.get(f"/c/{bend(token)}/")
    assert answer.status_code in {404, 410}
    assert "any new or worse" not in answer.content.decode()
    change(RIGHT)
    other = CheckIn.objects.get(pk=checkin.pk).link_path().split("/")[2]
    # The mark of the new address, as far as somebody could know it, under the proof of the old.
    assert client.get(f"/c/{token[:24]}{other[24:32]}{token[32:]}/").status_code == 404


def test_links_from_before_go_on_for_the_address_that_has_them(
    client: Client, checkin: CheckIn, patient: Patient
) -> None:
    bare = token_from(bytes(checkin.link_nonce))
    assert hash_of(bare) == checkin.link_hash
    assert client.get(f"/c/{bare}/").status_code == 410
    CheckIn.objects.update(link_address=address_digest(WRONG))
    ReportLink.objects.update(link_address=address_digest(WRONG))
    standing = token_from(bytes(ReportLink.objects.get().link_nonce))
    for token in (bare, standing):
        assert client.get(f"/c/{token}/").status_code == 200
    change(RIGHT)
    for token in (bare, standing):
        assert client.get(f"/c/{token}/").status_code == 410


def test_what_is_open_goes_to_the_new_address_once_with_a_link_of_its_own(
    client: Client, checkin: CheckIn, patient: Patient, links: dict[str, str], smtp_sink: SmtpSink
) -> None:
    sent_at = CheckIn.objects.get(pk=checkin.pk).sent_at
    change(RIGHT)
    assert [due.tick().mails for _ in range(3)] == [{"sent": 1}, {}, {}]
    assert [one.rcpt_tos for one in smtp_sink.envelopes] == [[WRONG], [RIGHT]]
    second = smtp_sink.messages[1]
    assert "checkin_invitation" in OutboxMessage.objects.get(message_id=second["Message-ID"]).kind
    new = links_of(smtp_sink, 1)
    assert not set(new.values()) & set(links.values())
    for link in new.values():
        assert client.get(link).status_code == 200
    event = AuditEvent.objects.get(act="checkin.planned_again")
    assert (event.by, event.patient_id, event.reason) == (None, patient.pk, "The address was changed.")
    assert event.changes == {"state": ["sent", "planned"], "sent_at": [str(sent_at), None]}
    client.post(new["answer"], {"has_problem": "no"})
    checkin.refresh_from_db()
    assert checkin.state == CheckInState.ANSWERED


def test_a_crash_between_planning_and_sending_loses_nothing(
    checkin: CheckIn, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(now: object) -> int:
        raise SystemExit

    change(RIGHT)
    with monkeypatch.context() as broken:
        broken.setattr(due, "queue_what_is_due", die)
        with pytest.raises(SystemExit):
            due.tick()
    assert due.tick().mails == {"sent": 1}
    assert due.tick().mails == {}
    assert [one.rcpt_tos for one in smtp_sink.envelopes] == [[WRONG], [RIGHT]]


@pytest.mark.parametrize(
    "change_too",
    [
        {"email_consent_at": None, "email_consent_by": None, "email_consent_text": ""},
        {"died_on": date(2026, 5, 1)},
        {"bounced_address": address_digest(RIGHT)},
    ],
)
def test_who_gets_no_mail_gets_none_at_a_new_address(checkin: CheckIn, change_too: dict[str, Any]) -> None:
    Patient.objects.update(email=RIGHT, **change_too)
    assert due.tick().mails == {}
    checkin.refresh_from_db()
    assert checkin.state == CheckInState.SENT


def test_a_reminder_that_waits_does_not_go_to_an_address_without_the_first_mail(
    checkin: CheckIn, smtp_sink: SmtpSink
) -> None:
    now = timezone.now()
    CheckIn.objects.filter(pk=checkin.pk).update(sent_at=now - timedelta(hours=25))
    assert due.queue_reminders(now) == 1
    change(RIGHT)
    assert outbox.dispatch() == {"cancelled": 1}
    assert due.tick().mails == {"sent": 1}
    assert [one.rcpt_tos for one in smtp_sink.envelopes] == [[WRONG], [RIGHT]]
    # A day later the new address is reminded as the old one would have been.
    CheckIn.objects.filter(pk=checkin.pk).update(sent_at=now - timedelta(hours=25))
    assert due.tick().mails == {"sent": 1}
    assert "still waiting" in smtp_sink.messages[2]["Subject"].lower()
    assert due.tick().mails == {}


def test_of_two_that_are_open_the_latest_goes_to_the_new_address(checkin: CheckIn, smtp_sink: SmtpSink) -> None:
    now = timezone.now()
    CheckIn.objects.filter(kind=CheckInKind.HOURS_72).update(due_at=now - timedelta(minutes=1))
    CheckIn.objects.filter(pk=checkin.pk).update(due_at=now - timedelta(hours=2), sent_at=now - timedelta(hours=2))
    assert due.tick().mails == {"sent": 1}
    change(RIGHT)
    assert due.tick().mails == {"sent": 1}
    mails = dict(OutboxMessage.objects.values_list("checkin__kind", "sent_to"))
    assert mails == {"hours_24": address_digest(WRONG), "hours_72": address_digest(RIGHT)}
    checkin.refresh_from_db()
    assert checkin.state == CheckInState.SENT


def test_a_mail_that_is_being_sent_to_the_old_address_is_let_go_first(checkin: CheckIn) -> None:
    now = timezone.now()
    invitation = OutboxMessage.objects.filter(checkin=checkin)
    CheckIn.objects.filter(pk=checkin.pk).update(sent_at=now - timedelta(hours=25))
    due.queue_reminders(now)
    reminder = outbox.claim(5)[0]
    change(RIGHT)
    assert due.tick().mails == {}
    assert not AuditEvent.objects.filter(act="checkin.planned_again").exists()
    outbox.claims.give_back([reminder])
    assert due.tick().mails == {"sent": 1}
    assert set(invitation.values_list("state", flat=True)) == {"sent", "cancelled"}


def test_a_mail_that_comes_back_from_the_old_address_later_changes_nothing(checkin: CheckIn, patient: Patient) -> None:
    mail = OutboxMessage.objects.get(checkin=checkin)
    change(RIGHT)
    assert due.tick().mails == {"sent": 1}
    said = {"words": "5.1.1 No such user", "for_good": True, "addresses": [WRONG]}
    assert recording.record_bounce(mail.message_id, now=timezone.now(), **said)
    checkin.refresh_from_db()
    patient.refresh_from_db()
    assert checkin.state == CheckInState.SENT
    assert patient.why_no_mail() == ""
